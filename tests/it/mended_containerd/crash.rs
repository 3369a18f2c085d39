//! A repair may die at any operation: each thing is as it was or mended, records name nothing that is not
//! there yet, and the next repair ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tranship::error::Error;
use tranship::op::aside::{self, About, End};
use tranship::store::Source;
use tranship::tree::{Memory, Sink, TreePath, path, read};

use super::{
    CASES, codes, damaged, files, layers, other, overwrite, plan, plan_of, recorded, remove, state,
};
use crate::support::crashes::Crashes;
use crate::support::seen::{BACKEND, BLOBS, FOLDERS, META, listing};
use crate::support::{NOW, tree_of};

/// All that was damaged in one way each, damaged at once.
#[test]
fn of_records_labels_snapshots_and_folders() {
    let (tree, sound) = (damaged(), state(&recorded().root));
    CASES.iter().for_each(|(_, _, damage)| damage(&tree, &sound));
    crashes(&tree, &[], false);
}

/// Files that containerd does not start with.
#[test]
fn of_broken_databases() {
    for files in [&[META][..], &[BACKEND], &[META, BACKEND]] {
        let tree = damaged();
        for file in files {
            let mut bytes = read(&*tree, path(file)).expect("it is there");
            bytes[..8192].fill(0);
            overwrite(&tree, file, &bytes);
        }
        crashes(&tree, &[], false);
    }
}

/// Blobs that come from elsewhere, and files of layers that are unpacked again.
#[test]
fn of_content() {
    let (tree, sound) = (damaged(), state(&recorded().root));
    let blobs: Vec<_> = sound.blobs.keys().filter_map(|one| one.strip_prefix("sha256:")).collect();
    remove(&tree, &format!("{BLOBS}/{}", blobs[0]));
    overwrite(&tree, &format!("{BLOBS}/{}", blobs[1]), b"another");
    let folder = sound.snapshots[&layers(&sound).0].2;
    let fs = format!("{FOLDERS}/{folder}/fs");
    let first = files(&*tree, folder).into_iter().next().expect("a file");
    let name = first.split(' ').next().expect("its name");
    remove(&tree, &format!("{fs}/{name}"));
    crashes(&tree, &[other()], true);
}

fn crashes(base: &Arc<Memory>, others: &[Arc<dyn Source>], content: bool) {
    let run = |sink: &Arc<dyn Sink>| {
        aside::finish(&**sink)?;
        let mending = plan_of(tree_of(sink), others.to_vec(), content);
        let number = aside::next_number([sink.tree()])?;
        let about = About { verb: "repair", at: NOW, number, keep: true };
        let ends = aside::apply(&**sink, &about, &mending.mends, &())?;
        match ends.into_iter().find(|end| !matches!(end, End::Done)) {
            Some(End::Failed(error)) => Err(error),
            Some(end) => Err(Error::refused(format!("{end:?}"))),
            None => Ok(()),
        }
    };
    let mended = Arc::new((**base).clone());
    run(&(Arc::clone(&mended) as Arc<dyn Sink>)).expect("nothing fails");
    assert_eq!(codes(&plan(&mended, others.to_vec(), content)), [""; 0]);
    let (old, new) = (parts(base), parts(&mended));
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let whole = |tree: &Arc<Memory>| {
        let found = parts(tree);
        if let Some(other) = found.keys().find(|name| !names.contains(name)) {
            return Err(format!("neither old nor new: {other}"));
        }
        let is_new = |name: &String| found.get(name) == new.get(name);
        let is_old = |name: &String| found.get(name) == old.get(name);
        // A folder gives way before another comes.
        let is_away = |name: &String| name.starts_with(FOLDERS) && !found.contains_key(name);
        let changes = |name: &String| old.get(name) != new.get(name);
        let holds = |name: &String| is_old(name) || is_new(name) || changes(name) && is_away(name);
        if let Some(name) = names.iter().find(|name| !holds(name)) {
            return Err(format!("neither old nor new: {name}"));
        }
        let meta = META.to_owned();
        match names.iter().find(|name| !is_new(name)) {
            Some(lacks) if changes(&meta) && is_new(&meta) => {
                Err(format!("named before it is there: {lacks}"))
            }
            _ => Ok(()),
        }
    };
    let done = |tree: &Arc<Memory>| match (parts(tree) == new, aside::is_unfinished(&**tree)) {
        (true, Ok(false)) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    Crashes { base: (**base).clone(), run: &run, whole: &whole, done: &done }.everywhere();
}

/// What changes as one: each file with its line, each folder of a snapshot with all of its lines; but for
/// what is put aside. Files that are kept there too are the same.
fn parts(tree: &Memory) -> BTreeMap<String, Vec<String>> {
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in listing(tree, TreePath::ROOT).iter().filter(|line| !line.starts_with("tranship")) {
        let name = line.split(' ').next().unwrap_or_default();
        let folder = name.strip_prefix(FOLDERS).and_then(|inner| inner.split('/').nth(1));
        let name = folder.map_or_else(|| name.to_owned(), |folder| format!("{FOLDERS}/{folder}"));
        parts.entry(name).or_default().push(line.replace(" x2 ", " x1 "));
    }
    parts
}
