//! The containerd store: its two bolt files, blobs and snapshots.

pub(crate) mod content;
pub(crate) mod images;
pub(crate) mod snapshots;

use tranship::format::bbolt::OwnedBucket;

use crate::catalogue::scenery::{Root, edit_bolt, root};

pub(crate) const ROOT: &str = "containerd-28";
pub(crate) const META: &str = "containerd/daemon/io.containerd.metadata.v1.bolt/meta.db";
pub(crate) const SNAPSHOTTER: &str = "containerd/daemon/io.containerd.snapshotter.v1.overlayfs";
pub(crate) const CONTENT: &str = "containerd/daemon/io.containerd.content.v1.content";

/// An image that was pulled by an index, of which one platform is here; it has two layers.
pub(crate) const IMAGE: &[u8] = b"127.0.0.1:5000/lib/index:1";
pub(crate) const MANIFEST: &str =
    "sha256:0026df568b8d7f230c4894b06ab5fb29fb2a525f54b9492d0c6ca3267b2b4532";
pub(crate) const CONFIG: &str =
    "sha256:2bbd7b055fb96b591043bace2abb5639c2c2f9a4dc19734d08423885c00dfcad";
/// The blob of its upper layer, and the snapshots of both.
pub(crate) const LAYER: &str =
    "sha256:423a082a7d9efd86e2537ef26d0e74f4669bcbe9a291f36940acdc432b1beded";
pub(crate) const BASE: &str =
    "sha256:11615682d61455dfb7e141279a41750f4cfbc078d05ca22cc9e1b926638a6c84";
pub(crate) const TOP: &str =
    "sha256:04bfb61cb9036b323e7eb3780b2d93c4c23551dae03a330f454e20e3bdd52d2b";
/// A container that never ran.
pub(crate) const CONTAINER: &str =
    "2137aa4b252c6aac801458ab193b368c3223474360b2eb0125a69ae658561f69";

type Bucket = OwnedBucket<'static>;

/// Changes the namespace of `meta.db`.
pub(crate) fn meta(root: &Root, change: impl FnOnce(&mut Bucket)) {
    edit_bolt(root, META, |all| change(all.path_mut(&[b"v1", b"moby"])));
}

/// Changes what `meta.db` says of a blob.
pub(crate) fn blob(root: &Root, digest: &str, change: impl FnOnce(&mut Bucket)) {
    meta(root, |all| change(all.path_mut(&[b"content", b"blob", digest.as_bytes()])));
}

/// Changes what `meta.db` says of a snapshot.
pub(crate) fn snapshot(root: &Root, key: &str, change: impl FnOnce(&mut Bucket)) {
    meta(root, |all| change(all.path_mut(&[b"snapshots", b"overlayfs", key.as_bytes()])));
}

/// Changes the snapshotter's own file.
pub(crate) fn backend(root: &Root, change: impl FnOnce(&mut Bucket)) {
    let file = format!("{SNAPSHOTTER}/metadata.db");
    edit_bolt(root, &file, |all| change(all.bucket_mut(b"v1")));
}

/// Changes what the snapshotter's own file says of a snapshot.
pub(crate) fn backend_snapshot(root: &Root, key: &str, change: impl FnOnce(&mut Bucket)) {
    backend(root, |v1| {
        let name = name_of(v1, key);
        change(v1.path_mut(&[b"snapshots", &name]));
    });
}

/// Returns what the snapshotter calls a snapshot.
pub(crate) fn name_of(v1: &Bucket, key: &str) -> Vec<u8> {
    let all = v1.child(b"snapshots").expect("there are some");
    let ends = |name: &[u8]| name.ends_with(format!("/{key}").as_bytes());
    all.iter().map(|(name, _)| name).find(|name| ends(name)).expect("it is there").to_vec()
}

/// Returns the folder of a snapshot in the root as it was recorded; its number takes one byte.
pub(crate) fn folder(key: &str) -> String {
    let mut id = 0;
    backend_snapshot(&root(ROOT), key, |said| id = said.get(b"id").expect("a number")[0]);
    format!("{SNAPSHOTTER}/snapshots/{id}")
}

/// Returns where a blob is.
pub(crate) fn file(digest: &str) -> String {
    format!("{CONTENT}/blobs/{}", digest.replace(':', "/"))
}
