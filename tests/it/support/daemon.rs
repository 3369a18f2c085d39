//! What a daemon may do to a target between two runs.

use std::collections::BTreeSet;

use tranship::format::bbolt::{self, Db, Options, OwnedBucket};
use tranship::format::containerd::key;
use tranship::tree::{Copying, Memory, Sink, Snapshots, Tree, copy, path, read};

use super::classic::put;
use super::scene::target_of;
use super::seen::{BACKEND, FOLDERS, META, bolt, children, id};

/// Pulls the images of the store `text`: gives out numbers after the last that the files know, the
/// second of each pair to what is committed.
pub(crate) fn pull(tree: &Memory, text: &str) -> Memory {
    let staging = path("tranship");
    let mine = tree.clone();
    mine.remove(staging).expect("below the root");
    if mine.stat(path(META)).is_err() {
        // containerd makes its file before anything else.
        let (folder, _) = path(META).split_last().expect("it is in a folder");
        mine.make_dir(folder, 0o711).expect("a free name");
        let empty = bbolt::write(&OwnedBucket::new(), &Options::default()).expect("small");
        put(&mine, META, &empty);
    }
    edit(&mine, META, |meta| {
        if let Some(all) = meta.child_mut(b"v1").and_then(|v1| v1.child_mut(b"moby")) {
            all.path_mut(&[b"snapshots", b"overlayfs"]).next_sequence();
        }
    });
    let pulled = target_of(text, mine);
    if tree.stat(staging).is_ok() {
        let copying =
            Copying { snapshots: Snapshots::Copy, skip: &|_| false, skip_xattr: &|_| false };
        copy(tree, staging, &pulled, staging, &copying).expect("a free name");
    }
    pulled
}

/// Collects garbage: what `meta.db` does not name goes from the snapshotter, then the folders that
/// nobody names (containerd v2 core/metadata/snapshot.go garbageCollect).
pub(crate) fn collect(tree: &Memory) {
    let meta = bolt(tree, META).expect("sound").unwrap_or_default();
    let named = children(meta.at(&[b"v1", b"moby", b"snapshots", b"overlayfs"]));
    let named: BTreeSet<Vec<u8>> =
        named.filter_map(|(_, snapshot)| Some(snapshot.get(b"name")?.to_vec())).collect();
    edit(tree, BACKEND, |backend| {
        let Some(v1) = backend.child_mut(b"v1") else { return };
        let all = v1.bucket_mut(b"snapshots");
        let gone: Vec<(Vec<u8>, u64)> = children(Some(all))
            .filter(|(name, _)| !named.contains(name.as_bytes()))
            .map(|(name, snapshot)| (name.into_bytes(), id(snapshot).expect("it has one")))
            .collect();
        gone.iter().for_each(|(name, _)| drop(all.remove(name)));
        let links = v1.bucket_mut(b"parents");
        let is_gone = |link: &[u8]| {
            let (_, child) = key::parent_link(link).expect("a link");
            gone.iter().any(|(_, id)| *id == child)
        };
        let old: Vec<_> = links.iter().map(|(k, _)| k.to_vec()).filter(|k| is_gone(k)).collect();
        old.iter().for_each(|link| drop(links.remove(link)));
    });
    let backend = bolt(tree, BACKEND).expect("sound").unwrap_or_default();
    let known = children(backend.at(&[b"v1", b"snapshots"]));
    let known: BTreeSet<_> = known.filter_map(|(_, snapshot)| id(snapshot).ok()).collect();
    for name in tree.names(path(FOLDERS)).unwrap_or_default() {
        let name = String::from_utf8(name).expect("a number");
        if !known.contains(&name.parse().expect("a number")) {
            tree.remove(path(&format!("{FOLDERS}/{name}"))).expect("below the root");
        }
    }
}

/// Changes a bolt file, if it is there.
pub(crate) fn edit(tree: &Memory, file: &str, change: impl FnOnce(&mut OwnedBucket<'static>)) {
    let Ok(bytes) = read(tree, path(file)) else { return };
    let db = Db::open(&bytes).expect("sound");
    let mut root = bbolt::load(&db).expect("sound").into_owned();
    change(&mut root);
    put(tree, file, &bbolt::write(&root, &Options::replacing(&db)).expect("small"));
}
