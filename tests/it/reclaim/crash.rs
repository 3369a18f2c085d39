//! A reclaim may die at any operation: what stays is whole, a store that goes is whole or gone, and the next
//! run ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tranship::model::StoreKind;
use tranship::op::reclaim::Request;
use tranship::tree::{Memory, Sink, TreePath};

use super::parts::{ORPHANS, both, hex, lease};
use super::{carry_out, images, orphans, removed, store, surveyed};
use crate::moves::{look, moved, there_and_back};
use crate::support::NOW;
use crate::support::crashes::{Crashes, Held};
use crate::support::seen::listing;

#[test]
fn of_the_classic_store() {
    for keep in [false, true] {
        let request = Request { keep, ..store(StoreKind::Classic) };
        crashes(both(), &request, &|tree| one_goes(tree, StoreKind::Classic));
    }
}

#[test]
fn of_the_containerd_store() {
    let both = moved(&there_and_back(StoreKind::Classic), StoreKind::Containerd).0;
    let request = store(StoreKind::Containerd);
    crashes(both, &request, &|tree| one_goes(tree, StoreKind::Containerd));
}

#[test]
fn of_orphans() {
    let root = both();
    ORPHANS.iter().for_each(|(_, add, _)| add(&root));
    for keep in [false, true] {
        crashes(root.clone(), &Request { keep, ..orphans() }, &all_stay);
    }
}

#[test]
fn of_leases() {
    let root = both();
    lease(&root, &format!("moby-image-sha256:{}", hex("gone")), None);
    lease(&root, &hex("a container"), None);
    let request = Request { leases: true, now: NOW, ..Request::default() };
    crashes(root, &request, &all_stay);
}

#[test]
fn of_packed_layers() {
    let request = Request { blobs: true, now: NOW, ..Request::default() };
    crashes(both(), &request, &|tree| {
        let host = surveyed(tree);
        let stores = host.roots.iter().flat_map(|root| &root.stores);
        let shown = stores.map(|seen| seen.inventory().map(|found| found.images.len()));
        match shown.collect::<Vec<_>>().as_slice() {
            [Some(2), Some(2)] => Ok(()),
            shown => Err(format!("{shown:?} images are shown")),
        }
    });
}

#[test]
fn of_what_was_put_aside() {
    let kept = Request { keep: true, ..store(StoreKind::Classic) };
    let request = Request { quarantine: true, now: NOW, ..Request::default() };
    crashes(removed(&both(), &kept).0, &request, &|tree| match images(tree)? {
        found if found == BTreeMap::from([(StoreKind::Containerd, 2)]) => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

/// Cuts a reclaim short: it comes to the same end, containers keep all their files, and the images are what
/// `stay` wants.
fn crashes(base: Memory, request: &Request, stay: &(dyn Fn(&Memory) -> Held + Sync)) {
    let containers = look(&base).expect("sound").1;
    // What is kept lies by the numbers of the runs, and those are as many as died.
    let is_kept = |line: &String| request.keep && line.contains("tranship/quarantine");
    let listed = |tree: &Memory| -> Vec<String> {
        listing(tree, TreePath::ROOT).into_iter().filter(|line| !is_kept(line)).collect()
    };
    let end = listed(&removed(&base, request).0);
    let run = |sink: &Arc<dyn Sink>| carry_out(sink, request).map(drop);
    let whole = |tree: &Arc<Memory>| match look(tree)?.1 == containers {
        true => stay(tree),
        false => Err("a container has other files".to_owned()),
    };
    let done = |tree: &Arc<Memory>| {
        let found = listed(tree);
        let other = found.iter().find(|line| !end.contains(line));
        let gone = end.iter().find(|line| !found.contains(line));
        match (other, gone) {
            (None, None) => whole(tree),
            _ => Err(format!("{other:?} is left, and not {gone:?}")),
        }
    };
    Crashes { base, run: &run, whole: &whole, done: &done }.everywhere();
}

/// Both stores have their images.
fn all_stay(tree: &Memory) -> Held {
    match images(tree)? {
        found if found == [(StoreKind::Classic, 2), (StoreKind::Containerd, 2)].into() => Ok(()),
        found => Err(format!("{found:?}")),
    }
}

/// The store that goes has all of its images or none; the other has all.
fn one_goes(tree: &Memory, goes: StoreKind) -> Held {
    let found = images(tree)?;
    for (kind, count) in &found {
        let wanted: &[usize] = if *kind == goes { &[0, 2] } else { &[2] };
        if !wanted.contains(count) {
            return Err(format!("{count} images in the {kind} store"));
        }
    }
    match found.keys().any(|kind| *kind != goes) {
        true => Ok(()),
        false => Err("the other store is gone".to_owned()),
    }
}
