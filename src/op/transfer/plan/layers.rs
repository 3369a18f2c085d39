//! Layers, and what moving them costs.

use super::Bytes;
use super::planner::Planner;
use super::whole::Chosen;
use crate::digest::{ChainId, DiffId};
use crate::format::oci::media_type;
use crate::store::{BlobStep, Compression, LayerStep};
use crate::tree::Snapshots;

impl Planner<'_> {
    pub(super) fn count_layers(&mut self, chosen: &Chosen) {
        let counts = &mut self.plan.layer_counts;
        if let Some(kept) = &chosen.kept {
            let layers = kept.blobs.iter().filter(|blob| media_type::is_layer(&blob.media_type));
            for step in layers.filter_map(BlobStep::of) {
                if self.counted.insert(step.blob.0) {
                    let there = self.target.has_bytes(&step);
                    counts.total += 1;
                    counts.there += usize::from(there);
                    counts.to_read += usize::from(!there);
                }
            }
            return;
        }
        for chain_id in chosen.image.shown().map(|shown| shown.chain()).unwrap_or_default() {
            if self.counted.insert(chain_id.0) {
                counts.total += 1;
                counts.there += usize::from(self.there.layers.contains_key(&chain_id));
            }
        }
    }

    pub(super) fn add_layers(&mut self, chosen: &Chosen) {
        let Some(shown) = chosen.image.shown() else { return };
        // A store that keeps no blobs has its layers unpacked.
        let is_wanted = self.options.snapshots != Snapshots::None || !self.target.keeps_documents();
        let mut unpack = is_wanted && !self.there.kind.is_carried();
        let mut parent = None;
        for (diff_id, chain_id) in shown.layers.iter().zip(shown.chain()) {
            let size = self.size(*diff_id, chain_id);
            let blob = chosen.kept.is_none() && !self.target.has_blob(*diff_id);
            let is_there = self.there.layers.contains_key(&chain_id);
            // On what is not unpacked nothing can be: Docker does it when the image is first run.
            unpack &= is_there || self.source.has_tar(chain_id);
            let is_new = unpack && !is_there && self.chains.insert(chain_id);
            let known = self.layers.get(diff_id).copied();
            let index = known.unwrap_or_else(|| self.add_step(*diff_id, size, chain_id));
            self.layers.insert(*diff_id, index);
            let step = &mut self.plan.layers[index];
            step.blob |= blob;
            let without = &self.options.without;
            // One image that needs it is enough for it to come along.
            step.left_out &=
                without.digests.contains(&diff_id.0) || without.chains.contains(&chain_id);
            if is_new {
                // A step that is planned already may come before the layer that this one stands on.
                let apart = known.is_some() && self.plan.in_order;
                let index = if apart { self.add_step(*diff_id, size, chain_id) } else { index };
                let step = &mut self.plan.layers[index];
                step.left_out &= !apart;
                step.chains.push((chain_id, parent));
            }
            parent = Some(chain_id);
        }
    }

    fn add_step(&mut self, diff_id: DiffId, size: u64, from: ChainId) -> usize {
        let (blob, left_out, chains) = (false, true, Vec::new());
        self.plan.layers.push(LayerStep { diff_id, size, blob, left_out, chains, from });
        self.plan.layers.len() - 1
    }

    /// Returns the bytes of a layer: as the source counts them unpacked, else about what its blob holds.
    fn size(&self, diff_id: DiffId, chain_id: ChainId) -> u64 {
        /// Layers of Linux root file systems compress to between a half and a third.
        const RATIO: u64 = 3;
        match (self.from.layers.get(&chain_id), self.from.blobs.get(&diff_id)) {
            (Some(layer), _) => layer.size,
            (None, Some(blob)) if blob.blob.0 == diff_id.0 => blob.size,
            (None, Some(blob)) => blob.size.saturating_mul(RATIO),
            (None, None) => 0,
        }
    }

    pub(super) fn estimate(&mut self) {
        let steps = &mut self.plan.layers;
        steps.retain(|step| step.blob || !step.chains.is_empty());
        let made = if self.plan.layer_counts.to_read == 0 { steps.len() } else { 0 };
        self.plan.layer_counts.to_read += made;
        let bytes = &mut self.plan.bytes;
        self.plan.layer_counts.left_out += steps.iter().filter(|step| step.left_out).count();
        for step in steps.iter() {
            let times = (step.chains.len() as u64).max(u64::from(step.blob));
            bytes.read = bytes.read.saturating_add(step.size.saturating_mul(times));
            if step.blob && !step.left_out {
                let size = compressed(step.size, self.options.compression);
                bytes.write = bytes.write.saturating_add(size);
            }
            let is_unpacked = self.from.layers.contains_key(&step.from);
            if !(self.options.can_share && is_unpacked) {
                let copies = step.size.saturating_mul(step.chains.len() as u64);
                bytes.write = bytes.write.saturating_add(copies);
            }
        }
        for step in &self.plan.blobs {
            bytes.read = bytes.read.saturating_add(step.size);
            bytes.write = bytes.write.saturating_add(step.size);
        }
        // Folders, manifests and the two bolt files: little, and worth a margin.
        bytes.needed = bytes.write.saturating_add(bytes.write / 10).saturating_add(16 << 20);
        if steps.is_empty() && self.plan.images.is_empty() && self.plan.containers.is_empty() {
            *bytes = Bytes::default();
        }
    }
}

/// Returns about how many bytes `size` bytes of a Linux root file system compress to, a little more
/// than was measured (`benches/README.md`).
fn compressed(size: u64, compression: Compression) -> u64 {
    match compression {
        Compression::None => size,
        Compression::Gzip(_) | Compression::Zstd(_) => size / 20 * 9,
    }
}
