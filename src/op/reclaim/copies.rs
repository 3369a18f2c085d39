//! Containers that have been moved: their copies in the store they came from.

use std::sync::Arc;

use super::Unproven;
use crate::error::Result;
use crate::op::diff::{Rule, compare};
use crate::op::host::DataRoot;
use crate::store::Source;
use crate::tree::{Sub, Time, Tree, TreePathBuf, walk};

/// Returns the containers of which `from` has something that the store they are bound to does not. Those
/// that are bound to `from` stay there with all they need.
///
/// # Errors
/// What the trees say.
pub(super) fn containers(root: &DataRoot, from: &dyn Source) -> Result<Vec<Unproven>> {
    let driver = &from.inventory().driver;
    let mut missing = Vec::new();
    for at in root.containers().filter(|at| at.container.driver != *driver) {
        let Ok(copy) = from.writable(&at.container.id) else { continue };
        let why = match at.source().and_then(|source| source.writable(&at.container.id)) {
            Ok(own) => {
                let store = root.stores.iter().find(|seen| {
                    seen.here.source.as_deref().is_some_and(|one| std::ptr::addr_eq(one, from))
                });
                let trees = store.zip(at.seen).map(|(a, b)| [&a.here.tree, &b.here.tree]);
                let Some([old, new]) = trees else { continue };
                differs((old, &copy.upper), (new, &own.upper))?
            }
            Err(error) => {
                Some(format!("the store that its config names has nothing of it: {error}"))
            }
        };
        missing.extend(
            why.map(|why| Unproven { what: format!("container {}", at.container.name), why }),
        );
    }
    Ok(missing)
}

/// Returns why a copy holds what the other does not: it is neither the same nor older.
fn differs(
    (old, copy): (&Arc<dyn Tree>, &TreePathBuf),
    (new, own): (&Arc<dyn Tree>, &TreePathBuf),
) -> Result<Option<String>> {
    let copy = Sub::new(Arc::clone(old), copy.as_path());
    let own = Sub::new(Arc::clone(new), own.as_path());
    let root = crate::tree::TreePath::ROOT;
    for (tree, which) in [(&copy, "this store's copy"), (&own, "its copy in the other store")] {
        if tree.stat(root).is_err() {
            return Ok(Some(format!("{which} is gone")));
        }
    }
    if compare(&copy, &own, None, Rule::Layer)?.paths.is_empty() {
        return Ok(None);
    }
    let used_since = newest(&own)? > newest(&copy)?;
    let why = "it is not the same in the other store, and no newer there";
    Ok((!used_since).then(|| why.to_owned()))
}

/// Returns when anything in `tree` last changed.
fn newest(tree: &dyn Tree) -> Result<Time> {
    let root = crate::tree::TreePath::ROOT;
    let mut newest = tree.stat(root)?.mtime;
    walk(tree, root, &mut |_, entry| {
        newest = newest.max(entry.metadata.mtime);
        Ok(true)
    })?;
    Ok(newest)
}
