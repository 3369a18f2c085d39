//! What is of no use any more: what this run made aside, and what an interrupted one left.

use super::Writer;
use super::beside::Stands;
use super::plan::{cache_ids, links};
use crate::digest::{ChainId, Digest};
use crate::error::Result;
use crate::store::overlay2::layout::WRITE_SET;
use crate::tree::optional;

impl Writer {
    /// Removes what an interrupted run left; but images that had all come beside come to their place.
    pub(super) fn tidied(&self) -> Result<()> {
        self.discard()?;
        let stands = self.state().stands;
        if stands == Stands::Between || stands == Stands::Beside && !self.images.is_empty() {
            self.settle()?;
        }
        self.clear_stage()
    }

    /// Removes everything of ours that is not part of the store.
    pub(super) fn discard(&self) -> Result<()> {
        if !self.sink.can_stage() {
            return Ok(());
        }
        self.sink.remove(self.layout.staging(None).as_path())?;
        let names = optional(self.sink.tree().names(self.layout.write_sets().as_path()))?;
        let names = names.unwrap_or_default();
        self.discard_containers(&names)?;
        let chain_id = |name: &Vec<u8>| {
            let hex = std::str::from_utf8(name).ok()?.strip_prefix(WRITE_SET)?;
            Digest::from_hex(hex).ok().map(ChainId)
        };
        let left: Vec<ChainId> = names.iter().filter_map(chain_id).collect();
        if left.is_empty() {
            return Ok(());
        }
        for chain_id in &left {
            self.discard_files(*chain_id)?;
        }
        // The rest is known by the write-set, which therefore goes last.
        self.sink.sync()?;
        for chain_id in &left {
            self.sink.remove(self.layout.write_set(*chain_id).as_path())?;
        }
        Ok(())
    }

    /// Removes the driver's folder of a layer that did not come to layerdb. If layerdb has the layer by
    /// now, the folder may be that layer's.
    fn discard_files(&self, chain_id: ChainId) -> Result<()> {
        if self.is_there(&self.layout.entry(chain_id))? {
            return Ok(());
        }
        for cache_id in cache_ids(chain_id) {
            for link in links(&cache_id).filter(|link| self.leads_to(*link, &cache_id)) {
                self.sink.remove(self.layout.link(link).as_path())?;
            }
            if let Some(folder) = self.layout.folder(&cache_id) {
                self.sink.remove(folder.as_path())?;
            }
        }
        Ok(())
    }
}
