//! What the garbage collector of containerd would keep, and a little more: in doubt a thing is reached.
//!
//! containerd v2 core/metadata/gc.go: roots are leases that have not ended, images, containers, what is
//! marked as one, and downloads that go on; labels lead from there.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::schema;
use crate::format::bbolt::{Node as Entry, OwnedBucket};
use crate::format::containerd::labels::{Edge, GC_EXPIRE, Node};
use crate::format::containerd::value;
use crate::format::time::Timestamp;

type Bucket<'a> = OwnedBucket<'a>;

/// Labels by which later versions keep things on conditions that are not known here.
const CONDITION: &str = "containerd.io/gc.cond";

/// Buckets of things that refer to others by labels and are never collected themselves.
const CONTAINERS: &[u8] = b"containers";
const SANDBOXES: &[u8] = b"sandboxes";
const SNAPSHOTTER: &[u8] = b"snapshotter";
const SNAPSHOT_KEY: &[u8] = b"snapshotKey";
const EXPECTED: &[u8] = b"expected";
const EXPIRES: &[u8] = b"expireat";

/// Returns the sub-buckets of `bucket`, as text; a name that is no text names nothing.
pub(super) fn children<'b, 'a>(
    bucket: Option<&'b Bucket<'a>>,
) -> impl Iterator<Item = (&'b str, &'b Bucket<'a>)> {
    bucket.into_iter().flat_map(Bucket::iter).filter_map(|(key, entry)| match entry {
        Entry::Bucket(child) => Some((std::str::from_utf8(key).ok()?, &**child)),
        Entry::Value(_) => None,
    })
}

/// Returns the keys of `bucket`, whatever they lead to, as text.
pub(super) fn keys<'b>(bucket: Option<&'b Bucket<'_>>) -> impl Iterator<Item = &'b str> {
    let all = bucket.into_iter().flat_map(Bucket::iter);
    all.filter_map(|(key, _)| std::str::from_utf8(key).ok())
}

pub(super) fn text<'b>(bucket: &'b Bucket<'_>, key: &[u8]) -> Option<&'b str> {
    std::str::from_utf8(bucket.get(key)?).ok()
}

pub(super) fn labels<'b>(bucket: &'b Bucket<'_>) -> impl Iterator<Item = (&'b str, &'b str)> {
    let all = bucket.child(schema::LABELS).into_iter().flat_map(Bucket::iter);
    all.filter_map(|(key, entry)| match entry {
        Entry::Value(value) => {
            Some((std::str::from_utf8(key).ok()?, std::str::from_utf8(value).ok()?))
        }
        Entry::Bucket(_) => None,
    })
}

pub(super) fn label<'b>(bucket: &'b Bucket<'_>, wanted: &str) -> Option<&'b str> {
    labels(bucket).find(|(key, _)| *key == wanted).map(|(_, value)| value)
}

/// Returns when a lease ended, if it has.
pub(super) fn ended(lease: &Bucket<'_>, now: Timestamp) -> Option<Timestamp> {
    let text = label(lease, GC_EXPIRE)?;
    Timestamp::parse(text).ok().filter(|end| *end < now)
}

/// Returns when a download ended without an end, if it has.
pub(super) fn given_up(ingest: &Bucket<'_>, now: Timestamp) -> Option<Timestamp> {
    let end = value::time(ingest.get(EXPIRES)?).ok()?;
    (end < now).then_some(end)
}

/// What is reached of a namespace.
pub(super) struct Reached<'b>(HashSet<Node<'b>>);

impl<'b> Reached<'b> {
    pub(super) fn of(namespace: &'b Bucket<'_>, now: Timestamp) -> Self {
        let mut graph = Graph::of(namespace);
        graph.add_roots(now);
        Self(graph.reach(graph.roots.clone()))
    }

    pub(super) fn has_blob(&self, digest: &'b str) -> bool {
        self.0.contains(&Node::Content(digest))
    }

    pub(super) fn has_snapshot(&self, snapshotter: &'b str, key: &'b str) -> bool {
        self.0.contains(&Node::Snapshot { snapshotter, key })
    }
}

/// What leads to what in a namespace.
pub(super) struct Graph<'b, 'a> {
    namespace: &'b Bucket<'a>,
    /// What lives as long as something else does, by that.
    held: HashMap<Node<'b>, Vec<Node<'b>>>,
    roots: Vec<Node<'b>>,
}

impl<'b, 'a> Graph<'b, 'a> {
    pub(super) fn of(namespace: &'b Bucket<'a>) -> Self {
        let mut graph = Graph { namespace, held: HashMap::new(), roots: Vec::new() };
        graph.add_marked();
        graph
    }

    /// Returns all that `start` leads to, and that itself.
    pub(super) fn reach(&self, start: Vec<Node<'b>>) -> HashSet<Node<'b>> {
        let (mut reached, mut left) = (HashSet::new(), start);
        while let Some(node) = left.pop() {
            if reached.insert(node.clone()) {
                left.extend(self.from(&node));
            }
        }
        reached
    }

    fn add_roots(&mut self, now: Timestamp) {
        let namespace = self.namespace;
        let leases = children(namespace.child(schema::LEASES));
        for (_, lease) in leases.filter(|(_, lease)| ended(lease, now).is_none()) {
            self.roots.extend(held_by(lease));
        }
        self.roots.extend(keys(namespace.child(schema::IMAGES)).map(Node::Image));
        for (id, container) in children(namespace.child(CONTAINERS)) {
            self.roots.push(Node::Container(id));
            let snapshotter = text(container, SNAPSHOTTER).unwrap_or_default();
            let key = text(container, SNAPSHOT_KEY).unwrap_or_default();
            self.roots.push(Node::Snapshot { snapshotter, key });
            self.roots.extend(to(container));
        }
        for (_, sandbox) in children(namespace.child(SANDBOXES)) {
            self.roots.extend(to(sandbox));
        }
        for (_, ingest) in children(namespace.at(&[schema::CONTENT, schema::INGESTS])) {
            self.roots.extend(text(ingest, EXPECTED).map(Node::Content));
        }
    }

    /// Adds what is marked as a root, and what is kept by something else without that one's knowing.
    fn add_marked(&mut self) {
        let namespace = self.namespace;
        let blobs = children(namespace.at(&[schema::CONTENT, schema::BLOB]));
        let mut all: Vec<(Node<'b>, &'b Bucket<'_>)> =
            blobs.map(|(digest, blob)| (Node::Content(digest), blob)).collect();
        for (snapshotter, snapshots) in children(namespace.child(schema::SNAPSHOTS)) {
            let node = |key| Node::Snapshot { snapshotter, key };
            all.extend(children(Some(snapshots)).map(|(key, one)| (node(key), one)));
        }
        for (node, bucket) in all {
            for (label, value) in labels(bucket) {
                match Edge::of(label, value) {
                    _ if label.starts_with(CONDITION) => self.roots.push(node.clone()),
                    Some(Edge::Root) => self.roots.push(node.clone()),
                    Some(Edge::From(keeper)) => {
                        self.held.entry(keeper).or_default().push(node.clone());
                    }
                    Some(Edge::To(_)) | None => {}
                }
            }
        }
    }

    /// Returns what lives as long as `node` does.
    fn from(&self, node: &Node<'b>) -> Vec<Node<'b>> {
        let mut found = self.held.get(node).cloned().unwrap_or_default();
        let at = |path: &[&[u8]]| self.namespace.at(path);
        let bucket = match node {
            Node::Content(digest) => at(&[schema::CONTENT, schema::BLOB, digest.as_bytes()]),
            Node::Snapshot { snapshotter, key } => {
                at(&[schema::SNAPSHOTS, snapshotter.as_bytes(), key.as_bytes()])
            }
            Node::Image(name) => at(&[schema::IMAGES, name.as_bytes()]),
            Node::Container(_) => None,
        };
        let Some(bucket) = bucket else { return found };
        found.extend(to(bucket));
        match node {
            Node::Image(_) => {
                let digest = bucket.child(schema::TARGET).and_then(|one| text(one, schema::DIGEST));
                found.extend(digest.map(Node::Content));
            }
            Node::Snapshot { snapshotter, .. } => {
                let parent = text(bucket, schema::PARENT);
                found.extend(parent.map(|key| Node::Snapshot { snapshotter, key }));
            }
            Node::Content(_) | Node::Container(_) => {}
        }
        found
    }
}

/// Returns what a lease names.
pub(super) fn held_by<'b>(lease: &'b Bucket<'_>) -> Vec<Node<'b>> {
    let mut held: Vec<_> = keys(lease.child(schema::CONTENT)).map(Node::Content).collect();
    held.extend(keys(lease.child(schema::IMAGES)).map(Node::Image));
    for (snapshotter, snapshots) in children(lease.child(schema::SNAPSHOTS)) {
        held.extend(keys(Some(snapshots)).map(|key| Node::Snapshot { snapshotter, key }));
    }
    held
}

/// Returns what the labels of a thing lead to.
fn to<'b>(bucket: &'b Bucket<'_>) -> impl Iterator<Item = Node<'b>> {
    labels(bucket).filter_map(|(label, value)| match Edge::of(label, value) {
        Some(Edge::To(node)) => Some(node),
        _ => None,
    })
}

/// Returns the blobs that something other than the documents `known` refers to: leases, and documents
/// that no image has.
pub(super) fn referred_elsewhere<'b>(
    namespace: &'b Bucket<'_>,
    known: &HashSet<String>,
) -> BTreeMap<&'b str, String> {
    let mut found = BTreeMap::new();
    for (id, lease) in children(namespace.child(schema::LEASES)) {
        for digest in keys(lease.child(schema::CONTENT)) {
            found.entry(digest).or_insert_with(|| format!("lease {id} holds it"));
        }
    }
    for (digest, blob) in children(namespace.at(&[schema::CONTENT, schema::BLOB])) {
        for node in to(blob).filter(|_| !known.contains(digest)) {
            if let Node::Content(child) = node {
                found.entry(child).or_insert_with(|| format!("{digest} names it"));
            }
        }
    }
    for (name, record) in children(namespace.child(schema::IMAGES)) {
        let target = record.child(schema::TARGET).and_then(|one| text(one, schema::DIGEST));
        if let Some(target) = target {
            found.entry(target).or_insert_with(|| format!("{name} is it"));
        }
    }
    found
}
