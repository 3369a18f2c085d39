//! What is stacked to make a file system: the folders of an image's layers, and those of a container on
//! them. Each is a folder of the store's tree in overlayfs form.

use crate::digest::ChainId;
use crate::tree::TreePathBuf;

/// What a store keeps of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writable {
    /// What the container itself changed.
    pub upper: TreePathBuf,
    /// What its daemon put there first: `/dev`, `/etc/hosts` and the like. Docker 24 made none in a
    /// containerd store.
    pub init: Option<TreePathBuf>,
    /// The layers of its image, the topmost first.
    pub below: Vec<TreePathBuf>,
    /// The topmost of those; nothing for a container of an empty image.
    pub parent: Option<ChainId>,
}

impl Writable {
    /// Returns all folders, the topmost first: what overlayfs takes as its layers.
    #[must_use]
    pub fn stack(&self) -> Vec<TreePathBuf> {
        let own = std::iter::once(&self.upper).chain(&self.init);
        own.chain(&self.below).cloned().collect()
    }
}
