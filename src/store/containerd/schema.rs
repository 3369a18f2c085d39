//! The buckets of containerd's two bolt files.
//!
//! ```text
//! meta.db: v1
//!   version                                varint
//!   <namespace>
//!     images/<name>
//!       createdat updatedat labels/
//!       target/ digest mediatype size
//!     content
//!       blob/<digest>
//!         createdat updatedat size labels/
//!       ingests/
//!     snapshots/<snapshotter>              its sequence numbers the names below
//!       <key>
//!         name                             the key in the snapshotter's own file
//!         parent createdat updatedat labels/ children/<key>
//!     leases/<id>
//!       createdat labels/
//!       content/<digest>
//!       snapshots/<snapshotter>/<key>
//!
//! metadata.db: v1
//!   snapshots                              its sequence numbers the folders
//!     <name>
//!       id kind parent createdat updatedat inodes size labels/
//!   parents
//!     <parent id> 0 <id>                   → name of the child
//! ```
//!
//! containerd v2 core/metadata/buckets.go (which says `image` in its drawing where the key is
//! `images`), core/snapshots/storage/bolt.go

pub(super) const V1: &[u8] = b"v1";
pub(super) const VERSION: &[u8] = b"version";
pub(super) const IMAGES: &[u8] = b"images";
pub(super) const TARGET: &[u8] = b"target";
pub(super) const DIGEST: &[u8] = b"digest";
pub(super) const MEDIA_TYPE: &[u8] = b"mediatype";
pub(super) const SIZE: &[u8] = b"size";
pub(super) const CONTENT: &[u8] = b"content";
pub(super) const BLOB: &[u8] = b"blob";
pub(super) const INGESTS: &[u8] = b"ingests";
pub(super) const SNAPSHOTS: &[u8] = b"snapshots";
pub(super) const NAME: &[u8] = b"name";
pub(super) const PARENT: &[u8] = b"parent";
pub(super) const CHILDREN: &[u8] = b"children";
pub(super) const LEASES: &[u8] = b"leases";
pub(super) const LABELS: &[u8] = b"labels";
pub(super) const CREATED_AT: &[u8] = b"createdat";
pub(super) const UPDATED_AT: &[u8] = b"updatedat";
pub(super) const ID: &[u8] = b"id";
pub(super) const KIND: &[u8] = b"kind";
pub(super) const INODES: &[u8] = b"inodes";
pub(super) const PARENTS: &[u8] = b"parents";

/// A snapshot that will not change again (containerd core/snapshots/storage/bolt.go: the value of
/// `snapshots.KindCommitted`).
pub(super) const COMMITTED: u8 = 3;

/// A snapshot that a container writes to (the same: `snapshots.KindActive`).
pub(super) const ACTIVE: u8 = 2;

/// The schema of a file made from nothing: every containerd since 1.3 opens it, and 2.x brings it up
/// to its own (containerd core/metadata/db.go).
pub(super) const FIRST_VERSION: i64 = 3;
