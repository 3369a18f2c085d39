//! A tree of files, wherever it lives: [`Tree`] to read one, [`Sink`] to write one.
//!
//! A store sees these two traits and nothing else, so no store knows whether it reads a live disk, a
//! tar or memory.

mod copy;
mod live;
mod many;
mod memory;
mod path;
mod resolve;
mod stacked;
mod sub;
mod tar;
mod walk;
mod wide;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

pub use copy::{Copied, Copying, Snapshots, copy, copy_inside, copy_one};
pub use live::{Live, LiveSink};
pub use many::{THREADS, many};
pub use memory::Memory;
pub use path::{TreePath, TreePathBuf, path};
pub use resolve::{clean, resolve, resolve_folder};
pub use stacked::Stacked;
pub use sub::{Sub, SubSink};
pub(crate) use tar::member;
pub use tar::{TarSink, TarTree};
pub use walk::walk;
pub use wide::{Visit, walk_wide};

pub use crate::format::time::Timestamp as Time;

use crate::error::{Error, Place, Result};
use crate::os;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// What a tree knows of one file, apart from its bytes and its extended attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Permission, set-id and sticky bits: `0o7777` at most.
    pub mode: u16,
    /// The owner, as stored.
    pub uid: u32,
    /// The group, as stored.
    pub gid: u32,
    /// Bytes when read; the target's length for a symbolic link.
    pub size: u64,
    /// Bytes taken on disk; an estimate where the tree is not a file system.
    pub allocated: u64,
    /// When the content last changed.
    pub mtime: Time,
    /// The same number means the same file (a hard link); unique within the tree.
    pub ino: u64,
    /// How many names lead here; 1 where the tree does not know.
    pub nlink: u32,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
}

impl Metadata {
    /// Returns whether this is an overlayfs whiteout: the mark of a deleted name.
    #[must_use]
    pub fn is_whiteout(&self) -> bool {
        self.kind == Kind::Char && self.rdev == (0, 0)
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, as bytes.
    pub name: Vec<u8>,
    /// What it leads to; links are not followed.
    pub metadata: Metadata,
}

/// Extended attributes: full names (`trusted.overlay.opaque`) to values.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// A tree of files that can be read.
///
/// No method follows a symbolic link, at the end of a path or on the way.
pub trait Tree: Send + Sync {
    /// Returns what to call this tree in a message.
    fn origin(&self) -> &str;

    /// Returns what is at `path`.
    fn stat(&self, path: TreePath<'_>) -> Result<Metadata>;

    /// Returns the names in `dir` with what they lead to, in byte order.
    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>>;

    /// Returns the names in `dir` in byte order, without looking at what they lead to.
    fn names(&self, dir: TreePath<'_>) -> Result<Vec<Vec<u8>>> {
        Ok(self.list(dir)?.into_iter().map(|entry| entry.name).collect())
    }

    /// Opens a regular file for reading from its start.
    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>>;

    /// Opens a regular file for reading from the byte `offset` on, which may be past its end.
    fn open_from(&self, file: TreePath<'_>, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut read = self.open(file)?;
        io::copy(&mut read.by_ref().take(offset), &mut io::sink())
            .map_err(|error| crate::error::from_io(error, || self.place(file)))?;
        Ok(read)
    }

    /// Appends a whole file of at most `limit` bytes to `bytes`; a larger one is corrupt.
    fn read(&self, file: TreePath<'_>, limit: u64, bytes: &mut Vec<u8>) -> Result<()> {
        let read = self.open(file)?.take(limit.saturating_add(1)).read_to_end(bytes);
        match read.map_err(|error| crate::error::from_io(error, || self.place(file)))? {
            read if read as u64 <= limit => Ok(()),
            _ => Err(too_large(self.place(file), limit)),
        }
    }

    /// Returns where a symbolic link points, as its bytes.
    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>>;

    /// Returns the extended attributes of `path`.
    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs>;

    /// Returns the directory of this machine that `path` is, if it is one: what can be hard-linked
    /// or reflinked from.
    fn live<'a>(&'a self, path: TreePath<'_>) -> Option<(&'a os::Root, TreePathBuf)> {
        let _ = path;
        None
    }

    /// Returns the place of `path`, for messages.
    fn place(&self, path: TreePath<'_>) -> Place {
        Place::new(self.origin(), path.as_bytes())
    }
}

/// The largest file that is read whole unless its reader says otherwise.
///
/// The largest real ones are bolt files and tar-split records of big layers.
pub const WHOLE_FILE_LIMIT: u64 = 64 << 20;

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// What the tree says, and [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) for a larger
/// file.
pub fn read_within(tree: &dyn Tree, file: TreePath<'_>, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tree.read(file, limit, &mut bytes)?;
    Ok(bytes)
}

/// Returns an answer of the operating system about `place`, which is written to.
fn target_error(place: Place, error: io::Error) -> Error {
    let has_failed = os::has_failed(&error);
    let error = Error::io(place, error);
    if has_failed { error.of_target() } else { error }
}

fn too_large(place: Place, limit: u64) -> Error {
    Error::corrupt(place, format!("more than {limit} bytes"))
}

/// Reads a whole file of at most [`WHOLE_FILE_LIMIT`] bytes.
///
/// # Errors
/// As [`read_within`].
pub fn read(tree: &dyn Tree, file: TreePath<'_>) -> Result<Vec<u8>> {
    read_within(tree, file, WHOLE_FILE_LIMIT)
}

/// Turns "not there" into nothing, and leaves every other answer.
///
/// # Errors
/// Every error but one about something missing.
pub fn optional<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Owner, mode, time and extended attributes that something written is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission, set-id and sticky bits.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When the content last changed; `None` leaves the time of writing.
    pub mtime: Option<Time>,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Attributes {
    /// Returns root's attributes with `mode`: what the daemons' own files have.
    #[must_use]
    pub fn root(mode: u16) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// Something that is neither a file with bytes nor a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Special {
    /// A symbolic link to these bytes.
    Symlink(Vec<u8>),
    /// A character device with major and minor number.
    Char(u32, u32),
    /// A block device with major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// How a file of another tree may be taken over without its bytes passing through here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// One file under two names.
    Link,
    /// Two files that share their blocks until one is written.
    Reflink,
    /// A copy with its holes kept.
    Copy,
}

/// A file being written. Nothing is promised before [`finish`](FileSink::finish).
///
/// An error of writing carries an [`Error`] that says where, and whether [the target](Error::of_target) fails:
/// bytes go through many hands, and who hears of it could not tell it from one of reading.
pub trait FileSink: Write + Send {
    /// Goes on after `length` bytes that read as zeros, and take no room where there can be holes.
    fn hole(&mut self, length: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(length), self).map(drop)
    }

    /// Ends the file and gives it its attributes; returns the bytes it takes on disk.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// A tree of files that can be written.
///
/// Parent directories must exist. Writing over a name that is taken is an error, but for
/// [`rename`](Sink::rename), which replaces a file. What was written is durable only after
/// [`sync`](Sink::sync), and until then may reach the disk in any order. A disk that fails is
/// an error [of the target](Error::of_target).
pub trait Sink: Send + Sync {
    /// Returns what is already there.
    fn tree(&self) -> &dyn Tree;

    /// Starts a file at `path`.
    fn create<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<Box<dyn FileSink + 'a>>;

    /// Starts a file that will have `size` bytes and no other name: one that need not be held back until
    /// it is whole. Only one such can be open at a time where they go out in order.
    fn create_sized<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
        size: u64,
    ) -> Result<Box<dyn FileSink + 'a>> {
        let _ = size;
        self.create(path, attributes)
    }

    /// Makes a directory for others to be written into; one that is there already is left alone.
    fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()>;

    /// Gives a directory its attributes once all its entries are written; returns the bytes it takes
    /// on disk.
    fn finish_dir(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<u64>;

    /// Makes a link, device, pipe or socket; returns the bytes it takes on disk.
    fn put(&self, path: TreePath<'_>, special: &Special, attributes: &Attributes) -> Result<u64>;

    /// Gives what is at `path` and is no directory other attributes; of its extended ones, those that
    /// are not named stay.
    fn set_attributes(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<()>;

    /// Gives the file at `from` a second name.
    fn link(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()>;

    /// Makes `to` from the file `from` of another tree. Returns `false`, with nothing done, where
    /// this sink and that tree cannot share this way.
    ///
    /// A link has the attributes of the file it is; else `attributes` are given to `to`.
    fn share(
        &self,
        how: Share,
        tree: &dyn Tree,
        from: TreePath<'_>,
        to: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<bool> {
        let _ = (how, tree, from, to, attributes);
        Ok(false)
    }

    /// Moves `from` to `to`, which may be a file that is replaced.
    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()>;

    /// Swaps what two names lead to, files or folders, in one step: nobody sees only half of it.
    ///
    /// # Errors
    /// Unsupported where that cannot be done in one step.
    fn exchange(&self, a: TreePath<'_>, b: TreePath<'_>) -> Result<()> {
        let _ = b;
        Err(Error::unsupported(self.tree().place(a), "two folders cannot be exchanged here"))
    }

    /// Removes `path` and all below it; removing what is not there is no error.
    fn remove(&self, path: TreePath<'_>) -> Result<()>;

    /// Makes durable all that was written.
    fn sync(&self) -> Result<()>;

    /// Returns whether things can be staged under one name and moved to another later.
    ///
    /// A tar being written cannot: there everything goes to its last place at once.
    fn can_stage(&self) -> bool {
        true
    }

    /// Returns whether what is written is gone at once, so that large files should be
    /// [sized](Sink::create_sized): the others must be held in memory or on a disk until they are whole.
    fn is_stream(&self) -> bool {
        false
    }

    /// Returns the bytes that can still be written, if known.
    fn free(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// Writes a small file whole.
///
/// # Errors
/// What the sink says.
pub fn write(sink: &dyn Sink, path: TreePath<'_>, mode: u16, bytes: &[u8]) -> Result<()> {
    let mut file = sink.create(path, &Attributes::root(mode))?;
    file.write_all(bytes).map_err(|error| sink_error(sink, path, error))?;
    file.finish()?;
    Ok(())
}

/// Gives an error of writing `path` its place.
#[must_use]
pub fn sink_error(sink: &dyn Sink, path: TreePath<'_>, error: io::Error) -> Error {
    crate::error::from_io(error, || sink.tree().place(path))
}
