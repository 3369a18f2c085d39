//! A migration may die at any operation: the target is the old one or the new one, and the next run
//! goes on from there.

use std::sync::Arc;

use rayon::prelude::*;
use tranship::model::Finding;
use tranship::tree::{Memory, Sink, TreePath};

use crate::support::crashes::{Held, Tried, old_or_new, told};
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::scene::{Scene, before, target_of};
use crate::support::seen::{leftovers, listing, look};
use crate::support::{Migration, daemon, nothing_is};

#[test]
fn with_an_empty_target() {
    Crashes::of(Memory::new()).everywhere();
}

#[test]
fn with_images_in_the_target() {
    Crashes::of(before()).everywhere();
}

#[test]
fn what_was_done_is_not_done_again() {
    for base in [Memory::new(), before()] {
        Crashes::of(base).killed();
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
    tried: Tried,
}

impl Crashes {
    fn of(base: Memory) -> Self {
        Self { scene: Scene::new(base), tried: Tried::default() }
    }

    fn everywhere(&self) {
        let before = listing(&*self.scene.source, TreePath::ROOT);
        let run =
            |sink: &Arc<dyn Sink>| Migration::default().run(&self.scene.store, sink).map(drop);
        let look = |tree: &Arc<Memory>| look(&**tree);
        old_or_new(self.scene.base.clone(), &run, &look, &|tree| leftovers(tree));
        assert_eq!(listing(&*self.scene.source, TreePath::ROOT), before, "the source is as it was");
    }

    /// What a kill leaves in the cache may be lost to a power cut, but is there now.
    fn killed(&self) {
        self.each(|n| {
            let (dead, outcome) = self.scene.disturbed(self.scene.base.clone(), Fault::Dies(n));
            let ended = match outcome {
                Err(_) => Ok(()),
                Ok(outcome) => self.only_untidy(&dead, &outcome.findings),
            };
            let tree = dead.after(Cut::Kill);
            let goes_on = match self.tried.is_new(&tree) {
                true => {
                    let done = self.scene.journalled(&tree);
                    self.scene.completes(tree, &done)
                }
                false => Ok(()),
            };
            [ended, goes_on].into_iter().filter_map(|held| told(&dead, Cut::Kill, held)).collect()
        });
    }

    /// A run that dies and says that it is done had all in place, and says what it left.
    fn only_untidy(&self, dead: &FaultSink, findings: &[Finding]) -> Held {
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        let seen = look(&dead.after(Cut::Synced))?;
        let fine = seen == self.scene.new && codes == ["staging-left"];
        if fine { Ok(()) } else { Err(format!("ends well, with {codes:?}")) }
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
                let seen = if self.tried.is_new(&tree) { look(&tree) } else { return Vec::new() };
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
            wrong.collect()
        });
    }

    /// Does `work` for every operation, and fails with what is wrong.
    fn each(&self, work: impl Fn(usize) -> Vec<String> + Sync) {
        let all = (1..=self.scene.operations).into_par_iter();
        nothing_is(&all.flat_map_iter(&work).collect::<Vec<_>>());
    }
}
