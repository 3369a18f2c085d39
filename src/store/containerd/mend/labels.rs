//! The labels without which containerd's collector takes away what an image consists of.

use std::collections::BTreeSet;

use super::super::schema;
use super::super::write::meta::{Labels, Namespace};
use super::disk::Document;
use super::{Bucket, Chain, Mender};
use crate::digest::{BlobId, ChainId};
use crate::format::bbolt::Node;
use crate::format::containerd::labels::{
    GC_REF, UNCOMPRESSED, gc_ref_snapshot, of_children, of_config,
};
use crate::format::oci::{Descriptor, Manifest};

impl Mender<'_> {
    /// Learns which layers the manifests that are here are made of.
    pub(super) fn learn_chains(&mut self) {
        let mut chains = Vec::new();
        for document in self.disk.documents.values() {
            let Document::Manifest(manifest) = document else { continue };
            let config = self.disk.config(manifest);
            let Some(Ok(diff_ids)) = config.map(|config| config.diff_ids()) else { continue };
            let mut parent = None;
            for (at, (diff_id, chain)) in diff_ids.iter().zip(ChainId::chain(&diff_ids)).enumerate()
            {
                let is_whole = manifest.layers.len() == diff_ids.len();
                let layer = manifest.layers.get(at).filter(|_| is_whole);
                let blob = layer.and_then(Descriptor::blob);
                let blob = blob.filter(|blob| self.disk.blobs.contains_key(blob));
                chains.push((chain, Chain { diff_id: *diff_id, parent, blob }));
                parent = Some(chain);
            }
        }
        for (id, chain) in chains {
            let known = self.chains.entry(id).or_insert(chain);
            known.blob = known.blob.or(chain.blob);
        }
    }

    /// Restores labels of documents and layers.
    pub(super) fn labels(&mut self) {
        let mut all: Vec<(BlobId, Labels)> = Vec::new();
        for blob in self.of_images().into_iter().filter(|blob| self.has_record(*blob)) {
            all.push((blob, self.missing_references(blob)));
            if let Some(Document::Manifest(manifest)) = self.disk.documents.get(&blob) {
                all.extend(self.missing_of_image(manifest));
            }
        }
        let mut own = Namespace::of(&mut self.meta.root, self.namespace, self.help.now);
        let mut added = Vec::new();
        for (blob, labels) in all.iter().filter(|(_, labels)| !labels.is_empty()) {
            own.add_labels(*blob, labels);
            added.push(format!("blob {}", blob.0.short()));
        }
        self.meta.changed |= !added.is_empty();
        added.dedup();
        for which in added {
            let what = "lack labels that keep what their blobs refer to from being collected";
            self.note(what, "get them", which);
        }
    }

    /// Returns the documents that records of images lead to. What leases alone keep, as the registry
    /// manifests of a classic store, has no labels.
    fn of_images(&self) -> BTreeSet<BlobId> {
        let (mut found, mut next) = (BTreeSet::new(), self.targets());
        while let Some(blob) = next.pop() {
            if self.disk.documents.contains_key(&blob) && found.insert(blob) {
                next.extend(self.disk.children(blob).into_iter().filter_map(Descriptor::blob));
            }
        }
        found
    }

    /// Returns the labels that a manifest or index should have to keep those of its children that are
    /// here.
    fn missing_references(&self, blob: BlobId) -> Labels {
        let has = self.labels_of(blob);
        let kept: BTreeSet<&str> = {
            let refs = has.iter().filter(|(key, _)| key.starts_with(GC_REF));
            refs.map(|(_, value)| value.as_str()).collect()
        };
        let children = self.disk.children(blob);
        let is_lost = |digest: &str| {
            let is_here = digest.parse().is_ok_and(|child| self.has_record(child));
            is_here && !kept.contains(digest)
        };
        let wanted = of_children(children).into_iter().filter(|(_, digest)| is_lost(digest));
        let free = |key: String| match has.contains_key(&key) {
            true => format!("{key}.again"),
            false => key,
        };
        wanted.map(|(key, digest)| (free(key), digest)).collect()
    }

    /// Returns the labels by which an unpacked image's config and layers are known as that.
    fn missing_of_image(&self, manifest: &Manifest) -> Vec<(BlobId, Labels)> {
        let mut missing = Vec::new();
        let config = self.disk.config(manifest).and_then(|config| config.diff_ids().ok());
        let (Some(diff_ids), Some(config)) = (config, manifest.config.blob()) else {
            return missing;
        };
        let chain = ChainId::chain(&diff_ids);
        let has = |chain: &ChainId| self.snapshot(&chain.to_string()).is_some();
        if let Some(top) = chain.last().filter(|top| has(top) && self.has_record(config)) {
            let label = gc_ref_snapshot(self.snapshotter);
            if !self.labels_of(config).keys().any(|key| key.starts_with(&label)) {
                missing.push((config, of_config(self.snapshotter, Some(*top))));
            }
        }
        let layers = manifest.layers.iter().zip(diff_ids.iter().zip(&chain));
        let is_whole = manifest.layers.len() == diff_ids.len();
        for (layer, (diff_id, chain)) in layers.filter(|_| is_whole) {
            let Some(blob) = layer.blob().filter(|blob| self.has_record(*blob)) else { continue };
            let said = self.labels_of(blob).remove(UNCOMPRESSED);
            if has(chain) && said != Some(diff_id.to_string()) {
                missing.push((blob, [(UNCOMPRESSED.to_owned(), diff_id.to_string())].into()));
            }
        }
        missing
    }

    pub(super) fn labels_of(&self, blob: BlobId) -> Labels {
        let digest = blob.to_string();
        let path = [schema::CONTENT, schema::BLOB, digest.as_bytes(), schema::LABELS];
        let labels = self.bucket().and_then(|own| own.at(&path));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entries = labels.into_iter().flat_map(Bucket::iter);
        let read = entries.filter_map(|(key, node)| match node {
            Node::Value(value) => Some((text(key), text(value))),
            Node::Bucket(_) => None,
        });
        read.collect()
    }
}
