//! The classic store of the overlay2 graph driver.

mod images;
mod layers;
mod layout;
mod piece;
mod read;
mod readers;
mod tarball;

pub use read::Overlay2;
