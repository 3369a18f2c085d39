//! Whether a daemon runs, and keeping it from starting.

use crate::error::{Error, Place, Result};
use crate::os::{self, LockFile};
use crate::tree::{Tree, TreePathBuf};

/// Returns whether a daemon holds any of `files`; nothing where that cannot be asked.
pub(super) fn is_held(tree: &dyn Tree, files: &[TreePathBuf]) -> Option<bool> {
    let mut held = false;
    for file in files {
        let (root, inner) = tree.live(file.as_path())?;
        held |= matches!(os::is_held(root, inner.as_path().as_bytes()), Ok(Some(true)));
    }
    Some(held)
}

/// The proof that no daemon runs on a data root and a containerd root, and that none will start as
/// long as this is held.
#[derive(Debug, Default)]
pub struct Stopped {
    locks: Vec<(Place, LockFile)>,
}

impl Stopped {
    /// Takes the locks of the databases `files` of `tree` too. Trees that are not of this machine have
    /// none.
    ///
    /// # Errors
    /// Refused if a daemon has one of them.
    pub fn and(mut self, tree: &dyn Tree, files: &[TreePathBuf]) -> Result<Self> {
        for file in files {
            let Some((root, inner)) = tree.live(file.as_path()) else { break };
            match LockFile::take(root, inner.as_path().as_bytes()) {
                Ok(lock) => self.locks.extend(lock.map(|lock| (tree.place(file.as_path()), lock))),
                Err(busy) if busy.kind() == std::io::ErrorKind::WouldBlock => {
                    let held = tree.place(file.as_path());
                    return Err(Error::refused(format!("a daemon is running: it holds {held}"))
                        .hint(
                            "stop it first: `systemctl stop docker.socket docker containerd`, or \
                             quit Docker Desktop",
                        ));
                }
                Err(error) => return Err(Error::io(tree.place(file.as_path()), error)),
            }
        }
        Ok(self)
    }

    /// Ends the proof after a commit. A daemon that was started meanwhile and waits for a database
    /// which has been replaced is made to fail instead of going on with the old one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn release(self) -> Result<()> {
        for (place, lock) in &self.locks {
            lock.spoil_if_replaced().map_err(|error| Error::io(place.clone(), error))?;
        }
        Ok(())
    }
}
