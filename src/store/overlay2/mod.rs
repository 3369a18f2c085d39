//! The classic store of the overlay2 graph driver.

mod layers;
mod layout;
mod read;
mod tarball;

pub use read::Overlay2;
