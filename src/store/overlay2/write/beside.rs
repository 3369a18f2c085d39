//! A store that is yet to be: it is made whole beside, in a data root of its own, and then moved to its place.
//!
//! Docker 29 stays with a graph driver whose folder holds anything, and looks at nothing else (moby v29
//! daemon/graphdriver/driver.go scanPriorDrivers). The first layer in that folder would make it leave the store
//! that it had for one that is yet half empty. So the records are moved first, and the driver's folder last.

use std::io::ErrorKind;
use std::sync::Arc;

use super::Writer;
use crate::error::Result;
use crate::store::overlay2::DRIVER;
use crate::store::overlay2::layout::Layout;
use crate::tree::{Sink, SubSink, Tree, TreePath, TreePathBuf, optional, path};

/// A folder of our own in the data root.
const OWN: &str = "tranship";
const STAGE: &str = "tranship/classic";

/// Where a store is while it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stands {
    /// In its place.
    #[default]
    There,
    /// All beside.
    Beside,
    /// The records in their place, and the driver's folder beside: an interrupted run came so far.
    Between,
}

fn staged(inner: &TreePathBuf) -> TreePathBuf {
    path(STAGE).join(inner.as_path())
}

fn is_there(tree: &dyn Tree, at: TreePath<'_>) -> Result<bool> {
    Ok(optional(tree.stat(at))?.is_some())
}

fn is_between(tree: &dyn Tree, layout: &Layout) -> Result<bool> {
    let [files, records] = [layout.driver_folder(), layout.records()].map(|inner| staged(&inner));
    Ok(is_there(tree, files.as_path())? && !is_there(tree, records.as_path())?)
}

/// Returns whether a daemon has this data root: it may show another store than the one to be made.
fn is_in_use(tree: &dyn Tree) -> Result<bool> {
    let names = optional(tree.names(TreePath::ROOT))?.unwrap_or_default();
    let is_other =
        |name: &Vec<u8>| ![OWN, "image", DRIVER].iter().any(|own| name == own.as_bytes());
    Ok(names.iter().any(is_other))
}

impl Stands {
    pub(super) fn of(sink: &dyn Sink, layout: &Layout) -> Result<Self> {
        let tree = sink.tree();
        let has_records = is_there(tree, layout.records().as_path())?;
        if !sink.can_stage() {
            return Ok(Self::There);
        }
        if has_records && is_between(tree, layout)? {
            return Ok(Self::Between);
        }
        let files = optional(tree.names(layout.driver_folder().as_path()))?.unwrap_or_default();
        let is_new = !has_records && files.is_empty() && is_in_use(tree)?;
        Ok(if is_new { Self::Beside } else { Self::There })
    }

    /// Returns what is written to.
    pub(super) fn sink(self, root: &Arc<dyn Sink>) -> Arc<dyn Sink> {
        match self {
            Self::Beside => Arc::new(SubSink::new(Arc::clone(root), path(STAGE))),
            Self::There | Self::Between => Arc::clone(root),
        }
    }
}

/// Returns what a run that did not end left beside; nothing where a store would be only half there without it.
///
/// # Errors
/// What the tree says of folders that are there.
pub(in crate::store) fn left_beside(tree: &dyn Tree) -> Result<Option<TreePathBuf>> {
    let stage = path(STAGE);
    let is_left = is_there(tree, stage)? && !is_between(tree, &Layout::new(DRIVER))?;
    Ok(is_left.then(|| stage.to_owned()))
}

impl Writer {
    /// Makes the folder that all is made in; or ends what an interrupted run began, or removes what it left.
    pub(super) fn take_up(&self) -> Result<()> {
        let stands = self.state().stands;
        match stands {
            Stands::Beside => [OWN, STAGE].into_iter().try_for_each(|at| self.make_own(at, 0o700)),
            Stands::Between => self.settle(),
            Stands::There => self.clear_stage(),
        }
    }

    /// Moves a store that was made beside to its place, with all that is in it.
    pub(super) fn settle(&self) -> Result<()> {
        let (root, stands) = (&*self.root, self.state().stands);
        let (records, files) = (self.layout.records(), self.layout.driver_folder());
        if stands == Stands::Beside {
            root.sync()?;
            self.make_own("image", 0o700)?;
            root.rename(staged(&records).as_path(), records.as_path())?;
            root.sync()?;
        }
        if stands != Stands::There {
            // What a daemon goes by. An empty folder gives way in the same step.
            match root.rename(staged(&files).as_path(), files.as_path()) {
                Err(error) if error.io_kind() == Some(ErrorKind::DirectoryNotEmpty) => {
                    self.merge()?
                }
                moved => moved?,
            }
            root.sync()?;
            self.state().stands = Stands::There;
        }
        Ok(())
    }

    /// Moves what the driver's folder is to hold, where a daemon has begun to use that after an interrupted run.
    fn merge(&self) -> Result<()> {
        let (root, links) = (&*self.root, self.layout.links());
        for folder in [self.layout.driver_folder(), links.clone()] {
            let from = staged(&folder);
            for name in optional(root.tree().names(from.as_path()))?.unwrap_or_default() {
                let [from, to] =
                    [&from, &folder].map(|at| at.as_path().child(&name).unwrap_or_default());
                if to != links || !is_there(root.tree(), to.as_path())? {
                    root.rename(from.as_path(), to.as_path())?;
                }
            }
        }
        Ok(())
    }

    /// Removes what is of no more use beside.
    pub(super) fn clear_stage(&self) -> Result<()> {
        let root = &*self.root;
        if !root.can_stage() || !is_there(root.tree(), path(STAGE))? {
            return Ok(());
        }
        root.remove(path(STAGE))?;
        if root.tree().names(path(OWN))?.is_empty() {
            root.remove(path(OWN))?;
        }
        root.sync()
    }

    fn make_own(&self, at: &str, mode: u16) -> Result<()> {
        if is_there(self.root.tree(), path(at))? {
            return Ok(());
        }
        self.root.make_dir(path(at), mode)?;
        self.root.finish_dir(path(at), &self.attributes(mode)).map(drop)
    }
}
