//! One layer: the record of its tar, its files, and what layerdb and the driver note of it.

use super::Writer;
use super::content::Record;
use super::plan::Planned;
use crate::digest::ChainId;
use crate::error::Result;
use crate::format::docker::link::{self, Link};
use crate::store::{Damage, LayerContent, LayerStep, Progress, Source};
use crate::tree::{Special, TreePathBuf, optional};

impl Writer {
    /// Puts one layer on all the layers it is to stand on.
    pub(super) fn layer(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Damage> {
        let mut damage = Damage::default();
        for (chain_id, _) in &step.chains {
            let planned = self.state().planned.get(chain_id).cloned();
            let Some(planned) = planned else { continue };
            let put = source
                .layer(*chain_id)
                .and_then(|content| self.put(step, *chain_id, &planned, &*content, progress));
            match put {
                Ok(()) => _ = self.state().done.insert(*chain_id),
                Err(error) => {
                    // What cannot be finished does not keep the room of what can.
                    drop(self.clear(*chain_id, &planned));
                    damage.note(*chain_id, error)?;
                }
            }
        }
        Ok(damage)
    }

    fn put(
        &self,
        step: &LayerStep,
        chain_id: ChainId,
        planned: &Planned,
        content: &dyn LayerContent,
        progress: &dyn Progress,
    ) -> Result<()> {
        let lower = self.lower(planned.parent)?;
        self.clear(chain_id, planned)?;
        let entry = self.entry(chain_id);
        self.sink.make_dir(entry.as_path(), 0o700)?;
        self.put_folder(planned, &lower)?;
        let record = Record { step, content, entry: &entry, progress };
        let size = self.put_content(&record, planned)?;
        let parent = planned.parent.map(|parent| parent.to_string());
        let values = [
            ("diff", Some(step.diff_id.to_string())),
            ("size", Some(size.to_string())),
            ("cache-id", Some(planned.cache_id.clone())),
            ("parent", parent),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                self.write_file(&child(&entry, key), 0o644, value.as_bytes())?;
            }
        }
        self.sink.finish_dir(entry.as_path(), &self.attributes(0o700)).map(drop)
    }

    /// Returns the folder that becomes the layer's in layerdb, or is it already.
    fn entry(&self, chain_id: ChainId) -> TreePathBuf {
        match self.sink.can_stage() {
            true => self.layout.write_set(chain_id),
            false => self.layout.entry(chain_id),
        }
    }

    /// Removes what there is of a layer, but for its folder in layerdb by which the rest is known.
    pub(super) fn clear(&self, chain_id: ChainId, planned: &Planned) -> Result<()> {
        let entry = self.entry(chain_id);
        if !self.sink.can_stage() {
            return self.sink.remove(entry.as_path());
        }
        for name in optional(self.sink.tree().names(entry.as_path()))?.unwrap_or_default() {
            let path = entry.as_path().child(&name).unwrap_or_default();
            self.sink.remove(path.as_path())?;
        }
        self.sink.remove(self.layout.link(planned.link).as_path())?;
        match self.layout.folder(&planned.cache_id) {
            Some(folder) => self.sink.remove(folder.as_path()),
            None => Ok(()),
        }
    }

    /// Makes the driver's folder and the short link to it, all but the layer's files.
    ///
    /// moby v28 daemon/graphdriver/overlay2/overlay.go create
    pub(super) fn put_folder(&self, planned: &Planned, lower: &[Link]) -> Result<()> {
        let folder = self.layout.folder(&planned.cache_id).unwrap_or_default();
        self.sink.make_dir(folder.as_path(), 0o710)?;
        self.write_file(&child(&folder, "link"), 0o644, planned.link.as_bytes())?;
        if let Some(lower) = link::format_lower(lower) {
            self.write_file(&child(&folder, "lower"), 0o644, &lower)?;
            let work = child(&folder, "work");
            self.sink.make_dir(work.as_path(), 0o700)?;
            self.sink.finish_dir(work.as_path(), &self.attributes(0o700))?;
        }
        if planned.has_child {
            self.write_file(&child(&folder, "committed"), 0o600, b"")?;
        }
        let link = Special::Symlink(link::format_target(&planned.cache_id).into_bytes());
        let place = self.layout.link(planned.link);
        self.sink.put(place.as_path(), &link, &self.attributes(0o777))?;
        self.sink.finish_dir(folder.as_path(), &self.attributes(0o710)).map(drop)
    }
}

/// Returns what is called `name` in `folder`.
pub(super) fn child(folder: &TreePathBuf, name: &str) -> TreePathBuf {
    folder.as_path().child(name.as_bytes()).unwrap_or_default()
}
