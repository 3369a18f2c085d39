//! What an interrupted run left: what of it is of use, and what is not.

use std::collections::{BTreeMap, HashSet};

use super::super::journal::{self, Journal, Moves};
use super::super::layout::{self, Snapshotter};
use super::{Writer, meta};
use crate::digest::{BlobId, ChainId};
use crate::error::Result;
use crate::tree::{Kind, TreePathBuf, optional};

impl Writer {
    /// Undoes a commit that was begun, and throws away what the interrupted run did not finish. This
    /// may itself be interrupted anywhere.
    pub(super) fn take_back(&self) -> Result<()> {
        if !self.stage.apart {
            return Ok(());
        }
        let Some(found) = Journal::read(&*self.sink)? else {
            return self.state().journal.sweep(&*self.sink);
        };
        if let Some(moves) = &found.moves {
            self.undo(moves)?;
        }
        let mut journal = found.of_use(self.writing);
        self.drop_what_is_gone(&mut journal)?;
        if journal != found {
            journal.write(&*self.sink, &self.attributes(0o600))?;
        }
        journal.sweep(&*self.sink)?;
        self.state().journal = journal;
        Ok(())
    }

    /// Removes all that an interrupted run left.
    pub(super) fn clean_up(&self) -> Result<()> {
        if !self.stage.apart || !self.is_there(&layout::staging())? {
            return Ok(());
        }
        if let Some(moves) = Journal::read(&*self.sink)?.and_then(|journal| journal.moves) {
            self.undo(&moves)?;
        }
        self.discard()
    }

    /// Removes the staging folder, of which nothing is of use any more.
    pub(super) fn discard(&self) -> Result<()> {
        if self.stage.apart { journal::discard(&*self.sink) } else { Ok(()) }
    }

    /// Moves snapshots back to the staging folder and makes the snapshotter forget them.
    ///
    /// A daemon may have run since. What it made is its own: a number in the journal is ours only if
    /// its entry has the time of our commit, and only as long as `meta.db` does not name it.
    fn undo(&self, moves: &Moves) -> Result<()> {
        let places = Snapshotter::new(&moves.snapshotter);
        let (meta_file, file) = (self.meta_file()?, self.backend_file(&places)?);
        let (meta, mut backend) = (self.load(&meta_file)?, self.load(&file)?);
        let ours = meta::unnamed(&meta, &backend, moves);
        for (key, folder) in &ours {
            let staged = match key.parse() {
                Ok(chain_id) => layout::staged_snapshot(chain_id),
                Err(_) => layout::staged_container(key),
            };
            let place = places.snapshot(*folder);
            if self.is_there(&place)? {
                self.sink.remove(staged.as_path())?;
                self.sink.rename(place.as_path(), staged.as_path())?;
            }
        }
        if ours.is_empty() {
            return Ok(());
        }
        meta::forget(&mut backend, &ours.values().copied().collect());
        let staged = self.stage_bolt(&file, &backend)?;
        self.sink.sync()?;
        self.replace(&staged)
    }

    /// Drops from `journal` what is no longer where it was left.
    fn drop_what_is_gone(&self, journal: &mut Journal) -> Result<()> {
        let here = |path: TreePathBuf| optional(self.sink.tree().stat(path.as_path()));
        let is_whole = |blob: BlobId, size: u64| -> Result<bool> {
            for path in [layout::staged_blob(blob), layout::blob(blob)] {
                if here(path)?.is_some_and(|f| f.kind == Kind::File && f.size == size) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let (mut blobs, mut kept) = (BTreeMap::new(), BTreeMap::new());
        for (diff_id, blob) in &journal.blobs {
            if is_whole(blob.digest, blob.size)? {
                blobs.insert(*diff_id, *blob);
            }
        }
        for (blob, size) in &journal.kept {
            if is_whole(*blob, *size)? {
                kept.insert(*blob, *size);
            }
        }
        let mut snapshots = BTreeMap::new();
        for (chain_id, snapshot) in &journal.snapshots {
            if here(layout::staged_snapshot(*chain_id))?.is_some_and(|f| f.kind == Kind::Dir) {
                snapshots.insert(*chain_id, *snapshot);
            }
        }
        (journal.blobs, journal.kept, journal.snapshots) = (blobs, kept, snapshots);
        Ok(())
    }

    /// Returns the first folder number that no snapshot has had, and the chains that have one: also
    /// those that no image stands on, such as a build's.
    pub(super) fn folders(&self) -> Result<(u64, HashSet<ChainId>)> {
        let (meta_file, file) = (self.meta_file()?, self.backend_file(&self.places)?);
        let (meta, backend) = (self.load(&meta_file)?, self.load(&file)?);
        let (named, sequence) = meta::folders(&backend);
        let names = optional(self.sink.tree().names(self.places.snapshots().as_path()))?;
        let names = names.unwrap_or_default();
        let on_disk = names.iter().filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok());
        let last = named.into_iter().chain(on_disk).max().unwrap_or(0).max(sequence);
        let there = meta::chains(&meta, &backend, &self.namespace, &self.snapshotter);
        Ok((last.saturating_add(1), there))
    }
}
