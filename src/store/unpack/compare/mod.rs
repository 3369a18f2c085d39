//! What differs between a folder and what a tar would unpack to.

mod content;
mod difference;
mod end;
mod entry;
mod same;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;

use content::Content;
use difference::Found;
pub use difference::{Difference, Differences, Differs, NAMED};
pub use same::Same;

use super::Rules;
use super::dirs::{Dir, Dirs};
use super::name::{Asks, Spelled, asks, spelled};
use crate::error::{Result, from_io};
use crate::format::overlay::{Dialect, Mark};
use crate::format::tar::{self, Member, Watch};
use crate::tree::{Attributes, Metadata, Tree, TreePath, TreePathBuf, optional, resolve_folder};

/// Compares the tar it watches with a folder that is said to hold the same layer unpacked, and names
/// each file that differs.
///
/// What a tar says twice counts as it says it last. Passed over is what unpacking does not decide: the
/// attributes of folders that the tar leaves out and those of deleted names, parts of a second that the
/// tar does not give, what overlayfs and security modules noted for themselves; and what BuildKit and
/// `docker commit` leave in a folder and no tar has: sockets, folders without change, and marks on
/// folders that hide nothing. Each file is read once.
pub struct Compare<'a> {
    tree: &'a dyn Tree,
    root: TreePathBuf,
    rules: Rules<'a>,
    dirs: Dirs,
    /// All else that the tar has, by hashes of the paths.
    seen: HashSet<u64>,
    /// Files of the tar that have several names in the tree, with the name each was first seen by.
    linked: HashMap<u64, u64>,
    file: Option<(Content<'a>, TreePathBuf)>,
    reads_files: bool,
    found: Found,
    /// The tar says something twice or takes it back, has holes in files, or what is passed over is
    /// there: nothing differs, but it is not said of the folder that it is the same to the last bit.
    is_odd: bool,
    /// The tar takes something back, so where names led before that is not known.
    is_replaced: bool,
    incomplete: Option<String>,
}

impl std::fmt::Debug for Compare<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compare").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<'a> Compare<'a> {
    /// Starts to compare with the folder `root` of `tree` what unpacking by `rules` makes.
    #[must_use]
    pub fn new(tree: &'a dyn Tree, root: TreePath<'_>, rules: Rules<'a>) -> Self {
        Self {
            tree,
            root: root.to_owned(),
            rules,
            dirs: Dirs::new(),
            seen: HashSet::new(),
            linked: HashMap::new(),
            file: None,
            reads_files: true,
            found: Found::default(),
            is_odd: false,
            is_replaced: false,
            incomplete: None,
        }
    }

    /// Leaves out the bytes of files: the tar is put together from them, so they are its own.
    #[must_use]
    pub fn without_content(self) -> Self {
        Self { reads_files: false, ..self }
    }

    /// Returns what differs, once the tar is read.
    ///
    /// # Errors
    /// What the tree says of its folders. A file that cannot be read is a difference.
    pub fn finish(self) -> Result<Differences> {
        self.ended().map(|(differences, _)| differences)
    }

    /// Returns what differs, and whether more than that is to be said.
    pub(super) fn ended(mut self) -> Result<(Differences, bool)> {
        self.compare_dirs()?;
        self.find_extra()?;
        if self.is_replaced {
            self.found.forget_uncertain();
        }
        Ok((self.found.into_differences(self.incomplete), self.is_odd))
    }

    /// Returns whether nothing odd was found so far.
    pub(super) fn is_plain(&self) -> bool {
        self.found.is_empty() && !self.is_odd && self.incomplete.is_none()
    }

    fn note(&mut self, path: TreePath<'_>, differs: Differs) {
        self.found.note(path, differs);
    }

    fn at(&self, path: TreePath<'_>) -> TreePathBuf {
        self.root.as_path().join(path)
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Option<Metadata>> {
        optional(self.tree.stat(self.at(path).as_path()))
    }

    fn begin(&mut self, member: &Member<'_>) -> Result<()> {
        if member.kind == tar::Kind::Global {
            return Ok(());
        }
        let Spelled { folder: spelled, name } = match spelled(&member.path, self.rules.turns_inside)
        {
            Ok(Some(spelled)) => spelled,
            Ok(None) => return Ok(()),
            Err(what) => {
                self.unusable(member, &what);
                return Ok(());
            }
        };
        let asks = match asks(&name) {
            Ok(asks) => asks,
            Err(what) => {
                self.unusable(member, &what);
                return Ok(());
            }
        };
        let Some(folder) = self.folder(&spelled, true)? else {
            if !matches!(asks, Asks::Entry(_)) && !self.rules.marks {
                return Ok(());
            }
            let path = spelled.as_path().child(&name).unwrap_or_default();
            self.note(path.as_path(), Differs::Missing);
            return Ok(());
        };
        let child = |name: &[u8]| folder.as_path().child(name).unwrap_or_default();
        match asks {
            Asks::Entry(name) => self.entry(child(name).as_path(), member),
            Asks::Whiteout(name) => self.deleted(child(name).as_path()),
            Asks::Opaque => {
                self.opaque(folder.as_path());
                Ok(())
            }
        }
    }

    fn unusable(&mut self, member: &Member<'_>, what: &str) {
        let path = TreePath::new(&member.path).unwrap_or(TreePath::ROOT);
        self.note(path, Differs::Unusable(format!("the tar has {what}")));
    }

    /// Returns the folder that is meant, if there is one; `is_needed` says that the tar has something
    /// in it.
    fn folder(&mut self, spelled: &TreePathBuf, is_needed: bool) -> Result<Option<TreePathBuf>> {
        if self.dirs.contains(spelled.as_path()) {
            return Ok(Some(spelled.clone()));
        }
        let root = self.root.as_path();
        let found = resolve_folder(self.tree, root, spelled.as_path().as_bytes())?;
        let Some(found) = found else { return Ok(None) };
        let found = found.as_path().below(root).unwrap_or(TreePath::ROOT).to_owned();
        if self.stat(found.as_path())?.is_none() {
            return Ok(None);
        }
        let mut above = Some(found.as_path());
        while let Some(path) = above.filter(|path| is_needed && !self.dirs.contains(*path)) {
            let attributes = Attributes::root(0o755);
            self.keep(path, Dir { attributes, is_implied: true });
            above = path.split_last().map(|(above, _)| above);
        }
        Ok(Some(found))
    }

    fn keep(&mut self, path: TreePath<'_>, dir: Dir) {
        if !self.dirs.put(path, dir) {
            let what = "the layer has more folders than can be kept in mind".to_owned();
            self.incomplete.get_or_insert(what);
        }
    }

    fn opaque(&mut self, folder: TreePath<'_>) {
        if self.rules.marks {
            if let Some(dir) = self.dirs.get_mut(folder) {
                dir.attributes.xattrs.insert(Dialect::Trusted.name(Mark::Opaque), b"y".to_vec());
            }
            return;
        }
        let below = self.dirs.below(folder).filter(|(_, dir)| dir.is_implied);
        let implied: Vec<_> = below.map(|(path, _)| path.to_owned()).collect();
        implied.iter().for_each(|path| self.replace(path.as_path()));
        // Those that are gone as they should be were never seen.
        let dirs = &self.dirs;
        self.found.forget_missing(folder, &|above| dirs.contains(above));
    }

    fn deleted(&mut self, path: TreePath<'_>) -> Result<()> {
        let is_known = self.seen.contains(&hash(path)) || self.dirs.contains(path);
        if is_known || self.found.has_below(path) {
            self.replace(path);
        }
        if self.rules.marks {
            self.seen.insert(hash(path));
            match self.stat(path)? {
                Some(found) if found.is_whiteout() => {}
                Some(found) => self.note(path, Differs::Kind(found.kind)),
                None => self.note(path, Differs::Missing),
            }
        }
        Ok(())
    }

    /// Forgets what the tar said of `path` before.
    fn replace(&mut self, path: TreePath<'_>) {
        (self.is_odd, self.is_replaced) = (true, true);
        self.found.forget(path);
        self.seen.remove(&hash(path));
        self.dirs.remove(path);
    }

    /// Takes what came of comparing a piece of the file that is open.
    fn compared(&mut self, answer: io::Result<Option<Differs>>) {
        if matches!(answer, Ok(None)) {
            return;
        }
        let Some((_, path)) = self.file.take() else { return };
        match answer {
            Ok(None) => {}
            Ok(Some(differs)) => self.note(path.as_path(), differs),
            Err(error) => {
                let error = from_io(error, || self.tree.place(self.at(path.as_path()).as_path()));
                self.unreadable(path.as_path(), &error);
            }
        }
    }
}

impl Watch for Compare<'_> {
    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        Ok(self.begin(member)?)
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((file, _)) = &mut self.file else { return Ok(()) };
        let answer = file.compare(bytes);
        self.compared(answer);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some((file, _)) = &mut self.file {
            let answer = file.finish();
            self.compared(answer);
        }
        self.file = None;
        Ok(())
    }
}

fn hash(path: TreePath<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
