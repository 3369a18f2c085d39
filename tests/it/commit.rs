//! Containers of the recorded roots made into images.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tranship::error::Result;
use tranship::model::StoreKind;
use tranship::op::commit::Commit;
use tranship::op::migrate::{Done, Request, prepare};
use tranship::op::transfer::{Containers, OnConflict, Options, Selection, Without};
use tranship::store::{Compression, Form, Writing};
use tranship::tree::{Snapshots, Time};

use crate::support::carried::host;

const NOW: Time = Time { seconds: 1_800_000_000, nanos: 5 };

fn commit(container: &str) -> Commit {
    Commit { name: "new:1".into(), container: container.into(), ..Commit::default() }
}

fn request(root: &str, commit: Commit, into: PathBuf) -> Request {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots");
    let (compression, snapshots) = (Compression::None, Snapshots::None);
    Request {
        at: Some(fixtures.join(format!("{root}.tar.zst"))),
        containerd_root: None,
        daemon_config: None,
        from: None,
        to: StoreKind::Layout,
        index: None,
        commit: Some(commit),
        options: Options {
            selection: Selection::default(),
            names: Vec::new(),
            without: Without::default(),
            platform: None,
            on_conflict: OnConflict::Replace,
            compression,
            snapshots,
            can_share: false,
            rebuild_missing: false,
            tell_rest: false,
            containers: Containers::Unseen,
            alive: HashSet::new(),
        },
        writing: Writing { compression, snapshots, form: Form::Docker, now: NOW },
        into: Some(into),
        stream: None,
        without: Vec::new(),
        switch: false,
        threshold: None,
        dry_run: false,
        jobs: 1,
        platform: host(),
    }
}

/// What an archive of one image holds.
struct Made {
    config: Value,
    /// Of each layer, what is in it: names, and how many bytes.
    layers: Vec<BTreeMap<String, u64>>,
    done: Done,
    losses: Vec<String>,
}

fn made(root: &str, commit: Commit) -> Result<Made> {
    let folder = TempDir::new().expect("the test's own folder");
    let prepared = prepare(request(root, commit, folder.path().join("new")))?;
    let losses = prepared.plan.losses.iter().map(|loss| loss.what.clone()).collect();
    let done = prepared.apply(&())?;
    let at = |name: &str| std::fs::read(folder.path().join("new").join(name)).expect("it is there");
    let manifest: Value = serde_json::from_slice(&at("manifest.json")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    assert_eq!(manifest[0]["RepoTags"][0], "new:1");
    let layers = manifest[0]["Layers"].as_array().expect("layers");
    let members = |layer: &Value| {
        let bytes = at(&text(layer));
        let mut archive = tar::Archive::new(&*bytes);
        let entries = archive.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("a sound tar");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("a sound tar");
            (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), content.len() as u64)
        });
        entries.collect()
    };
    Ok(Made {
        config: serde_json::from_slice(&at(&text(&manifest[0]["Config"]))).expect("JSON"),
        layers: layers.iter().map(members).collect(),
        done,
        losses,
    })
}

#[test]
fn what_a_container_changed_is_the_layer_on_top() {
    for root in ["classic-28", "containerd-28"] {
        let commit = Commit {
            message: "why".into(),
            author: "who".into(),
            changes: vec!["CMD [\"sh\"]".into(), "ENV NEW=1".into()],
            ..commit("changed")
        };
        let made = made(root, commit).expect(root);
        assert!(made.done.outcome.failed.is_empty() && made.losses.is_empty(), "{root}");
        let top = made.layers.last().expect("a layer");
        let names: Vec<_> = top.keys().map(String::as_str).collect();
        // Each daemon has its own way to say that a folder was emptied.
        let gone = if root == "classic-28" { "srv/drop/.wh..wh..opq" } else { "srv/drop/.wh.new" };
        for name in ["data/", "deep/er/link", "srv/added", "srv/drop/o", gone, "srv/keep/a"] {
            assert!(names.contains(&name), "{root}: {names:?}");
        }
        let config = &made.config;
        assert_eq!(config["config"]["Cmd"], serde_json::json!(["sh"]), "{root}");
        let env = config["config"]["Env"].as_array().expect("variables");
        assert!(env.contains(&"NEW=1".into()), "{root}");
        let last = config["history"].as_array().and_then(|all| all.last()).expect("history");
        assert_eq!((&last["comment"], &last["author"]), (&"why".into(), &"who".into()));
        assert_eq!(last["created"], "2027-01-15T08:00:00.000000005Z");
        assert!(last.get("empty_layer").is_none());
        let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("layers");
        assert_eq!(diff_ids.len(), made.layers.len());
        assert_eq!(config.get("container_config").is_some(), root == "classic-28");
    }
}

#[test]
fn a_container_that_changed_nothing_adds_no_layer() {
    for root in ["classic-28", "containerd-28"] {
        let made = made(root, commit("never-ran")).expect(root);
        let last = made.config["history"].as_array().and_then(|all| all.last()).expect("history");
        assert_eq!(last["empty_layer"], true, "{root}");
        let diff_ids = made.config["rootfs"]["diff_ids"].as_array().expect("layers");
        assert_eq!(diff_ids.len(), made.layers.len(), "{root}");
    }
}

#[test]
fn the_same_container_gives_the_same_image() {
    let twice = [(); 2].map(|()| made("classic-28", commit("changed")).expect("sound"));
    assert_eq!(twice[0].config, twice[1].config);
    let ids = twice.map(|made| made.done.outcome.moved[0].becomes);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_container_whose_image_has_no_name_any_more_becomes_one() {
    for root in ["classic-28", "containerd-28"] {
        let made = made(root, commit("removed-image")).expect("its layers are there");
        assert!(made.losses.is_empty(), "{root}: {:?}", made.losses);
        assert!(made.layers.last().expect("a layer").contains_key("srv/gone"), "{root}");
    }
}

#[test]
fn an_archive_is_not_added_to() {
    let request =
        Request { into: None, ..request("classic-28", commit("changed"), PathBuf::new()) };
    let error = prepare(request).map(drop).expect_err("an archive is only read");
    assert!(error.advice().is_some_and(|hint| hint.contains("`-o")), "{error}");
}

#[test]
fn what_cannot_become_an_image_is_refused() {
    for (what, said) in [
        (commit("running"), "may be torn"),
        (Commit { name: "Bad Name".into(), ..commit("changed") }, "no name for an image"),
        (Commit { changes: vec!["RUN x".into()], ..commit("changed") }, "changes no container"),
        (commit("nobody"), "no container has this name"),
    ] {
        let error = made("classic-28", what).map(drop).expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
    }
    let forced = made("classic-28", Commit { force: true, ..commit("running") });
    assert!(
        forced.expect("it is taken as it is").layers.last().expect("one").contains_key("srv/state")
    );
}
