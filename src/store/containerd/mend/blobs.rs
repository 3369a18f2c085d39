//! Blobs and their records.

use std::collections::BTreeSet;

use super::super::write::meta::{Labels, Namespace};
use super::super::{layout, schema};
use super::make::{BlobOf, verify};
use super::{Bucket, Mender};
use crate::digest::BlobId;
use crate::error::Result;
use crate::format::bbolt::Node;
use crate::format::containerd::value;
use crate::store::mend::Change;

const SOUND_BYTES: &str = "the sound bytes; name a root, layout or archive that has them with --from, \
                           or pull the image again";

impl Mender<'_> {
    /// Returns the bucket of the namespace.
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        self.meta.root.at(&[schema::V1, self.namespace.as_bytes()])
    }

    /// Returns the blobs that have a record, with the lengths that those say.
    pub(super) fn recorded(&self) -> Vec<(BlobId, Option<u64>)> {
        let blobs = self.bucket().and_then(|own| own.at(&[schema::CONTENT, schema::BLOB]));
        let entries = blobs.into_iter().flat_map(Bucket::iter);
        let read = entries.filter_map(|(key, node)| {
            let Node::Bucket(entry) = node else { return None };
            let size = entry.get(schema::SIZE).and_then(|size| value::varint(size).ok());
            let blob = std::str::from_utf8(key).ok()?.parse().ok()?;
            Some((blob, size.and_then(|size| u64::try_from(size).ok())))
        });
        read.collect()
    }

    pub(super) fn has_record(&self, blob: BlobId) -> bool {
        let digest = blob.to_string();
        let path = [schema::CONTENT, schema::BLOB, digest.as_bytes()];
        self.bucket().is_some_and(|own| own.at(&path).is_some())
    }

    /// Holds the records of blobs against the files.
    pub(super) fn blobs(&mut self) -> Result<()> {
        for (blob, size) in self.recorded() {
            match self.disk.blobs.get(&blob).copied() {
                None if self.heal(blob, "blob-missing", "is not there") => {}
                None => {
                    self.remove_blob(blob);
                    let what = "it is not there".to_owned();
                    let path = layout::blob(blob);
                    self.give_up("blob-missing", &path, what, SOUND_BYTES.to_owned());
                    let (what, how) = ("are of blobs that are not there", "are removed");
                    self.note(what, how, format!("blob {}", blob.0.short()));
                }
                Some(found) if size == Some(found) => {}
                Some(found) if verify(&**self.tree, blob).is_ok() => {
                    self.add_blob(blob, found);
                    let (what, how) = ("give blobs a wrong length", "get the right one");
                    self.note(what, how, format!("blob {}", blob.0.short()));
                }
                Some(_) => self.damaged(blob),
            }
        }
        self.take_up()
    }

    /// Notes that a blob's bytes are not those of its name.
    pub(super) fn damaged(&mut self, blob: BlobId) {
        if self.heal(blob, "blob-damaged", "is not what its digest names") {
            return;
        }
        let what = "its bytes are not those that its digest names".to_owned();
        self.give_up("blob-damaged", &layout::blob(blob), what, SOUND_BYTES.to_owned());
    }

    /// Plans to take a blob from elsewhere, if it is there.
    fn heal(&mut self, blob: BlobId, code: &'static str, what: &str) -> bool {
        let has = |source: &&std::sync::Arc<dyn crate::store::Source>| source.blob(blob).is_ok();
        let Some(source) = self.help.others.iter().find(has).cloned() else { return false };
        let kind = source.kind();
        let (path, size) = (layout::blob(blob), self.disk.blobs.get(&blob).copied().unwrap_or(0));
        let said = (
            format!("blob {} {what}", blob.0.short()),
            format!("comes from the {kind} store that has it, verified"),
        );
        let put = Change::made(path.clone(), BlobOf { source, blob, size });
        self.mend(code, &path, said, vec![put]);
        true
    }

    fn remove_blob(&mut self, blob: BlobId) {
        let path = [schema::V1, self.namespace.as_bytes(), schema::CONTENT, schema::BLOB];
        self.meta.root.path_mut(&path).remove(blob.to_string().as_bytes());
        self.meta.changed = true;
    }

    fn add_blob(&mut self, blob: BlobId, size: u64) {
        let now = self.help.now;
        let mut own = Namespace::of(&mut self.meta.root, self.namespace, now);
        own.add_blob(blob, size, &Labels::new());
        self.meta.changed = true;
    }

    /// Takes blobs up that have no record: those that a document with a record names; and all, where
    /// records were lost.
    fn take_up(&mut self) -> Result<()> {
        let own = self.namespace.as_bytes().to_vec();
        let all = self.meta.may_lack(&[schema::V1, &own, schema::CONTENT, schema::BLOB]);
        let mut todo: Vec<BlobId> = match all {
            true => self.disk.blobs.keys().copied().collect(),
            false => {
                let recorded: Vec<_> = self.recorded().into_iter().map(|(blob, _)| blob).collect();
                recorded
                    .iter()
                    .flat_map(|blob| self.named_by(*blob))
                    .chain(self.targets())
                    .collect()
            }
        };
        let mut seen = BTreeSet::new();
        while let Some(blob) = todo.pop() {
            let Some(size) = self.disk.blobs.get(&blob).copied() else { continue };
            if !seen.insert(blob) || self.has_record(blob) {
                continue;
            }
            todo.extend(self.named_by(blob));
            if verify(&**self.tree, blob).is_ok() {
                self.add_blob(blob, size);
                let (what, how) = ("are missing for blobs that are there", "are made anew");
                self.note(what, how, format!("blob {}", blob.0.short()));
            }
        }
        Ok(())
    }

    fn named_by(&self, blob: BlobId) -> Vec<BlobId> {
        self.disk.children(blob).iter().filter_map(|child| child.blob()).collect()
    }

    /// Returns what the names of images point at.
    pub(super) fn targets(&self) -> Vec<BlobId> {
        let images = self.bucket().and_then(|own| own.child(schema::IMAGES));
        let entries = images.into_iter().flat_map(Bucket::iter);
        let target = |(_, node): (&[u8], &Node<'_>)| {
            let Node::Bucket(entry) = node else { return None };
            let digest = entry.child(schema::TARGET)?.get(schema::DIGEST)?;
            std::str::from_utf8(digest).ok()?.parse().ok()
        };
        entries.filter_map(target).collect()
    }
}
