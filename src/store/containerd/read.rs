//! Reading a containerd root.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use rayon::prelude::*;

use super::audit;
use super::content::{Content, LayerAt};
use super::layout::{self, Snapshotter};
use super::records::{Record, Records, Snapshot, records};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, Place, Result};
use crate::format::containerd::labels::DISTRIBUTION_SOURCE;
use crate::format::oci::{Descriptor, Manifest, Platform};
use crate::format::raw::decode;
use crate::format::reference::Reference;
use crate::model::{Finding, Image, Inventory, Layer, LayerBlob, Name, PlatformImage, StoreKind};
use crate::store::blob::Verified;
use crate::store::claims::Claims;
use crate::store::contents::contents;
use crate::store::manifests::{Keeper, Manifests, document};
use crate::store::reclaim::{Known, Reclaim, Wanted};
use crate::store::{Audit, Contents, Document, LayerContent, PackedLayer, Piece, Source, Writable};
use crate::tree::{Tree, TreePathBuf};

/// The name of a record that keeps an image without names (moby v28
/// daemon/containerd/soft_delete.go).
pub(super) const DANGLING_PREFIX: &str = "moby-dangling@";

/// One namespace and snapshotter of a containerd root.
pub struct Containerd {
    pub(super) tree: Arc<dyn Tree>,
    pub(super) namespace: String,
    pub(super) inventory: Inventory,
    pub(super) layers: HashMap<ChainId, LayerAt>,
    pub(super) records: Records,
}

impl std::fmt::Debug for Containerd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Containerd").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// All that was read of a containerd root.
pub(super) struct Found {
    pub(super) inventory: Inventory,
    layers: HashMap<ChainId, LayerAt>,
    pub(super) records: Records,
}

impl Found {
    /// Returns the folders of the snapshots that images stand on.
    pub(super) fn folders(&self) -> HashMap<ChainId, u64> {
        self.layers.iter().filter_map(|(id, at)| Some((*id, at.folder?))).collect()
    }
}

impl Containerd {
    /// Reads the containerd root `tree` for one namespace and snapshotter. `host` is the platform that
    /// is shown first of an image with several.
    ///
    /// # Errors
    /// Missing where there is no `meta.db`, corrupt where a bolt file cannot be read. Damage beyond
    /// that is in the inventory's findings.
    pub fn open(
        tree: Arc<dyn Tree>,
        namespace: &str,
        snapshotter: &str,
        host: &Platform,
    ) -> Result<Self> {
        let Found { inventory, layers, records } =
            Self::read(&*tree, namespace, snapshotter, host)?;
        Ok(Self { tree, namespace: namespace.to_owned(), inventory, layers, records })
    }

    /// Reads what [`open`](Self::open) reads, and keeps no hold of the tree.
    pub(super) fn read(
        tree: &dyn Tree,
        namespace: &str,
        snapshotter: &str,
        host: &Platform,
    ) -> Result<Found> {
        let mut inventory = Inventory::new(StoreKind::Containerd, snapshotter);
        let records = records(tree, namespace, snapshotter)?;
        let keeper = Here { tree, records: &records };
        let manifests = Manifests::new(&keeper, host);
        inventory.images = images(&records, &manifests, &mut inventory.findings);
        let blobs = manifests.into_blobs();
        let (layers, unpacked) = layers(&inventory.images, &records, &blobs);
        inventory.layers = unpacked;
        for (blob, found) in &records.blobs {
            if let Some(diff_id) = found.uncompressed {
                let layer = LayerBlob { blob: *blob, size: found.size };
                let known = inventory.blobs.entry(diff_id).or_insert_with(|| layer.clone());
                if layer.blob < known.blob {
                    *known = layer;
                }
            }
        }
        Ok(Found { inventory, layers, records })
    }

    pub(super) fn files_of(&self) -> &dyn Tree {
        &*self.tree
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns how large a blob is that the namespace has.
    pub(super) fn blob_size(&self, blob: BlobId) -> Option<u64> {
        self.records.blobs.get(&blob).map(|blob| blob.size)
    }

    fn here(&self) -> Here<'_> {
        Here { tree: &*self.tree, records: &self.records }
    }

    /// Returns the registry documents that the store keeps for images of the classic store beside it.
    #[must_use]
    pub fn originals(&self) -> &BTreeMap<ConfigId, Vec<BlobId>> {
        &self.records.originals
    }

    /// Returns the repositories that a blob was pulled from or pushed to.
    fn repositories(&self, blob: BlobId) -> Vec<String> {
        let labels = self.records.labels.get(&blob).map(Vec::as_slice).unwrap_or_default();
        let on_host = |(key, paths): &(String, String)| {
            let host = key.strip_prefix(DISTRIBUTION_SOURCE)?.to_owned();
            let paths: Vec<_> = paths.split(',').filter(|path| !path.is_empty()).collect();
            Some(paths.iter().map(|path| format!("{host}/{path}")).collect::<Vec<_>>())
        };
        labels.iter().filter_map(on_host).flatten().collect()
    }

    fn files(&self, snapshot: &Snapshot) -> Option<TreePathBuf> {
        Some(Snapshotter::new(&self.inventory.driver).files(snapshot.folder?))
    }

    fn no_snapshot(&self, of: &str) -> Error {
        let place = self.tree.place(Snapshotter::new(&self.inventory.driver).snapshots().as_path());
        Error::missing(place, format!("there is no snapshot of {of}"))
    }

    /// Adds containers, which the data root knows and a containerd root does not.
    pub fn add_containers(
        &mut self,
        containers: impl IntoIterator<Item = crate::model::Container>,
    ) {
        self.inventory.containers.extend(containers);
    }
}

impl Source for Containerd {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        let at = self.layers.get(&chain_id).ok_or_else(|| {
            let place = self.tree.place(layout::blobs().as_path());
            Error::missing(place, format!("no image has a layer {chain_id}"))
        })?;
        let snapshotter = &self.inventory.driver;
        let stack = self.records.stack(&chain_id.to_string());
        let below = stack.iter().skip(1).filter_map(|(_, snapshot)| self.files(snapshot)).collect();
        Ok(Box::new(Content { tree: &*self.tree, snapshotter, at, below }))
    }

    fn stack(&self, top: ChainId) -> Result<Vec<TreePathBuf>> {
        let stack = self.records.snapshot(top).map(|_| self.records.stack(&top.to_string()));
        stack.ok_or_else(|| self.no_snapshot(&format!("layer {}", top.0.short()))).map(|stack| {
            stack.into_iter().filter_map(|(_, snapshot)| self.files(snapshot)).collect()
        })
    }

    fn tree(&self) -> Option<&dyn Tree> {
        Some(&*self.tree)
    }

    fn writable(&self, container: &str) -> Result<Writable> {
        let missing = || self.no_snapshot(&format!("container {container}"));
        let stack = self.records.stack(container);
        let (own, below) = stack.split_first().ok_or_else(missing)?;
        let upper = self.files(own.1).ok_or_else(missing)?;
        let is_init = |(key, _): &&(&str, &Snapshot)| *key == format!("{container}-init");
        let init = below.first().filter(is_init);
        let below = if init.is_some() { below.get(1..).unwrap_or_default() } else { below };
        Ok(Writable {
            upper,
            init: init.and_then(|(_, snapshot)| self.files(snapshot)),
            below: below.iter().filter_map(|(_, snapshot)| self.files(snapshot)).collect(),
            parent: below.first().and_then(|(key, _)| key.parse().ok()),
        })
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        let bytes = document(&*self.tree, layout::blob(blob).as_path(), blob)?;
        Ok(Document { bytes, labels: self.records.labels.get(&blob).cloned().unwrap_or_default() })
    }

    fn reclaim(&self, wanted: &Wanted) -> Result<Reclaim> {
        self.waste(wanted)
    }

    fn claims(&self, known: &Known) -> Result<Claims> {
        self.claimed(known)
    }

    fn contents(&self, image: &Image) -> Result<Option<Contents>> {
        let named = self.records.targets.get(&BlobId(image.id));
        let target = named.or_else(|| image.own_manifest()).ok_or_else(|| {
            let what = format!("no record points at {}", image.id);
            Error::missing(self.here().place(BlobId(image.id)), what)
        })?;
        contents(&self.here(), target).map(Some)
    }

    fn packed(&self, image: &PlatformImage) -> Result<Vec<PackedLayer>> {
        let manifest = image.manifest.as_ref().and_then(Descriptor::blob);
        let Some(manifest) = manifest.filter(|_| !image.layers.is_empty()) else {
            return Ok(Vec::new());
        };
        let bytes = self.here().document(manifest)?;
        let read: Manifest =
            decode(&bytes).map_err(|error| error.at(self.here().place(manifest)))?;
        if read.layers.len() != image.layers.len() {
            return Ok(Vec::new());
        }
        let layer = |(diff_id, layer): (&DiffId, &Descriptor)| {
            let (diff_id, blob) = (*diff_id, layer.blob()?);
            Some(PackedLayer { diff_id, blob, repositories: self.repositories(blob) })
        };
        Ok(image.layers.iter().zip(&read.layers).filter_map(layer).collect())
    }

    fn audit(&self) -> Result<Audit> {
        audit::audit(self)
    }

    fn pieces(&self) -> Vec<Piece> {
        audit::pieces(self)
    }

    fn has_tar(&self, chain_id: ChainId) -> bool {
        self.layers.get(&chain_id).is_some_and(|at| at.blob.is_some())
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        let path = layout::blob(blob);
        let file = BufReader::new(self.tree.open(path.as_path())?);
        Ok(Box::new(Verified::new(file, blob.0, self.tree.place(path.as_path()))))
    }
}

/// A containerd root while it is read.
struct Here<'a> {
    tree: &'a dyn Tree,
    records: &'a Records,
}

impl Keeper for Here<'_> {
    fn size(&self, blob: BlobId) -> Option<u64> {
        self.records.blobs.get(&blob).map(|blob| blob.size)
    }

    fn document(&self, blob: BlobId) -> Result<Vec<u8>> {
        document(self.tree, layout::blob(blob).as_path(), blob)
    }

    fn unpacked(&self, top: ChainId) -> Option<u64> {
        self.records.unpacked(top)
    }

    fn place(&self, blob: BlobId) -> Place {
        self.tree.place(layout::blob(blob).as_path())
    }
}

/// Makes one image of all records with the same target.
fn images(records: &Records, manifests: &Manifests<'_>, findings: &mut Vec<Finding>) -> Vec<Image> {
    let mut by_target: BTreeMap<BlobId, Vec<&Record>> = BTreeMap::new();
    for record in &records.images {
        if let Some(target) = record.target.blob() {
            by_target.entry(target).or_default().push(record);
        }
    }
    let parents: Vec<Digest> = records.images.iter().filter_map(|record| record.parent).collect();
    let read: Vec<_> = by_target
        .par_iter()
        .map(|(target, records)| {
            let (manifests, best, findings) = manifests.of(&records[0].target);
            let names = names(records);
            let intermediate = names.is_empty() && parents.contains(&target.0);
            let image = Image {
                id: target.0,
                manifests,
                best,
                parent: records.iter().find_map(|record| record.parent),
                last_tagged: records.iter().filter_map(|record| record.updated).max(),
                arrived: records.iter().filter_map(|record| record.created).min(),
                intermediate,
                names,
                originals: Vec::new(),
            };
            (image, findings)
        })
        .collect();
    let (images, found): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    findings.extend(found.into_iter().flatten());
    images
}

fn names(records: &[&Record]) -> Vec<Name> {
    let named = records.iter().filter(|record| {
        record.name.strip_prefix(DANGLING_PREFIX) != Some(record.target.digest.as_str())
    });
    let name = |record: &&&Record| match Reference::parse_normalized(&record.name) {
        Ok(reference) => Name::Reference(reference),
        Err(_) => Name::Other(record.name.clone()),
    };
    named.map(|record| name(&record)).collect()
}

/// Returns where the layers of all images are, unpacked or not, and of those that are unpacked what an
/// inventory tells. Snapshots do not say which tar they are; the configs of the images do.
fn layers(
    images: &[Image],
    records: &Records,
    blobs: &HashMap<DiffId, BlobId>,
) -> (HashMap<ChainId, LayerAt>, BTreeMap<ChainId, Layer>) {
    let (mut all, mut unpacked) = (HashMap::new(), BTreeMap::new());
    for manifest in images.iter().flat_map(|image| &image.manifests) {
        let mut parent = None;
        for (diff_id, chain_id) in manifest.layers.iter().zip(manifest.chain()) {
            all.entry(chain_id).or_insert_with(|| {
                let (diff_id, snapshot) = (*diff_id, records.snapshot(chain_id));
                if let Some(Snapshot { size, .. }) = snapshot {
                    unpacked.insert(chain_id, Layer { diff_id, parent, size: *size });
                }
                let folder = snapshot.and_then(|snapshot| snapshot.folder);
                LayerAt { diff_id, blob: blobs.get(&diff_id).copied(), folder }
            });
            parent = Some(chain_id);
        }
    }
    (all, unpacked)
}
