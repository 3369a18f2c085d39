//! What Docker's builder keeps in the classic store beside images: its cache.
//!
//! moby v28.5 builder/builder-next/adapters/snapshot/snapshot.go

use std::collections::HashSet;

use crate::digest::ChainId;
use crate::format::bbolt::{self, Db, Node};
use crate::tree::{self, Tree, optional, path};

/// What the build cache counts on.
#[derive(Default)]
pub(super) struct Builds {
    /// Folders of the driver.
    pub(super) folders: HashSet<Vec<u8>>,
    /// Layers of layerdb.
    pub(super) chains: HashSet<ChainId>,
}

/// Returns what the build cache counts on; nothing if its database cannot be read, which is told where
/// databases are checked.
pub(super) fn read(tree: &dyn Tree) -> Option<Builds> {
    let Some(bytes) = optional(tree::read(tree, path("buildkit/snapshots.db"))).ok()? else {
        return Some(Builds::default());
    };
    let mut builds = Builds::default();
    for (key, node) in bbolt::load(&Db::open(&bytes).ok()?).ok()?.iter() {
        let Node::Bucket(snapshot) = node else { continue };
        builds.folders.insert(key.to_vec());
        builds.folders.extend(snapshot.get(b"committed").map(<[u8]>::to_vec));
        let text = snapshot.get(b"chainid").and_then(|text| std::str::from_utf8(text).ok());
        builds.chains.extend(text.and_then(|text| text.parse::<ChainId>().ok()));
    }
    Some(builds)
}

impl Builds {
    /// Returns whether the cache has a folder of the driver, or one that was made below it.
    pub(super) fn has(&self, folder: &[u8]) -> bool {
        let plain = folder.strip_suffix(b"-init").unwrap_or(folder);
        self.folders.contains(folder) || self.folders.contains(plain)
    }
}
