//! A tree as one can have it who may not give files to others.

use std::io::Read;

use crate::error::{Error, Result};
use crate::os::Root;
use crate::store::Progress;
use crate::tree::{Entry, Metadata, Tree, TreePath, TreePathBuf, Xattrs};

/// Set-user-ID and set-group-ID: on a file of another owner they say something else.
const SET_ID: u16 = 0o6000;

/// A tree on its way out: it belongs to `owner` if there is one, and ends when it is told to.
pub(super) struct StandIn<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) progress: &'a dyn Progress,
}

impl StandIn<'_> {
    fn shown(&self, metadata: Metadata) -> Metadata {
        match self.owner {
            None => metadata,
            Some((uid, gid)) => Metadata { uid, gid, mode: metadata.mode & !SET_ID, ..metadata },
        }
    }

    fn go_on(&self) -> Result<()> {
        match self.progress.cancelled() {
            true => Err(Error::refused("interrupted")),
            false => Ok(()),
        }
    }
}

impl Tree for StandIn<'_> {
    fn origin(&self) -> &str {
        self.tree.origin()
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.tree.stat(path).map(|metadata| self.shown(metadata))
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        self.go_on()?;
        let shown = |entry: Entry| Entry { metadata: self.shown(entry.metadata), ..entry };
        Ok(self.tree.list(dir)?.into_iter().map(shown).collect())
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        self.go_on()?;
        self.tree.open(file)
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.tree.read_link(link)
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        self.tree.xattrs(path)
    }

    fn live<'a>(&'a self, path: TreePath<'_>) -> Option<(&'a Root, TreePathBuf)> {
        self.tree.live(path)
    }
}
