//! A tree in memory, to read and to write.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Attributes, Entry, FileSink, Kind, Metadata, Sink, Special, Tree, TreePath, TreePathBuf, Xattrs,
};
use crate::error::{Error, Result};

/// A tree in memory, with names and inodes as a file system has them. Cloning it takes a picture of it
/// as it is.
#[derive(Debug, Default)]
pub struct Memory {
    disk: Mutex<Disk>,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    names: BTreeMap<Vec<u8>, u64>,
    inodes: HashMap<u64, Inode>,
    /// The last number that an inode got. None is used twice.
    last: u64,
}

#[derive(Clone, Debug)]
struct Inode {
    body: Body,
    attributes: Attributes,
    names: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    File(Arc<Vec<u8>>),
    Dir,
    Special(Special),
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self { disk: Mutex::new(self.disk().clone()) }
    }
}

impl Memory {
    /// Returns an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` on the tree, and gives what is wrong with it its place.
    fn at<T>(
        &self,
        path: TreePath<'_>,
        work: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> Result<T> {
        work(&mut self.disk()).map_err(|error| Error::io(self.place(path), error))
    }
}

impl Disk {
    fn ino(&self, path: TreePath<'_>) -> io::Result<u64> {
        match self.names.get(path.as_bytes()) {
            _ if path.is_root() => Ok(0),
            Some(ino) => Ok(*ino),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn inode(&self, path: TreePath<'_>) -> io::Result<&Inode> {
        self.inodes.get(&self.ino(path)?).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_dir(&self, path: TreePath<'_>) -> bool {
        path.is_root() || self.inode(path).is_ok_and(|inode| inode.body == Body::Dir)
    }

    fn metadata(&self, path: TreePath<'_>) -> io::Result<Metadata> {
        if path.is_root() {
            let root = Inode { body: Body::Dir, attributes: Attributes::root(0o755), names: 1 };
            return Ok(root.metadata(0));
        }
        Ok(self.inode(path)?.metadata(self.ino(path)?))
    }

    /// As in a file system: the folder must exist, and the name must be free.
    fn may_add(&self, path: TreePath<'_>) -> io::Result<()> {
        let folder = path.split_last().map_or(TreePath::ROOT, |(folder, _)| folder);
        if path.is_root() || self.names.contains_key(path.as_bytes()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.is_dir(folder) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn add(&mut self, path: TreePath<'_>, body: Body, attributes: &Attributes) -> io::Result<u64> {
        self.may_add(path)?;
        self.last += 1;
        let inode = Inode { body, attributes: attributes.clone(), names: 1 };
        self.inodes.insert(self.last, inode);
        self.names.insert(path.as_bytes().to_vec(), self.last);
        Ok(self.last)
    }

    fn unlink(&mut self, path: &[u8]) {
        let Some(ino) = self.names.remove(path) else { return };
        let Some(inode) = self.inodes.get_mut(&ino) else { return };
        inode.names -= 1;
        if inode.names == 0 {
            self.inodes.remove(&ino);
        }
    }

    /// Returns everything below `dir`, each folder before what it holds.
    fn below(&self, dir: TreePath<'_>) -> impl Iterator<Item = (TreePath<'_>, u64)> {
        let first = if dir.is_root() { Vec::new() } else { [dir.as_bytes(), b"/"].concat() };
        let inside = first.clone();
        let from_here = self.names.range(first..);
        let here = from_here.take_while(move |(path, _)| path.starts_with(&inside));
        here.filter_map(|(path, ino)| Some((TreePath::new(path)?, *ino)))
    }

    fn rename(&mut self, from: TreePath<'_>, to: TreePath<'_>) -> io::Result<()> {
        let moved = self.ino(from)?;
        if from.is_root() || to.is_root() || (from != to && to.below(from).is_some()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.names.get(to.as_bytes()) == Some(&moved) {
            return Ok(());
        }
        match (self.names.contains_key(to.as_bytes()), self.is_dir(from), self.is_dir(to)) {
            (false, ..) => self.may_add(to)?,
            (true, false, true) => return Err(io::ErrorKind::IsADirectory.into()),
            (true, true, false) => return Err(io::ErrorKind::NotADirectory.into()),
            (true, true, true) if self.below(to).next().is_some() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            (true, ..) => self.unlink(to.as_bytes()),
        }
        let all = self.take(from)?;
        self.put(to, all);
        Ok(())
    }

    fn exchange(&mut self, a: TreePath<'_>, b: TreePath<'_>) -> io::Result<()> {
        self.ino(a).and(self.ino(b))?;
        if a.below(b).is_some() || b.below(a).is_some() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (at_a, at_b) = (self.take(a)?, self.take(b)?);
        self.put(a, at_b);
        self.put(b, at_a);
        Ok(())
    }

    /// Takes the names at and below `path` away; returns them as they are below it.
    fn take(&mut self, path: TreePath<'_>) -> io::Result<Vec<(TreePathBuf, u64)>> {
        let tail = |found: TreePath<'_>| found.below(path).unwrap_or(TreePath::ROOT).to_owned();
        let mut all = vec![(TreePathBuf::default(), self.ino(path)?)];
        all.extend(self.below(path).map(|(found, ino)| (tail(found), ino)));
        for (tail, _) in &all {
            self.names.remove(path.join(tail.as_path()).as_path().as_bytes());
        }
        Ok(all)
    }

    fn put(&mut self, path: TreePath<'_>, all: Vec<(TreePathBuf, u64)>) {
        let at = |tail: TreePathBuf| path.join(tail.as_path()).as_path().as_bytes().to_vec();
        self.names.extend(all.into_iter().map(|(tail, ino)| (at(tail), ino)));
    }
}

impl Inode {
    fn metadata(&self, ino: u64) -> Metadata {
        let (kind, size, rdev) = match &self.body {
            Body::File(bytes) => (Kind::File, bytes.len() as u64, (0, 0)),
            Body::Dir => (Kind::Dir, 0, (0, 0)),
            Body::Special(Special::Symlink(target)) => (Kind::Symlink, target.len() as u64, (0, 0)),
            Body::Special(Special::Char(major, minor)) => (Kind::Char, 0, (*major, *minor)),
            Body::Special(Special::Block(major, minor)) => (Kind::Block, 0, (*major, *minor)),
            Body::Special(Special::Fifo) => (Kind::Fifo, 0, (0, 0)),
            Body::Special(Special::Socket) => (Kind::Socket, 0, (0, 0)),
        };
        Metadata {
            kind,
            mode: self.attributes.mode,
            uid: self.attributes.uid,
            gid: self.attributes.gid,
            size,
            allocated: if kind == Kind::Dir { 4096 } else { size.next_multiple_of(4096) },
            mtime: self.attributes.mtime.unwrap_or_default(),
            ino,
            nlink: self.names,
            rdev,
        }
    }
}

impl Attributes {
    /// Changes what a file system changes: giving a file an owner, even the one it has, takes its
    /// capabilities away (Linux fs/open.c chown_common).
    fn change(&mut self, to: &Self) {
        let mut xattrs = std::mem::take(&mut self.xattrs);
        xattrs.remove(b"security.capability".as_slice());
        xattrs.extend(to.xattrs.clone());
        *self = Self { mtime: to.mtime.or(self.mtime), xattrs, ..*to };
    }
}

impl Tree for Memory {
    fn origin(&self) -> &'static str {
        "memory"
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.at(path, |disk| disk.metadata(path))
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        self.at(dir, |disk| {
            disk.ino(dir)?;
            if !disk.is_dir(dir) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            let mut entries = Vec::new();
            for (path, ino) in disk.below(dir) {
                let name = path.below(dir).unwrap_or(path).as_bytes();
                if let (false, Some(inode)) = (name.contains(&b'/'), disk.inodes.get(&ino)) {
                    entries.push(Entry { name: name.to_vec(), metadata: inode.metadata(ino) });
                }
            }
            Ok(entries)
        })
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        match self.at(file, |disk| disk.inode(file).map(|inode| inode.body.clone()))? {
            Body::File(bytes) => Ok(Box::new(Cursor::new(Arc::unwrap_or_clone(bytes)))),
            _ => Err(Error::corrupt(self.place(file), "not a regular file")),
        }
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.at(link, |disk| match &disk.inode(link)?.body {
            Body::Special(Special::Symlink(target)) => Ok(target.clone()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        })
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        if path.is_root() {
            return Ok(Xattrs::new());
        }
        self.at(path, |disk| Ok(disk.inode(path)?.attributes.xattrs.clone()))
    }
}

impl Sink for Memory {
    fn tree(&self) -> &dyn Tree {
        self
    }

    fn create<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<Box<dyn FileSink + 'a>> {
        let ino = self.at(path, |disk| disk.add(path, Body::File(Arc::default()), attributes))?;
        Ok(Box::new(MemoryFile { memory: self, ino, path: path.to_owned() }))
    }

    fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()> {
        self.at(path, |disk| match disk.is_dir(path) {
            true => Ok(()),
            false => disk.add(path, Body::Dir, &Attributes::root(mode)).map(drop),
        })
    }

    fn finish_dir(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<u64> {
        self.at(path, |disk| {
            let ino = disk.ino(path)?;
            let inode = disk.inodes.get_mut(&ino).filter(|inode| inode.body == Body::Dir);
            inode.ok_or(io::ErrorKind::NotADirectory)?.attributes = attributes.clone();
            Ok(4096)
        })
    }

    fn put(&self, path: TreePath<'_>, special: &Special, attributes: &Attributes) -> Result<u64> {
        let body = Body::Special(special.clone());
        self.at(path, |disk| disk.add(path, body, attributes)).map(|_| 0)
    }

    fn set_attributes(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<()> {
        self.at(path, |disk| {
            let ino = disk.ino(path)?;
            let inode = disk.inodes.get_mut(&ino).filter(|inode| inode.body != Body::Dir);
            inode.ok_or(io::ErrorKind::IsADirectory)?.attributes.change(attributes);
            Ok(())
        })
    }

    fn link(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.at(to, |disk| {
            let ino = disk.ino(from)?;
            disk.may_add(to)?;
            let inode = disk.inodes.get_mut(&ino).filter(|inode| inode.body != Body::Dir);
            inode.ok_or(io::ErrorKind::PermissionDenied)?.names += 1;
            disk.names.insert(to.as_bytes().to_vec(), ino);
            Ok(())
        })
    }

    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.at(to, |disk| disk.rename(from, to))
    }

    fn exchange(&self, a: TreePath<'_>, b: TreePath<'_>) -> Result<()> {
        self.at(b, |disk| disk.exchange(a, b))
    }

    fn remove(&self, path: TreePath<'_>) -> Result<()> {
        self.at(path, |disk| {
            let below: Vec<_> = disk.below(path).map(|(path, _)| path.to_owned()).collect();
            if path.is_root() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            below.iter().rev().for_each(|path| disk.unlink(path.as_path().as_bytes()));
            disk.unlink(path.as_bytes());
            Ok(())
        })
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// An open file is its inode, whatever becomes of its name.
struct MemoryFile<'a> {
    memory: &'a Memory,
    ino: u64,
    path: TreePathBuf,
}

impl Write for MemoryFile<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if let Some(inode) = self.memory.disk().inodes.get_mut(&self.ino)
            && let Body::File(bytes) = &mut inode.body
        {
            Arc::make_mut(bytes).extend_from_slice(more);
        }
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The longest hole: memory has no holes.
const HOLE_LIMIT: u64 = 1 << 30;

impl FileSink for MemoryFile<'_> {
    fn hole(&mut self, length: u64) -> io::Result<()> {
        match length <= HOLE_LIMIT {
            true => io::copy(&mut io::repeat(0).take(length), self).map(drop),
            false => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let gone = io::ErrorKind::NotFound;
        let path = self.path.as_path();
        self.memory.at(path, |disk| {
            let inode = disk.inodes.get(&self.ino).ok_or(gone)?;
            Ok(inode.metadata(self.ino).allocated)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{path, read, write};
    use super::*;

    fn tree() -> Memory {
        let tree = Memory::new();
        for dir in ["a", "a/b", "a.b", "c"] {
            tree.make_dir(path(dir), 0o755).expect("a free name");
        }
        write(&tree, path("a/b/x"), 0o644, b"x").expect("a free name");
        write(&tree, path("a.b/y"), 0o644, b"y").expect("a free name");
        tree
    }

    #[test]
    fn a_folder_moves_with_all_it_holds_and_nothing_else() {
        let tree = tree();
        tree.rename(path("a"), path("c/d")).expect("a free name");
        assert_eq!(read(&tree, path("c/d/b/x")).expect("moved"), b"x");
        assert_eq!(read(&tree, path("a.b/y")).expect("not below `a`"), b"y");
        assert!(tree.stat(path("a/b")).expect_err("moved").is_missing());
        tree.remove(path("c")).expect("all below goes too");
        assert_eq!(tree.names(TreePath::ROOT).expect("the root"), [b"a.b"]);
    }

    #[test]
    fn two_folders_change_places_with_all_they_hold() {
        let tree = tree();
        tree.exchange(path("a"), path("a.b")).expect("both are there");
        assert_eq!(read(&tree, path("a.b/b/x")).expect("moved"), b"x");
        assert_eq!(read(&tree, path("a/y")).expect("moved"), b"y");
        assert_eq!(tree.names(path("a.b")).expect("a folder"), [b"b"]);
        for (a, b) in [("a", "z"), ("z", "a"), ("a", "a"), ("a.b", "a.b/b"), ("a.b/b", "a.b")] {
            tree.exchange(path(a), path(b)).expect_err(a);
        }
        assert_eq!(read(&tree, path("a.b/b/x")).expect("as it was"), b"x");
    }

    #[test]
    fn what_a_file_system_refuses_changes_nothing() {
        let tree = tree();
        for (from, to) in [("a", "a/b/c"), ("a", "a.b"), ("a.b/y", "a"), ("a", "a.b/y"), ("x", "y")]
        {
            tree.rename(path(from), path(to)).expect_err(from);
        }
        tree.remove(TreePath::ROOT).expect_err("the root stays");
        tree.create(path("a"), &Attributes::default()).map(drop).expect_err("taken");
        tree.create(path("z/a"), &Attributes::default()).map(drop).expect_err("no folder");
        tree.link(path("a"), path("z")).expect_err("a folder has one name");
        let all: Vec<_> = tree.disk().names.keys().cloned().collect();
        assert_eq!(all, ["a", "a.b", "a.b/y", "a/b", "a/b/x", "c"].map(|name| name.as_bytes()));
    }

    #[test]
    fn names_of_one_file_share_all_it_is() {
        let tree = tree();
        tree.link(path("a/b/x"), path("c/x")).expect("a free name");
        let [first, second] = ["a/b/x", "c/x"].map(|name| tree.stat(path(name)).expect("there"));
        assert_eq!((first, first.nlink), (second, 2));
        tree.rename(path("a/b/x"), path("c/x")).expect("two names of one file: nothing to do");
        tree.remove(path("a/b/x")).expect("one name less");
        assert_eq!(tree.stat(path("c/x")).expect("the other stays").nlink, 1);
        write(&tree, path("new"), 0o644, b"").expect("a free name");
        let new = tree.stat(path("new")).expect("there");
        assert!(new.ino > first.ino, "a number is never used again");
    }
}
