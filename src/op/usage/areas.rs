//! Which folders are counted: data roots, and roots of containerd outside of them, each once.

use std::sync::Arc;

use crate::op::host::{Host, Seen};
use crate::tree::{Tree, TreePath, TreePathBuf};

/// A tree and the folders of it that are counted.
pub(super) struct Area {
    pub(super) tree: Arc<dyn Tree>,
    pub(super) starts: Vec<TreePathBuf>,
    /// Trees with the same number have their files on one file system, so that a number of a file means the
    /// same in both.
    pub(super) space: usize,
}

/// Returns what is counted: the host's own tree first.
pub(super) fn areas(host: &Host) -> Vec<Area> {
    let mut own = Area { tree: Arc::clone(&host.tree), starts: Vec::new(), space: 0 };
    host.roots.iter().for_each(|root| own.add(&root.path));
    let mut areas = vec![own];
    for seen in host.roots.iter().flat_map(|root| &root.stores) {
        match &seen.here.inside {
            Some(inside) => areas[0].add(inside),
            None if place(&areas, seen).is_none() => {
                let tree = Arc::clone(&seen.here.tree);
                let shares = areas.iter().find(|area| share_device(&*area.tree, &*tree));
                let space = shares.map_or(areas.len(), |area| area.space);
                areas.push(Area { tree, starts: vec![TreePathBuf::default()], space });
            }
            None => {}
        }
    }
    areas
}

/// Returns where the tree of a store is among the areas, and where in that tree its root.
pub(super) fn place(areas: &[Area], seen: &Seen) -> Option<(usize, TreePathBuf)> {
    if let Some(inside) = &seen.here.inside {
        return Some((0, inside.clone()));
    }
    let is_it = |area: &Area| area.tree.origin() == seen.here.tree.origin();
    let found = areas.iter().skip(1).position(is_it)?;
    Some((found + 1, TreePathBuf::default()))
}

fn share_device(a: &dyn Tree, b: &dyn Tree) -> bool {
    match (a.live(TreePath::ROOT), b.live(TreePath::ROOT)) {
        (Some((a, _)), Some((b, _))) => a.shares_device(b),
        _ => false,
    }
}

impl Area {
    /// Adds a folder, unless it is in one that is counted.
    fn add(&mut self, folder: &TreePathBuf) {
        let is_in = |outer: &TreePathBuf, inner: &TreePathBuf| {
            inner.as_path().below(outer.as_path()).is_some()
        };
        if !self.starts.iter().any(|known| is_in(known, folder)) {
            self.starts.retain(|known| !is_in(folder, known));
            self.starts.push(folder.clone());
        }
    }
}
