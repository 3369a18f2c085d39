//! What `repair` makes of damaged roots: what it says, that nothing is wrong afterwards, and that undoing
//! it brings the damage back.

use std::sync::Arc;

use serde_json::Value;
use tranship::digest::Digest;
use tranship::op::aside::{self, About, End};
use tranship::op::repair::{self, Part, Request};
use tranship::tree::{self, Kind, Memory, Sink, SubSink, Time, Tree, TreePath, path, walk};

use super::*;
use crate::catalogue::scenery::{host, put, remove, text};
use crate::catalogue::{Case, Clean, Left, Lost, Root, Same, classic, rounds};
use crate::support::crashes::Crashes;

const CONTAINERD: &str = "containerd/daemon";
const NAMES: &str = "image/overlay2/repositories.json";

fn case_of(name: &str) -> &'static Case {
    let mut all = TABLES.iter().copied().flatten();
    all.find(|case| case.name == name).unwrap_or_else(|| panic!("no damage is called {name}"))
}

fn plan(root: &Root, content: bool) -> Vec<Part> {
    repair::plan(host(root), &Request { content, ..Request::default() })
        .expect("folders can be read")
}

/// Returns the sink that the tree of a part is: the root itself, or its containerd's.
fn sink(root: &Root, is_own: bool) -> Arc<dyn Sink> {
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(root);
    match is_own {
        true => sink,
        false => Arc::new(SubSink::make(sink, path(CONTAINERD), 0o700).expect("it is there")),
    }
}

/// Repairs a root; returns the codes of what was mended.
fn repaired(root: &Root) -> Result<Vec<&'static str>, String> {
    applied(root, &plan(root, true))
}

fn applied(root: &Root, parts: &[Part]) -> Result<Vec<&'static str>, String> {
    let mut codes = Vec::new();
    let about = About { verb: "repair", at: Time::default(), number: 1, keep: true };
    for (n, part) in parts.iter().enumerate().filter(|(_, part)| !part.mends.is_empty()) {
        let ends = aside::apply(&*sink(root, n == 0), &about, &part.mends, &());
        let ends = ends.map_err(|error| error.to_string())?;
        for (end, mend) in ends.iter().zip(&part.mends) {
            match end {
                End::Done => codes.push(mend.code),
                other => return Err(format!("{}: {other:?}", mend.code)),
            }
        }
    }
    Ok(codes)
}

/// Undoes what a repair did.
fn undone(root: &Root) -> Result<(), String> {
    for is_own in [true, false] {
        match aside::undo(&*sink(root, is_own), 1) {
            Err(error) if !error.is_missing() => return Err(format!("undo: {error}")),
            _ => {}
        }
    }
    Ok(())
}

/// What is in a root, but for what is kept aside.
fn content(root: &Memory) -> Vec<String> {
    let mut lines = Vec::new();
    walk(root, TreePath::ROOT, &mut |at, entry| {
        let found = &entry.metadata;
        if at.as_bytes().ends_with(b"tranship") && found.kind == Kind::Dir {
            return Ok(false);
        }
        let what = match found.kind {
            Kind::File => Digest::of(&tree::read(root, at)?).short(),
            Kind::Symlink => String::from_utf8_lossy(&root.read_link(at)?).into_owned(),
            _ => String::new(),
        };
        lines.push(format!("{at} {:?} {}:{} {what}", found.kind, found.uid, found.gid));
        Ok(true)
    })
    .expect("it can be read");
    lines
}

fn differ(found: &[String], wanted: &[String]) -> Option<String> {
    let more = found.iter().find(|line| !wanted.contains(line)).map(|line| format!("+ {line}"));
    let less = wanted.iter().find(|line| !found.contains(line)).map(|line| format!("- {line}"));
    let both: Vec<_> = more.into_iter().chain(less).collect();
    (found != wanted).then(|| both.join("\n"))
}

/// Returns what is wrong with what a repair makes of a case.
fn judge(case: &Case) -> Result<(), String> {
    let root = root(case.root);
    let whole = content(&root);
    (case.damage)(&root);
    let damaged = content(&root);
    let parts = plan(&root, true);
    let told: Vec<_> = parts.iter().flat_map(|part| &part.unmendable).collect();
    let mute = told.iter().find(|one| one.what.is_empty() || one.missing.is_empty());
    let codes = applied(&root, &parts)?;
    match case.after {
        _ if mute.is_some() => return Err(format!("nothing is said of {mute:?}")),
        Lost(code) if told.iter().all(|one| one.code != code) => {
            return Err(format!("no {code} in {told:?}"));
        }
        Same | Clean if codes.is_empty() => return Err("nothing was mended".to_owned()),
        Left if !codes.is_empty() => return Err(format!("it was mended by {codes:?}")),
        Same | Clean | Left if !told.is_empty() => return Err(format!("it is told by {told:?}")),
        Same => differ(&content(&root), &whole).map_or(Ok(()), Err)?,
        Clean | Lost(_) | Left => {}
    }
    let found = verified(&root, true);
    let left = found.findings.iter().find(|finding| finding.severity > Severity::Untidy);
    if let (Some(bad), Same | Clean | Left) = (left, case.after) {
        return Err(format!("after {codes:?}: {} at {}: {}", bad.code, bad.place, bad.what));
    }
    if let Some(again) = plan(&root, false).iter().flat_map(|part| &part.mends).next() {
        return Err(format!("after {codes:?} there is still {again:?}"));
    }
    if codes.is_empty() {
        return Ok(());
    }
    undone(&root)?;
    differ(&content(&root), &damaged).map_or(Ok(()), |what| Err(format!("undone:\n{what}")))
}

#[test]
fn every_damage_is_mended_or_told() {
    let cases: Vec<&Case> = TABLES.iter().copied().flatten().collect();
    let wrong = many(&cases, |case| judge(case).err().map(|what| format!("{}: {what}", case.name)));
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Much may be wrong at once.
#[test]
fn all_damage_of_a_round_is_mended_together() {
    for name in ["classic-28", "containerd-28"] {
        for (number, round) in rounds(name).iter().enumerate() {
            let root = root(name);
            round.iter().for_each(|case| (case.damage)(&root));
            let names: Vec<_> = round.iter().map(|case| case.name).collect();
            let codes = repaired(&root).unwrap_or_else(|what| panic!("{names:?}: {what}"));
            let found = verified(&root, false);
            let bad = found.findings.iter().filter(|f| f.severity > Severity::Untidy);
            let bad: Vec<_> = bad.collect();
            assert!(bad.is_empty(), "{name} {number}, after {codes:?}: {bad:#?}");
            let again: Vec<_> = plan(&root, true).into_iter().flat_map(|part| part.mends).collect();
            assert!(again.is_empty(), "{name} {number}: {again:#?}");
        }
    }
}

/// Two cases of a round would else be one.
#[test]
fn no_two_cases_of_a_round_change_one_file() {
    for name in ["classic-28", "containerd-28"] {
        let whole = content(&root(name));
        for round in rounds(name) {
            let mut changed: BTreeMap<String, &str> = BTreeMap::new();
            for case in round {
                let root = root(name);
                (case.damage)(&root);
                let found = content(&root);
                let lines = found.iter().filter(|line| !whole.contains(line));
                let lines = lines.chain(whole.iter().filter(|line| !found.contains(line)));
                let lines = lines.filter(|line| !line.contains(" Dir "));
                let files: BTreeSet<&str> =
                    lines.filter_map(|line| line.split(' ').next()).collect();
                // What is in a bolt file may change beside other things.
                for file in files.into_iter().filter(|file| !file.ends_with(".db")) {
                    let other = changed.insert(file.to_owned(), case.name);
                    assert_eq!(other, None, "{}: {file}", case.name);
                }
            }
        }
    }
}

#[test]
fn sound_roots_need_nothing() {
    for name in ["classic-28", "containerd-28", "hidden-28"] {
        for part in plan(&root(name), true) {
            let is_sound = part.mends.is_empty() && part.unmendable.is_empty();
            assert!(is_sound, "{name}: {part:?}, {:?}", part.unmendable);
        }
    }
}

/// What stands on a layer tells where its files are, even if layerdb has lost all of it; only the record of
/// its tar is nowhere else.
#[test]
fn a_layer_that_something_stands_on_comes_back() {
    let root = root("classic-28");
    (case_of("a layer is gone from layerdb").damage)(&root);
    let codes = repaired(&root).expect("a container stands on it");
    assert_eq!(codes, ["layer-missing"]);
    let found = verified(&root, true);
    let bad = found.findings.iter().filter(|f| f.severity > Severity::Untidy);
    let bad: Vec<_> = bad.map(|finding| finding.code).collect();
    assert_eq!(bad, ["layer-without-record"]);
}

/// The folders of nobody may be the builder's: without a record to hold them against, none is taken.
#[test]
fn a_layer_that_nothing_stands_on_stays_lost() {
    let root = root("classic-28");
    let top = classic::top("registry.example.com:5000/team/app:v3");
    remove(&root, classic::layer(top, "").trim_end_matches('/'));
    let parts = plan(&root, true);
    let told: Vec<_> = parts[0].unmendable.iter().map(|one| one.code).collect();
    assert_eq!(told, ["layer-missing"]);
}

/// All short names may be gone at once, with the folder they are in.
#[test]
fn folders_that_are_gone_come_back_with_what_is_in_them() {
    for gone in ["overlay2/l", "image/overlay2/layerdb/mounts"] {
        let root = root("classic-28");
        let whole = content(&root);
        remove(&root, gone);
        // Which of several containers on one image has which files is not known any more.
        let is_mounts = gone.ends_with("mounts");
        let codes = repaired(&root).expect(gone);
        assert!(is_mounts || codes.first() == Some(&"folder-missing"), "{gone}: {codes:?}");
        assert!(is_mounts || differ(&content(&root), &whole).is_none(), "{gone}");
        let known = plan(&root, true);
        assert!(known[0].mends.is_empty(), "{gone}: {:?}", known[0].mends);
    }
}

/// A root with much that is wrong.
fn broken() -> Root {
    let root = root("classic-28");
    for name in [
        "the parent of an image is no digest",
        "a config was being written",
        "a container's mount ID is gone",
        "a layer has forgotten its short name",
        "a layer's diff ID is gone",
        "a layer's parent is gone",
    ] {
        (case_of(name).damage)(&root);
    }
    put(&root, NAMES, b"");
    root
}

/// A repair may die anywhere: each thing is as it was or mended, and the next run ends it.
#[test]
fn a_repair_that_dies_is_gone_on_with() {
    let base = broken();
    let mended = Arc::new((*base).clone());
    repaired(&mended).expect("all can be mended");
    let (old, new) = (content(&base), content(&mended));
    let parts = plan(&base, true);
    let about = About { verb: "repair", at: Time::default(), number: 1, keep: true };
    let run = |sink: &Arc<dyn Sink>| match aside::finish(&**sink)?.is_empty()
        && aside::runs(sink.tree())?.0.is_empty()
    {
        true => aside::apply(&**sink, &about, &parts[0].mends, &()).map(drop),
        false => Ok(()),
    };
    let whole = |root: &Root| {
        let found = content(root);
        let mut others = found.iter().filter(|line| !old.contains(line) && !new.contains(line));
        match others.next() {
            Some(other) => Err(format!("neither old nor new: {other}")),
            None => Ok(()),
        }
    };
    let done = |root: &Root| differ(&content(root), &new).map_or(Ok(()), Err);
    Crashes { base: (*base).clone(), run: &run, whole: &whole, done: &done }.everywhere();
}

/// Names that follow a torn write: those before it are in the file, others with containers.
#[test]
fn the_names_before_a_torn_write_come_back() {
    let root = root("classic-28");
    let whole = text(&root, NAMES);
    let half = whole.len() * 3 / 4;
    put(&root, NAMES, &whole.as_bytes()[..half]);
    repaired(&root).expect("names come back");
    let wanted: Value = serde_json::from_str(&whole).expect("JSON");
    let found: Value = serde_json::from_str(&text(&root, NAMES)).expect("JSON");
    let mut missing = 0;
    for (repository, names) in wanted["Repositories"].as_object().expect("an object") {
        for (name, image) in names.as_object().expect("an object") {
            let back = &found["Repositories"][repository][name];
            assert!(back == image || back.is_null(), "{name}: {back}");
            missing += usize::from(back.is_null());
        }
    }
    assert!(missing < 6, "{missing} names are lost");
}

/// The other store of the root knows names and configs.
#[test]
fn the_other_store_helps() {
    let root = root("hidden-28");
    put(&root, NAMES, b"");
    let text_before = text(&self::root("hidden-28"), NAMES);
    let codes = repaired(&root).expect("names come back");
    assert!(codes.contains(&"names-unreadable"), "{codes:?}");
    let found: Value = serde_json::from_str(&text(&root, NAMES)).expect("JSON");
    let wanted: Value = serde_json::from_str(&text_before).expect("JSON");
    for (repository, names) in found["Repositories"].as_object().expect("an object") {
        for (name, image) in names.as_object().expect("an object") {
            let was = &wanted["Repositories"][repository][name];
            assert!(was == image || was.is_null(), "{name} was {was}, and is {image}");
        }
    }
}

/// The builder remembers what it built, and under which names.
#[test]
fn names_of_what_was_built_come_back() {
    let root = root("classic-28");
    let wanted: Value = serde_json::from_str(&text(&root, NAMES)).expect("JSON");
    remove(&root, NAMES);
    remove(&root, "containers");
    remove(&root, "containerd");
    repaired(&root).expect("names come back");
    let found: Value = serde_json::from_str(&text(&root, NAMES)).expect("JSON");
    let app = "registry.example.com:5000/team/app";
    for tag in ["v1", "v2", "v3"] {
        let name = format!("{app}:{tag}");
        assert_eq!(found["Repositories"][app][&name], wanted["Repositories"][app][&name], "{tag}");
    }
    assert_eq!(found["Repositories"]["tiny/base"], wanted["Repositories"]["tiny/base"]);
}

/// Without its documents, nothing proves by which name an image was pulled; its layers tell from where.
#[test]
fn where_a_nameless_image_came_from_is_told() {
    let root = root("classic-28");
    remove(&root, NAMES);
    remove(&root, "containerd");
    let parts = plan(&root, false);
    let told = parts.iter().flat_map(|part| &part.unmendable);
    let told: Vec<_> = told.filter(|one| one.code == "name-lost").collect();
    let pulled = classic::image("127.0.0.1:5000/lib/pulled:1");
    let one = told.iter().find(|one| one.what.contains(&pulled.short())).expect("it is told");
    assert!(one.missing.contains("127.0.0.1:5000/lib/pulled"), "{}", one.missing);
}
