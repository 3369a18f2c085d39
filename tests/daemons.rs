//! What was migrated, before those who must live with it: real Docker daemons of several releases.
//!
//! Each test makes or unpacks a data root, has a classic daemon tell what is in it, migrates it, and has daemons with
//! the containerd store tell the same. They need root, debootstrap and some minutes, so they are ignored by default:
//!
//! ```sh
//! cargo test --test daemons -- --ignored --test-threads=4
//! ```

#![expect(clippy::disallowed_methods, reason = "tests look at real files and run commands")]

#[path = "damage/catalogue/mod.rs"]
#[allow(dead_code, reason = "`tests/damage` asks more of it")]
mod catalogue;
#[path = "daemons/committed.rs"]
mod committed;
#[path = "daemons/containers.rs"]
mod containers;
#[path = "daemons/damaged.rs"]
mod damaged;
#[path = "support/disk/mod.rs"]
mod disk;
#[path = "daemons/exported.rs"]
mod exported;
#[path = "daemons/imported.rs"]
mod imported;
#[path = "daemons/killed.rs"]
mod killed;
#[path = "daemons/mended.rs"]
mod mended;
#[path = "daemons/mended_containerd.rs"]
mod mended_containerd;
#[path = "support/random.rs"]
mod random;
#[path = "daemons/reclaimed.rs"]
mod reclaimed;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use support::back::Back;
use support::host::{Daemon, Store, Suite, text, tranship};
use support::judge::{assert_runs, assert_same};
use support::observed::{Image, Images, Through};
use support::source::Source;

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_the_recorded_root_move() {
    let source = Source::recorded("classic-28");
    source.assert_as_recorded("classic-28");
    migrate(&source.root, &[]);
    source.judge(&source.before.images(), Through::Directories);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_a_hidden_store_come_to_those_that_hid_it() {
    let source = Source::recorded("hidden-28");
    let there = source.images_of_the_containerd_store();
    migrate(&source.root, &[]);
    let expected = merged(&there, &source.before.images());
    assert!(expected.len() > there.len(), "nothing of the hidden store was to move");
    source.judge(&expected, Through::Directories);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn names_of_a_hidden_store_can_win() {
    let source = Source::recorded("hidden-28");
    let there = source.images_of_the_containerd_store();
    migrate(&source.root, &["--on-conflict", "replace"]);
    let expected = merged(&source.before.images(), &there);
    assert!(expected.len() > there.len(), "nothing of the hidden store was to move");
    let daemon = Daemon::start(Suite::Forky, Store::Containerd, &source.root);
    let found = daemon.observe().images();
    assert_same(&expected, &found, Through::Directories, "after names were replaced");
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_docker_20_move() {
    let source = Source::fresh(Suite::Bookworm);
    migrate(&source.root, &["--compress", "gzip", "--snapshots", "copy"]);
    source.judge(&source.before.images(), Through::Directories);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_docker_26_move_packed() {
    let source = Source::fresh(Suite::Trixie);
    migrate(&source.root, &["--compress", "zstd", "--snapshots", "none"]);
    source.judge(&source.before.images(), Through::Tars);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_docker_28_move_and_get_the_ids_docker_would_give() {
    let source = Source::fresh(Suite::Forky);
    migrate(&source.root, &["--compress", "none", "--snapshots", "link"]);
    source.judge(&source.before.images(), Through::Directories);

    let root = source.lab.copy(&source.root, "ids");
    let daemon = Daemon::start(Suite::Forky, Store::Containerd, &root);
    let (found, loaded) = (daemon.observe().images(), source.saved_and_loaded());
    let (mut moved, loaded) = (ids(&found), ids(&loaded));
    moved.retain(|config, _| loaded.contains_key(config));
    assert_eq!(moved, loaded, "IDs after migrate, and after docker save and docker load");
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn an_export_of_the_recorded_root_loads_into_every_docker() {
    let source = Source::recorded("classic-28");
    let archive = source.lab.path("export.tar");
    let mut expected = source.before.images();
    // Neither comes out of `docker load`: what has no name, and what has no layers.
    expected.retain(|_, image| !image.tags.is_empty() && image.has_layers());
    let paths =
        [&source.root, &archive].map(|path| path.to_str().expect("the lab's paths are text"));
    let done = tranship(["export", paths[0], "-o", paths[1]]);
    assert!(done.status.success(), "export: {}", text(&done.stderr));
    let daemons = [
        (Suite::Bookworm, Store::Classic),
        (Suite::Trixie, Store::Classic),
        (Suite::Trixie, Store::Containerd),
        (Suite::Forky, Store::Classic),
        (Suite::Forky, Store::Containerd),
    ];
    for (suite, store) in daemons {
        let when = format!("{suite:?} with {store:?}, after docker load");
        let daemon = Daemon::start(suite, store, &source.lab.path(&format!("{suite:?}-{store:?}")));
        daemon.docker_from(["load"], &archive);
        let mut found = daemon.observe().images();
        found.retain(|_, image| !image.tags.is_empty());
        assert_same(&expected, &found, Through::Archive, &when);
        assert_runs(&daemon, &found);
    }
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_the_recorded_containerd_root_move_back() {
    let back = Back::recorded("containerd-28");
    back.run(&["migrate", path(&back.root), "--to", "classic", "--all", "-q", "--no-containers"]);
    back.judge(&back.root, Through::Tars);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_a_containerd_store_of_docker_26_move_back() {
    let back = Back::fresh(Suite::Trixie);
    back.run(&["migrate", path(&back.root), "--to", "classic", "--all", "-q", "--no-containers"]);
    back.judge(&back.root, Through::Tars);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn images_of_a_containerd_store_of_docker_28_move_back() {
    let back = Back::fresh(Suite::Forky);
    back.run(&["migrate", path(&back.root), "--to", "classic", "--all", "-q"]);
    back.judge(&back.root, Through::Tars);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn an_export_of_docker_28_s_containerd_store_imports_into_new_roots() {
    let back = Back::fresh(Suite::Forky);
    let [archive, classic, containerd] =
        ["exported.tar", "classic", "containerd"].map(|name| back.lab.path(name));
    back.run(&["export", path(&back.root), "--all", "-q", "-o", path(&archive)]);
    let import = |to: &str, root: &Path| {
        back.run(&["import", path(&archive), "-q", "--to", to, "--root", path(root)]);
    };
    import("classic", &classic);
    back.judge(&classic, Through::Archive);
    import("containerd", &containerd);
    let daemon = Daemon::start(Suite::Forky, Store::Containerd, &containerd);
    let found = daemon.observe().images();
    back.assert_as_before(&found, Through::Archive, "imported into a new containerd root");
    assert_eq!(ids(&back.before), ids(&found), "digests stay what they are");
    assert_runs(&daemon, &found);
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the lab's paths are text")
}

/// Migrates all of a root's classic store.
fn migrate(root: &Path, options: &[&str]) {
    let root = root.to_str().expect("the lab's paths are text");
    let verb = ["migrate", root, "--to", "containerd", "--all", "--json", "--no-containers"];
    let done = tranship(verb.iter().chain(options));
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    let code = done.status.code();
    assert!(matches!(code, Some(0 | 1)), "migrate {options:?} ended with {code:?}: {out}{err}");
    let report: Result<serde_json::Value, _> = serde_json::from_str(&out);
    assert!(report.is_ok(), "migrate --json: {report:?}: {out}{err}");
}

/// Returns the images of both; a name that both give stays with the first, and an image may lose its last one.
fn merged(first: &Images, second: &Images) -> Images {
    let taken: BTreeSet<_> = first.values().flat_map(|image| &image.tags).collect();
    let mut all = first.clone();
    for (config, image) in second {
        let tags = image.tags.iter().filter(|tag| !taken.contains(tag)).cloned().collect();
        all.insert(config.clone(), Image { tags, ..image.clone() });
    }
    all
}

/// Returns the IDs of images by the digests of their configurations.
fn ids(images: &Images) -> BTreeMap<&str, &str> {
    images.iter().map(|(config, image)| (config.as_str(), image.id.as_str())).collect()
}
