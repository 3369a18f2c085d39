//! Folders kept open, so that work on the names of one folder does not look for it again each time.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// With this many open beside those used before, the latter are closed: a walk comes back to fewer,
/// and a process may have as few as 1024 files open in all.
const MOST: usize = 128;

type Open = HashMap<Vec<u8>, Arc<OwnedFd>>;

/// Open folders by their paths. Nobody reads names from them: where that goes on is part of the
/// open folder, and these are shared.
#[derive(Debug, Default)]
pub(super) struct Folders(Mutex<Generations>);

/// What is not asked for while a whole new generation comes together is closed.
#[derive(Debug, Default)]
struct Generations {
    new: Open,
    old: Open,
}

impl Generations {
    /// Keeps `folder` open, and returns what is to be closed.
    fn put(&mut self, path: Vec<u8>, folder: Arc<OwnedFd>) -> Open {
        let mut closed = Open::new();
        if self.new.len() >= MOST {
            closed = std::mem::replace(&mut self.old, std::mem::take(&mut self.new));
        }
        self.new.insert(path, folder);
        closed
    }
}

impl Folders {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<Arc<OwnedFd>> {
        let mut open = self.lock();
        if let Some(folder) = open.new.get(path) {
            return Some(Arc::clone(folder));
        }
        let (path, folder) = open.old.remove_entry(path)?;
        let closed = open.put(path, Arc::clone(&folder));
        drop(open);
        drop(closed);
        Some(folder)
    }

    pub(super) fn put(&self, path: &[u8], folder: Arc<OwnedFd>) {
        let closed = self.lock().put(path.to_vec(), folder);
        // Others need not wait until they are closed.
        drop(closed);
    }

    /// Forgets `path` and all below it: the names may mean something else from now on.
    pub(super) fn forget(&self, path: &[u8]) {
        let is_at = |rest: &[u8]| matches!(rest, [] | [b'/', ..]);
        let stays = |open: &Vec<u8>| !open.strip_prefix(path).is_some_and(is_at);
        let mut open = self.lock();
        open.new.retain(|open, _| stays(open));
        open.old.retain(|open, _| stays(open));
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
            assert!(folders.get(b"0").is_some(), "what is asked for stays open at {number}");
        }
        let open = folders.lock();
        assert!(open.new.len() + open.old.len() <= 2 * MOST);
    }
}
