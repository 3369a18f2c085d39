//! The layer that a container's changes make, as the daemon of its store makes it.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader};
use std::sync::Arc;

use crate::digest::DiffId;
use crate::error::{Result, from_io};
use crate::format::overlay::Mark;
use crate::model::StoreKind;
use crate::op::diff::{Change, Changes, Pair, Rule};
use crate::store::retar::{Keeping, Retar};
use crate::store::{Compression, Writable, blob};
use crate::tree::{Kind, Metadata, Stacked, Time, Tree, TreePath, TreePathBuf, walk};

/// What a tar has when nothing is in it: two blocks of zeros.
const EMPTY: u64 = 1024;

/// Where the tar of a layer comes from.
pub(super) enum Made {
    /// The upper folder as it is.
    Upper(Arc<dyn Tree>, TreePathBuf),
    /// What is different between the merged trees.
    Changes(Box<Stacked>, Vec<(TreePathBuf, Metadata)>),
}

/// A layer that was made, and how large its tar is.
pub(super) struct Layer {
    pub(super) made: Made,
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
}

impl Made {
    /// A graph driver gives its upper folder; where that cannot be understood alone, and always in
    /// containerd, both trees are compared (moby v28 daemon/graphdriver/overlay2/overlay.go Diff;
    /// containerd v2 plugins/diff/walking/differ.go).
    fn of(tree: &Arc<dyn Tree>, writable: &Writable, kind: StoreKind, name: &str) -> Result<Self> {
        let upper = writable.upper.as_path();
        if kind == StoreKind::Classic && !needs_lower(&**tree, upper)? {
            return Ok(Self::Upper(Arc::clone(tree), writable.upper.clone()));
        }
        let pair = Pair::of_stack(tree, &writable.stack(), name)?;
        let changes = pair.changes(Rule::Layer)?;
        let members = members(&pair.new, changes)?;
        Ok(Self::Changes(Box::new(pair.new), members))
    }

    pub(super) fn tar(&self) -> Result<Retar<'_>> {
        match self {
            Self::Upper(tree, folder) => Retar::new(&**tree, folder.as_path(), Keeping::Dockerd),
            Self::Changes(tree, all) => Ok(Retar::of(&**tree, all.clone(), Keeping::Containerd)),
        }
    }

    pub(super) fn place(&self) -> crate::error::Place {
        match self {
            Self::Upper(tree, folder) => tree.place(folder.as_path()),
            Self::Changes(tree, _) => tree.place(TreePath::ROOT),
        }
    }
}

impl Layer {
    /// Makes the layer of a container; nothing if it changed nothing. Its files are read once, to know
    /// the digest.
    pub(super) fn of(
        tree: &Arc<dyn Tree>,
        writable: &Writable,
        kind: StoreKind,
        name: &str,
    ) -> Result<Option<Self>> {
        let made = Made::of(tree, writable, kind, name)?;
        let mut size = 0;
        let mut advance = |more| -> io::Result<()> {
            size += more;
            Ok(())
        };
        let mut tar = BufReader::with_capacity(1 << 16, made.tar()?);
        let hashed = blob::compress(&mut tar, &mut io::sink(), Compression::None, &mut advance);
        drop(tar);
        let (blob, _) = hashed.map_err(|error| from_io(error, || made.place()))?;
        Ok((size > EMPTY).then_some(Self { made, diff_id: DiffId(blob.0), size }))
    }
}

fn needs_lower(tree: &dyn Tree, upper: TreePath<'_>) -> Result<bool> {
    let mut needs = false;
    walk(tree, upper, &mut |path, entry| {
        if !needs && matches!(entry.metadata.kind, Kind::File | Kind::Dir) {
            let marks = tree.xattrs(path)?;
            needs = marks.keys().filter_map(|name| Mark::of(name)).any(|(_, m)| m.needs_lower());
        }
        Ok(!needs)
    })?;
    Ok(needs)
}

/// Returns what the layer's tar has, in its order. Names that did not change are in it if the same file
/// has another that did: as links, after it.
fn members(new: &dyn Tree, changes: Changes) -> Result<Vec<(TreePathBuf, Metadata)>> {
    let mut linked: HashMap<u64, Vec<(TreePathBuf, Metadata)>> = HashMap::new();
    for one in changes.linked {
        linked.entry(one.new.ino).or_default().push((one.path, one.new));
    }
    let mut members = Members { new, all: Vec::new(), known: HashSet::new() };
    for one in changes.paths {
        match (one.change, one.new, one.old) {
            (Change::Deleted, _, Some(old)) => members.put(one.path, deleted(old))?,
            (_, Some(now), _) if now.kind != Kind::Socket => {
                members.put(one.path, now)?;
                for (path, same) in
                    linked.remove(&now.ino).filter(|_| now.nlink > 1).into_iter().flatten()
                {
                    members.put(path, same)?;
                }
            }
            _ => {}
        }
    }
    Ok(members.all)
}

struct Members<'a> {
    new: &'a dyn Tree,
    all: Vec<(TreePathBuf, Metadata)>,
    known: HashSet<TreePathBuf>,
}

impl Members<'_> {
    fn knows(&self, path: TreePath<'_>) -> bool {
        self.known.contains(&path.to_owned())
    }

    /// Puts a path behind the folders that lead to it.
    fn put(&mut self, path: TreePathBuf, metadata: Metadata) -> Result<()> {
        let mut missing = Vec::new();
        let mut folder = path.as_path().split_last().map(|(folder, _)| folder);
        while let Some(at) = folder.filter(|at| !at.is_root() && !self.knows(*at)) {
            missing.push(at.to_owned());
            folder = at.split_last().map(|(folder, _)| folder);
        }
        for folder in missing.into_iter().rev() {
            let metadata = self.new.stat(folder.as_path())?;
            self.known.insert(folder.clone());
            self.all.push((folder, metadata));
        }
        if self.known.insert(path.clone()) {
            self.all.push((path, metadata));
        }
        Ok(())
    }
}

/// Returns what stands for a deleted path: a mark that has nothing of what it was.
fn deleted(old: Metadata) -> Metadata {
    Metadata {
        kind: Kind::Char,
        mode: 0,
        uid: 0,
        gid: 0,
        size: 0,
        mtime: Time::default(),
        nlink: 1,
        rdev: (0, 0),
        ..old
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Attributes, Memory, Sink, path, write};

    fn writable(tree: Memory) -> (Arc<dyn Tree>, Writable) {
        let at = |name: &str| path(name).to_owned();
        let below = vec![at("low")];
        (Arc::new(tree), Writable { upper: at("up"), init: None, below, parent: None })
    }

    fn names(tree: &Arc<dyn Tree>, writable: &Writable, kind: StoreKind) -> Vec<String> {
        let made = Made::of(tree, writable, kind, "c").expect("sound");
        let mut tar = ::tar::Archive::new(made.tar().expect("sound"));
        let entries = tar.entries().expect("a tar").map(|entry| {
            let entry = entry.expect("a sound tar");
            let link =
                entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            link.map_or(name.clone(), |link| format!("{name} -> {link}"))
        });
        entries.collect()
    }

    #[test]
    fn a_name_that_did_not_change_comes_as_a_link_after_one_that_did() {
        let tree = Memory::new();
        for folder in ["low", "low/d", "low/s", "up", "up/d", "up/s"] {
            tree.make_dir(path(folder), 0o755).expect("new");
        }
        let old =
            Attributes { mtime: Some(Time { seconds: 5, nanos: 7 }), ..Attributes::root(0o644) };
        for file in ["low/d/old", "up/d/old"] {
            write(&tree, path(file), 0o644, b"x").expect("new");
            tree.set_attributes(path(file), &old).expect("it is there");
        }
        tree.link(path("up/d/old"), path("up/s/new")).expect("new");
        tree.link(path("up/d/old"), path("up/a")).expect("new");
        let (tree, writable) = writable(tree);
        let found = names(&tree, &writable, StoreKind::Containerd);
        assert_eq!(found, ["a", "d/", "d/old -> a", "s/", "s/new -> a"]);
        let found = names(&tree, &writable, StoreKind::Classic);
        assert_eq!(found, ["a", "d/", "d/old -> a", "s/", "s/new -> a"]);
    }

    #[test]
    fn a_moved_folder_is_told_whole() {
        let tree = Memory::new();
        for folder in ["low", "low/a", "up", "up/b"] {
            tree.make_dir(path(folder), 0o755).expect("new");
        }
        write(&tree, path("low/a/x"), 0o644, b"x").expect("new");
        let marks = [(b"trusted.overlay.redirect".to_vec(), b"a".to_vec())];
        let marks = Attributes { xattrs: marks.into(), ..Attributes::root(0o755) };
        tree.finish_dir(path("up/b"), &marks).expect("it is there");
        let whiteout = crate::tree::Special::Char(0, 0);
        tree.put(path("up/a"), &whiteout, &Attributes::root(0)).expect("new");
        let (tree, writable) = writable(tree);
        for kind in [StoreKind::Classic, StoreKind::Containerd] {
            assert_eq!(names(&tree, &writable, kind), [".wh.a", "b/", "b/x"]);
        }
    }

    #[test]
    fn what_changed_nothing_makes_no_layer() {
        let tree = Memory::new();
        for folder in ["low", "low/d", "up"] {
            tree.make_dir(path(folder), 0o755).expect("new");
        }
        let (tree, writable) = writable(tree);
        for kind in [StoreKind::Classic, StoreKind::Containerd] {
            assert!(Layer::of(&tree, &writable, kind, "c").expect("sound").is_none());
        }
    }
}
