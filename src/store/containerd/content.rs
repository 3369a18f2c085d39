//! Layers taken out of a containerd root.

use std::io::BufRead;

use super::layout;
use crate::digest::{BlobId, DiffId};
use crate::error::{Error, Result};
use crate::store::LayerContent;
use crate::store::packed::Packed;
use crate::tree::{Tree, TreePathBuf};

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
}
