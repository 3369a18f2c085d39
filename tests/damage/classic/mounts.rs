//! What containers changed.

use super::{ROOT, mount, mounted};
use crate::scenery::{put, remove, text};
use crate::{Case, case};

pub(crate) const CASES: &[Case] = &[
    case(
        "nothing says where a container's files are",
        ROOT,
        |root| remove(root, mount(root, "").trim_end_matches('/')),
        "container-layer-unreadable",
    ),
    case(
        "a container's mount ID is gone",
        ROOT,
        |root| remove(root, &mount(root, "mount-id")),
        "container-layer-unreadable",
    ),
    case(
        "a container's mount ID leads out",
        ROOT,
        |root| put(root, &mount(root, "mount-id"), b"../../etc"),
        "container-layer-unreadable",
    ),
    case(
        "a container has forgotten its first layer",
        ROOT,
        |root| remove(root, &mount(root, "init-id")),
        "container-layer-wrong",
    )
    .also(&["lower-wrong"]),
    case(
        "a container has forgotten its image's layer",
        ROOT,
        |root| remove(root, &mount(root, "parent")),
        "container-layer-wrong",
    )
    .also(&["lower-wrong"]),
    case(
        "a container stands on a layer that is not there",
        ROOT,
        |root| {
            let other = format!("sha256:{}", "ab".repeat(32));
            put(root, &mount(root, "parent"), other.as_bytes());
        },
        "container-without-layer",
    ),
    case(
        "what a container changed is gone",
        ROOT,
        |root| remove(root, mounted(root, "").trim_end_matches('/')),
        "container-without-files",
    ),
    case(
        "what a daemon put below a container is gone",
        ROOT,
        |root| {
            let init = format!("overlay2/{}", text(root, &mount(root, "init-id")));
            remove(root, &init);
        },
        "container-without-files",
    ),
    case(
        "a container is gone and its layer is not",
        ROOT,
        |root| {
            let mount = mount(root, "");
            let id = mount.trim_end_matches('/').rsplit('/').next().expect("an ID").to_owned();
            remove(root, &format!("containers/{id}"));
        },
        "container-layer-unused",
    ),
];
