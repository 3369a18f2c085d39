//! The part of a tree below one of its folders, as a tree of its own.

use std::io::Read;
use std::sync::Arc;

use super::{
    Attributes, Entry, FileSink, Metadata, Share, Sink, Special, Tree, TreePath, TreePathBuf,
    Xattrs,
};
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

    fn open_from(&self, file: TreePath<'_>, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.tree.open_from(self.at(file).as_path(), offset)
    }

    fn read(&self, file: TreePath<'_>, limit: u64, bytes: &mut Vec<u8>) -> Result<()> {
        self.tree.read(self.at(file).as_path(), limit, bytes)
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

/// A folder of another sink, seen as the root.
pub struct SubSink {
    sink: Arc<dyn Sink>,
    root: TreePathBuf,
    tree: View,
}

/// What is already there, seen through the same prefix.
struct View {
    sink: Arc<dyn Sink>,
    root: TreePathBuf,
    origin: String,
}

impl SubSink {
    /// Returns the part of `sink` below `root`, which is made with all folders that lead to it.
    ///
    /// # Errors
    /// What the sink says.
    pub fn make(sink: Arc<dyn Sink>, root: TreePath<'_>, mode: u16) -> Result<Self> {
        let mut made = TreePathBuf::default();
        for name in root.names() {
            made = made.as_path().child(name).unwrap_or_default();
            sink.make_dir(made.as_path(), mode)?;
        }
        Ok(Self::new(sink, root))
    }

    /// Returns the part of `sink` below `root`, which must be there before anything is written.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>, root: TreePath<'_>) -> Self {
        let origin = sink.tree().place(root).to_string();
        let tree = View { sink: Arc::clone(&sink), root: root.to_owned(), origin };
        Self { sink, root: root.to_owned(), tree }
    }

    fn at(&self, path: TreePath<'_>) -> TreePathBuf {
        self.root.as_path().join(path)
    }
}

impl std::fmt::Debug for SubSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubSink").field("root", &self.root).finish_non_exhaustive()
    }
}

impl View {
    fn at(&self, path: TreePath<'_>) -> TreePathBuf {
        self.root.as_path().join(path)
    }
}

impl Tree for View {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.sink.tree().stat(self.at(path).as_path())
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        self.sink.tree().list(self.at(dir).as_path())
    }

    fn open_from(&self, file: TreePath<'_>, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.sink.tree().open_from(self.at(file).as_path(), offset)
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        self.sink.tree().open(self.at(file).as_path())
    }

    fn read(&self, file: TreePath<'_>, limit: u64, bytes: &mut Vec<u8>) -> Result<()> {
        self.sink.tree().read(self.at(file).as_path(), limit, bytes)
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.sink.tree().read_link(self.at(link).as_path())
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        self.sink.tree().xattrs(self.at(path).as_path())
    }

    fn place(&self, path: TreePath<'_>) -> Place {
        self.sink.tree().place(self.at(path).as_path())
    }
}

impl Sink for SubSink {
    fn tree(&self) -> &dyn Tree {
        &self.tree
    }

    fn create<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<Box<dyn FileSink + 'a>> {
        self.sink.create(self.at(path).as_path(), attributes)
    }

    fn create_sized<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
        size: u64,
    ) -> Result<Box<dyn FileSink + 'a>> {
        self.sink.create_sized(self.at(path).as_path(), attributes, size)
    }

    fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()> {
        self.sink.make_dir(self.at(path).as_path(), mode)
    }

    fn finish_dir(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<u64> {
        self.sink.finish_dir(self.at(path).as_path(), attributes)
    }

    fn put(&self, path: TreePath<'_>, special: &Special, attributes: &Attributes) -> Result<u64> {
        self.sink.put(self.at(path).as_path(), special, attributes)
    }

    fn set_attributes(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<()> {
        self.sink.set_attributes(self.at(path).as_path(), attributes)
    }

    fn link(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.sink.link(self.at(from).as_path(), self.at(to).as_path())
    }

    fn share(
        &self,
        how: Share,
        tree: &dyn Tree,
        from: TreePath<'_>,
        to: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<bool> {
        self.sink.share(how, tree, from, self.at(to).as_path(), attributes)
    }

    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.sink.rename(self.at(from).as_path(), self.at(to).as_path())
    }

    fn exchange(&self, a: TreePath<'_>, b: TreePath<'_>) -> Result<()> {
        self.sink.exchange(self.at(a).as_path(), self.at(b).as_path())
    }

    fn remove(&self, path: TreePath<'_>) -> Result<()> {
        self.sink.remove(self.at(path).as_path())
    }

    fn sync(&self) -> Result<()> {
        self.sink.sync()
    }

    fn can_stage(&self) -> bool {
        self.sink.can_stage()
    }

    fn is_stream(&self) -> bool {
        self.sink.is_stream()
    }

    fn free(&self) -> Result<Option<u64>> {
        self.sink.free()
    }
}
