//! A writer that is cut short at every operation, and so is the run that goes on after it.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use tranship::digest::Digest;
use tranship::error::Result;
use tranship::tree::{Memory, Sink, TreePath};

use super::fault::{Cut, Fault, FaultSink};
use super::random::Random;
use super::seen::listing;

/// What may be left: by a kill; by a power cut with what was synced, all names without bytes, renames from
/// the last to the first, and any of what was not synced.
pub(crate) const CUTS: [Cut; 7] = [
    Cut::Kill,
    Cut::Synced,
    Cut::NamesOnly,
    Cut::Reversed,
    Cut::Some(1),
    Cut::Some(2),
    Cut::Some(3),
];

/// Nothing, or what is wrong.
pub(crate) type Held = std::result::Result<(), String>;

/// A writer that is known to succeed, to be cut short.
pub(crate) struct Crashes<'a> {
    pub(crate) base: Memory,
    /// Does all there is to do, or what is left of it.
    pub(crate) run: &'a (dyn Fn(&Arc<dyn Sink>) -> Result<()> + Sync),
    /// What holds wherever it is cut short.
    pub(crate) whole: &'a (dyn Fn(&Arc<Memory>) -> Held + Sync),
    /// What holds once it has ended well, and not before it began.
    pub(crate) done: &'a (dyn Fn(&Arc<Memory>) -> Held + Sync),
}

impl Crashes<'_> {
    /// Cuts the writer short at every operation, and the run that goes on at some other. What is left is
    /// whole each time, and one more run ends it.
    pub(crate) fn everywhere(&self) {
        let base = Arc::new(self.base.clone());
        (self.whole)(&base).expect("a sound start");
        (self.done)(&base).expect_err("it has something to do");
        let undisturbed = self.dying(&self.base, Fault::Never);
        let ended = Arc::new(undisturbed.after(Cut::Synced));
        (self.done)(&ended).expect("all is durable at the end");
        let (operations, tried) = (undisturbed.log().len(), Tried::default());
        let all = (1..=operations).into_par_iter();
        let wrong = all.flat_map_iter(|n| self.at(n, operations, &tried));
        nothing_is(&wrong.collect::<Vec<_>>());
    }

    fn at(&self, n: usize, operations: usize, tried: &Tried) -> Vec<String> {
        let dead = self.dying(&self.base, Fault::Dies(n));
        let mut random = Random(n as u64);
        let left = CUTS.into_iter().filter_map(|cut| {
            let tree = Arc::new(dead.after(cut));
            let again = 1 + random.below(operations as u64) as usize;
            let then = CUTS[random.below(CUTS.len() as u64) as usize];
            let held = match tried.is_new(&tree) {
                true => self.goes_on(&tree, (again, then), tried),
                false => Ok(()),
            };
            told(&dead, cut, held)
        });
        left.collect()
    }

    fn goes_on(&self, tree: &Arc<Memory>, (again, cut): (usize, Cut), tried: &Tried) -> Held {
        (self.whole)(tree)?;
        self.ends(tree)?;
        let second = self.dying(tree, Fault::Dies(again));
        let tree = Arc::new(second.after(cut));
        let held = match tried.is_new(&tree) {
            true => (self.whole)(&tree).and_then(|()| self.ends(&tree)),
            false => Ok(()),
        };
        told(&second, cut, held).map_or(Ok(()), |what| Err(format!("then {what}")))
    }

    fn ends(&self, tree: &Arc<Memory>) -> Held {
        let tree = Arc::new((**tree).clone());
        let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&tree);
        (self.run)(&sink).map_err(|error| format!("the next run: {error}"))?;
        (self.done)(&tree).map_err(|what| format!("after the next run: {what}"))
    }

    fn dying(&self, base: &Memory, fault: Fault) -> Arc<FaultSink> {
        let dying = Arc::new(FaultSink::new(base.clone(), fault));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
        let ended = (self.run)(&sink);
        assert!(fault != Fault::Never || ended.is_ok(), "{ended:?}");
        dying
    }
}

/// Cuts a writer short everywhere that changes what is seen in one step, and leaves nothing else.
pub(crate) fn old_or_new<S: Debug + PartialEq + Sync>(
    base: Memory,
    run: &(dyn Fn(&Arc<dyn Sink>) -> Result<()> + Sync),
    look: &(dyn Fn(&Arc<Memory>) -> std::result::Result<S, String> + Sync),
    left: &(dyn Fn(&Memory) -> Vec<String> + Sync),
) {
    let old = look(&Arc::new(base.clone())).expect("a sound start");
    let undisturbed = Arc::new(base.clone());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&undisturbed);
    run(&sink).expect("nothing fails");
    let new = look(&undisturbed).expect("a sound result");
    let whole = |tree: &Arc<Memory>| match look(tree)? {
        seen if seen == old || seen == new => Ok(()),
        seen => Err(format!("neither old nor new: {seen:?}")),
    };
    let done = |tree: &Arc<Memory>| match (look(tree)?, left(tree).as_slice()) {
        (seen, []) if seen == new => Ok(()),
        (seen, []) => Err(format!("it made {seen:?}")),
        (_, left) => Err(format!("left behind: {left:?}")),
    };
    Crashes { base, run, whole: &whole, done: &done }.everywhere();
}

/// States that were looked at: many crashes leave the same.
#[derive(Default)]
pub(crate) struct Tried(Mutex<HashSet<Digest>>);

impl Tried {
    pub(crate) fn is_new(&self, tree: &Memory) -> bool {
        let state = Digest::of(listing(tree, TreePath::ROOT).join("\n").as_bytes());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(state)
    }
}

/// Tells what is wrong after a crash with where that was.
pub(crate) fn told(dead: &FaultSink, cut: Cut, held: Held) -> Option<String> {
    let log = dead.log();
    let fault = dead.died_at().min(log.len());
    let at = log.get(fault.wrapping_sub(1)).map(String::as_str).unwrap_or_default();
    held.err().map(|what| format!("operation {fault} ({at}), {cut:?}: {what}"))
}

/// Fails with the first of what is wrong, if anything is.
#[track_caller]
pub(crate) fn nothing_is(wrong: &[String]) {
    let first = wrong.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} times:\n{first}", wrong.len());
}
