//! A reclaim may die at any operation: the other store stays whole, the one that goes is whole or gone,
//! and the next run ends it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use tranship::digest::Digest;
use tranship::model::StoreKind;
use tranship::op::reclaim::Request;
use tranship::tree::{Memory, Sink, TreePath};

use super::{carry_out, images, store};
use crate::moves::{Folders, look, moved, root, there_and_back};
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::nothing_is;
use crate::support::random::Random;
use crate::support::seen::listing;

const CUTS: [Cut; 5] = [Cut::Kill, Cut::Synced, Cut::NamesOnly, Cut::Reversed, Cut::Some(1)];

#[test]
fn of_the_classic_store() {
    let both = moved(&root(), StoreKind::Classic).0;
    Crashes::of(both, store(StoreKind::Classic), StoreKind::Classic).everywhere();
}

#[test]
fn of_the_containerd_store() {
    let both = moved(&there_and_back(StoreKind::Classic), StoreKind::Containerd).0;
    Crashes::of(both, store(StoreKind::Containerd), StoreKind::Containerd).everywhere();
}

struct Crashes {
    base: Memory,
    request: Request,
    goes: StoreKind,
    containers: Folders,
    /// All that is there after an undisturbed run.
    end: Vec<String>,
    operations: usize,
    tried: Mutex<HashSet<Digest>>,
}

impl Crashes {
    fn of(base: Memory, request: Request, goes: StoreKind) -> Self {
        let containers = look(&base).expect("sound").1;
        let tried = Mutex::default();
        let mut all =
            Self { base, request, goes, containers, end: Vec::new(), operations: 0, tried };
        let whole = all.disturbed(&all.base, Fault::Never);
        all.operations = whole.log().len();
        all.end = listing(&whole.after(Cut::Synced), TreePath::ROOT);
        all
    }

    fn disturbed(&self, base: &Memory, fault: Fault) -> Arc<FaultSink> {
        let dying = Arc::new(FaultSink::new(base.clone(), fault));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
        let ended = carry_out(&sink, &self.request);
        assert!(fault != Fault::Never || ended.is_ok(), "{ended:?}");
        dying
    }

    fn everywhere(&self) {
        let all = (1..=self.operations).into_par_iter();
        nothing_is(&all.flat_map_iter(|n| self.at(n)).collect::<Vec<_>>());
    }

    fn at(&self, n: usize) -> Vec<String> {
        let dead = self.disturbed(&self.base, Fault::Dies(n));
        let mut random = Random(n as u64);
        let cuts = CUTS.iter().filter_map(|cut| {
            let tree = dead.after(*cut);
            let state = Digest::of(listing(&tree, TreePath::ROOT).join("\n").as_bytes());
            let is_new = self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(state);
            let again = 1 + usize::try_from(random.below(self.operations as u64)).expect("small");
            let result = if is_new { self.goes_on(&tree, again) } else { Ok(()) };
            let log = dead.log();
            let at = log.get(n.min(log.len()).wrapping_sub(1)).cloned().unwrap_or_default();
            result.err().map(|what| format!("operation {n} ({at}), {cut:?}: {what}"))
        });
        cuts.collect()
    }

    fn goes_on(&self, tree: &Memory, again: usize) -> Result<(), String> {
        self.is_whole(tree)?;
        let second = self.disturbed(tree, Fault::Dies(again)).after(Cut::Kill);
        self.is_whole(&second).map_err(|what| format!("then at {again}: {what}"))?;
        for tree in [tree, &second] {
            let ended = self.disturbed(tree, Fault::Never).after(Cut::Synced);
            let found = listing(&ended, TreePath::ROOT);
            let other = found.iter().find(|line| !self.end.contains(line));
            let gone = self.end.iter().find(|line| !found.contains(line));
            if other.is_some() || gone.is_some() {
                return Err(format!("the next run left {other:?} and not {gone:?}"));
            }
        }
        Ok(())
    }

    /// The containers and the other store are whole; the one that goes has all of its images or none.
    fn is_whole(&self, tree: &Memory) -> Result<(), String> {
        let (_, containers) = look(tree)?;
        if containers != self.containers {
            return Err("a container has other files".to_owned());
        }
        let found = images(tree)?;
        for (kind, count) in &found {
            let wanted: &[usize] = if *kind == self.goes { &[0, 2] } else { &[2] };
            if !wanted.contains(count) {
                return Err(format!("{count} images in the {kind} store"));
            }
        }
        match found.keys().any(|kind| *kind != self.goes) {
            true => Ok(()),
            false => Err("the other store is gone".to_owned()),
        }
    }
}
