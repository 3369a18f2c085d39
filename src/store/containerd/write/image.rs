//! The documents that make an image of layers: its manifest, and its config as it was.

use super::Writer;
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, Result};
use crate::format::compression::{self, SNIFF};
use crate::format::oci::{classic_save_manifest, media_type};
use crate::store::containerd::layout;
use crate::store::{ImageStep, Source};
use crate::tree::TreePath;

/// What an image is written as.
pub(super) struct Documents {
    pub(super) manifest: (BlobId, Vec<u8>),
    pub(super) config: (ConfigId, Vec<u8>),
    pub(super) layers: Vec<LayerPart>,
    /// The chain of all layers; an image without layers has none.
    pub(super) top: Option<ChainId>,
}

pub(super) struct LayerPart {
    pub(super) blob: BlobId,
    pub(super) size: u64,
    pub(super) diff_id: DiffId,
    media_type: &'static str,
}

impl Writer {
    /// Returns the documents of `image`, all of whose layers must have been put.
    pub(super) fn documents(&self, image: &ImageStep, source: &dyn Source) -> Result<Documents> {
        let incomplete =
            |what: String| Error::missing(self.sink.tree().place(TreePath::ROOT), what);
        let id = image.config()?;
        let config = source.document(BlobId(id.0))?.bytes;
        let diff_ids = image.image.shown().map(|m| m.layers.clone()).unwrap_or_default();
        let part = |diff_id: &DiffId| {
            self.part(*diff_id)?.ok_or_else(|| incomplete(format!("layer {diff_id} was not put")))
        };
        let layers = diff_ids.iter().map(part).collect::<Result<Vec<_>>>()?;
        let parts: Vec<_> = layers.iter().map(|l| (l.media_type, l.blob, l.size)).collect();
        let manifest = classic_save_manifest((id, config.len() as u64), &parts);
        Ok(Documents {
            manifest: (BlobId(Digest::of(&manifest)), manifest),
            config: (id, config),
            layers,
            top: ChainId::chain(&diff_ids).last().copied(),
        })
    }

    fn part(&self, diff_id: DiffId) -> Result<Option<LayerPart>> {
        let Some((blob, is_new)) = self.blob(diff_id) else { return Ok(None) };
        let media_type = match is_new {
            true => self.writing.compression.media_type(),
            false => self.media_type_of(blob.digest)?,
        };
        Ok(Some(LayerPart { blob: blob.digest, size: blob.size, diff_id, media_type }))
    }

    /// containerd does not note what a blob is; its first bytes tell.
    fn media_type_of(&self, blob: BlobId) -> Result<&'static str> {
        let path = layout::blob(blob);
        let mut start = Vec::new();
        let mut file = self.sink.tree().open(path.as_path())?;
        std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, SNIFF as u64), &mut start)
            .map_err(|error| Error::io(self.sink.tree().place(path.as_path()), error))?;
        Ok(match compression::Compression::sniff(&start) {
            compression::Compression::Gzip => media_type::OCI_LAYER_GZIP,
            compression::Compression::Zstd => media_type::OCI_LAYER_ZSTD,
            _ => media_type::OCI_LAYER,
        })
    }
}
