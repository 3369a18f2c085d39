//! Damaged roots before a real daemon: what `verify` says of its next start is what it then shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::host::{Daemon, Lab, Store, Suite, text, tranship};

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn docker_28_shows_of_a_damaged_classic_store_what_verify_says() {
    judge(Suite::Forky);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn docker_20_shows_of_a_damaged_classic_store_what_verify_says() {
    judge(Suite::Bookworm);
}

/// Damages the recorded root in one way after the other, each in a copy.
fn judge(suite: Suite) {
    let lab = Lab::new();
    let sound = lab.unpack("classic-28");
    // The power went while it ran: after one start and stop it lies still.
    Daemon::start(suite, Store::Classic, &sound).stop();
    let all = said(&sound);
    for (name, damage) in DAMAGES {
        let root = lab.copy(&sound, &name.replace(' ', "-"));
        damage(&root);
        let wanted = said(&root);
        assert_ne!(wanted, all, "{name}: verify says that nothing becomes of it");
        let daemon = Daemon::start(suite, Store::Classic, &root);
        assert_eq!(shown(&daemon), wanted, "{name}, with {suite:?}");
        daemon.stop();
    }
}

type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 6] = [
    ("a config that does not hash to its name", |root| {
        let file = some(&root.join("image/overlay2/imagedb/content/sha256"), 3);
        let mut config = fs::read(&file).expect("a config");
        config[10] ^= 1;
        fs::write(&file, config).expect("the lab can be written");
    }),
    ("a layer whose size is no number", |root| {
        let layer = some(&root.join("image/overlay2/layerdb/sha256"), 5);
        fs::write(layer.join("size"), "12\n").expect("the lab can be written");
    }),
    ("a layer without its cache ID", |root| {
        let layer = some(&root.join("image/overlay2/layerdb/sha256"), 2);
        fs::remove_file(layer.join("cache-id")).expect("it is there");
    }),
    ("a container without a mount", |root| {
        let mount = some(&root.join("image/overlay2/layerdb/mounts"), 1);
        fs::remove_dir_all(mount).expect("it is there");
    }),
    ("a container whose config is cut short", |root| {
        let config = some(&root.join("containers"), 2).join("config.v2.json");
        fs::write(config, "{\"ID\":").expect("the lab can be written");
    }),
    ("a container whose host config is cut short", |root| {
        let config = some(&root.join("containers"), 3).join("hostconfig.json");
        fs::write(config, "{\"Binds\":").expect("the lab can be written");
    }),
];

/// Returns one of the entries of a folder, always the same.
fn some(folder: &Path, number: usize) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder of the root");
    let mut all: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all.swap_remove(number % all.len())
}

/// Returns the IDs of the images and containers that are to be listed.
fn said(root: &Path) -> BTreeSet<String> {
    let path = root.to_str().expect("the lab's paths are text");
    let done = tranship(["verify", path, "--quick", "--json"]);
    let report: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&done.stderr)));
    let starts = report["starts"].as_array().expect("a list").iter();
    starts
        .filter(|start| start["becomes"] != "passed-over" && start["store"] == "classic")
        .map(|start| start["id"].as_str().expect("an ID").to_owned())
        .collect()
}

/// Returns the IDs of the images and containers that a daemon lists.
fn shown(daemon: &Daemon) -> BTreeSet<String> {
    let images = daemon.docker(["images", "-aq", "--no-trunc"]);
    let containers = daemon.docker(["ps", "-aq", "--no-trunc"]);
    images.lines().chain(containers.lines()).map(str::to_owned).collect()
}
