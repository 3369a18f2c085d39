//! Whether a folder holds what a tar would unpack to.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read};

use super::Rules;
use super::attributes::{attributes, without_private};
use super::dirs::{Dir, Dirs};
use super::name::{Asks, Spelled, asks, spelled};
use crate::error::{Result, from_io};
use crate::format::overlay::{Dialect, Mark};
use crate::format::tar::{self, Member, Watch};
use crate::tree::{
    Attributes, Kind, Metadata, Time, Tree, TreePath, TreePathBuf, Xattrs, optional,
    resolve_folder, walk,
};

/// Compares the tar it watches with a folder that may hold the same layer unpacked.
///
/// The answer is *yes* only where unpacking would make the same, but for the attributes of folders that
/// the tar leaves out, those of deleted names, parts of a second that the tar does not give, and what
/// overlayfs noted for itself. It may be *no* without need for tars that say things twice, take back
/// what they said, or have files with holes. Each file is read once.
pub struct Same<'a> {
    tree: &'a dyn Tree,
    root: TreePathBuf,
    rules: Rules<'a>,
    is_same: bool,
    dirs: Dirs,
    /// All else that the tar has, by hashes of the paths: two that hash alike make a *no*.
    seen: HashSet<u64>,
    /// Files of the tar that have several names in the tree.
    linked: HashSet<u64>,
    file: Option<Open<'a>>,
    buffer: Vec<u8>,
}

struct Open<'a> {
    bytes: Box<dyn Read + Send + 'a>,
    path: TreePathBuf,
}

impl std::fmt::Debug for Same<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Same").field("is_same", &self.is_same).finish_non_exhaustive()
    }
}

impl<'a> Same<'a> {
    /// Starts to compare with the folder `root` of `tree` what unpacking by `rules` makes.
    #[must_use]
    pub fn new(tree: &'a dyn Tree, root: TreePath<'_>, rules: Rules<'a>) -> Self {
        Self {
            tree,
            root: root.to_owned(),
            rules,
            is_same: true,
            dirs: Dirs::new(),
            seen: HashSet::new(),
            linked: HashSet::new(),
            file: None,
            buffer: Vec::new(),
        }
    }

    /// Returns whether the folder can still turn out to be the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.is_same
    }

    /// Returns whether the folder is the same, once the tar is read.
    ///
    /// # Errors
    /// What the tree says.
    pub fn finish(self) -> Result<bool> {
        Ok(self.is_same && self.dirs_agree()? && self.has_nothing_else()?)
    }

    fn dirs_agree(&self) -> Result<bool> {
        for (path, dir) in self.dirs.inside_out() {
            let at = self.at(path);
            let xattrs = without_private(self.tree.xattrs(at.as_path())?);
            let wanted = without_private(dir.attributes.xattrs.clone());
            let agrees = match dir.is_implied {
                true => marks(&xattrs) == marks(&wanted),
                false => {
                    let found = self.tree.stat(at.as_path())?;
                    xattrs == wanted && has(&found, &dir.attributes)
                }
            };
            if !agrees {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_nothing_else(&self) -> Result<bool> {
        // The layer's own folder is not in it.
        let wanted = self.seen.len() + self.dirs.len() - 1;
        let mut found = 0;
        walk(self.tree, self.root.as_path(), &mut |_, _| {
            found += 1;
            Ok(found <= wanted)
        })?;
        Ok(found == wanted)
    }

    fn at(&self, path: TreePath<'_>) -> TreePathBuf {
        self.root.as_path().join(path)
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Option<Metadata>> {
        optional(self.tree.stat(self.at(path).as_path()))
    }

    /// Returns whether `path` is new to the tar.
    fn is_new(&mut self, path: TreePath<'_>) -> bool {
        self.seen.insert(hash(path))
    }

    fn compare(&mut self, member: &Member<'_>) -> Result<bool> {
        if member.kind == tar::Kind::Global {
            return Ok(true);
        }
        let Spelled { folder, name } = match spelled(&member.path, self.rules.turns_inside) {
            Ok(Some(spelled)) => spelled,
            answer => return Ok(answer.is_ok()),
        };
        let Some(folder) = self.folder(folder, true)? else { return Ok(false) };
        let folder = folder.as_path();
        match asks(&name) {
            Ok(Asks::Entry(name)) => self.entry(folder.child(name).unwrap_or_default(), member),
            Ok(Asks::Opaque) => Ok(self.opaque(folder)),
            Ok(Asks::Whiteout(name)) => self.deleted(folder.child(name).unwrap_or_default()),
            Err(_) => Ok(false),
        }
    }

    /// Returns the folder that is meant, if there is one; `is_needed` says that the tar has something
    /// in it.
    fn folder(&mut self, spelled: TreePathBuf, is_needed: bool) -> Result<Option<TreePathBuf>> {
        if self.dirs.contains(spelled.as_path()) {
            return Ok(Some(spelled));
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
            if !self.dirs.put(path, Dir { attributes, is_implied: true }) {
                return Ok(None);
            }
            above = path.split_last().map(|(above, _)| above);
        }
        Ok(Some(found))
    }

    fn opaque(&mut self, folder: TreePath<'_>) -> bool {
        if !self.rules.marks {
            return !self.dirs.below(folder).any(|(_, dir)| dir.is_implied);
        }
        if let Some(dir) = self.dirs.get_mut(folder) {
            dir.attributes.xattrs.insert(Dialect::Trusted.name(Mark::Opaque), b"y".to_vec());
        }
        true
    }

    fn deleted(&mut self, path: TreePathBuf) -> Result<bool> {
        let path = path.as_path();
        if !self.rules.marks {
            return Ok(!self.seen.contains(&hash(path)) && !self.dirs.contains(path));
        }
        let is_new = self.is_new(path);
        Ok(is_new && self.stat(path)?.is_some_and(|found| found.is_whiteout()))
    }

    fn entry(&mut self, path: TreePathBuf, member: &Member<'_>) -> Result<bool> {
        let path = path.as_path();
        let Some(found) = self.stat(path)? else { return Ok(false) };
        let wanted = attributes(member, found.kind, &self.rules);
        if member.kind == tar::Kind::Dir {
            let dir = Dir { attributes: wanted, is_implied: false };
            return Ok(found.kind == Kind::Dir && self.dirs.put(path, dir));
        }
        let agrees = has(&found, &wanted) && self.is_kind(path, &found, member)?;
        if !agrees || !self.is_new(path) {
            return Ok(false);
        }
        let at = self.at(path);
        let xattrs = without_private(self.tree.xattrs(at.as_path())?);
        if member.kind == tar::Kind::HardLink {
            // The file has what was said of it before, and this.
            return Ok(wanted.xattrs.iter().all(|(key, value)| xattrs.get(key) == Some(value)));
        }
        if member.kind == tar::Kind::File && found.size > 0 {
            let bytes = self.tree.open(at.as_path())?;
            self.file = Some(Open { bytes, path: at });
        }
        let is_first = found.nlink <= 1 || self.linked.insert(found.ino);
        Ok(is_first && xattrs == without_private(wanted.xattrs))
    }

    /// Returns whether what is there is what the member makes, but for attributes and bytes.
    fn is_kind(
        &mut self,
        path: TreePath<'_>,
        found: &Metadata,
        member: &Member<'_>,
    ) -> Result<bool> {
        let is_device = |kind| found.kind == kind && found.rdev == member.device;
        Ok(match member.kind {
            tar::Kind::File => {
                found.kind == Kind::File && found.size == member.size && member.sparse.is_none()
            }
            tar::Kind::Symlink => {
                found.kind == Kind::Symlink
                    && self.tree.read_link(self.at(path).as_path())? == *member.link
            }
            tar::Kind::Char => is_device(Kind::Char),
            tar::Kind::Block => is_device(Kind::Block),
            tar::Kind::Fifo => found.kind == Kind::Fifo,
            tar::Kind::HardLink => self.is_linked(found, member)?,
            tar::Kind::Dir | tar::Kind::Global | tar::Kind::Other(_) => false,
        })
    }

    fn is_linked(&mut self, found: &Metadata, member: &Member<'_>) -> Result<bool> {
        let Ok(Some(Spelled { folder, name })) = spelled(&member.link, self.rules.turns_inside)
        else {
            return Ok(false);
        };
        let Some(folder) = self.folder(folder, false)? else { return Ok(false) };
        let target = folder.as_path().child(&name).unwrap_or_default();
        let is_before = self.seen.contains(&hash(target.as_path()));
        let target = self.stat(target.as_path())?;
        let is_one = target.is_some_and(|target| target.ino == found.ino);
        Ok(found.kind != Kind::Dir && is_before && is_one)
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(true) };
        self.buffer.resize(bytes.len(), 0);
        match file.bytes.read_exact(&mut self.buffer) {
            Ok(()) => Ok(self.buffer == bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(from_io(error, || self.tree.place(file.path.as_path())).into()),
        }
    }

    /// Takes an answer about a part of the layer.
    fn note(&mut self, is_same: bool) {
        self.is_same &= is_same;
        if !is_same {
            self.file = None;
        }
    }
}

impl Watch for Same<'_> {
    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        if self.is_same {
            let is_same = self.compare(member)?;
            self.note(is_same);
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_same = self.content(bytes)?;
        self.note(is_same);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.file = None;
        Ok(())
    }
}

fn hash(path: TreePath<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// Returns what overlayfs would heed of a folder's attributes.
fn marks(xattrs: &Xattrs) -> Vec<(&[u8], &[u8])> {
    let pairs = xattrs.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    pairs.filter(|(key, _)| Mark::of(key).is_some()).collect()
}

/// Returns whether something has the attributes, extended ones apart.
fn has(found: &Metadata, wanted: &Attributes) -> bool {
    let has_mode = found.kind == Kind::Symlink || found.mode == wanted.mode;
    let has_time = wanted.mtime.is_none_or(|time| is_time(found.mtime, time));
    has_mode && has_time && (found.uid, found.gid) == (wanted.uid, wanted.gid)
}

/// What BuildKit and `docker commit` made in place has the time to the nanosecond, and their tars say
/// the second alone.
fn is_time(found: Time, wanted: Time) -> bool {
    found.seconds == wanted.seconds && (wanted.nanos == 0 || found.nanos == wanted.nanos)
}
