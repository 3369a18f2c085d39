//! A container is whole in the store that its config names, wherever a move or an undo of it dies.

use std::sync::Arc;

use tranship::model::StoreKind;
use tranship::op::transfer::Containers;
use tranship::store::containers::undo;
use tranship::tree::{Memory, Sink, Tree as _, path, read};

use super::{
    INNER, container_id, look, migrate, moved, root, source, there_and_back, without_private,
};
use crate::support::crashes::{Crashes, Held};
use crate::support::seen::listing;
use crate::support::tree_of;

const NAMES: [&str; 3] = ["web", "db", "orphan"];

#[test]
fn to_the_containerd_store() {
    crashes(root(), StoreKind::Classic);
}

#[test]
fn to_the_classic_store() {
    crashes(there_and_back(StoreKind::Classic), StoreKind::Containerd);
}

#[test]
fn to_a_store_that_had_them_once() {
    crashes(there_and_back(StoreKind::Containerd), StoreKind::Classic);
}

fn crashes(base: Memory, from: StoreKind) {
    let wanted = without_private(look(&base).expect("sound").1);
    let folders = match from {
        StoreKind::Classic => &["image/overlay2", "overlay2"][..],
        _ => &[INNER],
    };
    let source_of = |tree: &Memory| folders.iter().map(|at| listing(tree, path(at))).collect();
    let was: Vec<Vec<String>> = source_of(&base);
    let driver = if from == StoreKind::Classic { "overlayfs" } else { "overlay2" };
    let run = |sink: &Arc<dyn Sink>| {
        migrate(&*source(&tree_of(sink), from)?, sink, &Containers::OfImages).map(drop)
    };
    let whole = |tree: &Arc<Memory>| {
        let now: Vec<Vec<String>> = source_of(tree);
        match without_private(look(tree)?.1) == wanted {
            true if now == was => Ok(()),
            true => Err("the source is not as it was".to_owned()),
            false => Err("a container has other files".to_owned()),
        }
    };
    let done = |tree: &Arc<Memory>| {
        whole(tree)?;
        let (drivers, _) = look(tree)?;
        if drivers.values().any(|found| found != driver) {
            return Err(format!("not all are bound: {drivers:?}"));
        }
        let sets = tree.names(path("image/overlay2/layerdb/tmp")).unwrap_or_default();
        if tree.stat(path(&format!("{INNER}/tranship"))).is_ok() || !sets.is_empty() {
            return Err("something is left behind".to_owned());
        }
        let undone = (**tree).clone();
        undo(&undone, &|_, _| Ok(true))
            .map_err(|error| error.to_string())?
            .ok_or("nothing to undo")?;
        match configs(&undone) == configs(&base) {
            true => whole(&Arc::new(undone)),
            false => Err("not all are bound as before".to_owned()),
        }
    };
    Crashes { base: base.clone(), run: &run, whole: &whole, done: &done }.everywhere();
}

fn configs(tree: &Memory) -> [Vec<u8>; 3] {
    NAMES.map(|name| {
        let file = format!("containers/{}/config.v2.json", container_id(name));
        read(tree, path(&file)).expect("a config is never gone")
    })
}

#[test]
fn an_undo_that_dies_is_ended_by_the_next() {
    let base = root();
    let (there, _, _) = moved(&base, StoreKind::Classic);
    let (old, new) = (configs(&base), configs(&there));
    // A run that finds no journal has nothing left to do.
    let run = |sink: &Arc<dyn Sink>| undo(&**sink, &|_, _| Ok(true)).map(drop);
    let whole = |tree: &Arc<Memory>| -> Held {
        look(tree)?;
        let known = configs(tree).into_iter().zip(old.iter().zip(&new));
        match known.into_iter().all(|(config, (old, new))| config == *old || config == *new) {
            true => Ok(()),
            false => Err("another config".to_owned()),
        }
    };
    let done = |tree: &Arc<Memory>| {
        whole(tree)?;
        let ours =
            listing(&**tree, path("containers")).into_iter().find(|l| l.contains("tranship"));
        match ours {
            None if configs(tree) == old => Ok(()),
            left => Err(format!("not all is as before, and {left:?} is left")),
        }
    };
    Crashes { base: there.clone(), run: &run, whole: &whole, done: &done }.everywhere();
}
