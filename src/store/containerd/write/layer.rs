//! One layer: its blob, and its files as snapshots.

use super::super::journal::DoneBlob;
use super::super::layout;
use super::Writer;
use super::snapshot::Layer;
use crate::digest::{BlobId, ChainId, Digest};
use crate::error::{Error, Result};
use crate::store::put::Blobs;
use crate::store::{BlobStep, Damage, LayerStep, Progress, Source};
use crate::tree::{Attributes, TreePath, TreePathBuf};

/// Lets go whoever waits for a step's snapshots when the step ends, however it does.
struct Settled<'a> {
    writer: &'a Writer,
    step: &'a LayerStep,
}

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        let mut state = self.writer.state();
        for (chain_id, _) in &self.step.chains {
            state.pending.remove(chain_id);
        }
        self.writer.ended.notify_all();
    }
}

impl Writer {
    /// Makes the folders that layers are put into, takes back what an interrupted run left, and hands
    /// out the snapshots' numbers.
    pub(super) fn prepare(&self, steps: &[LayerStep]) -> Result<()> {
        self.make_folders()?;
        self.take_back()?;
        let (mut next, there) = self.folders()?;
        let mut state = self.state();
        for (chain_id, parent) in steps.iter().flat_map(|step| &step.chains) {
            state.parents.insert(*chain_id, *parent);
            if !there.contains(chain_id) {
                state.pending.insert(*chain_id);
                state.folders.insert(*chain_id, next);
                next = next.saturating_add(1);
            }
        }
        state.next_folder = next;
        Ok(())
    }

    fn make_folders(&self) -> Result<()> {
        let folders: [(&str, u16); 4] = [
            (layout::CONTENT, 0o755),
            (&format!("{}/blobs", layout::CONTENT), 0o755),
            (&format!("{}/ingest", layout::CONTENT), 0o755),
            (layout::METADATA, 0o711),
        ];
        for (folder, mode) in folders {
            self.make_dir(layout::at(folder.to_owned()).as_path(), mode)?;
        }
        self.make_dir(layout::blobs().as_path(), 0o755)?;
        self.make_dir(self.places.folder().as_path(), 0o700)?;
        self.make_dir(self.places.snapshots().as_path(), 0o700)?;
        if self.stage.apart {
            self.make_dir(layout::staging().as_path(), 0o700)?;
            self.make_dir(layout::staged_blobs().as_path(), 0o700)?;
            self.make_dir(layout::staged_snapshots().as_path(), 0o700)?;
            self.make_dir(layout::staged_containers().as_path(), 0o700)?;
        }
        Ok(())
    }

    pub(super) fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()> {
        self.sink.make_dir(path, mode)
    }

    /// Puts one layer, or what an interrupted run left undone of it.
    pub(super) fn layer(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Damage> {
        let _settled = Settled { writer: self, step };
        let (has_blob, chains) = self.undone(step);
        let (mut damage, mut verified) = (Damage::default(), None);
        if step.blob && has_blob {
            progress.advance(step.size);
        } else if step.blob {
            verified = self.put_blob(step, source, progress, &mut damage)?;
        }
        for (chain_id, folder, parent) in chains {
            if damage.blob || damage.chains.iter().any(|(known, _)| *known == chain_id) {
                continue;
            }
            let is_verified = verified == Some(chain_id);
            let place = self.stage.snapshot(chain_id, folder);
            let put = source.layer(chain_id).and_then(|content| {
                let layer = Layer { step, content: &*content, progress, parent, is_verified };
                self.put_snapshot(place.as_path(), &layer)
                    .inspect_err(|_| drop(self.sink.remove(place.as_path())))
            });
            match put {
                Ok(snapshot) => _ = self.state().journal.snapshots.insert(chain_id, snapshot),
                Err(error) => damage.note(chain_id, error)?,
            }
        }
        Ok(damage)
    }

    /// Puts the blob, from the first chain of the layer that is sound; returns that.
    fn put_blob(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
        damage: &mut Damage,
    ) -> Result<Option<ChainId>> {
        let place = |blob| self.stage.blob(blob);
        let blobs = self.putting(step.diff_id.0, &place, progress);
        let Some((chain_id, digest, size)) = blobs.put_any(step, source, damage)? else {
            return Ok(None);
        };
        let mut state = self.state();
        state.journal.blobs.insert(step.diff_id, DoneBlob { digest, size });
        state.written = state.written.saturating_add(size);
        Ok(Some(chain_id))
    }

    /// Puts bytes that keep their digest, or finds that an interrupted run has.
    pub(super) fn keep_blob(
        &self,
        step: &BlobStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Option<Error>> {
        if self.state().journal.kept.contains_key(&step.blob) {
            progress.advance(step.size);
            return Ok(None);
        }
        let place = |blob| self.stage.blob(blob);
        let damage = self.putting(step.blob.0, &place, progress).keep(step, source)?;
        if damage.is_none() {
            let mut state = self.state();
            state.journal.kept.insert(step.blob, step.size);
            state.written = state.written.saturating_add(step.size);
        }
        Ok(damage)
    }

    /// Returns how the blob that comes of `what` is put.
    fn putting<'a>(
        &'a self,
        what: Digest,
        place: &'a dyn Fn(BlobId) -> TreePathBuf,
        progress: &'a dyn Progress,
    ) -> Blobs<'a> {
        Blobs {
            sink: &*self.sink,
            attributes: self.attributes(0o444),
            compression: self.writing.compression,
            progress,
            unfinished: self.stage.unfinished(what),
            place,
        }
    }

    /// Returns whether the blob is done, and the snapshots that are not: chain, folder, and the chain
    /// below.
    fn undone(&self, step: &LayerStep) -> (bool, Vec<(ChainId, u64, Option<ChainId>)>) {
        let state = self.state();
        let undone = |(chain_id, parent): &(ChainId, Option<ChainId>)| {
            let folder = *state.folders.get(chain_id)?;
            let done = state.journal.snapshots.contains_key(chain_id);
            (!done).then_some((*chain_id, folder, *parent))
        };
        let chains = step.chains.iter().filter_map(undone).collect();
        (state.journal.blobs.contains_key(&step.diff_id), chains)
    }

    pub(super) fn attributes(&self, mode: u16) -> Attributes {
        let (uid, gid) = self.owner;
        Attributes { uid, gid, ..Attributes::root(mode) }
    }
}
