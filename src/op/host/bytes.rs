//! How much room folders take.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::tree::{Kind, Metadata, Tree, TreePath, TreePathBuf, many, optional};

/// Returns the bytes that `folders` take on disk, files with several names counted once.
///
/// # Errors
/// What the tree says of anything but a folder that is not there.
pub fn disk_bytes(tree: &dyn Tree, folders: &[TreePathBuf]) -> Result<u64> {
    let counted = Mutex::default();
    let (mut total, mut level) = (0, Vec::new());
    for folder in folders {
        let Some(metadata) = optional(tree.stat(folder.as_path()))? else { continue };
        total += metadata.allocated;
        level.extend((metadata.kind == Kind::Dir).then(|| folder.clone()));
    }
    // Level by level: most folders of a store lie beside each other.
    while !level.is_empty() {
        let looked = many(&level, |folder| inside(tree, folder.as_path(), &counted));
        level.clear();
        for found in looked {
            let (bytes, folders) = found?;
            total += bytes;
            level.extend(folders);
        }
    }
    Ok(total)
}

/// Returns the bytes of what is in `folder` itself, and the folders among it.
fn inside(
    tree: &dyn Tree,
    folder: TreePath<'_>,
    counted: &Mutex<HashSet<u64>>,
) -> Result<(u64, Vec<TreePathBuf>)> {
    let is_first = |metadata: &Metadata| {
        metadata.nlink <= 1
            || metadata.kind == Kind::Dir
            || counted.lock().unwrap_or_else(PoisonError::into_inner).insert(metadata.ino)
    };
    let (mut bytes, mut folders) = (0, Vec::new());
    for entry in tree.list(folder)? {
        bytes += if is_first(&entry.metadata) { entry.metadata.allocated } else { 0 };
        if entry.metadata.kind == Kind::Dir {
            folders.extend(folder.child(&entry.name));
        }
    }
    Ok((bytes, folders))
}
