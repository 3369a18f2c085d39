//! What is asked of a daemon on a store that was migrated.

use std::fs::{self, File};

use super::host::{Daemon, Lab, Registry, Store, Suite, kept, text, tranship, wait_until_none};
use super::observed::{Image, Images, Through, differences};
use super::source::RUNTIME;

pub(crate) fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// Runs a verb that must succeed, with nothing to say; returns what it wrote to stdout.
pub(crate) fn quietly(args: &[&str]) -> Vec<u8> {
    let done = tranship(args);
    let said = text(&done.stderr);
    assert_eq!((done.status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    done.stdout
}

pub(crate) fn assert_same(expected: &Images, found: &Images, through: Through, when: &str) {
    assert_none(when, &differences(expected, found, through));
}

/// Holds images of a containerd store's daemon against what came of them elsewhere.
///
/// What such a daemon commits stands there on the container's own init layer, which is no layer of the image: what is in
/// that comes along in no way, `docker save` included.
pub(crate) fn assert_same_layers(before: &Images, found: &Images, through: Through, when: &str) {
    let (mut before, mut found) = (before.clone(), found.clone());
    for (config, image) in before.iter_mut().filter(|(_, image)| stands_on_a_container(image)) {
        let trees = [Some(&mut image.tree), found.get_mut(config).map(|one| &mut one.tree)];
        for tree in trees.into_iter().flatten() {
            tree.retain(|path, _| !RUNTIME.contains(&path.as_str()));
        }
    }
    assert_same(&before, &found, through, when);
}

/// Returns whether an image shows a container's init layer.
pub(crate) fn stands_on_a_container(image: &Image) -> bool {
    image.tree.contains_key(RUNTIME[0])
}

/// Returns whether an image has a path twice in a layer: the classic store keeps and saves it, and `docker load` into one
/// refuses it, as podman, crane and all others do that take a layer's tar apart.
pub(crate) fn has_a_path_twice(image: &Image) -> bool {
    ["odd:twice", "weird:dupes"].iter().any(|tag| image.tags.contains(*tag))
}

/// Runs something in every image that can.
pub(crate) fn assert_runs(daemon: &Daemon, images: &Images) {
    for image in images.values().filter(|image| image.has_shell()) {
        let said = daemon.shell(image.name(), "echo $((6 * 7))");
        assert_eq!(said, "42\n", "docker run {}", image.name());
    }
}

/// Has containerd collect garbage: it does so when an image is removed, and has when the image's blob is gone.
pub(crate) fn collect_garbage(daemon: &Daemon, lab: &Lab) {
    let archive = lab.path("throw-away.tar");
    write_tar(&archive).expect("the lab can be written");
    daemon.docker_from(["import", "-", "throw/away:1"], &archive);
    let id = daemon.docker(["image", "inspect", "-f", "{{.Id}}", "throw/away:1"]);
    let blob = id.trim().replace("sha256:", "blob ");
    let left = || kept(&daemon.root).take(&blob);
    assert!(left().is_some(), "{blob} is not where blobs should be");
    daemon.docker(["rmi", "throw/away:1"]);
    wait_until_none("garbage is collected", left);
}

fn write_tar(path: &std::path::Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(File::create(path)?);
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", b"away\n".as_slice())?;
    tar.finish()
}

/// Returns what `docker save` of a classic store takes: with layers, and into an index only with a name.
pub(crate) fn can_be_saved(images: &Images) -> Images {
    let mut images = images.clone();
    images.retain(|_, image| image.has_layers() && !image.tags.is_empty());
    images
}

/// Returns the arguments of the docker client for saving all of these.
pub(crate) fn save(images: &Images) -> Vec<&str> {
    std::iter::once("save").chain(images.values().flat_map(Image::names)).collect()
}

/// Saves all images and loads them into fresh daemons, one for each store.
pub(crate) fn assert_archive_is_whole(daemon: &Daemon, images: &Images, lab: &Lab) {
    let from = daemon.suite;
    let archive = lab.path("all.tar");
    daemon.docker_into(save(images), &archive);
    for store in [Store::Containerd, Store::Classic] {
        let root = lab.path(&format!("loaded-{from:?}-{store:?}"));
        let other = Daemon::start(Suite::Forky, store, &root);
        other.docker_from(["load"], &archive);
        let loaded = other.observe().images();
        let when = format!("saved by {from:?}, loaded into the {store:?} store");
        assert_same(images, &loaded, Through::Archive, &when);
    }
}

/// Builds on a migrated image, pushes it, and pulls one that shares its base with some of them.
pub(crate) fn assert_store_goes_on(
    daemon: &Daemon,
    images: &Images,
    lab: &Lab,
    registry: &Registry,
) {
    let base = images.values().find(|image| image.has_shell() && !image.tags.is_empty());
    let base = base.expect("an image with a shell and a name").name();
    let dockerfile = lab.path("Dockerfile");
    let text = format!("FROM {base}\nRUN echo built on it >/built\n");
    fs::write(&dockerfile, text).expect("the lab can be written");
    daemon.docker_from(["build", "--network=none", "-t", "after/build:1", "-"], &dockerfile);
    let said = daemon.shell("after/build:1", "read said </built; echo $said");
    assert_eq!(said, "built on it\n", "an image built on {base}");

    let pushed = format!("{}/pushed:1", registry.address);
    daemon.docker(["tag", base, &pushed]);
    daemon.docker(["push", "-q", &pushed]);
    registry.judge("pushed:1");

    let later = format!("{}/lib/later:1", registry.address);
    daemon.docker(["pull", "-q", &later]);
    let said = daemon.shell(&later, "read said </etc/word; echo $said");
    assert_eq!(said, "later\n", "an image pulled into a store that has its base");
    // By name: where its layers were there before, 26.1 does not fetch them, and then does not list the image.
    daemon.docker(["rmi", &later]);
}

/// Removes every container, every image and what building left.
pub(crate) fn remove_everything(daemon: &Daemon) {
    let list = |args: [&str; 3]| -> Vec<String> {
        daemon.docker(args).split_whitespace().map(str::to_owned).collect()
    };
    let containers = list(["ps", "-aq", "--no-trunc"]);
    if !containers.is_empty() {
        daemon.docker(["rm", "-f"].into_iter().chain(containers.iter().map(String::as_str)));
    }
    daemon.docker(["builder", "prune", "-af"]);
    wait_until_none("docker rmi -f removes every image", || {
        let images = list(["images", "-aq", "--no-trunc"]);
        // One may go with another, so that it is gone when its turn comes.
        let _or_gone =
            daemon.docker_can(["rmi", "-f"].into_iter().chain(images.iter().map(String::as_str)));
        images
    });
}
