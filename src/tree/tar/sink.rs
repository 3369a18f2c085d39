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

use super::archive::{Archive, Made, Spool, is_held};
use super::nothing::Nothing;
use crate::error::{Error, Place, Result, from_io};
use crate::tree::{Attributes, FileSink, Sink, Special, Tree, TreePath, TreePathBuf};

/// What of a file is spooled in memory.
const IN_MEMORY: usize = 1 << 20;

/// A tar being written. It appears under its name when it is [closed](Self::close).
#[derive(Debug)]
pub struct TarSink {
    target: PathBuf,
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
        if target.symlink_metadata().is_ok() {
            return Err(Error::refused(format!("{origin} is there already")));
        }
        let file = tempfile::Builder::new()
            .prefix(".tranship-")
            .tempfile_in(folder_of(target))
            .map_err(|error| Error::io(Place::new(&*origin, ""), error))?;
        let archive = Mutex::new(Archive::new(file));
        Ok(Self { target: target.to_owned(), nothing: Nothing { origin }, archive })
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
        let file = archive.builder.into_inner().map_err(fail)?;
        let file = file.into_inner().map_err(|error| fail(error.into_error()))?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist_noclobber(&target).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::refused(format!("{} is there already", nothing.origin))
            }
            _ => fail(error.error),
        })?;
        std::fs::File::open(folder_of(&target)).and_then(|dir| dir.sync_all()).map_err(fail)
    }

    fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, path: TreePath<'_>, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::Unsupported {
            return Error::unsupported(self.nothing.place(path), error.to_string());
        }
        from_io(error, || self.nothing.place(path))
    }
}

/// Returns the folder that holds `target`.
fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
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
        let synced = out.flush().and_then(|()| out.get_ref().as_file().sync_all());
        synced.map_err(|error| self.fail(TreePath::ROOT, error))
    }

    fn can_stage(&self) -> bool {
        false
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
        let written = spool.content.write(more)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::tree::{Copying, Kind, Memory, Snapshots, TarTree, Time, copy, path, read, write};

    fn everything(mode: u16) -> Attributes {
        Attributes {
            mode,
            uid: 4_000_000_000,
            gid: 3_000_000,
            mtime: Some(Time { seconds: -2, nanos: 250_000_001 }),
            xattrs: [
                (b"security.capability".to_vec(), b"\x01\0\0\x02\xff=\n".to_vec()),
                (b"user.empty".to_vec(), Vec::new()),
            ]
            .into(),
        }
    }

    /// Fills a tar, closes it and opens it as a tree.
    fn written(fill: impl FnOnce(&TarSink)) -> (Vec<u8>, TarTree) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("out.tar");
        let sink = TarSink::create(&target).expect("a new tar");
        fill(&sink);
        sink.close().expect("room for it");
        let names = std::fs::read_dir(folder.path()).expect("the folder").count();
        assert_eq!(names, 1, "nothing but the tar is left");
        let bytes = std::fs::read(&target).expect("the tar");
        (bytes, TarTree::open(&target).expect("a sound tar"))
    }

    fn file(sink: &TarSink, at: &str, attributes: &Attributes, bytes: &[u8]) -> u64 {
        let mut file = sink.create(path(at), attributes).expect("a free name");
        file.write_all(bytes).expect("room for it");
        file.finish().expect("room for it")
    }

    fn fill(sink: &TarSink) {
        let long = format!("dir/{}/{}", "a".repeat(120), "ü".repeat(60));
        sink.make_dir(path("dir"), 0o700).expect("a free name");
        sink.make_dir(path(&long).split_last().expect("a path").0, 0o711).expect("a free name");
        let large = vec![7; IN_MEMORY + 5];
        assert_eq!(file(sink, "dir/large", &Attributes::root(0o600), &large), 512 + 1_049_088);
        file(sink, &long, &everything(0o4755), b"long");
        let odd = TreePath::new(b"dir/\xff").expect("a path");
        let symlink = Special::Symlink(vec![b't'; 150]);
        sink.put(odd, &symlink, &everything(0o777)).expect("a free name");
        sink.put(path("dir/gone"), &Special::Char(0, 0), &Attributes::root(0)).expect("free");
        sink.put(path("disk"), &Special::Block(259, 1_048_575), &everything(0o660)).expect("free");
        sink.put(path("pipe"), &Special::Fifo, &everything(0o600)).expect("a free name");
        sink.link(path(&long), path("dir/linked")).expect("a free name");
        sink.make_dir(path("empty"), 0o750).expect("a free name");
        sink.make_dir(path("plain"), 0o755).expect("a free name");
        sink.finish_dir(path("plain"), &Attributes::root(0o755)).expect("there");
        sink.finish_dir(path("dir"), &everything(0o1777)).expect("there");
        sink.finish_dir(TreePath::ROOT, &everything(0o710)).expect("there");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (bytes, tree) = written(fill);
        let long = format!("dir/{}/{}", "a".repeat(120), "ü".repeat(60));
        let is = |at: TreePath<'_>, kind: Kind, mode: u16| {
            let metadata = tree.stat(at).expect("there");
            let want = everything(mode);
            assert_eq!((metadata.kind, metadata.mode), (kind, mode), "{at}");
            assert_eq!((metadata.uid, metadata.gid), (want.uid, want.gid), "{at}");
            assert_eq!(Some(metadata.mtime), want.mtime, "{at}");
            assert_eq!(tree.xattrs(at).expect("attributes"), want.xattrs, "{at}");
            metadata
        };
        is(TreePath::ROOT, Kind::Dir, 0o710);
        is(path("dir"), Kind::Dir, 0o1777);
        is(path("pipe"), Kind::Fifo, 0o600);
        assert_eq!(is(path("disk"), Kind::Block, 0o660).rdev, (259, 1_048_575));
        let odd = TreePath::new(b"dir/\xff").expect("a path");
        is(odd, Kind::Symlink, 0o777);
        assert_eq!(tree.read_link(odd).expect("a link"), [b't'; 150]);
        let linked = is(path(&long), Kind::File, 0o4755);
        assert_eq!(linked.nlink, 2);
        assert_eq!(tree.stat(path("dir/linked")).expect("there"), linked);
        assert_eq!(read(&tree, path("dir/linked")).expect("a file"), b"long");
        assert!(read(&tree, path("dir/large")).expect("a file") == vec![7; IN_MEMORY + 5]);
        assert!(tree.stat(path("dir/gone")).expect("there").is_whiteout());
        assert_eq!(tree.stat(path("empty")).expect("there").mode, 0o750);
        assert!(written(fill).0 == bytes, "the same calls make the same bytes");
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once_if_they_can() {
        let (bytes, _) = written(fill);
        let mut archive = ::tar::Archive::new(bytes.as_slice());
        let mut names: Vec<Vec<u8>> = Vec::new();
        for entry in archive.entries().expect("a tar") {
            let name = entry.expect("sound").path_bytes().into_owned();
            let folder = name.strip_suffix(b"/").unwrap_or(&name);
            if let Some(slash) = folder.iter().rposition(|b| *b == b'/') {
                assert!(names.iter().any(|other| *other == name[..=slash]), "{name:?}");
            }
            names.push(name);
        }
        let times = |name: &[u8]| names.iter().filter(|other| *other == name).count();
        assert_eq!((times(b"plain/"), times(b"dir/"), times(b"empty/")), (1, 2, 1));
    }

    #[test]
    fn a_held_file_gets_its_name_later() {
        let (_, tree) = written(|sink| {
            write(sink, path(".tranship-1"), 0o644, b"one").expect("a free name");
            write(sink, path(".tranship-2"), 0o644, b"two").expect("a free name");
            write(sink, path(".tranship-lost"), 0o644, b"lost").expect("a free name");
            write(sink, path("b"), 0o644, b"b").expect("a free name");
            sink.rename(path(".tranship-1"), path("a")).expect("held");
            sink.rename(path(".tranship-2"), path(".tranship-3")).expect("held");
            sink.rename(path(".tranship-3"), path("a")).expect("a file is replaced");
            sink.remove(path("nothing")).expect("no error");
            for error in [
                sink.rename(path("b"), path("c")).expect_err("in the tar"),
                sink.remove(path("b")).expect_err("in the tar"),
            ] {
                assert_eq!(error.kind(), ErrorKind::Unsupported);
            }
            assert!(sink.rename(path("none"), path("c")).expect_err("none").is_missing());
            sink.sync().expect("a disk");
        });
        assert_eq!(read(&tree, path("a")).expect("a file"), b"two");
        assert_eq!(tree.names(TreePath::ROOT).expect("names"), [b"a", b"b"]);
    }

    #[test]
    fn names_are_free_and_folders_there_or_nothing_is_written() {
        let (_, tree) = written(|sink| {
            write(sink, path("a"), 0o644, b"a").expect("a free name");
            assert!(write(sink, path("a"), 0o644, b"b").is_err());
            assert!(write(sink, path("none/a"), 0o644, b"").expect_err("none").is_missing());
            assert!(write(sink, path("a/b"), 0o644, b"").is_err());
            assert!(sink.make_dir(path("a"), 0o755).is_err());
            assert!(sink.make_dir(TreePath::ROOT, 0o755).is_ok());
            assert!(sink.link(path("none"), path("b")).expect_err("none").is_missing());
            let socket = sink.put(path("s"), &Special::Socket, &Attributes::default());
            assert_eq!(socket.expect_err("no socket").kind(), ErrorKind::Unsupported);
            let device = sink.put(path("d"), &Special::Char(1 << 30, 0), &Attributes::default());
            assert_eq!(device.expect_err("too large").kind(), ErrorKind::Unsupported);
            let given_up = sink.create(path("c"), &Attributes::default()).expect("a free name");
            drop(given_up);
            write(sink, path("c"), 0o644, b"c").expect("free again");
        });
        assert_eq!(tree.names(TreePath::ROOT).expect("names"), [b"a", b"c"]);
    }

    #[test]
    fn a_tar_that_is_not_closed_is_not_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("out.tar");
        let sink = TarSink::create(&target).expect("a new tar");
        write(&sink, path("a"), 0o644, b"a").expect("a free name");
        drop(sink);
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
        let sink = TarSink::create(&target).expect("a new tar");
        std::fs::write(&target, b"mine").expect("room for it");
        assert_eq!(sink.close().expect_err("taken").kind(), ErrorKind::Refused);
        assert_eq!(TarSink::create(&target).expect_err("taken").kind(), ErrorKind::Refused);
        assert_eq!(std::fs::read(&target).expect("the file"), b"mine");
    }

    #[test]
    fn many_files_can_be_open_at_once() {
        let (_, tree) = written(|sink| {
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        for at in 0..20 {
                            let name = format!("{thread}-{at}");
                            file(sink, &name, &Attributes::root(0o644), name.as_bytes());
                        }
                    });
                }
            });
        });
        for name in tree.names(TreePath::ROOT).expect("names") {
            let at = TreePath::new(&name).expect("a name");
            assert_eq!(read(&tree, at).expect("a file"), name);
        }
        assert_eq!(tree.names(TreePath::ROOT).expect("names").len(), 80);
    }

    #[test]
    fn a_tree_is_copied_into_a_tar_and_out_again() {
        let copying =
            Copying { snapshots: Snapshots::Auto, skip: &|_| false, skip_xattr: &|_| false };
        let (_, tree) = written(fill);
        let (_, again) = written(|sink| {
            copy(&tree, TreePath::ROOT, sink, TreePath::ROOT, &copying).expect("a copy");
        });
        let memory = Memory::new();
        copy(&again, path("dir"), &memory, path("dir"), &copying).expect("a copy");
        let large = read(&memory, path("dir/large")).expect("a file");
        assert!(large == vec![7; IN_MEMORY + 5]);
        let long = format!("dir/{}/{}", "a".repeat(120), "ü".repeat(60));
        let [had, has] = [&tree as &dyn Tree, &memory].map(|tree| {
            (tree.stat(path(&long)).expect("there").mtime, tree.xattrs(path(&long)).expect("there"))
        });
        assert_eq!(had, has);
    }
}
