//! A data root whose classic store is migrated, and all that is held against it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::host::{
    Daemon, Kept, Lab, Registry, Store, Suite, check_bolt_files, exactly, kept, wait_until_none,
};
use super::judge::{
    assert_archive_is_whole, assert_none, assert_runs, assert_same, assert_store_goes_on,
    collect_garbage, remove_everything, save,
};
use super::observed::{Images, Observed, Through, value_differences};

/// What `docker export` shows of the container rather than of the image; the recordings leave it out.
pub(crate) const RUNTIME: [&str; 12] = [
    ".dockerenv",
    "dev",
    "dev/console",
    "dev/pts",
    "dev/shm",
    "etc",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "proc",
    "sys",
];

/// A data root with a classic store, and what a classic daemon said of it.
pub(crate) struct Source {
    pub(crate) root: PathBuf,
    pub(crate) before: Observed,
    registry: Registry,
    suite: Suite,
    /// What its containerd kept before anything was migrated.
    kept: Kept,
    /// The classic store, byte for byte.
    exactly: Value,
    /// Last, as it is dropped in this order: the registry ends before its directory.
    pub(crate) lab: Lab,
}

impl Source {
    /// Takes a root that a daemon of this suite filled, as it lay when the power went.
    pub(crate) fn fresh(suite: Suite) -> Self {
        let lab = Lab::new();
        let (root, registry) = lab.filled(suite, Store::Classic);
        Self::told_by(suite, lab, registry, root)
    }

    /// Takes a recorded root, as it lay when the power went.
    pub(crate) fn recorded(fixture: &str) -> Self {
        let lab = Lab::new();
        let registry = lab.registry();
        registry.seed();
        let root = lab.unpack(fixture);
        Self::told_by(Suite::Forky, lab, registry, root)
    }

    fn told_by(suite: Suite, lab: Lab, registry: Registry, root: PathBuf) -> Self {
        let daemon = Daemon::start(suite, Store::Classic, &root);
        let before = daemon.observe();
        daemon.stop();
        let (kept, exactly) = (kept(&root), classic_store(&root));
        Self { root, before, registry, suite, kept, exactly, lab }
    }

    /// Holds what the daemon said against the trees that were recorded with the root.
    pub(crate) fn assert_as_recorded(&self, fixture: &str) {
        let path = format!("{}/fixtures/roots/{fixture}.json.zst", env!("CARGO_MANIFEST_DIR"));
        let text = zstd::decode_all(File::open(path).expect("a fixture")).expect("it is zstd");
        let recorded: Value = serde_json::from_slice(&text).expect("it is JSON");
        let mut trees = self.before.exported_trees();
        for tree in trees.values_mut() {
            tree.retain(|path, _| !RUNTIME.contains(&path.as_str()));
        }
        let trees = serde_json::to_value(trees).expect("trees are JSON");
        assert_none(fixture, &value_differences(&recorded["image_tree"], &trees));
    }

    /// Returns what the containerd store of this root holds, as a daemon on a copy tells it.
    pub(crate) fn images_of_the_containerd_store(&self) -> Images {
        let root = self.lab.copy(&self.root, "before");
        Daemon::start(Suite::Forky, Store::Containerd, &root).observe().images()
    }

    /// Returns the images as they are after Docker's own way from store to store, which has none without layers.
    pub(crate) fn saved_and_loaded(&self) -> Images {
        let root = self.lab.copy(&self.root, "to-save");
        let daemon = Daemon::start(Suite::Forky, Store::Classic, &root);
        let mut images = self.before.images();
        images.retain(|_, image| image.has_layers());
        // What has no name does not get into the index that docker load reads.
        let unnamed = images.values_mut().filter(|image| image.tags.is_empty());
        for (i, image) in unnamed.enumerate() {
            let name = format!("unnamed/{i}:1");
            daemon.docker(["tag", &image.id, &name]);
            image.tags = BTreeSet::from([name]);
        }
        let archive = self.lab.path("classic.tar");
        daemon.docker_into(save(&images), &archive);
        let loaded = self.lab.path("ids-loaded");
        let loaded = Daemon::start(Suite::Forky, Store::Containerd, &loaded);
        loaded.docker_from(["load"], &archive);
        let loaded = loaded.observe().images();
        assert_eq!(loaded.len(), images.len(), "docker load took in all that docker save wrote");
        loaded
    }

    /// Holds the migrated root against what is expected of it, in every way there is.
    pub(crate) fn judge(&self, expected: &Images, through: Through) {
        let wrote = value_differences(&self.exactly, &classic_store(&self.root));
        assert_none("migrate wrote to its source", &wrote);
        check_bolt_files(&self.root, "after migrate");
        let moved = kept(&self.root);

        for suite in Suite::WITH_CONTAINERD {
            self.judge_with(suite, expected, through, &moved);
        }

        let again = Daemon::start(self.suite, Store::Classic, &self.root);
        let lost = value_differences(&self.before.lasting(), &again.observe().lasting());
        assert_none("the classic store changed", &lost);
        again.stop();
        let lost = &moved - &kept(&self.root);
        assert!(lost.is_empty(), "the classic daemon's containerd collected {lost:?}");
    }

    fn judge_with(&self, suite: Suite, expected: &Images, through: Through, moved: &Kept) {
        let root = self.lab.copy(&self.root, &format!("migrated-{suite:?}"));
        let daemon = Daemon::start(suite, Store::Containerd, &root);
        let found = daemon.observe().images();
        assert_same(expected, &found, through, &format!("{suite:?}, after migrate"));
        assert_runs(&daemon, &found);
        collect_garbage(&daemon, &self.lab);
        daemon.stop();
        check_bolt_files(&root, "after its daemon used it");

        let daemon = Daemon::start(suite, Store::Containerd, &root);
        let again = daemon.observe().images();
        let when = format!("{suite:?}, after garbage was collected and a restart");
        assert_same(&found, &again, Through::Directories, &when);
        assert_archive_is_whole(&daemon, &again, &self.lab);
        assert_store_goes_on(&daemon, &again, &self.lab, &self.registry);
        remove_everything(&daemon);
        wait_until_none("docker rmi leaves nothing of what was migrated", || {
            let left = &kept(&root) - &self.kept;
            // Of building, Docker keeps a history, in blobs that no image has.
            let its_own = |name: &String| name.starts_with("blob") && !moved.contains(name);
            left.into_iter().filter(|name| !its_own(name)).collect::<Kept>()
        });
        daemon.stop();
        check_bolt_files(&root, "after everything was removed");
    }
}

/// Returns the classic store of a data root as it lies on disk.
fn classic_store(root: &Path) -> Value {
    ["image", "overlay2"].iter().map(|dir| exactly(&root.join(dir))).collect()
}
