//! The command on a live data root: a recorded one, unpacked with its devices, owners and attributes.
//!
//! Run as root: `cargo test --test rooted -- --ignored`

#![expect(clippy::disallowed_methods, reason = "tests look at real files and run commands")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;
use tranship::format::tar::watch;
use tranship::store::Source as _;
use tranship::store::overlay2::Overlay2;
use tranship::store::unpack::{Rules, Same, Unpacker};
use tranship::tree::{Live, LiveSink, Sink as _, TreePath, path};

#[path = "support/disk/mod.rs"]
mod disk;
#[path = "support/ext4.rs"]
mod ext4;
#[path = "rooted/failing/mod.rs"]
mod failing;
#[path = "rooted/overlay.rs"]
mod overlay;
#[path = "support/random.rs"]
mod random;
#[path = "rooted/reading.rs"]
mod reading;
#[path = "rooted/reclaimed.rs"]
mod reclaimed;
#[path = "rooted/usage.rs"]
mod usage;
#[path = "rooted/volumes.rs"]
mod volumes;

const WHY: &str = "the test's own folder";

/// The recorded classic root, unpacked anew.
struct Root {
    folder: TempDir,
}

impl Root {
    fn unpack() -> Self {
        Self::unpack_at("docker")
    }

    fn unpack_at(place: &str) -> Self {
        let folder = TempDir::new_in("/var/tmp").expect(WHY);
        let root = folder.path().join(place);
        fs::create_dir_all(&root).expect(WHY);
        let fixture =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots/classic-28.tar.zst");
        let tar = Command::new("tar")
            .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=none", "-xpf"])
            .arg(fixture)
            .arg("-C")
            .arg(&root)
            .status()
            .expect("tar can be started");
        assert!(tar.success(), "unpacking needs root");
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("docker")
    }

    fn staging(&self) -> PathBuf {
        self.path().join("containerd/daemon/tranship")
    }

    fn command(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
        command.arg(verb).arg(self.path()).args(more);
        command
    }

    fn migrate(&self, more: &[&str]) -> Output {
        let args = [&["--to", "containerd"], more].concat();
        self.command("migrate", &args).output().expect("the command can be started")
    }

    fn images(&self, store: &str) -> BTreeSet<(String, String)> {
        let output = self.command("images", &["-a", "--json"]).output().expect("it can be started");
        let rows: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
        let rows = rows.as_array().cloned().unwrap_or_default();
        let rows = rows.iter().filter(|row| row["store"] == store);
        rows.map(|row| (row["id"].to_string(), row["names"].to_string())).collect()
    }
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Everything below `folder` but what may change while Docker is stopped: path, type, mode, owner,
/// size, time and target.
fn listing(folder: &Path) -> BTreeSet<String> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect(WHY));
    let line = |entry: walkdir::DirEntry| {
        let found = entry.metadata().expect(WHY);
        let link = fs::read_link(entry.path()).unwrap_or_default();
        let size = if found.is_dir() { 0 } else { found.len() };
        let (mode, owner) = (found.mode(), (found.uid(), found.gid()));
        let (time, device) = ((found.mtime(), found.mtime_nsec()), found.rdev());
        format!("{entry:?} {mode:o} {owner:?} {size} {time:?} {device} {link:?}")
    };
    entries.map(line).collect()
}

/// Returns what `du` says that all of `folders` take together, in bytes.
fn du(root: &Path, folders: &[&str]) -> u64 {
    let mut command = Command::new("du");
    command.args(["-c", "-B1", "-s"]).args(folders).current_dir(root);
    let output = command.output().expect("du can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let total = text.lines().last().and_then(|line| line.split('\t').next()).unwrap_or_default();
    total.parse().expect("du prints numbers")
}

#[test]
#[ignore = "needs root"]
fn a_store_takes_as_much_room_as_du_says() {
    let root = Root::unpack();
    assert!(root.migrate(&[]).status.success());
    let output = root.command("status", &["--json"]).output().expect("it can be started");
    let status: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    for (store, folders) in
        [("classic", &["image/overlay2", "overlay2"][..]), ("containerd", &["containerd/daemon"])]
    {
        let rows = status["roots"][0]["stores"].as_array().expect("stores");
        let row = rows.iter().find(|row| row["store"] == store).expect(store);
        assert_eq!(row["bytes"], du(&root.path(), folders), "{store}");
        assert_eq!(row["bytes_estimated"], false, "{store}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_migration_beside_the_source_leaves_it_as_it_was() {
    let root = Root::unpack();
    let [images, files] = ["image", "overlay2"].map(|name| listing(&root.path().join(name)));
    let first = root.migrate(&[]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert_eq!(listing(&root.path().join("image")), images);
    assert_eq!(listing(&root.path().join("overlay2")), files);
    assert_eq!(root.images("containerd").len(), 11);
    assert!(!root.staging().exists(), "the staging folder is gone");
    let store = listing(&root.path().join("containerd"));
    let second = root.migrate(&[]);
    assert_eq!(second.status.code(), Some(0), "{}", err(&second));
    assert!(String::from_utf8_lossy(&second.stdout).contains("Nothing to do"));
    assert_eq!(listing(&root.path().join("containerd")), store, "a second run changes nothing");
    let all = root.migrate(&["--all"]);
    assert_eq!(all.status.code(), Some(0), "{}", err(&all));
    assert_eq!(root.images("containerd").len(), 12);
}

#[test]
#[ignore = "needs root"]
fn a_running_daemon_stops_everything_before_it_starts() {
    let root = Root::unpack();
    let locks = ["volumes/metadata.db", "containerd/daemon/io.containerd.metadata.v1.bolt/meta.db"];
    for lock in locks {
        let file = File::open(root.path().join(lock)).expect("the recorded root has it");
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).expect("nobody has it");
        let before = listing(&root.path());
        let refused = root.migrate(&[]);
        assert_eq!(refused.status.code(), Some(3), "{lock}");
        assert!(err(&refused).contains(lock), "{}", err(&refused));
        assert!(err(&refused).contains("systemctl stop"), "{}", err(&refused));
        assert_eq!(listing(&root.path()), before);
        let status = root.command("status", &["--json"]).output().expect("it can be started");
        let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
        let stores = status["roots"][0]["stores"].as_array().cloned().unwrap_or_default();
        let is_open = |store: &&Value| store["open_by_daemon"] == true;
        assert_eq!(stores.iter().filter(is_open).count(), 1, "{lock}: {stores:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn switching_changes_one_setting_and_keeps_the_old_file() {
    let root = Root::unpack();
    let config = root.folder.path().join("daemon.json");
    let old = "{\n  \"storage-driver\": \"overlay2\",\n  \"log-opts\": {\"max-size\": \"10m\"},\n  \"mtu\": 1450\n}\n";
    fs::write(&config, old).expect(WHY);
    let no_config = root.migrate(&["--switch"]);
    assert_eq!(no_config.status.code(), Some(3), "{}", err(&no_config));
    let config_text = config.to_str().expect("a plain path");
    let done = root.migrate(&["--switch", "--daemon-config", config_text]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let new: Value = serde_json::from_slice(&fs::read(&config).expect(WHY)).expect("JSON");
    let wanted = serde_json::json!({
        "log-opts": {"max-size": "10m"}, "mtu": 1450, "features": {"containerd-snapshotter": true}
    });
    assert_eq!(new, wanted);
    let kept = config.with_file_name("daemon.json.before-tranship");
    assert_eq!(fs::read_to_string(kept).expect("the old file is kept"), old);
}

#[test]
#[ignore = "needs root"]
fn a_system_is_migrated_and_switched_as_a_whole() {
    let root = Root::unpack_at("var/lib/docker");
    let system = root.folder.path();
    for (round, place) in [system.to_owned(), system.join("var/lib/docker")].iter().enumerate() {
        let done = Command::new(env!("CARGO_BIN_EXE_tranship"))
            .arg("migrate")
            .arg(place)
            .args(["--to", "containerd", "--switch", "--json"])
            .output()
            .expect("the command can be started");
        assert_eq!(done.status.code(), Some(0), "{}", err(&done));
        let done: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        let actions = done["images"].as_array().cloned().unwrap_or_default();
        let wanted = if round == 0 { "add" } else { "present" };
        assert!(actions.iter().all(|image| image["action"] == wanted), "{actions:?}");
        let config = fs::read_to_string(system.join("etc/docker/daemon.json")).expect("it is made");
        let config: Value = serde_json::from_str(&config).expect("JSON");
        let features = serde_json::json!({"features": {"containerd-snapshotter": true}});
        assert_eq!(config, features);
    }
    let status = Command::new(env!("CARGO_BIN_EXE_tranship"))
        .args(["status", "--json"])
        .arg(system)
        .output()
        .expect("the command can be started");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["roots"][0]["next_start"]["docker_29"]["store"], "containerd");
}

/// Starts a migration and waits until it has put `entries` things into its staging folder, or ended.
fn start_and_wait(root: &Root, entries: usize) -> Child {
    let mut child = root
        .command("migrate", &["--to", "containerd", "-q", "--jobs", "1"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the command can be started");
    let count =
        |folder: &str| fs::read_dir(root.staging().join(folder)).map_or(0, |names| names.count());
    while count("blobs") + count("snapshots") < entries {
        if child.try_wait().expect("my own child").is_some() {
            break;
        }
        std::thread::yield_now();
    }
    child
}

#[test]
#[ignore = "needs root"]
fn a_killed_migration_shows_nothing_or_all_and_is_finished_by_the_next() {
    let whole = Root::unpack();
    let old = whole.images("containerd");
    assert_eq!(whole.migrate(&[]).status.code(), Some(0));
    let new = whole.images("containerd");
    for round in 0..20 {
        let root = Root::unpack();
        let mut child = start_and_wait(&root, round * 3);
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, Signal::KILL).ok();
        child.wait().expect("my own child");
        let seen = root.images("containerd");
        assert!(seen == old || seen == new, "round {round}: half a store: {seen:?}");
        let next = root.migrate(&[]);
        assert_eq!(next.status.code(), Some(0), "round {round}: {}", err(&next));
        assert_eq!(root.images("containerd"), new, "round {round}");
        assert!(!root.staging().exists(), "round {round}");
    }
}

#[test]
#[ignore = "needs root"]
fn an_interrupted_migration_says_so_and_goes_on_later() {
    let root = Root::unpack();
    let mut child = start_and_wait(&root, 5);
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let ended = child.wait().expect("my own child");
    if ended.code() == Some(0) {
        // It was quicker than the signal; the store is whole then.
        assert_eq!(root.images("containerd").len(), 11);
        return;
    }
    assert_eq!(ended.code(), Some(3), "stopping is a refusal to go on, not a failure");
    assert_eq!(root.images("containerd").len(), 0, "nothing is visible yet");
    assert!(root.staging().join("journal.json").exists(), "what is done is noted");
    assert_eq!(root.migrate(&[]).status.code(), Some(0));
    assert_eq!(root.images("containerd").len(), 11);
}

#[test]
#[ignore = "needs root"]
fn layers_are_unpacked_on_a_disk_as_dockerd_did() {
    let root = Root::unpack();
    let place = root.folder.path().join("unpacked");
    fs::create_dir(&place).expect(WHY);
    let source = Overlay2::open(Arc::new(Live::open(&root.path()).expect(WHY)), "overlay2");
    let source = source.expect("the recorded root");
    for chain_id in source.inventory().layers.keys() {
        let content = source.layer(*chain_id).expect("a layer of the root");
        let folder = chain_id.hex();
        let sink = LiveSink::open(&place).expect(WHY);
        let mut unpacker =
            Unpacker::new(&sink, path(&folder), Rules::docker()).expect("a free name");
        watch(content.tar().expect("a tar"), &mut unpacker).expect("a sound tar");
        let done = unpacker.finish().expect("room for it");
        assert_eq!(done.allocated, du(&place, &[&folder]), "{chain_id}");
        let live = Live::open(&place.join(&folder)).expect("it was made");
        let (recorded, files) = content.files().expect("it is unpacked");
        for (tree, folder) in [(&live as _, TreePath::ROOT), (recorded, files.as_path())] {
            let mut same = Same::new(tree, folder, Rules::docker());
            watch(content.tar().expect("a tar"), &mut same).expect("a sound tar");
            assert!(same.finish().expect("it can be read"), "{chain_id}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_disk_takes_what_a_tar_says_as_the_daemons_make_it() {
    let folder = TempDir::new_in("/var/tmp").expect(WHY);
    let sink = LiveSink::open(folder.path()).expect(WHY);
    let unpack = |name: &str, records: &[(&str, &[u8])], link: bool| {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_pax_extensions(records.iter().copied()).expect(WHY);
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o4755);
        tar.append_data(&mut header, "x", &b""[..]).expect(WHY);
        if link {
            header.set_entry_type(tar::EntryType::Link);
            tar.append_link(&mut header, "y", "x").expect(WHY);
        }
        let tar = tar.into_inner().expect(WHY);
        let mut unpacker = Unpacker::new(&sink, path(name), Rules::docker()).expect(WHY);
        watch(&*tar, &mut unpacker)?;
        unpacker.finish().map_err(std::io::Error::from)
    };
    let hole = |size: &'static [u8]| [("GNU.sparse.map", &b"0,0"[..]), ("GNU.sparse.size", size)];
    let done = unpack("hole", &hole(b"1099511627776"), false).expect("a hole takes no room");
    assert_eq!(done.apparent, 1 << 40);
    assert!(done.allocated < 1 << 20, "{done:?}");
    let error = unpack("large", &hole(b"9223372036854775807"), false).expect_err("too long");
    assert!(error.to_string().contains("large/x"), "{error}");
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let records = [("SCHILY.xattr.security.capability", &capability[..])];
    for (name, link, kept) in [("one", false, true), ("two", true, false)] {
        unpack(name, &records, link).expect("a sound tar");
        let xattrs = sink.tree().xattrs(path(&format!("{name}/x"))).expect("it was made");
        assert_eq!(xattrs.contains_key(&b"security.capability"[..]), kept, "{name}: {xattrs:?}");
        let found = fs::metadata(folder.path().join(name).join("x")).expect("it was made");
        assert_eq!((found.mode() & 0o7777, found.nlink()), (0o4755, if link { 2 } else { 1 }));
    }
}
