//! What is there, whatever the records say.

use std::collections::{BTreeMap, BTreeSet};

use super::super::layout::{self, Snapshotter};
use crate::digest::{BlobId, Digest};
use crate::error::Result;
use crate::format::oci::{Descriptor, ImageConfig, Index, Manifest, Shape, media_type, shape};
use crate::format::raw::decode;
use crate::store::manifests::document;
use crate::tree::{Kind, Tree, many, optional};

/// A document among the blobs.
pub(super) enum Document {
    Index(Box<Index>),
    Manifest(Box<Manifest>),
    Config(Box<ImageConfig>),
}

/// The blobs and folders that are there.
pub(super) struct Disk {
    /// All blobs, with their lengths.
    pub(super) blobs: BTreeMap<BlobId, u64>,
    /// Those that are documents, and are what their names say.
    pub(super) documents: BTreeMap<BlobId, Document>,
    /// The snapshotter's folders that have files.
    pub(super) folders: BTreeSet<u64>,
    /// All names among the snapshotter's folders.
    pub(super) names: Vec<Vec<u8>>,
}

/// No index, manifest or config that people use is longer; a layer that is shorter is soon read.
const LONGEST: u64 = 4 << 20;

impl Disk {
    pub(super) fn read(tree: &dyn Tree, places: &Snapshotter) -> Result<Self> {
        let entries = optional(tree.list(layout::blobs().as_path()))?.unwrap_or_default();
        let files = entries.iter().filter(|entry| entry.metadata.kind == Kind::File);
        let blobs: BTreeMap<_, _> = files
            .filter_map(|file| {
                let digest = Digest::from_hex(std::str::from_utf8(&file.name).ok()?).ok()?;
                Some((BlobId(digest), file.metadata.size))
            })
            .collect();
        let short: Vec<_> =
            blobs.iter().filter(|(_, size)| **size <= LONGEST).map(|(blob, _)| *blob).collect();
        let read = many(&short, |blob| read_document(tree, *blob));
        let documents = short.iter().zip(read).filter_map(|(blob, doc)| Some((*blob, doc?)));
        let documents = documents.collect();
        let names = optional(tree.names(places.snapshots().as_path()))?.unwrap_or_default();
        let ids: Vec<u64> = names.iter().filter_map(|name| number(name)).collect();
        let there = many(&ids, |id| {
            tree.stat(places.files(*id).as_path()).is_ok_and(|files| files.kind == Kind::Dir)
        });
        let folders = ids.iter().zip(there).filter(|(_, there)| *there).map(|(id, _)| *id);
        Ok(Self { blobs, documents, folders: folders.collect(), names })
    }

    /// Returns what a document refers to, as its manifest or index says.
    pub(super) fn children(&self, blob: BlobId) -> Vec<&Descriptor> {
        match self.documents.get(&blob) {
            Some(Document::Index(index)) => index.manifests.iter().collect(),
            Some(Document::Manifest(manifest)) => manifest.children().collect(),
            Some(Document::Config(_)) | None => Vec::new(),
        }
    }

    pub(super) fn config(&self, manifest: &Manifest) -> Option<&ImageConfig> {
        match self.documents.get(&manifest.config.blob()?)? {
            Document::Config(config) => Some(config),
            _ => None,
        }
    }
}

/// Returns the number that a snapshot's folder is called.
pub(super) fn number(name: &[u8]) -> Option<u64> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

fn read_document(tree: &dyn Tree, blob: BlobId) -> Option<Document> {
    let path = layout::blob(blob);
    let mut first = [0];
    tree.open(path.as_path()).ok()?.read_exact(&mut first).ok()?;
    if !matches!(first, [b'{' | b' ' | b'\n']) {
        return None;
    }
    let bytes = document(tree, path.as_path(), blob).ok()?;
    match shape(&bytes).ok()? {
        Some(Shape::Index) => decode(&bytes).ok().map(|index| Document::Index(Box::new(index))),
        Some(Shape::Manifest) => {
            decode(&bytes).ok().map(|manifest| Document::Manifest(Box::new(manifest)))
        }
        Some(Shape::Schema1) => None,
        None => {
            let config: ImageConfig = decode(&bytes).ok()?;
            config.rootfs.is_some().then(|| Document::Config(Box::new(config)))
        }
    }
}

impl Document {
    /// Returns the media type of a manifest or index.
    pub(super) fn media_type(&self) -> &str {
        match self {
            Self::Index(index) => index.media_type.as_deref().unwrap_or(media_type::OCI_INDEX),
            Self::Manifest(manifest) => {
                manifest.media_type.as_deref().unwrap_or(media_type::OCI_MANIFEST)
            }
            Self::Config(_) => media_type::OCI_CONFIG,
        }
    }
}
