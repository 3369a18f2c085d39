//! Images whose names were lost.

use std::collections::BTreeSet;

use super::super::write::meta::{Labels, Namespace, Record};
use super::super::{layout, read::DANGLING_PREFIX, records::LEASE_PREFIX, schema};
use super::disk::Document;
use super::{Bucket, Mender};
use crate::digest::BlobId;
use crate::format::bbolt::Node;
use crate::format::containerd::labels::DISTRIBUTION_SOURCE;
use crate::format::oci::ANNOTATION_IMAGE_NAME;
use crate::format::reference::Reference;
use crate::store::given::{Given, given};
use crate::store::manifests::document;

impl Mender<'_> {
    /// Gives every image that is here and that no record names its names back, as far as anything tells
    /// them; without a name it would be collected. Only where records of images were lost.
    pub(super) fn images(&mut self) {
        let own = self.namespace.as_bytes().to_vec();
        let is_lost = self.meta.may_lack(&[schema::V1, &own, schema::IMAGES]);
        let unfinished = self.unfinished();
        if !is_lost && unfinished.is_empty() {
            return;
        }
        let log = |blob: BlobId| {
            let at = layout::blob(blob);
            document(&**self.tree, at.as_path(), blob).ok()
        };
        let given = given(self.help, self.snapshotter, &log);
        unfinished.into_iter().for_each(|name| self.finish(name, &given));
        for blob in self.nameless().into_iter().filter(|_| is_lost) {
            let mut names = self.names_of(blob, &given);
            names.retain(|name| self.image(name).is_none());
            let (found, name) = match names.first() {
                Some(name) => ("are missing for images whose names are known", name.clone()),
                None => ("are missing for images whose names nothing tells", short(blob)),
            };
            if names.is_empty() {
                names.push(format!("{DANGLING_PREFIX}{blob}"));
            }
            names.iter().for_each(|name| self.add_image(name, blob));
            let how = match found.ends_with("known") {
                true => "are made anew",
                false => "are made anew without a name",
            };
            self.note(found, how, name);
        }
    }

    fn image(&self, name: &str) -> Option<&Bucket> {
        self.bucket()?.at(&[schema::IMAGES, name.as_bytes()])
    }

    fn add_image(&mut self, name: &str, blob: BlobId) {
        let document = self.disk.documents.get(&blob);
        let record = Record {
            target: blob,
            media_type: document.map(Document::media_type).unwrap_or_default().to_owned(),
            size: self.disk.blobs.get(&blob).copied().unwrap_or_default(),
            created: self.help.now,
            updated: self.help.now,
            labels: Labels::new(),
        };
        let mut own = Namespace::of(&mut self.meta.root, self.namespace, self.help.now);
        own.add_record(name, &record);
        self.meta.changed = true;
    }

    /// Returns the names of images whose records do not say what they lead to: containerd wants that.
    fn unfinished(&self) -> Vec<Vec<u8>> {
        let images = self.bucket().and_then(|own| own.child(schema::IMAGES));
        let is_whole = |node: &Node<'_>| match node {
            Node::Bucket(entry) => entry.child(schema::TARGET).is_some_and(|target| {
                let digest =
                    target.get(schema::DIGEST).and_then(|text| std::str::from_utf8(text).ok());
                let is_digest = digest.is_some_and(|text| text.parse::<BlobId>().is_ok());
                is_digest && target.get(schema::SIZE).is_some()
            }),
            Node::Value(_) => false,
        };
        let broken = images.into_iter().flat_map(Bucket::iter).filter(|(_, node)| !is_whole(node));
        broken.map(|(name, _)| name.to_vec()).collect()
    }

    /// Gives a name the only image that it can be of, or takes its record away.
    fn finish(&mut self, name: Vec<u8>, given: &[Given]) {
        let text = String::from_utf8_lossy(&name).into_owned();
        let mut meant = self.nameless();
        meant.retain(|blob| self.may_be(*blob, &text, given));
        let path = [schema::V1, self.namespace.as_bytes(), schema::IMAGES];
        self.meta.root.path_mut(&path).remove(&name);
        self.meta.changed = true;
        if let [blob] = meant.as_slice() {
            self.add_image(&text, *blob);
            let (what, how) = ("name images and do not say which", "name the only ones that fit");
            return self.note(what, how, text);
        }
        let (what, how) = ("name images and do not say which", "are removed");
        self.note(what, how, text.clone());
        let what = format!("which image {text} was is not known");
        let missing = "the digest of the image; pull it again, or tag it".to_owned();
        self.give_up("image-without-target", &self.meta.path.clone(), what, missing);
    }

    /// Returns whether an image was built under a name, or pulled from the name's repository.
    fn may_be(&self, blob: BlobId, name: &str, given: &[Given]) -> bool {
        let Ok(wanted) = Reference::parse_normalized(name) else { return false };
        let is_given = |one: &Given| {
            one.images.contains(&blob.0) && one.reference.to_string() == wanted.to_string()
        };
        let pulled = self.pulled_as(blob);
        let mut pulled = pulled.iter().filter_map(|name| Reference::parse_normalized(name).ok());
        given.iter().any(is_given) || pulled.any(|one| one.name() == wanted.name())
    }

    /// Returns the manifests and indexes that nothing refers to.
    fn nameless(&self) -> Vec<BlobId> {
        let mut named: BTreeSet<BlobId> = self.targets().into_iter().collect();
        named.extend(self.leased());
        for blob in self.disk.documents.keys() {
            named.extend(self.disk.children(*blob).iter().filter_map(|child| child.blob()));
        }
        let is_image = |document: &Document| match document {
            Document::Index(_) => true,
            Document::Manifest(manifest) => manifest.config.blob().is_some(),
            Document::Config(_) => false,
        };
        let all = self.disk.documents.iter().filter(|(_, document)| is_image(document));
        let free = all.map(|(blob, _)| *blob).filter(|blob| !named.contains(blob));
        free.filter(|blob| self.has_record(*blob)).collect()
    }

    /// Returns what leases keep for images of a classic store.
    fn leased(&self) -> Vec<BlobId> {
        let leases = self.bucket().and_then(|own| own.child(schema::LEASES));
        let of_images = leases.into_iter().flat_map(Bucket::iter);
        let of_images = of_images.filter(|(id, _)| id.starts_with(LEASE_PREFIX));
        let content = of_images.filter_map(|(_, node)| match node {
            Node::Bucket(lease) => lease.child(schema::CONTENT),
            Node::Value(_) => None,
        });
        let keys = content.flat_map(Bucket::iter).map(|(key, _)| key);
        keys.filter_map(|key| std::str::from_utf8(key).ok()?.parse().ok()).collect()
    }

    /// Returns what anything else tells of an image's names.
    fn names_of(&self, blob: BlobId, given: &[Given]) -> Vec<String> {
        let mut names = BTreeSet::new();
        let own = given.iter().filter(|one| one.images.contains(&blob.0));
        names.extend(own.map(|one| one.reference.to_string()));
        for source in &self.help.others {
            let images = source.inventory().images.iter().filter(|image| image.id == blob.0);
            let references = images.flat_map(|image| &image.names);
            let references = references.filter_map(|name| name.reference());
            names.extend(references.map(ToString::to_string));
        }
        let annotations = match self.disk.documents.get(&blob) {
            Some(Document::Index(index)) => Some(&index.annotations),
            Some(Document::Manifest(manifest)) => Some(&manifest.annotations),
            _ => None,
        };
        let named = annotations.and_then(|all| all.get(ANNOTATION_IMAGE_NAME));
        names.extend(named.and_then(|name| full(name)));
        if names.is_empty() {
            names.extend(self.pulled_as(blob));
        }
        names.into_iter().collect()
    }

    /// Returns the repositories that an image was pulled from, with its digest: the tag is lost.
    fn pulled_as(&self, blob: BlobId) -> Vec<String> {
        let labels = self.labels_of(blob);
        let on_host = |(key, paths): (&String, &String)| {
            let host = key.strip_prefix(DISTRIBUTION_SOURCE)?.to_owned();
            let of = |path: &str| full(&format!("{host}/{path}@{blob}"));
            Some(paths.split(',').filter_map(of).collect::<Vec<_>>())
        };
        labels.iter().filter_map(on_host).flatten().collect()
    }
}

/// Returns a name as containerd's records have it; an ID is none.
fn full(name: &str) -> Option<String> {
    if name.parse::<crate::digest::Digest>().is_ok() {
        return None;
    }
    let reference = Reference::parse_normalized(name).ok()?;
    Some(reference.tag_name_only().to_string())
}

fn short(blob: BlobId) -> String {
    format!("image {}", blob.0.short())
}
