//! `distribution`: what blobs of registries unpack to, noted twice. A pull believes it.
//!
//! moby v28.5 distribution/metadata/v2_metadata_service.go

use std::collections::HashMap;

use super::{Auditor, MEND};
use crate::digest::{BlobId, DiffId, Digest};
use crate::error::Result;
use crate::format::docker::{distribution, layerdb};
use crate::model::Severity;
use crate::tree::{many, read_within};

/// 50 places of a layer, with long names.
const LIMIT: u64 = 1 << 20;

impl Auditor<'_> {
    pub(super) fn check_registry(&mut self) -> Result<()> {
        let (here, stray) = (self.here, "no digest has this name");
        let blobs = self.digests(&here.layout.diffs(), "registry-stray", stray)?;
        let layers = self.digests(&here.layout.places(), "registry-stray", stray)?;
        self.audit.count("registry-notes", blobs.len().saturating_add(layers.len()));
        let diffs = many(&blobs, |blob| {
            let file = here.layout.diff_of(BlobId(*blob));
            let bytes = read_within(here.tree, file.as_path(), LIMIT)?;
            layerdb::diff_id(&bytes).map_err(|error| error.at(here.tree.place(file.as_path())))
        });
        let mut unpack_to: HashMap<Digest, DiffId> = HashMap::new();
        for (blob, diff) in blobs.iter().zip(diffs) {
            match diff {
                Ok(diff_id) => _ = unpack_to.insert(*blob, diff_id),
                Err(error) => self.unreadable(&error),
            }
        }
        let places = many(&layers, |layer| {
            let file = here.layout.places_of(DiffId(*layer));
            let bytes = read_within(here.tree, file.as_path(), LIMIT)?;
            distribution::blobs(&bytes).map_err(|error| error.at(here.tree.place(file.as_path())))
        });
        for (layer, known) in layers.iter().zip(places) {
            match known {
                Ok(blobs) => self.agree(DiffId(*layer), &blobs, &unpack_to),
                Err(error) => self.unreadable(&error),
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, error: &crate::error::Error) {
        let place = error.place().cloned().unwrap_or_default();
        let code = ("registry-note-unreadable", Severity::WrongMetadata);
        let remedy = "remove the file: dockerd asks the registry again";
        self.audit.note(code, place, error.what(), remedy);
    }

    /// What is noted of a layer's blobs must be what is noted of those blobs.
    fn agree(&mut self, layer: DiffId, blobs: &[BlobId], unpack_to: &HashMap<Digest, DiffId>) {
        for blob in blobs {
            let Some(other) = unpack_to.get(&blob.0).filter(|other| **other != layer) else {
                continue;
            };
            let what = format!(
                "blob {} is said to be layer {}, and elsewhere layer {}",
                blob.0.short(),
                layer.0.short(),
                other.0.short()
            );
            let file = self.here.layout.diff_of(*blob);
            let code = ("registry-notes-disagree", Severity::WrongMetadata);
            self.note(code, file.as_path(), what, MEND);
        }
    }
}
