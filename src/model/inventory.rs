//! All that one store holds.

use std::collections::BTreeMap;

use super::{Container, Finding, Image, StoreKind};
use crate::digest::{BlobId, ChainId, DiffId};

/// A layer in its unpacked form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// The layer below.
    pub parent: Option<ChainId>,
    /// Bytes, as the store counts them.
    pub size: u64,
}

/// A layer in the form a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerBlob {
    /// The digest of its bytes.
    pub blob: BlobId,
    /// How many bytes.
    pub size: u64,
}

/// All that one store holds. Names only: no content was read.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Which of the two it is.
    pub kind: StoreKind,
    /// The graph driver or snapshotter.
    pub driver: String,
    /// The unpacked layers.
    pub layers: BTreeMap<ChainId, Layer>,
    /// The layers that are there as blobs, by what they unpack to.
    pub blobs: BTreeMap<DiffId, LayerBlob>,
    /// The images, in the order of their IDs.
    pub images: Vec<Image>,
    /// The containers whose writable layer is in this store.
    pub containers: Vec<Container>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Inventory {
    /// Returns an empty inventory.
    #[must_use]
    pub fn new(kind: StoreKind, driver: impl Into<String>) -> Self {
        Self {
            kind,
            driver: driver.into(),
            layers: BTreeMap::new(),
            blobs: BTreeMap::new(),
            images: Vec::new(),
            containers: Vec::new(),
            findings: Vec::new(),
        }
    }
}
