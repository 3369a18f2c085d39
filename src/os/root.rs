//! A directory of this machine as the root of all that is reached through it.
//!
//! Every path is resolved by the kernel below the root's file descriptor, without following a single
//! symbolic link, so nothing on a hostile disk leads out of it and nothing can be swapped in between.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, StatxFlags, Timespec,
    Timestamps, UTIME_OMIT, Uid,
};
use rustix::io::Errno;

use super::dir::{FOLDER, names_of, open_untraced, remove_in, step_by_step};
use super::folders::Folders;
use super::xattr;

/// What the kernel says of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Type and permission bits as in `st_mode`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes when read.
    pub size: u64,
    /// Bytes taken on disk.
    pub allocated: u64,
    /// Seconds and nanoseconds of the last change of content.
    pub mtime: (i64, u32),
    /// The inode number; of another file system than the root's, mixed with its device.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u32,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
}

/// A name in a directory and what it leads to.
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// The name.
    pub name: Vec<u8>,
    /// What it is, its links not followed.
    pub stat: Stat,
}

/// A directory of this machine, and everything below it.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    dir: Arc<OwnedFd>,
    device: (u32, u32),
    folders: Folders,
}

const INSIDE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

impl Root {
    /// Opens the directory at `path`, whose own links are followed.
    ///
    /// # Errors
    /// What the kernel says, `NotADirectory` for anything else.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())?;
        let stat = rustix::fs::statx(&dir, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        Ok(Self {
            path: path.to_owned(),
            dir: Arc::new(dir),
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            folders: Folders::default(),
        })
    }

    /// Returns the path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether `other` is on the same file system, so that files can be linked between them.
    #[must_use]
    pub fn shares_device(&self, other: &Self) -> bool {
        self.device == other.device
    }

    fn open_below(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let path = if path.is_empty() { b".".as_slice() } else { path };
        match rustix::fs::openat2(&self.dir, path, flags, mode, INSIDE) {
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => step_by_step(&self.dir, path, flags, mode),
            answer => answer.map_err(explained),
        }
    }

    /// Opens the folder that holds `path`, and returns it with the last name.
    fn parent<'p>(&self, path: &'p [u8]) -> io::Result<(Arc<OwnedFd>, &'p [u8])> {
        let Some(slash) = path.iter().rposition(|b| *b == b'/') else {
            let name = if path.is_empty() { b".".as_slice() } else { path };
            return Ok((Arc::clone(&self.dir), name));
        };
        Ok((self.folder(&path[..slash])?, &path[slash + 1..]))
    }

    fn folder(&self, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.dir));
        }
        if let Some(folder) = self.folders.get(path) {
            return Ok(folder);
        }
        let folder = Arc::new(self.open_below(path, FOLDER, Mode::empty())?);
        self.folders.put(path, Arc::clone(&folder));
        Ok(folder)
    }

    fn read_dir(&self, path: &[u8]) -> io::Result<(OwnedFd, Vec<Vec<u8>>)> {
        let (above, name) = self.parent(path)?;
        let dir = open_untraced(&above, name, FOLDER).map_err(explained)?;
        let names = names_of(&dir)?;
        Ok((dir, names))
    }

    /// Returns what is at `path`.
    ///
    /// # Errors
    /// What the kernel says; the same holds for all methods below.
    pub fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        let (dir, name) = self.parent(path)?;
        self.stat_in(&dir, name)
    }

    fn stat_in(&self, dir: &OwnedFd, name: &[u8]) -> io::Result<Stat> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let found = rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?;
        let mut ino = found.stx_ino;
        let device = (found.stx_dev_major, found.stx_dev_minor);
        if device != self.device {
            ino ^= (u64::from(device.0) << 52) ^ (u64::from(device.1) << 40) ^ (1 << 63);
        }
        Ok(Stat {
            mode: found.stx_mode.into(),
            uid: found.stx_uid,
            gid: found.stx_gid,
            size: found.stx_size,
            allocated: found.stx_blocks.saturating_mul(512),
            mtime: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            ino,
            nlink: found.stx_nlink,
            rdev: (found.stx_rdev_major, found.stx_rdev_minor),
        })
    }

    /// Returns the names in the folder `path`, sorted by their bytes.
    pub fn names(&self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        self.read_dir(path).map(|(_, names)| names)
    }

    /// Returns the names in the folder `path` with what they are, sorted by their bytes.
    pub fn list(&self, path: &[u8]) -> io::Result<Vec<DirEntry>> {
        let (dir, names) = self.read_dir(path)?;
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            match self.stat_in(&dir, &name) {
                Ok(stat) => entries.push(DirEntry { name, stat }),
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // A walk goes on with the folders in it.
        if entries.iter().any(|entry| is_folder(entry.stat.mode)) {
            self.folders.put(path, Arc::new(dir));
        }
        Ok(entries)
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, path: &[u8]) -> io::Result<File> {
        self.open_sized(path).map(|(file, _)| file)
    }

    fn open_sized(&self, path: &[u8]) -> io::Result<(File, u64)> {
        let (dir, name) = self.parent(path)?;
        // Without NONBLOCK a named pipe would wait for a writer for ever.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open_untraced(&dir, name, flags).map_err(explained)?;
        let file = File::from(fd);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok((file, metadata.len()))
    }

    /// Appends a whole regular file to `bytes`; returns `false`, with any part of it appended, if it
    /// is larger than `limit`.
    pub fn read(&self, path: &[u8], limit: u64, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let (file, size) = self.open_sized(path)?;
        if size > limit {
            return Ok(false);
        }
        let (start, size) = (bytes.len(), usize::try_from(size).map_err(io::Error::other)?);
        bytes.reserve_exact(size);
        while bytes.len() - start < size {
            let mut read = || rustix::io::read(&file, rustix::buffer::spare_capacity(bytes));
            if rustix::io::retry_on_intr(&mut read)? == 0 {
                break;
            }
        }
        if size == 0 {
            // The kernel's own file systems do not tell how long a file is.
            file.take(limit.saturating_add(1)).read_to_end(bytes)?;
        }
        Ok((bytes.len() - start) as u64 <= limit)
    }

    /// Opens a regular file for reading and writing; for reading alone on a file system that nobody can
    /// write to.
    pub fn open_to_change(&self, path: &[u8]) -> io::Result<File> {
        let (dir, name) = self.parent(path)?;
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&dir, name, flags | OFlags::RDWR, Mode::empty()) {
            Err(Errno::ROFS) => open_untraced(&dir, name, flags | OFlags::RDONLY),
            answer => answer,
        };
        let file = File::from(fd.map_err(explained)?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("not a regular file")),
        }
    }

    /// Returns where a symbolic link points.
    pub fn read_link(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::readlinkat(&dir, name, Vec::new())?.into_bytes())
    }

    /// Returns the extended attributes of `path`.
    pub fn xattrs(&self, path: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let (dir, name) = self.parent(path)?;
        xattr::read(&dir, name)
    }

    /// Creates a new file for reading and writing, owned by whoever runs this.
    pub fn create(&self, path: &[u8]) -> io::Result<File> {
        let (dir, name) = self.parent(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&dir, name, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
        Ok(File::from(fd))
    }

    /// Makes a folder; returns `false` if there is one already.
    pub fn make_dir(&self, path: &[u8], mode: u32) -> io::Result<bool> {
        let (dir, name) = self.parent(path)?;
        match rustix::fs::mkdirat(&dir, name, Mode::RWXU) {
            Err(Errno::EXIST) if is_folder(self.stat_in(&dir, name)?.mode) => return Ok(false),
            answer => answer?,
        }
        // The umask is the caller's; the mode is ours.
        rustix::fs::chmodat(&dir, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
        Ok(true)
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, target: &[u8], path: &[u8]) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::symlinkat(target, &dir, name)?)
    }

    /// Makes a device, pipe or socket of the type in `mode`.
    pub fn make_node(&self, path: &[u8], mode: u32, rdev: (u32, u32)) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        let kind = FileType::from_raw_mode(mode);
        let device = rustix::fs::makedev(rdev.0, rdev.1);
        Ok(rustix::fs::mknodat(&dir, name, kind, Mode::from_raw_mode(mode), device)?)
    }

    /// Gives what is at `path` of this root a second name, `to` in `other`.
    pub fn link(&self, path: &[u8], other: &Self, to: &[u8]) -> io::Result<()> {
        let (from_dir, from) = self.parent(path)?;
        let (to_dir, to) = other.parent(to)?;
        Ok(rustix::fs::linkat(&from_dir, from, &to_dir, to, AtFlags::empty())?)
    }

    /// Moves `old` to `new`; a file at `new` is replaced.
    pub fn rename(&self, old: &[u8], new: &[u8]) -> io::Result<()> {
        let (from_dir, from) = self.parent(old)?;
        let (to_dir, to) = self.parent(new)?;
        rustix::fs::renameat(&from_dir, from, &to_dir, to)?;
        self.folders.forget(old);
        self.folders.forget(new);
        Ok(())
    }

    /// Swaps what two names lead to in one step.
    ///
    /// # Errors
    /// `InvalidInput` too where the file system does not know how.
    pub fn exchange(&self, a: &[u8], b: &[u8]) -> io::Result<()> {
        let (a_dir, a_name) = self.parent(a)?;
        let (b_dir, b_name) = self.parent(b)?;
        rustix::fs::renameat_with(&a_dir, a_name, &b_dir, b_name, RenameFlags::EXCHANGE)?;
        self.folders.forget(a);
        self.folders.forget(b);
        Ok(())
    }

    /// Removes `path` and everything below it; what is not there is removed already. The root itself
    /// cannot be removed.
    pub fn remove(&self, path: &[u8]) -> io::Result<()> {
        if path.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let answer = self.parent(path).and_then(|(dir, name)| remove_in(&dir, name));
        self.folders.forget(path);
        match answer {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer,
        }
    }

    /// Sets owner, then extended attributes, then mode, then time: each would undo a later one's
    /// neighbour in another order (a change of owner clears set-id bits and capabilities).
    pub fn set_attributes(&self, path: &[u8], to: &Attributes<'_>) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        let (owner, group) = (Some(Uid::from_raw(to.uid)), Some(Gid::from_raw(to.gid)));
        rustix::fs::chownat(&dir, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
        for (key, value) in to.xattrs {
            xattr::write(&dir, name, key, value)?;
        }
        if let Some(mode) = to.mode {
            rustix::fs::chmodat(&dir, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
        }
        if let Some((seconds, nanos)) = to.mtime {
            let mtime = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
            let keep = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let times = Timestamps { last_access: keep, last_modification: mtime };
            rustix::fs::utimensat(&dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// Makes durable everything written to the file system of this root.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.dir)?)
    }

    /// Returns the bytes that can still be written.
    pub fn free(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.dir)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// What [`Root::set_attributes`] sets; a link has no mode of its own.
#[derive(Debug)]
pub struct Attributes<'a> {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Permission bits, left alone for links.
    pub mode: Option<u32>,
    /// Seconds and nanoseconds of the last change of content.
    pub mtime: Option<(i64, u32)>,
    /// Extended attributes to set; others are left alone.
    pub xattrs: &'a [(&'a [u8], &'a [u8])],
}

/// The kernel's words for a link that was not followed speak of too many links.
fn explained(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::new(
            io::ErrorKind::NotADirectory,
            "a symbolic link is in the way, and links are not followed",
        ),
        error => error.into(),
    }
}

fn is_folder(mode: u32) -> bool {
    FileType::from_raw_mode(mode).is_dir()
}

/// Returns `path` without links, as the kernel would reach it now.
///
/// # Errors
/// What the kernel says.
#[expect(clippy::disallowed_methods, reason = "os is where files of this machine are opened")]
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path)
}

/// Makes the directory `path` with all that lead to it.
///
/// # Errors
/// What the kernel says.
#[expect(clippy::disallowed_methods, reason = "os is where files of this machine are opened")]
pub fn make_dirs(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Returns whether `path` is a directory, its links followed.
#[must_use]
pub fn is_dir(path: &Path) -> bool {
    rustix::fs::statat(CWD, path, AtFlags::empty()).is_ok_and(|stat| is_folder(stat.st_mode))
}

/// Opens the file at `path`, whose links are followed, for reading.
///
/// # Errors
/// What the kernel says.
#[expect(clippy::disallowed_methods, reason = "os is where files of this machine are opened")]
pub fn open_path(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Returns bytes as a path of this system.
#[must_use]
pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
