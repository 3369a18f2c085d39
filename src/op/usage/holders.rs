//! What images, containers and volumes take, each with all that is theirs.

use std::collections::{BTreeMap, HashSet};

use super::{Amount, Ledger};
use crate::model::Holder;

/// What one holder has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// All lines that it holds.
    pub all: Amount,
    /// Those that it alone holds.
    pub own: Amount,
    /// What is free once it alone is removed.
    pub frees: Amount,
}

/// Returns what each holder of a data root's things has.
#[must_use]
pub fn holders(ledger: &Ledger) -> BTreeMap<(usize, Holder), Held> {
    let mut held: BTreeMap<(usize, Holder), Held> = BTreeMap::new();
    for line in &ledger.lines {
        for holder in &line.thing.held_by {
            let one = held.entry((line.root, holder.clone())).or_default();
            one.all.add(line.amount);
            if line.thing.held_by.len() == 1 {
                one.own.add(line.amount);
                one.frees.add(line.alone);
            }
        }
    }
    for shared in ledger.shared.iter().filter(|shared| shared.is_complete) {
        let holders: HashSet<Option<(usize, &Holder)>> = shared
            .lines
            .iter()
            .filter_map(|line| ledger.lines.get(*line as usize))
            .map(|line| match line.thing.held_by.as_slice() {
                [only] => Some((line.root, only)),
                _ => None,
            })
            .collect();
        if let [Some((root, holder))] = holders.into_iter().collect::<Vec<_>>().as_slice() {
            let one = held.entry((*root, (*holder).clone())).or_default();
            one.frees.add(shared.amount);
        }
    }
    held
}
