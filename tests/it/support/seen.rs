//! What a daemon would see of a containerd root, and whether it all holds together.
//!
//! Reads the two bolt files by containerd's own rules (FORMATS of the snapshotter and of the metadata
//! store), not by the store under test.

use std::collections::{BTreeMap, BTreeSet};

use tranship::digest::Digest;
use tranship::format::bbolt::{self, Db, Node, OwnedBucket};
use tranship::format::containerd::{key, value};
use tranship::tree::{Kind, Time, Tree, TreePath, TreePathBuf, path, read, walk};

pub(crate) const META: &str = "io.containerd.metadata.v1.bolt/meta.db";
pub(crate) const BACKEND: &str = "io.containerd.snapshotter.v1.overlayfs/metadata.db";
pub(crate) const FOLDERS: &str = "io.containerd.snapshotter.v1.overlayfs/snapshots";
pub(crate) const BLOBS: &str = "io.containerd.content.v1.content/blobs/sha256";

type Bucket = OwnedBucket<'static>;
type Labels = BTreeMap<String, String>;

/// All that a daemon would see in the namespace `moby`, whatever numbers it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) blobs: BTreeMap<String, Blob>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// Everything else in the file: leases, other namespaces, the version.
    pub(crate) others: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) target: String,
    pub(crate) media_type: String,
    pub(crate) size: i64,
    pub(crate) created: Time,
    pub(crate) updated: Time,
    pub(crate) labels: Labels,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) size: i64,
    pub(crate) labels: Labels,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) parent: Option<String>,
    pub(crate) children: BTreeSet<String>,
    pub(crate) usage: (i64, i64),
    pub(crate) files: Vec<String>,
}

/// Returns what a daemon would see, or the first thing that does not hold.
pub(crate) fn look(tree: &dyn Tree) -> Result<Seen, String> {
    let backend = bolt(tree, BACKEND)?.unwrap_or_default();
    folders_are_named(tree, &backend)?;
    let Some(meta) = bolt(tree, META)? else { return Ok(Seen::default()) };
    let mut seen = Seen::default();
    let namespace = meta.at(&[b"v1", b"moby"]).cloned().unwrap_or_default();
    for (name, record) in children(namespace.child(b"images")) {
        seen.records.insert(name, record_of(record)?);
    }
    for (digest, blob) in children(namespace.at(&[b"content", b"blob"])) {
        let size = number(blob, b"size")?;
        blob_is_sound(tree, &digest, size)?;
        seen.blobs.insert(digest, Blob { size, labels: labels(blob) });
    }
    let snapshots = namespace.at(&[b"snapshots", b"overlayfs"]).cloned().unwrap_or_default();
    for (key, snapshot) in children(Some(&snapshots)) {
        let found = snapshot_of(tree, &key, snapshot, &snapshots, &backend)
            .map_err(|error| format!("snapshot {key}: {error}"))?;
        seen.snapshots.insert(key, found);
    }
    records_hold(&seen)?;
    dump(&meta, "", &mut seen.others);
    Ok(seen)
}

/// Returns what no daemon sees and nobody should leave behind.
pub(crate) fn leftovers(tree: &dyn Tree) -> Vec<String> {
    let mut left = Vec::new();
    walk(tree, TreePath::ROOT, &mut |path, entry| {
        let ours = entry.name.starts_with(b".tranship") || entry.name == b"tranship";
        if ours {
            left.push(path.to_string());
        }
        Ok(true)
    })
    .expect("memory can be read");
    let backend = bolt(tree, BACKEND).expect("sound").unwrap_or_default();
    let meta = bolt(tree, META).expect("sound").unwrap_or_default();
    let known = meta.at(&[b"v1", b"moby", b"snapshots", b"overlayfs"]);
    let known: BTreeSet<_> = children(known).filter_map(|(_, s)| text(s, b"name").ok()).collect();
    for (name, _) in children(backend.at(&[b"v1", b"snapshots"])) {
        if !known.contains(&name) {
            left.push(format!("{name} of the snapshotter"));
        }
    }
    let blobs = meta.at(&[b"v1", b"moby", b"content", b"blob"]).cloned().unwrap_or_default();
    for name in tree.names(path(BLOBS)).unwrap_or_default() {
        let digest = [b"sha256:", name.as_slice()].concat();
        if blobs.child(&digest).is_none() {
            left.push(format!("blob {}", String::from_utf8_lossy(&name)));
        }
    }
    left
}

/// Returns a bolt file as a value; it must pass bbolt's own check.
pub(crate) fn bolt(tree: &dyn Tree, file: &str) -> Result<Option<Bucket>, String> {
    let Ok(bytes) = read(tree, path(file)) else { return Ok(None) };
    bbolt::check(&bytes).map_err(|error| format!("{file}: {error}"))?;
    let root = Db::open(&bytes).and_then(|db| bbolt::load(&db));
    root.map(|root| Some(root.into_owned())).map_err(|error| format!("{file}: {error}"))
}

/// Returns every file below `dir` as a line: kind, owner, mode, time, content, attributes.
pub(crate) fn listing(tree: &dyn Tree, dir: TreePath<'_>) -> Vec<String> {
    let mut lines = vec![line(tree, dir, dir)];
    walk(tree, dir, &mut |path, _| {
        lines.push(line(tree, path, dir));
        Ok(true)
    })
    .expect("a tree that can be read");
    lines
}

fn line(tree: &dyn Tree, at: TreePath<'_>, root: TreePath<'_>) -> String {
    let found = tree.stat(at).expect("it was listed");
    let content = match found.kind {
        Kind::File => Digest::of(&read(tree, at).expect("a file")).short(),
        Kind::Symlink => String::from_utf8_lossy(&tree.read_link(at).expect("a link")).into(),
        _ => format!("{:?}", found.rdev),
    };
    let xattrs = tree.xattrs(at).expect("it was listed");
    let xattrs: Vec<_> = xattrs.iter().map(|(k, v)| (lossy(k), lossy(v))).collect();
    let below = at.below(root).unwrap_or(at).to_owned();
    let links = if found.kind == Kind::File { found.nlink } else { 1 };
    format!(
        "{below} {:?} {:o} {}:{} {} x{links} {content} {xattrs:?}",
        found.kind, found.mode, found.uid, found.gid, found.mtime.seconds
    )
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the buckets in a bucket, by their names.
pub(crate) fn children(bucket: Option<&Bucket>) -> impl Iterator<Item = (String, &Bucket)> {
    let entries = bucket.into_iter().flat_map(Bucket::iter);
    entries.filter_map(|(key, node)| match node {
        Node::Bucket(child) => Some((lossy(key), &**child)),
        Node::Value(_) => None,
    })
}

fn text(bucket: &Bucket, key: &[u8]) -> Result<String, String> {
    bucket.get(key).map(lossy).ok_or_else(|| format!("no `{}`", lossy(key)))
}

fn number(bucket: &Bucket, key: &[u8]) -> Result<i64, String> {
    let bytes = bucket.get(key).ok_or_else(|| format!("no `{}`", lossy(key)))?;
    value::varint(bytes).map_err(|error| error.to_string())
}

fn time(bucket: &Bucket, key: &[u8]) -> Result<Time, String> {
    let bytes = bucket.get(key).ok_or_else(|| format!("no `{}`", lossy(key)))?;
    value::time(bytes).map_err(|error| error.to_string())
}

fn labels(bucket: &Bucket) -> Labels {
    let entries = bucket.child(b"labels").into_iter().flat_map(Bucket::iter);
    let text = |(key, node): (&[u8], &Node<'_>)| match node {
        Node::Value(value) => Some((lossy(key), lossy(value))),
        Node::Bucket(_) => None,
    };
    entries.filter_map(text).collect()
}

fn record_of(record: &Bucket) -> Result<Record, String> {
    let target = record.child(b"target").ok_or("a record without target")?;
    Ok(Record {
        target: text(target, b"digest")?,
        media_type: text(target, b"mediatype")?,
        size: number(target, b"size")?,
        created: time(record, b"createdat")?,
        updated: time(record, b"updatedat")?,
        labels: labels(record),
    })
}

fn blob_is_sound(tree: &dyn Tree, digest: &str, size: i64) -> Result<(), String> {
    let hex = digest.strip_prefix("sha256:").ok_or_else(|| format!("blob {digest}"))?;
    let file = format!("{BLOBS}/{hex}");
    let bytes = read(tree, path(&file)).map_err(|error| error.to_string())?;
    let found = Digest::of(&bytes).to_string();
    if found != digest || i64::try_from(bytes.len()) != Ok(size) {
        return Err(format!("blob {digest}: {} bytes, noted {size}, hash {found}", bytes.len()));
    }
    Ok(())
}

pub(crate) fn id(snapshot: &Bucket) -> Result<u64, String> {
    value::uvarint(snapshot.get(b"id").ok_or("no id")?).map_err(|error| error.to_string())
}

fn snapshot_of(
    tree: &dyn Tree,
    key: &str,
    snapshot: &Bucket,
    all: &Bucket,
    backend: &Bucket,
) -> Result<Snapshot, String> {
    let name = text(snapshot, b"name")?;
    let parts = key::BackendKey::parse(name.as_bytes()).map_err(|error| error.to_string())?;
    if parts.namespace != "moby" || parts.key != key || parts.number > all.sequence {
        return Err(format!("called {name}, and the sequence stands at {}", all.sequence));
    }
    let v1 = backend.child(b"v1").ok_or("the snapshotter has nothing")?;
    let known = v1.child(b"snapshots").ok_or("the snapshotter has no snapshots")?;
    let own = known.child(name.as_bytes()).ok_or_else(|| format!("no {name}"))?;
    let parent = text(snapshot, b"parent").ok();
    if let Some(parent) = &parent {
        let upper = all.child(parent.as_bytes()).ok_or_else(|| format!("no parent {parent}"))?;
        let child = upper.child(b"children").and_then(|c| c.get(key.as_bytes()));
        child.ok_or_else(|| format!("not among the children of {parent}"))?;
        let parent_name = text(upper, b"name")?;
        if text(own, b"parent")? != parent_name {
            return Err(format!("another parent at the snapshotter than {parent_name}"));
        }
        let upper = known.child(parent_name.as_bytes()).ok_or("no parent at the snapshotter")?;
        let link = key::encode_parent_link(id(upper)?, id(own)?);
        let links = v1.child(b"parents").ok_or("no links")?;
        if links.get(&link) != Some(name.as_bytes()) {
            return Err("no link from the parent".to_owned());
        }
    } else if own.get(b"parent").is_some() {
        return Err("a parent at the snapshotter alone".to_owned());
    }
    let folder = format!("{FOLDERS}/{}", id(own)?);
    let files = TreePathBuf::new(format!("{folder}/fs").into_bytes()).ok_or("no folder")?;
    if !tree.stat(files.as_path()).is_ok_and(|found| found.kind == Kind::Dir) {
        return Err(format!("no files in {folder}"));
    }
    let children = snapshot.child(b"children").into_iter().flat_map(Bucket::iter);
    Ok(Snapshot {
        parent,
        children: children.map(|(key, _)| lossy(key)).collect(),
        usage: (number(own, b"inodes")?, number(own, b"size")?),
        files: listing(tree, path(&folder)),
    })
}

/// The snapshotter's file by itself: every folder is somebody's, links lead to what is there, and no
/// number is handed out again.
fn folders_are_named(tree: &dyn Tree, backend: &Bucket) -> Result<(), String> {
    let v1 = backend.child(b"v1").cloned().unwrap_or_default();
    let known = v1.child(b"snapshots").cloned().unwrap_or_default();
    let mut ids = BTreeMap::new();
    for (name, snapshot) in children(Some(&known)) {
        let id = id(snapshot)?;
        if id > known.sequence || ids.insert(id, name.clone()).is_some() {
            return Err(format!("{name} has the folder {id}, sequence {}", known.sequence));
        }
    }
    for name in tree.names(path(FOLDERS)).unwrap_or_default() {
        let id = lossy(&name).parse::<u64>().map_err(|_| format!("folder {}", lossy(&name)))?;
        if !ids.contains_key(&id) {
            return Err(format!("folder {id} is nobody's: a daemon would stumble over it"));
        }
    }
    for (link, node) in v1.child(b"parents").into_iter().flat_map(Bucket::iter) {
        let (parent, child) = key::parent_link(link).map_err(|error| error.to_string())?;
        let name = if let Node::Value(value) = node { lossy(value) } else { String::new() };
        if ids.get(&child) != Some(&name) || !ids.contains_key(&parent) {
            return Err(format!("a link from folder {parent} to {child}, {name}"));
        }
    }
    Ok(())
}

/// What containerd's collector would keep, and nothing it would miss.
fn records_hold(seen: &Seen) -> Result<(), String> {
    for (name, record) in &seen.records {
        if !seen.blobs.contains_key(&record.target) || record.size <= 0 {
            return Err(format!("{name} leads to {}, which is not there", record.target));
        }
    }
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut todo: Vec<&str> = seen.records.values().map(|r| r.target.as_str()).collect();
    while let Some(next) = todo.pop() {
        if !reached.insert(next) {
            continue;
        }
        if let Some(blob) = seen.blobs.get(next) {
            let edges = blob.labels.iter().filter(|(key, _)| {
                key.starts_with("containerd.io/gc.ref.content")
                    || key.as_str() == "containerd.io/gc.ref.snapshot.overlayfs"
            });
            todo.extend(edges.map(|(_, value)| value.as_str()));
        }
        todo.extend(seen.snapshots.get(next).and_then(|snapshot| snapshot.parent.as_deref()));
    }
    let all = seen.blobs.keys().chain(seen.snapshots.keys());
    match all.into_iter().find(|name| !reached.contains(name.as_str())) {
        Some(lost) => Err(format!("{lost} would be collected")),
        None => Ok(()),
    }
}

/// Everything that is not an image, blob or snapshot of the namespace.
fn dump(bucket: &Bucket, at: &str, lines: &mut Vec<String>) {
    for (key, node) in bucket.iter() {
        let here = format!("{at}/{}", lossy(key));
        let known = ["/v1/moby/images", "/v1/moby/content/blob", "/v1/moby/snapshots"];
        match node {
            _ if known.contains(&here.as_str()) => {}
            Node::Value(value) => lines.push(format!("{here} = {}", lossy(value))),
            Node::Bucket(child) => {
                lines.push(format!("{here}/"));
                dump(child, &here, lines);
            }
        }
    }
}
