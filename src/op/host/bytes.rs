//! How much room folders take.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use rayon::prelude::*;

use crate::error::Result;
use crate::tree::{Entry, Kind, Tree, TreePath, TreePathBuf, optional, walk};

/// Returns the bytes that `folders` take on disk, files with several names counted once.
///
/// # Errors
/// What the tree says of anything but a folder that is not there.
pub fn disk_bytes(tree: &dyn Tree, folders: &[TreePathBuf]) -> Result<u64> {
    let linked = Mutex::new(HashSet::new());
    let sum = |parts: Vec<Result<u64>>| parts.into_iter().sum::<Result<u64>>();
    let of = |folder: &TreePathBuf| match optional(tree.stat(folder.as_path()))? {
        Some(metadata) if metadata.kind == Kind::Dir => {
            let entries = tree.list(folder.as_path())?;
            let below = |entry: &Entry| one(tree, folder.as_path(), entry, &linked);
            Ok(metadata.allocated + sum(entries.par_iter().map(below).collect())?)
        }
        Some(metadata) => Ok(metadata.allocated),
        None => Ok(0),
    };
    sum(folders.iter().map(of).collect())
}

fn one(
    tree: &dyn Tree,
    folder: TreePath<'_>,
    entry: &Entry,
    linked: &Mutex<HashSet<u64>>,
) -> Result<u64> {
    let is_first = |entry: &Entry| {
        entry.metadata.nlink <= 1
            || entry.metadata.kind == Kind::Dir
            || linked.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.metadata.ino)
    };
    let mut total = if is_first(entry) { entry.metadata.allocated } else { 0 };
    if let Some(path) = folder.child(&entry.name).filter(|_| entry.metadata.kind == Kind::Dir) {
        walk(tree, path.as_path(), &mut |_, entry| {
            total += if is_first(entry) { entry.metadata.allocated } else { 0 };
            Ok(true)
        })?;
    }
    Ok(total)
}
