//! What is told offline against what Docker itself told of the recorded roots.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::Host;
use crate::cli::ops::{InspectRequest, Kind, Ops, Where};

const CLASSIC: &[u8] = include_bytes!("../../../../fixtures/roots/classic-28.json.zst");
const CONTAINERD: &[u8] = include_bytes!("../../../../fixtures/roots/containerd-28.json.zst");

fn said(packed: &[u8], what: &str) -> Vec<(String, Value)> {
    let text = zstd::decode_all(packed).expect("a recording");
    let mut all: Value = serde_json::from_slice(&text).expect("JSON");
    let Value::Object(all) = all[what].take() else { panic!("no {what}") };
    all.into_iter().collect()
}

fn told(root: &str, names: &[&str], kind: Option<Kind>) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots");
    let at = Where { root: Some(path.join(format!("{root}.tar.zst"))), ..Where::default() };
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let request = InspectRequest { names, kind, size: true };
    let all = Host.inspect(&at, &request).expect("a recorded root");
    all.into_iter().map(|one| one.expect("what was recorded is there")).collect()
}

/// Adds where `ours` says something else than `docker`, or nothing.
fn differences(at: &str, docker: &Value, ours: &Value, found: &mut BTreeSet<String>) {
    match (docker, ours) {
        (Value::Object(docker), Value::Object(ours)) => {
            for (name, value) in docker {
                let own = ours.get(name).unwrap_or(&Value::Null);
                differences(&format!("{at}.{name}"), value, own, found);
            }
        }
        (docker, ours) if docker == ours => {}
        _ => {
            found.insert(at.to_owned());
        }
    }
}

fn compared(root: &str, packed: &[u8], what: &str, kind: Kind) -> Vec<String> {
    let said = said(packed, what);
    let names: Vec<&str> = said.iter().map(|(id, _)| id.as_str()).collect();
    let mut found = BTreeSet::new();
    for ((_, docker), ours) in said.iter().zip(told(root, &names, Some(kind))) {
        differences("", docker, &ours, &mut found);
    }
    found.into_iter().collect()
}

/// What no file says: which image a size was of, and how folders with attributes take blocks, which a tar
/// does not tell; and annotations of descriptors, which no store keeps.
#[test]
fn containers_are_told_as_docker_tells_them() {
    let found = compared("classic-28", CLASSIC, "container", Kind::Container);
    assert_eq!(found, [".SizeRootFs"]);
    let found = compared("containerd-28", CONTAINERD, "container", Kind::Container);
    assert_eq!(found, [".SizeRootFs", ".SizeRw"]);
}

#[test]
fn images_are_told_as_docker_tells_them() {
    let found = compared("classic-28", CLASSIC, "image", Kind::Image);
    assert_eq!(found, [""; 0]);
    let found = compared("containerd-28", CONTAINERD, "image", Kind::Image);
    assert_eq!(found, [".Descriptor.annotations"]);
}

#[test]
fn layers_volumes_and_snapshots_are_found_by_their_names() {
    let one = |root, name: &str, kind| told(root, &[name], kind).remove(0);
    let volume = one("classic-28", "vol1", None);
    assert_eq!(volume["Tranship"]["Containers"], serde_json::json!(["changed"]));
    assert_eq!(one("classic-28", "empty1", None)["Labels"]["keep"], "yes");
    let layer = one("classic-28", "cux6dmhetyhypryb4lpkhlikt", None);
    assert_eq!(layer["Tranship"]["Type"], "layer");
    let chain = layer["ChainId"].as_str().expect("a chain ID");
    for same in [chain, &chain[7..], &chain[7..19]] {
        assert_eq!(one("classic-28", same, Some(Kind::Layer)), layer, "{same}");
    }
    let number = one("containerd-28", "17", None);
    let key = number["Id"].as_str().expect("a key");
    assert_eq!(one("containerd-28", key, Some(Kind::Snapshot)), number);
    let container = one("containerd-28", "changed", None);
    let id = container["Id"].as_str().expect("an ID");
    let upper = one("containerd-28", id, Some(Kind::Snapshot));
    assert_eq!(upper["Folder"], container["Tranship"]["Upper"]);
    let init = one("containerd-28", &format!("{id}-init"), None);
    assert_eq!(
        (&init["Container"], &init["Tranship"]["Type"]),
        (&"changed".into(), &"init".into())
    );
}

#[test]
fn what_is_not_there_is_an_error_of_its_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots/classic-28.tar.zst");
    let at = Where { root: Some(path), ..Where::default() };
    let names = ["", "..", "sha256:", "volumes", "tiny/base:9", "changed\u{1b}"].map(String::from);
    let request = InspectRequest { names: names.to_vec(), ..InspectRequest::default() };
    for (name, found) in names.iter().zip(Host.inspect(&at, &request).expect("a recorded root")) {
        assert!(found.expect_err(name).is_missing(), "{name}");
    }
}
