//! What the image builder keeps in a data root besides its layers.
//!
//! ```text
//! buildkit/
//!   snapshots.db                the classic store's: a folder of the driver for each key
//!   containerdmeta.db  content/  metadata_v2.db  history.db
//!   containerd-<snapshotter>/   the containerd store's
//!   history_c8d.db
//!   cache.db                    what both remember of results
//! ```
//!
//! moby v28 builder/builder-next/controller.go, adapters/snapshot/snapshot.go

use std::collections::BTreeSet;

use super::manifests::document;
use super::reclaim::Waste;
use crate::digest::BlobId;
use crate::error::Result;
use crate::format::bbolt::{self, Db, Node, OwnedBucket};
use crate::format::docker::build::{self, Build};
use crate::model::StoreKind;
use crate::tree::{Tree, TreePathBuf, optional, path, read_within};

const FOLDER: &str = "buildkit";
const SNAPSHOTS: &str = "buildkit/snapshots.db";
const HISTORY: [&str; 2] = ["buildkit/history.db", "buildkit/history_c8d.db"];
const BLOBS: &str = "buildkit/content/blobs/sha256";
const SHARED: &str = "cache.db";
const CONTAINERD: &[u8] = b"containerd-";

/// Files of the classic store's builder alone.
const CLASSIC: [&str; 6] =
    ["snapshots.db", "containerdmeta.db", "metadata_v2.db", "metadata.db", "history.db", "content"];

/// Larger than any that a builder makes in years.
const LIMIT: u64 = 4 << 30;

/// What the classic store's builder mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Builds {
    mentioned: BTreeSet<Vec<u8>>,
    /// What is wrong with its records: then anything may be mentioned in them.
    pub unreadable: Option<String>,
}

impl Builds {
    /// Reads what the builder of the data root `tree` mentions.
    #[must_use]
    pub fn read(tree: &dyn Tree) -> Self {
        match read(tree) {
            Ok(mentioned) => Self { mentioned, unreadable: None },
            Err(error) => Self { unreadable: Some(error.to_string()), ..Self::default() },
        }
    }

    /// Returns whether a folder of the driver, or a chain of layers, is mentioned.
    #[must_use]
    pub fn mention(&self, name: &str) -> bool {
        self.mentioned.contains(name.as_bytes())
    }
}

/// Every key and value counts: a snapshot is called by its key, by the key it was committed under, by
/// its parent's, and by a chain ID.
fn read(tree: &dyn Tree) -> Result<BTreeSet<Vec<u8>>> {
    let mut mentioned = BTreeSet::new();
    let file = path(SNAPSHOTS);
    let Some(bytes) = optional(read_within(tree, file, LIMIT))? else { return Ok(mentioned) };
    let db = Db::open(&bytes).and_then(|db| bbolt::load(&db));
    add(&db.map_err(|error| error.at(tree.place(file)))?, &mut mentioned);
    Ok(mentioned)
}

fn add(bucket: &OwnedBucket<'_>, mentioned: &mut BTreeSet<Vec<u8>>) {
    for (key, node) in bucket.iter() {
        mentioned.insert(key.to_vec());
        match node {
            Node::Value(value) => _ = mentioned.insert(value.to_vec()),
            Node::Bucket(child) => add(child, mentioned),
        }
    }
}

/// Returns what the builder that works on a store of `kind` keeps of its own in the data root `tree`, to
/// go with the store.
///
/// # Errors
/// What the tree says of a folder that is there.
pub fn waste(tree: &dyn Tree, kind: StoreKind) -> Result<Option<Waste>> {
    let paths = files(tree, kind)?;
    let what = "what the image builder keeps beside its layers".to_owned();
    let proof = "asked for by `--build-cache`".to_owned();
    Ok((!paths.is_empty()).then_some(Waste { code: "build-cache", what, proof, paths }))
}

/// Returns what the builder that works on a store of `kind` keeps of its own in the data root `tree`.
///
/// # Errors
/// What the tree says of a folder that is there.
fn files(tree: &dyn Tree, kind: StoreKind) -> Result<Vec<TreePathBuf>> {
    let names = optional(tree.names(path(FOLDER)))?.unwrap_or_default();
    let of_containerd = |name: &[u8]| name.starts_with(CONTAINERD) || name == b"history_c8d.db";
    let of_classic = |name: &[u8]| CLASSIC.iter().any(|known| known.as_bytes() == name);
    let is_classic = kind == StoreKind::Classic;
    let is_own = |name: &[u8]| if is_classic { of_classic(name) } else { of_containerd(name) };
    let is_others = |name: &[u8]| if is_classic { of_containerd(name) } else { of_classic(name) };
    let shared = !names.iter().any(|name| is_others(name));
    let goes = |name: &&Vec<u8>| is_own(name) || (shared && name.as_slice() == SHARED.as_bytes());
    Ok(names.iter().filter(goes).filter_map(|name| path(FOLDER).child(name)).collect())
}

/// Returns the builds that the builder of the data root `tree` remembers, as far as they can be read; either
/// store's, for up to Docker 26 both had one file. `log` finds logs that are not among the builder's own
/// blobs.
pub(super) fn history(tree: &dyn Tree, log: &dyn Fn(BlobId) -> Option<Vec<u8>>) -> Vec<Build> {
    let own = |blob: BlobId| {
        let at = path(BLOBS).child(blob.hex().as_bytes())?;
        document(tree, at.as_path(), blob).ok()
    };
    let mut builds = Vec::new();
    for file in HISTORY {
        let Ok(bytes) = read_within(tree, path(file), LIMIT) else { continue };
        let Ok(all) = Db::open(&bytes).and_then(|db| bbolt::load(&db)) else { continue };
        let records = all.child(build::RECORDS).into_iter().flat_map(OwnedBucket::iter);
        builds.extend(records.filter_map(|(_, node)| match node {
            Node::Value(record) => build::read(record).ok(),
            Node::Bucket(_) => None,
        }));
    }
    for build in builds.iter_mut().filter(|build| !build.results.is_empty()) {
        let log = build.log.and_then(|blob| own(blob).or_else(|| log(blob)));
        build.names.extend(log.and_then(|log| build::names(&log).ok()).unwrap_or_default());
    }
    builds
}
