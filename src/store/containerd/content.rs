//! Layers taken out of a containerd root.

use std::io::BufRead;

use super::layout;
use crate::digest::{BlobId, DiffId};
use crate::error::{Error, Result, from_io};
use crate::format::tar;
use crate::store::packed::Packed;
use crate::store::put::{Metered, drain};
use crate::store::unpack::{Compare, Differences, Rules, folder_below};
use crate::store::{LayerContent, Progress};
use crate::tree::{Tree, TreePath, TreePathBuf};

/// Where one layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayerAt {
    pub(super) diff_id: DiffId,
    /// A blob with its tar, as a manifest says that was read.
    pub(super) blob: Option<BlobId>,
    /// The folder of the snapshotter with its files.
    pub(super) folder: Option<u64>,
}

/// One layer of a containerd root.
pub(super) struct Content<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) snapshotter: &'a str,
    pub(super) at: &'a LayerAt,
    /// The files of the layers that it was unpacked on, the nearest first.
    pub(super) below: Vec<TreePathBuf>,
}

impl LayerContent for Content<'_> {
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>> {
        let Some(blob) = self.at.blob else {
            let place = self.tree.place(layout::blobs().as_path());
            let what = format!("no blob of layer {} is here", self.at.diff_id);
            return Err(Error::missing(place, what).hint(
                "the image runs from its unpacked layers, and cannot leave this store; pull it \
                 again to have the blob back",
            ));
        };
        let (path, blob, diff_id) = (layout::blob(blob), Some(blob), self.at.diff_id);
        Packed { tree: self.tree, path, blob, diff_id }.tar()
    }

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        let files = layout::Snapshotter::new(self.snapshotter).files(self.at.folder?);
        Some((self.tree, files))
    }

    fn compare(&self, planned: u64, progress: &dyn Progress) -> Result<Differences> {
        let tar = self.tar()?;
        // Folders that are gone are found without the tar.
        let files = self.files().filter(|(tree, files)| tree.stat(files.as_path()).is_ok());
        let Some((tree, files)) = files else {
            return drain(tar, planned, progress).map(|()| Differences::default());
        };
        let below = |folder: TreePath<'_>| {
            let below = self.below.iter().map(|files| Ok((self.tree, files.clone())));
            folder_below(below, folder)
        };
        let rules = match self.below.is_empty() {
            true => Rules::containerd_base(),
            false => Rules::containerd(&below),
        };
        let mut compare = Compare::new(tree, files.as_path(), rules);
        tar::watch(Metered::new(tar, planned, progress), &mut compare)
            .map_err(|error| from_io(error, || tree.place(files.as_path())))?;
        compare.finish()
    }
}
