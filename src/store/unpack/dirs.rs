//! The folders of a layer, until all that is in them is there.

use std::collections::BTreeMap;
use std::mem::size_of;

use crate::tree::{Attributes, TreePath};

/// What may be kept of all folders of one layer: more than a million of them.
const LIMIT: usize = 256 << 20;

/// A folder and what it is to have in the end.
#[derive(Clone, Debug)]
pub(super) struct Dir {
    pub(super) attributes: Attributes,
    /// The tar has things in it and says nothing of itself.
    pub(super) is_implied: bool,
}

/// Every folder by its path in the layer, links followed; the layer's own is there from the start.
#[derive(Debug)]
pub(super) struct Dirs {
    dirs: BTreeMap<Vec<u8>, Dir>,
    held: usize,
}

impl Dirs {
    pub(super) fn new() -> Self {
        // Neither daemon gives the layer's own folder what the tar says of it.
        let root = Dir { attributes: Attributes::root(0o755), is_implied: true };
        Self { dirs: [(Vec::new(), root)].into(), held: 0 }
    }

    pub(super) fn contains(&self, path: TreePath<'_>) -> bool {
        self.dirs.contains_key(path.as_bytes())
    }

    pub(super) fn get_mut(&mut self, path: TreePath<'_>) -> Option<&mut Dir> {
        self.dirs.get_mut(path.as_bytes())
    }

    /// Adds a folder, or gives one that is there other attributes; extended ones stay. Returns `false`
    /// if that is more than can be kept.
    pub(super) fn put(&mut self, path: TreePath<'_>, mut dir: Dir) -> bool {
        if let Some(before) = self.remove_one(path.as_bytes()) {
            let mut xattrs = before.attributes.xattrs;
            xattrs.append(&mut dir.attributes.xattrs);
            dir.attributes.xattrs = xattrs;
        }
        self.held = self.held.saturating_add(weight(path.as_bytes(), &dir));
        self.dirs.insert(path.as_bytes().to_vec(), dir);
        self.held <= LIMIT
    }

    /// Forgets `path` and all below it.
    pub(super) fn remove(&mut self, path: TreePath<'_>) {
        let below: Vec<_> = self.below(path).map(|(path, _)| path.as_bytes().to_vec()).collect();
        for path in below.iter().map(Vec::as_slice).chain([path.as_bytes()]) {
            self.remove_one(path);
        }
    }

    fn remove_one(&mut self, path: &[u8]) -> Option<Dir> {
        let dir = self.dirs.remove(path)?;
        self.held = self.held.saturating_sub(weight(path, &dir));
        Some(dir)
    }

    /// Returns the folders below `path`, each before those in it.
    pub(super) fn below(&self, path: TreePath<'_>) -> impl Iterator<Item = (TreePath<'_>, &Dir)> {
        let first = if path.is_root() { Vec::new() } else { [path.as_bytes(), b"/"].concat() };
        let inside = first.clone();
        let here = self.dirs.range(first..).take_while(move |(path, _)| path.starts_with(&inside));
        here.filter_map(|(path, dir)| Some((TreePath::new(path)?, dir)))
            .filter(move |(found, _)| *found != path)
    }

    /// Returns all folders, each after those in it.
    pub(super) fn inside_out(&self) -> impl Iterator<Item = (TreePath<'_>, &Dir)> {
        self.dirs.iter().rev().filter_map(|(path, dir)| Some((TreePath::new(path)?, dir)))
    }
}

fn weight(path: &[u8], dir: &Dir) -> usize {
    let xattrs = dir.attributes.xattrs.iter();
    let xattrs = xattrs.map(|(key, value)| key.len() + value.len() + 2 * size_of::<Vec<u8>>());
    path.len() + size_of::<Vec<u8>>() + size_of::<Dir>() + xattrs.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::path;

    fn dir(mode: u16, xattrs: &[&str]) -> Dir {
        let xattrs = xattrs.iter().map(|key| (key.as_bytes().to_vec(), b"v".to_vec())).collect();
        Dir { attributes: Attributes { xattrs, ..Attributes::root(mode) }, is_implied: false }
    }

    #[test]
    fn a_folder_goes_with_all_below_it_and_nothing_beside_it() {
        let mut dirs = Dirs::new();
        for name in ["a", "a/b", "a/b/c", "a.b", "ab"] {
            assert!(dirs.put(path(name), dir(0o700, &[])));
        }
        let below: Vec<_> = dirs.below(path("a")).map(|(path, _)| path).collect();
        assert_eq!(below, [path("a/b"), path("a/b/c")]);
        let order: Vec<_> = dirs.inside_out().map(|(path, _)| path.to_string()).collect();
        assert_eq!(order, ["ab", "a/b/c", "a/b", "a.b", "a", ""]);
        dirs.remove(path("a"));
        assert_eq!(dirs.dirs.len(), 3);
        dirs.remove(TreePath::ROOT);
        assert_eq!((dirs.dirs.len(), dirs.held), (0, 0));
    }

    #[test]
    fn what_is_said_later_counts_and_extended_attributes_add_up() {
        let mut dirs = Dirs::new();
        dirs.put(path("a"), dir(0o700, &["user.a", "user.b"]));
        dirs.put(path("a"), dir(0o755, &["user.b", "user.c"]));
        let found = dirs.get_mut(path("a")).expect("it was put");
        let wanted = dir(0o755, &["user.a", "user.b", "user.c"]);
        assert_eq!(found.attributes, wanted.attributes);
        let mut large = dir(0o755, &[]);
        large.attributes.xattrs.insert(b"user.x".to_vec(), vec![0; LIMIT]);
        assert!(!dirs.put(path("b"), large), "there is a limit");
    }
}
