//! The folder behind the disk: its files by the numbers that the kernel calls them by.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fuser::{FileAttr, FileType, INodeNo};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Timestamps, XattrFlags};
use rustix::io::Errno;

/// A name in a folder, with the number and the sort of what it names.
pub(super) type Name = (INodeNo, FileType, OsString);

pub(super) struct Folder {
    nodes: Table<OwnedFd>,
    files: Table<File>,
    lists: Table<Vec<Name>>,
    next: AtomicU64,
}

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        let nodes = Table::default();
        nodes.put(INodeNo::ROOT.0, root);
        Ok(Self { nodes, files: Table::default(), lists: Table::default(), next: 0.into() })
    }

    fn node(&self, number: INodeNo) -> io::Result<Arc<OwnedFd>> {
        self.nodes.get(number.0)
    }

    /// Returns a path that the kernel takes for the file itself, a symbolic link too.
    fn path(&self, number: INodeNo) -> io::Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/self/fd/{}", self.node(number)?.as_raw_fd())))
    }

    pub(super) fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let node = rustix::fs::openat(&self.node(parent)?, name, flags, Mode::empty())?;
        let number = INodeNo(rustix::fs::fstat(&node)?.st_ino);
        self.nodes.put(number.0, node);
        self.attributes(number)
    }

    pub(super) fn attributes(&self, number: INodeNo) -> io::Result<FileAttr> {
        attributes(number, &fs::metadata(self.path(number)?)?)
    }

    pub(super) fn change(&self, number: INodeNo, to: &Change) -> io::Result<FileAttr> {
        let path = self.path(number)?;
        if to.owner != (None, None) {
            std::os::unix::fs::chown(&path, to.owner.0, to.owner.1)?;
        }
        if let Some(mode) = to.mode {
            fs::set_permissions(&path, Permissions::from_mode(mode & 0o7777))?;
        }
        if let Some(size) = to.size {
            File::options().write(true).open(&path)?.set_len(size)?;
        }
        if let Some(times) = &to.times {
            rustix::fs::utimensat(CWD, &path, times, AtFlags::empty())?;
        }
        self.attributes(number)
    }

    /// The mode that is asked for is what the process may give; this process has a mask of its own.
    fn made(&self, parent: INodeNo, name: &OsStr, mode: u32) -> io::Result<FileAttr> {
        let number = self.entry(parent, name)?.ino;
        self.change(number, &Change { mode: Some(mode), ..Change::default() })
    }

    pub(super) fn mkdir(&self, parent: INodeNo, name: &OsStr, mode: u32) -> io::Result<FileAttr> {
        rustix::fs::mkdirat(&self.node(parent)?, name, Mode::from_raw_mode(mode))?;
        self.made(parent, name, mode)
    }

    pub(super) fn mknod(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        device: u32,
    ) -> io::Result<FileAttr> {
        let kind = rustix::fs::FileType::from_raw_mode(mode);
        let bits = Mode::from_raw_mode(mode);
        rustix::fs::mknodat(&self.node(parent)?, name, kind, bits, device.into())?;
        self.made(parent, name, mode)
    }

    pub(super) fn symlink(&self, parent: INodeNo, name: &OsStr, to: &Path) -> io::Result<FileAttr> {
        rustix::fs::symlinkat(to, &self.node(parent)?, name)?;
        self.entry(parent, name)
    }

    pub(super) fn link(&self, of: INodeNo, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let (of, parent_node) = (self.node(of)?, self.node(parent)?);
        rustix::fs::linkat(&of, "", &parent_node, name, AtFlags::EMPTY_PATH)?;
        self.entry(parent, name)
    }

    pub(super) fn rename(
        &self,
        (parent, name): (INodeNo, &OsStr),
        (new_parent, new_name): (INodeNo, &OsStr),
        flags: u32,
    ) -> io::Result<()> {
        let (from, to) = (self.node(parent)?, self.node(new_parent)?);
        let flags = RenameFlags::from_bits_retain(flags);
        Ok(rustix::fs::renameat_with(&from, name, &to, new_name, flags)?)
    }

    pub(super) fn remove(&self, parent: INodeNo, name: &OsStr, flags: AtFlags) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.node(parent)?, name, flags)?)
    }

    pub(super) fn read_link(&self, number: INodeNo) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.node(number)?, "", Vec::new())?.into_bytes())
    }

    pub(super) fn create(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> io::Result<(FileAttr, u64)> {
        let flags = open_flags(flags) | OFlags::CREATE | OFlags::NOFOLLOW;
        let bits = Mode::from_raw_mode(mode);
        let file = rustix::fs::openat(&self.node(parent)?, name, flags, bits)?;
        Ok((self.made(parent, name, mode)?, self.opened(&self.files, file.into())))
    }

    pub(super) fn open_file(&self, number: INodeNo, flags: i32) -> io::Result<u64> {
        let file = rustix::fs::open(self.path(number)?, open_flags(flags), Mode::empty())?;
        Ok(self.opened(&self.files, file.into()))
    }

    pub(super) fn close(&self, handle: u64) {
        self.files.remove(handle);
        self.lists.remove(handle);
    }

    pub(super) fn read(&self, handle: u64, at: u64, size: u32) -> io::Result<Vec<u8>> {
        let file = self.files.get(handle)?;
        let mut bytes = vec![0; size as usize];
        let mut read = 0;
        loop {
            match file.read_at(&mut bytes[read..], at + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(super) fn write(&self, handle: u64, at: u64, bytes: &[u8]) -> io::Result<u32> {
        self.files.get(handle)?.write_all_at(bytes, at)?;
        Ok(u32::try_from(bytes.len()).expect("it has a smaller bound"))
    }

    /// Returns a list that stays what it is while its names are removed.
    pub(super) fn open_list(&self, number: INodeNo) -> io::Result<u64> {
        let entries = fs::read_dir(self.path(number)?)?;
        let name = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let kind = FileType::from_std(entry.file_type()?).ok_or(Errno::IO)?;
            Ok((INodeNo(entry.ino()), kind, entry.file_name()))
        };
        let names = entries.map(name).collect::<io::Result<_>>()?;
        Ok(self.opened(&self.lists, names))
    }

    pub(super) fn list(&self, handle: u64) -> io::Result<Arc<Vec<Name>>> {
        self.lists.get(handle)
    }

    pub(super) fn sync(&self, number: INodeNo) -> io::Result<()> {
        File::open(self.path(number)?)?.sync_all()
    }

    pub(super) fn room(&self) -> io::Result<rustix::fs::StatVfs> {
        Ok(rustix::fs::statvfs(self.path(INodeNo::ROOT)?)?)
    }

    pub(super) fn xattr(&self, number: INodeNo, name: &OsStr) -> io::Result<Vec<u8>> {
        let path = self.path(number)?;
        whole(|buffer| rustix::fs::getxattr(&path, name, buffer))
    }

    pub(super) fn xattrs(&self, number: INodeNo) -> io::Result<Vec<u8>> {
        let path = self.path(number)?;
        whole(|buffer| rustix::fs::listxattr(&path, buffer))
    }

    pub(super) fn set_xattr(
        &self,
        number: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> io::Result<()> {
        let flags = XattrFlags::from_bits_retain(flags.cast_unsigned());
        Ok(rustix::fs::setxattr(self.path(number)?, name, value, flags)?)
    }

    pub(super) fn remove_xattr(&self, number: INodeNo, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::removexattr(self.path(number)?, name)?)
    }

    fn opened<T>(&self, all: &Table<T>, one: T) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        all.put(handle, one);
        handle
    }
}

/// What becomes of the attributes of a file.
#[derive(Default)]
pub(super) struct Change {
    pub(super) mode: Option<u32>,
    pub(super) owner: (Option<u32>, Option<u32>),
    pub(super) size: Option<u64>,
    pub(super) times: Option<Timestamps>,
}

/// Open things by their numbers.
struct Table<T>(Mutex<HashMap<u64, Arc<T>>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Table<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, number: u64) -> io::Result<Arc<T>> {
        Ok(self.lock().get(&number).cloned().ok_or(Errno::STALE)?)
    }

    fn put(&self, number: u64, one: T) {
        self.lock().insert(number, Arc::new(one));
    }

    fn remove(&self, number: u64) {
        self.lock().remove(&number);
    }
}

fn attributes(number: INodeNo, found: &Metadata) -> io::Result<FileAttr> {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(FileAttr {
        ino: number,
        size: found.size(),
        blocks: found.blocks(),
        atime: found.accessed()?,
        mtime: found.modified()?,
        ctime: SystemTime::UNIX_EPOCH,
        crtime: SystemTime::UNIX_EPOCH,
        kind: FileType::from_std(found.file_type()).ok_or(Errno::IO)?,
        perm: (found.mode() & 0o7777) as u16,
        nlink: small(found.nlink()),
        uid: found.uid(),
        gid: found.gid(),
        // Up to 4095:1048575 both ways of writing it are the same.
        rdev: small(found.rdev()),
        blksize: small(found.blksize()),
        flags: 0,
    })
}

/// What is asked of an open file comes with its place in it, and a new file is made by `create`.
fn open_flags(flags: i32) -> OFlags {
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    flags - (OFlags::NOFOLLOW | OFlags::APPEND | OFlags::CREATE)
}

/// Returns an attribute, or all their names, in one piece.
fn whole(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1 << 16];
    let length = read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}
