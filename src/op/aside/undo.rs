//! What gave way is put back.

use super::carry::{Lying, Moving};
use super::discard;
use super::journal::{self, Journal, Paths, Run, State, Step};
use super::print::{Print, Sort};
use crate::error::{Error, Result};
use crate::tree::{Sink, Tree, optional};

/// Puts back what gave way in the run `number`, and takes away what it put; returns what that run did.
///
/// # Errors
/// As [`may_undo`], and what the sink says; [`finish`](super::finish) goes on.
pub fn undo(sink: &dyn Sink, number: u32) -> Result<Run> {
    let (paths, mut journal) = (Paths::of(number), journal::of(sink.tree(), number)?);
    check(sink.tree(), &paths, &journal)?;
    put_back(sink, &paths, &mut journal)?;
    Ok(journal.told(number))
}

/// Returns what the run `number` did, if it can be undone.
///
/// # Errors
/// Missing if there is no such run, refused if something was changed since.
pub fn may_undo(tree: &dyn Tree, number: u32) -> Result<Run> {
    let journal = journal::of(tree, number)?;
    check(tree, &Paths::of(number), &journal)?;
    Ok(journal.told(number))
}

fn check(tree: &dyn Tree, paths: &Paths, journal: &Journal) -> Result<()> {
    if journal.state == State::Undoing {
        // It was possible when it began; each step looks again.
        return Ok(());
    }
    if journal.state == State::Dropping {
        return Err(Error::refused("what this run put aside is being deleted: nothing to undo"));
    }
    for step in journal.steps().filter(|step| !step.left) {
        if !(Lying { tree, paths, step }).may_go_back()? {
            return Err(changed(tree, step));
        }
    }
    Ok(())
}

fn changed(tree: &dyn Tree, step: &Step) -> Error {
    let place = tree.place(step.at.as_path());
    Error::refused(format!("{place} was changed since: it is not undone"))
        .hint("undo first what came after; what gave way lies in `tranship/quarantine`")
}

/// Undoes the steps of a run, the last first, and removes its folder.
pub(super) fn put_back(sink: &dyn Sink, paths: &Paths, journal: &mut Journal) -> Result<()> {
    if journal.state != State::Undoing {
        journal.state = State::Undoing;
        journal::write(sink, paths, journal)?;
    }
    for step in journal.steps().rev().filter(|step| !step.left) {
        Moving { sink, paths, step }.go_back()?;
    }
    sink.sync()?;
    journal.state = State::Dropping;
    journal::write(sink, paths, journal)?;
    discard(sink, paths)
}

impl Lying<'_> {
    /// Returns whether the place is what the step made of it, or what it was before.
    fn may_go_back(&self) -> Result<bool> {
        let (tree, Step { at, put, had, .. }) = (self.tree, self.step);
        let is = |print: &Option<Print>| match print {
            Some(print) => print.is_at(tree, at.as_path()),
            None => Ok(false),
        };
        if optional(tree.stat(at.as_path()))?.is_some() {
            let is_whole = had.is_none() || self.has_old()?;
            return Ok(is_whole && is(put)? || is(had)?);
        }
        Ok(match (put, had) {
            // Between two renames, undone, or not done yet.
            (Some(_), _) => self.has_new()?,
            (None, Some(_)) => self.has_old()?,
            (None, None) => true,
        })
    }

    /// Returns whether a folder that was made for others has something in it that is not ours.
    fn is_kept_folder(&self) -> Result<bool> {
        let is_empty = self.step.put.is_some_and(|put| put.kind == Sort::Empty);
        let names = optional(self.tree.names(self.step.at.as_path()));
        Ok(is_empty && self.step.had.is_none() && names?.is_some_and(|names| !names.is_empty()))
    }
}

impl Moving<'_> {
    /// Undoes the step, unless it is not done or undone already.
    fn go_back(&self) -> Result<()> {
        let (sink, at, lying) = (self.sink, self.step.at.as_path(), self.lying());
        let [new, old] = [self.paths.ready(self.step.k), self.paths.old(self.step.k)];
        if !lying.is_there()? {
            // It was taken away already, perhaps with the folder that it was put into.
        } else if !lying.may_go_back()? {
            return Err(changed(sink.tree(), self.step));
        } else if !lying.replaces() && self.step.put.is_some() && !lying.has_new()? {
            if lying.is_kept_folder()? {
                return Ok(());
            }
            sink.rename(at, new.as_path())?;
        }
        if self.step.had.is_some() && lying.has_old()? {
            // A file that had not given way yet has two names, and keeps this one.
            sink.rename(old.as_path(), at)?;
        }
        Ok(())
    }
}
