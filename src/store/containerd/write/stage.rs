//! Where things lie until the commit.

use super::super::layout::{self, Snapshotter};
use crate::digest::{BlobId, ChainId, Digest};
use crate::tree::TreePathBuf;

/// A sink that can move things gets them in a folder of ours first; a tar gets them where they stay.
pub(super) struct Stage {
    pub(super) apart: bool,
    places: Snapshotter,
}

impl Stage {
    pub(super) fn new(apart: bool, snapshotter: &str) -> Self {
        Self { apart, places: Snapshotter::new(snapshotter) }
    }

    pub(super) fn blob(&self, blob: BlobId) -> TreePathBuf {
        if self.apart { layout::staged_blob(blob) } else { layout::blob(blob) }
    }

    /// Returns where the blob that comes of `what` is written before it is whole.
    pub(super) fn unfinished(&self, what: Digest) -> TreePathBuf {
        let folder = if self.apart { layout::staged_blobs() } else { layout::blobs() };
        let name = format!(".tranship-{}", what.hex());
        folder.as_path().child(name.as_bytes()).unwrap_or_default()
    }

    pub(super) fn snapshot(&self, chain_id: ChainId, folder: u64) -> TreePathBuf {
        if self.apart { layout::staged_snapshot(chain_id) } else { self.places.snapshot(folder) }
    }

    /// Returns where the snapshot `key` of a container lies, which is to have the number `folder`.
    pub(super) fn container(&self, key: &str, folder: u64) -> TreePathBuf {
        if self.apart { layout::staged_container(key) } else { self.places.snapshot(folder) }
    }

    /// Returns where a bolt file is written before it is moved to its name.
    pub(super) fn new_file(&self, file: &TreePathBuf) -> TreePathBuf {
        let Some((folder, name)) = file.as_path().split_last() else { return file.clone() };
        if self.apart {
            return layout::staging().as_path().child(name).unwrap_or_default();
        }
        folder.child(&[b".tranship-", name].concat()).unwrap_or_default()
    }
}
