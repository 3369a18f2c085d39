//! The documents that make an image of layers and blobs that were put: those it came with, or a manifest
//! made for its config.

use super::{ImageStep, Source};
use crate::digest::{BlobId, ChainId, DiffId, Digest};
use crate::error::{Error, Place, Result};
use crate::format::oci::{
    Descriptor, Index, Manifest, Shape, classic_save_manifest, media_type, shape,
};
use crate::format::raw::decode;

/// What an image is written as.
pub(super) struct Documents {
    /// What its names lead to.
    pub(super) target: Descriptor,
    /// What is still to be written, each once.
    pub(super) texts: Vec<Text>,
    /// What was put before.
    pub(super) blobs: Vec<Put>,
    /// The layers of the platform that was chosen, base first.
    pub(super) layers: Vec<Put>,
    /// The chain of those; an image without layers has none.
    pub(super) top: Option<ChainId>,
}

/// A document and its bytes.
pub(super) struct Text {
    pub(super) blob: BlobId,
    pub(super) bytes: Vec<u8>,
    /// What it refers to, if that is what it is for.
    pub(super) children: Vec<Descriptor>,
    /// The labels it had where it came from.
    pub(super) labels: Vec<(String, String)>,
}

/// Bytes that are in the target.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) blob: BlobId,
    pub(super) size: u64,
    pub(super) diff_id: Option<DiffId>,
    pub(super) media_type: String,
}

/// Tells under which digest a layer was put.
pub(super) type Layers<'a> = &'a dyn Fn(DiffId) -> Result<Put>;

impl Documents {
    /// Returns the documents of `step`, all of whose layers and blobs must have been put. `layer` is
    /// asked where a manifest is made.
    pub(super) fn of(step: &ImageStep, source: &dyn Source, layer: Layers<'_>) -> Result<Self> {
        let diff_ids = step.image.shown().map(|shown| shown.layers.clone()).unwrap_or_default();
        let top = ChainId::chain(&diff_ids).last().copied();
        match &step.kept {
            Some(kept) => {
                let texts = kept.documents.iter().filter_map(Descriptor::blob);
                let texts =
                    texts.map(|blob| kept_text(blob, source)).collect::<Result<Vec<_>>>()?;
                let layers = shown_layers(step, &texts, &diff_ids);
                let blobs =
                    kept.blobs.iter().filter_map(|blob| Some(put(blob, None, blob.blob()?)));
                let blobs = blobs.collect();
                Ok(Self { target: kept.target.clone(), texts, blobs, layers, top })
            }
            None => {
                let layers =
                    diff_ids.iter().map(|diff_id| layer(*diff_id)).collect::<Result<Vec<_>>>()?;
                Self::made(step, source, layers, top)
            }
        }
    }

    fn made(
        step: &ImageStep,
        source: &dyn Source,
        layers: Vec<Put>,
        top: Option<ChainId>,
    ) -> Result<Self> {
        let id = step.config()?;
        let config = source.document(BlobId(id.0))?.bytes;
        let parts = layers.iter().map(|layer| (&*layer.media_type, layer.blob, layer.size));
        let manifest = classic_save_manifest((id, config.len() as u64), &parts.collect::<Vec<_>>());
        let target = Descriptor {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            digest: Digest::of(&manifest).to_string(),
            size: i64::try_from(manifest.len()).unwrap_or(i64::MAX),
            ..Descriptor::default()
        };
        let blob = BlobId(Digest::of(&manifest));
        let children = children(&manifest).unwrap_or_default();
        let config =
            Text { blob: BlobId(id.0), bytes: config, children: Vec::new(), labels: Vec::new() };
        let texts = vec![config, Text { blob, bytes: manifest, children, labels: Vec::new() }];
        Ok(Self { target, texts, blobs: layers.clone(), layers, top })
    }

    /// Returns the digest that is the image's ID here.
    pub(super) fn id(&self) -> Result<Digest> {
        self.target.blob().map(|blob| blob.0).ok_or_else(|| {
            let what = format!("found the digest `{}`, wanted a SHA-256", self.target.digest);
            Error::corrupt(Place::default(), what)
        })
    }
}

fn kept_text(blob: BlobId, source: &dyn Source) -> Result<Text> {
    let document = source.document(blob)?;
    // What is neither manifest nor index refers to nothing that is known.
    let children = children(&document.bytes).unwrap_or_default();
    Ok(Text { blob, bytes: document.bytes, children, labels: document.labels })
}

/// Returns what a manifest or an index refers to.
fn children(bytes: &[u8]) -> Option<Vec<Descriptor>> {
    match shape(bytes).ok()?? {
        Shape::Index => decode::<Index>(bytes).ok().map(|index| index.manifests),
        Shape::Manifest => {
            let manifest: Manifest = decode(bytes).ok()?;
            Some(std::iter::once(manifest.config).chain(manifest.layers).collect())
        }
        Shape::Schema1 => None,
    }
}

fn put(descriptor: &Descriptor, diff_id: Option<DiffId>, blob: BlobId) -> Put {
    let size = descriptor.len().unwrap_or_default();
    Put { blob, size, diff_id, media_type: descriptor.media_type.clone() }
}

/// Returns the layers of the manifest that was chosen, with their diff IDs.
fn shown_layers(step: &ImageStep, texts: &[Text], diff_ids: &[DiffId]) -> Vec<Put> {
    let manifest = step.image.shown().and_then(|shown| shown.manifest.as_ref()?.blob());
    let text = texts.iter().find(|text| Some(text.blob) == manifest);
    // The config comes first.
    let layers = text.and_then(|text| text.children.get(1..)).unwrap_or_default();
    if layers.len() != diff_ids.len() {
        return Vec::new();
    }
    let put =
        |(layer, diff_id): (&Descriptor, &DiffId)| Some(put(layer, Some(*diff_id), layer.blob()?));
    layers.iter().zip(diff_ids).filter_map(put).collect()
}
