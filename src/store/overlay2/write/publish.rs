//! Layers become known to dockerd: from complete to durable to layerdb.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::Writer;
use crate::digest::ChainId;
use crate::error::{ErrorKind, Result};
use crate::store::overlay2::layers;

impl Writer {
    /// Makes durable what is complete, and moves the layers that nothing is missing below to layerdb:
    /// dockerd passes over a layer whose parent it does not know. So each move is durable before those
    /// of the layers above.
    pub(super) fn publish_layers(&self) -> Result<()> {
        let _alone = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut done, planned) = {
            let state = self.state();
            (state.done.clone(), Arc::clone(&state.planned))
        };
        if done.is_empty() {
            return Ok(());
        }
        self.sink.sync()?;
        let parent = |chain_id: &ChainId| planned.get(chain_id).and_then(|planned| planned.parent);
        loop {
            let is_next = |chain_id: &ChainId| parent(chain_id).is_none_or(|id| self.has_layer(id));
            let (next, later): (BTreeSet<_>, _) = done.into_iter().partition(is_next);
            if next.is_empty() {
                return Ok(());
            }
            for chain_id in &next {
                self.publish_layer(*chain_id)?;
            }
            self.sink.sync()?;
            done = later;
        }
    }

    /// A layer that dockerd cannot load gives way. One that a failing disk did not give before is as sound as
    /// ever, and others stand on its folder.
    fn must_be_damaged(&self, chain_id: ChainId) -> Result<()> {
        let tree = self.sink.tree();
        match layers::entry(tree, &self.layout, chain_id) {
            Ok(entry) if entry.parent.is_none_or(|parent| self.layers.contains_key(&parent)) => {
                Err(layers::readable_now(tree, &self.layout, chain_id))
            }
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            _ => Ok(()),
        }
    }

    fn publish_layer(&self, chain_id: ChainId) -> Result<()> {
        if self.sink.can_stage() {
            let (made, place) = (self.layout.write_set(chain_id), self.layout.entry(chain_id));
            if self.is_there(&place)? {
                self.must_be_damaged(chain_id)?;
                self.sink.exchange(made.as_path(), place.as_path())?;
                self.sink.remove(made.as_path())?;
            } else {
                self.sink.rename(made.as_path(), place.as_path())?;
            }
        }
        let mut state = self.state();
        state.done.remove(&chain_id);
        state.published.insert(chain_id);
        Ok(())
    }
}
