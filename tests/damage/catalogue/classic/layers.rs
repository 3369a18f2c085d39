//! `layerdb`, and the content of layers.

use tranship::tree::{Kind, Metadata, TreePath, path, walk};

use super::{LEAF, ROOT, chain, folder, layer, sound, top};
use crate::catalogue::scenery::{bytes, put, remove};
use crate::catalogue::{Case, Left, Lost, Same, case};

/// What is said when the topmost layer of an image does not load.
const LOST: &[&str] = &["container-without-layer", "image-unloadable", "name-without-image"];

pub(crate) const CASES: &[Case] = &[
    case(
        "a layer's size is no number",
        ROOT,
        |root| put(root, &layer(top(LEAF), "size"), b"12\n"),
        "layer-unreadable",
        Same,
    )
    .also(LOST),
    case(
        "a layer's diff ID is gone",
        ROOT,
        |root| remove(root, &layer(top(LEAF), "diff")),
        "layer-unreadable",
        Same,
    )
    .also(LOST),
    case(
        "a layer's diff ID is another's",
        ROOT,
        |root| put(root, &layer(top(LEAF), "diff"), other().as_bytes()),
        "layer-unreadable",
        Same,
    )
    .round(1)
    .also(LOST),
    case(
        "a layer's cache ID is empty",
        ROOT,
        |root| put(root, &layer(top(LEAF), "cache-id"), b""),
        "layer-unreadable",
        Same,
    )
    .round(1)
    .also(LOST),
    case(
        "a layer's cache ID leads out",
        ROOT,
        |root| put(root, &layer(top(LEAF), "cache-id"), b"../../etc"),
        "layer-unreadable",
        Same,
    )
    .round(2)
    .also(LOST),
    case(
        "a layer's parent is no digest",
        ROOT,
        |root| put(root, &layer(top(APP), "parent"), b"sha256:12"),
        "layer-unreadable",
        Same,
    )
    .also(LOST),
    case(
        "a layer's parent is gone",
        ROOT,
        |root| remove(root, &layer(top(APP), "parent")),
        "layer-unreadable",
        Same,
    )
    .round(1)
    .also(LOST),
    case(
        "a layer is gone from layerdb",
        ROOT,
        |root| remove(root, layer(top(LEAF), "").trim_end_matches('/')),
        "image-unloadable",
        Lost("tar-split-missing"),
    )
    .also(LOST),
    case(
        "the record of a layer's tar is gone",
        ROOT,
        |root| remove(root, &layer(top(LEAF), "tar-split.json.gz")),
        "layer-without-record",
        Lost("tar-split-missing"),
    ),
    case(
        "the record of a layer's tar is empty",
        ROOT,
        |root| put(root, &layer(top(LEAF), "tar-split.json.gz"), b""),
        "layer-without-record",
        Lost("tar-split-missing"),
    ),
    case(
        "the record of a layer's tar is cut short",
        ROOT,
        |root| {
            let record = layer(top(LEAF), "tar-split.json.gz");
            let whole = bytes(sound(), &record);
            put(root, &record, &whole[..whole.len() / 2]);
        },
        "layer-damaged",
        Lost("layer-damaged"),
    ),
    case(
        "a file of a layer is empty",
        ROOT,
        |root| put(root, &file(), b""),
        "layer-damaged",
        Lost("layer-damaged"),
    ),
    case(
        "a file of a layer has a flipped bit",
        ROOT,
        |root| {
            let mut content = bytes(sound(), &file());
            let middle = content.len() / 2;
            content[middle] ^= 4;
            put(root, &file(), &content);
        },
        "layer-damaged",
        Lost("layer-damaged"),
    ),
    case(
        "a file of a layer has grown",
        ROOT,
        |root| put(root, &file(), &[bytes(sound(), &file()), b"x".to_vec()].concat()),
        "layer-damaged",
        Lost("layer-damaged"),
    ),
    case(
        "a file of a layer is gone",
        ROOT,
        |root| remove(root, &file()),
        "layer-damaged",
        Lost("layer-damaged"),
    ),
    case(
        "an empty file of a layer is gone",
        ROOT,
        |root| remove(root, &entry(|found| found.kind == Kind::File && found.size == 0)),
        "files-damaged",
        Same,
    )
    .round(3),
    case(
        "a link of a layer is gone",
        ROOT,
        |root| remove(root, &entry(|found| found.kind == Kind::Symlink)),
        "files-damaged",
        Same,
    )
    .round(3),
    case(
        "a folder of a layer is a file",
        ROOT,
        |root| {
            let folder = entry(|found| found.kind == Kind::Dir);
            put(root, &folder, b"");
        },
        "layer-damaged",
        Lost("layer-damaged"),
    ),
    case(
        "a layer was being removed",
        ROOT,
        |root| {
            let name = format!("image/overlay2/layerdb/sha256/{0}-{0}-removing", "ab".repeat(32));
            put(root, &name, b"");
        },
        "layer-half-removed",
        Same,
    ),
    case(
        "a layer was being added",
        ROOT,
        |root| put(root, "image/overlay2/layerdb/tmp/write-set-1234", b""),
        "layer-half-added",
        Same,
    ),
    case(
        "something else lies in layerdb",
        ROOT,
        |root| put(root, "image/overlay2/layerdb/sha256/notes", b""),
        "layer-stray",
        Left,
    ),
    case(
        "two layers have the files of one",
        ROOT,
        |root| {
            let of = bytes(sound(), &layer(top(APP), "cache-id"));
            put(root, &layer(top(LEAF), "cache-id"), &of);
        },
        "folder-shared",
        Lost("folder-shared"),
    )
    .also(&["layer-damaged", "lower-wrong", "lower-missing"]),
];

/// An image whose topmost layer stands on another.
const APP: &str = "registry.example.com:5000/team/app:v3";

fn other() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

/// Returns the first entry of any layer of an image that is such.
fn entry(is_such: fn(&Metadata) -> bool) -> String {
    let mut first = None;
    for chain_id in chain(LEAF) {
        let files = folder(chain_id, "diff");
        walk(&**sound(), path(&files), &mut |at: TreePath<'_>, entry| {
            if first.is_none() && is_such(&entry.metadata) {
                first = Some(String::from_utf8_lossy(at.as_bytes()).into_owned());
            }
            Ok(true)
        })
        .expect("a folder");
    }
    first.expect("the layers have one")
}

/// Returns the largest file of the topmost layer of an image.
fn file() -> String {
    let files = folder(top(LEAF), "diff");
    let mut largest = (0, String::new());
    walk(&**sound(), path(&files), &mut |at: TreePath<'_>, entry| {
        let found = &entry.metadata;
        if found.kind == Kind::File && found.size > largest.0 {
            largest = (found.size, String::from_utf8_lossy(at.as_bytes()).into_owned());
        }
        Ok(true)
    })
    .expect("a folder");
    largest.1
}
