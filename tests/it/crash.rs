//! A migration may die at any operation: the target is the old one or the new one, and the next run
//! goes on from there.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use tranship::digest::Digest;
use tranship::tree::{Memory, TreePath};

use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::random::Random;
use crate::support::scene::{Scene, before, target_of};
use crate::support::seen::{listing, look};
use crate::support::{daemon, nothing_is};

const CUTS: [Cut; 7] = [
    Cut::Kill,
    Cut::Synced,
    Cut::NamesOnly,
    Cut::Reversed,
    Cut::Some(1),
    Cut::Some(2),
    Cut::Some(3),
];

/// What is wrong after one crash, told with where it was.
type Wrong = Option<String>;

#[test]
fn once_with_an_empty_target() {
    Crashes::of(Memory::new()).everywhere();
}

#[test]
fn once_with_images_in_the_target() {
    Crashes::of(before()).everywhere();
}

#[test]
fn twice() {
    for base in [Memory::new(), before()] {
        Crashes::of(base).twice();
    }
}

#[test]
fn and_a_daemon_runs_before_the_next() {
    for base in [Memory::new(), before()] {
        Crashes::of(base).daemon_in_between();
    }
}

struct Crashes {
    scene: Scene,
    /// States that have been looked at: many crashes leave the same.
    tried: Mutex<HashSet<Digest>>,
}

impl Crashes {
    fn of(base: Memory) -> Self {
        Self { scene: Scene::new(base), tried: Mutex::default() }
    }

    fn everywhere(&self) {
        let before = listing(&*self.scene.source, TreePath::ROOT);
        self.each(|n| {
            let (dead, outcome) = self.scene.disturbed(self.scene.base.clone(), Fault::Dies(n));
            let ended = match outcome {
                Err(_) => Ok(()),
                Ok(outcome) => self.only_untidy(&dead, &outcome.findings),
            };
            let wrong = CUTS.iter().map(|cut| {
                let tree = dead.after(*cut);
                // What a kill leaves in the cache may be lost to a power cut, but is there now.
                let done = match cut {
                    Cut::Kill => self.scene.journalled(&tree),
                    _ => Vec::new(),
                };
                let whole = self.scene.is_whole(&tree);
                let result = match (self.is_new(&tree), whole) {
                    (true, Ok(())) => self.scene.completes(tree, &done),
                    (_, whole) => whole,
                };
                told(&dead, *cut, result)
            });
            wrong.chain([told(&dead, Cut::Kill, ended)]).collect()
        });
        assert_eq!(listing(&*self.scene.source, TreePath::ROOT), before, "the source is as it was");
    }

    /// A run that dies and says that it is done had all in place, and says what it left.
    fn only_untidy(
        &self,
        dead: &FaultSink,
        findings: &[tranship::model::Finding],
    ) -> Result<(), String> {
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        let seen = look(&dead.after(Cut::Synced))?;
        let fine = seen == self.scene.new && codes == ["staging-left"];
        if fine { Ok(()) } else { Err(format!("ends well, with {codes:?}")) }
    }

    /// The run that goes on after a crash may crash as well.
    fn twice(&self) {
        self.each(|n| {
            let mut random = Random(n as u64);
            let (first, _) = self.scene.disturbed(self.scene.base.clone(), Fault::Dies(n));
            let wrong = [Cut::Kill, Cut::Synced, Cut::Some(n as u64)].into_iter().map(|cut| {
                let m = 1 + random.below(self.scene.operations as u64 + 30) as usize;
                let again = CUTS[random.below(CUTS.len() as u64) as usize];
                let (second, _) = self.scene.disturbed(first.after(cut), Fault::Dies(m));
                let tree = second.after(again);
                let result = self.scene.is_whole(&tree).and_then(|()| {
                    let new = self.is_new(&tree);
                    if new { self.scene.completes(tree, &[]) } else { Ok(()) }
                });
                let first = told(&first, cut, Err(String::new()))?;
                told(&second, again, result).map(|second| format!("{first}then {second}"))
            });
            wrong.collect()
        });
    }

    /// A daemon that comes up in between sees a sound store, can work with it, and keeps what it made.
    fn daemon_in_between(&self) {
        /// One layer is shared with the migration, one is not.
        const PULLED: &str = "
diff base
  dir  bin
  file bin/sh shell*300
  hard bin/ash bin/sh
  gone old
diff pulled
  file pulled pulled*9
image pulled = base + pulled
  name pulled:1
";
        let pulled = Scene::new(target_of(PULLED, self.scene.base.clone()));
        // Before the commit there is only the staging folder, which no daemon looks at.
        let commit = self.scene.operations - 60;
        self.each(|n| {
            if n < commit && n % 10 > 0 {
                return Vec::new();
            }
            let (dead, _) = self.scene.disturbed(self.scene.base.clone(), Fault::Dies(n));
            let wrong = [Cut::Kill, Cut::Synced, Cut::Some(4)].into_iter().flat_map(|cut| {
                let tree = dead.after(cut);
                let seen = if self.is_new(&tree) { look(&tree) } else { return Vec::new() };
                let (collected, with_pulled) = (tree.clone(), daemon::pull(&tree, PULLED));
                let both = with_pulled.clone();
                daemon::collect(&collected);
                daemon::collect(&both);
                let kept = look(&collected).and_then(|after| match Ok(&after) == seen.as_ref() {
                    true => Ok(()),
                    false => Err("the collector takes what the daemon shows".to_owned()),
                });
                [
                    kept.and_then(|()| self.scene.completes(collected, &[])),
                    pulled.completes(with_pulled, &[]),
                    pulled.completes(both, &[]),
                ]
                .into_iter()
                .filter_map(|result| told(&dead, cut, result))
                .collect()
            });
            wrong.map(Some).collect()
        });
    }

    /// Does `work` for every operation, and fails with what is wrong.
    fn each(&self, work: impl Fn(usize) -> Vec<Wrong> + Sync) {
        let all = 1..=self.scene.operations;
        let wrong: Vec<String> =
            all.into_par_iter().flat_map_iter(|n| work(n).into_iter().flatten()).collect();
        nothing_is(&wrong);
    }

    fn is_new(&self, tree: &Memory) -> bool {
        let state = Digest::of(listing(tree, TreePath::ROOT).join("\n").as_bytes());
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(state)
    }
}

fn told(dead: &FaultSink, cut: Cut, result: Result<(), String>) -> Wrong {
    let log = dead.log();
    let fault = dead.died_at().min(log.len());
    let at = log.get(fault.wrapping_sub(1)).map(String::as_str).unwrap_or_default();
    result.err().map(|what| format!("operation {fault} ({at}), {cut:?}: {what}"))
}
