//! What snapshots' records say of each other.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schema;
use super::{Bucket, Mender};
use crate::format::bbolt::Node;
use crate::format::containerd::{key, value};

impl Mender<'_> {
    /// Makes children, links and sequences say what the snapshots say.
    pub(super) fn link_snapshots(&mut self) {
        if self.children() | self.links() {
            let (what, how) =
                ("disagree about which snapshot stands on which", "are made to agree");
            self.note(what, how, "snapshots");
        }
        if self.numbers() {
            let (what, how) = ("would give out numbers again", "go on after the last one");
            self.note(what, how, "snapshots");
        }
    }

    fn children(&mut self) -> bool {
        let known = self.known();
        let mut wanted: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for (key, snapshot) in &known {
            if let Some(parent) = snapshot.parent.as_deref().filter(|key| known.contains_key(*key))
            {
                wanted.entry(parent).or_default().insert(key.as_bytes().to_vec());
            }
        }
        let mut changed = false;
        let own = self.namespace.as_bytes();
        let path = [schema::V1, own, schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        for key in known.keys() {
            let wanted = wanted.remove(key.as_str()).unwrap_or_default();
            let has = self.snapshot(key).and_then(|entry| entry.child(schema::CHILDREN));
            // Docker leaves names of children that were only there for a moment; they harm nothing.
            if !keys(has).is_superset(&wanted) {
                let entry = self.meta.root.path_mut(&path).bucket_mut(key.as_bytes().to_vec());
                for child in wanted {
                    entry.bucket_mut(schema::CHILDREN).put(child, Vec::new());
                }
                changed = true;
            }
        }
        self.meta.changed |= changed;
        changed
    }

    /// Makes the snapshotter's links from its snapshots.
    fn links(&mut self) -> bool {
        let Some(all) = self.backend.root.at(&[schema::V1, schema::SNAPSHOTS]) else {
            return false;
        };
        let id = |entry: &Bucket| value::uvarint(entry.get(schema::ID)?).ok();
        let mut wanted: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (name, node) in all.iter() {
            let Node::Bucket(entry) = node else { continue };
            let parent = entry.get(schema::PARENT).and_then(|parent| id(all.child(parent)?));
            if let (Some(parent), Some(own)) = (parent, id(entry)) {
                wanted.insert(key::encode_parent_link(parent, own), name.to_vec());
            }
        }
        let links = self.backend.root.at(&[schema::V1, schema::PARENTS]);
        let has: BTreeMap<Vec<u8>, Vec<u8>> = links
            .into_iter()
            .flat_map(Bucket::iter)
            .filter_map(|(link, node)| match node {
                Node::Value(name) => Some((link.to_vec(), name.to_vec())),
                Node::Bucket(_) => None,
            })
            .collect();
        if has == wanted {
            return false;
        }
        let v1 = self.backend.root.bucket_mut(schema::V1);
        v1.remove(schema::PARENTS);
        let links = v1.bucket_mut(schema::PARENTS);
        wanted.into_iter().for_each(|(link, name)| drop(links.put(link, name)));
        self.backend.changed = true;
        true
    }

    /// Keeps numbers that were given out from being given out again.
    fn numbers(&mut self) -> bool {
        let names = self.known().into_values().map(|known| known.name);
        let numbers =
            names.filter_map(|name| Some(key::BackendKey::parse(name.as_bytes()).ok()?.number));
        let last = numbers.max().unwrap_or(0);
        let folder = self.used().into_iter().max().unwrap_or(0);
        let own = self.namespace.as_bytes();
        let path = [schema::V1, own, schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        let mut changed = false;
        let sequence = self.meta.root.at(&path).map(|all| all.sequence);
        if sequence.is_some_and(|sequence| sequence < last) {
            self.meta.root.path_mut(&path).sequence = last;
            self.meta.changed = true;
            changed = true;
        }
        let path = [schema::V1, schema::SNAPSHOTS];
        let sequence = self.backend.root.at(&path).map(|all| all.sequence);
        if sequence.is_some_and(|sequence| sequence < folder) {
            self.backend.root.path_mut(&path).sequence = folder;
            self.backend.changed = true;
            changed = true;
        }
        changed
    }
}

fn keys(bucket: Option<&Bucket>) -> BTreeSet<Vec<u8>> {
    bucket.into_iter().flat_map(Bucket::iter).map(|(key, _)| key.to_vec()).collect()
}
