//! Every other writer may die at any operation too: what is seen then is the old state or the new one, and
//! the same run again ends it.
//!
//! `crash.rs` and `classic/crash.rs` do it to migrations, `moves.rs` to containers.

mod carried;
mod small;

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use tranship::digest::Digest;
use tranship::error::Result;
use tranship::tree::{Memory, Sink, TreePath};

use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::nothing_is;
use crate::support::random::Random;
use crate::support::seen::listing;

/// What may be left: by a kill; by a power cut with what was synced, all names without bytes, renames from
/// the last to the first, and any of what was not synced.
const CUTS: [Cut; 7] = [
    Cut::Kill,
    Cut::Synced,
    Cut::NamesOnly,
    Cut::Reversed,
    Cut::Some(1),
    Cut::Some(2),
    Cut::Some(3),
];

/// A commit takes about as many operations.
const LAST: usize = 60;

/// A writer that is known to succeed, to be cut short.
struct Job<'a, S> {
    base: Memory,
    run: &'a (dyn Fn(&Arc<dyn Sink>) -> Result<()> + Sync),
    /// What a daemon sees, or what is unsound.
    look: &'a (dyn Fn(&Arc<Memory>) -> std::result::Result<S, String> + Sync),
    /// What a run that ended well should not have left.
    left: &'a (dyn Fn(&Memory) -> Vec<String> + Sync),
}

impl<S: Debug + PartialEq + Send + Sync> Job<'_, S> {
    fn disturbed(&self, base: &Memory, fault: Fault) -> Arc<FaultSink> {
        let dying = Arc::new(FaultSink::new(base.clone(), fault));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
        let ended = (self.run)(&sink);
        assert!(fault != Fault::Never || ended.is_ok(), "{ended:?}");
        dying
    }

    /// Cuts the writer short at its operations, and the run that goes on at some other: at each of the last
    /// ones, and before those, where layers are put, at one of `step`.
    fn holds(&self, step: usize) {
        let whole = self.disturbed(&self.base, Fault::Never);
        let seen = |tree: Memory| (self.look)(&Arc::new(tree));
        let old = seen(self.base.clone()).expect("a sound start");
        let new = seen(whole.after(Cut::Synced)).expect("all is durable at the end");
        assert_ne!(old, new, "it does something");
        let operations = whole.log().len();
        let tried: Mutex<HashSet<Digest>> = Mutex::default();
        let is_new = |tree: &Memory| {
            let state = Digest::of(listing(tree, TreePath::ROOT).join("\n").as_bytes());
            tried.lock().unwrap_or_else(PoisonError::into_inner).insert(state)
        };
        let at = |n: usize| {
            let dead = self.disturbed(&self.base, Fault::Dies(n));
            let again = 1 + Random(n as u64).below(operations as u64) as usize;
            let told = |cut: Cut| {
                let tree = dead.after(cut);
                let result = match is_new(&tree) {
                    true => self.goes_on(&tree, again, [&old, &new]),
                    false => Ok(()),
                };
                let log = dead.log();
                let last = log.get(n.wrapping_sub(1)).cloned().unwrap_or_default();
                result.err().map(|what| format!("operation {n} ({last}), {cut:?}: {what}"))
            };
            CUTS.into_iter().filter_map(told).collect::<Vec<_>>()
        };
        let last = operations.saturating_sub(LAST);
        let all = (1..=operations).into_par_iter().filter(|n| *n > last || n % step == 0);
        let wrong: Vec<String> = all.flat_map_iter(at).collect();
        nothing_is(&wrong);
    }

    fn goes_on(
        &self,
        tree: &Memory,
        again: usize,
        [old, new]: [&S; 2],
    ) -> std::result::Result<(), String> {
        let is_whole = |tree: &Memory| match (self.look)(&Arc::new(tree.clone()))? {
            seen if seen == *old || seen == *new => Ok(()),
            seen => Err(format!("neither old nor new: {seen:?}")),
        };
        is_whole(tree)?;
        let second = self.disturbed(tree, Fault::Dies(again)).after(Cut::Some(again as u64));
        is_whole(&second).map_err(|what| format!("then operation {again}: {what}"))?;
        for tree in [tree, &second] {
            let sink = Arc::new(tree.clone());
            let ended = (self.run)(&(Arc::clone(&sink) as Arc<dyn Sink>));
            ended.map_err(|error| format!("the next run: {error}"))?;
            let seen = (self.look)(&sink)?;
            if seen != *new {
                return Err(format!("the next run made {seen:?}"));
            }
            if let left @ [_, ..] = (self.left)(&sink).as_slice() {
                return Err(format!("left behind: {left:?}"));
            }
        }
        Ok(())
    }
}
