//! How much room goes, to the block.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::store::reclaim::{Put, Waste};
use crate::tree::{Kind, Metadata, Tree, TreePathBuf, many, optional, walk};

/// What a file system gives out at least.
const BLOCK: u64 = 4096;

/// What goes frees, in bytes on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// All together.
    pub freed: u64,
    /// Of files that go under some of their names and stay under others: nothing.
    pub shared: u64,
    /// What each thing frees, in order. A file with several names counts where the last of them goes.
    pub each: Vec<u64>,
}

/// A file with several names.
struct Linked {
    names: u32,
    bytes: u64,
    of: u32,
    last: usize,
}

/// What one path takes.
#[derive(Default)]
struct Taken {
    alone: u64,
    linked: Vec<(u64, u64, u32)>,
}

impl Room {
    /// Measures what `waste` takes, and what files lose that are written anew.
    ///
    /// # Errors
    /// What the tree says.
    pub(super) fn of(tree: &dyn Tree, waste: &[Waste], puts: &[Put]) -> Result<Self> {
        let mut room = Self { each: vec![0; waste.len()], ..Self::default() };
        let mut linked: HashMap<u64, Linked> = HashMap::new();
        let (mut left, mut all) = (Vec::new(), Vec::new());
        let own: HashSet<&[u8]> =
            waste.iter().flat_map(|one| &one.paths).map(|path| path.as_path().as_bytes()).collect();
        let is_inside = |path: &&TreePathBuf| {
            let path = path.as_path();
            let mut above = std::iter::successors(path.split_last(), |(at, _)| at.split_last());
            above.any(|(folder, _)| own.contains(folder.as_bytes()))
        };
        for (n, one) in waste.iter().enumerate() {
            let paths = one.paths.iter().filter(|path| !is_inside(path));
            left.extend(paths.map(|path| (n, path.clone())));
        }
        // A path may be a whole store: the folders in it are the work of several threads.
        while let Some((n, path)) = left.pop() {
            let Some(found) = optional(tree.stat(path.as_path()))? else { continue };
            if found.kind == Kind::Dir && path.as_path().names().count() < DEEP {
                room.each[n] = room.each[n].saturating_add(found.allocated);
                let below = tree.names(path.as_path())?;
                let below = below.iter().filter_map(|name| path.as_path().child(name));
                left.extend(below.map(|path| (n, path)));
            } else {
                all.push((n, path, found));
            }
        }
        all.sort_by_key(|(n, _, _)| *n);
        let taken = many(&all, |(_, path, found)| taken(tree, path, found));
        for ((n, _, _), taken) in all.iter().zip(taken) {
            let taken = taken?;
            room.each[*n] = room.each[*n].saturating_add(taken.alone);
            for (ino, bytes, names) in taken.linked {
                let one = linked.entry(ino).or_insert(Linked { names, bytes, of: 0, last: *n });
                one.of = one.of.saturating_add(1);
                one.last = one.last.max(*n);
            }
        }
        for one in linked.values() {
            match one.of >= one.names {
                true => room.each[one.last] = room.each[one.last].saturating_add(one.bytes),
                false => room.shared = room.shared.saturating_add(one.bytes),
            }
        }
        room.freed = room.each.iter().copied().fold(0, u64::saturating_add);
        for put in puts {
            let old = tree.stat(put.path.as_path())?.allocated;
            let new = (put.bytes.len() as u64).next_multiple_of(BLOCK);
            room.freed = room.freed.saturating_add(old).saturating_sub(new);
        }
        Ok(room)
    }
}

/// Folders with fewer names in their paths hold many others.
const DEEP: usize = 3;

fn taken(tree: &dyn Tree, path: &TreePathBuf, found: &Metadata) -> Result<Taken> {
    let mut taken = Taken::default();
    taken.add(found);
    if found.kind == Kind::Dir {
        walk(tree, path.as_path(), &mut |_, entry| {
            taken.add(&entry.metadata);
            Ok(true)
        })?;
    }
    Ok(taken)
}

impl Taken {
    fn add(&mut self, found: &Metadata) {
        match found.kind != Kind::Dir && found.nlink > 1 {
            true => self.linked.push((found.ino, found.allocated, found.nlink)),
            false => self.alone = self.alone.saturating_add(found.allocated),
        }
    }
}

/// Returns a thing without paths.
pub(super) fn nothing() -> Waste {
    Waste { code: "", what: String::new(), proof: String::new(), paths: Vec::new() }
}
