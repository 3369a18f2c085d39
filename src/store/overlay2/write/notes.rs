//! What is noted of images and layers beside themselves. None of it shows before its image does.

use std::collections::BTreeMap;

use super::Writer;
use super::stage::Batch;
use crate::digest::{BlobId, ConfigId, DiffId};
use crate::error::Result;
use crate::format::docker::distribution;
use crate::store::{ImageStep, PackedLayer};
use crate::tree::{WHOLE_FILE_LIMIT, read_within};

impl Writer {
    /// Notes what is known of `images` and of the layers of all in `packed`.
    pub(super) fn put_notes<'s>(
        &self,
        images: &[(ConfigId, &ImageStep)],
        packed: impl Iterator<Item = &'s PackedLayer>,
    ) -> Result<()> {
        let mut batch = Batch::new(self);
        for (id, image) in images {
            let tagged = image.image.last_tagged.map(|time| time.to_string());
            let notes =
                [("parent", image.parent.map(|id| id.to_string())), ("lastUpdated", tagged)];
            for (key, note) in notes {
                if let Some(note) = note {
                    self.make_dir(&self.layout.metadata_folder(*id), 0o700)?;
                    batch.put(self.layout.metadata(id.0, key), 0o600, note.as_bytes())?;
                }
            }
        }
        self.put_places(packed, &mut batch)?;
        batch.settle()
    }

    /// Notes under which digests registries have the layers.
    fn put_places<'s>(
        &self,
        packed: impl Iterator<Item = &'s PackedLayer>,
        batch: &mut Batch<'_>,
    ) -> Result<()> {
        let mut diffs: BTreeMap<BlobId, DiffId> = BTreeMap::new();
        let mut places: BTreeMap<DiffId, Vec<(BlobId, &str)>> = BTreeMap::new();
        for layer in packed {
            diffs.insert(layer.blob, layer.diff_id);
            let known = layer.repositories.iter().map(|name| (layer.blob, name.as_str()));
            places.entry(layer.diff_id).or_default().extend(known);
        }
        if diffs.is_empty() {
            return Ok(());
        }
        for (folder, mode) in self.layout.distribution_folders() {
            self.make_dir(&folder, mode)?;
        }
        for (blob, diff_id) in diffs {
            batch.put(self.layout.diff_of(blob), 0o644, diff_id.to_string().as_bytes())?;
        }
        for (diff_id, known) in places.into_iter().filter(|(_, known)| !known.is_empty()) {
            let path = self.layout.places_of(diff_id);
            // Only a cache: what cannot be read is replaced.
            let old = read_within(self.sink.tree(), path.as_path(), WHOLE_FILE_LIMIT);
            let new = distribution::add(&old.unwrap_or_default(), known);
            batch.put(path, 0o644, &new)?;
        }
        Ok(())
    }
}
