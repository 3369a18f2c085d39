//! A tree in memory, to read and to write.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Attributes, Entry, FileSink, Kind, Metadata, Sink, Special, Time, Tree, TreePath, TreePathBuf,
    Xattrs,
};
use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    File(Arc<Vec<u8>>),
    Dir,
    Special(Special),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    body: Body,
    attributes: Attributes,
    ino: u64,
}

/// A tree in memory. Cloning it takes a picture of it as it is.
#[derive(Debug, Default)]
pub struct Memory {
    nodes: Mutex<BTreeMap<Vec<u8>, Node>>,
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self { nodes: Mutex::new(self.nodes().clone()) }
    }
}

impl Memory {
    /// Returns an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts every file to `length` bytes that `lost` picks: what a power cut does to files whose
    /// names reached the disk before their bytes.
    pub fn truncate_files(&self, length: usize, lost: &dyn Fn(TreePath<'_>) -> bool) {
        for (path, node) in self.nodes().iter_mut() {
            let picked = TreePath::new(path).is_some_and(lost);
            if let (Body::File(bytes), true) = (&mut node.body, picked) {
                *bytes = Arc::new(bytes[..length.min(bytes.len())].to_vec());
            }
        }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, path: TreePath<'_>, body: Body, attributes: &Attributes) -> Result<()> {
        let mut nodes = self.nodes();
        self.may_add(&nodes, path)?;
        let ino = nodes.values().map(|node| node.ino).max().unwrap_or(0) + 1;
        let mut attributes = attributes.clone();
        attributes.mtime.get_or_insert_default();
        nodes.insert(path.as_bytes().to_vec(), Node { body, attributes, ino });
        Ok(())
    }

    /// As in a file system: the folder must exist, and the name must be free.
    fn may_add(&self, nodes: &BTreeMap<Vec<u8>, Node>, path: TreePath<'_>) -> Result<()> {
        let taken = nodes.contains_key(path.as_bytes()) || path.is_root();
        let folder = path.split_last().map_or(TreePath::ROOT, |(folder, _)| folder);
        let is_dir = |node: &Node| node.body == Body::Dir;
        let lost = !folder.is_root() && !nodes.get(folder.as_bytes()).is_some_and(is_dir);
        let kind = match (taken, lost) {
            (true, _) => io::ErrorKind::AlreadyExists,
            (_, true) => io::ErrorKind::NotFound,
            _ => return Ok(()),
        };
        Err(Error::io(self.place(path), kind.into()))
    }

    fn node(&self, path: TreePath<'_>) -> Result<Node> {
        if path.is_root() {
            let attributes = Attributes { mtime: Some(Time::default()), ..Attributes::root(0o755) };
            return Ok(Node { body: Body::Dir, attributes, ino: 0 });
        }
        let missing = || Error::io(self.place(path), io::ErrorKind::NotFound.into());
        self.nodes().get(path.as_bytes()).cloned().ok_or_else(missing)
    }
}

fn metadata(node: &Node, nlink: u32) -> Metadata {
    let (kind, size, rdev) = match &node.body {
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
        mode: node.attributes.mode,
        uid: node.attributes.uid,
        gid: node.attributes.gid,
        size,
        allocated: if kind == Kind::Dir { 4096 } else { size.next_multiple_of(4096) },
        mtime: node.attributes.mtime.unwrap_or_default(),
        ino: node.ino,
        nlink,
        rdev,
    }
}

impl Tree for Memory {
    fn origin(&self) -> &'static str {
        "memory"
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        let node = self.node(path)?;
        let nlink = self.nodes().values().filter(|other| other.ino == node.ino).count();
        Ok(metadata(&node, u32::try_from(nlink).unwrap_or(u32::MAX)))
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        if self.node(dir)?.body != Body::Dir {
            return Err(Error::io(self.place(dir), io::ErrorKind::NotADirectory.into()));
        }
        let nodes = self.nodes();
        let mut names: BTreeMap<u64, u32> = BTreeMap::new();
        for node in nodes.values() {
            *names.entry(node.ino).or_default() += 1;
        }
        let mut entries = Vec::new();
        for (path, node) in nodes.iter() {
            let Some(below) = TreePath::new(path).and_then(|path| path.below(dir)) else {
                continue;
            };
            if !below.is_root() && !below.as_bytes().contains(&b'/') {
                let nlink = names.get(&node.ino).copied().unwrap_or(1);
                let name = below.as_bytes().to_vec();
                entries.push(Entry { name, metadata: metadata(node, nlink) });
            }
        }
        Ok(entries)
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        match self.node(file)?.body {
            Body::File(bytes) => Ok(Box::new(Cursor::new(Arc::unwrap_or_clone(bytes)))),
            _ => Err(Error::corrupt(self.place(file), "not a regular file")),
        }
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        match self.node(link)?.body {
            Body::Special(Special::Symlink(target)) => Ok(target),
            _ => Err(Error::io(self.place(link), io::ErrorKind::InvalidInput.into())),
        }
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        Ok(self.node(path)?.attributes.xattrs)
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
        self.insert(path, Body::File(Arc::default()), attributes)?;
        Ok(Box::new(MemoryFile { memory: self, path: path.to_owned() }))
    }

    fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()> {
        match self.node(path) {
            Ok(node) if node.body == Body::Dir => Ok(()),
            _ => self.insert(path, Body::Dir, &Attributes::root(mode)),
        }
    }

    fn finish_dir(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<u64> {
        let mut nodes = self.nodes();
        match nodes.get_mut(path.as_bytes()) {
            Some(node) => node.attributes = attributes.clone(),
            None => return Err(Error::io(self.place(path), io::ErrorKind::NotFound.into())),
        }
        Ok(4096)
    }

    fn put(&self, path: TreePath<'_>, special: &Special, attributes: &Attributes) -> Result<u64> {
        self.insert(path, Body::Special(special.clone()), attributes).map(|()| 0)
    }

    fn link(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        let node = self.node(from)?;
        let mut nodes = self.nodes();
        self.may_add(&nodes, to)?;
        nodes.insert(to.as_bytes().to_vec(), node);
        Ok(())
    }

    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        let missing = || Error::io(self.place(from), io::ErrorKind::NotFound.into());
        let mut nodes = self.nodes();
        if nodes.get(to.as_bytes()).is_some_and(|node| node.body == Body::Dir) {
            return Err(Error::io(self.place(to), io::ErrorKind::AlreadyExists.into()));
        }
        let node = nodes.remove(from.as_bytes()).ok_or_else(missing)?;
        nodes.remove(to.as_bytes());
        self.may_add(&nodes, to)?;
        nodes.insert(to.as_bytes().to_vec(), node);
        for old in below(&nodes, from) {
            let Some(node) = nodes.remove(old.as_path().as_bytes()) else { continue };
            let tail = old.as_path().below(from).unwrap_or(TreePath::ROOT);
            nodes.insert(to.join(tail).as_path().as_bytes().to_vec(), node);
        }
        Ok(())
    }

    fn remove(&self, path: TreePath<'_>) -> Result<()> {
        let mut nodes = self.nodes();
        for old in below(&nodes, path) {
            nodes.remove(old.as_path().as_bytes());
        }
        nodes.remove(path.as_bytes());
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

fn below(nodes: &BTreeMap<Vec<u8>, Node>, dir: TreePath<'_>) -> Vec<TreePathBuf> {
    let inside = |path: &TreePath<'_>| path.below(dir).is_some_and(|below| !below.is_root());
    let paths = nodes.keys().filter_map(|path| TreePath::new(path)).filter(inside);
    paths.map(TreePath::to_owned).collect()
}

struct MemoryFile<'a> {
    memory: &'a Memory,
    path: TreePathBuf,
}

impl Write for MemoryFile<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        match self.memory.nodes().get_mut(self.path.as_path().as_bytes()) {
            Some(Node { body: Body::File(bytes), .. }) => {
                Arc::make_mut(bytes).extend_from_slice(more);
                Ok(more.len())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for MemoryFile<'_> {
    fn finish(self: Box<Self>) -> Result<u64> {
        Ok(self.memory.stat(self.path.as_path())?.allocated)
    }
}
