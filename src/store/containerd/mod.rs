//! The containerd image store, as Docker uses it.

mod journal;
mod layout;
mod metadata;
mod read;
mod schema;
mod target;
mod write;

pub use read::Containerd;
pub use write::Writer;

/// Docker's namespace in containerd.
pub const NAMESPACE: &str = "moby";

/// The snapshotter that Docker uses unless told otherwise.
pub const SNAPSHOTTER: &str = "overlayfs";
