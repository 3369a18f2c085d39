//! `layerdb/sha256`: what each layer needs, and whether anything needs the layer.

use std::collections::{BTreeSet, HashSet};

use super::{Auditor, HEAL, Here, TIDY};
use crate::digest::{ChainId, Digest};
use crate::error::Result;
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::model::Severity;
use crate::store::overlay2::images;
use crate::store::overlay2::layers::{Entry, RECORD, as_written};
use crate::tree::{Kind, optional};

/// Returns whether the driver has a folder of a layer's files.
pub(super) fn has_files(here: &Here<'_>, entry: &Entry) -> bool {
    let files = here.layout.files(&entry.cache_id).unwrap_or_default();
    here.tree.stat(files.as_path()).is_ok_and(|found| found.kind == Kind::Dir)
}

impl Auditor<'_> {
    /// Reads the layers that were not loaded, as far as they can be read: what a daemon takes at its word.
    pub(super) fn read_odd_layers(&mut self) -> Result<()> {
        let (here, folder) = (self.here, self.here.layout.layers());
        let all = self.digests(&folder, "layer-stray", "no layer can have this name")?;
        let odd = all.into_iter().map(ChainId).filter(|id| !here.layers.contains_key(id));
        let read = |id| Some((id, as_written(here.tree, here.layout, id).ok()?));
        self.odd_layers = odd.filter_map(read).collect();
        Ok(())
    }

    pub(super) fn check_layers(&mut self) -> Result<()> {
        let here = self.here;
        self.audit.count("layers", here.layers.len());
        for chain_id in here.without_record {
            // Such images still run; `docker save` and `docker push` fail.
            let what = format!("layer {}: the record of its tar is gone", chain_id.0.short());
            let record = here.layout.layer(*chain_id, RECORD);
            let code = ("layer-without-record", Severity::DataLost);
            self.note(code, record.as_path(), what, HEAL);
        }
        self.unused_layers();
        self.write_sets()
    }

    /// Tells of layers that no image, container or build needs.
    fn unused_layers(&mut self) {
        let Some(builds) = &self.builds else { return };
        let mut needed: HashSet<ChainId> = builds.chains.iter().copied().collect();
        let mounts = self.mounts.iter().filter_map(|here| here.mount.as_ref().ok());
        needed.extend(mounts.filter_map(|mount| mount.parent));
        needed.extend(self.tops());
        let layers = self.here.layers;
        let tops: Vec<_> = needed.iter().copied().collect();
        for top in tops {
            let mut next = layers.get(&top).and_then(|entry| entry.parent);
            while let Some(below) = next.filter(|below| needed.insert(*below)) {
                next = layers.get(&below).and_then(|entry| entry.parent);
            }
        }
        let unused: BTreeSet<_> = layers.keys().filter(|id| !needed.contains(id)).collect();
        for chain_id in unused {
            let what = format!("layer {}: no image, container or build has it", chain_id.0.short());
            let folder = self.here.layout.entry(*chain_id);
            self.note(("layer-unused", Severity::Untidy), folder.as_path(), what, TIDY);
        }
    }

    /// Returns every layer of every image, and of those that cannot be loaded and may be healed.
    fn tops(&self) -> HashSet<ChainId> {
        let manifests = self.here.inventory.images.iter().flat_map(|image| &image.manifests);
        let mut tops: HashSet<ChainId> = manifests.flat_map(|one| one.chain()).collect();
        let known: HashSet<Digest> = self.here.inventory.images.iter().map(|i| i.id).collect();
        for id in self.configs.iter().filter(|id| !known.contains(*id)) {
            let bytes = images::config(self.here.tree, self.here.layout, *id);
            let config = bytes.ok().and_then(|bytes| decode::<ImageConfig>(&bytes).ok());
            let diff_ids = config.and_then(|config| config.diff_ids().ok());
            tops.extend(ChainId::chain(&diff_ids.unwrap_or_default()));
        }
        tops
    }

    fn write_sets(&mut self) -> Result<()> {
        let folder = self.here.layout.write_sets();
        for name in optional(self.here.tree.names(folder.as_path()))?.unwrap_or_default() {
            let Some(path) = folder.as_path().child(&name) else { continue };
            let what = "what is left of a layer that was being added";
            self.note(("layer-half-added", Severity::Untidy), path.as_path(), what, TIDY);
        }
        let staging = self.here.layout.staging(None);
        if self.here.tree.stat(staging.as_path()).is_ok() {
            let remedy = "the next `tranship migrate` goes on from there";
            let what = "an interrupted run has left its work";
            self.note(("staging-left", Severity::Untidy), staging.as_path(), what, remedy);
        }
        Ok(())
    }
}
