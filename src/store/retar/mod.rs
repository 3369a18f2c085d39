//! A layer's tar made of unpacked files: anew, where the tar that they came from is gone, or of what a
//! container changed.
//!
//! It is never the old one: what a file system does not keep (the order of the members, names of users,
//! how headers were written) is lost. The same files give the same bytes.

use std::collections::HashMap;
use std::io::{self, Read};
use std::vec;

use crate::error::{Error, Result, from_io};
use crate::format::overlay::{Dialect, Mark, OPAQUE_NAME, Opaque, TarName, whiteout_name};
use crate::format::tar::BLOCK;
use crate::tree::member::{Body, append};
use crate::tree::{Attributes, Kind, Metadata, Time, Tree, TreePath, TreePathBuf, Xattrs, walk};

/// Docker's own mode for the member that stands for a deleted name (moby v28
/// vendor/github.com/moby/go-archive/archive_linux.go ConvertWrite).
const WHITEOUT_MODE: u16 = 0o600;

/// What of the files comes into a tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// All that a tar can hold.
    All,
    /// What `docker commit` takes from a graph driver: whole seconds, and of the extended attributes the
    /// capabilities (moby v28 vendor/github.com/moby/go-archive/archive.go, archive_linux.go).
    Dockerd,
    /// What containerd takes: the same, with marks of deleted names that have no attributes at all
    /// (containerd v2 pkg/archive/tar.go ChangeWriter).
    Containerd,
}

/// Reads the tar of a folder in overlayfs form, header by header and file by file.
///
/// Members come as dockerd writes them, each folder before what it holds and names in byte order.
pub struct Retar<'a> {
    tree: &'a dyn Tree,
    root: TreePathBuf,
    keeping: Keeping,
    entries: vec::IntoIter<(TreePathBuf, Metadata)>,
    /// The members that files with several names have already, by inode.
    first: HashMap<u64, Vec<u8>>,
    builder: ::tar::Builder<Vec<u8>>,
    /// How many bytes of the builder's are used.
    used: usize,
    /// The file whose bytes come when those of the builder are used.
    file: Option<Content<'a>>,
    ended: bool,
}

/// A file's bytes on their way.
struct Content<'a> {
    path: TreePathBuf,
    from: Box<dyn Read + Send + 'a>,
    size: u64,
    left: u64,
}

/// What one thing is in a tar: its attributes, and the mark that overlayfs left on it.
struct Marked {
    attributes: Attributes,
    is_whiteout: bool,
    is_opaque: bool,
}

impl std::fmt::Debug for Retar<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retar").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<'a> Retar<'a> {
    /// Returns the tar of the folder `root`, whose own attributes no layer holds. Sockets stay out.
    ///
    /// # Errors
    /// What the tree says.
    pub fn new(tree: &'a dyn Tree, root: TreePath<'_>, keeping: Keeping) -> Result<Self> {
        let mut entries = Vec::new();
        walk(tree, root, &mut |path, entry| {
            if entry.metadata.kind != Kind::Socket {
                entries.push((path.to_owned(), entry.metadata));
            }
            Ok(true)
        })?;
        let mut new = Self::of(tree, entries, keeping);
        new.root = root.to_owned();
        let top = new.marked(root, &tree.stat(root)?)?;
        if top.is_opaque {
            new.put_opaque(root, TreePath::ROOT, top.attributes)?;
        }
        Ok(new)
    }

    /// Returns the tar of these files of a tree, in their order.
    #[must_use]
    pub fn of(tree: &'a dyn Tree, entries: Vec<(TreePathBuf, Metadata)>, keeping: Keeping) -> Self {
        Self {
            tree,
            root: TreePathBuf::default(),
            keeping,
            entries: entries.into_iter(),
            first: HashMap::new(),
            builder: ::tar::Builder::new(Vec::new()),
            used: 0,
            file: None,
            ended: false,
        }
    }

    /// Puts the next member, or the end, into the builder's buffer.
    fn advance(&mut self) -> Result<()> {
        self.builder.get_mut().clear();
        self.used = 0;
        let Some((path, metadata)) = self.entries.next() else {
            self.ended = true;
            let ended = self.builder.finish();
            return ended.map_err(|error| from_io(error, || self.tree.place(self.root.as_path())));
        };
        let (path, marked) = (path.as_path(), self.marked(path.as_path(), &metadata)?);
        let below = path.below(self.root.as_path()).unwrap_or(path);
        let (folder, name) = below.split_last().unwrap_or((TreePath::ROOT, b""));
        if TarName::of(name) != TarName::Plain {
            let what = "a tar cannot hold what is called so: the name would delete another";
            return Err(Error::unsupported(self.tree.place(path), what));
        }
        match metadata.kind {
            _ if marked.is_whiteout => {
                let name = in_folder(folder, &whiteout_name(name));
                let mode = if self.keeping == Keeping::Containerd { 0 } else { WHITEOUT_MODE };
                let attributes = Attributes { mode, ..plain(marked.attributes) };
                self.put(path, &name, Body::Sized(0), &attributes)
            }
            Kind::Dir => self.put_dir(path, below, marked),
            _ => self.put_other(path, below, &metadata, &marked.attributes),
        }
    }

    fn put_dir(&mut self, path: TreePath<'_>, below: TreePath<'_>, marked: Marked) -> Result<()> {
        let name = in_folder(below, b"");
        self.put(path, &name, Body::Dir, &marked.attributes)?;
        match marked.is_opaque {
            true => self.put_opaque(path, below, marked.attributes),
            false => Ok(()),
        }
    }

    fn put_opaque(
        &mut self,
        path: TreePath<'_>,
        below: TreePath<'_>,
        of: Attributes,
    ) -> Result<()> {
        let mut attributes = Attributes { mode: of.mode & 0o777, ..plain(of) };
        if self.keeping != Keeping::All {
            attributes.mtime = Some(Time::default());
        }
        self.put(path, &in_folder(below, OPAQUE_NAME), Body::Sized(0), &attributes)
    }

    /// Puts what is no folder; the second of several names becomes a link to the first.
    fn put_other(
        &mut self,
        path: TreePath<'_>,
        below: TreePath<'_>,
        metadata: &Metadata,
        attributes: &Attributes,
    ) -> Result<()> {
        let name = below.as_bytes();
        if metadata.nlink > 1 {
            if let Some(first) = self.first.get(&metadata.ino).cloned() {
                return self.put(path, name, Body::HardLink(&first), attributes);
            }
            self.first.insert(metadata.ino, name.to_vec());
        }
        let (major, minor) = metadata.rdev;
        let body = match metadata.kind {
            Kind::Symlink => {
                let target = self.tree.read_link(path)?;
                return self.put(path, name, Body::Symlink(&target), attributes);
            }
            Kind::Char => Body::Char(major, minor),
            Kind::Block => Body::Block(major, minor),
            Kind::Fifo => Body::Fifo,
            _ => Body::Sized(metadata.size),
        };
        if metadata.kind == Kind::File && metadata.size > 0 {
            let from = self.tree.open(path)?;
            let (path, size) = (path.to_owned(), metadata.size);
            self.file = Some(Content { path, from, size, left: size });
        }
        self.put(path, name, body, attributes)
    }

    fn put(
        &mut self,
        path: TreePath<'_>,
        name: &[u8],
        body: Body<'_>,
        attributes: &Attributes,
    ) -> Result<()> {
        let put = append(&mut self.builder, name, body, attributes);
        put.map(drop).map_err(|error| Error::unsupported(self.tree.place(path), error.to_string()))
    }

    /// Tells what overlayfs noted from what the file itself has.
    fn marked(&self, path: TreePath<'_>, metadata: &Metadata) -> Result<Marked> {
        // What a list names as deleted need not be in the tree.
        let is_deleted = metadata.is_whiteout() && self.keeping == Keeping::Containerd;
        let mut xattrs = if is_deleted { Xattrs::new() } else { self.tree.xattrs(path)? };
        let mark = |mark| Dialect::ALL.iter().find_map(|dialect| xattrs.get(&dialect.name(mark)));
        if let Some(mark) = Mark::ALL.iter().find(|m| m.needs_lower() && mark(**m).is_some()) {
            let what = format!("overlayfs keeps a part of it elsewhere ({mark:?})");
            return Err(Error::unsupported(self.tree.place(path), what));
        }
        let is_opaque = mark(Mark::Opaque).and_then(|value| Opaque::of(value)) == Some(Opaque::Yes);
        let is_empty = metadata.kind == Kind::File && metadata.size == 0;
        let is_whiteout = metadata.is_whiteout() || is_empty && mark(Mark::Whiteout).is_some();
        xattrs.retain(|key, _| {
            !key.starts_with(Dialect::Trusted.prefix()) && Mark::of(key).is_none()
        });
        let Metadata { mode, uid, gid, mut mtime, .. } = *metadata;
        if self.keeping != Keeping::All {
            mtime.nanos = 0;
            xattrs.retain(|key, _| key == CAPABILITY);
        }
        if let Some(value) = xattrs.get_mut(CAPABILITY).filter(|_| self.keeping == Keeping::Dockerd)
        {
            without_namespace(value);
        }
        let attributes = Attributes { mode, uid, gid, mtime: Some(mtime), xattrs };
        Ok(Marked { attributes, is_whiteout, is_opaque })
    }

    /// Reads the file that is open; when it has ended, what fills its last block is in the buffer.
    fn read_file(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(file) = &mut self.file else { return Ok(0) };
        let place = || self.tree.place(file.path.as_path());
        // At the end one byte is asked for that must not be there.
        let most = usize::try_from(file.left).unwrap_or(usize::MAX).min(buffer.len());
        let mut more = [0];
        let wanted = if file.left == 0 { &mut more[..] } else { &mut buffer[..most] };
        let read = file.from.read(wanted).map_err(|error| from_io(error, place))?;
        if (read == 0) != (file.left == 0) {
            let what = format!("found another length than {} bytes: it changes", file.size);
            return Err(Error::corrupt(place(), what));
        }
        if read == 0 {
            let last = usize::try_from(file.size % BLOCK as u64).unwrap_or_default();
            let buffer = self.builder.get_mut();
            buffer.clear();
            buffer.resize(last.next_multiple_of(BLOCK) - last, 0);
            (self.used, self.file) = (0, None);
        } else {
            file.left -= read as u64;
        }
        Ok(read)
    }
}

impl Read for Retar<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let mut ready = self.builder.get_ref().get(self.used..).unwrap_or_default();
            if !ready.is_empty() {
                let read = ready.read(buffer)?;
                self.used += read;
                return Ok(read);
            }
            if self.file.is_some() {
                match self.read_file(buffer)? {
                    0 => continue,
                    read => return Ok(read),
                }
            }
            if self.ended {
                return Ok(0);
            }
            self.advance()?;
        }
    }
}

/// Returns the name of a member in `folder`.
fn in_folder(folder: TreePath<'_>, name: &[u8]) -> Vec<u8> {
    match folder.is_root() {
        true => name.to_vec(),
        false => [folder.as_bytes(), b"/", name].concat(),
    }
}

const CAPABILITY: &[u8] = b"security.capability";

/// Takes the user namespace out of capabilities, which has no meaning elsewhere: version 3 becomes 2
/// (linux/capability.h `vfs_ns_cap_data`).
fn without_namespace(value: &mut Vec<u8>) {
    if let Some(version) = value.get_mut(3).filter(|version| **version == 3) {
        *version = 2;
        value.truncate(20);
    }
}

/// Returns attributes without the extended ones: those of a member that is only a mark.
fn plain(attributes: Attributes) -> Attributes {
    Attributes { xattrs: Xattrs::new(), ..attributes }
}

#[cfg(test)]
mod tests;
