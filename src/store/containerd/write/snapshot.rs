//! One snapshot: a layer's files, taken over or unpacked.

use std::sync::PoisonError;

use super::super::journal::DoneSnapshot;
use super::Writer;
use crate::digest::ChainId;
use crate::error::{Error, Result, from_io};
use crate::format::overlay::Mark;
use crate::format::tar::{self, Watch};
use crate::store::put::{Metered, verify};
use crate::store::unpack::{Rules, Same, Unpacker, folder_below};
use crate::store::{LayerContent, LayerStep, Progress};
use crate::tree::{Copying, Entry, Metadata, Tree, TreePath, TreePathBuf, copy};

/// A layer that is being put on one of the layers it stands on.
pub(super) struct Layer<'a> {
    pub(super) step: &'a LayerStep,
    pub(super) content: &'a dyn LayerContent,
    pub(super) progress: &'a dyn Progress,
    pub(super) parent: Option<ChainId>,
    /// Whether the content's tar was read to its end before.
    pub(super) is_verified: bool,
}

impl Writer {
    /// Makes a snapshot of a layer: of its files, if they are what the tar unpacks to, else of its tar.
    pub(super) fn put_snapshot(
        &self,
        snapshot: TreePath<'_>,
        layer: &Layer<'_>,
    ) -> Result<DoneSnapshot> {
        self.sink.remove(snapshot)?;
        self.make_dir(snapshot, 0o700)?;
        let files = snapshot.child(b"fs").unwrap_or_default();
        let done = match self.files_of(layer)? {
            Some((tree, from)) => {
                self.take(tree, &from, files.as_path(), layer.parent.is_none())?
            }
            None => self.unpack(layer, files.as_path())?,
        };
        self.end_snapshot(snapshot)?;
        Ok(done)
    }

    /// Gives a snapshot what it has besides its files.
    pub(super) fn end_snapshot(&self, snapshot: TreePath<'_>) -> Result<()> {
        let work = snapshot.child(b"work").unwrap_or_default();
        self.make_dir(work.as_path(), 0o711)?;
        self.sink.finish_dir(work.as_path(), &self.attributes(0o711))?;
        self.sink.finish_dir(snapshot, &self.attributes(0o700)).map(drop)
    }

    /// Returns the folder with the layer's files, if it has one that holds what the layer's tar does.
    fn files_of<'l>(&self, layer: &'l Layer<'_>) -> Result<Option<(&'l dyn Tree, TreePathBuf)>> {
        let Some((tree, from)) = layer.content.files() else { return Ok(None) };
        if layer.content.tar_is_of_files() {
            if !layer.is_verified {
                verify(layer.step, layer.content, &*self.sink, layer.progress)?;
            }
            return Ok(Some((tree, from)));
        }
        let is_same = self.with_rules(layer.parent, |rules| {
            let mut same = Same::new(tree, from.as_path(), rules);
            self.watch(layer, &mut same)?;
            same.finish()
        })?;
        Ok(is_same.then_some((tree, from)))
    }

    /// Reads the layer's tar to its end, which verifies it.
    fn watch(&self, layer: &Layer<'_>, watch: &mut dyn Watch) -> Result<()> {
        let tar = layer.content.tar()?;
        let read = tar::watch(Metered::new(tar, layer.step.size, layer.progress), watch);
        read.map(drop).map_err(|error| from_io(error, || self.sink.tree().place(TreePath::ROOT)))
    }

    fn take(
        &self,
        tree: &dyn Tree,
        from: &TreePathBuf,
        files: TreePath<'_>,
        is_base: bool,
    ) -> Result<DoneSnapshot> {
        let copying = Copying {
            snapshots: self.writing.snapshots,
            // containerd extracts a base layer without overlayfs, where a whiteout removes nothing
            // and leaves nothing (containerd v2 core/diff/apply/apply_linux.go).
            skip: &|entry: &Entry| is_base && Metadata::is_whiteout(&entry.metadata),
            skip_xattr: &|key: &[u8]| is_left_behind(key, is_base),
        };
        let copied = copy(tree, from.as_path(), &*self.sink, files, &copying)?;
        self.add_written(copied.written);
        Ok(DoneSnapshot { inodes: copied.inodes, size: copied.allocated })
    }

    fn unpack(&self, layer: &Layer<'_>, files: TreePath<'_>) -> Result<DoneSnapshot> {
        let unpacked = self.with_rules(layer.parent, |rules| {
            let mut unpacker = Unpacker::new(&*self.sink, files, rules)?;
            self.watch(layer, &mut unpacker)?;
            unpacker.finish()
        })?;
        self.add_written(unpacked.written);
        Ok(DoneSnapshot { inodes: unpacked.inodes, size: unpacked.allocated })
    }

    fn add_written(&self, bytes: u64) {
        let mut state = self.state();
        state.written = state.written.saturating_add(bytes);
    }

    /// Hands out the rules by which containerd unpacks a layer on `parent`.
    fn with_rules<T>(
        &self,
        parent: Option<ChainId>,
        run: impl FnOnce(Rules<'_>) -> Result<T>,
    ) -> Result<T> {
        let Some(parent) = parent else { return run(Rules::containerd_base()) };
        let (tree, below) = (self.sink.tree(), self.below(parent));
        // Few layers ask for a folder below them, so few wait for those.
        let finished = |(chain_id, files): &(ChainId, TreePathBuf)| {
            self.wait_for(*chain_id).map(|()| (tree, files.clone()))
        };
        run(Rules::containerd(&|folder| folder_below(below.iter().map(finished), folder)))
    }

    /// Waits until a snapshot is made that another thread is making. The steps come in such an order
    /// that the first of those which are being done waits for none.
    fn wait_for(&self, chain_id: ChainId) -> Result<()> {
        let mut state = self.state();
        while state.pending.contains(&chain_id) {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if self.unpacked.contains_key(&chain_id) || state.journal.snapshots.contains_key(&chain_id)
        {
            return Ok(());
        }
        let place = self.sink.tree().place(self.places.snapshots().as_path());
        let what = format!("the layer below, {}, could not be unpacked", chain_id.0.short());
        Err(Error::missing(place, what))
    }

    /// Returns the snapshot `top` and all below it, the nearest first, each with its files' folder.
    fn below(&self, top: ChainId) -> Vec<(ChainId, TreePathBuf)> {
        let state = self.state();
        let (mut found, mut next) = (Vec::new(), Some(top));
        while let Some(chain_id) = next {
            let here = self.inventory.layers.get(&chain_id);
            next = match (state.parents.get(&chain_id), here) {
                (Some(parent), _) => *parent,
                (None, here) => here.and_then(|layer| layer.parent),
            };
            let folder = match (self.unpacked.get(&chain_id), state.folders.get(&chain_id)) {
                (Some(folder), _) => Some(self.places.snapshot(*folder)),
                (None, folder) => folder.map(|folder| self.stage.snapshot(chain_id, *folder)),
            };
            let files = folder.and_then(|folder| folder.as_path().child(b"fs"));
            found.extend(files.map(|files| (chain_id, files)));
            // No real image has more layers, and a loop of parents has no end.
            if found.len() > DEEPEST {
                break;
            }
        }
        found
    }
}

/// overlayfs takes 500 layers at most.
const DEEPEST: usize = 500;

/// What the kernel noted for its own use while the folder was a container's, or BuildKit's, means
/// nothing elsewhere; and nothing lies below a base layer that could be hidden.
pub(super) fn is_left_behind(key: &[u8], is_base: bool) -> bool {
    match Mark::of(key) {
        Some((_, mark)) => mark.is_private() || (is_base && mark == Mark::Opaque),
        None => false,
    }
}
