//! The folders of overlay2.

use tranship::format::docker::link::MAX_DEPTH;
use tranship::tree::{Attributes, Sink, Special, path};

use super::{LEAF, ROOT, chain, folder, mounted, sound, top};
use crate::catalogue::scenery::{put, remove, text};
use crate::catalogue::{Case, Clean, Left, Lost, Same, case};

/// An image of several layers, which no container has.
const APP: &str = "registry.example.com:5000/team/app:v3";

pub(crate) const CASES: &[Case] = &[
    case(
        "a layer's folder is gone",
        ROOT,
        |root| remove(root, folder(top(LEAF), "").trim_end_matches('/')),
        "layer-without-files",
        Lost("layer-without-files"),
    ),
    case(
        "a layer's files are gone",
        ROOT,
        |root| remove(root, &folder(top(LEAF), "diff")),
        "layer-without-files",
        Lost("layer-without-files"),
    ),
    case(
        "a layer's files are a file",
        ROOT,
        |root| put(root, &folder(top(LEAF), "diff"), b"x"),
        "layer-without-files",
        Lost("layer-without-files"),
    ),
    case(
        "a layer has forgotten its short name",
        ROOT,
        |root| remove(root, &folder(top(APP), "link")),
        "link-unreadable",
        Same,
    ),
    case(
        "a layer's short name is none",
        ROOT,
        |root| put(root, &folder(top(APP), "link"), b"../../../etc/shadow"),
        "link-unreadable",
        Same,
    )
    .round(1),
    case("a layer's short name is gone", ROOT, |root| remove(root, &short()), "link-missing", Same)
        .round(2),
    case(
        "a layer's short name leads to another layer",
        ROOT,
        |root| {
            remove(root, &short());
            let target = format!("../{}/diff", "ab".repeat(32)).into_bytes();
            let link = Special::Symlink(target);
            root.put(path(&short()), &link, &Attributes::default()).expect("a free name");
        },
        "link-misled",
        Same,
    )
    .round(3),
    case(
        "a layer has forgotten what it stands on",
        ROOT,
        |root| remove(root, &folder(top(APP), "lower")),
        "lower-missing",
        Same,
    ),
    case(
        "a layer stands on the right layers in the wrong order",
        ROOT,
        |root| {
            let file = mounted("lower");
            let mut links: Vec<_> = text(sound(), &file).split(':').map(str::to_owned).collect();
            links.reverse();
            put(root, &file, links.join(":").as_bytes());
        },
        "lower-wrong",
        Same,
    )
    .round(3),
    case(
        "a layer stands on too many layers",
        ROOT,
        |root| {
            let file = folder(top(APP), "lower");
            let first = text(sound(), &file).split(':').next().expect("one").to_owned();
            put(root, &file, vec![first; MAX_DEPTH + 1].join(":").as_bytes());
        },
        "lower-wrong",
        Same,
    )
    .round(1),
    case(
        "a layer that is the first stands on another",
        ROOT,
        |root| {
            let (chain, other) = (chain(APP), short());
            let link = other.strip_prefix("overlay2/").expect("a short name").as_bytes().to_vec();
            put(root, &folder(chain[0], "lower"), &link);
        },
        "lower-wrong",
        Same,
    ),
    case(
        "a layer is not marked as one that others stand on",
        ROOT,
        |root| remove(root, &folder(chain(APP)[0], "committed")),
        "committed-missing",
        Same,
    ),
    case(
        "a container has no folder for overlayfs to work in",
        ROOT,
        |root| remove(root, &mounted("work")),
        "work-missing",
        Clean,
    ),
    case(
        "a folder of the driver belongs to nothing",
        ROOT,
        |root| {
            let id = format!("overlay2/{}", "ab".repeat(32));
            root.make_dir(path(&id), 0o710).expect("a free name");
        },
        "folder-unused",
        Left,
    ),
    case(
        "a short name leads nowhere",
        ROOT,
        |root| {
            let link = Special::Symlink(b"../gone/diff".to_vec());
            let at = "overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ";
            root.put(path(at), &link, &Attributes::default()).expect("a free name");
        },
        "link-unused",
        Left,
    ),
];

/// Returns the short name of a layer.
fn short() -> String {
    format!("overlay2/l/{}", text(sound(), &folder(top(APP), "link")))
}
