//! What is ready is put in place, and what gives way put aside.

use super::journal::{Journal, Paths, Step};
use super::print::Print;
use crate::error::Result;
use crate::tree::{Sink, Tree, TreePath, optional};

/// Gives each file that is to be replaced a second name before it gives way, and makes that durable: then it
/// can be replaced in one step.
pub(super) fn keep(sink: &dyn Sink, paths: &Paths, journal: &Journal) -> Result<()> {
    let mut linked = false;
    for step in journal.steps() {
        linked |= Moving { sink, paths, step }.keep_file()?;
    }
    if linked { sink.sync() } else { Ok(()) }
}

/// Makes the changes of a run, or goes on with them: those whose place is as it was.
pub(super) fn carry(sink: &dyn Sink, paths: &Paths, journal: &mut Journal) -> Result<()> {
    keep(sink, paths, journal)?;
    for step in journal.mends.iter_mut().flat_map(|mend| &mut mend.steps) {
        if step.settle {
            sink.sync()?;
        }
        step.left = !Moving { sink, paths, step }.make()?;
    }
    sink.sync()
}

/// One step, and where its parts lie.
pub(super) struct Lying<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) paths: &'a Paths,
    pub(super) step: &'a Step,
}

impl Lying<'_> {
    pub(super) fn has_new(&self) -> Result<bool> {
        self.is(self.paths.ready(self.step.k).as_path())
    }

    pub(super) fn has_old(&self) -> Result<bool> {
        self.is(self.paths.old(self.step.k).as_path())
    }

    /// Returns whether anything is at the step's place.
    pub(super) fn is_there(&self) -> Result<bool> {
        self.is(self.step.at.as_path())
    }

    fn is(&self, path: TreePath<'_>) -> Result<bool> {
        Ok(optional(self.tree.stat(path))?.is_some())
    }

    /// Returns whether one rename replaces what was there.
    pub(super) fn replaces(&self) -> bool {
        let is_file = |print: &Option<Print>| print.is_some_and(|print| !print.is_folder());
        is_file(&self.step.put) && is_file(&self.step.had)
    }

    /// Returns whether the place is as it was before.
    fn is_as_before(&self) -> Result<bool> {
        match &self.step.had {
            Some(had) => had.is_at(self.tree, self.step.at.as_path()),
            None => Ok(!self.is_there()?),
        }
    }

    /// Returns whether what was there lies aside already, and nothing has come in its place.
    fn is_away(&self) -> Result<bool> {
        let is_moved = self.step.had.is_some() && !self.replaces() && self.has_old()?;
        Ok(is_moved && !self.is_there()?)
    }
}

/// One step, to be made or undone.
pub(super) struct Moving<'a> {
    pub(super) sink: &'a dyn Sink,
    pub(super) paths: &'a Paths,
    pub(super) step: &'a Step,
}

impl Moving<'_> {
    pub(super) fn lying(&self) -> Lying<'_> {
        Lying { tree: self.sink.tree(), paths: self.paths, step: self.step }
    }

    /// Gives a file that is to be replaced a second name, unless it has one or is another by now.
    fn keep_file(&self) -> Result<bool> {
        let lying = self.lying();
        if !lying.replaces() || !lying.has_new()? || lying.has_old()? || !lying.is_as_before()? {
            return Ok(false);
        }
        let (at, old) = (self.step.at.as_path(), self.paths.old(self.step.k));
        self.sink.link(at, old.as_path())?;
        Ok(true)
    }

    /// Makes the change, unless it is made; `false` if the place has become another.
    fn make(&self) -> Result<bool> {
        let lying = self.lying();
        let (at, old) = (self.step.at.as_path(), self.paths.old(self.step.k));
        let is_put = self.step.put.is_some();
        let is_done = if is_put { !lying.has_new()? } else { lying.has_old()? };
        if is_done {
            return Ok(true);
        }
        if !lying.is_away()? {
            if !lying.is_as_before()? {
                return Ok(false);
            }
            if self.step.had.is_some() && !lying.replaces() {
                self.sink.rename(at, old.as_path())?;
            }
        }
        if is_put {
            self.sink.rename(self.paths.ready(self.step.k).as_path(), at)?;
        }
        Ok(true)
    }
}
