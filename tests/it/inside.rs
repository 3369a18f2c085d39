//! What is inside every image and container of recorded roots, against what `docker export` said.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tranship::op::host::{Host, Known, open, survey};
use tranship::op::look::{View, Which, view};
use tranship::tree::{Kind, Metadata, Tree, TreePath, walk};

use crate::support::carried::host;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots").join(name)
}

fn recorded(name: &str) -> Host {
    let opened = open(Some(&fixture(&format!("{name}.tar.zst")))).expect("a recorded root");
    survey(&opened, &Known { platform: host(), ..Known::default() }).expect("a recorded root")
}

fn said_by_docker(name: &str) -> Value {
    let file = File::open(fixture(&format!("{name}.json.zst"))).expect("the fixture is there");
    let mut text = Vec::new();
    zstd::Decoder::new(file).and_then(|mut d| d.read_to_end(&mut text)).expect("it is zstd");
    serde_json::from_slice(&text).expect("the fixture is JSON")
}

/// One thing as the recording has it: type, mode, owners, size, time, and content.
fn told(tree: &dyn Tree, at: TreePath<'_>, metadata: &Metadata) -> Value {
    let (letter, content) = match metadata.kind {
        Kind::File => {
            let mut hash = Sha256::new();
            let mut file = tree.open(at).expect("a file");
            std::io::copy(&mut file, &mut hash).expect("a file can be read");
            ("f", const_hex::encode(hash.finalize()))
        }
        Kind::Dir => ("d", String::new()),
        Kind::Symlink => ("l", recorded_text(&tree.read_link(at).expect("a link"))),
        Kind::Char => ("c", format!("{}:{}", metadata.rdev.0, metadata.rdev.1)),
        Kind::Block => ("b", format!("{}:{}", metadata.rdev.0, metadata.rdev.1)),
        Kind::Fifo => ("p", String::new()),
        Kind::Socket => ("s", String::new()),
    };
    let size = if metadata.kind == Kind::File { metadata.size } else { 0 };
    let Metadata { mode, uid, gid, mtime, .. } = metadata;
    json!([letter, mode, uid, gid, size, mtime.seconds, content])
}

/// A name as the recording has it: records in a tar are UTF-8, plain headers were read as Latin-1.
fn recorded_text(bytes: &[u8]) -> String {
    let latin1 = || bytes.iter().copied().map(char::from).collect();
    std::str::from_utf8(bytes).map_or_else(|_| latin1(), str::to_owned)
}

fn all(view: &View<'_>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    walk(&view.tree, TreePath::ROOT, &mut |at, entry| {
        // A tar holds no sockets.
        if entry.metadata.kind != Kind::Socket {
            found.insert(recorded_text(at.as_bytes()), told(&view.tree, at, &entry.metadata));
        }
        Ok(true)
    })
    .expect("a sound tree");
    found
}

/// What a runtime makes when a container is created; the recording leaves it out of images.
const RUNTIME: [&str; 10] = [
    ".dockerenv",
    "dev",
    "dev/console",
    "dev/pts",
    "dev/shm",
    "proc",
    "sys",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
];

fn compare(name: &str, found: &BTreeMap<String, Value>, said: &Value, skip: &BTreeSet<&str>) {
    let said = said.as_object().expect("a tree");
    let kept = |path: &String| !skip.contains(path.as_str());
    let names: BTreeSet<_> = found.keys().filter(|path| kept(path)).collect();
    let wanted: BTreeSet<_> = said.keys().filter(|path| !path.is_empty() && kept(path)).collect();
    assert_eq!(names, wanted, "{name}");
    for path in wanted {
        assert_eq!(found[path], said[path.as_str()], "{name}: {path}");
    }
}

#[test]
fn every_container_holds_what_docker_exported() {
    for root in ["classic-28", "containerd-28", "hidden-28"] {
        let (host, said) = (recorded(root), said_by_docker(root));
        let trees = said["container_tree"].as_object().expect("trees");
        for (id, tree) in trees {
            let name = format!("{root} {}", said["container"][id]["Name"]);
            let view = view(&host, id, &Which::default()).expect(&name);
            compare(&name, &all(&view), tree, &BTreeSet::new());
        }
    }
}

#[test]
fn every_image_holds_what_docker_exported() {
    let mut compared = 0;
    for root in ["classic-28", "containerd-28", "hidden-28"] {
        let (host, said) = (recorded(root), said_by_docker(root));
        for (id, tree) in said["image_tree"].as_object().expect("trees") {
            let name = format!("{root} {id}");
            if tree.is_null() {
                view(&host, id, &Which::default()).map(drop).unwrap_or_else(|error| {
                    assert!(error.is_missing(), "{name}: {error}");
                });
                continue;
            }
            let view = view(&host, id, &Which::default()).expect(&name);
            compare(
                &name,
                &all(&view),
                tree,
                &RUNTIME.into_iter().chain(["etc", "etc/mtab"]).collect(),
            );
            compared += 1;
        }
    }
    assert!(compared > 20, "only {compared}");
}
