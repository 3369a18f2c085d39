//! Copies of file data that write as little as the file system allows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::fs::SeekFrom as At;
use rustix::io::Errno;

/// Makes `to` share the blocks of `from`; returns `false` where the file system cannot.
///
/// # Errors
/// What the kernel says, other than that it cannot.
pub fn reflink(from: &File, to: &File) -> io::Result<bool> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Copies the data of `from` to the empty file `to`, holes kept as holes; returns the bytes written.
///
/// # Errors
/// What the kernel says of either file.
pub fn copy_data(from: &mut File, to: &mut File) -> io::Result<u64> {
    let size = from.metadata()?.len();
    let (mut done, mut written) = (0, 0);
    while let Some((start, end)) = next_data(from, done, size)? {
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        written += io::copy(&mut Read::by_ref(from).take(end - start), to)?;
        done = end;
    }
    to.flush()?;
    to.set_len(size)?;
    Ok(written)
}

/// Returns the next run of data at or after `from`; all of the rest where holes are not known.
fn next_data(file: &File, from: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if from >= size {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, At::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL) => return Ok(Some((from, size))),
        Err(error) => return Err(error.into()),
    };
    let end = rustix::fs::seek(file, At::Hole(start))?;
    Ok(Some((start, end)))
}
