//! Where the classic store keeps things in a data root.
//!
//! ```text
//! image/<driver>/
//!   repositories.json                      names → image IDs
//!   imagedb/
//!     content/sha256/<image>               the image's config, its name the digest of its bytes
//!     metadata/sha256/<image>/             only if one of these is known:
//!       parent                             the image it was built from
//!       lastUpdated                        when it was last tagged
//!   layerdb/
//!     sha256/<chain>/                      one layer, on top of others
//!       diff  size  cache-id  parent       one value each, as text
//!       tar-split.json.gz                  the layer's tar without the files' bytes
//!     mounts/<container>/                  the container's writable layer
//!       mount-id  init-id  parent
//! <driver>/                                overlay2:
//!   <cache-id>/
//!     diff/                                the layer unpacked, in overlayfs form
//!     link  lower  committed  work/
//!   l/<link>                               short links to ../<cache-id>/diff
//! ```
//!
//! moby v28 layer/filestore.go, image/fs.go, reference/store.go,
//! daemon/graphdriver/overlay2/overlay.go

use crate::digest::{ChainId, Digest};
use crate::tree::{TreePath, TreePathBuf};

/// Returns the path made of `names`; they are constants, hex digits, or names read from a folder.
fn joined(names: &[&str]) -> TreePathBuf {
    TreePathBuf::new(names.join("/").into_bytes()).unwrap_or_default()
}

/// The store of one graph driver.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    driver: String,
}

impl Layout {
    pub(super) fn new(driver: &str) -> Self {
        Self { driver: driver.to_owned() }
    }

    fn image(&self, rest: &[&str]) -> TreePathBuf {
        joined(&[&["image", self.driver.as_str()], rest].concat())
    }

    pub(super) fn repositories(&self) -> TreePathBuf {
        self.image(&["repositories.json"])
    }

    pub(super) fn contents(&self) -> TreePathBuf {
        self.image(&["imagedb", "content", "sha256"])
    }

    pub(super) fn content(&self, image: Digest) -> TreePathBuf {
        self.image(&["imagedb", "content", "sha256", &image.hex()])
    }

    pub(super) fn all_metadata(&self) -> TreePathBuf {
        self.image(&["imagedb", "metadata", "sha256"])
    }

    pub(super) fn metadata(&self, image: Digest, key: &str) -> TreePathBuf {
        self.image(&["imagedb", "metadata", "sha256", &image.hex(), key])
    }

    pub(super) fn layers(&self) -> TreePathBuf {
        self.image(&["layerdb", "sha256"])
    }

    pub(super) fn layer(&self, chain_id: ChainId, key: &str) -> TreePathBuf {
        self.image(&["layerdb", "sha256", &chain_id.hex(), key])
    }

    /// Returns the folder of a layer's files; nothing if `cache_id` cannot be a folder's name.
    pub(super) fn files(&self, cache_id: &str) -> Option<TreePathBuf> {
        let driver = TreePath::new(self.driver.as_bytes())?;
        driver.child(cache_id.as_bytes())?.as_path().child(b"diff")
    }
}
