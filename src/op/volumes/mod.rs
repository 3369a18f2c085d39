//! Volumes: what is in them, who uses them, and carrying their files.

mod export;
mod import;
mod write;

use std::collections::HashSet;

use crate::error::{Error, Place, Result};
use crate::model::{Finding, Volume};
use crate::op::host::{ContainerAt, DataRoot};
use crate::store::volumes;
use crate::tree::{Kind, Sub, Tree, TreePath, walk};

pub use export::{Carried, Destination, export};
pub use import::{Imported, Importing, import};
pub use write::Put;

/// What the files of a volume take, each counted once, however many names it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes when read, as Docker counts them: files and links, without folders.
    pub apparent: u64,
    /// Bytes on disk.
    pub allocated: u64,
    /// How many files and folders.
    pub files: u64,
}

/// Returns the volumes of a data root in the order of their names, and what is wrong with them.
///
/// # Errors
/// Where the folder of all cannot be read.
pub fn of_root(root: &DataRoot) -> Result<(Vec<Volume>, Vec<Finding>)> {
    volumes::read_all(&tree(root))
}

fn tree(root: &DataRoot) -> Sub {
    Sub::new(root.tree.clone(), root.path.as_path())
}

/// Returns where the files of `volume` are, for messages.
#[must_use]
pub fn place(root: &DataRoot, volume: &Volume) -> Option<Place> {
    volume.data.as_ref().map(|data| tree(root).place(data.as_path()))
}

/// Returns the containers of `root` that `volume` is mounted in.
pub fn users<'a>(
    root: &'a DataRoot,
    volume: &'a Volume,
) -> impl Iterator<Item = ContainerAt<'a>> + 'a {
    root.containers().filter(|at| at.container.record.mounts_volume(&volume.name))
}

/// Returns whether the daemon that starts next will not know of the container, and so not of what it
/// uses.
#[must_use]
pub fn is_hidden(at: &ContainerAt<'_>) -> bool {
    at.seen.is_none_or(|seen| seen.hidden)
}

/// Returns what the files of `volume` take; nothing for one whose files are elsewhere.
///
/// # Errors
/// What the tree says.
pub fn size(root: &DataRoot, volume: &Volume) -> Result<Option<Size>> {
    let Some(data) = &volume.data else { return Ok(None) };
    of_folder(&tree(root), data.as_path()).map(Some)
}

/// moby v28.5 daemon/internal/directory/directory_unix.go
fn of_folder(tree: &dyn Tree, folder: TreePath<'_>) -> Result<Size> {
    let mut size = Size { allocated: tree.stat(folder)?.allocated, ..Size::default() };
    let mut linked = HashSet::new();
    walk(tree, folder, &mut |_, entry| {
        let found = &entry.metadata;
        let is_dir = found.kind == Kind::Dir;
        if is_dir || found.nlink <= 1 || linked.insert(found.ino) {
            size.files += 1;
            size.allocated = size.allocated.saturating_add(found.allocated);
            let apparent = if is_dir { 0 } else { found.size };
            size.apparent = size.apparent.saturating_add(apparent);
        }
        Ok(true)
    })?;
    Ok(size)
}

/// Returns the volume called `name`, and the root it is in.
///
/// # Errors
/// Missing if there is none, refused if several roots have one.
pub fn find<'r>(roots: &'r [DataRoot], name: &str) -> Result<(&'r DataRoot, Volume)> {
    let mut found = Vec::new();
    for root in roots {
        let (volumes, _) = of_root(root)?;
        let named = volumes.into_iter().filter(|volume| volume.name == name);
        found.extend(named.map(|volume| (root, volume)));
    }
    match found.len() {
        1 => {}
        0 => {
            return Err(Error::missing(Place::new(name, ""), "no volume has this name")
                .hint("`tranship volumes` lists them all"));
        }
        _ => {
            let roots: Vec<_> = found.iter().map(|(root, _)| root.place.clone()).collect();
            let what = format!("several data roots have a volume {name}: {}", roots.join(", "));
            return Err(Error::refused(what).hint("name the data root that is meant"));
        }
    }
    Ok(found.swap_remove(0))
}
