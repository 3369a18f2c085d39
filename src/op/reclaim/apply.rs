//! Carrying out what is planned.

use super::{Done, Part, Prepared};
use crate::error::{Error, Place, Result};
use crate::op::aside::{self, About, End};
use crate::store::Progress;
use crate::store::mend::{Change, Mend};
use crate::tree::{Sink, TreePath, TreePathBuf};

impl Prepared {
    /// Returns whether it will not be done, because something would be lost.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.plan.unproven.is_empty() && !self.request.force_unverified
    }

    /// Carries the plan out.
    ///
    /// # Errors
    /// Refused where something would be lost; and what the sinks say: the next run goes on then.
    pub fn apply(self, progress: &dyn Progress) -> Result<Done> {
        if self.is_refused() {
            let count = self.plan.unproven.len();
            let what = format!("{count} things in this store are not in the other");
            return Err(Error::refused(what).hint(
                "move them first: `tranship migrate --to STORE --all`; `--force-unverified` loses them",
            ));
        }
        let parts = &self.plan.parts;
        let number = aside::next_number(parts.iter().map(|part| &*part.tree))?;
        let about =
            About { verb: "reclaim", at: self.request.now, number, keep: self.request.keep };
        let mut done = Done::default();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            part.apply(&aside::sink(&*part.tree)?, &about, progress, &mut done)?;
        }
        self.stopped.release()?;
        Ok(done)
    }
}

impl Part {
    /// Returns whether nothing goes from this tree.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waste.is_empty() && self.puts.is_empty() && self.runs.is_empty()
    }

    /// Returns the place of a path in this tree.
    #[must_use]
    pub fn at(&self, path: &TreePathBuf) -> Place {
        self.tree.place(path.as_path())
    }

    /// Removes what goes from the tree that `sink` is. The caller holds the proof that no daemon runs.
    ///
    /// # Errors
    /// What the sink says; [`aside::finish`] goes on then.
    pub fn apply(
        &self,
        sink: &dyn Sink,
        about: &About,
        progress: &dyn Progress,
        done: &mut Done,
    ) -> Result<()> {
        for (run, bytes) in &self.runs {
            progress.phase("emptying the quarantine");
            aside::drop_kept(sink, run.number)?;
            done.freed = done.freed.saturating_add(*bytes);
        }
        self.remove_staged(sink)?;
        let changes = self.changes()?;
        if changes.is_empty() {
            // What staged things took is all that goes.
            done.freed = done.freed.saturating_add(self.room.freed);
            return Ok(());
        }
        let mend = Mend {
            code: "reclaim",
            place: self.tree.place(TreePath::ROOT),
            what: format!("{} things of no use", self.waste.len()),
            how: format!("{} things are put aside", self.waste.len()),
            changes,
        };
        for end in aside::apply(sink, about, &[mend], progress)? {
            match end {
                End::Done if about.keep => done.number = Some(about.number),
                End::Done => done.freed = done.freed.saturating_add(self.room.freed),
                End::Failed(error) => return Err(error),
                End::Changed => {
                    let what = "something was changed by others meanwhile, and was left";
                    return Err(Error::corrupt(self.tree.place(TreePath::ROOT), what));
                }
            }
        }
        Ok(())
    }

    /// Returns what is to be done, what a daemon sees first.
    fn changes(&self) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for put in &self.puts {
            let mode = self.tree.stat(put.path.as_path())?.mode;
            changes.push(Change::file(put.path.clone(), mode, put.bytes.clone()));
            changes.push(Change::Settle);
        }
        let paths = self.paths().filter(|path| !is_ours(path));
        changes.extend(paths.map(|path| Change::remove(path.clone())));
        Ok(changes)
    }

    fn paths(&self) -> impl Iterator<Item = &TreePathBuf> {
        self.waste.iter().flat_map(|waste| &waste.paths)
    }

    /// Removes what runs of ours staged. It lies where things are put aside, and is no use to anybody.
    fn remove_staged(&self, sink: &dyn Sink) -> Result<()> {
        for path in self.paths().filter(|path| is_ours(path)) {
            sink.remove(path.as_path())?;
            sink.sync()?;
        }
        Ok(())
    }
}

fn is_ours(path: &TreePathBuf) -> bool {
    path.as_path().below(crate::tree::path("tranship")).is_some()
}
