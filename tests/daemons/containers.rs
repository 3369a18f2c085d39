//! Containers that are migrated, before the daemons that must go on with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::host::{
    Daemon, Lab, Store, Suite, check_bolt_files, text, tranship, wait_until_none,
};
use super::support::judge::assert_none;
use super::support::observed::{Observed, value_differences};

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_of_docker_20_move() {
    let moved = Moved::fresh(Suite::Bookworm, Store::Classic);
    migrate(&moved.root, Store::Containerd);
    moved.judge(Suite::Forky, Store::Containerd);
    moved.go_on(Suite::Forky, Store::Containerd);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_of_docker_26_move_and_come_back() {
    Moved::fresh(Suite::Trixie, Store::Classic).both_ways();
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_of_docker_28_move_and_come_back() {
    Moved::fresh(Suite::Forky, Store::Classic).both_ways();
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_of_a_containerd_store_of_docker_26_move_and_come_back() {
    Moved::fresh(Suite::Trixie, Store::Containerd).both_ways();
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_of_a_containerd_store_of_docker_28_move_and_come_back() {
    Moved::fresh(Suite::Forky, Store::Containerd).both_ways();
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn a_move_of_containers_is_undone() {
    let moved = Moved::fresh(Suite::Forky, Store::Classic);
    migrate(&moved.root, Store::Containerd);
    let done = tranship(["migrate", "--undo", path(&moved.root)]);
    assert_eq!(done.status.code(), Some(0), "{}{}", text(&done.stdout), text(&done.stderr));
    moved.judge(Suite::Forky, Store::Classic);
    moved.go_on(Suite::Forky, Store::Classic);
}

/// The recorded root was switched to the containerd store, and used there, while the classic one kept its containers.
#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_that_a_switch_has_hidden_come_back() {
    let lab = Lab::new();
    let root = lab.unpack("hidden-28");
    let see = |store| {
        let daemon = Daemon::start(Suite::Forky, store, &root);
        let seen = daemon.observe();
        daemon.stop();
        seen
    };
    let [hidden, shown] = [Store::Classic, Store::Containerd].map(see);
    migrate(&root, Store::Containerd);
    check_bolt_files(&root, "hidden containers moved");
    let after = see(Store::Containerd).containers();
    for before in [&hidden, &shown] {
        for (what, values) in before.containers().as_object().into_iter().flatten() {
            let ours = |value: &Value| -> Value {
                let fields = value.as_object().into_iter().flatten();
                let fields = fields.filter(|(key, _)| before.container_ids().contains(key));
                fields.map(|(key, value)| (key.clone(), value.clone())).collect()
            };
            assert_none(what, &value_differences(&ours(values), &ours(&after[what])));
        }
    }
    assert_eq!((hidden.container_ids().len(), shown.container_ids().len()), (6, 1));
    assert_eq!(after["container"].as_object().map(serde_json::Map::len), Some(7));
}

/// A data root with containers of all sorts, and what its daemon said of them.
struct Moved {
    suite: Suite,
    store: Store,
    root: PathBuf,
    before: Observed,
    /// Gone with this.
    _lab: Lab,
}

impl Moved {
    /// Takes a root that a daemon of this suite filled, as it lay when the power went.
    fn fresh(suite: Suite, store: Store) -> Self {
        let lab = Lab::new();
        let (root, _registry) = lab.filled(suite, store);
        let daemon = Daemon::start(suite, store, &root);
        let before = daemon.observe();
        daemon.stop();
        Self { suite, store, root, before, _lab: lab }
    }

    /// In place: containers know the paths of their root.
    fn both_ways(&self) {
        let there = other(self.store);
        migrate(&self.root, there);
        self.judge(self.suite, there);
        migrate(&self.root, self.store);
        self.judge(self.suite, self.store);
        self.go_on(self.suite, self.store);
    }

    /// Holds what a daemon says of the containers against what was said before.
    fn judge(&self, suite: Suite, store: Store) {
        let when = format!("{suite:?} with {store:?}");
        if store == Store::Containerd {
            check_bolt_files(&self.root, &when);
        }
        let daemon = Daemon::start(suite, store, &self.root);
        let after = daemon.observe();
        let wrong = value_differences(&self.before.containers(), &after.containers());
        assert_none(&when, &wrong);
        assert!(after.container_names().len() > 4, "{when}");
        daemon.stop();
    }

    /// A daemon starts and commits the containers, and leaves nothing of them when they are removed.
    fn go_on(&self, suite: Suite, store: Store) {
        let when = format!("{suite:?} with {store:?}");
        let daemon = Daemon::start(suite, store, &self.root);
        for name in &self.before.container_names() {
            daemon.docker(["start", name]);
            let committed = format!("after/{}:1", name.to_lowercase());
            daemon.docker(["commit", name, &committed]);
            daemon.docker(["rmi", &committed]);
            daemon.docker(["rm", "-f", name]);
        }
        daemon.stop();
        let daemon = Daemon::start(suite, store, &self.root);
        let ids = self.before.container_ids();
        let left = || left(&self.root, store, &ids);
        wait_until_none(&format!("{when}: docker rm leaves nothing"), left);
        daemon.stop();
    }
}

/// Returns what of the containers `ids` is in the store. A committed image keeps its container's init snapshot.
fn left(root: &Path, store: Store, ids: &[String]) -> BTreeSet<String> {
    if store == Store::Classic {
        let dir = root.join("image/overlay2/layerdb/mounts");
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
        return names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    }
    let file = root.join("containerd/daemon/io.containerd.snapshotter.v1.overlayfs/metadata.db");
    let bytes = std::fs::read(file).expect("the lab can be read");
    let db = tranship::format::bbolt::Db::open(&bytes).expect("sound");
    let all = tranship::format::bbolt::load(&db).expect("sound");
    let names = all.at(&[b"v1", b"snapshots"]).into_iter().flat_map(|all| all.iter());
    let names = names.map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    let left: BTreeSet<_> = names.filter(|name| ids.iter().any(|id| name.ends_with(id))).collect();
    left
}

fn other(store: Store) -> Store {
    match store {
        Store::Classic => Store::Containerd,
        Store::Containerd => Store::Classic,
    }
}

fn migrate(root: &Path, to: Store) {
    let to = if to == Store::Classic { "classic" } else { "containerd" };
    let verb = ["migrate", path(root), "--to", to, "--all", "--json"];
    let done = tranship(verb);
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{out}{err}");
    let report: Value = serde_json::from_str(&out).expect("it prints JSON");
    let stays = report["stays"].to_string();
    assert!(!stays.contains("container"), "{stays}");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the lab's paths are text")
}
