//! Which errors are of the disk, and not of what was asked of it.

use std::io;

use rustix::io::Errno;

/// The disk, what leads to it, or what the process can have open. A name that is too long, or an attribute that
/// the file system does not know, is asked for by whoever asks.
const FAILED: [Errno; 15] = [
    Errno::IO,
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::ROFS,
    Errno::NXIO,
    Errno::NODEV,
    Errno::UCLEAN,
    Errno::STALE,
    Errno::REMOTEIO,
    Errno::TIMEDOUT,
    Errno::NOTCONN,
    Errno::PIPE,
    Errno::NOMEM,
    Errno::MFILE,
    Errno::NFILE,
];

/// Returns whether an error says that the disk fails, whatever it is asked for.
#[must_use]
pub fn has_failed(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    FAILED.iter().any(|errno| Some(errno.raw_os_error()) == number)
}
