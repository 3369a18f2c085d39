//! The locks by which a running daemon shows itself.
//!
//! bbolt holds `flock(LOCK_EX)` on a database for as long as it is open (bbolt bolt_unix.go), so the
//! lock on a daemon's databases is the one sure sign that it runs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::Root;

/// Returns whether someone holds the lock on the file at `path`; `None` if there is no such file.
///
/// Asking takes a shared lock for an instant, which no other reader minds.
///
/// # Errors
/// What the kernel says when the file cannot be opened.
pub fn is_held(root: &Root, path: &[u8]) -> io::Result<Option<bool>> {
    let file = match root.open_file(path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(false)),
        Err(Errno::WOULDBLOCK) => Ok(Some(true)),
        Err(error) => Err(error.into()),
    }
}

/// A database that is locked as a daemon would lock it, until this value is dropped.
#[derive(Debug)]
pub struct LockFile {
    file: File,
}

impl LockFile {
    /// Locks the file at `path`; returns `None` if there is no such file, and `WouldBlock` if a
    /// daemon has it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take(root: &Root, path: &[u8]) -> io::Result<Option<Self>> {
        let file = match root.open_to_change(path) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Some(Self { file }))
    }

    /// Makes a replaced database unreadable, if no name leads to it any more.
    ///
    /// A daemon that was started meanwhile waits for this lock on the file it opened by name. With the
    /// lock it would go on with the old, nameless file, and all it then wrote would be lost. Without
    /// its two meta pages it stops with "invalid database" and is started again.
    ///
    /// # Errors
    /// What the kernel says of the writes.
    pub fn spoil_if_replaced(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let metadata = self.file.metadata()?;
        if metadata.nlink() > 0 || metadata.len() == 0 {
            return Ok(false);
        }
        let zeros = [0; 4096];
        let end = metadata.len().min(2 * 65536);
        let mut at = 0;
        while at < end {
            let length = (end - at).min(4096) as usize;
            self.file.write_all_at(&zeros[..length], at)?;
            at += 4096;
        }
        Ok(true)
    }
}
