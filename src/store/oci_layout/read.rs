//! Reading an image layout.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Deserialize;

use super::layout;
use super::names::{Called, called};
use crate::digest::{BlobId, ChainId, DiffId, Digest};
use crate::error::{Error, Place, Result};
use crate::format::oci::{Descriptor, Index, Platform};
use crate::format::raw::decode;
use crate::model::{Finding, Image, Inventory, LayerBlob, Severity, StoreKind};
use crate::store::blob::Verified;
use crate::store::contents::contents;
use crate::store::manifests::{Keeper, Manifests, document};
use crate::store::packed::Packed;
use crate::store::{Contents, Document, LayerContent, Source};
use crate::tree::{Kind, Tree, optional, read};

/// An image layout: a folder, or an archive of one.
pub struct Layout {
    tree: Arc<dyn Tree>,
    inventory: Inventory,
    /// The blobs that are there, with their lengths.
    blobs: HashMap<BlobId, u64>,
    /// What `index.json` points at.
    targets: BTreeMap<BlobId, Descriptor>,
    /// What is called only by a tag.
    tags: HashMap<Digest, String>,
    layers: HashMap<ChainId, (DiffId, Option<BlobId>)>,
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layout").field("tree", &self.tree.origin()).finish_non_exhaustive()
    }
}

/// Returns whether `tree` looks like an image layout.
///
/// # Errors
/// What the tree says of files that are there.
pub fn is_one(tree: &dyn Tree) -> Result<bool> {
    for at in [layout::version(), layout::index()] {
        if optional(tree.stat(at))?.is_none_or(|found| found.kind != Kind::File) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Layout {
    /// Reads the image layout `tree`. `host` is the platform that is shown first of an image with
    /// several.
    ///
    /// # Errors
    /// An `index.json` that cannot be read, and layouts of another version. Damage beyond that is in the
    /// inventory's findings.
    pub fn open(tree: Arc<dyn Tree>, host: &Platform) -> Result<Self> {
        check_version(&*tree)?;
        let blobs = blobs(&*tree)?;
        let place = tree.place(layout::index());
        let index: Index =
            decode(&read(&*tree, layout::index())?).map_err(|error| error.at(place.clone()))?;
        let mut inventory = Inventory::new(StoreKind::Layout, "oci");
        let targets = targets(&index.manifests, &place, &mut inventory.findings);
        let keeper = Here { tree: &*tree, blobs: &blobs };
        let manifests = Manifests::new(&keeper, host);
        inventory.images = images(&keeper, &targets, &manifests, &mut inventory.findings);
        let packed = manifests.into_blobs();
        let Called { mut names, tags, mut findings } =
            called(&*tree, &index.manifests, &inventory.images);
        inventory.findings.append(&mut findings);
        for image in &mut inventory.images {
            image.names = names.remove(&image.id).unwrap_or_default();
        }
        let layers = layers(&inventory.images, &packed);
        for (diff_id, blob) in packed {
            let size = blobs.get(&blob).copied().unwrap_or(0);
            inventory.blobs.insert(diff_id, LayerBlob { blob, size });
        }
        Ok(Self { tree, inventory, blobs, targets, tags, layers })
    }

    fn here(&self) -> Here<'_> {
        Here { tree: &*self.tree, blobs: &self.blobs }
    }
}

/// Fails for a layout of a version that is yet to come (image-spec v1.1 image-layout.md).
fn check_version(tree: &dyn Tree) -> Result<()> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Version {
        image_layout_version: String,
    }
    let place = || tree.place(layout::version());
    let bytes = read(tree, layout::version())?;
    let Version { image_layout_version: version } =
        decode(&bytes).map_err(|error| error.at(place()))?;
    if version.starts_with("1.") {
        return Ok(());
    }
    let shown: String = version.chars().take(80).collect();
    Err(Error::unsupported(place(), format!("a layout of version {shown:?}, wanted \"1.0.0\"")))
}

/// Returns the blobs that are there. Links are not followed, and what is no blob is passed over.
fn blobs(tree: &dyn Tree) -> Result<HashMap<BlobId, u64>> {
    let [_, folder] = layout::folders();
    let entries = optional(tree.list(folder))?.unwrap_or_default();
    let blob = |entry: &crate::tree::Entry| {
        let hex = std::str::from_utf8(&entry.name).ok()?;
        let digest = Digest::from_hex(hex).ok().filter(|_| entry.metadata.kind == Kind::File)?;
        Some((BlobId(digest), entry.metadata.size))
    };
    Ok(entries.iter().filter_map(blob).collect())
}

/// Returns what `index.json` points at, each once and without its names.
fn targets(
    descriptors: &[Descriptor],
    place: &Place,
    findings: &mut Vec<Finding>,
) -> BTreeMap<BlobId, Descriptor> {
    let mut targets = BTreeMap::new();
    for descriptor in descriptors {
        let Some(blob) = descriptor.blob() else {
            let shown: String = descriptor.digest.chars().take(150).collect();
            let what = format!("an image by the digest {shown:?}, wanted a SHA-256");
            let error = Error::unsupported(place.clone(), what);
            findings.push(Finding::of("target-unusable", Severity::WouldNotLoad, &error));
            continue;
        };
        targets.entry(blob).or_insert_with(|| {
            let mut target = descriptor.clone();
            target.annotations.clear();
            target
        });
    }
    targets
}

fn images(
    keeper: &Here<'_>,
    targets: &BTreeMap<BlobId, Descriptor>,
    manifests: &Manifests<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<Image> {
    let read: Vec<_> = targets
        .par_iter()
        .map(|(blob, target)| {
            let (manifests, best, mut findings) = manifests.of(target);
            if keeper.size(*blob).is_none() {
                let what = format!("index.json names {blob}, which is not here");
                let error = Error::missing(keeper.place(*blob), what);
                findings.push(Finding::of("target-missing", Severity::DataLost, &error));
            }
            let image = Image {
                id: blob.0,
                names: Vec::new(),
                manifests,
                best,
                parent: None,
                last_tagged: None,
                arrived: None,
                intermediate: false,
                originals: Vec::new(),
            };
            (image, findings)
        })
        .collect();
    let (images, found): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    findings.extend(found.into_iter().flatten());
    images
}

fn layers(
    images: &[Image],
    packed: &HashMap<DiffId, BlobId>,
) -> HashMap<ChainId, (DiffId, Option<BlobId>)> {
    let mut layers = HashMap::new();
    for manifest in images.iter().flat_map(|image| &image.manifests) {
        for (diff_id, chain_id) in manifest.layers.iter().zip(manifest.chain()) {
            layers.entry(chain_id).or_insert_with(|| (*diff_id, packed.get(diff_id).copied()));
        }
    }
    layers
}

/// The files of a layout.
struct Here<'a> {
    tree: &'a dyn Tree,
    blobs: &'a HashMap<BlobId, u64>,
}

impl Keeper for Here<'_> {
    fn size(&self, blob: BlobId) -> Option<u64> {
        self.blobs.get(&blob).copied()
    }

    fn document(&self, blob: BlobId) -> Result<Vec<u8>> {
        document(self.tree, layout::blob(blob).as_path(), blob)
    }

    fn unpacked(&self, _: ChainId) -> Option<u64> {
        None
    }

    fn place(&self, blob: BlobId) -> Place {
        self.tree.place(layout::blob(blob).as_path())
    }
}

impl Source for Layout {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        let (diff_id, blob) = self.layers.get(&chain_id).copied().unzip();
        let (Some(diff_id), Some(blob)) = (diff_id, blob.flatten()) else {
            let [_, folder] = layout::folders();
            let what = format!("no blob of the layers {chain_id} is here");
            return Err(Error::missing(self.tree.place(folder), what)
                .hint("the layout holds a part of the image; write it again with all of it"));
        };
        let (path, blob) = (layout::blob(blob), Some(blob));
        Ok(Box::new(Packed { tree: &*self.tree, path, blob, diff_id }))
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        Ok(Document { bytes: self.here().document(blob)?, labels: Vec::new() })
    }

    fn contents(&self, image: &Image) -> Result<Option<Contents>> {
        let named = self.targets.get(&BlobId(image.id));
        let target = named.or_else(|| image.own_manifest()).ok_or_else(|| {
            let what = format!("nothing here is image {}", image.id);
            Error::missing(self.tree.place(layout::index()), what)
        })?;
        contents(&self.here(), target).map(Some)
    }

    fn has_tar(&self, chain_id: ChainId) -> bool {
        self.layers.get(&chain_id).is_some_and(|(_, blob)| blob.is_some())
    }

    fn bare_tag(&self, image: &Image) -> Option<&str> {
        self.tags.get(&image.id).map(String::as_str)
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        let path = layout::blob(blob);
        let file = BufReader::new(self.tree.open(path.as_path())?);
        Ok(Box::new(Verified::new(file, blob.0, self.tree.place(path.as_path()))))
    }
}
