//! Changing a tree so that nothing is lost: what gives way is put aside, and can be put back.
//!
//! A *run* is a list of [`Mend`]s carried out together. It has a number, and a
//! folder of its own in the tree that it changes:
//!
//! ```text
//! tranship/quarantine/<n>/
//!   journal.json   what is changed, and how far that is; durable before the first change
//!   new/<k>        what change <k> puts, until it is put
//!   old/<k>        what was at its place before
//! ```
//!
//! [`apply`] gets everything ready aside, makes it durable, writes the journal, and only then renames:
//! first what gives way to `old`, then the new to its place; a file is replaced in one step. A run that
//! dies is gone on with by [`finish`], which the next run calls first. [`undo`] puts back what gave way,
//! unless somebody has changed what was put since; [`drop_kept`] gives the room back for good. Whoever
//! removes things for good asks [`apply`] not to keep them: they are renamed first, all the same, so that
//! a daemon sees none or all of each, and then deleted.
//!
//! Whether a change was made is told by where things lie, never by a guess: what is still in `new` was
//! not put, and what is in `old` gave way. Before a change is made or undone, its place is held against
//! what the journal says of it; what somebody else has changed meanwhile is left alone.

mod carry;
mod journal;
mod prepare;
mod print;
mod undo;

use crate::error::{Error, Place, Result};
use crate::store::Progress;
use crate::store::mend::Mend;
use crate::tree::{LiveSink, Sink, Time, Tree, TreePath, TreePathBuf};

pub use journal::{Noted, Run, State, runs};
pub use undo::{may_undo, undo};

use journal::{Journal, Paths, write};

/// Who changes something, and why.
#[derive(Clone, Debug)]
pub struct About {
    /// The verb: `repair`, `reclaim`.
    pub verb: &'static str,
    /// When.
    pub at: Time,
    /// The number of the run: [`next_number`] of all trees that it changes.
    pub number: u32,
    /// Whether what gives way is kept, so that it can be put back; else it is deleted at the end.
    pub keep: bool,
}

/// What became of a mend.
#[derive(Debug)]
pub enum End {
    /// All its changes are made.
    Done,
    /// It could not be got ready, and none of its changes was made.
    Failed(Error),
    /// Not all of its changes were made: something was not any more as it was when the run began.
    Changed,
}

/// Returns a number that no run in any of `trees` has: higher than all.
///
/// # Errors
/// What the trees say.
pub fn next_number<'t>(trees: impl IntoIterator<Item = &'t dyn Tree>) -> Result<u32> {
    let mut last = 0;
    for tree in trees {
        last = last.max(journal::numbers(tree)?.into_iter().max().unwrap_or(0));
    }
    Ok(last.saturating_add(1))
}

/// Carries out `mends` in the tree that `sink` is; returns what became of each. The caller holds the
/// proof that no daemon runs, and has called [`finish`].
///
/// # Errors
/// What the sink says. What was changed until then is put back, or if not even that can be done, gone on
/// with by [`finish`].
pub fn apply(
    sink: &dyn Sink,
    about: &About,
    mends: &[Mend],
    progress: &dyn Progress,
) -> Result<Vec<End>> {
    let paths = Paths::of(about.number);
    let (mut journal, mut ends) = match prepare::prepare(sink, about, mends, progress) {
        Ok((journal, ends)) if journal.steps().next().is_none() => {
            discard(sink, &paths)?;
            return Ok(ends);
        }
        Ok(ready) => ready,
        Err(error) => {
            // If this fails too, the next run removes it.
            let _ = discard(sink, &paths);
            return Err(error);
        }
    };
    begin(sink, about, &paths, &journal)?;
    progress.phase("putting things in place");
    if let Err(error) = carry::carry(sink, &paths, &mut journal) {
        // If this fails too, the journal says how to go on.
        let _ = undo::put_back(sink, &paths, &mut journal);
        return Err(error);
    }
    if journal.steps().all(|step| !step.left) {
        journal::settle(sink, &paths)?;
        if !about.keep {
            discard(sink, &paths)?;
        }
    } else {
        close(sink, &paths, &mut journal)?;
    }
    let mut noted = journal.mends.iter();
    for end in ends.iter_mut().filter(|end| matches!(end, End::Done)) {
        if noted.next().is_some_and(|mend| mend.steps.iter().any(|step| step.left)) {
            *end = End::Changed;
        }
    }
    Ok(ends)
}

/// Writes all that needs room: the journal, the one that is to follow it, and second names. A run that finds
/// none is withdrawn, so that what was told to have failed is not done later.
fn begin(sink: &dyn Sink, about: &About, paths: &Paths, journal: &Journal) -> Result<()> {
    sink.sync()?;
    write(sink, paths, journal)?;
    let mut last = journal.clone();
    last.state = State::after(about.keep);
    let staged = journal::stage(sink, paths, &last);
    staged.and_then(|()| carry::keep(sink, paths, journal)).inspect_err(|_| {
        // If this fails too, the journal says how to go on.
        let _ = journal::withdraw(sink, paths).and_then(|()| discard(sink, paths));
    })
}

/// Goes on with every run in the tree that `sink` is which was interrupted, whatever it was doing; returns
/// what they are now. Runs that had changed nothing yet leave nothing.
///
/// # Errors
/// What the sink says, and a journal that cannot be read.
pub fn finish(sink: &dyn Sink) -> Result<Vec<Run>> {
    let mut finished = Vec::new();
    for number in journal::numbers(sink.tree())? {
        let paths = Paths::of(number);
        let Some(mut journal) = journal::read(sink.tree(), &paths)? else {
            // Nothing gave way before there was a journal. Whatever else is there is not ours to remove.
            if !journal::has_old(sink.tree(), &paths)? {
                discard(sink, &paths)?;
            }
            continue;
        };
        match journal.state {
            State::Done => continue,
            State::Begun => {
                carry::carry(sink, &paths, &mut journal)?;
                close(sink, &paths, &mut journal)?;
            }
            State::Undoing => undo::put_back(sink, &paths, &mut journal)?,
            State::Dropping => discard(sink, &paths)?,
        }
        finished.push(journal.told(number));
    }
    tidy(sink)?;
    Ok(finished)
}

/// Returns whether a run in `tree` was interrupted, so that [`finish`] has something to go on with.
///
/// # Errors
/// What the tree says, and a journal that cannot be read.
pub fn is_unfinished(tree: &dyn Tree) -> Result<bool> {
    let (runs, _) = runs(tree)?;
    Ok(runs.iter().any(|run| run.state != State::Done))
}

/// Deletes what the run `number` put aside, for good.
///
/// # Errors
/// Missing if there is no such run, and what the sink says; [`finish`] goes on.
pub fn drop_kept(sink: &dyn Sink, number: u32) -> Result<()> {
    let paths = Paths::of(number);
    let mut journal = journal::of(sink.tree(), number)?;
    journal.state = State::Dropping;
    write(sink, &paths, &journal)?;
    discard(sink, &paths)
}

/// Opens the root of `tree` for writing.
///
/// # Errors
/// Refused for what is no directory of this machine.
pub fn sink(tree: &dyn Tree) -> Result<LiveSink> {
    let Some((live, inner)) = tree.live(TreePath::ROOT) else {
        let place = Place::new(tree.origin(), "");
        return Err(Error::refused(format!(
            "{place} is no folder of this machine: it is only read"
        ))
        .hint("unpack it as root and name the folder; `--dry-run` shows what would be done"));
    };
    LiveSink::open(&live.path().join(crate::os::path_of(inner.as_path().as_bytes())))
}

/// Returns the folder of the run `number`: its journal, and all that it put aside.
#[must_use]
pub fn folder(number: u32) -> TreePathBuf {
    Paths::of(number).folder()
}

/// Notes that all is done; what gave way is kept or not.
fn close(sink: &dyn Sink, paths: &Paths, journal: &mut Journal) -> Result<()> {
    journal.state = State::after(journal.keep);
    write(sink, paths, journal)?;
    if journal.keep { Ok(()) } else { discard(sink, paths) }
}

/// Removes the folder of a run, the journal after what it tells of.
fn discard(sink: &dyn Sink, paths: &Paths) -> Result<()> {
    sink.remove(paths.news().as_path())?;
    sink.remove(paths.olds().as_path())?;
    sink.sync()?;
    sink.remove(paths.folder().as_path())?;
    tidy(sink)?;
    sink.sync()
}

/// Removes our own folders, if nothing is in them: a run that died may have left them so.
fn tidy(sink: &dyn Sink) -> Result<()> {
    for own in [journal::QUARANTINE, journal::OWN] {
        let own = crate::tree::path(own);
        let names = crate::tree::optional(sink.tree().names(own))?;
        if names.is_some_and(|names| names.is_empty()) {
            sink.remove(own)?;
            sink.sync()?;
        }
    }
    Ok(())
}
