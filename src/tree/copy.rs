//! The one copier.

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Attributes, Entry, Kind, Metadata, Share, Sink, Special, Tree, TreePath, TreePathBuf, Xattrs,
    sink_error, walk,
};
use crate::error::{Error, Result};

/// How unpacked layers are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snapshots {
    /// Whatever the two places allow, the cheapest first.
    #[default]
    Auto,
    /// Hard links, or an error.
    Link,
    /// Shared blocks, or an error.
    Reflink,
    /// New files.
    Copy,
    /// Shared blocks where possible, else new files: what will be written again must have no second name.
    Apart,
    /// Not at all; the daemon unpacks an image when it is first run.
    None,
}

/// Choices of a copy.
#[derive(Clone, Copy)]
pub struct Copying<'a> {
    /// How files are taken over.
    pub snapshots: Snapshots,
    /// Which entries are left out.
    pub skip: &'a (dyn Fn(&Entry) -> bool + Sync),
    /// Which extended attributes are left out.
    pub skip_xattr: &'a (dyn Fn(&[u8]) -> bool + Sync),
}

impl std::fmt::Debug for Copying<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copying").field("snapshots", &self.snapshots).finish_non_exhaustive()
    }
}

/// What a copy made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files, folders and all else, each counted once however many names it has.
    pub inodes: u64,
    /// Bytes they take on disk, shared with others or not.
    pub allocated: u64,
    /// Bytes of files and links when read, each counted once however many names it has.
    pub apparent: u64,
    /// Bytes of files that had to be written anew.
    pub written: u64,
}

/// Copies the folder `from` with everything below it to `to`, which must not exist yet: content,
/// owners, modes, times, extended attributes, devices, hard links and holes.
///
/// # Errors
/// What the tree and the sink say.
pub fn copy(
    tree: &dyn Tree,
    from: TreePath<'_>,
    sink: &dyn Sink,
    to: TreePath<'_>,
    copying: &Copying<'_>,
) -> Result<Copied> {
    let copier = Copier { tree, sink, copying: *copying, refused: Default::default() };
    let metadata = tree.stat(from)?;
    copier.begin(from, &metadata, to)?;
    copier.run(from, to, vec![(from.to_owned(), metadata)])
}

/// Copies all that is in the folder `from` into `to`, a folder that is there and stays what it is.
///
/// # Errors
/// As [`copy`].
pub fn copy_inside(
    tree: &dyn Tree,
    from: TreePath<'_>,
    sink: &dyn Sink,
    to: TreePath<'_>,
    copying: &Copying<'_>,
) -> Result<Copied> {
    let copier = Copier { tree, sink, copying: *copying, refused: Default::default() };
    copier.run(from, to, Vec::new())
}

/// Copies one thing that is no folder to `to`, which must not exist yet.
///
/// # Errors
/// As [`copy`].
pub fn copy_one(
    tree: &dyn Tree,
    from: TreePath<'_>,
    sink: &dyn Sink,
    to: TreePath<'_>,
    copying: &Copying<'_>,
) -> Result<Copied> {
    let copier = Copier { tree, sink, copying: *copying, refused: Default::default() };
    let metadata = tree.stat(from)?;
    let mut copied = Copied { inodes: 1, apparent: metadata.size, ..Copied::default() };
    copied.allocated = copier.take(from, &metadata, to, &mut copied.written)?;
    Ok(copied)
}

/// A tar says how long a file is before it comes. Up to this many bytes a file is held until it is whole,
/// so that one which another program cuts short meanwhile spoils nothing; a larger one is not written
/// twice.
const SPOOLED: u64 = 1 << 20;

struct Copier<'a> {
    tree: &'a dyn Tree,
    sink: &'a dyn Sink,
    copying: Copying<'a>,
    /// Ways of sharing that these two trees turned out not to have.
    refused: [AtomicBool; 3],
}

impl Copier<'_> {
    /// Makes a folder for what it holds to come into.
    fn begin(&self, path: TreePath<'_>, metadata: &Metadata, target: TreePath<'_>) -> Result<()> {
        self.sink.make_dir(target, 0o700)?;
        if !self.sink.can_stage() && !target.is_root() {
            // What is written once says at once what it is to be.
            self.sink.finish_dir(target, &self.attributes(path, metadata)?)?;
        }
        Ok(())
    }

    /// Copies what is in `from`, and gives `folders` and all below them their attributes.
    fn run(
        &self,
        from: TreePath<'_>,
        to: TreePath<'_>,
        mut folders: Vec<(TreePathBuf, Metadata)>,
    ) -> Result<Copied> {
        let mut total = Copied::default();
        let mut linked: HashMap<u64, TreePathBuf> = HashMap::new();
        walk(self.tree, from, &mut |path, entry| {
            if (self.copying.skip)(entry) {
                return Ok(false);
            }
            let target = to.join(path.below(from).unwrap_or(path));
            if entry.metadata.kind == Kind::Dir {
                self.begin(path, &entry.metadata, target.as_path())?;
                folders.push((path.to_owned(), entry.metadata));
                return Ok(true);
            }
            if entry.metadata.nlink > 1 {
                if let Some(first) = linked.get(&entry.metadata.ino) {
                    self.sink.link(first.as_path(), target.as_path())?;
                    return Ok(false);
                }
                linked.insert(entry.metadata.ino, target.clone());
            }
            total.inodes += 1;
            total.apparent = total.apparent.saturating_add(entry.metadata.size);
            total.allocated +=
                self.take(path, &entry.metadata, target.as_path(), &mut total.written)?;
            Ok(false)
        })?;
        // Innermost first: writing into a folder changes its time.
        for (path, metadata) in folders.iter().rev() {
            let target = to.join(path.as_path().below(from).unwrap_or(TreePath::ROOT));
            let attributes = self.attributes(path.as_path(), metadata)?;
            total.inodes += 1;
            total.allocated += self.sink.finish_dir(target.as_path(), &attributes)?;
        }
        Ok(total)
    }

    fn attributes(&self, path: TreePath<'_>, metadata: &Metadata) -> Result<Attributes> {
        let mut xattrs: Xattrs = self.tree.xattrs(path)?;
        xattrs.retain(|key, _| !(self.copying.skip_xattr)(key));
        Ok(Attributes {
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: Some(metadata.mtime),
            xattrs,
        })
    }

    /// Takes over one thing that is no folder; returns the bytes it takes on disk.
    fn take(
        &self,
        path: TreePath<'_>,
        metadata: &Metadata,
        target: TreePath<'_>,
        written: &mut u64,
    ) -> Result<u64> {
        if self.may(Share::Link) && self.share(Share::Link, path, target, &Attributes::default())? {
            return Ok(metadata.allocated);
        }
        let attributes = self.attributes(path, metadata)?;
        if let Some(special) = self.special(path, metadata)? {
            return self.sink.put(target, &special, &attributes);
        }
        for how in [Share::Reflink, Share::Copy] {
            if self.may(how) && self.share(how, path, target, &attributes)? {
                *written += if how == Share::Copy { metadata.allocated } else { 0 };
                return Ok(metadata.allocated);
            }
        }
        *written += metadata.size;
        self.stream(path, metadata, target, &attributes)
    }

    fn may(&self, how: Share) -> bool {
        let wanted = match self.copying.snapshots {
            Snapshots::Auto => true,
            Snapshots::Link => how == Share::Link,
            Snapshots::Reflink => how == Share::Reflink,
            Snapshots::Apart => how != Share::Link,
            Snapshots::Copy | Snapshots::None => how == Share::Copy,
        };
        wanted && !self.refused[how as usize].load(Ordering::Relaxed)
    }

    fn share(
        &self,
        how: Share,
        path: TreePath<'_>,
        target: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<bool> {
        if self.sink.share(how, self.tree, path, target, attributes)? {
            return Ok(true);
        }
        let must = match self.copying.snapshots {
            Snapshots::Link => "hard-linked",
            Snapshots::Reflink => "reflinked",
            _ => {
                self.refused[how as usize].store(true, Ordering::Relaxed);
                return Ok(false);
            }
        };
        let (from, to) = (self.tree.place(path), self.sink.tree().place(target));
        Err(Error::refused(format!("{from} cannot be {must} to {to}"))
            .hint("let the way of taking files over be chosen: `--snapshots auto`"))
    }

    fn special(&self, path: TreePath<'_>, metadata: &Metadata) -> Result<Option<Special>> {
        let (major, minor) = metadata.rdev;
        Ok(Some(match metadata.kind {
            Kind::Symlink => Special::Symlink(self.tree.read_link(path)?),
            Kind::Char => Special::Char(major, minor),
            Kind::Block => Special::Block(major, minor),
            Kind::Fifo => Special::Fifo,
            Kind::Socket => Special::Socket,
            Kind::File | Kind::Dir => return Ok(None),
        }))
    }

    fn stream(
        &self,
        path: TreePath<'_>,
        metadata: &Metadata,
        target: TreePath<'_>,
        to: &Attributes,
    ) -> Result<u64> {
        let mut from = self.tree.open(path)?;
        let is_large = metadata.nlink <= 1 && metadata.size > SPOOLED;
        let mut file = match self.sink.is_stream() || is_large && !self.sink.can_stage() {
            true => {
                // What is written to meanwhile may have grown.
                from = Box::new(from.take(metadata.size));
                self.sink.create_sized(target, to, metadata.size)?
            }
            false => self.sink.create(target, to)?,
        };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = from
                .read(&mut buffer)
                .map_err(|error| crate::error::from_io(error, || self.tree.place(path)))?;
            if length == 0 {
                return file.finish();
            }
            file.write_all(&buffer[..length])
                .map_err(|error| sink_error(self.sink, target, error))?;
        }
    }
}
