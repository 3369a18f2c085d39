//! Damaged containerd stores that were repaired, before the daemon that must live with them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tranship::format::bbolt::{self, Db, Node, Options, OwnedBucket};

use crate::path;
use crate::support::host::{Daemon, Lab, Store, Suite, check_bolt_files, text, tranship};

const META: &str = "containerd/daemon/io.containerd.metadata.v1.bolt/meta.db";
const BACKEND: &str = "containerd/daemon/io.containerd.snapshotter.v1.overlayfs/metadata.db";
const FOLDERS: &str = "containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots";

/// A name, whether the names of images can be lost with it, and the damage.
type Case = (&'static str, bool, fn(&Path));

const CASES: [Case; 6] = [
    ("no-meta-pages", false, |root| edit(root, META, |bytes| bytes[..8192].fill(0))),
    ("no-snapshotter-metas", false, |root| edit(root, BACKEND, |bytes| bytes[..8192].fill(0))),
    ("a-page-of-zeros", true, |root| {
        edit(root, META, |bytes| {
            let page = Db::open(bytes).expect("sound").root();
            assert!(page.sequence() == 0);
            let used = bbolt::check(bytes).expect("sound").pages as usize;
            bytes[used / 2 * 4096..][..4096].fill(0);
        });
    }),
    ("cut-in-half", true, |root| {
        edit(root, META, |bytes| {
            let used = bbolt::check(bytes).expect("sound").pages as usize;
            bytes.truncate(used / 2 * 4096);
        });
    }),
    ("no-labels", false, |root| {
        edit(root, META, |bytes| {
            let db = Db::open(bytes).expect("sound");
            let mut meta = bbolt::load(&db).expect("sound").into_owned();
            let blobs = meta.path_mut(&[b"v1", b"moby", b"content", b"blob"]);
            let keys: Vec<Vec<u8>> = blobs.iter().map(|(key, _)| key.to_vec()).collect();
            for key in keys {
                strip(blobs.child_mut(&key).expect("a blob"));
            }
            *bytes = bbolt::write(&meta, &Options::replacing(&db)).expect("it fits");
        });
    }),
    ("no-files", false, |root| {
        let mut folders: Vec<u64> = fs::read_dir(root.join(FOLDERS))
            .expect("folders")
            .map(|entry| entry.expect("a folder").file_name().to_string_lossy().parse())
            .map(|number| number.expect("a number"))
            .collect();
        folders.sort_unstable();
        // The first is that of the first image's base layer.
        fs::remove_dir_all(root.join(FOLDERS).join(folders[0].to_string())).expect("a folder");
    }),
];

/// Takes away the labels that keep what a blob refers to.
fn strip(blob: &mut OwnedBucket<'_>) {
    let Some(labels) = blob.child_mut(b"labels") else { return };
    let refs = labels.iter().filter(|(key, node)| {
        key.starts_with(b"containerd.io/gc.ref.") && matches!(node, Node::Value(_))
    });
    let refs: Vec<Vec<u8>> = refs.map(|(key, _)| key.to_vec()).collect();
    refs.iter().for_each(|key| drop(labels.remove(key)));
}

fn edit(root: &Path, file: &str, harm: impl FnOnce(&mut Vec<u8>)) {
    let file = root.join(file);
    let mut bytes = fs::read(&file).expect("the file");
    harm(&mut bytes);
    fs::write(&file, bytes).expect("the file");
}

struct Listed {
    ids: BTreeSet<String>,
    names: BTreeSet<String>,
    containers: BTreeSet<String>,
}

fn list(daemon: &Daemon) -> Listed {
    let lines = |text: String| text.lines().map(str::to_owned).collect();
    let of =
        |format: &str| lines(daemon.docker(["images", "-a", "--no-trunc", "--format", format]));
    Listed {
        ids: of("{{.ID}}"),
        names: of("{{.ID}} {{.Repository}}:{{.Tag}}"),
        containers: lines(daemon.docker([
            "ps",
            "-a",
            "--no-trunc",
            "--format",
            "{{.ID}} {{.Names}}",
        ])),
    }
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn a_damaged_store_that_was_repaired_is_used_by_docker() {
    let lab = Lab::new();
    let sound = lab.unpack("containerd-28");
    let first = lab.copy(&sound, "first");
    let daemon = Daemon::start(Suite::Forky, Store::Containerd, &first);
    let wanted = list(&daemon);
    daemon.stop();
    for (name, may_lose_names, damage) in CASES {
        let root = lab.copy(&sound, name);
        damage(&root);
        let output = tranship(["repair", path(&root)]);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(matches!(output.status.code(), Some(0 | 1)), "{name}: {said}");
        check_bolt_files(&root, name);
        let daemon = Daemon::start(Suite::Forky, Store::Containerd, &root);
        let found = list(&daemon);
        assert!(found.ids.is_superset(&wanted.ids), "{name}: {said}");
        assert!(may_lose_names || found.names == wanted.names, "{name}: {:?}", found.names);
        assert_eq!(found.containers, wanted.containers, "{name}");
        let run = ["run", "--rm", "--network=none", "tiny/base:1", "echo", "well"];
        assert_eq!(daemon.docker(run).trim(), "well", "{name}");
        daemon.docker(["start", "changed"]);
        daemon.stop();
        check_bolt_files(&root, name);
    }
}
