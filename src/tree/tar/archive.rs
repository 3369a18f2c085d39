//! What a tar being written holds so far.

use std::collections::HashMap;
use std::io::{self, BufWriter, Seek, Write};

use tempfile::{NamedTempFile, SpooledTempFile};

use super::member::{Body, append};
use crate::format::tar::BLOCK;
use crate::tree::{Attributes, Special, TreePath, TreePathBuf};

/// How the names of files begin that are renamed later.
const HELD: &[u8] = b".tranship-";

pub(super) struct Archive {
    pub(super) builder: ::tar::Builder<BufWriter<Out>>,
    pub(super) made: HashMap<TreePathBuf, Made>,
    /// Bytes of a file that are still to come, its header being written.
    coming: Option<u64>,
    /// A write failed; what follows it would be read as something else.
    is_broken: bool,
}

/// Where an archive goes.
pub(super) enum Out {
    File(NamedTempFile),
    Stream(Box<dyn Write + Send>),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

/// What is at a path.
pub(super) enum Made {
    /// A directory, and whether it has an entry.
    Dir(Attributes, bool),
    /// A file being written.
    Open,
    /// A file that waits for its name.
    Held(Spool),
    /// Something in the archive that is no directory.
    Written(Attributes),
}

/// A file's content, and what it is to have.
pub(super) struct Spool {
    pub(super) content: SpooledTempFile,
    pub(super) size: u64,
    pub(super) attributes: Attributes,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("made", &self.made.len()).finish_non_exhaustive()
    }
}

impl Archive {
    pub(super) fn new(out: Out) -> Self {
        let builder = ::tar::Builder::new(BufWriter::with_capacity(256 << 10, out));
        Self { builder, made: HashMap::new(), coming: None, is_broken: false }
    }

    pub(super) fn check(&self) -> io::Result<()> {
        match (self.is_broken, self.coming) {
            (true, _) => Err(io::Error::other("an earlier write to this archive failed")),
            (_, Some(_)) => Err(io::Error::other("a file of this archive is not finished")),
            _ => Ok(()),
        }
    }

    /// Begins a file that is not held back; its bytes come next.
    pub(super) fn begin(
        &mut self,
        path: TreePath<'_>,
        size: u64,
        attributes: &Attributes,
    ) -> io::Result<()> {
        self.may_add(path)?;
        self.append(path, Body::Sized(size), attributes)?;
        self.made.insert(path.to_owned(), Made::Written(attributes.clone()));
        self.coming = Some(size);
        Ok(())
    }

    /// Writes bytes of the file that was begun; more than it was to have are refused.
    pub(super) fn go_on(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.coming.and_then(|coming| coming.checked_sub(bytes.len() as u64));
        let written = match left {
            Some(_) => self.builder.get_mut().write_all(bytes),
            None => Err(io::Error::other("more bytes than the file was to have")),
        };
        self.is_broken |= written.is_err();
        self.coming = left.or(self.coming);
        written.map(|()| bytes.len())
    }

    /// Ends the file that was begun and has `size` bytes. One that was not written whole spoils the
    /// archive.
    pub(super) fn end(&mut self, size: u64) -> io::Result<()> {
        let is_whole = self.coming.take() == Some(0);
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let padding = vec![0; usize::try_from(padding).unwrap_or_default()];
        let ended = match is_whole {
            true => self.builder.get_mut().write_all(&padding),
            false => Err(io::Error::other("fewer bytes than the file was to have")),
        };
        self.is_broken |= ended.is_err();
        ended
    }

    /// Says whether something new can be at `path`.
    pub(super) fn may_add(&self, path: TreePath<'_>) -> io::Result<()> {
        if path.is_root() || self.made.contains_key(&path.to_owned()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let folder = path.split_last().map_or(TreePath::ROOT, |(folder, _)| folder);
        match self.made.get(&folder.to_owned()) {
            Some(Made::Dir(..)) => Ok(()),
            _ if folder.is_root() => Ok(()),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Appends a member after the directories it is in.
    fn append(
        &mut self,
        path: TreePath<'_>,
        body: Body<'_>,
        attributes: &Attributes,
    ) -> io::Result<u64> {
        self.check()?;
        let bytes = path.as_bytes();
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if let Some(folder) = TreePath::new(&bytes[..at]) {
                self.write_dir(folder)?;
            }
        }
        match body {
            Body::Dir => self.append_alone(&[bytes, b"/"].concat(), body, attributes),
            body => self.append_alone(bytes, body, attributes),
        }
    }

    fn append_alone(
        &mut self,
        path: &[u8],
        body: Body<'_>,
        attributes: &Attributes,
    ) -> io::Result<u64> {
        let result = append(&mut self.builder, path, body, attributes);
        // Unsupported is said before anything is written.
        self.is_broken |=
            result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Unsupported);
        result
    }

    /// Writes the entry of a directory that has none yet.
    pub(super) fn write_dir(&mut self, path: TreePath<'_>) -> io::Result<()> {
        if let Some(Made::Dir(attributes, is_written @ false)) = self.made.get_mut(&path.to_owned())
        {
            *is_written = true;
            let attributes = attributes.clone();
            self.append_alone(&[path.as_bytes(), b"/"].concat(), Body::Dir, &attributes)?;
        }
        Ok(())
    }

    pub(super) fn write_file(&mut self, path: TreePath<'_>, mut spool: Spool) -> io::Result<u64> {
        spool.content.rewind()?;
        let body = Body::File(spool.size, &mut spool.content);
        let bytes = self.append(path, body, &spool.attributes)?;
        self.made.insert(path.to_owned(), Made::Written(spool.attributes));
        Ok(bytes)
    }

    pub(super) fn put(
        &mut self,
        path: TreePath<'_>,
        special: &Special,
        attributes: &Attributes,
    ) -> io::Result<u64> {
        self.may_add(path)?;
        let body = match special {
            Special::Symlink(target) => Body::Symlink(target),
            Special::Char(major, minor) => Body::Char(*major, *minor),
            Special::Block(major, minor) => Body::Block(*major, *minor),
            Special::Fifo => Body::Fifo,
            Special::Socket => {
                let what = "a tar cannot hold a socket";
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        let bytes = self.append(path, body, attributes)?;
        self.made.insert(path.to_owned(), Made::Written(attributes.clone()));
        Ok(bytes)
    }

    /// A link repeats the attributes: Docker sets those of every entry anew.
    pub(super) fn link(&mut self, from: TreePath<'_>, to: TreePath<'_>) -> io::Result<()> {
        self.may_add(to)?;
        let attributes = match self.made.get(&from.to_owned()) {
            Some(Made::Written(attributes)) => attributes.clone(),
            Some(_) => return Err(io::ErrorKind::InvalidInput.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        self.append(to, Body::HardLink(from.as_bytes()), &attributes)?;
        self.made.insert(to.to_owned(), Made::Written(attributes));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: TreePath<'_>, to: TreePath<'_>) -> io::Result<()> {
        match self.made.get(&to.to_owned()) {
            None => self.may_add(to)?,
            Some(Made::Held(_) | Made::Written(_)) => {}
            Some(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        }
        let spool = match self.made.remove(&from.to_owned()) {
            Some(Made::Held(spool)) => spool,
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(other) => {
                self.made.insert(from.to_owned(), other);
                let what = "what is in a tar cannot get another name";
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        if is_held(to) {
            self.made.insert(to.to_owned(), Made::Held(spool));
            return Ok(());
        }
        self.write_file(to, spool).map(|_| ())
    }

    pub(super) fn remove(&mut self, path: TreePath<'_>) -> io::Result<()> {
        let below = |other: &TreePathBuf| other.as_path().below(path).is_some();
        let stays =
            |made: &Made| matches!(made, Made::Written(_) | Made::Open | Made::Dir(_, true));
        if self.made.iter().any(|(other, made)| below(other) && stays(made)) {
            let what = "what is in a tar cannot be removed";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        self.made.retain(|other, _| !below(other));
        Ok(())
    }

    pub(super) fn finish_dir(
        &mut self,
        path: TreePath<'_>,
        attributes: &Attributes,
    ) -> io::Result<u64> {
        if path.is_root() {
            return self.append_alone(b"./", Body::Dir, attributes);
        }
        match self.made.get_mut(&path.to_owned()) {
            Some(Made::Dir(have, true)) if same(have, attributes) => return Ok(0),
            Some(Made::Dir(have, is_written)) => {
                *have = attributes.clone();
                *is_written = true;
            }
            Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        self.append(path, Body::Dir, attributes)
    }
}

/// Says whether two entries with these attributes would be the same.
fn same(a: &Attributes, b: &Attributes) -> bool {
    let time = |attributes: &Attributes| attributes.mtime.unwrap_or_default();
    (a.mode, a.uid, a.gid, &a.xattrs) == (b.mode, b.uid, b.gid, &b.xattrs) && time(a) == time(b)
}

/// Says whether a file by that name waits to be renamed.
pub(super) fn is_held(path: TreePath<'_>) -> bool {
    path.split_last().is_some_and(|(_, name)| name.starts_with(HELD))
}
