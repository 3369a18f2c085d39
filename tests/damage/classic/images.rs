//! `imagedb`, names, and what is known of registries.

use serde_json::{Value, json};
use tranship::digest::Digest;

use super::{LEAF, ROOT};
use crate::scenery::{Root, bytes, edit_json, host, names, put, remove};
use crate::{Case, case};

const NAMES: &str = "image/overlay2/repositories.json";
const DIFFS: &str = "image/overlay2/distribution/diffid-by-digest/sha256";
const PLACES: &str = "image/overlay2/distribution/v2metadata-by-diffid/sha256";

pub(crate) const CASES: &[Case] = &[
    case(
        "an image's config has another byte",
        ROOT,
        |root| {
            let mut config = bytes(root, &content(root));
            config[20] ^= 1;
            put(root, &content(root), &config);
        },
        "image-unloadable",
    )
    .also(&["name-without-image"]),
    case(
        "an image's config is empty",
        ROOT,
        |root| put(root, &content(root), b""),
        "image-unloadable",
    )
    .also(&["name-without-image"]),
    case(
        "an image's config is gone",
        ROOT,
        |root| remove(root, &content(root)),
        "name-without-image",
    ),
    case(
        "an image is for Windows",
        ROOT,
        |root| {
            let mut config: Value =
                serde_json::from_slice(&bytes(root, &content(root))).expect("JSON");
            config["os"] = json!("windows");
            let config = config.to_string();
            let id = Digest::of(config.as_bytes());
            let file = format!("image/overlay2/imagedb/content/sha256/{}", id.hex());
            put(root, &file, config.as_bytes());
        },
        "image-of-other-system",
    ),
    case(
        "the parent of an image is not there",
        ROOT,
        |root| put(root, &note(root, "parent"), format!("sha256:{}", "ab".repeat(32)).as_bytes()),
        "image-parent-wrong",
    ),
    case(
        "the parent of an image is no digest",
        ROOT,
        |root| put(root, &note(root, "parent"), b"base:1"),
        "image-parent-wrong",
    ),
    case(
        "when an image was tagged is no time",
        ROOT,
        |root| put(root, &note(root, "lastUpdated"), b"yesterday"),
        "image-time-wrong",
    ),
    case(
        "something else lies among the configs",
        ROOT,
        |root| put(root, "image/overlay2/imagedb/content/sha256/notes", b""),
        "image-stray",
    ),
    case(
        "a config was being written",
        ROOT,
        |root| put(root, "image/overlay2/imagedb/content/sha256/.tmp-ab1234", b""),
        "temporary-file",
    ),
    case("the names are cut short", ROOT, |root| put(root, NAMES, b"{\"Repo"), "names-unreadable"),
    case("the names are empty", ROOT, |root| put(root, NAMES, b""), "names-unreadable"),
    case("the names are gone", ROOT, |root| remove(root, NAMES), "names-unreadable"),
    case(
        "a name leads to an image that is not there",
        ROOT,
        |root| name(root, "gone:1", &format!("sha256:{}", "ab".repeat(32))),
        "name-without-image",
    ),
    case(
        "a name leads to no image ID",
        ROOT,
        |root| name(root, "odd:1", "sha256:12"),
        "name-unusable",
    ),
    case(
        "what a blob unpacks to is no digest",
        ROOT,
        |root| put(root, &first(root, DIFFS), b"sha256:\0\0\0"),
        "registry-note-unreadable",
    ),
    case(
        "the places of a layer are no JSON",
        ROOT,
        |root| put(root, &first(root, PLACES), b"[{\"Digest\":"),
        "registry-note-unreadable",
    ),
    case(
        "a blob is said to be two layers",
        ROOT,
        |root| {
            let other = format!("sha256:{}", "ab".repeat(32));
            put(root, &first(root, DIFFS), other.as_bytes());
        },
        "registry-notes-disagree",
    ),
];

fn image(root: &Root) -> Digest {
    host(root).image(LEAF, None).expect("a recorded image").image.id
}

fn content(root: &Root) -> String {
    format!("image/overlay2/imagedb/content/sha256/{}", image_at(root).hex())
}

/// The image may be damaged already, so its ID is looked up among the names.
fn image_at(root: &Root) -> Digest {
    let read: Value = serde_json::from_slice(&bytes(root, NAMES)).expect("JSON");
    let (repository, _) = LEAF.split_once(':').expect("a tag");
    let id = read["Repositories"][repository][LEAF].as_str().expect("an ID");
    id.parse().expect("a digest")
}

fn note(root: &Root, key: &str) -> String {
    let folder = format!("image/overlay2/imagedb/metadata/sha256/{}", image(root).hex());
    let at = tranship::tree::path(&folder);
    tranship::tree::Sink::make_dir(&**root, at, 0o700).expect("it may be there");
    format!("{folder}/{key}")
}

fn first(root: &Root, folder: &str) -> String {
    format!("{folder}/{}", names(root, folder)[0])
}

fn name(root: &Root, name: &str, image: &str) {
    let (repository, _) = name.split_once(':').expect("a tag");
    edit_json(root, NAMES, |file| file["Repositories"][repository] = json!({ name: image }));
}
