//! Snapshots, as both bolt files tell of them, and their folders.

use super::{
    BASE, CONTAINER, ROOT, SNAPSHOTTER, TOP, backend, backend_snapshot, folder, meta, name_of,
    snapshot,
};
use crate::catalogue::scenery::{put, remove};
use crate::catalogue::{Case, Clean, Left, Lost, Same, case};

pub(crate) const CASES: &[Case] = &[
    case(
        "the snapshotter has no bucket of parents",
        ROOT,
        |root| backend(root, |v1| drop(v1.remove(b"parents"))),
        "bucket-missing",
        Clean,
    ),
    case(
        "the snapshotter does not know a layer",
        ROOT,
        |root| {
            backend(root, |v1| {
                let name = name_of(v1, TOP);
                v1.bucket_mut(b"snapshots").remove(&name);
            });
        },
        "snapshot-without-backend",
        Clean,
    )
    .round(1)
    .also(&["snapshot-link"]),
    case(
        "meta.db does not know a layer",
        ROOT,
        |root| {
            meta(root, |all| {
                drop(all.path_mut(&[b"snapshots", b"overlayfs"]).remove(TOP.as_bytes()));
            });
        },
        "snapshot-unnamed",
        Left,
    ),
    case(
        "meta.db does not know the layer below",
        ROOT,
        |root| {
            meta(root, |all| {
                drop(all.path_mut(&[b"snapshots", b"overlayfs"]).remove(BASE.as_bytes()));
            });
        },
        "snapshot-without-parent",
        Clean,
    )
    .round(2),
    case(
        "meta.db says nothing of what stands on a layer",
        ROOT,
        |root| snapshot(root, BASE, |said| drop(said.remove(b"children"))),
        "snapshot-children-differ",
        Clean,
    ),
    case(
        "the snapshotter has a layer on nothing",
        ROOT,
        |root| backend_snapshot(root, TOP, |said| drop(said.remove(b"parent"))),
        "snapshot-parent-differs",
        Clean,
    )
    .also(&["snapshot-link"]),
    case(
        "the snapshotter has a layer on itself",
        ROOT,
        |root| {
            backend(root, |v1| {
                let name = name_of(v1, TOP);
                v1.path_mut(&[b"snapshots", &name]).put(b"parent", name.clone());
            });
        },
        "snapshot-loop",
        Clean,
    )
    .round(6)
    .also(&["snapshot-parent-differs", "snapshot-link"]),
    case(
        "the names that meta.db hands out begin anew",
        ROOT,
        |root| meta(root, |all| all.path_mut(&[b"snapshots", b"overlayfs"]).sequence = 1),
        "sequence-behind",
        Clean,
    ),
    case(
        "the folders that the snapshotter hands out begin anew",
        ROOT,
        |root| backend(root, |v1| v1.bucket_mut(b"snapshots").sequence = 1),
        "sequence-behind",
        Clean,
    ),
    case(
        "the folder of a layer is gone",
        ROOT,
        |root| remove(root, &folder(TOP)),
        "snapshot-folder-missing",
        Same,
    )
    .round(7),
    case(
        "the files of a container are gone",
        ROOT,
        |root| remove(root, &format!("{}/fs", folder(CONTAINER))),
        "snapshot-folder-missing",
        Lost("snapshot-folder-missing"),
    ),
    case(
        "a container has no folder to work in",
        ROOT,
        |root| remove(root, &format!("{}/work", folder(CONTAINER))),
        "snapshot-folder-missing",
        Clean,
    ),
    case(
        "a layer is not committed",
        ROOT,
        |root| backend_snapshot(root, TOP, |said| drop(said.put(b"kind", b"\x02"))),
        "snapshot-kind",
        Clean,
    )
    .round(6)
    .also(&["snapshot-folder-missing"]),
    case(
        "a container is committed",
        ROOT,
        |root| backend_snapshot(root, CONTAINER, |said| drop(said.put(b"kind", b"\x03"))),
        "snapshot-kind",
        Clean,
    )
    .round(7)
    .also(&["snapshot-size"]),
    case(
        "nothing says how large a layer is",
        ROOT,
        |root| backend_snapshot(root, TOP, |said| drop(said.remove(b"size"))),
        "snapshot-size",
        Clean,
    ),
    case(
        "two snapshots have one folder",
        ROOT,
        |root| {
            let mut id = Vec::new();
            backend_snapshot(root, BASE, |said| id = said.get(b"id").expect("a number").to_vec());
            backend_snapshot(root, CONTAINER, |said| drop(said.put(b"id", id)));
        },
        "snapshot-folder-shared",
        Clean,
    )
    .round(2)
    .also(&["snapshot-link"]),
    case(
        "a link from parent to child is gone",
        ROOT,
        |root| {
            backend(root, |v1| {
                let links = v1.bucket_mut(b"parents");
                let first = links.iter().next().expect("one").0.to_vec();
                links.remove(&first);
            });
        },
        "snapshot-link",
        Clean,
    )
    .round(7),
    case(
        "the snapshotter's own file is gone",
        ROOT,
        |root| remove(root, &format!("{SNAPSHOTTER}/metadata.db")),
        "snapshotter-file-missing",
        Lost("snapshot-without-backend"),
    ),
    case(
        "a folder that no snapshot has",
        ROOT,
        |root| put(root, &format!("{SNAPSHOTTER}/snapshots/new-123"), b""),
        "snapshot-folder-orphan",
        Same,
    ),
];
