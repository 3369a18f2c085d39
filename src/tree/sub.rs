//! The part of a tree below one of its folders, as a tree of its own.

use std::io::Read;
use std::sync::Arc;

use super::{Entry, Metadata, Tree, TreePath, TreePathBuf, Xattrs};
use crate::error::{Place, Result};
use crate::os::Root;

/// A folder of another tree, seen as the root.
#[derive(Clone)]
pub struct Sub {
    tree: Arc<dyn Tree>,
    root: TreePathBuf,
    origin: String,
}

impl Sub {
    /// Returns the part of `tree` below `root`.
    #[must_use]
    pub fn new(tree: Arc<dyn Tree>, root: TreePath<'_>) -> Self {
        let origin = tree.place(root).to_string();
        Self { tree, root: root.to_owned(), origin }
    }

    fn at(&self, path: TreePath<'_>) -> TreePathBuf {
        self.root.as_path().join(path)
    }
}

impl std::fmt::Debug for Sub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sub").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Tree for Sub {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.tree.stat(self.at(path).as_path())
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        self.tree.list(self.at(dir).as_path())
    }

    fn names(&self, dir: TreePath<'_>) -> Result<Vec<Vec<u8>>> {
        self.tree.names(self.at(dir).as_path())
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        self.tree.open(self.at(file).as_path())
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.tree.read_link(self.at(link).as_path())
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        self.tree.xattrs(self.at(path).as_path())
    }

    fn live<'a>(&'a self, path: TreePath<'_>) -> Option<(&'a Root, TreePathBuf)> {
        self.tree.live(self.at(path).as_path())
    }

    fn place(&self, path: TreePath<'_>) -> Place {
        self.tree.place(self.at(path).as_path())
    }
}
