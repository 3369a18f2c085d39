//! Where a member's data can be found once the whole tar is unpacked.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

use crate::format::tar::{Kind, Member};

/// Paths whose data is not to be looked for in files, because unpacking does not leave it there: each
/// path stands for all below it.
///
/// Kept as hashes: two paths that hash alike cost space, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Apart {
    everything: bool,
    paths: HashSet<u64>,
}

impl Apart {
    /// Returns the set of all paths: all data goes into segments, and no file is ever needed.
    #[must_use]
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Returns whether no path is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.paths.is_empty()
    }

    /// Adds all paths of `other`.
    pub fn extend(&mut self, other: Self) {
        self.everything |= other.everything;
        self.paths.extend(other.paths);
    }

    fn covers(&self, path: &[u64]) -> bool {
        self.everything || path.iter().any(|hash| self.paths.contains(hash))
    }
}

/// What becomes of a member.
pub(super) struct Placed {
    /// It gets an entry; every name only once, or Docker refuses the whole.
    pub(super) named: bool,
    /// Its data is in a file.
    pub(super) in_file: bool,
}

/// A path has an entry.
const ENTRY: u8 = 1;
/// A path's data is looked for in a file.
const CONTENT: u8 = 2;
/// That is so for something below the path.
const BELOW: u8 = 4;

/// Knows what was at a path before.
pub(super) struct Paths<'a> {
    seen: HashMap<u64, u8>,
    replaced: Apart,
    apart: &'a Apart,
}

impl<'a> Paths<'a> {
    pub(super) fn new(apart: &'a Apart) -> Self {
        Self { seen: HashMap::new(), replaced: Apart::default(), apart }
    }

    /// Returns the paths whose data did not stay.
    pub(super) fn replaced(self) -> Apart {
        self.replaced
    }

    pub(super) fn place(&mut self, member: &Member<'_>) -> Placed {
        let path = Hashed::new(&member.path);
        let own = path.own();
        let was = self.seen.get(&own).copied().unwrap_or(0);
        if member.kind != Kind::Global {
            let keeps = if member.kind == Kind::Dir { BELOW } else { 0 };
            self.replace(own, was & !keeps);
            if let Some(deleted) = path.deleted {
                self.replace(deleted, self.seen.get(&deleted).copied().unwrap_or(0));
            }
        }
        let named = was & ENTRY == 0;
        let in_file = named
            && member.kind == Kind::File
            && member.sparse.is_none()
            && member.stored > 0
            && path.is_plain
            && !self.apart.covers(&path.hashes);
        let content = if in_file { CONTENT } else { 0 };
        self.seen.insert(own, was | ENTRY | content);
        if in_file {
            self.mark_above(&path);
        }
        Placed { named, in_file }
    }

    /// Notes what unpacking something new at `target` takes away.
    fn replace(&mut self, target: u64, was: u8) {
        if was & (CONTENT | BELOW) != 0 {
            self.replaced.paths.insert(target);
        }
    }

    fn mark_above(&mut self, path: &Hashed) {
        let above = path.hashes.split_last().map_or(&[][..], |(_, above)| above);
        for hash in above.iter().rev() {
            let flags = self.seen.entry(*hash).or_insert(0);
            if *flags & BELOW != 0 {
                break;
            }
            *flags |= BELOW;
        }
    }
}

/// A cleaned path as hashes of itself and of every folder above it.
struct Hashed {
    /// Outermost first; the path's own is the last, and there is none for the root.
    hashes: Vec<u64>,
    /// What a whiteout by this name deletes.
    deleted: Option<u64>,
    /// Unpacking puts a regular file of this path where the path says.
    is_plain: bool,
}

impl Hashed {
    /// Cleans as Go's `filepath.Clean` does, below the root.
    fn new(path: &[u8]) -> Self {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut is_plain = true;
        for name in path.split(|b| *b == b'/') {
            match name {
                b"" | b"." => {}
                b".." => is_plain &= names.pop().is_some(),
                name => names.push(name),
            }
        }
        let (mut hasher, mut hashes, mut deleted) = (DefaultHasher::new(), Vec::new(), None);
        for name in names {
            deleted = None;
            if let Some(rest) = name.strip_prefix(b".wh.") {
                is_plain = false;
                if !rest.starts_with(b".wh.") {
                    deleted = Some(below(&hasher, rest).finish());
                }
            }
            hasher = below(&hasher, name);
            hashes.push(hasher.finish());
        }
        is_plain &= !hashes.is_empty();
        Self { hashes, deleted, is_plain }
    }

    fn own(&self) -> u64 {
        self.hashes.last().copied().unwrap_or_default()
    }
}

fn below(folder: &DefaultHasher, name: &[u8]) -> DefaultHasher {
    let mut hasher = folder.clone();
    hasher.write(name);
    hasher.write_u8(b'/');
    hasher
}
