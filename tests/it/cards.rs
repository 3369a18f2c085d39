//! What is told of containers against what Docker itself said of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tranship::op::host::{Host, Known, open, survey};

use crate::support::carried::host;

fn fixture(name: &str, end: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/roots/{name}.{end}"))
}

pub(crate) fn recorded(name: &str) -> Host {
    let opened = open(Some(&fixture(name, "tar.zst"))).expect("a recorded root");
    survey(&opened, &Known { platform: host(), ..Known::default() }).expect("a recorded root")
}

/// Returns what Docker said of `what`, by ID.
pub(crate) fn said(name: &str, what: &str) -> BTreeMap<String, Value> {
    let file = File::open(fixture(name, "json.zst")).expect("a recording");
    let text = zstd::decode_all(file).expect("a recording");
    let mut all: Value = serde_json::from_slice(&text).expect("JSON");
    serde_json::from_value(all[what].take()).expect("values by ID")
}

#[test]
fn sizes_are_docker_s() {
    for name in ["classic-28", "containerd-28"] {
        let (host, said) = (recorded(name), said(name, "container"));
        let mut looked = 0;
        for at in host.roots.iter().flat_map(|root| root.containers()) {
            let size = at.size().expect("a writable layer");
            let wanted = said[&at.container.id]["SizeRw"].as_u64().expect("a size");
            // A tar does not say which folders have attributes that take a block of their own.
            let is_it = match name {
                "classic-28" => wanted == size.bytes,
                _ => size.on_disk <= wanted && wanted <= size.on_disk + 2 * 4096,
            };
            assert!(is_it, "{name} {}: {size:?}, wanted {wanted}", at.container.name);
            looked += 1;
        }
        assert_eq!(looked, said.len(), "{name}");
    }
}
