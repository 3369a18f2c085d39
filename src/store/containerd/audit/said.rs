//! All that both bolt files say, of every namespace.

use std::collections::{BTreeMap, HashMap};

use crate::error::DecodeError;
use crate::format::bbolt::{Bucket, Db, Item};
use crate::format::containerd::value;
use crate::store::containerd::metadata::{buckets, labels, size, text};
use crate::store::containerd::schema;

type Decoded<T> = Result<T, DecodeError>;
pub(super) type Labels<'a> = BTreeMap<&'a str, &'a str>;

/// A `meta.db`.
#[derive(Default)]
pub(super) struct Meta<'a> {
    /// Its schema; nothing where that is missing or no number.
    pub(super) version: Option<i64>,
    pub(super) spaces: Vec<Space<'a>>,
    /// Values where containerd wants a bucket, and what their keys are.
    pub(super) misplaced: Vec<String>,
}

/// One namespace.
#[derive(Default)]
pub(super) struct Space<'a> {
    pub(super) name: String,
    pub(super) images: Vec<ImageSaid<'a>>,
    pub(super) blobs: BTreeMap<&'a [u8], BlobSaid<'a>>,
    /// By snapshotter and key.
    pub(super) snapshots: BTreeMap<(&'a [u8], &'a [u8]), SnapshotSaid<'a>>,
    /// The last number each snapshotter's bucket handed out.
    pub(super) sequences: BTreeMap<&'a [u8], u64>,
    pub(super) leases: Vec<Lease<'a>>,
    pub(super) containers: Vec<ContainerSaid<'a>>,
    /// What the downloads in progress are called in the content store.
    pub(super) ingests: Vec<Option<&'a [u8]>>,
}

pub(super) struct ImageSaid<'a> {
    pub(super) name: &'a [u8],
    pub(super) has_target: bool,
    pub(super) target: Option<&'a str>,
    pub(super) labels: Labels<'a>,
}

pub(super) struct BlobSaid<'a> {
    pub(super) size: Option<u64>,
    pub(super) labels: Labels<'a>,
}

pub(super) struct SnapshotSaid<'a> {
    /// What the snapshotter's own file calls it.
    pub(super) name: Option<&'a [u8]>,
    pub(super) parent: Option<&'a [u8]>,
    pub(super) children: Vec<&'a [u8]>,
    pub(super) labels: Labels<'a>,
}

pub(super) struct Lease<'a> {
    pub(super) id: &'a [u8],
    pub(super) labels: Labels<'a>,
    pub(super) content: Vec<&'a [u8]>,
    /// Snapshotters and keys.
    pub(super) snapshots: Vec<(&'a [u8], &'a [u8])>,
    pub(super) images: Vec<&'a [u8]>,
    pub(super) ingests: usize,
}

pub(super) struct ContainerSaid<'a> {
    pub(super) snapshotter: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) labels: Labels<'a>,
}

impl<'a> Meta<'a> {
    pub(super) fn read(db: &Db<'a>) -> Decoded<Self> {
        let mut meta = Self::default();
        let Some(v1) = db.root().bucket(schema::V1)? else { return Ok(meta) };
        let version = v1.get(schema::VERSION)?;
        meta.version = version.and_then(|bytes| value::varint(bytes).ok());
        for (name, space) in buckets(&v1)? {
            let name = String::from_utf8_lossy(name).into_owned();
            let space = Space::read(name, &space, &mut meta.misplaced)?;
            meta.spaces.push(space);
        }
        Ok(meta)
    }
}

impl<'a> Space<'a> {
    fn read(name: String, from: &Bucket<'a>, misplaced: &mut Vec<String>) -> Decoded<Self> {
        let mut space = Self { name, ..Self::default() };
        let mut all = |path: &[&[u8]]| entries(from, path, misplaced);
        for (name, image) in all(&[schema::IMAGES])? {
            let target = image.bucket(schema::TARGET)?;
            let digest = target.map(|target| text(&target, schema::DIGEST)).transpose()?;
            space.images.push(ImageSaid {
                name,
                has_target: target.is_some(),
                target: digest.flatten(),
                labels: labels(&image)?,
            });
        }
        for (digest, blob) in all(&[schema::CONTENT, schema::BLOB])? {
            space.blobs.insert(digest, BlobSaid { size: size(&blob)?, labels: labels(&blob)? });
        }
        for (_, ingest) in all(&[schema::CONTENT, schema::INGESTS])? {
            space.ingests.push(ingest.get(b"ref")?);
        }
        for (snapshotter, found) in all(&[schema::SNAPSHOTS])? {
            space.sequences.insert(snapshotter, found.sequence());
            for (key, snapshot) in all(&[schema::SNAPSHOTS, snapshotter])? {
                let said = SnapshotSaid::read(&snapshot)?;
                space.snapshots.insert((snapshotter, key), said);
            }
        }
        for (id, lease) in all(&[schema::LEASES])? {
            space.leases.push(Lease::read(id, &lease)?);
        }
        for (_, container) in all(&[b"containers"])? {
            space.containers.push(ContainerSaid {
                snapshotter: text(&container, b"snapshotter")?,
                key: text(&container, b"snapshotKey")?,
                labels: labels(&container)?,
            });
        }
        Ok(space)
    }
}

impl<'a> SnapshotSaid<'a> {
    fn read(snapshot: &Bucket<'a>) -> Decoded<Self> {
        Ok(Self {
            name: snapshot.get(schema::NAME)?,
            parent: snapshot.get(schema::PARENT)?.filter(|parent| !parent.is_empty()),
            children: keys(snapshot.bucket(schema::CHILDREN)?)?,
            labels: labels(snapshot)?,
        })
    }
}

impl<'a> Lease<'a> {
    fn read(id: &'a [u8], lease: &Bucket<'a>) -> Decoded<Self> {
        let mut snapshots = Vec::new();
        if let Some(found) = lease.bucket(schema::SNAPSHOTS)? {
            for (snapshotter, of) in buckets(&found)? {
                snapshots.extend(keys(Some(of))?.into_iter().map(|key| (snapshotter, key)));
            }
        }
        Ok(Self {
            id,
            labels: labels(lease)?,
            content: keys(lease.bucket(schema::CONTENT)?)?,
            snapshots,
            images: keys(lease.bucket(schema::IMAGES)?)?,
            ingests: keys(lease.bucket(schema::INGESTS)?)?.len(),
        })
    }
}

/// Returns the buckets in the one at `path`. containerd's lists end at anything else with an error, or a
/// panic (containerd v2 core/metadata/images.go List and its like).
fn entries<'a>(
    from: &Bucket<'a>,
    path: &[&[u8]],
    misplaced: &mut Vec<String>,
) -> Decoded<Vec<(&'a [u8], Bucket<'a>)>> {
    let mut found = Vec::new();
    let Some(bucket) = from.at(path)? else { return Ok(found) };
    for entry in bucket.iter() {
        match entry? {
            (key, Item::Bucket(child)) => found.push((key, child)),
            (key, Item::Value(_)) => {
                let path = path.iter().chain([&key]).map(|name| String::from_utf8_lossy(name));
                misplaced.push(path.collect::<Vec<_>>().join("/"));
            }
        }
    }
    Ok(found)
}

fn keys<'a>(bucket: Option<Bucket<'a>>) -> Decoded<Vec<&'a [u8]>> {
    let entries = bucket.iter().flat_map(Bucket::iter);
    entries.map(|entry| entry.map(|(key, _)| key)).collect()
}

/// A snapshotter's `metadata.db`.
#[derive(Default)]
pub(super) struct Backend<'a> {
    /// Whether there is such a file.
    pub(super) is_there: bool,
    pub(super) snapshots: HashMap<&'a [u8], BackendSaid<'a>>,
    /// The last number it gave a folder.
    pub(super) sequence: u64,
    /// Links of parents to children, with what they lead to.
    pub(super) links: BTreeMap<&'a [u8], &'a [u8]>,
    /// Whether a bucket is missing that its code takes for given once there is a snapshot.
    pub(super) lacks_bucket: bool,
}

pub(super) struct BackendSaid<'a> {
    pub(super) id: Option<u64>,
    pub(super) kind: Option<u8>,
    pub(super) parent: Option<&'a [u8]>,
    pub(super) inodes: Option<i64>,
    pub(super) size: Option<i64>,
}

impl<'a> Backend<'a> {
    pub(super) fn read(db: &Db<'a>) -> Decoded<Self> {
        let mut backend = Self { is_there: true, ..Self::default() };
        let Some(v1) = db.root().bucket(schema::V1)? else { return Ok(backend) };
        let (snapshots, links) = (v1.bucket(schema::SNAPSHOTS)?, v1.bucket(schema::PARENTS)?);
        for entry in links.iter().flat_map(Bucket::iter) {
            if let (link, Item::Value(name)) = entry? {
                backend.links.insert(link, name);
            }
        }
        let Some(snapshots) = snapshots else { return Ok(backend) };
        backend.sequence = snapshots.sequence();
        for (name, snapshot) in buckets(&snapshots)? {
            let number = |key| -> Decoded<Option<i64>> {
                Ok(snapshot.get(key)?.and_then(|bytes| value::varint(bytes).ok()))
            };
            let kind = match snapshot.get(schema::KIND)? {
                Some(&[kind]) => Some(kind),
                _ => None,
            };
            let said = BackendSaid {
                id: snapshot.get(schema::ID)?.and_then(|id| value::uvarint(id).ok()),
                kind,
                parent: snapshot.get(schema::PARENT)?.filter(|parent| !parent.is_empty()),
                inodes: number(schema::INODES)?,
                size: number(schema::SIZE)?,
            };
            backend.snapshots.insert(name, said);
        }
        backend.lacks_bucket = links.is_none() && !backend.snapshots.is_empty();
        Ok(backend)
    }
}
