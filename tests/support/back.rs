//! A data root with a containerd store, whose images go to the classic store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::host::{Daemon, Lab, Registry, Store, Suite, exactly, text, tranship, wait_until_none};
use super::judge::{
    assert_archive_is_whole, assert_none, assert_runs, assert_same, assert_same_layers,
    assert_store_goes_on, can_be_saved, has_a_path_twice, remove_everything, save,
};
use super::observed::{Images, Through, value_differences};

/// A data root with a containerd store, and what its daemon said of it.
pub(crate) struct Back {
    pub(crate) root: PathBuf,
    pub(crate) before: Images,
    registry: Registry,
    /// Last: the registry ends before its directory.
    pub(crate) lab: Lab,
}

impl Back {
    /// Takes a root that a daemon of this suite filled, as it lay when the power went.
    pub(crate) fn fresh(suite: Suite) -> Self {
        let lab = Lab::new();
        let (root, registry) = lab.filled(suite, Store::Containerd);
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
        let daemon = Daemon::start(suite, Store::Containerd, &root);
        let before = daemon.observe().images();
        daemon.stop();
        Self { root, before, registry, lab }
    }

    /// Runs a verb that must succeed, and must leave the containerd store as it is.
    pub(crate) fn run(&self, args: &[&str]) {
        let store = self.root.join("containerd/daemon");
        let before = contents(&store);
        let done = tranship(args);
        let (out, err) = (text(&done.stdout), text(&done.stderr));
        assert_eq!(done.status.code(), Some(0), "{args:?}: {out}{err}");
        let wrote = value_differences(&before, &contents(&store));
        assert_none("the source was written to", &wrote);
    }

    /// Holds images against what was said of them before they came here.
    pub(crate) fn assert_as_before(&self, found: &Images, through: Through, when: &str) {
        assert_same_layers(&self.before, found, through, when);
    }

    /// Holds a classic store that all images went to against what was said of them, with every release.
    pub(crate) fn judge(&self, classic: &Path, through: Through) {
        for suite in [Suite::Bookworm, Suite::Trixie, Suite::Forky] {
            let when = format!("{suite:?}, in the classic store");
            let root = self.lab.copy(classic, &format!("classic-{suite:?}"));
            let daemon = Daemon::start(suite, Store::Classic, &root);
            let found = daemon.observe().images();
            self.assert_as_before(&found, through, &when);
            assert_runs(&daemon, &found);
            daemon.stop();

            let daemon = Daemon::start(suite, Store::Classic, &root);
            let again = daemon.observe().images();
            assert_same(&found, &again, Through::Directories, &format!("{when}, restarted"));
            let mut saved = can_be_saved(&again);
            // Docker checks each layer's digest as it puts its tar together.
            daemon.docker_into(save(&saved), &self.lab.path("all-saved.tar"));
            saved.retain(|_, image| !has_a_path_twice(image));
            assert_archive_is_whole(&daemon, &saved, &self.lab);
            daemon.stop();

            // Since 26 `docker save` keeps a hold of layers, and they stay after the images are removed, until a restart.
            let daemon = Daemon::start(suite, Store::Classic, &root);
            assert_store_goes_on(&daemon, &again, &self.lab, &self.registry);
            assert_commits(&daemon, &again);
            remove_everything(&daemon);
            wait_until_none("docker rmi leaves nothing of what was migrated", || {
                let mut left = folders(&root.join("overlay2"));
                left.remove("l");
                left
            });
            daemon.stop();
        }
    }
}

/// Commits a container of an image, and finds what it wrote.
fn assert_commits(daemon: &Daemon, images: &Images) {
    let image = images.values().find(|image| image.has_shell()).expect("an image with a shell");
    let write = "echo kept >/committed";
    daemon.docker(["run", "--name", "one", "--network=none", image.name(), "sh", "-c", write]);
    daemon.docker(["commit", "one", "after/commit:1"]);
    let said = daemon.shell("after/commit:1", "read said </committed; echo $said");
    assert_eq!(said, "kept\n", "a commit on {}", image.name());
}

/// Returns a containerd root as it lies on disk. Files that are shared have more names than before, and that changes
/// nothing of them.
fn contents(store: &Path) -> Value {
    fn without_links(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("link");
                fields.values_mut().for_each(without_links);
            }
            Value::Array(items) => items.iter_mut().for_each(without_links),
            _ => {}
        }
    }
    let mut found = exactly(store);
    without_links(&mut found);
    found
}

fn folders(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).expect("a directory of the lab can be read");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .expect("a directory of the lab can be read")
            .file_name()
            .to_string_lossy()
            .into_owned()
    };
    entries.map(name).collect()
}
