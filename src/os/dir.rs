//! What is done with an open folder.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;

/// How a folder is opened.
pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens `path` one name at a time: what `openat2` does, for kernels without it.
pub(super) fn step_by_step(
    root: &OwnedFd,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let mut dir = rustix::fs::openat(root, ".", FOLDER, Mode::empty())?;
    let mut names = path.split(|b| *b == b'/').peekable();
    while let Some(name) = names.next() {
        if name == b".." {
            return Err(Errno::XDEV.into());
        }
        if names.peek().is_none() {
            return Ok(rustix::fs::openat(&dir, name, flags, mode)?);
        }
        dir = rustix::fs::openat(&dir, name, FOLDER, Mode::empty())?;
    }
    Ok(dir)
}

/// Opens what is to be read without a trace of the reading. Only owners and root may ask for that; for
/// others the kernel notes the time, as it does for every program.
pub(super) fn open_untraced(dir: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(dir, name, flags, Mode::empty()),
        answer => answer,
    }
}

pub(super) fn names_of(dir: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut buffer = [MaybeUninit::uninit(); 16 << 10];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes without recursion by call depth being the only bound: paths on a real file system are at
/// most a few thousand names deep.
pub(super) fn remove_in(dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        answer => return Ok(answer?),
    }
    let below = rustix::fs::openat(dir, name, FOLDER, Mode::empty())?;
    for inner in names_of(&below)? {
        remove_in(&below, &inner)?;
    }
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}
