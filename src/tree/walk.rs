//! The one walker.

use super::{Entry, Kind, Tree, TreePath};
use crate::error::{Error, Result};

/// No real tree is deeper: the kernel's own path limit is 4096 bytes. A crafted one may be endless.
pub(super) const DEEPEST: usize = 4096;

/// Calls `visit` for everything below `dir`, each folder before what it holds, names in byte order.
///
/// Where `visit` returns `false` for a folder, what it holds is passed over.
///
/// # Errors
/// What the tree says, what `visit` says, and a tree that is nested too deeply.
pub fn walk(
    tree: &dyn Tree,
    dir: TreePath<'_>,
    visit: &mut dyn FnMut(TreePath<'_>, &Entry) -> Result<bool>,
) -> Result<()> {
    let mut levels = vec![(dir.to_owned(), tree.list(dir)?.into_iter())];
    while let Some((folder, entries)) = levels.last_mut() {
        let Some(entry) = entries.next() else {
            levels.pop();
            continue;
        };
        let Some(path) = folder.as_path().child(&entry.name) else {
            return Err(Error::corrupt(tree.place(folder.as_path()), "a name that is not a name"));
        };
        let go_in = visit(path.as_path(), &entry)?;
        if entry.metadata.kind == Kind::Dir && go_in {
            if levels.len() >= DEEPEST {
                let what = format!("folders nested more than {DEEPEST} deep");
                return Err(Error::corrupt(tree.place(path.as_path()), what));
            }
            let below = tree.list(path.as_path())?;
            levels.push((path, below.into_iter()));
        }
    }
    Ok(())
}
