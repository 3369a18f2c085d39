//! Folders kept open, so that work on the names of one folder does not look for it again each time.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// With this many open, all are closed: a walk comes back to fewer, and a process may have as few as
/// 1024 files open in all.
const MOST: usize = 64;

/// Open folders by their paths. Nobody reads names from them: where that goes on is part of the
/// open folder, and these are shared.
#[derive(Debug, Default)]
pub(super) struct Folders(Mutex<HashMap<Vec<u8>, Arc<OwnedFd>>>);

impl Folders {
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Arc<OwnedFd>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<Arc<OwnedFd>> {
        self.lock().get(path).map(Arc::clone)
    }

    pub(super) fn put(&self, path: &[u8], folder: Arc<OwnedFd>) {
        let mut open = self.lock();
        let closed = if open.len() < MOST { HashMap::new() } else { std::mem::take(&mut *open) };
        open.insert(path.to_vec(), folder);
        // Others need not wait until they are closed.
        drop(open);
        drop(closed);
    }

    /// Forgets `path` and all below it: the names may mean something else from now on.
    pub(super) fn forget(&self, path: &[u8]) {
        let is_at = |rest: &[u8]| matches!(rest, [] | [b'/', ..]);
        self.lock().retain(|open, _| !open.strip_prefix(path).is_some_and(is_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Arc<OwnedFd> {
        Arc::new(std::fs::File::open("/").expect("every system has it").into())
    }

    #[test]
    fn what_was_moved_is_forgotten_with_all_below_it() {
        let folders = Folders::default();
        for path in ["a", "a/b", "a/b/c", "ab"] {
            folders.put(path.as_bytes(), folder());
        }
        folders.forget(b"a/b");
        let known = |path: &str| folders.get(path.as_bytes()).is_some();
        assert_eq!(["a", "a/b", "a/b/c", "ab"].map(known), [true, false, false, true]);
        folders.forget(b"a");
        assert_eq!(["a", "ab"].map(known), [false, true]);
    }

    #[test]
    fn only_so_many_stay_open() {
        let folders = Folders::default();
        for number in 0..1000 {
            folders.put(number.to_string().as_bytes(), folder());
            assert!(folders.get(number.to_string().as_bytes()).is_some(), "{number}");
        }
        assert!(folders.lock().len() <= MOST);
    }
}
