//! `layerdb`, and the content of layers.

use tranship::tree::{Kind, Metadata, TreePath, path, walk};

use super::{LEAF, ROOT, chain, folder, layer, top};
use crate::scenery::{Root, bytes, put, remove};
use crate::{Case, case};

/// What is said when the topmost layer of an image does not load.
const LOST: &[&str] = &["container-without-layer", "image-unloadable", "name-without-image"];

pub(crate) const CASES: &[Case] = &[
    case(
        "a layer's size is no number",
        ROOT,
        |root| put(root, &layer(top(root, LEAF), "size"), b"12\n"),
        "layer-unreadable",
    )
    .also(LOST),
    case(
        "a layer's diff ID is gone",
        ROOT,
        |root| remove(root, &layer(top(root, LEAF), "diff")),
        "layer-unreadable",
    )
    .also(LOST),
    case(
        "a layer's diff ID is another's",
        ROOT,
        |root| put(root, &layer(top(root, LEAF), "diff"), other().as_bytes()),
        "layer-unreadable",
    )
    .also(LOST),
    case(
        "a layer's cache ID is empty",
        ROOT,
        |root| put(root, &layer(top(root, LEAF), "cache-id"), b""),
        "layer-unreadable",
    )
    .also(LOST),
    case(
        "a layer's cache ID leads out",
        ROOT,
        |root| put(root, &layer(top(root, LEAF), "cache-id"), b"../../etc"),
        "layer-unreadable",
    )
    .also(LOST),
    case(
        "a layer's parent is no digest",
        ROOT,
        |root| put(root, &layer(top(root, APP), "parent"), b"sha256:12"),
        "layer-unreadable",
    )
    .also(LOST),
    case(
        "a layer's parent is gone",
        ROOT,
        |root| remove(root, &layer(top(root, APP), "parent")),
        "layer-unreadable",
    )
    .also(LOST),
    case(
        "a layer is gone from layerdb",
        ROOT,
        |root| remove(root, layer(top(root, LEAF), "").trim_end_matches('/')),
        "image-unloadable",
    )
    .also(LOST),
    case(
        "the record of a layer's tar is gone",
        ROOT,
        |root| remove(root, &layer(top(root, LEAF), "tar-split.json.gz")),
        "layer-without-record",
    ),
    case(
        "the record of a layer's tar is empty",
        ROOT,
        |root| put(root, &layer(top(root, LEAF), "tar-split.json.gz"), b""),
        "layer-without-record",
    ),
    case(
        "the record of a layer's tar is cut short",
        ROOT,
        |root| {
            let record = layer(top(root, LEAF), "tar-split.json.gz");
            let whole = bytes(root, &record);
            put(root, &record, &whole[..whole.len() / 2]);
        },
        "layer-damaged",
    ),
    case("a file of a layer is empty", ROOT, |root| put(root, &file(root), b""), "layer-damaged"),
    case(
        "a file of a layer has a flipped bit",
        ROOT,
        |root| {
            let mut content = bytes(root, &file(root));
            let middle = content.len() / 2;
            content[middle] ^= 4;
            put(root, &file(root), &content);
        },
        "layer-damaged",
    ),
    case(
        "a file of a layer has grown",
        ROOT,
        |root| put(root, &file(root), &[bytes(root, &file(root)), b"x".to_vec()].concat()),
        "layer-damaged",
    ),
    case("a file of a layer is gone", ROOT, |root| remove(root, &file(root)), "layer-damaged"),
    case(
        "an empty file of a layer is gone",
        ROOT,
        |root| remove(root, &entry(root, |found| found.kind == Kind::File && found.size == 0)),
        "files-damaged",
    ),
    case(
        "a link of a layer is gone",
        ROOT,
        |root| remove(root, &entry(root, |found| found.kind == Kind::Symlink)),
        "files-damaged",
    ),
    case(
        "a folder of a layer is a file",
        ROOT,
        |root| {
            let folder = entry(root, |found| found.kind == Kind::Dir);
            put(root, &folder, b"");
        },
        "layer-damaged",
    ),
    case(
        "a layer was being removed",
        ROOT,
        |root| {
            let name = format!("image/overlay2/layerdb/sha256/{0}-{0}-removing", "ab".repeat(32));
            put(root, &name, b"");
        },
        "layer-half-removed",
    ),
    case(
        "a layer was being added",
        ROOT,
        |root| put(root, "image/overlay2/layerdb/tmp/write-set-1234", b""),
        "layer-half-added",
    ),
    case(
        "something else lies in layerdb",
        ROOT,
        |root| put(root, "image/overlay2/layerdb/sha256/notes", b""),
        "layer-stray",
    ),
    case(
        "two layers have the files of one",
        ROOT,
        |root| {
            let of = bytes(root, &layer(top(root, APP), "cache-id"));
            put(root, &layer(top(root, LEAF), "cache-id"), &of);
        },
        "folder-shared",
    )
    .also(&["layer-damaged", "lower-wrong", "lower-missing"]),
];

/// An image whose topmost layer stands on another.
const APP: &str = "registry.example.com:5000/team/app:v3";

fn other() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

/// Returns the first entry of any layer of an image that is such.
fn entry(root: &Root, is_such: fn(&Metadata) -> bool) -> String {
    let mut first = None;
    for chain_id in chain(root, LEAF) {
        let files = folder(root, chain_id, "diff");
        walk(&**root, path(&files), &mut |at: TreePath<'_>, entry| {
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
fn file(root: &Root) -> String {
    let files = folder(root, top(root, LEAF), "diff");
    let mut largest = (0, String::new());
    walk(&**root, path(&files), &mut |at: TreePath<'_>, entry| {
        let found = &entry.metadata;
        if found.kind == Kind::File && found.size > largest.0 {
            largest = (found.size, String::from_utf8_lossy(at.as_bytes()).into_owned());
        }
        Ok(true)
    })
    .expect("a folder");
    largest.1
}
