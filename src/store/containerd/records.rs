//! What both bolt files of a containerd root say, as far as reading its images needs it.

use std::collections::{BTreeMap, HashMap};

use super::metadata::{buckets, labels, namespace, size, text, time};
use super::{layout, schema};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{DecodeError, Error, Result};
use crate::format::bbolt::{Bucket, Db};
use crate::format::containerd::labels::{GC_REF, IMAGE_PARENT, UNCOMPRESSED};
use crate::format::containerd::value;
use crate::format::oci::Descriptor;
use crate::format::time::Timestamp;
use crate::tree::{Tree, optional, read_within};

/// A bolt file is read whole; one for a hundred thousand images is a few hundred megabytes.
pub(super) const BOLT_LIMIT: u64 = 4 << 30;

/// The name of the lease that keeps a classic image's registry documents (moby v28
/// distribution/manifest.go).
pub(super) const LEASE_PREFIX: &[u8] = b"moby-image-";

const GONE: &str = "containerd would begin with an empty one, show nothing, and remove what is here one \
                    day; `tranship repair` makes the file anew of what is here";

/// What both bolt files say, as far as an inventory needs it.
#[derive(Default)]
pub(super) struct Records {
    pub(super) images: Vec<Record>,
    pub(super) blobs: HashMap<BlobId, Blob>,
    /// The lengths of blobs that other namespaces have: Docker keeps the history of builds in one.
    pub(super) others: HashMap<BlobId, u64>,
    /// The snapshots that both files know, by their keys.
    snapshots: HashMap<String, Snapshot>,
    /// The registry documents kept for classic images.
    pub(super) originals: BTreeMap<ConfigId, Vec<BlobId>>,
    /// The labels of those documents; and of all other blobs the labels that their bytes do not tell,
    /// lest very many blobs take much memory.
    pub(super) labels: HashMap<BlobId, Vec<(String, String)>>,
    /// What the images' names point at.
    pub(super) targets: HashMap<BlobId, Descriptor>,
}

pub(super) struct Snapshot {
    pub(super) size: u64,
    /// Which folder of the snapshotter has its files.
    pub(super) folder: Option<u64>,
    pub(super) parent: Option<String>,
    /// Whether it will not change again: a container's does.
    is_committed: bool,
}

pub(super) struct Record {
    pub(super) name: String,
    pub(super) target: Descriptor,
    pub(super) parent: Option<Digest>,
    pub(super) created: Option<Timestamp>,
    pub(super) updated: Option<Timestamp>,
}

pub(super) struct Blob {
    pub(super) size: u64,
    pub(super) uncompressed: Option<DiffId>,
}

type Decoded<T> = std::result::Result<T, DecodeError>;

/// Sizes and folders of snapshots and whether they are committed, by their names in the snapshotter's
/// own file.
type Usage<'a> = HashMap<&'a [u8], (u64, Option<u64>, bool)>;

/// Reads both bolt files; one without the namespace holds nothing.
pub(super) fn records(tree: &dyn Tree, name: &str, snapshotter: &str) -> Result<Records> {
    let meta_path = layout::at(layout::META_DB.to_owned());
    let meta = match read_within(tree, meta_path.as_path(), BOLT_LIMIT) {
        Err(error) if error.is_missing() && is_left(tree, snapshotter)? => {
            let what = "the file is gone, and blobs or snapshots are here that it named";
            return Err(Error::corrupt(tree.place(meta_path.as_path()), what).hint(GONE));
        }
        read => read?,
    };
    let backend_path = layout::Snapshotter::new(snapshotter).metadata_db();
    let backend = optional(read_within(tree, backend_path.as_path(), BOLT_LIMIT))?;
    let usage = match &backend {
        Some(bytes) => {
            usage(bytes).map_err(|error| error.at(tree.place(backend_path.as_path())))?
        }
        None => HashMap::new(),
    };
    let read = || -> Decoded<Records> {
        let db = Db::open(&meta)?;
        let mut records = match namespace(&db, name)? {
            Some(namespace) => in_namespace(&namespace, snapshotter, &usage)?,
            None => Records::default(),
        };
        records.others = in_others(&db, name)?;
        Ok(records)
    };
    read().map_err(|error| error.at(tree.place(meta_path.as_path())))
}

/// Returns whether something is here that only `meta.db` can have named. What an interrupted run of ours
/// has moved to its place already is not: its `meta.db` is yet to come.
fn is_left(tree: &dyn Tree, snapshotter: &str) -> Result<bool> {
    let snapshots = layout::Snapshotter::new(snapshotter).snapshots();
    for folder in [layout::blobs(), snapshots] {
        if optional(tree.names(folder.as_path()))?.is_some_and(|names| !names.is_empty()) {
            return Ok(optional(tree.stat(layout::journal().as_path()))?.is_none());
        }
    }
    Ok(false)
}

impl Records {
    /// Returns the snapshot of one layer, if there is one.
    pub(super) fn snapshot(&self, chain_id: ChainId) -> Option<&Snapshot> {
        self.snapshots.get(&chain_id.to_string()).filter(|snapshot| snapshot.is_committed)
    }

    /// Returns the snapshot `key` and all that it stands on, the topmost first, each with its key.
    pub(super) fn stack(&self, key: &str) -> Vec<(&str, &Snapshot)> {
        let mut stack = Vec::new();
        let mut next = self.snapshots.get_key_value(key);
        // A loop of parents has no end.
        while let Some((key, snapshot)) = next.filter(|_| stack.len() < self.snapshots.len()) {
            stack.push((key.as_str(), snapshot));
            next = snapshot.parent.as_ref().and_then(|key| self.snapshots.get_key_value(key));
        }
        stack
    }

    /// Returns the size of a layer's snapshot and all that it stands on. What `docker commit` made
    /// stands on the container's init snapshot too, which is no layer.
    pub(super) fn unpacked(&self, top: ChainId) -> Option<u64> {
        self.snapshot(top)?;
        let stack = self.stack(&top.to_string());
        Some(stack.iter().fold(0, |total, (_, snapshot)| total.saturating_add(snapshot.size)))
    }
}

/// Returns what a `metadata.db` says of every snapshot that files are kept in, by its name there.
fn usage(bytes: &[u8]) -> Decoded<Usage<'_>> {
    let db = Db::open(bytes)?;
    let mut sizes = HashMap::new();
    if let Some(snapshots) = db.root().at(&[schema::V1, schema::SNAPSHOTS])? {
        for (name, snapshot) in buckets(&snapshots)? {
            let is_committed = match snapshot.get(schema::KIND)? {
                Some(&[schema::COMMITTED]) => true,
                Some(&[schema::ACTIVE]) => false,
                _ => continue,
            };
            let folder = snapshot.get(schema::ID)?.and_then(|id| value::uvarint(id).ok());
            sizes.insert(name, (size(&snapshot)?.unwrap_or(0), folder, is_committed));
        }
    }
    Ok(sizes)
}

fn in_namespace(namespace: &Bucket<'_>, snapshotter: &str, usage: &Usage<'_>) -> Decoded<Records> {
    let mut records = Records::default();
    if let Some(images) = namespace.bucket(schema::IMAGES)? {
        for (name, image) in buckets(&images)? {
            let record = record(name, &image)?;
            let target = record.as_ref().map(|record| &record.target);
            let target = target.and_then(|target| Some((target.blob()?, target.clone())));
            records.targets.extend(target);
            records.images.extend(record);
        }
    }
    if let Some(blobs) = namespace.at(&[schema::CONTENT, schema::BLOB])? {
        for (digest, blob) in buckets(&blobs)? {
            let Some(digest) = parsed(digest).map(BlobId) else { continue };
            let labels = labels(&blob)?;
            let uncompressed = labels.get(UNCOMPRESSED).and_then(|text| text.parse().ok());
            let told = labels.iter().filter(|(key, _)| !is_implied(key));
            let told: Vec<_> = told.map(owned).collect();
            if !told.is_empty() {
                records.labels.insert(digest, told);
            }
            let blob = Blob { size: size(&blob)?.unwrap_or(0), uncompressed };
            records.blobs.insert(digest, blob);
        }
    }
    if let Some(snapshots) = namespace.at(&[schema::SNAPSHOTS, snapshotter.as_bytes()])? {
        for (key, snapshot) in buckets(&snapshots)? {
            let known = snapshot.get(schema::NAME)?.and_then(|name| usage.get(name));
            if let Some((size, folder, is_committed)) = known.copied() {
                let parent = text(&snapshot, schema::PARENT)?.map(str::to_owned);
                let key = String::from_utf8_lossy(key).into_owned();
                records.snapshots.insert(key, Snapshot { size, folder, parent, is_committed });
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
                    records.labels.insert(*blob, blob_labels(namespace, *blob)?);
                }
                records.originals.insert(ConfigId(image), blobs);
            }
        }
    }
    Ok(records)
}

fn in_others(db: &Db<'_>, own: &str) -> Decoded<HashMap<BlobId, u64>> {
    let mut others = HashMap::new();
    let Some(v1) = db.root().bucket(schema::V1)? else { return Ok(others) };
    for (_, namespace) in buckets(&v1)?.iter().filter(|(name, _)| *name != own.as_bytes()) {
        let Some(blobs) = namespace.at(&[schema::CONTENT, schema::BLOB])? else { continue };
        for (digest, blob) in buckets(&blobs)? {
            if let (Some(digest), Some(size)) = (parsed(digest), size(&blob)?) {
                others.insert(BlobId(digest), size);
            }
        }
    }
    Ok(others)
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

fn blob_labels(namespace: &Bucket<'_>, blob: BlobId) -> Decoded<Vec<(String, String)>> {
    let digest = blob.to_string();
    let path = [schema::CONTENT, schema::BLOB, digest.as_bytes()];
    let Some(bucket) = namespace.at(&path)? else { return Ok(Vec::new()) };
    Ok(labels(&bucket)?.iter().map(owned).collect())
}

fn owned((key, value): (&&str, &&str)) -> (String, String) {
    ((*key).to_owned(), (*value).to_owned())
}

/// Returns whether a label says only what the bytes say: what they refer to, and what they unpack to.
fn is_implied(key: &str) -> bool {
    key.starts_with(GC_REF) || key == UNCOMPRESSED
}
