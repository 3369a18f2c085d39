//! The documents that make an image of layers, with the labels that keep all of it.

use super::Writer;
use super::meta::Labels;
use crate::digest::{BlobId, DiffId};
use crate::error::{Error, Result};
use crate::format::compression::{self, SNIFF};
use crate::format::containerd::labels;
use crate::format::oci::media_type;
use crate::store::containerd::layout;
use crate::store::documents::{Documents, Put, Text};
use crate::store::{ImageStep, Source};
use crate::tree::TreePath;

/// The label by which an image's target keeps the registry documents that it came with. Any label
/// that starts so keeps the blob it names (containerd v2 core/metadata/gc.go).
const ORIGINAL: &str = "containerd.io/gc.ref.content.tranship.original.";

impl Writer {
    /// Returns the documents of `image`, all of whose layers must have been put.
    pub(super) fn documents(&self, image: &ImageStep, source: &dyn Source) -> Result<Documents> {
        Documents::of(image, source, &|diff_id| self.layer_put(diff_id))
    }

    fn layer_put(&self, diff_id: DiffId) -> Result<Put> {
        let Some((blob, is_new)) = self.blob(diff_id) else {
            let place = self.sink.tree().place(TreePath::ROOT);
            return Err(Error::missing(place, format!("layer {diff_id} was not put")));
        };
        let media_type = match is_new {
            true => self.writing.compression.media_type(),
            false => self.media_type_of(blob.digest)?,
        };
        let media_type = media_type.to_owned();
        Ok(Put { blob: blob.digest, size: blob.size, diff_id: Some(diff_id), media_type })
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

/// Returns the labels of a manifest or an index: what they refer to, and what is known of where they
/// came from.
pub(super) fn of_text(text: &Text) -> Labels {
    let carried = |(key, _): &&(String, String)| {
        key.starts_with(labels::DISTRIBUTION_SOURCE) || key.starts_with(labels::BUILD_REF)
    };
    let mut all = labels::of_children(&text.children);
    all.extend(text.labels.iter().filter(carried).cloned());
    all
}

/// Returns the labels by which an image's target keeps its registry documents.
pub(super) fn of_originals(image: &ImageStep) -> Labels {
    let original =
        |(i, (blob, _)): (usize, &(BlobId, _))| (format!("{ORIGINAL}{i}"), blob.to_string());
    image.originals.iter().enumerate().map(original).collect()
}

/// Returns the label of a layer that has been unpacked.
pub(super) fn of_layer(diff_id: DiffId) -> Labels {
    Labels::from([(labels::UNCOMPRESSED.to_owned(), diff_id.to_string())])
}
