//! Layers stacked on one another, as overlayfs shows them.
//!
//! What decides is what the kernel does (Linux fs/overlayfs/namei.c `ovl_lookup`, readdir.c), whatever
//! made the layers. Nothing is looked up before it is asked for.

mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Entry, Kind, Metadata, Tree, TreePath, TreePathBuf, Xattrs, optional};
use crate::error::{Error, Result};
use crate::format::overlay::{Dialect, Mark, Opaque};
use crate::os;

/// How many folders are remembered. What is forgotten is looked up again.
const MOST_FOLDERS: usize = 1 << 16;

/// Layers as one tree: whiteouts and opaque folders hide, folders merge, moved folders and files without
/// bytes of their own (`redirect`, `metacopy`) are put together, and no mark of overlayfs shows.
///
/// Hard links are known within a layer. A copy of a tree like this must not link to its files, which
/// belong to the layers: [`Snapshots::Copy`](super::Snapshots::Copy).
pub struct Stacked {
    layers: Vec<Layer>,
    origin: String,
    folders: Mutex<HashMap<TreePathBuf, Arc<Folder>>>,
    /// Inodes whose number leaves no room for that of their layer.
    numbers: Mutex<HashMap<(usize, u64), u64>>,
}

struct Layer {
    tree: Arc<dyn Tree>,
    root: TreePathBuf,
}

/// A folder of the merged tree: those that it is made of, the topmost first.
#[derive(Debug)]
struct Folder(Vec<Part>);

/// Something in one layer.
#[derive(Clone, Debug)]
struct Part {
    layer: usize,
    /// Where it is in the layer's tree.
    path: TreePathBuf,
    /// A folder in which files can be marked as whiteouts.
    has_marked_whiteouts: bool,
}

impl Stacked {
    /// Returns the merged tree of `layers`, the topmost first: each is a folder of a tree.
    #[must_use]
    pub fn new(layers: Vec<(Arc<dyn Tree>, TreePathBuf)>) -> Self {
        let origin = layers.first().map(|(tree, root)| tree.place(root.as_path()).to_string());
        Self {
            layers: layers.into_iter().map(|(tree, root)| Layer { tree, root }).collect(),
            origin: format!("merged {}", origin.as_deref().unwrap_or("layers")),
            folders: Mutex::default(),
            numbers: Mutex::default(),
        }
    }

    /// Returns the tree with another name for messages.
    #[must_use]
    pub fn called(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    fn tree(&self, part: &Part) -> &dyn Tree {
        &*self.layers[part.layer].tree
    }

    fn io_error(&self, path: TreePath<'_>, kind: io::ErrorKind) -> Error {
        match kind {
            io::ErrorKind::NotFound => Error::missing(self.place(path), "no such file or folder"),
            kind => Error::io(self.place(path), kind.into()),
        }
    }

    /// Returns the root: every layer has a part in it, whatever marks it has.
    fn root(&self) -> Result<Arc<Folder>> {
        let remembered = self.remembered(TreePath::ROOT);
        if let Some(root) = remembered {
            return Ok(root);
        }
        let mut parts = Vec::with_capacity(self.layers.len());
        for (number, layer) in self.layers.iter().enumerate() {
            let root = layer.root.as_path();
            if layer.tree.stat(root)?.kind != Kind::Dir {
                return Err(Error::corrupt(layer.tree.place(root), "a layer that is no folder"));
            }
            let mut part =
                Part { layer: number, path: layer.root.clone(), has_marked_whiteouts: false };
            part.has_marked_whiteouts = self.marks(&part)?.opaque == Some(Opaque::XattrWhiteouts);
            parts.push(part);
        }
        Ok(self.remember(TreePath::ROOT, parts))
    }

    fn remembered(&self, path: TreePath<'_>) -> Option<Arc<Folder>> {
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.get(&path.to_owned()).cloned()
    }

    fn remember(&self, path: TreePath<'_>, parts: Vec<Part>) -> Arc<Folder> {
        let folder = Arc::new(Folder(parts));
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= MOST_FOLDERS {
            folders.clear();
        }
        folders.insert(path.to_owned(), Arc::clone(&folder));
        folder
    }

    /// Returns the folder at `path`, found from the nearest one that is remembered.
    fn folder(&self, path: TreePath<'_>) -> Result<Arc<Folder>> {
        let mut names = Vec::new();
        let mut above = path;
        let mut folder = loop {
            match above.split_last() {
                None => break self.root()?,
                Some((parent, name)) => match self.remembered(above) {
                    Some(folder) => break folder,
                    None => {
                        names.push(name);
                        above = parent;
                    }
                },
            }
        };
        let mut here = above.to_owned();
        for name in names.into_iter().rev() {
            let Some(below) = here.as_path().child(name) else {
                return Err(self.io_error(path, io::ErrorKind::NotFound));
            };
            here = below;
            let found = self.search(&folder, name)?;
            if found.parts.is_empty() {
                return Err(self.io_error(path, io::ErrorKind::NotFound));
            }
            if !found.is_dir {
                return Err(self.io_error(path, io::ErrorKind::NotADirectory));
            }
            folder = self.remember(here.as_path(), found.parts);
        }
        Ok(folder)
    }

    /// Returns what `path` shows, in the topmost layer that has something there; nothing for the root of
    /// no layers at all.
    fn top(&self, path: TreePath<'_>) -> Result<Option<(Part, Metadata)>> {
        let Some((parent, name)) = path.split_last() else {
            let Some(part) = self.root()?.0.first().cloned() else { return Ok(None) };
            let metadata = self.tree(&part).stat(part.path.as_path())?;
            return Ok(Some((part, metadata)));
        };
        let folder = self.folder(parent)?;
        for part in &folder.0 {
            if let Some((found, metadata)) = self.inside(part, name)? {
                if self.is_whiteout(part, &found, &metadata)? {
                    break;
                }
                return Ok(Some((found, metadata)));
            }
        }
        Err(self.io_error(path, io::ErrorKind::NotFound))
    }

    /// Returns what is called `name` in one layer's folder, whatever it means.
    fn inside(&self, folder: &Part, name: &[u8]) -> Result<Option<(Part, Metadata)>> {
        let tree = self.tree(folder);
        let Some(path) = folder.path.as_path().child(name) else {
            let what = "a name that is not a name";
            return Err(Error::corrupt(tree.place(folder.path.as_path()), what));
        };
        let metadata = optional(tree.stat(path.as_path()))?;
        let part = Part { layer: folder.layer, path, has_marked_whiteouts: false };
        Ok(metadata.map(|metadata| (part, metadata)))
    }

    fn is_whiteout(&self, folder: &Part, found: &Part, metadata: &Metadata) -> Result<bool> {
        let can_be_marked =
            folder.has_marked_whiteouts && metadata.kind == Kind::File && metadata.size == 0;
        Ok(metadata.is_whiteout() || (can_be_marked && self.marks(found)?.is_whiteout))
    }

    /// Returns the metadata as the merged tree has it.
    fn shown(&self, layer: usize, metadata: Metadata) -> Metadata {
        Metadata { ino: self.number(layer, metadata.ino), ..metadata }
    }

    /// Returns a number that this inode of this layer alone has.
    fn number(&self, layer: usize, ino: u64) -> u64 {
        const BITS: u32 = 48;
        if ino >> BITS == 0 && layer >> (63 - BITS) == 0 {
            return (layer as u64) << BITS | ino;
        }
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = 1 << 63 | numbers.len() as u64;
        *numbers.entry((layer, ino)).or_insert(next)
    }

    fn marks(&self, part: &Part) -> Result<Marks> {
        self.tree(part).xattrs(part.path.as_path()).map(Marks::of)
    }
}

/// The marks on one thing that say what it means.
#[derive(Debug, Default)]
struct Marks {
    opaque: Option<Opaque>,
    redirect: Option<Vec<u8>>,
    is_metacopy: bool,
    is_whiteout: bool,
}

impl Marks {
    fn of(xattrs: Xattrs) -> Self {
        let mut marks = Self::default();
        for (name, value) in xattrs {
            match Mark::of(&name) {
                Some((_, Mark::Opaque)) => marks.opaque = Opaque::of(&value).or(marks.opaque),
                Some((_, Mark::Redirect)) => marks.redirect = Some(value),
                Some((_, Mark::Metacopy)) => marks.is_metacopy = true,
                Some((_, Mark::Whiteout)) => marks.is_whiteout = true,
                _ => {}
            }
        }
        marks
    }
}

impl std::fmt::Debug for Stacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stacked").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Tree for Stacked {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        let found = self.top(path)?;
        Ok(found.map_or(EMPTY_ROOT, |(part, metadata)| self.shown(part.layer, metadata)))
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        let mut names: BTreeMap<Vec<u8>, Option<Metadata>> = BTreeMap::new();
        for part in &self.folder(dir)?.0 {
            for entry in self.tree(part).list(part.path.as_path())? {
                if names.contains_key(&entry.name) {
                    continue;
                }
                let Some(path) = part.path.as_path().child(&entry.name) else {
                    let place = self.tree(part).place(part.path.as_path());
                    return Err(Error::corrupt(place, "a name that is not a name"));
                };
                let found = Part { path, ..*part };
                let is_gone = self.is_whiteout(part, &found, &entry.metadata)?;
                let shown = (!is_gone).then(|| self.shown(part.layer, entry.metadata));
                names.insert(entry.name, shown);
            }
        }
        let shown = |(name, metadata): (_, Option<_>)| Some(Entry { name, metadata: metadata? });
        Ok(names.into_iter().filter_map(shown).collect())
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        let bytes = self.bytes(file)?;
        self.layers[bytes.layer].tree.open(bytes.path.as_path())
    }

    fn read(&self, file: TreePath<'_>, limit: u64, bytes: &mut Vec<u8>) -> Result<()> {
        let part = self.bytes(file)?;
        self.tree(&part).read(part.path.as_path(), limit, bytes)
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        match self.top(link)? {
            Some((part, _)) => self.tree(&part).read_link(part.path.as_path()),
            None => Err(self.io_error(link, io::ErrorKind::InvalidInput)),
        }
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        let Some((part, _)) = self.top(path)? else { return Ok(Xattrs::new()) };
        let xattrs = self.tree(&part).xattrs(part.path.as_path())?;
        Ok(xattrs
            .into_iter()
            .filter_map(|(name, value)| Some((shown_name(name)?, value)))
            .collect())
    }

    fn live<'a>(&'a self, path: TreePath<'_>) -> Option<(&'a os::Root, TreePathBuf)> {
        let bytes = self.bytes(path).ok()?;
        self.layers[bytes.layer].tree.live(bytes.path.as_path())
    }
}

/// The root where there is no layer.
const EMPTY_ROOT: Metadata = Metadata {
    kind: Kind::Dir,
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    allocated: 0,
    mtime: super::Time { seconds: 0, nanos: 0 },
    ino: 0,
    nlink: 1,
    rdev: (0, 0),
};

/// Returns the name of an extended attribute as a mount shows it: none for overlayfs' own, and without
/// the escape for what is another overlayfs' inside (Linux 6.7 fs/overlayfs/xattrs.c).
fn shown_name(name: Vec<u8>) -> Option<Vec<u8>> {
    for dialect in Dialect::ALL {
        if let Some(own) = name.strip_prefix(dialect.prefix()) {
            let escaped = own.strip_prefix(b"overlay.")?;
            return Some([dialect.prefix(), escaped].concat());
        }
    }
    Some(name)
}
