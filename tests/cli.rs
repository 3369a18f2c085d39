//! The command as a user runs it, on roots recorded from real daemons. Needs neither root rights nor
//! Docker.

#![expect(clippy::disallowed_methods, reason = "tests look at real files and run commands")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

#[path = "cli/inside.rs"]
mod inside;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots").join(name)
}

/// What Docker itself said of a recorded root.
fn said_by_docker(name: &str) -> Value {
    let file = File::open(fixture(&format!("{name}.json.zst"))).expect("the fixture is there");
    let mut text = Vec::new();
    zstd::Decoder::new(file)
        .and_then(|mut decoder| decoder.read_to_end(&mut text))
        .expect("the fixture is zstd");
    serde_json::from_slice(&text).expect("the fixture is JSON")
}

fn tranship(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tranship"))
        .args(args)
        .env_remove("COLUMNS")
        .output()
        .expect("the command can be started")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8")
}

fn json(args: &[&str]) -> Value {
    let output = tranship(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
    serde_json::from_slice(&output.stdout).expect("--json prints JSON")
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a test's path is UTF-8")
}

fn texts(value: &Value) -> BTreeSet<String> {
    let list = value.as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The images of one store, by ID.
fn images_of(root: &Path, store: &str) -> BTreeMap<String, Value> {
    let rows = json(&["images", "-a", "--json", path_text(root)]);
    let rows = rows.as_array().expect("an array of images").clone();
    let of_store = rows.into_iter().filter(|row| row["store"] == store);
    of_store.map(|row| (row["id"].as_str().expect("an ID").to_owned(), row)).collect()
}

/// An empty daemon.json but for the feature.
fn config(folder: &Path, snapshotter: bool) -> PathBuf {
    let file = folder.join(format!("daemon-{snapshotter}.json"));
    let text = format!("{{\"features\": {{\"containerd-snapshotter\": {snapshotter}}}}}");
    fs::write(&file, text).expect("the folder is writable");
    file
}

fn migrate_to(into: &Path, more: &[&str]) -> Output {
    let root = fixture("classic-28.tar.zst");
    let args = ["migrate", path_text(&root), "--to", "containerd", "--into", path_text(into)];
    tranship(&[&args, more].concat())
}

#[test]
fn images_of_recorded_roots_are_those_that_docker_listed() {
    for (name, store) in
        [("classic-28", "classic"), ("containerd-28", "containerd"), ("hidden-28", "containerd")]
    {
        let docker = said_by_docker(name);
        let images = images_of(&fixture(&format!("{name}.tar.zst")), store);
        let inspected = docker["image"].as_object().expect("what `docker inspect` said");
        let ids: BTreeSet<_> = inspected.keys().collect();
        assert_eq!(images.keys().collect::<BTreeSet<_>>(), ids, "{name}: IDs");
        for (id, said) in inspected {
            let image = &images[id];
            let names: BTreeSet<String> =
                [texts(&image["names"]), texts(&image["digests"])].into_iter().flatten().collect();
            let tags = texts(&said["RepoTags"]);
            assert!(tags.is_subset(&names), "{name}: {names:?} should have {tags:?}");
            assert_eq!(texts(&image["digests"]), texts(&said["RepoDigests"]), "{name}: {id}");
            let layers = said["RootFS"]["Layers"].as_array().cloned().unwrap_or_default();
            assert_eq!(image["layers"].as_array(), Some(&layers), "{name}: {id}");
            if store == "classic" {
                assert_eq!(image["size"], said["Size"], "{name}: {id}");
            }
        }
    }
}

/// `docker system df -v` prints three digits of a size and four of the parts.
#[test]
fn sizes_are_those_of_docker_system_df() {
    let platforms_unpacked_later = ["multi/foreign", "multi/arch"];
    for (name, store) in [("classic-28", "classic"), ("containerd-28", "containerd")] {
        let docker = said_by_docker(name);
        let images = images_of(&fixture(&format!("{name}.tar.zst")), store);
        for said in docker["system_df"]["Images"].as_array().expect("a list of images") {
            let image = &images[said["ID"].as_str().expect("an ID")];
            let repository = said["Repository"].as_str().expect("a name");
            if platforms_unpacked_later.contains(&repository) {
                continue;
            }
            let digits = |field: &str, precision| {
                docker_size(image[field].as_u64().expect("a size"), precision)
            };
            assert_eq!(digits("size", 3), said["Size"], "{name}: size of {repository}");
            assert_eq!(digits("shared_size", 4), said["SharedSize"], "{name}: {repository}");
            assert_eq!(digits("unique_size", 4), said["UniqueSize"], "{name}: {repository}");
            let containers = image["containers"].to_string();
            assert_eq!(containers, said["Containers"].as_str().expect("a number"), "{name}");
        }
    }
}

fn docker_size(bytes: u64, digits: usize) -> String {
    let (mut size, mut unit) = (bytes as f64, 0);
    let units = ["B", "kB", "MB", "GB"];
    while size >= 1000.0 && unit + 1 < units.len() {
        (size, unit) = (size / 1000.0, unit + 1);
    }
    let whole = (size as u64).to_string().len();
    let text = format!("{size:.*}", digits.saturating_sub(whole));
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{}", units[unit])
}

#[test]
fn status_tells_what_will_be_shown_and_what_is_hidden() {
    let folder = TempDir::new().expect("a temporary folder");
    let root = fixture("hidden-28.tar.zst");
    for (on, shown, hidden) in [(true, "containerd", "classic"), (false, "classic", "containerd")] {
        let config = config(folder.path(), on);
        let args = ["status", path_text(&root), "--daemon-config", path_text(&config)];
        let status = json(&[&args[..], &["--json"]].concat());
        let root = &status["roots"][0];
        for docker in ["docker_28", "docker_29"] {
            assert_eq!(root["next_start"][docker]["store"], shown, "{docker}");
        }
        for store in root["stores"].as_array().expect("two stores") {
            assert_eq!(store["hidden"], store["store"] == hidden, "{store}");
            assert_eq!(store["open_by_daemon"], false);
            assert!(store["bytes"].as_u64().expect("bytes") > 1_000_000, "{store}");
        }
        let text = out(&tranship(&args)).replace('\n', " ");
        assert!(text.contains(&format!("in the {hidden} store. They are on disk")), "{text}");
        assert!(text.contains(&format!("To see the {hidden} store")), "{text}");
    }
}

#[test]
fn a_migrated_tar_holds_every_image_with_its_config() {
    let folder = TempDir::new().expect("a temporary folder");
    let tar = folder.path().join("moved.tar");
    let done = migrate_to(&tar, &["--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let done: Value = serde_json::from_slice(&done.stdout).expect("--json prints JSON");
    let before = images_of(&fixture("classic-28.tar.zst"), "classic");
    let after = images_of(&tar, "containerd");
    let listed = |image: &&Value| image["intermediate"] == false;
    assert_eq!(after.len(), before.values().filter(listed).count());
    for moved in done["images"].as_array().expect("images") {
        let old = &before[moved["id"].as_str().expect("an ID")];
        let new = &after[moved["becomes"].as_str().expect("an ID in the target")];
        for same in ["names", "created", "layers", "labels", "dangling"] {
            assert_eq!(old[same], new[same], "{same} of {}", moved["names"]);
        }
        assert_eq!(new["platforms"][0]["present"], true);
    }
}

#[test]
fn the_same_root_gives_the_same_images_twice() {
    let folder = TempDir::new().expect("a temporary folder");
    let [first, second] = ["first.tar", "second.tar"].map(|name| folder.path().join(name));
    for tar in [&first, &second] {
        assert_eq!(migrate_to(tar, &["-q"]).status.code(), Some(0));
    }
    let ids = |tar: &Path| images_of(tar, "containerd").into_keys().collect::<Vec<_>>();
    assert_eq!(ids(&first), ids(&second));
}

#[test]
fn nobody_may_be_root_to_read_a_root_and_write_a_tar() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        // Every other test of this file shows the same, then.
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let [binary, root, tar] =
        ["tranship", "classic-28.tar.zst", "out.tar"].map(|name| folder.path().join(name));
    fs::copy(env!("CARGO_BIN_EXE_tranship"), &binary).expect("the binary can be copied");
    fs::copy(fixture("classic-28.tar.zst"), &root).expect("the fixture can be copied");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("my own folder");
    let done = Command::new(&binary)
        .args(["migrate", path_text(&root), "--to", "containerd", "--into", path_text(&tar)])
        .uid(65534)
        .gid(65534)
        .output()
        .expect("the command can be started");
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert_eq!(images_of(&tar, "containerd").len(), 11);
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_would_be_done() {
    let folder = TempDir::new().expect("a temporary folder");
    let into = folder.path().join("new");
    let planned = migrate_to(&into, &["--dry-run"]);
    assert_eq!(planned.status.code(), Some(0), "{}", err(&planned));
    assert!(!into.exists(), "a dry run made {}", into.display());
    let text = out(&planned);
    for part in ["11 images move", "registry digest", "6 containers", "Nothing was written"] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn selections_pick_by_name_pattern_and_id() {
    let folder = TempDir::new().expect("a temporary folder");
    let plan = |words: &[&str]| {
        let planned = migrate_to(&folder.path().join("new"), &[words, &["-n", "--json"]].concat());
        assert_eq!(planned.status.code(), Some(0), "{words:?}: {}", err(&planned));
        let plan: Value = serde_json::from_slice(&planned.stdout).expect("JSON");
        let images = plan["images"].as_array().expect("images").clone();
        images.iter().flat_map(|image| texts(&image["names"])).collect::<BTreeSet<_>>()
    };
    let app = "registry.example.com:5000/team/app";
    let all = ["latest", "v1", "v2", "v3"].map(|tag| format!("{app}:{tag}"));
    assert_eq!(plan(&[app]), BTreeSet::from(all));
    assert_eq!(plan(&["weird:1"]), BTreeSet::from(["weird:1".to_owned()]));
    assert_eq!(plan(&["45eef71f9c7e"]), BTreeSet::from(["weird:1".to_owned()]));
    assert_eq!(plan(&["*/team/app:v*", "--exclude", "*:v3"]).len(), 2);
    let nothing = migrate_to(&folder.path().join("new"), &["no/such:image"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(err(&nothing).contains("no/such:image"), "{}", err(&nothing));
}

#[test]
fn a_threshold_stops_everything_in_one_line() {
    let folder = TempDir::new().expect("a temporary folder");
    let into = folder.path().join("new");
    let stopped = migrate_to(&into, &["--threshold", "1MB"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", err(&stopped));
    assert!(out(&stopped).contains("larger than the threshold"), "{}", out(&stopped));
    assert_eq!(out(&stopped).lines().count(), 1, "{}", out(&stopped));
    assert!(!into.exists());
    let over = folder.path().join("over.tar");
    assert_eq!(migrate_to(&over, &["--threshold", "10GB", "-q"]).status.code(), Some(0));
    assert!(over.exists());
}

#[test]
fn what_is_no_data_root_is_said_with_its_place() {
    let folder = TempDir::new().expect("a temporary folder");
    let place = path_text(folder.path());
    let empty = tranship(&["migrate", place, "--to", "containerd"]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(err(&empty).contains(place), "{}", err(&empty));
    let gone = tranship(&["images", "/no/such/root"]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(err(&gone).contains("/no/such/root"), "{}", err(&gone));
    let nothing = tranship(&["status", place]);
    assert_eq!(nothing.status.code(), Some(0));
    assert!(out(&nothing).contains("No Docker data"), "{}", out(&nothing));
    let archive =
        tranship(&["migrate", path_text(&fixture("classic-28.tar.zst")), "--to", "containerd"]);
    assert_eq!(archive.status.code(), Some(2));
    assert!(err(&archive).contains("--into"), "{}", err(&archive));
}

/// Half an archive is an error that says at which byte, not half a root.
#[test]
fn an_archive_cut_short_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let cut = folder.path().join("cut.tar.zst");
    let whole = fs::read(fixture("classic-28.tar.zst")).expect("the fixture is there");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("my own folder");
    let read = tranship(&["images", path_text(&cut)]);
    assert_eq!(read.status.code(), Some(2), "{}", out(&read));
    assert!(err(&read).contains("cut.tar.zst"), "{}", err(&read));
}

#[test]
fn format_and_filter_speak_as_docker_does() {
    let root = fixture("classic-28.tar.zst");
    let lines = |args: &[&str]| {
        let output = tranship(&[&["images", path_text(&root)], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output).lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let docker = said_by_docker("classic-28");
    let said = docker["images"].as_array().expect("what `docker images` said").clone();
    let named: BTreeSet<_> = said
        .iter()
        .map(|row| [&row["Repository"], &row["Tag"], &row["ID"]].map(|v| v.as_str().unwrap_or("")))
        .map(|[repository, tag, id]| format!("{repository}:{tag} {id}"))
        .collect();
    let template = ["-a", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"];
    assert_eq!(lines(&template), named);
    // One has no name at all, one has nothing but a digest.
    assert_eq!(lines(&["-q", "--filter", "dangling=true"]).len(), 2);
    assert_eq!(
        lines(&["-q", "--filter", "reference=weird"]),
        lines(&["-q", "--filter", "label=k=v"])
    );
}

fn export(more: &[&str]) -> Output {
    let root = fixture("classic-28.tar.zst");
    tranship(&[&["export", path_text(&root)], more].concat())
}

#[test]
fn an_export_is_an_image_layout_that_docker_knows_too() {
    let folder = TempDir::new().expect("a temporary folder");
    let (tar, dir) = (folder.path().join("all.tar"), folder.path().join("dir"));
    let done = export(&["-o", path_text(&tar), "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let report: Value = serde_json::from_slice(&done.stdout).expect("--json prints JSON");
    assert_eq!(report["target"]["store"], "layout");
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(File::open(&tar).expect("it was made"));
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("a sound tar");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a sound tar");
        files.insert(name, bytes);
    }
    let parse = |name: &str| -> Value { serde_json::from_slice(&files[name]).expect(name) };
    let becomes: BTreeSet<_> = report["images"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| image["becomes"].as_str().expect("it was exported").to_owned())
        .collect();
    let index = parse("index.json");
    let listed = index["manifests"].as_array().expect("a list").iter();
    let listed: BTreeSet<_> =
        listed.map(|one| one["digest"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(listed, becomes);
    let tags: BTreeSet<_> = parse("manifest.json")
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|image| texts(&image["RepoTags"]))
        .collect();
    let said = said_by_docker("classic-28");
    for image in said["images"].as_array().expect("a list") {
        let tag = format!(
            "{}:{}",
            image["Repository"].as_str().unwrap_or(""),
            image["Tag"].as_str().unwrap_or("")
        );
        assert!(tag.contains("<none>") || tags.contains(&tag), "{tag} is not among {tags:?}");
    }

    let done = export(&["-o", path_text(&dir), "-q"]);
    assert_eq!((done.status.code(), out(&done)), (Some(0), String::new()), "{}", err(&done));
    for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with('/')) {
        assert!(fs::read(dir.join(name)).expect(name) == *bytes, "{name}");
    }
}

#[test]
fn what_was_exported_is_listed_as_a_store_of_its_own() {
    let folder = TempDir::new().expect("a temporary folder");
    let tar = folder.path().join("all.tar");
    let done = export(&["-o", path_text(&tar), "--json"]);
    let report: Value = serde_json::from_slice(&done.stdout).expect("--json prints JSON");
    let becomes: BTreeSet<_> = report["images"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| image["becomes"].as_str().expect("it was exported").to_owned())
        .collect();
    let listed: BTreeSet<_> = images_of(&tar, "layout").into_keys().collect();
    assert_eq!(listed, becomes);
    let status = json(&["status", path_text(&tar), "--json"]);
    let [root] = status["roots"].as_array().expect("a list").as_slice() else { panic!("one root") };
    assert_eq!((&root["next_start"], &root["stores"][0]["hidden"]), (&Value::Null, &false.into()));
    let said = out(&tranship(&["status", path_text(&tar)]));
    assert!(said.contains("no Docker starts here") && !said.contains("next start"), "{said}");
}

#[test]
fn an_export_takes_what_is_asked_for_in_the_form_that_is_asked_for() {
    let folder = TempDir::new().expect("a temporary folder");
    let dir = folder.path().join("dir");
    let words = ["tiny/base:1", "weird:1", "--format", "oci", "-o", path_text(&dir)];
    let plan = export(&[&words[..], &["-n"]].concat());
    assert!(out(&plan).contains("2 images are exported") && !dir.exists(), "{}", out(&plan));
    let done = export(&words);
    assert!(out(&done).contains("Done: 2 images are in "), "{}", out(&done));
    assert!(dir.join("index.json").exists() && !dir.join("manifest.json").exists());
    let again = export(&words);
    assert_eq!(again.status.code(), Some(3), "{}", err(&again));
    assert!(err(&again).contains("is not empty"), "{}", err(&again));
}

#[test]
fn an_export_to_stdout_is_the_archive_and_nothing_else() {
    let folder = TempDir::new().expect("a temporary folder");
    for more in [&[][..], &["--compress", "zstd"], &["weird:1", "--format", "oci"]] {
        let tar = folder.path().join("file.tar");
        let done = export(&[more, &["-o", path_text(&tar)]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", err(&done));
        let streamed = export(&[more, &["-o", "-"]].concat());
        assert_eq!(streamed.status.code(), Some(0), "{}", err(&streamed));
        assert!(streamed.stdout == fs::read(&tar).expect("it was made"), "{more:?}");
        assert!(err(&streamed).contains("went to stdout"), "{}", err(&streamed));
        fs::remove_file(&tar).expect("it was made");
    }
    let plan = export(&["-o", "-", "-n"]);
    assert!(plan.stdout.is_empty() && err(&plan).contains("11 images are exported"));
}

/// Imports all of the recorded containerd root into a new one, packed.
fn imported(folder: &Path) -> PathBuf {
    let (archive, root) = (folder.join("all.tar"), folder.join("root"));
    let fixture = fixture("containerd-28.tar.zst");
    let done = tranship(&["export", path_text(&fixture), "-q", "-o", path_text(&archive)]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let words = ["import", path_text(&archive), "--to", "containerd", "--snapshots", "none"];
    let done = tranship(&[&words[..], &["-q", "--root", path_text(&root)]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    root
}

#[test]
fn images_keep_their_digests_through_an_archive() {
    let folder = TempDir::new().expect("a temporary folder");
    let root = imported(folder.path());
    let ids = |path: &Path| {
        let listed = tranship(&["images", path_text(path), "-a", "--json"]);
        let rows: Value = serde_json::from_slice(&listed.stdout).expect("--json prints JSON");
        let rows = rows["images"].as_array().or(rows.as_array()).expect("a list").clone();
        let row = |row: &Value| (row["id"].to_string(), row["names"].to_string());
        rows.iter().map(row).collect::<BTreeSet<_>>()
    };
    let (before, after) = (ids(&fixture("containerd-28.tar.zst")), ids(&root));
    assert!(before.len() > 10 && before == after, "{before:?}\n{after:?}");
}

/// What was pulled keeps its names by digest, and its index and manifest beside the classic store.
#[test]
fn pinned_digests_come_back_to_the_classic_store() {
    let folder = TempDir::new().expect("a temporary folder");
    let tar = folder.path().join("classic.tar");
    let fixture = fixture("containerd-28.tar.zst");
    // A name twice in a layer cannot be unpacked into a tar.
    let words = ["migrate", path_text(&fixture), "--exclude", "weird:dupes"];
    let words = [&words[..], &["--to", "classic", "-q", "--into"]].concat();
    let done = tranship(&[&words[..], &[path_text(&tar)]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let listed = tranship(&["images", path_text(&tar), "--digests", "--json"]);
    let rows: Value = serde_json::from_slice(&listed.stdout).expect("--json prints JSON");
    let rows = rows.as_array().expect("a list");
    let names: BTreeSet<String> = rows.iter().flat_map(|row| texts(&row["digests"])).collect();
    let index = "sha256:d809727f87fe3b3008a56823dd3c45fcec449d4af4911c133f5189ef3b5a128c";
    let pulled = format!("127.0.0.1:5000/lib/index@{index}");
    assert!(names.contains(&pulled), "{pulled} is not among {names:?}");
    assert!(!names.iter().any(|name| name.starts_with("registry.example.com")), "{names:?}");
    let blob = format!(
        "containerd/daemon/io.containerd.content.v1.content/blobs/sha256/{}",
        index.replace("sha256:", "")
    );
    let mut archive = tar::Archive::new(File::open(&tar).expect("it was made"));
    let mut paths = archive.entries().expect("a tar").map(|entry| {
        String::from_utf8_lossy(&entry.expect("a sound tar").path_bytes()).into_owned()
    });
    assert!(paths.any(|path| path == blob), "the index is not kept");
    // The leases lead back from the classic store to what its images were pulled by.
    let back = folder.path().join("back");
    let words = ["migrate", path_text(&tar), "--to", "containerd", "--snapshots", "none", "-q"];
    let done = tranship(&[&words[..], &["--into", path_text(&back)]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let kept = back.join(blob);
    assert!(kept.exists(), "{} did not come along", kept.display());
}

/// What is sent after version 1 leaves out what version 1 brought, whatever tells that it did.
#[test]
fn an_update_leaves_out_what_was_sent_before() {
    let folder = TempDir::new().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let [v1, v2] = ["v1", "v2"].map(|tag| format!("registry.example.com:5000/team/app:{tag}"));
    for (fixed, to) in [("containerd-28", "containerd"), ("classic-28", "classic")] {
        let source = fixture(&format!("{fixed}.tar.zst"));
        let export = |image: &str, to: &Path, more: &[&str]| {
            let words = ["export", path_text(&source), image, "-q", "-o", path_text(to)];
            let done = tranship(&[&words[..], more].concat());
            assert_eq!(done.status.code(), Some(0), "{}", err(&done));
            fs::metadata(to).expect("it was made").len()
        };
        let [first, update, whole, root] = ["first.tar", "update.tar", "whole.tar", "root.tar"]
            .map(|name| at(&format!("{fixed}-{name}")));
        export(&v1, &first, &[]);
        let all = export(&v2, &whole, &[]);
        let import = |archive: &Path, root: &Path, more: &[&str]| {
            let words = ["import", path_text(archive), "--to", to, "--root", path_text(root)];
            tranship(&[&words[..], &["--snapshots", "none"], more].concat())
        };
        let sent = match to {
            "classic" => {
                let done = import(&first, &root, &[]);
                assert_eq!(done.status.code(), Some(0), "{}", err(&done));
                export(&v2, &update, &["--without", path_text(&root)])
            }
            _ => export(&v2, &update, &["--without", path_text(&first)]),
        };
        assert!(sent < all / 10, "{fixed}: {sent} bytes instead of {all}");

        let nowhere = import(&update, &at(&format!("{fixed}-nowhere")), &["-n"]);
        assert!(out(&nowhere).contains("neither here nor in the target"), "{}", out(&nowhere));
        if to == "classic" {
            continue; // Adding to a tar is not possible, and to a folder takes root.
        }
        let root = at("root");
        for archive in [&first, &update] {
            let done = import(archive, &root, &[]);
            assert_eq!(done.status.code(), Some(0), "{}", err(&done));
        }
        let listed = tranship(&["images", path_text(&root), "--format", "{{.Tag}}"]);
        let tags: BTreeSet<_> = out(&listed).lines().map(str::to_owned).collect();
        assert_eq!(tags, ["v1", "v2"].map(str::to_owned).into(), "{fixed}");
    }
    let list = at("held.txt");
    fs::write(&list, "sha256:nothing\n").expect("the folder can be written");
    let source = fixture("classic-28.tar.zst");
    let words = ["export", path_text(&source), "--without", path_text(&list)];
    let done = tranship(&[&words[..], &["-n", "-o", "x.tar"]].concat());
    assert_eq!(done.status.code(), Some(2), "{}", err(&done));
    assert!(err(&done).contains("line 1"), "{}", err(&done));
}

#[test]
fn one_index_is_made_of_images_for_one_platform_each() {
    let folder = TempDir::new().expect("a temporary folder");
    let root = imported(folder.path());
    let index = |more: &[&str]| {
        tranship(&[&["index", "two/arch:1"], more, &["--root", path_text(&root)]].concat())
    };
    let both = index(&["tiny/base:1", "weird:1"]);
    assert_eq!(both.status.code(), Some(3), "{}", err(&both));
    assert!(err(&both).contains("both for linux/amd64"), "{}", err(&both));
    let plan = index(&["tiny/base:1", "multi/foreign:1", "-n"]);
    assert_eq!(plan.status.code(), Some(0), "{}", err(&plan));
    let done = index(&["tiny/base:1", "multi/foreign:1", "--json"]);
    let report: Value = serde_json::from_slice(&done.stdout).expect("--json prints JSON");
    let id = report["images"][0]["becomes"].as_str().expect("it was made").to_owned();
    let again = index(&["tiny/base:1", "multi/foreign:1"]);
    assert!(out(&again).contains("Nothing to do"), "{}", out(&again));

    let layout = folder.path().join("layout");
    let words = ["export", path_text(&root), "two/arch:1", "--format", "oci", "-q", "-o"];
    let done = tranship(&[&words[..], &[path_text(&layout)]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let read = |path: &Path| -> Value {
        serde_json::from_slice(&fs::read(path).expect("it was written")).expect("JSON")
    };
    assert_eq!(read(&layout.join("index.json"))["manifests"][0]["digest"], id.as_str());
    let hex = id.strip_prefix("sha256:").expect("a digest");
    let index = read(&layout.join("blobs/sha256").join(hex));
    let platforms = index["manifests"].as_array().expect("a list").iter();
    let platforms: BTreeSet<_> =
        platforms.map(|one| one["platform"]["architecture"].to_string()).collect();
    assert_eq!(platforms, ["\"amd64\"", "\"arm64\"", "\"unknown\""].map(String::from).into());
}

#[test]
fn what_cannot_be_exported_is_said_and_nothing_is_written() {
    let folder = TempDir::new().expect("a temporary folder");
    let new = folder.path().join("new.tar");
    let classic = fixture("classic-28.tar.zst");
    let output = tranship(&["export", path_text(&classic), "-o", path_text(&new), "nothing:1"]);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(err(&output).contains("nothing:1"), "{}", err(&output));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
