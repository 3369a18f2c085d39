//! Where containerd keeps things below its root.
//!
//! ```text
//! io.containerd.content.v1.content/
//!   blobs/sha256/<hex>                     every manifest, config and layer; 0444
//!   ingest/                                downloads in progress
//! io.containerd.metadata.v1.bolt/
//!   meta.db                                what every namespace has; see schema
//! io.containerd.snapshotter.v1.<name>/
//!   metadata.db                            which folder is which snapshot; see schema
//!   snapshots/<id>/
//!     fs/                                  one layer unpacked, in overlayfs form
//!     work/
//! tranship/                                ours, and only while a migration is under way
//!   journal.json                           the layers that are done
//!   blobs/<hex>  snapshots/<chain>/        what becomes visible at the end,
//!   containers/<key>/
//!   metadata.db  meta.db                   and what makes it so
//! ```
//!
//! containerd v2 plugins/content/local/store.go, plugins/metadata/plugin.go,
//! plugins/snapshots/overlay/overlay.go

use crate::digest::{BlobId, ChainId};
use crate::tree::TreePathBuf;

pub(super) const CONTENT: &str = "io.containerd.content.v1.content";
pub(super) const METADATA: &str = "io.containerd.metadata.v1.bolt";
pub(super) const META_DB: &str = "io.containerd.metadata.v1.bolt/meta.db";
/// containerd 1.x makes the folders of its plugins so; 2.x narrows them.
pub(super) const PLUGIN_MODE: u16 = 0o711;
pub(super) const STAGING: &str = "tranship";

/// What is put aside lies in a folder of this name in ours.
pub(super) const QUARANTINE: &str = "quarantine";

/// Returns the path that `text` spells, made of constants, hex digits and names that were checked.
pub(super) fn at(text: String) -> TreePathBuf {
    TreePathBuf::new(text.into_bytes()).unwrap_or_default()
}

pub(super) fn blobs() -> TreePathBuf {
    blobs_by("sha256")
}

/// Returns the folder of all blobs, which has one for each algorithm.
pub(super) fn blob_folder() -> TreePathBuf {
    at(format!("{CONTENT}/blobs"))
}

/// Returns the folder of the blobs that are called by digests of `algorithm`, a constant.
pub(super) fn blobs_by(algorithm: &str) -> TreePathBuf {
    at(format!("{CONTENT}/blobs/{algorithm}"))
}

pub(super) fn ingests() -> TreePathBuf {
    at(format!("{CONTENT}/ingest"))
}

pub(super) fn blob(blob: BlobId) -> TreePathBuf {
    at(format!("{CONTENT}/blobs/sha256/{}", blob.hex()))
}

/// The places of one snapshotter.
#[derive(Clone, Debug)]
pub(super) struct Snapshotter {
    folder: String,
}

impl Snapshotter {
    pub(super) fn new(name: &str) -> Self {
        Self { folder: format!("io.containerd.snapshotter.v1.{name}") }
    }

    pub(super) fn folder(&self) -> TreePathBuf {
        at(self.folder.clone())
    }

    pub(super) fn metadata_db(&self) -> TreePathBuf {
        at(format!("{}/metadata.db", self.folder))
    }

    pub(super) fn snapshots(&self) -> TreePathBuf {
        at(format!("{}/snapshots", self.folder))
    }

    pub(super) fn files(&self, id: u64) -> TreePathBuf {
        at(format!("{}/snapshots/{id}/fs", self.folder))
    }

    pub(super) fn snapshot(&self, id: u64) -> TreePathBuf {
        at(format!("{}/snapshots/{id}", self.folder))
    }
}

pub(super) fn journal() -> TreePathBuf {
    at(format!("{STAGING}/journal.json"))
}

pub(super) fn new_journal() -> TreePathBuf {
    at(format!("{STAGING}/journal.new"))
}

pub(super) fn staged_blob(blob: BlobId) -> TreePathBuf {
    at(format!("{STAGING}/blobs/{}", blob.hex()))
}

pub(super) fn staging() -> TreePathBuf {
    at(STAGING.to_owned())
}

pub(super) fn staged_blobs() -> TreePathBuf {
    at(format!("{STAGING}/blobs"))
}

pub(super) fn staged_snapshots() -> TreePathBuf {
    at(format!("{STAGING}/snapshots"))
}

pub(super) fn staged_containers() -> TreePathBuf {
    at(format!("{STAGING}/containers"))
}

/// Returns where a snapshot of a container waits; `key` is an ID that was checked, or made of one.
pub(super) fn staged_container(key: &str) -> TreePathBuf {
    at(format!("{STAGING}/containers/{key}"))
}

pub(super) fn staged_snapshot(chain_id: ChainId) -> TreePathBuf {
    at(format!("{STAGING}/snapshots/{}", chain_id.hex()))
}
