//! Images, their names, and what keeps them and containers.

use super::{CONFIG, CONTAINER, IMAGE, MANIFEST, ROOT, TOP, blob, meta, snapshot};
use crate::catalogue::{Case, Clean, Left, Lost, case};

pub(crate) const CASES: &[Case] = &[
    case(
        "an image points at nothing",
        ROOT,
        |root| meta(root, |all| drop(all.path_mut(&[b"images", IMAGE]).remove(b"target"))),
        "image-without-target",
        Lost("image-without-target"),
    ),
    case(
        "an image points at no digest",
        ROOT,
        |root| {
            meta(root, |all| {
                all.path_mut(&[b"images", IMAGE, b"target"]).put(b"digest", b"latest");
            });
        },
        "image-target-unusable",
        Lost("image-without-target"),
    ),
    case(
        "no record of an image's config",
        ROOT,
        |root| {
            meta(root, |all| drop(all.path_mut(&[b"content", b"blob"]).remove(CONFIG.as_bytes())))
        },
        "image-incomplete",
        Clean,
    )
    .round(1),
    case(
        "no record of an image's only manifest",
        ROOT,
        |root| {
            meta(root, |all| {
                drop(all.path_mut(&[b"content", b"blob"]).remove(MANIFEST.as_bytes()))
            });
        },
        "image-incomplete",
        Clean,
    )
    .round(2),
    case(
        "a name that is none",
        ROOT,
        |root| {
            meta(root, |all| {
                let images = all.bucket_mut(b"images");
                let image = images.child(IMAGE).expect("it is there").clone();
                images.put_bucket(b"Not A Name", image);
            });
        },
        "name-unusable",
        Lost("name-unusable"),
    ),
    case(
        "a manifest without the labels that keep its parts",
        ROOT,
        |root| blob(root, MANIFEST, |said| drop(said.remove(b"labels"))),
        "would-be-collected",
        Clean,
    ),
    case(
        "a container without its lease",
        ROOT,
        |root| meta(root, |all| drop(all.bucket_mut(b"leases").remove(CONTAINER.as_bytes()))),
        "would-be-collected",
        Clean,
    ),
    case(
        "a container without its snapshot",
        ROOT,
        |root| {
            let init = format!("{CONTAINER}-init");
            snapshot(root, &init, |said| drop(said.remove(b"children")));
            meta(root, |all| {
                let all = all.path_mut(&[b"snapshots", b"overlayfs"]);
                all.remove(CONTAINER.as_bytes());
            });
        },
        "container-without-snapshot",
        Clean,
    )
    .round(1),
    case(
        "a config that keeps a snapshot that is not there",
        ROOT,
        |root| {
            blob(root, CONFIG, |said| {
                let label = b"containerd.io/gc.ref.snapshot.overlayfs/other";
                said.bucket_mut(b"labels").put(label, TOP.replace("04", "05").into_bytes());
            });
        },
        "label-dangling",
        Left,
    ),
];
