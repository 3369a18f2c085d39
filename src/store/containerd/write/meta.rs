//! The entries of both bolt files.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::journal::Moves;
use super::super::schema;
use crate::digest::{BlobId, ChainId};
use crate::format::bbolt::{Node, OwnedBucket};
use crate::format::containerd::{key, value};
use crate::format::time::Timestamp;

type Bucket<'a> = OwnedBucket<'a>;

/// Labels of one entry.
pub(in crate::store::containerd) type Labels = BTreeMap<String, String>;

/// Writes the time of making and of the last change, the first only if there is none.
fn stamp(bucket: &mut Bucket<'_>, created: Timestamp, updated: Timestamp) {
    if bucket.get(schema::CREATED_AT).is_none() {
        bucket.put(schema::CREATED_AT, value::encode_time(created).to_vec());
    }
    bucket.put(schema::UPDATED_AT, value::encode_time(updated).to_vec());
}

/// containerd drops labels without a value, and has no bucket for no labels (containerd v2
/// core/metadata/boltutil/helpers.go).
fn put_labels(bucket: &mut Bucket<'_>, labels: &Labels) {
    for (key, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        bucket.bucket_mut(schema::LABELS).put(key.clone().into_bytes(), value.clone().into_bytes());
    }
}

fn varint(number: u64) -> Vec<u8> {
    value::encode_varint(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The entries of one namespace of `meta.db`.
pub(in crate::store::containerd) struct Namespace<'n, 'a> {
    name: String,
    bucket: &'n mut Bucket<'a>,
    now: Timestamp,
}

impl<'n, 'a> Namespace<'n, 'a> {
    /// Returns the namespace called `name`, made if there is none, with the buckets that containerd
    /// makes with the first image.
    pub(in crate::store::containerd) fn of(
        root: &'n mut Bucket<'a>,
        name: &str,
        now: Timestamp,
    ) -> Self {
        let v1 = root.bucket_mut(schema::V1);
        if v1.get(schema::VERSION).is_none() {
            v1.put(schema::VERSION, value::encode_varint(schema::FIRST_VERSION));
        }
        let bucket = v1.bucket_mut(name.as_bytes().to_vec());
        bucket.path_mut(&[schema::CONTENT, schema::INGESTS]);
        Self { name: name.to_owned(), bucket, now }
    }

    /// Adds a blob, or labels to one that is there.
    pub(in crate::store::containerd) fn add_blob(
        &mut self,
        blob: BlobId,
        size: u64,
        labels: &Labels,
    ) {
        let digest = blob.to_string();
        let entry = self.bucket.path_mut(&[schema::CONTENT, schema::BLOB, digest.as_bytes()]);
        entry.put(schema::SIZE, varint(size));
        stamp(entry, self.now, self.now);
        put_labels(entry, labels);
    }

    /// Adds labels to a blob that is there.
    pub(in crate::store::containerd) fn add_labels(&mut self, blob: BlobId, labels: &Labels) {
        let digest = blob.to_string();
        let entry = self.bucket.path_mut(&[schema::CONTENT, schema::BLOB, digest.as_bytes()]);
        put_labels(entry, labels);
    }

    /// Adds a lease on blobs, in the place of one of that name.
    pub(in crate::store::containerd) fn add_lease(
        &mut self,
        id: Vec<u8>,
        blobs: impl Iterator<Item = BlobId>,
    ) {
        let now = value::encode_time(self.now).to_vec();
        let lease = self.bucket.bucket_mut(schema::LEASES).bucket_mut(id);
        lease.put(schema::CREATED_AT, now);
        let content = lease.bucket_mut(schema::CONTENT);
        blobs.for_each(|blob| drop(content.put(blob.to_string().into_bytes(), Vec::new())));
    }

    /// Adds a lease on snapshots that does not end, in the place of one of that name.
    pub(in crate::store::containerd) fn add_snapshot_lease(
        &mut self,
        id: &str,
        snapshotter: &str,
        keys: &[String],
    ) {
        let now = value::encode_time(self.now).to_vec();
        let leases = self.bucket.bucket_mut(schema::LEASES);
        leases.remove(id.as_bytes());
        let lease = leases.bucket_mut(id.as_bytes().to_vec());
        lease.put(schema::CREATED_AT, now);
        let snapshots = lease.path_mut(&[schema::SNAPSHOTS, snapshotter.as_bytes()]);
        keys.iter().for_each(|key| drop(snapshots.put(key.clone().into_bytes(), Vec::new())));
    }

    /// Adds a snapshot in the place of one of that key. What stands on that stands on this one then: what
    /// `docker commit` made stands on its container's init snapshot.
    pub(in crate::store::containerd) fn replace_snapshot(
        &mut self,
        snapshotter: &str,
        key: &str,
        parent: Option<&str>,
        backend: &Bucket<'_>,
    ) -> String {
        let path = [schema::SNAPSHOTS, snapshotter.as_bytes()];
        let all = self.bucket.path_mut(&path);
        let old = all.remove(key.as_bytes());
        let mut children = None;
        if let Some(Node::Bucket(mut old)) = old {
            children = old.remove(schema::CHILDREN);
            let parent = old.get(schema::PARENT).map(<[u8]>::to_vec);
            if let Some(parent) = parent.filter(|parent| all.child(parent).is_some()) {
                all.path_mut(&[&parent, schema::CHILDREN]).remove(key.as_bytes());
            }
        }
        let name = self.add_snapshot(snapshotter, key, parent, backend);
        if let Some(Node::Bucket(children)) = children {
            let entry = self.bucket.path_mut(&path).bucket_mut(key.as_bytes().to_vec());
            entry.put_bucket(schema::CHILDREN.to_vec(), *children);
        }
        name
    }

    /// Adds a snapshot; returns its name in the snapshotter's own file, `backend`, where it
    /// is new.
    ///
    /// containerd takes two numbers for each: one to extract into, and the next for what is committed.
    /// Here the first is used and the second passed over. So if the power fails with only the
    /// snapshotter's file in its place, a daemon that pulls the same image does not come upon a name
    /// that is taken.
    pub(in crate::store::containerd) fn add_snapshot(
        &mut self,
        snapshotter: &str,
        key: &str,
        parent: Option<&str>,
        backend: &Bucket<'_>,
    ) -> String {
        let now = self.now;
        let key = key.to_owned();
        let all = self.bucket.path_mut(&[schema::SNAPSHOTS, snapshotter.as_bytes()]);
        let taken = backend.at(&[schema::V1, schema::SNAPSHOTS]);
        let name = loop {
            let number = all.next_sequence();
            let _passed_over = all.next_sequence();
            let name = key::BackendKey { namespace: self.name.clone(), number, key: key.clone() };
            let name = name.to_string();
            if taken.is_none_or(|taken| taken.child(name.as_bytes()).is_none()) {
                break name;
            }
        };
        let entry = all.bucket_mut(key.clone().into_bytes());
        entry.put(schema::NAME, name.clone().into_bytes());
        stamp(entry, now, now);
        if let Some(parent) = parent {
            let parent = parent.as_bytes().to_vec();
            entry.put(schema::PARENT, parent.clone());
            let parent = all.bucket_mut(parent);
            parent.bucket_mut(schema::CHILDREN).put(key.into_bytes(), Vec::new());
        }
        name
    }

    /// Returns the name of a snapshot in the snapshotter's own file.
    pub(in crate::store::containerd) fn snapshot(
        &self,
        snapshotter: &str,
        key: &str,
    ) -> Option<Vec<u8>> {
        let entry = self.bucket.at(&[schema::SNAPSHOTS, snapshotter.as_bytes(), key.as_bytes()])?;
        entry.get(schema::NAME).map(<[u8]>::to_vec)
    }

    /// Returns the digest that the record `name` points at.
    pub(in crate::store::containerd) fn target(&self, name: &str) -> Option<String> {
        let target = self.bucket.at(&[schema::IMAGES, name.as_bytes(), schema::TARGET])?;
        Some(String::from_utf8_lossy(target.get(schema::DIGEST)?).into_owned())
    }

    /// Returns how many records point at `digest`.
    pub(in crate::store::containerd) fn count_targets(&self, digest: &str) -> usize {
        let images = self.bucket.child(schema::IMAGES).into_iter().flat_map(Bucket::iter);
        let is_target = |node: &Node<'_>| match node {
            Node::Bucket(record) => {
                let target = record.child(schema::TARGET);
                target.and_then(|t| t.get(schema::DIGEST)) == Some(digest.as_bytes())
            }
            Node::Value(_) => false,
        };
        images.filter(|(_, node)| is_target(node)).count()
    }

    /// Adds a record, in the place of one of that name.
    pub(in crate::store::containerd) fn add_record(&mut self, name: &str, record: &Record) {
        let images = self.bucket.bucket_mut(schema::IMAGES);
        images.remove(name.as_bytes());
        let entry = images.bucket_mut(name.as_bytes().to_vec());
        stamp(entry, record.created, record.updated);
        let target = entry.bucket_mut(schema::TARGET);
        target.put(schema::DIGEST, record.target.to_string().into_bytes());
        target.put(schema::MEDIA_TYPE, record.media_type.as_bytes().to_vec());
        target.put(schema::SIZE, varint(record.size));
        put_labels(entry, &record.labels);
    }

    /// Gives the record `name` another name.
    pub(in crate::store::containerd) fn rename_record(&mut self, name: &str, to: &str) {
        let images = self.bucket.bucket_mut(schema::IMAGES);
        if let Some(Node::Bucket(entry)) = images.remove(name.as_bytes()) {
            images.put_bucket(to.as_bytes().to_vec(), *entry);
        }
    }

    pub(in crate::store::containerd) fn remove_record(&mut self, name: &str) {
        self.bucket.bucket_mut(schema::IMAGES).remove(name.as_bytes());
    }
}

/// An image under one name.
pub(in crate::store::containerd) struct Record {
    pub(in crate::store::containerd) target: BlobId,
    pub(in crate::store::containerd) media_type: String,
    pub(in crate::store::containerd) size: u64,
    pub(in crate::store::containerd) created: Timestamp,
    pub(in crate::store::containerd) updated: Timestamp,
    pub(in crate::store::containerd) labels: Labels,
}

/// One snapshot of the snapshotter's own `metadata.db`.
pub(in crate::store::containerd) struct Snapshot {
    pub(in crate::store::containerd) name: Vec<u8>,
    pub(in crate::store::containerd) parent: Option<Vec<u8>>,
    pub(in crate::store::containerd) folder: u64,
    pub(in crate::store::containerd) usage: Usage,
    pub(in crate::store::containerd) now: Timestamp,
}

/// Whether a snapshot will change again; if not, what it takes.
#[derive(Clone, Copy)]
pub(in crate::store::containerd) enum Usage {
    Active,
    Committed { inodes: u64, size: u64 },
}

/// Adds a snapshot to a `metadata.db`.
pub(in crate::store::containerd) fn add_to_backend(root: &mut Bucket<'_>, snapshot: &Snapshot) {
    let v1 = root.bucket_mut(schema::V1);
    v1.bucket_mut(schema::PARENTS);
    let all = v1.bucket_mut(schema::SNAPSHOTS);
    let parent_folder = snapshot
        .parent
        .as_ref()
        .and_then(|parent| value::uvarint(all.child(parent)?.get(schema::ID)?).ok());
    all.sequence = all.sequence.max(snapshot.folder);
    let entry = all.bucket_mut(snapshot.name.clone());
    entry.put(schema::ID, value::encode_uvarint(snapshot.folder));
    stamp(entry, snapshot.now, snapshot.now);
    match snapshot.usage {
        Usage::Active => _ = entry.put(schema::KIND, vec![schema::ACTIVE]),
        Usage::Committed { inodes, size } => {
            entry.put(schema::KIND, vec![schema::COMMITTED]);
            entry.put(schema::INODES, varint(inodes));
            entry.put(schema::SIZE, varint(size));
        }
    }
    if let Some(parent) = &snapshot.parent {
        entry.put(schema::PARENT, parent.clone());
    }
    if let Some(parent) = parent_folder {
        let link = key::encode_parent_link(parent, snapshot.folder);
        v1.bucket_mut(schema::PARENTS).put(link, snapshot.name.clone());
    }
}

/// Removes the snapshots with these folders from a `metadata.db`.
pub(in crate::store::containerd) fn forget(root: &mut Bucket<'_>, folders: &HashSet<u64>) {
    if folders.is_empty() {
        return;
    }
    let v1 = root.bucket_mut(schema::V1);
    let is_one = |node: &Node<'_>| match node {
        Node::Bucket(snapshot) => {
            let id = snapshot.get(schema::ID).and_then(|id| value::uvarint(id).ok());
            id.is_some_and(|id| folders.contains(&id))
        }
        Node::Value(_) => false,
    };
    let is_link = |link: &[u8]| match key::parent_link(link) {
        Ok((_, child)) => folders.contains(&child),
        Err(_) => false,
    };
    let all = v1.bucket_mut(schema::SNAPSHOTS);
    let old: Vec<_> = all.iter().filter(|(_, n)| is_one(n)).map(|(k, _)| k.to_vec()).collect();
    old.iter().for_each(|name| drop(all.remove(name)));
    let parents = v1.bucket_mut(schema::PARENTS);
    let old: Vec<_> = parents.iter().map(|(k, _)| k.to_vec()).filter(|k| is_link(k)).collect();
    old.iter().for_each(|link| drop(parents.remove(link)));
}

/// Returns what an interrupted commit added to `metadata.db` and not to `meta.db`, by the snapshots' keys,
/// with the folders.
pub(in crate::store::containerd) fn unnamed(
    meta: &Bucket<'_>,
    backend: &Bucket<'_>,
    moves: &Moves,
) -> BTreeMap<String, u64> {
    let Some(all) = backend.at(&[schema::V1, schema::SNAPSHOTS]) else { return BTreeMap::new() };
    let chains = moves.folders.iter().map(|(chain_id, folder)| (chain_id.to_string(), *folder));
    let is_plain = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let containers = moves.containers.clone().into_iter().filter(|(key, _)| is_plain(key));
    let ours: BTreeMap<_, _> = chains.chain(containers).collect();
    let made_at = value::encode_time(moves.made_at);
    let named = names(meta, &moves.namespace, &moves.snapshotter);
    let mut unnamed = BTreeMap::new();
    for (name, snapshot) in all.iter().filter_map(|(name, _)| Some((name, all.child(name)?))) {
        let parsed = key::BackendKey::parse(name).ok();
        let key = parsed.filter(|parsed| parsed.namespace == moves.namespace);
        let key = key.map(|parsed| parsed.key);
        let folder = snapshot.get(schema::ID).and_then(|id| value::uvarint(id).ok());
        if let (Some(key), Some(folder)) = (key, folder)
            && ours.get(&key) == Some(&folder)
            && snapshot.get(schema::CREATED_AT) == Some(&made_at)
            && !named.contains_key(name)
        {
            unnamed.insert(key, folder);
        }
    }
    unnamed
}

/// Returns the names that `meta.db` has for snapshots in the snapshotter's file, with the keys.
fn names<'b>(
    meta: &'b Bucket<'_>,
    namespace: &str,
    snapshotter: &str,
) -> HashMap<&'b [u8], &'b [u8]> {
    let path = [schema::V1, namespace.as_bytes(), schema::SNAPSHOTS, snapshotter.as_bytes()];
    let all = meta.at(&path).into_iter().flat_map(Bucket::iter);
    let name = |(key, node): (&'b [u8], &'b Node<'_>)| match node {
        Node::Bucket(snapshot) => Some((snapshot.get(schema::NAME)?, key)),
        Node::Value(_) => None,
    };
    all.filter_map(name).collect()
}

/// Returns the chains that have a snapshot which both files know.
pub(in crate::store::containerd) fn chains(
    meta: &Bucket<'_>,
    backend: &Bucket<'_>,
    namespace: &str,
    snapshotter: &str,
) -> HashSet<ChainId> {
    let Some(all) = backend.at(&[schema::V1, schema::SNAPSHOTS]) else { return HashSet::new() };
    let names = names(meta, namespace, snapshotter);
    let known = names.into_iter().filter(|(name, _)| all.child(name).is_some());
    known.filter_map(|(_, key)| std::str::from_utf8(key).ok()?.parse().ok()).collect()
}

/// Returns every folder that a `metadata.db` names, and the last number it handed out.
pub(in crate::store::containerd) fn folders(root: &Bucket<'_>) -> (HashSet<u64>, u64) {
    let Some(all) = root.at(&[schema::V1, schema::SNAPSHOTS]) else { return Default::default() };
    let names = all.iter().map(|(name, _)| name);
    let folders = names.filter_map(|name| value::uvarint(all.child(name)?.get(schema::ID)?).ok());
    (folders.collect(), all.sequence)
}
