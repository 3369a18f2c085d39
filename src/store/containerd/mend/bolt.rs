//! The two bolt files, or what is left of them.

use super::super::{records::BOLT_LIMIT, schema};
use super::Bucket;
use crate::digest::Digest;
use crate::error::Result;
use crate::format::bbolt::{self, Db, Home, Lost, Node, Options, salvage};
use crate::format::containerd::key;
use crate::tree::{Tree, TreePathBuf, optional, read_within};

/// One of the files, read.
pub(super) struct Bolt {
    pub(super) path: TreePathBuf,
    pub(super) is_there: bool,
    pub(super) root: Bucket,
    pub(super) options: Options,
    pub(super) mode: u16,
    /// What is wrong with the file itself.
    pub(super) broken: Option<String>,
    /// What could not be read of it.
    pub(super) lost: Vec<Lost>,
    pub(super) changed: bool,
}

impl Bolt {
    pub(super) fn read(
        tree: &dyn Tree,
        path: TreePathBuf,
        (freelist, mode): (bool, u16),
        home: &Home<'_>,
    ) -> Result<Self> {
        let bytes = optional(read_within(tree, path.as_path(), BOLT_LIMIT))?;
        let mut bolt = Self {
            is_there: bytes.is_some(),
            path,
            root: Bucket::new(),
            options: Options { freelist, ..Options::default() },
            mode,
            broken: None,
            lost: Vec::new(),
            changed: false,
        };
        let Some(bytes) = bytes else {
            // What is not there has lost everything.
            bolt.lost = salvage(&[], home).lost;
            return Ok(bolt);
        };
        let db = bbolt::check(&bytes).and_then(|_| Db::open(&bytes));
        match db.and_then(|db| Ok((bbolt::load(&db)?, Options::replacing(&db)))) {
            Ok((root, options)) => (bolt.root, bolt.options) = (root.into_owned(), options),
            Err(error) => {
                let found = salvage(&bytes, home);
                bolt.root = found.root.into_owned();
                bolt.options = Options { freelist, ..found.options };
                bolt.lost = found.lost;
                bolt.broken = Some(error.to_string());
            }
        }
        Ok(bolt)
    }

    /// Returns whether something of the bucket at `path` may have been lost.
    pub(super) fn may_lack(&self, path: &[&[u8]]) -> bool {
        let path: Vec<Vec<u8>> = path.iter().map(|key| key.to_vec()).collect();
        self.lost.iter().any(|lost| lost.covers(&path) || lost.bucket.starts_with(&path))
    }
}

fn path(keys: &[&[u8]]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.to_vec()).collect()
}

/// Tells entries of `meta.db` by what only their sort has.
pub(super) fn home_of_meta<'n>(
    namespace: &'n str,
    snapshotter: &'n str,
) -> impl Fn(&[u8], &Node<'_>) -> Option<Vec<Vec<u8>>> + 'n {
    move |key, node| {
        let Node::Bucket(entry) = node else { return None };
        let own = namespace.as_bytes();
        if let Some(name) = entry.get(schema::NAME) {
            let name = key::BackendKey::parse(name).ok().filter(|name| name.key.as_bytes() == key);
            let bucket = name?.namespace.into_bytes();
            let snapshotter = snapshotter.as_bytes();
            return Some(path(&[schema::V1, &bucket, schema::SNAPSHOTS, snapshotter]));
        }
        let target = entry.child(schema::TARGET);
        if target.is_some_and(|target| target.get(schema::DIGEST).is_some()) {
            return Some(path(&[schema::V1, own, schema::IMAGES]));
        }
        let text = std::str::from_utf8(key).ok();
        let is_digest = text.is_some_and(|text| text.parse::<Digest>().is_ok());
        if is_digest && entry.get(schema::SIZE).is_some() {
            return Some(path(&[schema::V1, own, schema::CONTENT, schema::BLOB]));
        }
        let holds = [schema::CONTENT, schema::SNAPSHOTS].iter().any(|k| entry.child(k).is_some());
        if holds && entry.get(schema::CREATED_AT).is_some() {
            return Some(path(&[schema::V1, own, schema::LEASES]));
        }
        let is_root = key == schema::V1 && entry.get(schema::VERSION).is_some();
        is_root.then(Vec::new)
    }
}

/// Tells entries of a snapshotter's `metadata.db`.
pub(super) fn home_of_backend(key: &[u8], node: &Node<'_>) -> Option<Vec<Vec<u8>>> {
    match node {
        Node::Bucket(entry) if entry.get(schema::ID).is_some() => {
            key::BackendKey::parse(key).ok()?;
            Some(path(&[schema::V1, schema::SNAPSHOTS]))
        }
        Node::Bucket(entry) => {
            let is_v1 = key == schema::V1 && entry.child(schema::SNAPSHOTS).is_some();
            is_v1.then(Vec::new)
        }
        Node::Value(name) => {
            key::parent_link(key).ok()?;
            key::BackendKey::parse(name).ok()?;
            Some(path(&[schema::V1, schema::PARENTS]))
        }
    }
}
