//! How big an image is, and how much of that it shares.

use std::collections::HashMap;

use super::{Image, Inventory, StoreKind};
use crate::digest::ChainId;

/// Sizes of an image as Docker reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// All of it: unpacked layers, and in a containerd store its blobs too.
    pub total: u64,
    /// The unpacked layers that other images have too.
    pub shared: u64,
    /// The rest.
    pub unique: u64,
}

/// Returns the sizes of every image of `inventory`, in its order.
///
/// Layers count as shared when more than one image has them; a containerd store asks only the images
/// that Docker lists without `-a` (moby v28 daemon/images/image_list.go,
/// daemon/containerd/image_list.go computeSharedSize).
#[must_use]
pub fn sizes(inventory: &Inventory) -> Vec<Sizes> {
    let counts = |image: &Image| !image.intermediate || inventory.kind == StoreKind::Classic;
    let chains: Vec<_> = inventory.images.iter().map(all_chains).collect();
    let mut users: HashMap<ChainId, u32> = HashMap::new();
    for (image, chain_ids) in inventory.images.iter().zip(&chains) {
        for chain_id in chain_ids.iter().filter(|_| counts(image)) {
            *users.entry(*chain_id).or_default() += 1;
        }
    }
    let shared = |image: &Image, chain_id: &ChainId| {
        users.get(chain_id).copied().unwrap_or(0) > u32::from(counts(image))
    };
    let of = |(image, chain_ids): (&Image, &Vec<ChainId>)| {
        let total = image.size();
        let layers = chain_ids.iter().filter(|chain_id| shared(image, chain_id));
        let sizes = layers.filter_map(|chain_id| inventory.layers.get(chain_id)).map(|l| l.size);
        let shared = sizes.fold(0u64, u64::saturating_add);
        Sizes { total, shared, unique: total.saturating_sub(shared) }
    };
    inventory.images.iter().zip(&chains).map(of).collect()
}

impl Image {
    /// Returns the size of all of it.
    #[must_use]
    pub fn size(&self) -> u64 {
        let parts = self.manifests.iter().map(|m| m.content_size.saturating_add(m.unpacked_size));
        parts.fold(0, u64::saturating_add)
    }
}

fn all_chains(image: &Image) -> Vec<ChainId> {
    image.manifests.iter().filter(|m| m.present).flat_map(|m| m.chain()).collect()
}
