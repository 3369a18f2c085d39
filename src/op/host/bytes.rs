//! How much room a store takes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::model::Inventory;
use crate::store::open::StoreHere;
use crate::tree::{Entry, Kind, Metadata, Tree, TreePath, TreePathBuf, Visit, optional, walk_wide};

/// How much room a store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes on disk.
    pub bytes: u64,
    /// Whether every file was looked at. Otherwise they were too many for a first glance, and the
    /// store's own records were added up: these leave out metadata, and know nothing of blocks.
    pub counted: bool,
}

/// So many files are looked at in less than a second, unless the disk is slow.
const MOST: u64 = 200_000;

/// With what describes it, a layer is seldom fewer files and folders.
const OF_A_LAYER: u64 = 8;

/// Returns how much room a store takes.
///
/// # Errors
/// What the tree says of anything but a folder that is not there.
pub fn room(here: &StoreHere) -> Result<Room> {
    let inventory = here.inventory();
    let layers = inventory.map_or(0, |inventory| inventory.layers.len() as u64);
    // Of a store that cannot be read nothing is on record.
    let count = Count::new(inventory.map_or(u64::MAX, |_| MOST));
    if layers.saturating_mul(OF_A_LAYER) <= count.most {
        let bytes = count.all(&*here.tree, &here.folders)?;
        if !count.is_over() {
            return Ok(Room { bytes, counted: true });
        }
    }
    Ok(Room { bytes: inventory.map_or(0, recorded), counted: false })
}

fn recorded(inventory: &Inventory) -> u64 {
    let layers = inventory.layers.values().map(|layer| layer.size);
    let blobs = inventory.blobs.values().map(|blob| blob.size);
    layers.chain(blobs).fold(0, u64::saturating_add)
}

/// Files that are counted once, however many names they have, and at most so many.
struct Count {
    linked: Mutex<HashSet<u64>>,
    looked_at: AtomicU64,
    most: u64,
}

impl Count {
    fn new(most: u64) -> Self {
        Self { linked: Mutex::default(), looked_at: AtomicU64::new(0), most }
    }

    fn is_over(&self) -> bool {
        self.looked_at.load(Ordering::Relaxed) > self.most
    }

    /// Returns the bytes that `folders` take on disk, or fewer once there are too many files.
    fn all(&self, tree: &dyn Tree, folders: &[TreePathBuf]) -> Result<u64> {
        let (mut total, mut left) = (0, Vec::new());
        for folder in folders {
            let Some(metadata) = optional(tree.stat(folder.as_path()))? else { continue };
            total += metadata.allocated;
            left.extend((metadata.kind == Kind::Dir).then(|| folder.clone()));
        }
        let start = left.into_iter().map(|folder| (folder, ())).collect();
        let parts = walk_wide(tree, start, || Part { count: self, bytes: 0 })?;
        Ok(total + parts.iter().map(|part| part.bytes).sum::<u64>())
    }

    /// Returns the bytes of what an entry leads to, unless another name of it was counted.
    fn one(&self, entry: &Entry) -> u64 {
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        let Metadata { nlink, kind, ino, allocated, .. } = entry.metadata;
        let is_first = nlink <= 1
            || kind == Kind::Dir
            || self.linked.lock().unwrap_or_else(PoisonError::into_inner).insert(ino);
        if is_first { allocated } else { 0 }
    }
}

/// What one thread counts.
struct Part<'a> {
    count: &'a Count,
    bytes: u64,
}

impl Visit<()> for Part<'_> {
    fn entry(&mut self, (): &(), _: TreePath<'_>, entry: &Entry) -> Result<Option<()>> {
        self.bytes += self.count.one(entry);
        Ok(Some(()))
    }

    fn is_enough(&self) -> bool {
        self.count.is_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{BlobId, DiffId, Digest};
    use crate::model::{LayerBlob, StoreKind};
    use crate::tree::{Memory, Sink, path, write};

    /// Returns a tree with as many folders as are asked for, each with one file of its own and one name
    /// of a file that all have.
    fn tree(folders: usize) -> Memory {
        let tree = Memory::new();
        write(&tree, path("shared"), 0o644, &[7; 5000]).expect("a free name");
        for number in 0..folders {
            let folder = path("in").child(number.to_string().as_bytes()).expect("a plain name");
            for dir in [path("in"), folder.as_path()] {
                tree.make_dir(dir, 0o755).expect("a free name");
            }
            let at = |name: &[u8]| folder.as_path().child(name).expect("a plain name");
            write(&tree, at(b"own").as_path(), 0o644, &[1; 100]).expect("a free name");
            tree.link(path("shared"), at(b"link").as_path()).expect("a free name");
        }
        tree
    }

    fn bytes(tree: &Memory, names: &[&str]) -> u64 {
        let stat = |name: &&str| tree.stat(path(name)).expect("it is there").allocated;
        names.iter().map(stat).sum()
    }

    #[test]
    fn every_file_counts_once_whichever_thread_sees_it() {
        for folders in [1, 32, 33, 1280] {
            let tree = tree(folders);
            let of_one = bytes(&tree, &["in/0", "in/0/own"]);
            let wanted = bytes(&tree, &["in", "shared"]) + folders as u64 * of_one;
            let count = Count::new(u64::MAX);
            let gone = path("not there").to_owned();
            let found = count.all(&tree, &[path("in").to_owned(), gone]).expect("a sound tree");
            assert_eq!(found, wanted, "{folders} folders");
            assert_eq!(count.looked_at.into_inner(), 3 * folders as u64);
        }
    }

    #[test]
    fn too_many_files_are_not_all_looked_at() {
        let tree = tree(2000);
        let count = Count::new(300);
        count.all(&tree, &[path("in").to_owned()]).expect("a sound tree");
        // What is begun when there are too many, the folder with all the others, is still listed.
        assert!(count.is_over() && count.looked_at.into_inner() < 2400);
    }

    #[test]
    fn records_are_added_up_without_going_over() {
        let mut inventory = Inventory::new(StoreKind::Containerd, "overlayfs");
        for (text, size) in [("a", 5), ("b", 7), ("c", u64::MAX)] {
            let id = Digest::of(text.as_bytes());
            inventory.blobs.insert(DiffId(id), LayerBlob { blob: BlobId(id), size });
            let wanted = if size > 7 { u64::MAX } else { [5, 12][usize::from(size == 7)] };
            assert_eq!(recorded(&inventory), wanted);
        }
    }
}
