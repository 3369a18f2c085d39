//! Reading a containerd root.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::metadata::{buckets, labels, namespace, size, text, time};
use super::target::Targets;
use super::{layout, schema};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{DecodeError, Error, Result};
use crate::format::bbolt::{Bucket, Db};
use crate::format::containerd::labels::{IMAGE_PARENT, UNCOMPRESSED};
use crate::format::oci::{Descriptor, Platform};
use crate::format::reference::Reference;
use crate::format::time::Timestamp;
use crate::model::{Finding, Image, Inventory, Layer, LayerBlob, Name, Severity, StoreKind};
use crate::store::{Document, LayerContent, Source};
use crate::tree::{Tree, optional, read_within};

/// A bolt file is read whole; one for a hundred thousand images is a few hundred megabytes.
pub(super) const BOLT_LIMIT: u64 = 4 << 30;

/// The name of the lease that keeps a classic image's registry documents (moby v28
/// distribution/manifest.go).
const LEASE_PREFIX: &[u8] = b"moby-image-";

/// The name of a record that keeps an image without names (moby v28
/// daemon/containerd/soft_delete.go).
pub(super) const DANGLING_PREFIX: &str = "moby-dangling@";

/// One namespace and snapshotter of a containerd root.
pub struct Containerd {
    tree: Arc<dyn Tree>,
    namespace: String,
    inventory: Inventory,
    originals: BTreeMap<ConfigId, Vec<BlobId>>,
    /// The labels of those documents.
    labels: HashMap<BlobId, Vec<(String, String)>>,
}

impl std::fmt::Debug for Containerd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Containerd").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// What both bolt files say, as far as an inventory needs it.
pub(super) struct Records {
    pub(super) images: Vec<Record>,
    pub(super) blobs: HashMap<BlobId, Blob>,
    /// The snapshots that both files know, by their keys.
    snapshots: HashMap<String, Snapshot>,
    kept: Kept,
}

struct Snapshot {
    size: u64,
    parent: Option<String>,
}

/// The registry documents kept for classic images, and their labels.
#[derive(Default)]
pub(super) struct Kept {
    originals: BTreeMap<ConfigId, Vec<BlobId>>,
    labels: HashMap<BlobId, Vec<(String, String)>>,
}

pub(super) struct Record {
    pub(super) name: String,
    pub(super) target: Descriptor,
    parent: Option<Digest>,
    created: Option<Timestamp>,
    updated: Option<Timestamp>,
}

pub(super) struct Blob {
    pub(super) size: u64,
    uncompressed: Option<DiffId>,
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
        let (inventory, Kept { originals, labels }) =
            Self::read(&*tree, namespace, snapshotter, host)?;
        Ok(Self { tree, namespace: namespace.to_owned(), inventory, originals, labels })
    }

    /// Reads what [`open`](Self::open) reads, and keeps no hold of the tree.
    pub(super) fn read(
        tree: &dyn Tree,
        namespace: &str,
        snapshotter: &str,
        host: &Platform,
    ) -> Result<(Inventory, Kept)> {
        let mut inventory = Inventory::new(StoreKind::Containerd, snapshotter);
        let records = records(tree, namespace, snapshotter)?;
        let targets = Targets { tree, records: &records, host, configs: Mutex::default() };
        inventory.images = images(&records, &targets, &mut inventory.findings);
        inventory.layers = layers(&inventory.images, &records);
        for (blob, found) in &records.blobs {
            if let Some(diff_id) = found.uncompressed {
                let layer = LayerBlob { blob: *blob, size: found.size };
                let known = inventory.blobs.entry(diff_id).or_insert_with(|| layer.clone());
                if layer.blob < known.blob {
                    *known = layer;
                }
            }
        }
        Ok((inventory, records.kept))
    }

    /// Returns the registry documents that the store keeps for images of the classic store beside it.
    #[must_use]
    pub fn originals(&self) -> &BTreeMap<ConfigId, Vec<BlobId>> {
        &self.originals
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
        let what = format!("layer {chain_id} cannot be taken out of a containerd store yet");
        Err(Error::unsupported(self.tree.place(layout::blobs().as_path()), what))
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        let bytes = document(&*self.tree, blob)?;
        Ok(Document { bytes, labels: self.labels.get(&blob).cloned().unwrap_or_default() })
    }
}

fn blob_labels(namespace: &Bucket<'_>, blob: BlobId) -> Decoded<Vec<(String, String)>> {
    let digest = blob.to_string();
    let path = [schema::CONTENT, schema::BLOB, digest.as_bytes()];
    let Some(bucket) = namespace.at(&path)? else { return Ok(Vec::new()) };
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Ok(labels(&bucket)?.into_iter().map(owned).collect())
}

/// Reads a manifest, index or config and checks that it is what its name says.
pub(super) fn document(tree: &dyn Tree, blob: BlobId) -> Result<Vec<u8>> {
    /// containerd's own limit for what it reads whole is 8 MiB (core/content/helpers.go).
    const LIMIT: u64 = 32 << 20;
    let path = layout::blob(blob);
    let bytes = read_within(tree, path.as_path(), LIMIT)?;
    let found = Digest::of(&bytes);
    if found != blob.0 {
        let what = format!("{} bytes hash to {found}, wanted {blob}", bytes.len());
        return Err(Error::corrupt(tree.place(path.as_path()), what));
    }
    Ok(bytes)
}

type Decoded<T> = std::result::Result<T, DecodeError>;

fn records(tree: &dyn Tree, name: &str, snapshotter: &str) -> Result<Records> {
    let meta_path = layout::at(layout::META_DB.to_owned());
    let meta = read_within(tree, meta_path.as_path(), BOLT_LIMIT)?;
    let backend_path = layout::Snapshotter::new(snapshotter).metadata_db();
    let backend = optional(read_within(tree, backend_path.as_path(), BOLT_LIMIT))?;
    let usage = match &backend {
        Some(bytes) => {
            usage(bytes).map_err(|error| error.at(tree.place(backend_path.as_path())))?
        }
        None => HashMap::new(),
    };
    let read = || {
        let db = Db::open(&meta)?;
        match namespace(&db, name)? {
            Some(namespace) => in_namespace(&namespace, snapshotter, &usage),
            None => Ok(Records::empty()),
        }
    };
    read().map_err(|error| error.at(tree.place(meta_path.as_path())))
}

impl Records {
    /// Returns the size of the snapshot of one layer, if there is one.
    pub(super) fn snapshot(&self, chain_id: ChainId) -> Option<u64> {
        self.snapshots.get(&chain_id.to_string()).map(|snapshot| snapshot.size)
    }

    /// Returns the size of a layer's snapshot and all that it stands on. What `docker commit` made
    /// stands on the container's init snapshot too, which is no layer.
    pub(super) fn unpacked(&self, top: ChainId) -> Option<u64> {
        let mut next = self.snapshots.get(&top.to_string())?;
        let mut total = next.size;
        // As many steps as there are snapshots, lest a loop of parents be endless.
        for _ in 0..self.snapshots.len() {
            let Some(parent) = next.parent.as_ref().and_then(|key| self.snapshots.get(key)) else {
                break;
            };
            total = total.saturating_add(parent.size);
            next = parent;
        }
        Some(total)
    }

    fn empty() -> Self {
        Self {
            images: Vec::new(),
            blobs: HashMap::new(),
            snapshots: HashMap::new(),
            kept: Kept::default(),
        }
    }
}

/// Returns the size of every committed snapshot of a `metadata.db`, by its name there.
fn usage(bytes: &[u8]) -> Decoded<HashMap<&[u8], u64>> {
    let db = Db::open(bytes)?;
    let mut sizes = HashMap::new();
    if let Some(snapshots) = db.root().at(&[schema::V1, schema::SNAPSHOTS])? {
        for (name, snapshot) in buckets(&snapshots)? {
            if snapshot.get(schema::KIND)? == Some(&[schema::COMMITTED]) {
                sizes.insert(name, size(&snapshot)?.unwrap_or(0));
            }
        }
    }
    Ok(sizes)
}

fn in_namespace(
    namespace: &Bucket<'_>,
    snapshotter: &str,
    usage: &HashMap<&[u8], u64>,
) -> Decoded<Records> {
    let mut records = Records::empty();
    if let Some(images) = namespace.bucket(schema::IMAGES)? {
        for (name, image) in buckets(&images)? {
            records.images.extend(record(name, &image)?);
        }
    }
    if let Some(blobs) = namespace.at(&[schema::CONTENT, schema::BLOB])? {
        for (digest, blob) in buckets(&blobs)? {
            let Some(digest) = parsed(digest).map(BlobId) else { continue };
            let uncompressed = labels(&blob)?.get(UNCOMPRESSED).and_then(|text| text.parse().ok());
            let blob = Blob { size: size(&blob)?.unwrap_or(0), uncompressed };
            records.blobs.insert(digest, blob);
        }
    }
    if let Some(snapshots) = namespace.at(&[schema::SNAPSHOTS, snapshotter.as_bytes()])? {
        for (key, snapshot) in buckets(&snapshots)? {
            let size = snapshot.get(schema::NAME)?.and_then(|name| usage.get(name));
            if let Some(size) = size {
                let parent = text(&snapshot, schema::PARENT)?.map(str::to_owned);
                let key = String::from_utf8_lossy(key).into_owned();
                records.snapshots.insert(key, Snapshot { size: *size, parent });
            }
        }
    }
    if let Some(leases) = namespace.bucket(schema::LEASES)? {
        for (id, lease) in buckets(&leases)? {
            let image = id.strip_prefix(LEASE_PREFIX).and_then(parsed);
            if let (Some(image), Some(content)) = (image, lease.bucket(schema::CONTENT)?) {
                let keys = content.iter().map(|entry| entry.map(|(key, _)| parsed(key)));
                let blobs = keys.collect::<Decoded<Vec<_>>>()?;
                let blobs: Vec<_> = blobs.into_iter().flatten().map(BlobId).collect();
                for blob in &blobs {
                    records.kept.labels.insert(*blob, blob_labels(namespace, *blob)?);
                }
                records.kept.originals.insert(ConfigId(image), blobs);
            }
        }
    }
    Ok(records)
}

fn parsed(text: &[u8]) -> Option<Digest> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn record(name: &[u8], image: &Bucket<'_>) -> Decoded<Option<Record>> {
    let Some(target) = image.bucket(schema::TARGET)? else { return Ok(None) };
    let target = Descriptor {
        media_type: text(&target, schema::MEDIA_TYPE)?.unwrap_or_default().to_owned(),
        digest: text(&target, schema::DIGEST)?.unwrap_or_default().to_owned(),
        size: size(&target)?.and_then(|size| i64::try_from(size).ok()).unwrap_or(0),
        ..Descriptor::default()
    };
    Ok(Some(Record {
        name: String::from_utf8_lossy(name).into_owned(),
        target,
        parent: labels(image)?.get(IMAGE_PARENT).and_then(|text| text.parse().ok()),
        created: time(image, schema::CREATED_AT)?,
        updated: time(image, schema::UPDATED_AT)?,
    }))
}

/// Makes one image of all records with the same target.
fn images(records: &Records, targets: &Targets<'_>, findings: &mut Vec<Finding>) -> Vec<Image> {
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
            let (manifests, best, findings) = targets.manifests(&records[0].target);
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

/// Snapshots do not say which tar they are; the configs of the images do.
fn layers(images: &[Image], records: &Records) -> BTreeMap<ChainId, Layer> {
    let mut layers = BTreeMap::new();
    for manifest in images.iter().flat_map(|image| &image.manifests) {
        let mut parent = None;
        for (diff_id, chain_id) in manifest.layers.iter().zip(manifest.chain()) {
            if let Some(size) = records.snapshot(chain_id) {
                layers.insert(chain_id, Layer { diff_id: *diff_id, parent, size });
            }
            parent = Some(chain_id);
        }
    }
    layers
}

/// Returns the finding that a blob which should be there cannot be read.
pub(super) fn unreadable(error: &Error) -> Finding {
    Finding::of("blob-unreadable", Severity::DataLost, error)
}
