//! What a transfer would do, from what two stores tell and nothing else.

mod containers;
mod layers;
mod names;
mod planner;
pub(super) mod whole;

use std::collections::{HashMap, HashSet};

use self::planner::Planner;
use super::{Containers, Selection};
use crate::digest::{BlobId, ChainId, Digest};
use crate::error::Result;
use crate::format::oci::Platform;
use crate::model::{Finding, Inventory, StoreKind, sizes};
use crate::store::{
    BlobStep, Compression, ContainerStep, Document, ImageStep, LayerStep, Source, Target,
};
use crate::tree::Snapshots;

/// What happens to a name that the target gives to another image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It stays with the target's image; the other comes without it.
    #[default]
    Keep,
    /// It goes to the image that comes; the target's becomes dangling, as after `docker tag`.
    Replace,
    /// Nothing is done at all.
    Fail,
}

/// Choices of a transfer.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which images.
    pub selection: Selection,
    /// Which containers.
    pub containers: Containers,
    /// The IDs of containers whose processes run on this machine.
    pub alive: HashSet<String>,
    /// Names to give instead of an image's own: the image that is meant, if it is not the only one, and
    /// the name.
    pub names: Vec<(Option<String>, String)>,
    /// What those who are to have the target have already.
    pub without: Without,
    /// The one platform to take of each image; none takes images whole where the target can keep them
    /// so, and the host's platform elsewhere.
    pub platform: Option<Platform>,
    /// What happens to names that are taken.
    pub on_conflict: OnConflict,
    /// How new blobs are compressed; for the estimate.
    pub compression: Compression,
    /// How unpacked layers are taken over.
    pub snapshots: Snapshots,
    /// Whether files can be shared between source and target.
    pub can_share: bool,
    /// Whether images whose layers are here unpacked alone move as new images, their layers made
    /// anew of the files.
    pub rebuild_missing: bool,
    /// Whether to tell what is not selected too, as one wants to know before leaving a store.
    pub tell_rest: bool,
}

/// Layers that are left out of what is written, because whoever is to have it has them already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Diff IDs, and digests of blobs.
    pub digests: HashSet<Digest>,
    /// Unpacked layers, each by all it stands on: what a classic store has.
    pub chains: HashSet<ChainId>,
}

/// Something that the target cannot keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The image, by its first name or its ID.
    pub image: String,
    /// What will be different.
    pub what: String,
}

/// Something that is not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// What stays.
    pub what: String,
    /// Why.
    pub why: String,
}

/// An image that needs nothing: the target has it under all its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its ID in the source.
    pub id: Digest,
    /// Its ID in the target.
    pub becomes: Digest,
    /// Its position in the source's inventory.
    pub position: usize,
}

/// How many layers there are, each counted once however many images share it: unpacked ones by what
/// they stand on, blobs by their digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerCounts {
    /// All of them.
    pub total: usize,
    /// Those that the target has already.
    pub there: usize,
    /// Those that must be read.
    pub to_read: usize,
    /// Those that are only named.
    pub left_out: usize,
}

/// Bytes that a transfer moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Read from the source, each layer once and once more for each place it is unpacked in.
    pub read: u64,
    /// Written to the target; an estimate where layers are compressed.
    pub write: u64,
    /// What the target must have free before it starts.
    pub needed: u64,
}

/// What a transfer would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The images to write, parents before the images built from them.
    pub images: Vec<ImageStep>,
    /// Their positions in the source's inventory.
    pub positions: Vec<usize>,
    /// The layers to read, each once, and once more for each place it is unpacked in if those are in
    /// order. Each comes after the layer it stands on then.
    pub layers: Vec<LayerStep>,
    /// Whether the order of the layers must be kept: some targets unpack a tar on what is below it.
    pub in_order: bool,
    /// The bytes that keep their digest, each once.
    pub blobs: Vec<BlobStep>,
    /// The containers to write.
    pub containers: Vec<ContainerStep>,
    /// The distinct layers of the images.
    pub layer_counts: LayerCounts,
    /// Images that are in the target already.
    pub present: Vec<Present>,
    /// What the target cannot keep.
    pub losses: Vec<Loss>,
    /// What is not moved.
    pub stays: Vec<Stay>,
    /// What is wrong with the source.
    pub findings: Vec<Finding>,
    /// How much is read and written.
    pub bytes: Bytes,
    /// The sizes of all selected images, each counted whole: what a threshold is held against.
    pub selected_bytes: u64,
}

/// The registry documents that a classic store's images came with, by their IDs.
pub type Originals = HashMap<Digest, Vec<(BlobId, Document)>>;

/// Plans the transfer of images of `source` to `target`. Reads at most documents, and writes nothing.
///
/// # Errors
/// A selection that matches nothing, names that are taken if that is to stop everything, and documents
/// that cannot be read.
pub fn plan(
    source: &dyn Source,
    target: &dyn Target,
    originals: &Originals,
    options: &Options,
) -> Result<Plan> {
    let from = source.inventory();
    let mut selected = options.selection.of(from)?;
    let all_images = options.selection.images.is_empty() && options.selection.exclude.is_empty();
    let meant = containers::meant(from, &options.containers, all_images, &selected)?;
    // A container without its image could not be told from what no image is left of.
    selected.extend(meant.iter().filter_map(|i| containers::image_of(from, &from.containers[*i])));
    selected.sort_unstable();
    selected.dedup();
    let all_sizes = sizes(from);
    let mut planner = Planner::new(source, target, originals, options);
    planner.given = names::given(options, source, &selected)?;
    for position in planner::parents_first(from, &selected) {
        planner.add(position)?;
    }
    planner.add_containers(&meant);
    let selected_sizes = selected.iter().map(|i| all_sizes[*i].total);
    planner.plan.selected_bytes = selected_sizes.fold(0, u64::saturating_add);
    if options.tell_rest {
        planner.containers_stay(&meant);
        planner.stays(&selected);
    }
    planner.link_parents(&selected);
    planner.estimate();
    planner.count_containers();
    Ok(planner.plan)
}

impl Plan {
    fn new(from: &Inventory) -> Self {
        Self {
            images: Vec::new(),
            positions: Vec::new(),
            layers: Vec::new(),
            // The classic store has the files, and nothing is unpacked of a tar.
            in_order: from.kind != StoreKind::Classic,
            blobs: Vec::new(),
            containers: Vec::new(),
            layer_counts: LayerCounts::default(),
            present: Vec::new(),
            losses: Vec::new(),
            stays: Vec::new(),
            findings: from.findings.clone(),
            bytes: Bytes::default(),
            selected_bytes: 0,
        }
    }
}
