//! Comparing two trees by Docker's rules.
//!
//! moby v28 vendor/github.com/moby/go-archive/changes.go ChangesDirs, which `docker diff` asks in either
//! store; containerd v2 vendor/github.com/containerd/continuity/fs/diff.go, path.go, which make a layer.

use std::collections::{BTreeMap, HashSet};

use super::details::same_bytes;
use super::{Change, Changed};
use crate::error::Result;
use crate::format::overlay::{Dialect, Mark, Opaque};
use crate::tree::{Kind, Metadata, Time, Tree, TreePath, TreePathBuf, optional, walk};

/// What counts as the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// That of `docker diff`: a time without a fraction may be one that a tar cut off.
    Shown,
    /// That of containerd when it makes a layer: where both times lack a fraction, the bytes decide.
    Layer,
}

/// The topmost folder of a container or image, in overlayfs form: nothing else can make it differ from
/// what is below.
#[derive(Clone, Copy)]
pub struct Upper<'a> {
    /// The folder as a tree.
    pub tree: &'a dyn Tree,
}

impl std::fmt::Debug for Upper<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Upper").field(&self.tree.origin()).finish()
    }
}

/// A file with several names that is the same as before under this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The name.
    pub path: TreePathBuf,
    /// What is there.
    pub new: Metadata,
}

/// All that is different between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The paths, each folder before what it holds, names in byte order. A folder in which anything
    /// changed is among them.
    pub paths: Vec<Changed>,
    /// By [`Rule::Layer`] alone: names that did not change of files with several.
    pub linked: Vec<Linked>,
}

/// Returns what `new` has other than `old`. Where `new` is `old` with a folder on top of it, that is
/// `upper`, and little else is looked at.
///
/// # Errors
/// What the trees say.
pub fn compare(
    old: &dyn Tree,
    new: &dyn Tree,
    upper: Option<Upper<'_>>,
    rule: Rule,
) -> Result<Changes> {
    let mut compared = Compared { old, new, rule, levels: Vec::new(), found: Changes::default() };
    match upper {
        Some(upper) => compared.walk_upper(upper.tree)?,
        None => compared.walk_all(TreePath::ROOT)?,
    }
    let Compared { mut found, .. } = compared;
    found.paths.sort_by(|a, b| a.path.as_path().names().cmp(b.path.as_path().names()));
    found.linked.sort_by(|a, b| a.path.as_path().names().cmp(b.path.as_path().names()));
    found.paths = with_folders(old, new, found.paths)?;
    Ok(found)
}

struct Compared<'a> {
    old: &'a dyn Tree,
    new: &'a dyn Tree,
    rule: Rule,
    /// The folders that lead to where the walk is.
    levels: Vec<Level>,
    found: Changes,
}

/// A folder of the new tree on the way.
struct Level {
    folder: TreePathBuf,
    /// What the old tree has in it that was not come across yet.
    old: BTreeMap<Vec<u8>, Metadata>,
    /// Whether the new tree has nothing in it but what the walk comes across.
    is_all: bool,
}

/// What the marks on a folder of an upper layer say of what is below it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Shows,
    Hidden,
    /// It cannot be told from the folder alone.
    Elsewhere,
}

impl Compared<'_> {
    /// Goes through all of the new tree below `top`.
    fn walk_all(&mut self, top: TreePath<'_>) -> Result<()> {
        let outer = std::mem::take(&mut self.levels);
        self.enter(top, true)?;
        let new = self.new;
        walk(new, top, &mut |path, entry| {
            let was = self.take_old(path);
            self.note(new, path, was, entry.metadata)?;
            if entry.metadata.kind == Kind::Dir {
                self.enter_old(path, was, true)?;
            }
            Ok(true)
        })?;
        self.leave_all();
        self.levels = outer;
        Ok(())
    }

    /// Goes through the upper folder alone, but for those of its folders that do not tell all.
    fn walk_upper(&mut self, upper: &dyn Tree) -> Result<()> {
        match below(upper, TreePath::ROOT)? {
            Below::Elsewhere => return self.walk_all(TreePath::ROOT),
            shows => self.enter(TreePath::ROOT, shows == Below::Hidden)?,
        }
        walk(upper, TreePath::ROOT, &mut |path, entry| {
            let was = self.take_old(path);
            if entry.metadata.is_whiteout() {
                self.note_deleted(path, was);
                return Ok(false);
            }
            self.note(upper, path, was, entry.metadata)?;
            if entry.metadata.kind != Kind::Dir {
                return Ok(false);
            }
            match below(upper, path)? {
                Below::Elsewhere => {
                    self.walk_all(path)?;
                    return Ok(false);
                }
                shows => self.enter_old(path, was, shows == Below::Hidden)?,
            }
            Ok(true)
        })?;
        self.leave_all();
        Ok(())
    }

    fn enter(&mut self, folder: TreePath<'_>, is_all: bool) -> Result<()> {
        let was = optional(self.old.stat(folder))?;
        self.enter_old(folder, was, is_all)
    }

    /// Lists what was in a folder, if it was one.
    fn enter_old(
        &mut self,
        folder: TreePath<'_>,
        was: Option<Metadata>,
        is_all: bool,
    ) -> Result<()> {
        let old = match was {
            Some(was) if was.kind == Kind::Dir => self.old.list(folder)?,
            _ => Vec::new(),
        };
        let old = old.into_iter().map(|entry| (entry.name, entry.metadata)).collect();
        self.levels.push(Level { folder: folder.to_owned(), old, is_all });
        Ok(())
    }

    /// Returns what was at `path`, and leaves the folders that the walk has left.
    fn take_old(&mut self, path: TreePath<'_>) -> Option<Metadata> {
        let (folder, name) = path.split_last()?;
        while self.levels.last()?.folder.as_path() != folder {
            self.leave();
        }
        self.levels.last_mut()?.old.remove(name)
    }

    fn leave_all(&mut self) {
        while !self.levels.is_empty() {
            self.leave();
        }
    }

    fn leave(&mut self) {
        let Some(level) = self.levels.pop() else { return };
        for (name, was) in level.old.into_iter().filter(|_| level.is_all) {
            if let Some(path) = level.folder.as_path().child(&name) {
                self.note_deleted(path.as_path(), Some(was));
            }
        }
    }

    fn note_deleted(&mut self, path: TreePath<'_>, was: Option<Metadata>) {
        if was.is_some() {
            let (path, change) = (path.to_owned(), Change::Deleted);
            self.found.paths.push(Changed { path, change, old: was, new: None });
        }
    }

    /// Notes what became of `path`, which `tree` has now.
    fn note(
        &mut self,
        tree: &dyn Tree,
        path: TreePath<'_>,
        was: Option<Metadata>,
        now: Metadata,
    ) -> Result<()> {
        let change = match &was {
            None => Change::Added,
            Some(was) if self.differs(tree, path, was, &now)? => Change::Changed,
            Some(_) => {
                if self.rule == Rule::Layer && now.nlink > 1 && now.kind != Kind::Dir {
                    self.found.linked.push(Linked { path: path.to_owned(), new: now });
                }
                return Ok(());
            }
        };
        let path = path.to_owned();
        self.found.paths.push(Changed { path, change, old: was, new: Some(now) });
        Ok(())
    }

    fn differs(
        &self,
        tree: &dyn Tree,
        path: TreePath<'_>,
        was: &Metadata,
        now: &Metadata,
    ) -> Result<bool> {
        let fixed = |m: &Metadata| (m.kind, m.mode, m.uid, m.gid, m.rdev);
        if fixed(was) != fixed(now) {
            return Ok(true);
        }
        if now.kind == Kind::Dir {
            return Ok(false);
        }
        if was.size != now.size || !self.is_same_time(was.mtime, now.mtime) {
            return Ok(true);
        }
        if now.kind == Kind::File && capability(self.old, path)? != capability(tree, path)? {
            return Ok(true);
        }
        let is_cut = was.mtime.nanos == 0 && now.mtime.nanos == 0;
        Ok(self.rule == Rule::Layer && is_cut && !same_bytes(self.old, self.new, path, now)?)
    }

    fn is_same_time(&self, a: Time, b: Time) -> bool {
        let is_cut = self.rule == Rule::Shown && (a.nanos == 0 || b.nanos == 0);
        a.seconds == b.seconds && (a.nanos == b.nanos || is_cut)
    }
}

fn capability(tree: &dyn Tree, path: TreePath<'_>) -> Result<Option<Vec<u8>>> {
    Ok(tree.xattrs(path)?.remove(b"security.capability".as_slice()))
}

fn below(upper: &dyn Tree, folder: TreePath<'_>) -> Result<Below> {
    let xattrs = upper.xattrs(folder)?;
    let mark = |mark| Dialect::ALL.iter().find_map(|dialect| xattrs.get(&dialect.name(mark)));
    if mark(Mark::Redirect).is_some() {
        return Ok(Below::Elsewhere);
    }
    Ok(match mark(Mark::Opaque).and_then(|value| Opaque::of(value)) {
        Some(Opaque::Yes) => Below::Hidden,
        Some(Opaque::XattrWhiteouts) => Below::Elsewhere,
        None => Below::Shows,
    })
}

/// Adds the folders in which something changed and that did not change themselves.
fn with_folders(old: &dyn Tree, new: &dyn Tree, found: Vec<Changed>) -> Result<Vec<Changed>> {
    let told: HashSet<TreePathBuf> = found.iter().map(|one| one.path.clone()).collect();
    let (mut added, mut all) = (HashSet::new(), Vec::with_capacity(found.len()));
    for one in found {
        let mut missing = Vec::new();
        let mut folder = one.path.as_path().split_last().map(|(folder, _)| folder);
        while let Some(at) = folder.filter(|at| !at.is_root()) {
            let known = at.to_owned();
            if told.contains(&known) || !added.insert(known.clone()) {
                break;
            }
            missing.push(known);
            folder = at.split_last().map(|(folder, _)| folder);
        }
        for path in missing.into_iter().rev() {
            let old = optional(old.stat(path.as_path()))?;
            let new = Some(new.stat(path.as_path())?);
            all.push(Changed { path, change: Change::Changed, old, new });
        }
        all.push(one);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
