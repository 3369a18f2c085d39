//! Room that is given back, before the daemons that must go on with what is left.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tranship::digest::Digest;

use crate::path;
use crate::support::host::{
    Daemon, Kept, Lab, Registry, Store, Suite, check_bolt_files, exactly, kept, run, text, tranship,
};
use crate::support::judge::{
    assert_none, assert_runs, assert_same_layers, assert_store_goes_on, can_be_saved,
    collect_garbage, save,
};
use crate::support::observed::{Images, Observed, Through, value_differences};

const BLOBS: &str = "containerd/daemon/io.containerd.content.v1.content/blobs/sha256";
const FOLDERS: &str = "containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots";

/// The recorded root goes to the containerd store, and the classic one goes; then what a switch left, what nothing names,
/// and what is there twice.
#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn docker_goes_on_without_the_classic_store() {
    let old = Old::recorded("classic-28", Store::Classic);
    migrate(&old.root, "containerd");
    old.put_aside_and_back();
    let went = old.reclaim(&["--store", "classic"]);
    assert!(went["stays"].to_string().contains("layers of the build cache"), "{went}");
    old.judge_new(Store::Classic);
    let went = old.reclaim(&["--store", "classic", "--build-cache"]);
    assert_eq!(codes(&went), ["build-cache", "store-layers", "store-records"].into(), "{went}");
    assert_eq!([old.has("overlay2"), old.has("image/overlay2")], [false; 2]);
    let went = old.reclaim(&["--old-switch-leases"]);
    assert!(codes(&went).contains("lease"), "{went}");
    remove_orphans(&old.root, &plant(&old.root, Store::Containerd));

    check_bolt_files(&old.root, "after the classic store went");
    let there = kept(&old.root);
    let daemon = old.start(Store::Containerd);
    let found = old.judge(&daemon, Through::Directories);
    collect_garbage(&daemon, &old.lab);
    assert_nothing_lost(&there, &old.root);
    start_all(&daemon);
    daemon.docker_into(save(&found), &old.lab.path("all.tar"));
    assert_store_goes_on(&daemon, &found, &old.lab, &old.registry);
    daemon.docker(["rmi", "after/build:1"]);
    daemon.docker(["builder", "prune", "-af"]);
    let last = daemon.observe();
    daemon.stop();
    old.judge_without_blobs(&found, &last);
}

/// The recorded root goes to the classic store as far as that can keep it, and the containerd one goes.
#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn docker_goes_on_without_the_containerd_store() {
    let old = Old::recorded("containerd-28", Store::Containerd);
    migrate(&old.root, "classic");
    let store = old.root.join("containerd/daemon");
    let before = exactly(&store);
    let refused = tranship(["reclaim", path(&old.root), "--store", "containerd", "--json"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    let plan = json(&refused.stdout);
    assert!(plan["unverified"].as_array().is_some_and(|all| !all.is_empty()), "{plan}");
    assert_none("refused", &value_differences(&before, &exactly(&store)));

    old.put_aside_and_back();
    old.reclaim(&["--store", "containerd", "--force-unverified"]);
    remove_orphans(&old.root, &plant(&old.root, Store::Classic));
    check_bolt_files(&old.root, "after the containerd store went");
    let later = old.lab.copy(&old.root, "later");
    old.judge_new(Store::Containerd);

    let daemon = old.start(Store::Classic);
    let found = old.judge(&daemon, Through::Tars);
    start_all(&daemon);
    daemon.docker_into(save(&can_be_saved(&found)), &old.lab.path("all.tar"));
    assert_store_goes_on(&daemon, &found, &old.lab, &old.registry);
    daemon.stop();

    let daemon = Daemon::start(Suite::Bookworm, Store::Classic, &later);
    assert_same_layers(&old.images, &daemon.observe().images(), Through::Tars, "Docker 20.10");
    daemon.stop();
}

/// Both stores are in use, and the image builder keeps in each what no image has. It forgets that in one store when it
/// works in the other, as Docker has it.
#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn docker_goes_on_with_both_stores_when_orphans_are_gone() {
    let lab = Lab::new();
    let root = lab.unpack("hidden-28");
    for store in [Store::Classic, Store::Containerd] {
        let daemon = Daemon::start(Suite::Forky, store, &root);
        let built = build(&daemon, &lab, "tiny/base:1");
        daemon.docker(["rmi", "built:1"]);
        let before = daemon.observe();
        // The power goes: there is no order in what is left.
        drop(daemon);
        let planted = [Store::Classic, Store::Containerd].map(|store| plant(&root, store));
        remove_orphans(&root, &planted.concat());
        check_bolt_files(&root, "after orphans went");

        let daemon = Daemon::start(Suite::Forky, store, &root);
        let again = build(&daemon, &lab, "tiny/base:1");
        assert_eq!(again, built, "{store:?}: what the image builder keeps");
        daemon.docker(["rmi", "built:1"]);
        let again = daemon.observe();
        let lost = value_differences(&before.lasting(), &again.lasting());
        assert_none(&format!("{store:?} without orphans"), &lost);
        assert_runs(&daemon, &again.images());
        start_all(&daemon);
        daemon.stop();
    }
}

/// A recorded root whose store is to go, and what its daemon said of it.
struct Old {
    root: PathBuf,
    store: Store,
    before: Observed,
    images: Images,
    registry: Registry,
    /// Last: the registry ends before its directory.
    lab: Lab,
}

impl Old {
    fn recorded(fixture: &str, store: Store) -> Self {
        let lab = Lab::new();
        let registry = lab.registry();
        registry.seed();
        let root = lab.unpack(fixture);
        let daemon = Daemon::start(Suite::Forky, store, &root);
        let before = daemon.observe();
        daemon.stop();
        let images = before.images();
        Self { root, store, before, images, registry, lab }
    }

    fn start(&self, store: Store) -> Daemon {
        Daemon::start(Suite::Forky, store, &self.root)
    }

    fn has(&self, name: &str) -> bool {
        self.root.join(name).exists()
    }

    fn reclaim(&self, what: &[&str]) -> Value {
        reclaim(&self.root, what)
    }

    /// Puts the store aside and takes it back: it lies there as before, and its daemon shows it.
    fn put_aside_and_back(&self) {
        let name = if self.store == Store::Classic { "classic" } else { "containerd" };
        let folders = ["image", "overlay2", "containerd/daemon"].map(|name| self.root.join(name));
        // What is taken out of a folder and put back changes the time of that.
        let look =
            || -> Value { folders.iter().map(|folder| but_times_of_folders(folder)).collect() };
        let before = look();
        let args = ["reclaim", path(&self.root), "--store", name, "--force-unverified", "--keep"];
        let done = tranship(args.iter().chain(&["--json"]));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let number = json(&done.stdout)["undo"].to_string();
        assert!(!value_differences(&before, &look()).is_empty(), "nothing was put aside");
        let done = tranship(["undo", path(&self.root), &number]);
        assert_eq!(done.status.code(), Some(0), "{}{}", text(&done.stdout), text(&done.stderr));
        assert_none("undone", &value_differences(&before, &look()));
    }
}

impl Old {
    /// Holds images and containers against what was said of them before.
    fn judge(&self, daemon: &Daemon, through: Through) -> Images {
        let after = daemon.observe();
        let changed = value_differences(&self.before.containers(), &after.containers());
        assert_none("containers", &changed);
        let found = after.images();
        assert_same_layers(&self.images, &found, through, "images");
        assert_runs(daemon, &found);
        found
    }

    /// Lets packed layers go: all runs as before, and what is said to stop working stops.
    fn judge_without_blobs(&self, images: &Images, last: &Observed) {
        let went = self.reclaim(&["--blobs"]);
        assert_eq!(codes(&went), ["blob"].into(), "{went}");
        check_bolt_files(&self.root, "without packed layers");
        let stops = |what| assert!(went["losses"].to_string().contains(what), "{went}");
        let listed = |daemon: &Daemon| daemon.docker(["images", "-aq"]).lines().count();

        let older = self.lab.copy(&self.root, "older");
        let daemon = Daemon::start(Suite::Trixie, Store::Containerd, &older);
        assert_runs(&daemon, images);
        stops("docker images of Docker 26");
        assert_eq!(listed(&daemon), 0, "Docker 26.1 lists what has its packed layers");
        drop(daemon);

        let there = kept(&self.root);
        let daemon = self.start(Store::Containerd);
        let changed = value_differences(&last.containers(), &daemon.observe().containers());
        assert_none("containers without packed layers", &changed);
        assert_runs(&daemon, images);
        assert_eq!(
            daemon.shell("tiny/base:1", "echo $SEED"),
            "1\n",
            "what the image is to run with"
        );
        start_all(&daemon);
        collect_garbage(&daemon, &self.lab);
        assert_nothing_lost(&there, &self.root);
        assert!(listed(&daemon) > 0, "Docker 28.5 lists what has a name");
        stops("docker save");
        assert!(!daemon.docker_can(["save", "-o", "/dev/null", "tiny/base:1"]));
        self.pulls(&daemon);
        daemon.stop();
        check_bolt_files(&self.root, "after packed layers went");
    }

    /// Has a daemon begin anew in the store that went.
    fn judge_new(&self, store: Store) {
        let root = self.lab.copy(&self.root, "new");
        let daemon = Daemon::start(Suite::Forky, store, &root);
        assert_eq!(daemon.docker(["images", "-aq"]), "", "the {store:?} store went");
        let image = self.pulls(&daemon);
        build(&daemon, &self.lab, &image);
        daemon.stop();
        check_bolt_files(&root, "after images came to a store that had gone");
    }

    /// Fetches an image whole: it runs and is saved. Returns its name.
    fn pulls(&self, daemon: &Daemon) -> String {
        let image = format!("{}/lib/later:1", self.registry.address);
        daemon.docker(["pull", "-q", &image]);
        let said = daemon.shell(&image, "read said </etc/word; echo $said");
        assert_eq!(said, "later\n");
        daemon.docker_into(["save", &image], &self.lab.path("pulled.tar"));
        image
    }
}

fn but_times_of_folders(dir: &Path) -> Value {
    let mut found = exactly(dir);
    let nodes = found.as_object_mut().into_iter().flatten();
    for (_, node) in nodes.filter(|(_, node)| node[0] == "d") {
        node[5].take();
    }
    found
}

/// Runs a verb of tranship that must succeed.
fn migrate(root: &Path, to: &str) {
    let done = tranship(["migrate", path(root), "--to", to, "--all", "-q"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
}

/// Has things removed, and holds what is said to be freed against what `du` says.
fn reclaim(root: &Path, what: &[&str]) -> Value {
    let before = du(root);
    let done = tranship([&["reclaim", path(root), "--json"], what].concat());
    assert_eq!(done.status.code(), Some(0), "{what:?}: {}", text(&done.stderr));
    let done = json(&done.stdout);
    let freed = before.checked_sub(du(root));
    assert_eq!([&done["bytes"], &done["freed"]].map(Value::as_u64), [freed; 2], "{what:?}");
    done
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("it prints JSON")
}

fn du(root: &Path) -> u64 {
    let said = run(Command::new("du").args(["-s", "-B1"]).arg(root));
    said.split('\t').next().and_then(|bytes| bytes.parse().ok()).expect("du prints a number")
}

fn codes(report: &Value) -> BTreeSet<&str> {
    let waste = report["waste"].as_array().into_iter().flatten();
    waste.filter_map(|one| one["code"].as_str()).collect()
}

/// Puts into a store what nobody knows; returns what should go of it.
fn plant(root: &Path, store: Store) -> Vec<PathBuf> {
    let file = |folder: PathBuf, name: &str| {
        let at = folder.join(name);
        fs::create_dir_all(at.parent().expect("a folder")).expect("the lab can be written");
        fs::write(at, "nobody knows this\n").expect("the lab can be written");
        folder
    };
    let lost = root.join("overlay2").join(Digest::of(b"lost").hex());
    match store {
        Store::Classic => {
            let link = root.join("overlay2/l/NOBODYKNOWSTHISSHORTNAME00");
            let target = Path::new("..").join(lost.file_name().expect("a name")).join("diff");
            symlink(target, &link).expect("the lab can be written");
            vec![file(lost, "diff/file"), link]
        }
        Store::Containerd => {
            let folders = root.join(FOLDERS);
            let blob = Digest::of(b"nobody knows this\n").hex();
            file(root.join(BLOBS), &blob);
            let snapshots = ["4711/fs", "new-4712/fs"].map(|name| folders.join(name));
            let snapshots = snapshots.map(|folder| file(folder, "file"));
            let snapshots = snapshots.iter().filter_map(|folder| folder.parent());
            snapshots.map(Path::to_owned).chain([root.join(BLOBS).join(blob)]).collect()
        }
    }
}

/// Has orphans removed, all that were planted among them.
fn remove_orphans(root: &Path, planted: &[PathBuf]) {
    let went = reclaim(root, &["--orphans"]);
    for one in planted {
        let is_told = went["waste"].to_string().contains(path(one));
        assert!(is_told && one.symlink_metadata().is_err(), "{}: {went}", one.display());
    }
}

fn assert_nothing_lost(before: &Kept, root: &Path) {
    let lost = before - &kept(root);
    assert!(lost.is_empty(), "collected as garbage: {lost:?}");
}

/// Builds an image of what the image builder keeps, if it keeps it; returns what tells one build from another.
fn build(daemon: &Daemon, lab: &Lab, base: &str) -> String {
    let dockerfile = lab.path("Dockerfile");
    let text = "
        RUN --mount=type=cache,target=/cache read id </proc/sys/kernel/random/uuid; echo $id >/cache/id
        RUN --mount=type=cache,target=/cache read a </cache/id; read b </proc/sys/kernel/random/uuid; echo $a $b >/ids";
    fs::write(&dockerfile, format!("FROM {base}{text}")).expect("the lab can be written");
    daemon.docker_from(["build", "--network=none", "-t", "built:1", "-"], &dockerfile);
    daemon.shell("built:1", "read ids </ids; echo $ids")
}

/// Starts all containers, and ends them at once: none of them heeds being asked.
fn start_all(daemon: &Daemon) {
    let all = daemon.docker(["ps", "-a", "--format", "{{.Names}}"]);
    for verb in [&["start"][..], &["stop", "-t", "0"]] {
        daemon.docker(verb.iter().copied().chain(all.lines()));
    }
}
