//! `imagedb`, names, and what is known of registries.

use serde_json::{Value, json};
use tranship::digest::Digest;

use super::{LEAF, ROOT, image, sound};
use crate::catalogue::scenery::{Root, bytes, edit_json, names, put, remove};
use crate::catalogue::{Case, Clean, Left, Lost, Same, case};

const NAMES: &str = "image/overlay2/repositories.json";
const DIFFS: &str = "image/overlay2/distribution/diffid-by-digest/sha256";
const PLACES: &str = "image/overlay2/distribution/v2metadata-by-diffid/sha256";

pub(crate) const CASES: &[Case] = &[
    case(
        "an image's config has another byte",
        ROOT,
        |root| {
            let mut config = bytes(sound(), &content());
            config[20] ^= 1;
            put(root, &content(), &config);
        },
        "image-unloadable",
        Lost("image-unloadable"),
    )
    .also(&["name-without-image"]),
    case(
        "an image's config is empty",
        ROOT,
        |root| put(root, &content(), b""),
        "image-unloadable",
        Lost("image-unloadable"),
    )
    .also(&["name-without-image"]),
    case(
        "an image's config is gone",
        ROOT,
        |root| remove(root, &content()),
        "name-without-image",
        Lost("name-without-image"),
    ),
    case(
        "an image is for Windows",
        ROOT,
        |root| {
            let mut config: Value =
                serde_json::from_slice(&bytes(sound(), &content())).expect("JSON");
            config["os"] = json!("windows");
            let config = config.to_string();
            let id = Digest::of(config.as_bytes());
            let file = format!("image/overlay2/imagedb/content/sha256/{}", id.hex());
            put(root, &file, config.as_bytes());
        },
        "image-of-other-system",
        Lost("image-of-other-system"),
    ),
    case(
        "the parent of an image is not there",
        ROOT,
        |root| put(root, &note(root, "parent"), format!("sha256:{}", "ab".repeat(32)).as_bytes()),
        "image-parent-wrong",
        Clean,
    ),
    case(
        "the parent of an image is no digest",
        ROOT,
        |root| put(root, &note(root, "parent"), b"base:1"),
        "image-parent-wrong",
        Clean,
    )
    .round(1),
    case(
        "when an image was tagged is no time",
        ROOT,
        |root| put(root, &note(root, "lastUpdated"), b"yesterday"),
        "image-time-wrong",
        Clean,
    ),
    case(
        "something else lies among the configs",
        ROOT,
        |root| put(root, "image/overlay2/imagedb/content/sha256/notes", b""),
        "image-stray",
        Left,
    ),
    case(
        "a config was being written",
        ROOT,
        |root| put(root, "image/overlay2/imagedb/content/sha256/.tmp-ab1234", b""),
        "temporary-file",
        Same,
    ),
    case(
        "the names are cut short",
        ROOT,
        |root| put(root, NAMES, b"{\"Repo"),
        "names-unreadable",
        Lost("name-lost"),
    )
    .round(1),
    case(
        "the names are empty",
        ROOT,
        |root| put(root, NAMES, b""),
        "names-unreadable",
        Lost("name-lost"),
    )
    .round(2),
    case(
        "the names are gone",
        ROOT,
        |root| remove(root, NAMES),
        "names-unreadable",
        Lost("name-lost"),
    )
    .round(3),
    case(
        "a name leads to an image that is not there",
        ROOT,
        |root| name(root, "gone:1", &format!("sha256:{}", "ab".repeat(32))),
        "name-without-image",
        Lost("name-without-image"),
    ),
    case(
        "a name leads to no image ID",
        ROOT,
        |root| name(root, "odd:1", "sha256:12"),
        "name-unusable",
        Lost("name-unusable"),
    ),
    case(
        "what a blob unpacks to is no digest",
        ROOT,
        |root| put(root, &first(DIFFS), b"sha256:\0\0\0"),
        "registry-note-unreadable",
        Clean,
    ),
    case(
        "the places of a layer are no JSON",
        ROOT,
        |root| put(root, &first(PLACES), b"[{\"Digest\":"),
        "registry-note-unreadable",
        Clean,
    ),
    case(
        "a blob is said to be two layers",
        ROOT,
        |root| {
            let other = format!("sha256:{}", "ab".repeat(32));
            put(root, &first(DIFFS), other.as_bytes());
        },
        "registry-notes-disagree",
        Lost("registry-notes-disagree"),
    ),
];

fn content() -> String {
    format!("image/overlay2/imagedb/content/sha256/{}", image(LEAF).hex())
}

fn note(root: &Root, key: &str) -> String {
    let folder = format!("image/overlay2/imagedb/metadata/sha256/{}", image(LEAF).hex());
    let at = tranship::tree::path(&folder);
    tranship::tree::Sink::make_dir(&**root, at, 0o700).expect("it may be there");
    format!("{folder}/{key}")
}

fn first(folder: &str) -> String {
    format!("{folder}/{}", names(sound(), folder)[0])
}

fn name(root: &Root, name: &str, image: &str) {
    let (repository, _) = name.split_once(':').expect("a tag");
    edit_json(root, NAMES, |file| file["Repositories"][repository] = json!({ name: image }));
}
