//! The classic store of the overlay2 graph driver.

mod audit;
mod heal;
mod images;
mod layers;
mod layout;
mod mend;
mod mounts;
mod piece;
mod read;
mod readers;
mod reclaim;
mod tarball;
mod write;

pub use heal::heals;
pub use mend::mends;
pub use read::Overlay2;
pub use write::Writer;
pub(super) use write::left_beside;

/// The graph driver: the name of its folders.
pub const DRIVER: &str = "overlay2";
