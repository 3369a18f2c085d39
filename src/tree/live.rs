//! A directory of this machine, to read and to write.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{
    Attributes, Entry, FileSink, Kind, Metadata, Share, Sink, Special, Time, Tree, TreePath,
    TreePathBuf, Xattrs, target_error, too_large,
};
use crate::error::{Error, Place, Result};
use crate::os::{self, Root, Stat, Stream};

/// A directory of this machine as a [`Tree`].
#[derive(Debug)]
pub struct Live {
    origin: String,
    root: Root,
    /// Whether it is written to: then all that fails is the target.
    is_target: bool,
}

impl Live {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> Result<Self> {
        let origin = crate::error::printable(path.as_os_str().as_encoded_bytes()).into_owned();
        match Root::open(path) {
            Ok(root) => Ok(Self { origin, root, is_target: false }),
            Err(error) => Err(Error::io(Place::new(origin, ""), error)),
        }
    }

    /// Returns the directory as the operating system knows it.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    fn io<T>(&self, path: TreePath<'_>, answer: io::Result<T>) -> Result<T> {
        answer.map_err(|error| match self.is_target {
            true => target_error(self.place(path), error),
            false => Error::io(self.place(path), error),
        })
    }
}

const TYPE_BITS: u32 = 0o170_000;

fn kind_of(mode: u32) -> Kind {
    match mode & TYPE_BITS {
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Symlink,
        0o020_000 => Kind::Char,
        0o060_000 => Kind::Block,
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        _ => Kind::File,
    }
}

impl From<Stat> for Metadata {
    fn from(stat: Stat) -> Self {
        Self {
            kind: kind_of(stat.mode),
            mode: (stat.mode & 0o7777) as u16,
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            allocated: stat.allocated,
            mtime: Time { seconds: stat.mtime.0, nanos: stat.mtime.1 },
            ino: stat.ino,
            nlink: stat.nlink,
            rdev: stat.rdev,
        }
    }
}

impl Tree for Live {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.io(path, self.root.stat(path.as_bytes())).map(Metadata::from)
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        let entries = self.io(dir, self.root.list(dir.as_bytes()))?;
        let entry = |found: os::DirEntry| Entry { name: found.name, metadata: found.stat.into() };
        Ok(entries.into_iter().map(entry).collect())
    }

    fn names(&self, dir: TreePath<'_>) -> Result<Vec<Vec<u8>>> {
        self.io(dir, self.root.names(dir.as_bytes()))
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.io(file, self.root.open_file(file.as_bytes()))?))
    }

    fn open_from(&self, file: TreePath<'_>, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut open = self.io(file, self.root.open_file(file.as_bytes()))?;
        self.io(file, open.seek(SeekFrom::Start(offset)))?;
        Ok(Box::new(open))
    }

    fn read(&self, file: TreePath<'_>, limit: u64, bytes: &mut Vec<u8>) -> Result<()> {
        match self.io(file, self.root.read(file.as_bytes(), limit, bytes))? {
            true => Ok(()),
            false => Err(too_large(self.place(file), limit)),
        }
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.io(link, self.root.read_link(link.as_bytes()))
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        Ok(self.io(path, self.root.xattrs(path.as_bytes()))?.into_iter().collect())
    }

    fn live<'a>(&'a self, path: TreePath<'_>) -> Option<(&'a Root, TreePathBuf)> {
        Some((&self.root, path.to_owned()))
    }
}

/// A directory of this machine as a [`Sink`].
#[derive(Debug)]
pub struct LiveSink {
    live: Live,
}

impl LiveSink {
    /// Opens the directory at `path` for writing.
    ///
    /// The caller must hold whatever locks keep others from writing there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { live: Live { is_target: true, ..Live::open(path)? } })
    }

    fn io<T>(&self, path: TreePath<'_>, answer: io::Result<T>) -> Result<T> {
        self.live.io(path, answer)
    }

    fn attributes(&self, path: TreePath<'_>, to: &Attributes, link: bool) -> Result<u64> {
        let xattrs: Vec<_> = to.xattrs.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
        let wanted = os::Attributes {
            uid: to.uid,
            gid: to.gid,
            mode: (!link).then_some(to.mode.into()),
            mtime: to.mtime.map(|time| (time.seconds, time.nanos)),
            xattrs: &xattrs,
        };
        let root = &self.live.root;
        self.io(path, root.set_attributes(path.as_bytes(), &wanted))?;
        Ok(self.io(path, root.stat(path.as_bytes()))?.allocated)
    }

    fn fill(&self, how: Share, mut from: File, to: TreePath<'_>) -> io::Result<bool> {
        let mut file = self.live.root.create(to.as_bytes())?;
        let done = match how {
            // Which side failed the kernel does not say. Whoever copies without it will know.
            Share::Copy => Ok(os::copy_data(&mut from, &mut file).is_ok()),
            _ => os::reflink(&from, &file),
        };
        if !matches!(done, Ok(true)) {
            self.live.root.remove(to.as_bytes())?;
        }
        done
    }
}

impl Sink for LiveSink {
    fn tree(&self) -> &dyn Tree {
        &self.live
    }

    fn create<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<Box<dyn FileSink + 'a>> {
        let file = self.io(path, self.live.root.create(path.as_bytes()))?;
        let (path, attributes) = (path.to_owned(), attributes.clone());
        Ok(Box::new(LiveFile { sink: self, path, attributes, stream: Stream::new(file) }))
    }

    fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()> {
        self.io(path, self.live.root.make_dir(path.as_bytes(), mode.into())).map(drop)
    }

    fn finish_dir(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<u64> {
        self.attributes(path, attributes, false)
    }

    fn put(&self, path: TreePath<'_>, special: &Special, attributes: &Attributes) -> Result<u64> {
        let (root, at) = (&self.live.root, path.as_bytes());
        let mode = u32::from(attributes.mode);
        let made = match special {
            Special::Symlink(target) => root.symlink(target, at),
            Special::Char(major, minor) => root.make_node(at, 0o020_000 | mode, (*major, *minor)),
            Special::Block(major, minor) => root.make_node(at, 0o060_000 | mode, (*major, *minor)),
            Special::Fifo => root.make_node(at, 0o010_000 | mode, (0, 0)),
            Special::Socket => root.make_node(at, 0o140_000 | mode, (0, 0)),
        };
        self.io(path, made)?;
        self.attributes(path, attributes, matches!(special, Special::Symlink(_)))
    }

    fn set_attributes(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<()> {
        let is_link = self.live.stat(path)?.kind == Kind::Symlink;
        self.attributes(path, attributes, is_link).map(drop)
    }

    fn link(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        let root = &self.live.root;
        self.io(to, root.link(from.as_bytes(), root, to.as_bytes()))
    }

    fn share(
        &self,
        how: Share,
        tree: &dyn Tree,
        from: TreePath<'_>,
        to: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<bool> {
        let place = || tree.place(from);
        let Some((root, from)) = tree.live(from) else { return Ok(false) };
        let from = from.as_path().as_bytes();
        if how == Share::Link {
            return match root.link(from, &self.live.root, to.as_bytes()) {
                Err(error) if cannot_link(&error) => Ok(false),
                answer => self.io(to, answer).map(|()| true),
            };
        }
        let source = root.open_file(from).map_err(|error| Error::io(place(), error))?;
        if !self.io(to, self.fill(how, source, to))? {
            return Ok(false);
        }
        self.attributes(to, attributes, false).map(|_| true)
    }

    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.io(to, self.live.root.rename(from.as_bytes(), to.as_bytes()))
    }

    fn exchange(&self, a: TreePath<'_>, b: TreePath<'_>) -> Result<()> {
        use io::ErrorKind::{CrossesDevices, InvalidInput, Unsupported};
        match self.live.root.exchange(a.as_bytes(), b.as_bytes()) {
            Err(error) if [CrossesDevices, InvalidInput, Unsupported].contains(&error.kind()) => {
                let what = "this file system cannot exchange two folders in one step";
                Err(Error::unsupported(self.live.place(b), what))
            }
            answer => self.io(b, answer),
        }
    }

    fn remove(&self, path: TreePath<'_>) -> Result<()> {
        self.io(path, self.live.root.remove(path.as_bytes()))
    }

    fn sync(&self) -> Result<()> {
        self.io(TreePath::ROOT, self.live.root.sync())
    }

    fn free(&self) -> Result<Option<u64>> {
        self.io(TreePath::ROOT, self.live.root.free()).map(Some)
    }
}

/// Another file system, one that knows no links, or a file with as many names as it can have.
fn cannot_link(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

/// A file being written; whole blocks of zeros become holes.
struct LiveFile<'a> {
    sink: &'a LiveSink,
    path: TreePathBuf,
    attributes: Attributes,
    stream: Stream,
}

/// Shorter runs of zeros are written: a hole saves nothing there.
const HOLE: usize = 4096;

impl LiveFile<'_> {
    /// Whoever writes may know no more than that something is written, and writes again what a signal
    /// interrupted.
    fn placed<T>(&self, answer: io::Result<T>) -> io::Result<T> {
        match answer {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            answer => self.sink.io(self.path.as_path(), answer).map_err(io::Error::from),
        }
    }
}

impl Write for LiveFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_hole = bytes.len() >= HOLE && bytes.iter().all(|b| *b == 0);
        let written = match is_hole {
            true => self.stream.skip(bytes.len() as u64).map(|()| bytes.len()),
            false => self.stream.write(bytes),
        };
        self.placed(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stream.flush();
        self.placed(flushed)
    }
}

impl FileSink for LiveFile<'_> {
    fn hole(&mut self, length: u64) -> io::Result<()> {
        let skipped = self.stream.skip(length);
        self.placed(skipped)
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let path = self.path.as_path();
        self.sink.io(path, self.stream.finish())?;
        self.sink.attributes(path, &self.attributes, false)
    }
}
