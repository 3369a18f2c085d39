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
//!     tmp/write-set-…/                     a layer that is being added
//!   distribution/                          what registries have, to push and pull less:
//!     diffid-by-digest/sha256/<blob>       the layer that a blob unpacks to
//!     v2metadata-by-diffid/sha256/<layer>  the layer's blobs, and their repositories
//!   .tranship/                             ours: files on their way to their names
//! <driver>/                                overlay2:
//!   <cache-id>/
//!     diff/                                the layer unpacked, in overlayfs form
//!     link  lower  committed  work/
//!   l/<link>                               short links to ../<cache-id>/diff
//! ```
//!
//! moby v28 layer/filestore.go, image/fs.go, reference/store.go,
//! daemon/graphdriver/overlay2/overlay.go

use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::format::docker::link::Link;
use crate::tree::{TreePath, TreePathBuf};

/// What the names of our own folders in `layerdb/tmp` begin with. dockerd leaves alone what is there.
pub(super) const WRITE_SET: &str = "write-set-tranship-";

/// The same of containers; no layer of ours is called so.
pub(super) const MOUNT_SET: &str = "write-set-tranship-container-";

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

    /// Returns the folder of all but the layers' files.
    pub(super) fn records(&self) -> TreePathBuf {
        self.image(&[])
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

    /// Returns the folder that the driver keeps a layer in; nothing if `cache_id` cannot be a folder's
    /// name.
    pub(super) fn folder(&self, cache_id: &str) -> Option<TreePathBuf> {
        TreePath::new(self.driver.as_bytes())?.child(cache_id.as_bytes())
    }

    /// Returns the folder of a layer's files; nothing if `cache_id` cannot be a folder's name.
    pub(super) fn files(&self, cache_id: &str) -> Option<TreePathBuf> {
        self.folder(cache_id)?.as_path().child(b"diff")
    }

    /// Returns the folder of short links to layers.
    pub(super) fn links(&self) -> TreePathBuf {
        joined(&[&self.driver, "l"])
    }

    pub(super) fn link(&self, link: Link) -> TreePathBuf {
        joined(&[&self.driver, "l", &link.to_string()])
    }

    /// Returns the folder of a layer in layerdb.
    pub(super) fn entry(&self, chain_id: ChainId) -> TreePathBuf {
        self.image(&["layerdb", "sha256", &chain_id.hex()])
    }

    /// Returns the folder of all containers.
    pub(super) fn mounts(&self) -> TreePathBuf {
        self.image(&["layerdb", "mounts"])
    }

    /// Returns a file of one container; nothing if `container` cannot be a folder's name.
    pub(super) fn mount(&self, container: &str, key: &str) -> Option<TreePathBuf> {
        let folder = self.mounts().as_path().child(container.as_bytes())?;
        folder.as_path().child(key.as_bytes())
    }

    pub(super) fn write_sets(&self) -> TreePathBuf {
        self.image(&["layerdb", "tmp"])
    }

    /// Returns where a layer of ours waits to be moved to its place in layerdb.
    pub(super) fn write_set(&self, chain_id: ChainId) -> TreePathBuf {
        self.image(&["layerdb", "tmp", &format!("{WRITE_SET}{}", chain_id.hex())])
    }

    /// Returns where the folder that `mounts` has of a container waits; `container` was checked.
    pub(super) fn mount_set(&self, container: &str) -> TreePathBuf {
        self.image(&["layerdb", "tmp", &format!("{MOUNT_SET}{container}")])
    }

    pub(super) fn metadata_folder(&self, image: ConfigId) -> TreePathBuf {
        self.image(&["imagedb", "metadata", "sha256", &image.hex()])
    }

    /// Returns the folder of the files that say what blobs unpack to.
    pub(super) fn diffs(&self) -> TreePathBuf {
        self.image(&["distribution", "diffid-by-digest", "sha256"])
    }

    /// Returns the folder of the files that say which registries have layers.
    pub(super) fn places(&self) -> TreePathBuf {
        self.image(&["distribution", "v2metadata-by-diffid", "sha256"])
    }

    /// Returns the folder that a driver keeps the folders of layers in (moby v28 daemon/graphdriver
    /// vfs/driver.go, btrfs/btrfs.go).
    pub(super) fn home(&self) -> TreePathBuf {
        match self.driver.as_str() {
            "vfs" => joined(&["vfs", "dir"]),
            "btrfs" => joined(&["btrfs", "subvolumes"]),
            driver => joined(&[driver]),
        }
    }

    /// Returns the folder of the driver.
    pub(super) fn driver_folder(&self) -> TreePathBuf {
        joined(&[&self.driver])
    }

    /// Returns the file that says what a blob of a registry unpacks to.
    pub(super) fn diff_of(&self, blob: BlobId) -> TreePathBuf {
        self.image(&["distribution", "diffid-by-digest", "sha256", &blob.hex()])
    }

    /// Returns the file that says which registries have a layer.
    pub(super) fn places_of(&self, diff_id: DiffId) -> TreePathBuf {
        self.image(&["distribution", "v2metadata-by-diffid", "sha256", &diff_id.hex()])
    }

    /// Returns a folder of our own, or what is called `name` in it.
    pub(super) fn staging(&self, name: Option<&str>) -> TreePathBuf {
        self.image(&[&[".tranship"], name.as_slice()].concat())
    }

    /// Returns the folders that a daemon makes at its first start and when it adds a layer, with their
    /// modes, each after the one that holds it.
    pub(super) fn folders(&self) -> Vec<(TreePathBuf, u16)> {
        let known: [(&[&str], u16); 9] = [
            (&[], 0o700),
            (&["layerdb"], 0o700),
            (&["layerdb", "sha256"], 0o755),
            (&["layerdb", "tmp"], 0o755),
            (&["imagedb"], 0o700),
            (&["imagedb", "content"], 0o700),
            (&["imagedb", "content", "sha256"], 0o700),
            (&["imagedb", "metadata"], 0o700),
            (&["imagedb", "metadata", "sha256"], 0o700),
        ];
        let image = (joined(&["image"]), 0o700);
        let images = known.iter().map(|(names, mode)| (self.image(names), *mode));
        let driver = [(joined(&[&self.driver]), 0o710), (self.links(), 0o700)];
        std::iter::once(image).chain(images).chain(driver).collect()
    }

    /// Returns the folders of what registries have.
    pub(super) fn distribution_folders(&self) -> Vec<(TreePathBuf, u16)> {
        let known: [(&[&str], u16); 5] = [
            (&["distribution"], 0o700),
            (&["distribution", "diffid-by-digest"], 0o755),
            (&["distribution", "diffid-by-digest", "sha256"], 0o755),
            (&["distribution", "v2metadata-by-diffid"], 0o755),
            (&["distribution", "v2metadata-by-diffid", "sha256"], 0o755),
        ];
        known.iter().map(|(names, mode)| (self.image(names), *mode)).collect()
    }
}
