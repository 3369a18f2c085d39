//! Directories of this machine: what the kernel makes of it all.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tranship::error::{ErrorKind, Result};
use tranship::op::transfer::Outcome;
use tranship::store::Source as _;
use tranship::store::overlay2::Overlay2;
use tranship::tree::{Live, LiveSink, Sink, Snapshots, Tree, TreePath, path};

use crate::support::Migration;
use crate::support::classic::Classic;
use crate::support::moved::moved;
use crate::support::seen::{FOLDERS, leftovers, listing, look};

/// Nothing that only root can make.
const STORE: &str = "
diff base
  dir  bin
  file bin/sh shell*2000
  hard bin/ash bin/sh
  link bin/bash sh
diff top
  dir  etc
  file etc/passwd root:x:0:0
image base = base
  name base:1
image top = base + top
  name top:1
";

/// A data root, a target, and a place that nothing must touch.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(TempDir::new().expect("a temporary folder"));
        for dir in ["docker", "containerd", "outside"] {
            fs::create_dir(host.at(dir)).expect("a free name");
        }
        fs::write(host.at("outside/secret"), "root:x:0:0").expect("a free name");
        Classic::of(STORE).write(&LiveSink::open(&host.at("docker")).expect("it was made"));
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn source(&self) -> Result<Overlay2> {
        let tree: Arc<dyn Tree> = Arc::new(Live::open(&self.at("docker"))?);
        Overlay2::open(tree, "overlay2")
    }

    fn migrate(&self, migration: &Migration) -> Result<Outcome> {
        let sink: Arc<dyn Sink> = Arc::new(LiveSink::open(&self.at("containerd"))?);
        migration.run(&self.source()?, &sink)
    }

    fn tree(&self, name: &str) -> Live {
        Live::open(&self.at(name)).expect("a folder")
    }

    /// Puts a link to the place outside where `name` is, which goes there.
    fn divert(&self, name: &str) {
        let outside = self.at("outside/real");
        if self.at(name).exists() {
            fs::rename(self.at(name), &outside).expect("a free name");
        } else {
            fs::create_dir(&outside).expect("a free name");
        }
        symlink(&outside, self.at(name)).expect("a free name");
    }
}

fn lines(tree: &Live) -> Vec<String> {
    listing(tree, TreePath::ROOT)
}

#[test]
fn a_target_on_disk_is_that_in_memory() {
    for snapshots in [Snapshots::Copy, Snapshots::Auto, Snapshots::Link] {
        let host = Host::new();
        let migration = Migration { snapshots, ..Migration::default() };
        host.migrate(&migration).expect("a sound store");
        let seen = look(&host.tree("containerd")).expect("a sound target");
        assert_eq!(leftovers(&host.tree("containerd")), [""; 0]);
        let memory = moved(STORE, &Migration::default()).seen;
        assert_eq!(seen.records, memory.records, "{snapshots:?}");
        assert_eq!(seen.blobs, memory.blobs, "{snapshots:?}");
        let names = |seen: &crate::support::seen::Seen| -> Vec<String> {
            // The folders around them belong to whoever owns the root.
            let files = seen.snapshots.values().flat_map(|snapshot| &snapshot.files);
            let files = files.filter(|line| line.starts_with("fs"));
            files.map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(names(&seen), names(&memory), "{snapshots:?}");
        let again = host.migrate(&migration).expect("a sound target");
        assert_eq!(again, Outcome::default(), "{snapshots:?}");
    }
}

#[test]
fn linked_files_are_the_same_and_stay_as_they_were() {
    let host = Host::new();
    let without_links = |line: String| -> String {
        line.split(' ').filter(|word| !word.starts_with('x')).collect::<Vec<_>>().join(" ")
    };
    let state = |host: &Host| -> Vec<String> {
        lines(&host.tree("docker")).into_iter().map(without_links).collect()
    };
    let before = state(&host);
    host.migrate(&Migration { snapshots: Snapshots::Link, ..Migration::default() })
        .expect("one file system");
    assert_eq!(state(&host), before, "only the number of names may change");
    let inode = |path: &Path| fs::metadata(path).expect("it is there").ino();
    let source = host.at(&format!("docker/{}/bin/sh", Classic::of(STORE).files(&["base"])));
    let target = host.at("containerd").join(FOLDERS).join("1/fs/bin/sh");
    assert_eq!(inode(&source), inode(&target));
}

#[test]
fn links_in_the_place_of_folders_are_not_followed() {
    let classic = Classic::of(STORE);
    for name in [
        "image".to_owned(),
        "image/overlay2".to_owned(),
        "image/overlay2/imagedb".to_owned(),
        "image/overlay2/layerdb/sha256".to_owned(),
        format!("image/overlay2/layerdb/sha256/{}", classic.chain(&["base"]).hex()),
        "overlay2".to_owned(),
        classic.files(&["base"]),
        format!("{}/bin", classic.files(&["base"])),
    ] {
        let host = Host::new();
        host.divert(&format!("docker/{name}"));
        match host.migrate(&Migration::default()) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{name}: {error}");
                let place = error.place().expect("it has one").to_string();
                assert!(place.contains(&name[..5]), "{name}: {error}");
            }
            Ok(outcome) => {
                let store = host.source().expect("it was read");
                let found = store.inventory().findings.len() + outcome.findings.len();
                assert!(found > 0, "{name}: nothing is said of it");
                assert_eq!(outcome.moved.len(), 0, "{name}: what lies outside arrives");
            }
        }
    }
}

#[test]
fn nothing_is_written_through_links() {
    for name in [
        "tranship",
        "io.containerd.content.v1.content",
        "io.containerd.metadata.v1.bolt",
        "io.containerd.snapshotter.v1.overlayfs",
    ] {
        let host = Host::new();
        host.divert(&format!("containerd/{name}"));
        let error = host.migrate(&Migration::default()).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Io, "{name}: {error}");
        let outside = host.at("outside/real");
        assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 0, "{name}");
    }
}

#[test]
fn pipes_do_not_make_anybody_wait() {
    let classic = Classic::of(STORE);
    let files = [
        "image/overlay2/repositories.json".to_owned(),
        classic.content("base"),
        classic.layerdb(&["base"], "diff"),
        classic.layerdb(&["base"], "tar-split.json.gz"),
        format!("{}/bin/sh", classic.files(&["base"])),
    ];
    for name in files {
        let host = Host::new();
        let sink = LiveSink::open(&host.at("docker")).expect("it is there");
        crate::bad_input::instead(&sink, &name, &tranship::tree::Special::Fifo);
        let outcome = host.migrate(&Migration::default()).expect("what is sound arrives");
        let store = host.source().expect("it was read");
        let found = store.inventory().findings.iter().chain(&outcome.findings);
        let said = found.filter(|finding| finding.what.contains("not a regular file")).count();
        assert_eq!(said, 1, "{name}");
    }
}

#[test]
fn the_root_of_a_sink_cannot_be_removed() {
    let host = Host::new();
    let sink = LiveSink::open(&host.at("outside")).expect("it is there");
    sink.remove(TreePath::ROOT).expect_err("all that is in it would go");
    assert!(host.at("outside/secret").exists());
    sink.remove(path("secret/below")).expect_err("a file is no folder");
    sink.remove(path("nothing")).expect("it is not there");
}
