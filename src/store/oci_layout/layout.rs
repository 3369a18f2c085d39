//! Where an OCI image layout keeps things.
//!
//! ```text
//! oci-layout                  the version of this layout
//! index.json                  the images: their manifests, with names as annotations
//! blobs/sha256/<hex>          every manifest, config and layer
//! manifest.json               the images as Docker before 25 looks for them
//! ```
//!
//! image-spec v1.1 image-layout.md; moby v28 image/tarexport/save.go

use crate::digest::{BlobId, Digest};
use crate::tree::{TreePath, TreePathBuf, path};

/// The content of `oci-layout`.
pub(super) const VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

pub(super) fn version() -> TreePath<'static> {
    path("oci-layout")
}

pub(super) fn index() -> TreePath<'static> {
    path("index.json")
}

pub(super) fn manifest() -> TreePath<'static> {
    path("manifest.json")
}

pub(super) fn folders() -> [TreePath<'static>; 2] {
    [path("blobs"), path("blobs/sha256")]
}

/// Returns the path of a blob as `manifest.json` spells it.
pub(super) fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

pub(super) fn blob(blob: BlobId) -> TreePathBuf {
    TreePathBuf::new(blob_name(blob.0).into_bytes()).unwrap_or_default()
}

/// Returns where a blob is until it is whole and durable; before its digest is known, that of what it comes
/// of stands for it.
pub(super) fn unfinished(blob: BlobId) -> TreePathBuf {
    let name = format!(".tranship-{}", blob.0.hex());
    path("blobs/sha256").child(name.as_bytes()).unwrap_or_default()
}

/// Returns where a file is written before it takes its name.
pub(super) fn new(file: TreePath<'_>) -> TreePathBuf {
    TreePathBuf::new([b".tranship-", file.as_bytes()].concat()).unwrap_or_default()
}
