//! What each image, container and volume frees.

use std::collections::{BTreeMap, HashSet};

use super::{Amount, Ledger};
use crate::model::Holder;

/// Returns what is free once each holder of a ledger's things is removed alone; holders that free nothing may
/// be missing.
pub(super) fn frees(ledger: &Ledger) -> BTreeMap<(usize, &Holder), Amount> {
    let mut frees: BTreeMap<(usize, &Holder), Amount> = BTreeMap::new();
    for line in &ledger.lines {
        if let [only] = line.thing.held_by.as_slice() {
            frees.entry((line.root, only)).or_default().add(line.alone);
        }
    }
    for shared in ledger.shared.iter().filter(|shared| shared.is_complete) {
        let lines = shared.lines.iter().filter_map(|line| ledger.lines.get(*line as usize));
        let holders: HashSet<Option<(usize, &Holder)>> = lines
            .map(|line| match line.thing.held_by.as_slice() {
                [only] => Some((line.root, only)),
                _ => None,
            })
            .collect();
        if let [Some(only)] = holders.into_iter().collect::<Vec<_>>().as_slice() {
            frees.entry(*only).or_default().add(shared.amount);
        }
    }
    frees
}
