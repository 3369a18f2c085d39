//! What an interrupted migration has finished, so that the next run goes on from there.
//!
//! Only what is durable is noted: the journal is written after a sync, and replaces the one before it
//! by a rename. Anything in the staging folder that it does not name is thrown away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout;
use crate::digest::{BlobId, ChainId, DiffId};
use crate::error::Result;
use crate::tree::{Sink, TreePath, optional, path, read, write};

/// A layer blob that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DoneBlob {
    pub(super) digest: BlobId,
    pub(super) size: u64,
}

/// A snapshot that is done, with what the snapshotter notes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DoneSnapshot {
    pub(super) inodes: u64,
    pub(super) size: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// How the blobs were made: those of a run with other choices are of no use.
    made: String,
    pub(super) blobs: BTreeMap<DiffId, DoneBlob>,
    pub(super) snapshots: BTreeMap<ChainId, DoneSnapshot>,
    /// Set once everything is done: the folder that each snapshot is moved to.
    pub(super) moves: BTreeMap<ChainId, u64>,
}

impl Journal {
    pub(super) fn new(made: String) -> Self {
        Self { made, ..Self::default() }
    }

    /// Reads the journal of an interrupted run; an empty one if there is none, or if it was made by
    /// other choices.
    pub(super) fn read(sink: &dyn Sink, made: String) -> Result<Self> {
        let file = layout::journal();
        let Some(bytes) = optional(read(sink.tree(), file.as_path()))? else {
            return Ok(Self::new(made));
        };
        let found: Self = serde_json::from_slice(&bytes).unwrap_or_default();
        if found.made == made {
            Ok(found)
        } else {
            Ok(Self { moves: found.moves, ..Self::new(made) })
        }
    }

    /// Makes all that was written durable, then the journal that says so.
    pub(super) fn write(&self, sink: &dyn Sink) -> Result<()> {
        if !sink.can_stage() {
            return Ok(());
        }
        sink.sync()?;
        let temporary = layout::at(format!("{}/journal.new", layout::STAGING));
        sink.remove(temporary.as_path())?;
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        write(sink, temporary.as_path(), 0o600, &bytes)?;
        sink.sync()?;
        sink.rename(temporary.as_path(), layout::journal().as_path())
    }

    /// Removes what lies in the staging folder without being named here.
    pub(super) fn sweep(&self, sink: &dyn Sink) -> Result<()> {
        let blobs: Vec<_> = self.blobs.values().map(|blob| blob.digest.hex()).collect();
        let snapshots: Vec<_> = self.snapshots.keys().map(ChainId::hex).collect();
        remove_others(sink, path("tranship/blobs"), &blobs)?;
        remove_others(sink, path("tranship/snapshots"), &snapshots)
    }
}

fn remove_others(sink: &dyn Sink, folder: TreePath<'_>, keep: &[String]) -> Result<()> {
    let keep: std::collections::HashSet<&[u8]> = keep.iter().map(String::as_bytes).collect();
    for name in optional(sink.tree().names(folder))?.unwrap_or_default() {
        if !keep.contains(name.as_slice())
            && let Some(path) = folder.child(&name)
        {
            sink.remove(path.as_path())?;
        }
    }
    Ok(())
}
