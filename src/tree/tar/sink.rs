//! Writes a tree as a tar.
//!
//! - A tar says how long a file is before the file comes, so files are spooled, and appended when they
//!   are finished; several can be open at once.
//! - A file whose name begins with `.tranship-` stays in its spool until it is renamed: *write, name,
//!   commit* works as on a disk. What is never renamed is left out. Nothing else can be renamed.
//! - A directory's entry comes before what is in it, or some programs could not unpack it. Where
//!   [`finish_dir`](Sink::finish_dir) gives it other attributes than [`make_dir`](Sink::make_dir) did,
//!   it gets a second entry at the end. GNU tar and [`TarTree`](super::TarTree) both take the later one.
//! - Equal calls in equal order make equal bytes: a time that is not given is 1970.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::SpooledTempFile;

use super::archive::{Archive, Made, Out, Spool, is_held};
use super::file;
use super::nothing::Nothing;
use crate::error::{Error, Place, Result, from_io};
use crate::tree::{Attributes, FileSink, Sink, Special, Tree, TreePath, TreePathBuf, target_error};

/// What of a file is spooled in memory.
pub(super) const IN_MEMORY: usize = 1 << 20;

/// A tar being written. It appears under its name when it is [closed](Self::close).
#[derive(Debug)]
pub struct TarSink {
    /// Where the file is to be; none for a stream.
    target: Option<PathBuf>,
    nothing: Nothing,
    archive: Mutex<Archive>,
}

impl TarSink {
    /// Starts a tar that is to be called `target`, in the same folder under a temporary name.
    ///
    /// # Errors
    /// What the operating system says, and if there is something called so.
    pub fn create(target: &Path) -> Result<Self> {
        let origin = target.display().to_string();
        if file::is_there(target) {
            return Err(Error::refused(format!("{origin} is there already")));
        }
        let file = file::create_beside(target)
            .map_err(|error| Error::io(Place::new(&*origin, ""), error))?;
        let archive = Mutex::new(Archive::new(Out::File(file)));
        Ok(Self { target: Some(target.to_owned()), nothing: Nothing { origin }, archive })
    }

    /// Starts a tar that goes out as it is written; `name` is what to call it in a message.
    #[must_use]
    pub fn stream(to: Box<dyn Write + Send>, name: &str) -> Self {
        let archive = Mutex::new(Archive::new(Out::Stream(to)));
        Self { target: None, nothing: Nothing { origin: name.to_owned() }, archive }
    }

    /// Ends the archive, makes it durable and gives it its name.
    ///
    /// # Errors
    /// What the operating system says; [`Refused`](crate::error::ErrorKind::Refused) if there is
    /// something by that name by now. The archive is gone then.
    pub fn close(self) -> Result<()> {
        let Self { target, nothing, archive } = self;
        let mut archive = archive.into_inner().unwrap_or_else(PoisonError::into_inner);
        let fail = |error| from_io(error, || nothing.place(TreePath::ROOT));
        let mut empty: Vec<TreePathBuf> = archive.made.keys().cloned().collect();
        empty.sort();
        for dir in empty {
            archive.write_dir(dir.as_path()).map_err(fail)?;
        }
        archive.check().map_err(fail)?;
        let out = archive.builder.into_inner().map_err(fail)?;
        let mut out = out.into_inner().map_err(|error| fail(error.into_error()))?;
        out.flush().map_err(fail)?;
        let (Out::File(file), Some(target)) = (out, target) else { return Ok(()) };
        file::publish(file, &target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::refused(format!("{} is there already", nothing.origin))
            }
            _ => fail(error),
        })
    }

    fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, path: TreePath<'_>, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::Unsupported {
            return Error::unsupported(self.nothing.place(path), error.to_string());
        }
        match error.raw_os_error() {
            Some(_) => target_error(self.nothing.place(path), error),
            None => from_io(error, || self.nothing.place(path)),
        }
    }

    /// As [`fail`](Self::fail), but for what a signal interrupted, which whoever writes does again.
    fn placed<T>(&self, path: TreePath<'_>, answer: io::Result<T>) -> io::Result<T> {
        answer.map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => self.fail(path, error).into(),
        })
    }
}

impl Sink for TarSink {
    fn tree(&self) -> &dyn Tree {
        &self.nothing
    }

    fn create<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<Box<dyn FileSink + 'a>> {
        let mut archive = self.archive();
        archive.may_add(path).map_err(|error| self.fail(path, error))?;
        archive.made.insert(path.to_owned(), Made::Open);
        let content = SpooledTempFile::new(IN_MEMORY);
        let spool = Some(Spool { content, size: 0, attributes: attributes.clone() });
        Ok(Box::new(TarFile { sink: self, path: path.to_owned(), spool }))
    }

    fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()> {
        let mut archive = self.archive();
        if path.is_root() || matches!(archive.made.get(&path.to_owned()), Some(Made::Dir(..))) {
            return Ok(());
        }
        archive.may_add(path).map_err(|error| self.fail(path, error))?;
        archive.made.insert(path.to_owned(), Made::Dir(Attributes::root(mode), false));
        Ok(())
    }

    fn finish_dir(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<u64> {
        self.archive().finish_dir(path, attributes).map_err(|error| self.fail(path, error))
    }

    fn put(&self, path: TreePath<'_>, special: &Special, attributes: &Attributes) -> Result<u64> {
        self.archive().put(path, special, attributes).map_err(|error| self.fail(path, error))
    }

    fn set_attributes(&self, path: TreePath<'_>, _: &Attributes) -> Result<()> {
        let what = "what is in a tar cannot get other attributes";
        Err(Error::unsupported(self.nothing.place(path), what))
    }

    fn link(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.archive().link(from, to).map_err(|error| self.fail(to, error))
    }

    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.archive().rename(from, to).map_err(|error| self.fail(from, error))
    }

    fn remove(&self, path: TreePath<'_>) -> Result<()> {
        self.archive().remove(path).map_err(|error| self.fail(path, error))
    }

    fn sync(&self) -> Result<()> {
        let mut archive = self.archive();
        let out = archive.builder.get_mut();
        let synced = out.flush().and_then(|()| match out.get_ref() {
            Out::File(file) => file.as_file().sync_all(),
            Out::Stream(_) => Ok(()),
        });
        synced.map_err(|error| self.fail(TreePath::ROOT, error))
    }

    fn create_sized<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
        size: u64,
    ) -> Result<Box<dyn FileSink + 'a>> {
        let begun = self.archive().begin(path, size, attributes);
        begun.map_err(|error| self.fail(path, error))?;
        Ok(Box::new(SizedFile { sink: self, path: path.to_owned(), size: Some(size) }))
    }

    fn can_stage(&self) -> bool {
        false
    }

    fn is_stream(&self) -> bool {
        self.target.is_none()
    }
}

/// A file that goes to a tar as it is written.
struct SizedFile<'a> {
    sink: &'a TarSink,
    path: TreePathBuf,
    /// Nothing once it is finished.
    size: Option<u64>,
}

impl Write for SizedFile<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let written = self.sink.archive().go_on(more);
        self.sink.placed(self.path.as_path(), written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for SizedFile<'_> {
    fn finish(mut self: Box<Self>) -> Result<u64> {
        let size = self.size.take().unwrap_or_default();
        let ended = self.sink.archive().end(size);
        ended.map(|()| size).map_err(|error| self.sink.fail(self.path.as_path(), error))
    }
}

impl Drop for SizedFile<'_> {
    fn drop(&mut self) {
        if let Some(size) = self.size {
            // What is cut off spoils the archive, which notes it; there is nobody else to tell.
            drop(self.sink.archive().end(size));
        }
    }
}

/// A file being written to a tar.
struct TarFile<'a> {
    sink: &'a TarSink,
    path: TreePathBuf,
    /// Nothing once it is finished.
    spool: Option<Spool>,
}

impl Write for TarFile<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let Some(spool) = &mut self.spool else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let written = self.sink.placed(self.path.as_path(), spool.content.write(more))?;
        spool.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for TarFile<'_> {
    fn finish(mut self: Box<Self>) -> Result<u64> {
        let Some(spool) = self.spool.take() else {
            return Ok(0);
        };
        let path = self.path.as_path();
        let mut archive = self.sink.archive();
        if is_held(path) {
            let size = spool.size;
            archive.made.insert(path.to_owned(), Made::Held(spool));
            return Ok(size);
        }
        archive.write_file(path, spool).map_err(|error| self.sink.fail(path, error))
    }
}

impl Drop for TarFile<'_> {
    fn drop(&mut self) {
        if self.spool.is_some() {
            self.sink.archive().made.remove(&self.path);
        }
    }
}
