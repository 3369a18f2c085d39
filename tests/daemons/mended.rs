//! Roots that were damaged and repaired, before a real daemon.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::path;
use crate::support::host::{Daemon, Lab, Store, Suite, text, tranship};

/// A way of damage, and whether names may be lost by it.
type Damage = (&'static str, fn(&Path), bool);

const IMAGE: &str = "weird:1";

const DAMAGES: [Damage; 8] = [
    ("the diff ID is gone", |root| remove(&layer(root, "diff")), false),
    ("the cache ID is empty", |root| put(&layer(root, "cache-id"), ""), false),
    ("the size has a line end", |root| put(&layer(root, "size"), "12\n"), false),
    (
        "short names are gone",
        |root| fs::remove_dir_all(root.join("overlay2/l")).expect("there"),
        false,
    ),
    ("link is empty", |root| put(&folder(root).join("link"), ""), false),
    ("lower is gone", |root| remove(&folder(root).join("lower")), false),
    (
        "mounts are gone",
        |root| one_mount(root, |mount| fs::remove_dir_all(mount).expect("there")),
        false,
    ),
    ("the names are cut short", |root| cut(&root.join("image/overlay2/repositories.json")), true),
];

fn remove(file: &Path) {
    fs::remove_file(file).expect("it is there");
}

fn put(file: &Path, text: &str) {
    fs::write(file, text).expect("it is there");
}

fn cut(file: &Path) {
    let text = fs::read(file).expect("it is there");
    fs::write(file, &text[..text.len() - 10]).expect("it is there");
}

fn one_mount(root: &Path, work: impl Fn(&Path)) {
    let mut all = fs::read_dir(root.join("image/overlay2/layerdb/mounts")).expect("there");
    work(&all.next().expect("a container").expect("readable").path());
}

/// Returns a file of the topmost layer of an image.
fn layer(root: &Path, file: &str) -> PathBuf {
    let store = root.join("image/overlay2");
    let names = fs::read(store.join("repositories.json")).expect("it is there");
    let names: Value = serde_json::from_slice(&names).expect("JSON");
    let id = names["Repositories"]["weird"][IMAGE].as_str().expect("its ID").replace("sha256:", "");
    let config = fs::read(store.join("imagedb/content/sha256").join(id)).expect("it is there");
    let config: Value = serde_json::from_slice(&config).expect("JSON");
    let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("a list");
    let diff_ids: Vec<_> =
        diff_ids.iter().filter_map(Value::as_str).map(|d| d.parse().expect("a digest")).collect();
    let chain = tranship::digest::ChainId::chain(&diff_ids);
    store.join("layerdb/sha256").join(chain.last().expect("layers").hex()).join(file)
}

/// Returns the driver's folder of that layer.
fn folder(root: &Path) -> PathBuf {
    let id = fs::read_to_string(layer(root, "cache-id")).expect("it is there");
    root.join("overlay2").join(id.trim())
}

fn seen(daemon: &Daemon) -> [Vec<String>; 2] {
    let sorted = |text: String| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let images = "{{.ID}} {{.Repository}}:{{.Tag}}@{{.Digest}}";
    [
        sorted(daemon.docker(["images", "-a", "--no-trunc", "--digests", "--format", images])),
        sorted(daemon.docker(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}"])),
    ]
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn a_daemon_takes_what_was_mended_as_if_nothing_had_been() {
    let lab = Lab::new();
    let sound = lab.unpack("classic-28");
    let daemon = Daemon::start(Suite::Forky, Store::Classic, &sound);
    let wanted = seen(&daemon);
    daemon.stop();
    for (n, (name, damage, loses_names)) in DAMAGES.into_iter().enumerate() {
        let root = lab.copy(&sound, &format!("mended-{n}"));
        damage(&root);
        let done = tranship(["repair", path(&root)]);
        let said = text(&done.stdout);
        assert!(matches!(done.status.code(), Some(0 | 1)), "{name}: {done:?}");
        assert!(said.contains("set right"), "{name}: {said}");
        let daemon = Daemon::start(Suite::Forky, Store::Classic, &root);
        let [images, containers] = seen(&daemon);
        if !loses_names {
            assert_eq!(images, wanted[0], "{name}");
        }
        assert_eq!(containers, wanted[1], "{name}");
        assert_eq!(daemon.shell(IMAGE, "echo it runs").trim(), "it runs", "{name}");
        let saved = root.join("saved.tar");
        daemon.docker(["save", "-o", path(&saved), IMAGE, "tiny/base:1"]);
        daemon.docker(["rmi", "-f", IMAGE]);
        daemon.docker(["load", "-i", path(&saved)]);
        daemon.docker(["start", "changed"]);
        daemon.stop();
    }
}
