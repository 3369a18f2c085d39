//! What containers changed.

use super::{ROOT, mount, mounted, sound};
use crate::catalogue::scenery::{put, remove, text};
use crate::catalogue::{Case, Left, Lost, Same, case};

pub(crate) const CASES: &[Case] = &[
    case(
        "nothing says where a container's files are",
        ROOT,
        |root| remove(root, mount("").trim_end_matches('/')),
        "container-layer-unreadable",
        Same,
    )
    .round(2),
    case(
        "a container's mount ID is gone",
        ROOT,
        |root| remove(root, &mount("mount-id")),
        "container-layer-unreadable",
        Same,
    ),
    case(
        "a container's mount ID leads out",
        ROOT,
        |root| put(root, &mount("mount-id"), b"../../etc"),
        "container-layer-unreadable",
        Same,
    )
    .round(1),
    case(
        "a container has forgotten its first layer",
        ROOT,
        |root| remove(root, &mount("init-id")),
        "container-layer-wrong",
        Same,
    )
    .round(4)
    .also(&["lower-wrong"]),
    case(
        "a container has forgotten its image's layer",
        ROOT,
        |root| remove(root, &mount("parent")),
        "container-layer-wrong",
        Same,
    )
    .round(5)
    .also(&["lower-wrong"]),
    case(
        "a container stands on a layer that is not there",
        ROOT,
        |root| {
            let other = format!("sha256:{}", "ab".repeat(32));
            put(root, &mount("parent"), other.as_bytes());
        },
        "container-without-layer",
        Same,
    )
    .round(6),
    case(
        "what a container changed is gone",
        ROOT,
        |root| remove(root, mounted("").trim_end_matches('/')),
        "container-without-files",
        Lost("layer-without-files"),
    ),
    case(
        "what a daemon put below a container is gone",
        ROOT,
        |root| {
            let init = format!("overlay2/{}", text(sound(), &mount("init-id")));
            remove(root, &init);
        },
        "container-without-files",
        Lost("layer-without-files"),
    ),
    case(
        "a container is gone and its layer is not",
        ROOT,
        |root| {
            let mount = mount("");
            let id = mount.trim_end_matches('/').rsplit('/').next().expect("an ID").to_owned();
            remove(root, &format!("containers/{id}"));
        },
        "container-layer-unused",
        Left,
    ),
];
