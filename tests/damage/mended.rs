//! What `repair` makes of damaged roots: what it says, that nothing is wrong afterwards, and that undoing
//! it brings the damage back.

use std::sync::Arc;

use serde_json::Value;
use tranship::digest::Digest;
use tranship::op::aside::{self, About, End};
use tranship::op::repair::{self, Part, Request};
use tranship::tree::{self, Kind, Memory, Sink, Time, Tree, TreePath, walk};

use super::*;
use crate::scenery::{host, put, remove, text};
use crate::support::crashes::Crashes;

/// What is left of a root when it was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing: it is as it was recorded.
    Nothing,
    /// It reads clean, and is not quite what it was.
    Other,
}

/// Damage of the catalogue, by name, and what is left of it.
const MENDED: &[(&str, Left)] = &[
    ("a layer has forgotten its short name", Left::Nothing),
    ("a layer's short name is none", Left::Nothing),
    ("a layer's short name is gone", Left::Nothing),
    ("a layer's short name leads to another layer", Left::Nothing),
    ("a layer has forgotten what it stands on", Left::Nothing),
    ("a layer stands on the right layers in the wrong order", Left::Nothing),
    ("a layer stands on too many layers", Left::Nothing),
    ("a layer that is the first stands on another", Left::Nothing),
    ("a layer is not marked as one that others stand on", Left::Nothing),
    ("a container has no folder for overlayfs to work in", Left::Other),
    ("a layer's size is no number", Left::Nothing),
    ("a layer's diff ID is gone", Left::Nothing),
    ("a layer's diff ID is another's", Left::Nothing),
    ("a layer's cache ID is empty", Left::Nothing),
    ("a layer's cache ID leads out", Left::Nothing),
    ("a layer's parent is no digest", Left::Nothing),
    ("a layer's parent is gone", Left::Nothing),
    ("a layer was being removed", Left::Nothing),
    ("a layer was being added", Left::Nothing),
    ("the parent of an image is not there", Left::Other),
    ("the parent of an image is no digest", Left::Other),
    ("when an image was tagged is no time", Left::Other),
    ("a config was being written", Left::Nothing),
    ("the names are cut short", Left::Other),
    ("the names are empty", Left::Other),
    ("the names are gone", Left::Other),
    ("what a blob unpacks to is no digest", Left::Other),
    ("the places of a layer are no JSON", Left::Other),
    ("nothing says where a container's files are", Left::Nothing),
    ("a container's mount ID is gone", Left::Nothing),
    ("a container's mount ID leads out", Left::Nothing),
    ("a container has forgotten its first layer", Left::Nothing),
    ("a container has forgotten its image's layer", Left::Nothing),
    ("a container stands on a layer that is not there", Left::Nothing),
];

/// What cannot be mended from the root alone, by name, and the code it is told by.
const LOST: &[(&str, &str)] = &[
    ("a layer's folder is gone", "layer-without-files"),
    ("a layer's files are gone", "layer-without-files"),
    ("an image's config is gone", "name-without-image"),
    ("an image's config is empty", "image-unloadable"),
    ("what a container changed is gone", "layer-without-files"),
];

const NAMES: &str = "image/overlay2/repositories.json";

fn case_of(name: &str) -> &'static Case {
    let mut all = TABLES.iter().copied().flatten();
    all.find(|case| case.name == name).unwrap_or_else(|| panic!("no damage is called {name}"))
}

fn plan(root: &Root) -> Vec<Part> {
    repair::plan(host(root), &Request::default()).expect("folders can be read")
}

/// Repairs a root; returns the codes of what was mended.
fn repaired(root: &Root) -> Result<Vec<&'static str>, String> {
    let mut codes = Vec::new();
    let parts = plan(root);
    let about = About { verb: "repair", at: Time::default(), number: 1, keep: true };
    for part in parts.iter().filter(|part| !part.mends.is_empty()) {
        if part.place != parts[0].place {
            continue;
        }
        let ends = aside::apply(&**root, &about, &part.mends, &());
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

/// What is in a root, but for what is kept aside.
fn content(root: &Memory) -> Vec<String> {
    let mut lines = Vec::new();
    walk(root, TreePath::ROOT, &mut |at, entry| {
        if at.as_bytes() == b"tranship" {
            return Ok(false);
        }
        let found = &entry.metadata;
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

fn judge(name: &str, left: Left) -> Result<(), String> {
    let case = case_of(name);
    let root = root(case.root);
    let whole = content(&root);
    (case.damage)(&root);
    let damaged = content(&root);
    let codes = repaired(&root)?;
    if codes.is_empty() {
        return Err(format!("nothing was mended: {:?}", plan(&root)));
    }
    let found = verified(&root, true);
    if let Some(bad) = found.findings.iter().find(|f| f.severity > Severity::Untidy) {
        return Err(format!("after {codes:?}: {} at {}: {}", bad.code, bad.place, bad.what));
    }
    if let Some(again) = plan(&root).iter().flat_map(|part| &part.mends).next() {
        return Err(format!("after {codes:?} there is still {again:?}"));
    }
    if let (Left::Nothing, Some(what)) = (left, differ(&content(&root), &whole)) {
        return Err(format!("after {codes:?} it is another:\n{what}"));
    }
    aside::undo(&*root, 1).map_err(|error| format!("undo: {error}"))?;
    differ(&content(&root), &damaged).map_or(Ok(()), |what| Err(format!("undone:\n{what}")))
}

#[test]
fn damage_is_mended_and_the_mending_undone() {
    let wrong =
        many(MENDED, |(name, left)| judge(name, *left).err().map(|what| format!("{name}: {what}")));
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), MENDED.len(), wrong.join("\n"));
}

#[test]
fn what_cannot_be_mended_is_told() {
    for (name, code) in LOST {
        let case = case_of(name);
        let root = root(case.root);
        (case.damage)(&root);
        let parts = plan(&root);
        let told: Vec<_> = parts.iter().flat_map(|part| &part.unmendable).collect();
        assert!(told.iter().any(|one| one.code == *code), "{name}: {told:?}");
        assert!(told.iter().all(|one| !one.missing.is_empty()), "{name}");
        repaired(&root).expect(name);
    }
}

#[test]
fn sound_roots_need_nothing() {
    for name in ["classic-28", "containerd-28", "hidden-28"] {
        let root = root(name);
        for part in plan(&root) {
            let classic = part.mends.iter().filter(|_| part.place == host(&root).roots[0].place);
            let all: Vec<_> = classic.collect();
            assert!(all.is_empty() && part.unmendable.is_empty(), "{name}: {part:?}");
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
    let top = classic::top(&root, "registry.example.com:5000/team/app:v3");
    remove(&root, classic::layer(top, "").trim_end_matches('/'));
    let parts = plan(&root);
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
        let known = plan(&root);
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
    let parts = plan(&base);
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
