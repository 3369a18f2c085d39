//! The containerd image store, as Docker uses it.

mod audit;
mod content;
mod journal;
mod layout;
mod mend;
mod metadata;
mod read;
mod reclaim;
mod records;
mod schema;
mod write;

pub use mend::mends;
pub use read::Containerd;
pub use write::Writer;

use crate::tree::TreePathBuf;

/// Returns the databases of a containerd root that show whether containerd runs. It holds the first as
/// long as it does; the snapshotter's is opened when it is first needed.
#[must_use]
pub fn lock_files(snapshotter: &str) -> Vec<TreePathBuf> {
    let meta = layout::at(layout::META_DB.to_owned());
    vec![meta, layout::Snapshotter::new(snapshotter).metadata_db()]
}

/// Docker's namespace in containerd.
pub const NAMESPACE: &str = "moby";

/// The snapshotter that Docker uses unless told otherwise.
pub const SNAPSHOTTER: &str = "overlayfs";
