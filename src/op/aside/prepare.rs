//! What is to be put is got ready aside.

use std::collections::BTreeMap;

use super::journal::{Journal, Note, Paths, QUARANTINE, Step, own};
use super::print::Print;
use super::{About, End};
use crate::error::{Error, Result};
use crate::store::Progress;
use crate::store::mend::{Change, Content, Mend};
use crate::tree::{Attributes, Kind, Sink, Special, Time, TreePath, optional, path, sink_error};

/// Writes everything that `mends` put, and returns what is to be done with it, and which mends cannot be
/// done.
pub(super) fn prepare(
    sink: &dyn Sink,
    about: &About,
    mends: &[Mend],
    progress: &dyn Progress,
) -> Result<(Journal, Vec<End>)> {
    let paths = Paths::of(about.number);
    make_folders(sink, &paths)?;
    let mut ready = Ready { sink, paths, taken: Taken::default(), next: 0 };
    let (mut journal, mut ends) = (Journal::new(about), Vec::new());
    let bytes = mends.iter().map(Mend::bytes).fold(0, u64::saturating_add);
    progress.start(bytes, mends.len());
    for mend in mends {
        if progress.cancelled() {
            return Err(Error::refused("interrupted: nothing was changed"));
        }
        progress.phase(mend.code);
        let (first, taken) = (ready.next, ready.taken.order.len());
        match ready.mend(mend, progress) {
            Ok(note) => {
                journal.mends.push(note);
                ends.push(End::Done);
            }
            Err(error) => {
                for k in first..=ready.next {
                    sink.remove(ready.paths.ready(k).as_path())?;
                }
                ready.taken.truncate(taken);
                ends.push(End::Failed(error));
            }
        }
        progress.layer_done();
    }
    Ok((journal, ends))
}

fn make_folders(sink: &dyn Sink, paths: &Paths) -> Result<()> {
    let inner = [paths.folder(), paths.news(), paths.olds()];
    let outer = [path("tranship").to_owned(), path(QUARANTINE).to_owned()];
    for folder in outer.iter().chain(&inner) {
        if optional(sink.tree().stat(folder.as_path()))?.is_none() {
            sink.make_dir(folder.as_path(), 0o700)?;
            sink.finish_dir(folder.as_path(), &own(sink, 0o700)?)?;
        }
    }
    Ok(())
}

/// The paths that are changed. There may be very many.
#[derive(Default)]
struct Taken {
    order: Vec<Vec<u8>>,
    /// Whether others may come below each.
    holds: BTreeMap<Vec<u8>, bool>,
}

impl Taken {
    fn add(&mut self, at: TreePath<'_>, holds: bool) {
        self.order.push(at.as_bytes().to_vec());
        self.holds.insert(at.as_bytes().to_vec(), holds);
    }

    fn truncate(&mut self, length: usize) {
        for path in self.order.drain(length.min(self.order.len())..) {
            self.holds.remove(&path);
        }
    }

    /// Returns whether `at` is one of them, in one that holds no others, or has one of them in it.
    fn clash(&self, at: TreePath<'_>) -> bool {
        let above = std::iter::successors(at.split_last(), |(folder, _)| folder.split_last());
        let is_inside = above
            .map(|(folder, _)| folder.as_bytes())
            .any(|folder| self.holds.get(folder).is_some_and(|holds| !holds));
        let below = [at.as_bytes(), b"/".as_slice()].concat();
        let mut next = self.holds.range(below.clone()..).map(|(path, _)| path);
        let holds_one = next.next().is_some_and(|path| path.starts_with(&below));
        self.holds.contains_key(at.as_bytes()) || is_inside || holds_one
    }
}

struct Ready<'a> {
    sink: &'a dyn Sink,
    paths: Paths,
    /// The paths that are changed, and whether others may come below them.
    taken: Taken,
    next: usize,
}

impl Ready<'_> {
    fn mend(&mut self, mend: &Mend, progress: &dyn Progress) -> Result<Note> {
        let (mut steps, mut settle) = (Vec::new(), false);
        for change in &mend.changes {
            if let Change::Settle = change {
                settle = true;
                continue;
            }
            if let Some(step) = self.change(change, progress)? {
                steps.push(Step { settle, ..step });
                settle = false;
            }
        }
        Ok(Note {
            code: mend.code.to_owned(),
            place: mend.place.to_string(),
            what: mend.what.clone(),
            how: mend.how.clone(),
            steps,
        })
    }

    fn change(&mut self, change: &Change, progress: &dyn Progress) -> Result<Option<Step>> {
        let tree = self.sink.tree();
        let Some(at) = change.at() else { return Ok(None) };
        let found = optional(tree.stat(at))?;
        let is_folder = matches!(change, Change::Put { content: Content::Folder, .. });
        let there = found.is_some_and(|found| found.kind == Kind::Dir) && is_folder;
        let gone = found.is_none() && matches!(change, Change::Remove { .. });
        if there {
            return Ok(None);
        }
        self.may_take(at)?;
        if gone {
            return Ok(None);
        }
        if !matches!(change, Change::Remove { .. }) {
            self.needs_folder(at)?;
        }
        self.taken.add(at, is_folder);
        let had = Print::of(tree, at)?;
        let put = match change {
            Change::Put { content, mode, mtime, .. } => {
                let to = self.attributes(at, *mode, *mtime)?;
                Some(self.put(content, &to, progress)?)
            }
            _ => None,
        };
        let k = self.next;
        self.next += 1;
        Ok(Some(Step { k, at: at.to_owned(), put, had, settle: false, left: false }))
    }

    /// What is put comes into a folder that is there, or that is made by an earlier change.
    fn needs_folder(&self, at: TreePath<'_>) -> Result<()> {
        let folder = at.split_last().map_or(TreePath::ROOT, |(folder, _)| folder);
        let is_made = self.taken.holds.get(folder.as_bytes()).is_some_and(|holds| *holds);
        match optional(self.sink.tree().stat(folder))? {
            Some(found) if found.kind == Kind::Dir => Ok(()),
            _ if folder.is_root() || is_made => Ok(()),
            _ => Err(Error::missing(self.sink.tree().place(folder), "there is no such folder")),
        }
    }

    /// Two changes of one thing would each undo what the other needs.
    fn may_take(&self, at: TreePath<'_>) -> Result<()> {
        let own = at.is_root() || at.below(path("tranship")).is_some();
        if own || self.taken.clash(at) {
            let what = "two changes of one run are about this";
            return Err(Error::refused(format!("{}: {what}", self.sink.tree().place(at)))
                .hint("the next run does what is left"));
        }
        Ok(())
    }

    /// Returns what a new thing is to have: the owner and labels of what it replaces, or the owner of the
    /// folder that it comes into.
    fn attributes(&self, at: TreePath<'_>, mode: u16, mtime: Option<Time>) -> Result<Attributes> {
        let tree = self.sink.tree();
        let folder = at.split_last().map_or(TreePath::ROOT, |(folder, _)| folder);
        let mut to = Attributes { mtime, ..Attributes::root(mode) };
        let mut like = optional(tree.stat(at))?;
        if like.is_some_and(|like| like.kind == Kind::File) {
            to.xattrs = tree.xattrs(at)?;
        }
        let mut next = Some(folder);
        while let (None, Some(folder)) = (like, next) {
            like = optional(tree.stat(folder))?;
            next = folder.split_last().map(|(above, _)| above);
        }
        (to.uid, to.gid) = like.map_or((0, 0), |like| (like.uid, like.gid));
        Ok(to)
    }

    fn put(&self, content: &Content, to: &Attributes, progress: &dyn Progress) -> Result<Print> {
        let (sink, new) = (self.sink, self.paths.ready(self.next));
        let new = new.as_path();
        match content {
            Content::Bytes(bytes) => {
                let mut file = sink.create(new, to)?;
                file.write_all(bytes).map_err(|error| sink_error(sink, new, error))?;
                file.finish()?;
                progress.advance(bytes.len() as u64);
            }
            Content::Link(target) => {
                let (link, to) = (
                    Special::Symlink(target.clone()),
                    Attributes { mode: 0o777, xattrs: Default::default(), ..*to },
                );
                sink.put(new, &link, &to)?;
            }
            Content::Folder => {
                sink.make_dir(new, 0o700)?;
                sink.finish_dir(new, to)?;
                return Ok(Print::empty());
            }
            Content::Made(making) => making.make(sink, new, progress)?,
        }
        let made = Print::of(sink.tree(), new)?;
        made.ok_or_else(|| Error::missing(sink.tree().place(new), "nothing was made"))
    }
}
