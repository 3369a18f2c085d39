//! Walking with many threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::many::together;
use super::walk::DEEPEST;
use super::{Entry, Kind, THREADS, Tree, TreePath, TreePathBuf};
use crate::error::{Error, Result};

/// What one thread of a wide walk does, and what it knows in the end.
pub trait Visit<C>: Send {
    /// Sees one entry of `folder`, of which `known` was returned before. Returns what is known of the
    /// folder that the entry is, if that is to be gone into.
    fn entry(&mut self, known: &C, folder: TreePath<'_>, entry: &Entry) -> Result<Option<C>>;

    /// Returns whether enough was seen: folders that are left are not gone into.
    fn is_enough(&self) -> bool {
        false
    }

    /// Hears of a folder that cannot be read; an error ends the walk.
    fn unread(&mut self, known: &C, folder: TreePath<'_>, error: Error) -> Result<()> {
        let _ = (known, folder);
        Err(error)
    }
}

/// Shows everything below the folders `start` to visitors that `new` makes, one for each thread, and returns
/// them. Each entry is seen once, a folder before what it holds; there is no other order.
///
/// # Errors
/// What a visitor says.
pub fn walk_wide<C: Send, V: Visit<C>>(
    tree: &dyn Tree,
    start: Vec<(TreePathBuf, C)>,
    new: impl Fn() -> V + Sync,
) -> Result<Vec<V>> {
    let queue = Queue::new(start);
    let work = || {
        let mut visitor = new();
        while let Some((folder, known)) = queue.take() {
            let below = look(tree, folder.as_path(), &known, &mut visitor);
            queue.done(below);
        }
        visitor
    };
    let visitors = together(THREADS, work);
    match queue.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
        Some(error) => Err(error),
        None => Ok(visitors),
    }
}

/// Folders with what is known of each.
type Folders<C> = Vec<(TreePathBuf, C)>;

fn look<C, V: Visit<C>>(
    tree: &dyn Tree,
    folder: TreePath<'_>,
    known: &C,
    visitor: &mut V,
) -> Result<Folders<C>> {
    let mut below = Vec::new();
    if visitor.is_enough() {
        return Ok(below);
    }
    let entries = match tree.list(folder) {
        Ok(entries) => entries,
        Err(error) => {
            visitor.unread(known, folder, error)?;
            return Ok(below);
        }
    };
    for entry in &entries {
        let go_in = visitor.entry(known, folder, entry)?;
        let Some(known) = go_in.filter(|_| entry.metadata.kind == Kind::Dir) else { continue };
        let Some(path) = folder.child(&entry.name) else {
            return Err(Error::corrupt(tree.place(folder), "a name that is not a name"));
        };
        below.push((path, known));
    }
    if !below.is_empty() && folder.names().count() >= DEEPEST {
        let what = format!("folders nested more than {DEEPEST} deep");
        let error = Error::corrupt(tree.place(folder), what);
        visitor.unread(known, folder, error)?;
        below.clear();
    }
    Ok(below)
}

/// The folders that are left, the newest first: that keeps them few.
struct Queue<C> {
    state: Mutex<State<C>>,
    changed: Condvar,
}

struct State<C> {
    left: Folders<C>,
    /// How many threads look at a folder, and may find more.
    busy: usize,
    waiting: usize,
    failed: Option<Error>,
}

impl<C> Queue<C> {
    fn new(left: Folders<C>) -> Self {
        let state = State { left, busy: 0, waiting: 0, failed: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a folder to look at; nothing once there will be no more.
    fn take(&self) -> Option<(TreePathBuf, C)> {
        let mut state = self.lock();
        loop {
            if let Some(folder) = state.left.pop() {
                state.busy += 1;
                return Some(folder);
            }
            if state.busy == 0 {
                return None;
            }
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    fn done(&self, below: Result<Folders<C>>) {
        let mut state = self.lock();
        state.busy -= 1;
        match below {
            Ok(below) => state.left.extend(below),
            Err(error) => _ = state.failed.get_or_insert(error),
        }
        if state.failed.is_some() {
            state.left.clear();
        }
        if state.left.is_empty() && state.busy == 0 {
            self.changed.notify_all();
        } else if state.waiting > 0 {
            for _ in 0..state.left.len().min(state.waiting) {
                self.changed.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tree::{Memory, Sink, path, write};

    /// Notes the paths it sees, and goes into all but one folder.
    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Visit<usize> for Seen {
        fn entry(
            &mut self,
            depth: &usize,
            folder: TreePath<'_>,
            entry: &Entry,
        ) -> Result<Option<usize>> {
            let at = folder.child(&entry.name).expect("a name");
            self.0.push(format!("{depth} {at}"));
            Ok((entry.name != b"closed").then_some(depth + 1))
        }
    }

    fn tree(folders: &[&str]) -> Memory {
        let tree = Memory::new();
        for folder in folders {
            let mut at = TreePath::ROOT.to_owned();
            for name in path(folder).names() {
                at = at.as_path().child(name).expect("a name");
                tree.make_dir(at.as_path(), 0o755).expect("a free name");
            }
            let file = at.as_path().child(b"file").expect("a name");
            write(&tree, file.as_path(), 0o644, b"x").expect("a free name");
        }
        tree
    }

    #[test]
    fn everything_is_seen_once() {
        let folders: Vec<_> = (0..200).map(|n| format!("a{}/b{n}", n % 7)).collect();
        let folders: Vec<_> = folders.iter().map(String::as_str).chain(["a1/closed/in"]).collect();
        let tree = tree(&folders);
        let start = vec![(TreePathBuf::default(), 0)];
        let seen = walk_wide(&tree, start, Seen::default).expect("a sound tree");
        let all: Vec<_> = seen.into_iter().flat_map(|one| one.0).collect();
        let once: BTreeSet<_> = all.iter().cloned().collect();
        assert_eq!(all.len(), 7 + 2 * 200 + 1);
        assert_eq!(once.len(), all.len());
        assert!(once.contains("1 a1/closed") && once.contains("2 a3/b3/file"), "{once:?}");
    }

    #[test]
    fn what_cannot_be_read_is_told_and_ends_it_unless_it_is_taken() {
        struct Deaf;
        impl Visit<()> for Deaf {
            fn entry(&mut self, (): &(), _: TreePath<'_>, _: &Entry) -> Result<Option<()>> {
                Ok(Some(()))
            }
            fn unread(&mut self, (): &(), _: TreePath<'_>, _: Error) -> Result<()> {
                Ok(())
            }
        }
        let (tree, gone) = (tree(&["a"]), || vec![(path("gone").to_owned(), ())]);
        assert!(walk_wide(&tree, gone(), || Deaf).is_ok());
        let start = vec![(path("gone").to_owned(), 0), (TreePathBuf::default(), 0)];
        assert!(walk_wide(&tree, start, Seen::default).is_err_and(|error| error.is_missing()));
    }
}
