//! Containers.

use serde_json::json;

use crate::catalogue::scenery::{Root, bytes, edit_json, names, put, remove};
use crate::catalogue::{Case, Left, Lost, case};

const ROOT: &str = "classic-28";

pub(crate) const CASES: &[Case] = &[
    case(
        "a container's config is no JSON",
        ROOT,
        |root| put(root, &config(root, 0), b"{\"ID\":"),
        "container-unreadable",
        Lost("container-unreadable"),
    ),
    case(
        "a container's config is empty",
        ROOT,
        |root| put(root, &config(root, 1), b""),
        "container-unreadable",
        Lost("container-unreadable"),
    ),
    case(
        "a container's config is gone",
        ROOT,
        |root| remove(root, &config(root, 2)),
        "container-unreadable",
        Lost("container-unreadable"),
    ),
    case(
        "a container says another ID than its folder",
        ROOT,
        |root| edit_json(root, &config(root, 0), |config| config["ID"] = json!("ab".repeat(32))),
        "container-unreadable",
        Lost("container-unreadable"),
    ),
    case(
        "a container's host config is no JSON",
        ROOT,
        |root| put(root, &host_config(root, 0), b"{\"Binds\": nul"),
        "host-config-unreadable",
        Lost("host-config-unreadable"),
    ),
    case(
        "a container is of a store that is not there",
        ROOT,
        |root| edit_json(root, &config(root, 0), |config| config["Driver"] = json!("btrfs")),
        "container-without-store",
        Lost("container-without-store"),
    ),
    case(
        "two containers have one name",
        ROOT,
        |root| {
            let other: serde_json::Value =
                serde_json::from_slice(&bytes(root, &config(root, 1))).expect("JSON");
            edit_json(root, &config(root, 0), |config| config["Name"] = other["Name"].clone());
        },
        "container-name-taken",
        Lost("container-name-taken"),
    ),
    case(
        "a container's image is not there",
        ROOT,
        |root| {
            let gone = json!(format!("sha256:{}", "ab".repeat(32)));
            edit_json(root, &config(root, 0), |config| config["Image"] = gone);
        },
        "container-without-image",
        Lost("name-without-image"),
    ),
    case(
        "a folder that is no container",
        ROOT,
        |root| put(root, "containers/notes", b"to do"),
        "container-stray",
        Left,
    ),
];

fn container(root: &Root, number: usize) -> String {
    format!("containers/{}", names(root, "containers")[number])
}

fn config(root: &Root, number: usize) -> String {
    container(root, number) + "/config.v2.json"
}

fn host_config(root: &Root, number: usize) -> String {
    container(root, number) + "/hostconfig.json"
}
