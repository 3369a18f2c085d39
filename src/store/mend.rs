//! What is wrong in a store and can be set right: what to change, as values made by reading alone.
//!
//! A store says what it would change ([`Mend`]), in paths of its own tree; `op::aside` carries it out,
//! keeps what gave way, and can put it back.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use super::{Progress, Source};
use crate::error::{Error, Place, Result};
use crate::format::oci::Platform;
use crate::model::{Container, Finding};
use crate::tree::{
    Attributes, Copying, Kind, Sink, Snapshots, Time, Tree, TreePath, TreePathBuf, copy, copy_one,
    sink_error,
};

/// One thing that is wrong, and what sets it right. Its changes belong together: if one of them cannot
/// be got ready, none is made.
#[derive(Clone, Debug)]
pub struct Mend {
    /// A stable name for the sort of damage; that of the finding where there is one.
    pub code: &'static str,
    /// Where it is.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What will be done.
    pub how: String,
    /// The changes, in the order in which they are made.
    pub changes: Vec<Change>,
}

impl Mend {
    /// Returns the bytes that will be written for it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let size = |change: &Change| match change {
            Change::Put { content, .. } => content.size(),
            Change::Remove { .. } | Change::Settle => 0,
        };
        self.changes.iter().map(size).fold(0, u64::saturating_add)
    }
}

/// A change in the tree of a store.
#[derive(Clone, Debug)]
pub enum Change {
    /// Puts something at a path. What is there gives way; the folder that holds it must be there, or be
    /// put before.
    Put {
        /// The path.
        at: TreePathBuf,
        /// What to put.
        content: Content,
        /// The mode of a file or folder; what is [made](Content::Made) says its own.
        mode: u16,
        /// When it last changed; nothing for now.
        mtime: Option<Time>,
    },
    /// Removes what is at a path, with all below it.
    Remove {
        /// The path.
        at: TreePathBuf,
    },
    /// What was done before this is durable before what comes after it is done.
    Settle,
}

impl Change {
    /// Puts a file with these bytes.
    #[must_use]
    pub fn file(at: TreePathBuf, mode: u16, bytes: impl Into<Vec<u8>>) -> Self {
        Self::Put { at, content: Content::Bytes(bytes.into()), mode, mtime: None }
    }

    /// Puts a symbolic link.
    #[must_use]
    pub fn link(at: TreePathBuf, target: impl Into<Vec<u8>>) -> Self {
        Self::Put { at, content: Content::Link(target.into()), mode: 0o777, mtime: None }
    }

    /// Makes a folder, unless there is one.
    #[must_use]
    pub fn folder(at: TreePathBuf, mode: u16) -> Self {
        Self::Put { at, content: Content::Folder, mode, mtime: None }
    }

    /// Puts what something makes.
    #[must_use]
    pub fn made(at: TreePathBuf, making: impl Making + 'static) -> Self {
        Self::Put { at, content: Content::Made(Arc::new(making)), mode: 0, mtime: None }
    }

    /// Removes what is at a path.
    #[must_use]
    pub fn remove(at: TreePathBuf) -> Self {
        Self::Remove { at }
    }

    /// Returns the path that is changed.
    #[must_use]
    pub fn at(&self) -> Option<TreePath<'_>> {
        match self {
            Self::Put { at, .. } | Self::Remove { at } => Some(at.as_path()),
            Self::Settle => None,
        }
    }
}

/// What is put at a path. Its owner is that of what gives way, or of the folder that it comes into.
#[derive(Clone)]
pub enum Content {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to these bytes.
    Link(Vec<u8>),
    /// A folder; one that is there stays, with what is in it.
    Folder,
    /// Whatever this makes: a large file, a folder with all that is in it.
    Made(Arc<dyn Making>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Link(target) => write!(f, "-> {}", crate::error::printable(target)),
            Self::Folder => f.write_str("a folder"),
            Self::Made(making) => write!(f, "{} bytes, made", making.size()),
        }
    }
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) | Self::Link(bytes) => bytes.len() as u64,
            Self::Folder => 0,
            Self::Made(making) => making.size(),
        }
    }
}

/// Something that is made where it is to be, such as a layer that is unpacked. What it makes must have
/// been verified before this returns; an error costs only the mend.
pub trait Making: Send + Sync {
    /// Returns the bytes it will write, as far as that is known before.
    fn size(&self) -> u64;

    /// Makes it at `at`, where nothing is yet, with its attributes.
    ///
    /// # Errors
    /// What source and sink say.
    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, progress: &dyn Progress) -> Result<()>;
}

/// A copy of a file or folder of another tree, with all attributes.
#[derive(Clone)]
pub struct CopyOf {
    /// The tree.
    pub tree: Arc<dyn Tree>,
    /// The path in it.
    pub from: TreePathBuf,
    /// How files are taken over.
    pub snapshots: Snapshots,
    /// Bytes, for the plan.
    pub size: u64,
}

impl fmt::Debug for CopyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CopyOf({})", self.tree.place(self.from.as_path()))
    }
}

impl Making for CopyOf {
    fn size(&self) -> u64 {
        self.size
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, progress: &dyn Progress) -> Result<()> {
        let from = self.from.as_path();
        let copying =
            Copying { snapshots: self.snapshots, skip: &|_| false, skip_xattr: &|_| false };
        match self.tree.stat(from)?.kind {
            Kind::Dir => copy(&*self.tree, from, sink, at, &copying)?,
            _ => copy_one(&*self.tree, from, sink, at, &copying)?,
        };
        progress.advance(self.size);
        Ok(())
    }
}

/// A folder with a few small files in it, that comes as a whole.
#[derive(Clone, Debug)]
pub struct FolderOf {
    /// The folder's own attributes.
    pub attributes: Attributes,
    /// Names, modes and bytes of the files.
    pub files: Vec<(Vec<u8>, u16, Vec<u8>)>,
}

impl Making for FolderOf {
    fn size(&self) -> u64 {
        self.files.iter().map(|(_, _, bytes)| bytes.len() as u64).fold(0, u64::saturating_add)
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, progress: &dyn Progress) -> Result<()> {
        sink.make_dir(at, 0o700)?;
        for (name, mode, bytes) in &self.files {
            let file = at.child(name).ok_or_else(|| {
                Error::corrupt(sink.tree().place(at), "a name that is not a name")
            })?;
            let to = Attributes { mode: *mode, xattrs: Default::default(), ..self.attributes };
            let mut open = sink.create(file.as_path(), &to)?;
            open.write_all(bytes).map_err(|error| sink_error(sink, file.as_path(), error))?;
            open.finish()?;
        }
        sink.finish_dir(at, &self.attributes)?;
        progress.advance(self.size());
        Ok(())
    }
}

/// A file whose bytes come from a reader that fails if they are not what they should be.
pub struct FileOf<O> {
    /// Opens the bytes; reading them to their end verifies them.
    pub open: O,
    /// What the file is to have.
    pub attributes: Attributes,
    /// How many bytes there are.
    pub size: u64,
}

impl<O> fmt::Debug for FileOf<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileOf").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<O> Making for FileOf<O>
where
    O: Fn() -> Result<Box<dyn Read + Send>> + Send + Sync,
{
    fn size(&self) -> u64 {
        self.size
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, progress: &dyn Progress) -> Result<()> {
        let mut from = (self.open)()?;
        let mut file = sink.create(at, &self.attributes)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = from
                .read(&mut buffer)
                .map_err(|error| crate::error::from_io(error, || sink.tree().place(at)))?;
            let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else {
                return file.finish().map(drop);
            };
            file.write_all(read).map_err(|error| sink_error(sink, at, error))?;
            progress.advance(length as u64);
        }
    }
}

/// Something that is wrong and stays so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmendable {
    /// A stable name for the sort of damage.
    pub code: &'static str,
    /// Where it is.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What would be needed, and where it was looked for.
    pub missing: String,
}

/// What is to be mended in a store, and what cannot be.
#[derive(Clone, Debug, Default)]
pub struct Mending {
    /// What can be set right.
    pub mends: Vec<Mend>,
    /// What cannot.
    pub unmendable: Vec<Unmendable>,
}

impl Mending {
    /// Adds all of `other`.
    pub fn add(&mut self, other: Self) {
        self.mends.extend(other.mends);
        self.unmendable.extend(other.unmendable);
    }

    /// Adds findings that nothing is done about, each once.
    pub fn tell(&mut self, findings: impl Iterator<Item = Finding>) {
        for Finding { code, place, what, remedy, .. } in findings {
            let missing = match remedy.is_empty() {
                true => "a copy of it from before".to_owned(),
                false => remedy,
            };
            let told = Unmendable { code, place, what, missing };
            if !self.unmendable.contains(&told) {
                self.unmendable.push(told);
            }
        }
    }
}

/// What a store may take from elsewhere to mend itself.
pub struct Help<'a> {
    /// Other stores: those of the same root first, then what the user named.
    pub others: Vec<Arc<dyn Source>>,
    /// All containers of the root, whichever store they are in.
    pub containers: &'a [Container],
    /// The tree that the data root is; where containers' configs are.
    pub root: &'a dyn Tree,
    /// Whether all content is to be read and held against its digests.
    pub content: bool,
    /// The platform of this host.
    pub platform: &'a Platform,
    /// The time, where a store notes one.
    pub now: Time,
}

impl fmt::Debug for Help<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Help").field("others", &self.others.len()).finish_non_exhaustive()
    }
}
