//! Extended attributes of a name in an open folder, links not followed.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// The kernel's own limits (linux/limits.h): a list of names, and one value.
const LIST_LIMIT: usize = 64 << 10;
const VALUE_LIMIT: usize = 64 << 10;

/// Before Linux 6.13 no call takes a folder and a name; `/proc` gives the folder a path that nothing
/// on the disk can redirect.
fn proc_path(dir: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

pub(super) fn read(dir: &OwnedFd, name: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = proc_path(dir, name);
    let mut names = Vec::with_capacity(256);
    let spare = rustix::buffer::spare_capacity(&mut names);
    match rustix::fs::llistxattr(path.as_slice(), spare) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {
            names = Vec::with_capacity(LIST_LIMIT);
            rustix::fs::llistxattr(path.as_slice(), rustix::buffer::spare_capacity(&mut names))?;
        }
        answer => _ = answer?,
    }
    let mut found = Vec::new();
    for key in names.split(|b| *b == 0).filter(|key| !key.is_empty()) {
        match value_of(&path, key) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            value => found.push((key.to_vec(), value?)),
        }
    }
    Ok(found)
}

fn value_of(path: &[u8], key: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut value = Vec::with_capacity(256);
    match rustix::fs::lgetxattr(path, key, rustix::buffer::spare_capacity(&mut value)) {
        Err(Errno::RANGE) => {
            value = Vec::with_capacity(VALUE_LIMIT);
            rustix::fs::lgetxattr(path, key, rustix::buffer::spare_capacity(&mut value))?;
        }
        answer => _ = answer?,
    }
    Ok(value)
}

pub(super) fn write(dir: &OwnedFd, name: &[u8], key: &[u8], value: &[u8]) -> io::Result<()> {
    let path = proc_path(dir, name);
    Ok(rustix::fs::lsetxattr(path.as_slice(), key, value, XattrFlags::empty())?)
}
