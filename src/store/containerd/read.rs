//! Reading a containerd root.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use super::metadata::{buckets, labels, namespace, size, text, time};
use super::target::Targets;
use super::{layout, schema};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{DecodeError, Error, Result};
use crate::format::bbolt::Db;
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
    /// Sizes of the snapshots that both files know.
    pub(super) snapshots: HashMap<ChainId, u64>,
    originals: BTreeMap<ConfigId, Vec<BlobId>>,
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
        let (inventory, originals) = Self::read(&*tree, namespace, snapshotter, host)?;
        Ok(Self { tree, namespace: namespace.to_owned(), inventory, originals })
    }

    /// Reads what [`open`](Self::open) reads, and keeps no hold of the tree.
    pub(super) fn read(
        tree: &dyn Tree,
        namespace: &str,
        snapshotter: &str,
        host: &Platform,
    ) -> Result<(Inventory, BTreeMap<ConfigId, Vec<BlobId>>)> {
        let mut inventory = Inventory::new(StoreKind::Containerd, snapshotter);
        let records = records(tree, namespace, snapshotter)?;
        let targets = Targets { tree, records: &records, host };
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
        Ok((inventory, records.originals))
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
        let file = layout::at(layout::META_DB.to_owned());
        let db = read_within(&*self.tree, file.as_path(), BOLT_LIMIT)?;
        let found = Db::open(&db).and_then(|db| blob_labels(&db, &self.namespace, blob));
        let labels = found.map_err(|error| error.at(self.tree.place(file.as_path())))?;
        Ok(Document { bytes, labels })
    }
}

fn blob_labels(db: &Db<'_>, name: &str, blob: BlobId) -> Decoded<Vec<(String, String)>> {
    let Some(namespace) = namespace(db, name)? else { return Ok(Vec::new()) };
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
    fn empty() -> Self {
        Self {
            images: Vec::new(),
            blobs: HashMap::new(),
            snapshots: HashMap::new(),
            originals: BTreeMap::new(),
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
    namespace: &crate::format::bbolt::Bucket<'_>,
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
            if let (Some(chain), Some(size)) = (parsed(key), size) {
                records.snapshots.insert(ChainId(chain), *size);
            }
        }
    }
    if let Some(leases) = namespace.bucket(schema::LEASES)? {
        for (id, lease) in buckets(&leases)? {
            let image = id.strip_prefix(LEASE_PREFIX).and_then(parsed);
            if let (Some(image), Some(content)) = (image, lease.bucket(schema::CONTENT)?) {
                let keys = content.iter().map(|entry| entry.map(|(key, _)| parsed(key)));
                let blobs = keys.collect::<Decoded<Vec<_>>>()?;
                let blobs = blobs.into_iter().flatten().map(BlobId).collect();
                records.originals.insert(ConfigId(image), blobs);
            }
        }
    }
    Ok(records)
}

fn parsed(text: &[u8]) -> Option<Digest> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn record(name: &[u8], image: &crate::format::bbolt::Bucket<'_>) -> Decoded<Option<Record>> {
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
            if let Some(size) = records.snapshots.get(&chain_id) {
                layers.insert(chain_id, Layer { diff_id: *diff_id, parent, size: *size });
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
