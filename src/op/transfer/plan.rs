//! What a transfer would do, from two inventories and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Selection;
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, Result};
use crate::format::reference::Reference;
use crate::model::{Finding, Image, Inventory, Name, sizes};
use crate::store::{Compression, Document, ImageStep, LayerStep};
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
    /// What happens to names that are taken.
    pub on_conflict: OnConflict,
    /// How new blobs are compressed; for the estimate.
    pub compression: Compression,
    /// How unpacked layers are taken over.
    pub snapshots: Snapshots,
    /// Whether files can be shared between source and target.
    pub can_share: bool,
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
    /// The layers to read, each once.
    pub layers: Vec<LayerStep>,
    /// How many distinct layers the images have, and how many of them the target has already.
    pub layer_counts: (usize, usize),
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

/// What is known of the target, apart from its inventory.
pub struct TargetFacts<'a> {
    /// Whether the target has a layer as a blob it can use.
    pub has_blob: &'a dyn Fn(DiffId) -> bool,
    /// Registry documents of images, already read.
    pub originals: &'a HashMap<Digest, Vec<(BlobId, Document)>>,
}

impl std::fmt::Debug for TargetFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetFacts").finish_non_exhaustive()
    }
}

/// Plans the transfer of images of `from` to a store that holds `there`. Reads and writes nothing.
///
/// # Errors
/// A selection that matches nothing, and names that are taken if that is to stop everything.
pub fn plan(
    from: &Inventory,
    there: &Inventory,
    facts: &TargetFacts<'_>,
    options: &Options,
) -> Result<Plan> {
    let selected = options.selection.of(from)?;
    let all_sizes = sizes(from);
    let mut planner = Planner::new(from, there, facts, options);
    for position in parents_first(from, &selected) {
        planner.add(position)?;
    }
    let selected_sizes = selected.iter().map(|i| all_sizes[*i].total);
    planner.plan.selected_bytes = selected_sizes.fold(0, u64::saturating_add);
    planner.stays(&selected);
    planner.link_parents(&selected);
    planner.estimate();
    Ok(planner.plan)
}

struct Planner<'a> {
    from: &'a Inventory,
    there: &'a Inventory,
    facts: &'a TargetFacts<'a>,
    options: &'a Options,
    /// The target's images by the config they run.
    by_config: HashMap<ConfigId, &'a Image>,
    /// The target's images by name.
    by_name: HashMap<String, &'a Image>,
    layers: BTreeMap<DiffId, usize>,
    chains: HashSet<ChainId>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(
        from: &'a Inventory,
        there: &'a Inventory,
        facts: &'a TargetFacts<'a>,
        options: &'a Options,
    ) -> Self {
        let (mut by_config, mut by_name) = (HashMap::new(), HashMap::new());
        for image in &there.images {
            for manifest in image.manifests.iter().filter(|manifest| manifest.present) {
                if let Some((config, _)) = &manifest.config {
                    by_config.entry(*config).or_insert(image);
                }
            }
            by_name.extend(image.names.iter().map(|name| (canonical(name), image)));
        }
        let plan = Plan {
            images: Vec::new(),
            positions: Vec::new(),
            layers: Vec::new(),
            layer_counts: (0, 0),
            present: Vec::new(),
            losses: Vec::new(),
            stays: Vec::new(),
            findings: from.findings.clone(),
            bytes: Bytes::default(),
            selected_bytes: 0,
        };
        let (layers, chains) = (BTreeMap::new(), HashSet::new());
        Self { from, there, facts, options, by_config, by_name, layers, chains, plan }
    }

    fn add(&mut self, position: usize) -> Result<()> {
        let image = &self.from.images[position];
        let Some((config, _)) = image.shown().and_then(|shown| shown.config.clone()) else {
            return Ok(());
        };
        let names = self.names(image, config)?;
        self.count_layers(image);
        if let Some(known) = self.by_config.get(&config)
            && names.is_empty()
        {
            let present = Present { id: image.id, becomes: known.id, position };
            self.plan.present.push(present);
            return Ok(());
        }
        self.add_layers(image);
        self.lose_digests(image);
        let originals = self.facts.originals.get(&image.id).cloned().unwrap_or_default();
        let (image, parent) = (image.clone(), None);
        let step = ImageStep {
            image,
            config: Some(config),
            names,
            parent,
            originals,
            kept: None,
            packed: Vec::new(),
        };
        self.plan.images.push(step);
        self.plan.positions.push(position);
        Ok(())
    }

    /// Returns the names that `image` does not have in the target yet and can have.
    fn names(&mut self, image: &Image, config: ConfigId) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for name in wanted_names(image) {
            match self.by_name.get(&name) {
                None => {
                    let have = self.by_config.get(&config);
                    let repository = name.strip_suffix(ImageStep::OWN_DIGEST);
                    let same = |known: &Name| {
                        repository.is_some_and(|repository| {
                            known.is_digest() && canonical(known).starts_with(repository)
                        })
                    };
                    if !have.is_some_and(|image| image.names.iter().any(same)) {
                        names.push(name);
                    }
                }
                Some(other) if runs(other, config) => {}
                Some(other) => match self.options.on_conflict {
                    OnConflict::Replace => names.push(name),
                    OnConflict::Keep => {
                        let what = format!(
                            "the name {name} stays with image {} that the target already has",
                            other.id.short()
                        );
                        self.plan.losses.push(Loss { image: label(image), what });
                    }
                    OnConflict::Fail => {
                        let what = format!("the target has another image called {name}");
                        return Err(Error::refused(what).hint(
                            "keep the target's (`--on-conflict keep`) or replace it \
                             (`--on-conflict replace`)",
                        ));
                    }
                },
            }
        }
        Ok(names)
    }

    fn count_layers(&mut self, image: &Image) {
        for chain_id in image.shown().map(|shown| shown.chain()).unwrap_or_default() {
            if self.chains.insert(chain_id) {
                self.plan.layer_counts.0 += 1;
                self.plan.layer_counts.1 += usize::from(self.there.layers.contains_key(&chain_id));
            }
        }
    }

    fn add_layers(&mut self, image: &Image) {
        let Some(shown) = image.shown() else { return };
        let unpack = self.options.snapshots != Snapshots::None;
        let mut parent = None;
        for (diff_id, chain_id) in shown.layers.iter().zip(shown.chain()) {
            let size = self.from.layers.get(&chain_id).map_or(0, |layer| layer.size);
            let index = *self.layers.entry(*diff_id).or_insert_with(|| {
                let blob = !(self.facts.has_blob)(*diff_id);
                let (diff_id, chains) = (*diff_id, Vec::new());
                self.plan.layers.push(LayerStep { diff_id, size, blob, chains, from: chain_id });
                self.plan.layers.len() - 1
            });
            let step = &mut self.plan.layers[index];
            let known = self.there.layers.contains_key(&chain_id)
                || step.chains.iter().any(|(known, _)| *known == chain_id);
            if unpack && !known {
                step.chains.push((chain_id, parent));
            }
            parent = Some(chain_id);
        }
    }

    /// A digest names a manifest, and the manifest is made anew.
    fn lose_digests(&mut self, image: &Image) {
        for name in image.names.iter().filter(|name| name.is_digest()) {
            let digest = name.reference().and_then(Reference::digest).unwrap_or_default();
            let what = format!(
                "its registry digest {digest} will no longer lead to it: the manifest is made anew"
            );
            self.plan.losses.push(Loss { image: label(image), what });
        }
    }

    fn stays(&mut self, selected: &[usize]) {
        let kind = self.from.kind;
        let mut containers: Vec<_> =
            self.from.containers.iter().map(|container| container.name.as_str()).collect();
        containers.sort_unstable();
        if !containers.is_empty() {
            let what =
                format!("{} ({})", counted(containers.len(), "container"), containers.join(", "));
            let why = format!(
                "their writable layers stay in the {kind} store; they are hidden while the daemon \
                 shows the other"
            );
            self.plan.stays.push(Stay { what, why });
        }
        let chosen: HashSet<_> = selected.iter().collect();
        let others = (0..self.from.images.len()).filter(|i| !chosen.contains(i));
        let (between, rest): (Vec<_>, Vec<_>) =
            others.partition(|i| self.from.images[*i].intermediate);
        if !between.is_empty() {
            let what = counted(between.len(), "intermediate image");
            let why = "only a step between two images; `--all` moves such too".to_owned();
            self.plan.stays.push(Stay { what, why });
        }
        for i in rest {
            let (what, why) = (label(&self.from.images[i]), "not selected".to_owned());
            self.plan.stays.push(Stay { what, why });
        }
    }

    /// An image remembers what it was built from as long as that comes along.
    fn link_parents(&mut self, selected: &[usize]) {
        let moving: BTreeSet<Digest> = selected.iter().map(|i| self.from.images[*i].id).collect();
        for step in &mut self.plan.images {
            match step.image.parent {
                Some(parent)
                    if moving.contains(&parent)
                        || self.by_config.contains_key(&ConfigId(parent)) =>
                {
                    step.parent = Some(ConfigId(parent));
                }
                Some(parent) => {
                    let what = format!("it forgets that it was built from {}", parent.short());
                    self.plan.losses.push(Loss { image: label(&step.image), what });
                }
                None => {}
            }
        }
    }

    fn estimate(&mut self) {
        let steps = &mut self.plan.layers;
        steps.retain(|step| step.blob || !step.chains.is_empty());
        let bytes = &mut self.plan.bytes;
        for step in steps.iter() {
            let times = (step.chains.len() as u64).max(u64::from(step.blob));
            bytes.read = bytes.read.saturating_add(step.size.saturating_mul(times));
            if step.blob {
                let size = compressed(step.size, self.options.compression);
                bytes.write = bytes.write.saturating_add(size);
            }
            if !self.options.can_share {
                let copies = step.size.saturating_mul(step.chains.len() as u64);
                bytes.write = bytes.write.saturating_add(copies);
            }
        }
        // Folders, manifests and the two bolt files: little, and worth a margin.
        bytes.needed = bytes.write.saturating_add(bytes.write / 10).saturating_add(16 << 20);
        if steps.is_empty() && self.plan.images.is_empty() {
            *bytes = Bytes::default();
        }
    }
}

/// Returns about how many bytes `size` bytes of a Linux root file system compress to, a little more
/// than was measured (`benches/README.md`).
fn compressed(size: u64, compression: Compression) -> u64 {
    match compression {
        Compression::None => size,
        Compression::Gzip(_) | Compression::Zstd(_) => size / 20 * 9,
    }
}

fn runs(image: &Image, config: ConfigId) -> bool {
    let configs = image.manifests.iter().filter_map(|manifest| manifest.config.as_ref());
    configs.into_iter().any(|(known, _)| *known == config)
}

fn canonical(name: &Name) -> String {
    match name {
        Name::Reference(reference) => reference.to_string(),
        Name::Other(text) => text.clone(),
    }
}

/// Returns the canonical names that an image is to have: its tags, and for a repository that it has
/// only digests of, the digest it will have.
fn wanted_names(image: &Image) -> Vec<String> {
    let tags: Vec<_> = image.tags().collect();
    let tagged: HashSet<String> =
        tags.iter().filter_map(|name| name.reference()).map(|r| r.name()).collect();
    let mut names: Vec<String> = tags.into_iter().map(canonical).collect();
    let digests = image.names.iter().filter(|name| name.is_digest());
    let bare = digests.filter_map(Name::reference).map(|r| r.name());
    let bare: BTreeSet<String> = bare.filter(|name| !tagged.contains(name)).collect();
    names.extend(bare.into_iter().map(|name| format!("{name}@{}", ImageStep::OWN_DIGEST)));
    names
}

/// Returns what to call an image in a message.
fn label(image: &Image) -> String {
    let repository = || Some(image.names.first()?.reference()?.familiar_name());
    image.tags().next().map(Name::familiar).or_else(repository).unwrap_or_else(|| image.id.short())
}

fn counted(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// Returns `selected` with every image after the one it was built from. Loops of parents end.
fn parents_first(from: &Inventory, selected: &[usize]) -> Vec<usize> {
    let position: HashMap<Digest, usize> =
        selected.iter().map(|i| (from.images[*i].id, *i)).collect();
    let (mut order, mut seen) = (Vec::new(), HashSet::new());
    for start in selected {
        let mut line = Vec::new();
        let mut next = Some(*start);
        while let Some(i) = next.filter(|i| seen.insert(*i)) {
            line.push(i);
            next = from.images[i].parent.and_then(|parent| position.get(&parent).copied());
        }
        order.extend(line.into_iter().rev());
    }
    order
}
