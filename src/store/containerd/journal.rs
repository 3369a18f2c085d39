//! What an interrupted migration has finished, so that the next run goes on from there.
//!
//! Only what is durable is noted, and what is no longer noted may be removed: the journal is durable
//! under its name before anything it has dropped goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout;
use crate::digest::{BlobId, ChainId, DiffId};
use crate::error::Result;
use crate::format::time::Timestamp;
use crate::store::Writing;
use crate::tree::{Attributes, Sink, TreePath, TreePathBuf, optional, read, sink_error};

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

/// A commit that was begun: the folder that each snapshot is moved to, and how to know the entries it
/// made in the snapshotter's file from those that a daemon may have made since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moves {
    pub(super) namespace: String,
    pub(super) snapshotter: String,
    pub(super) made_at: Timestamp,
    pub(super) folders: BTreeMap<ChainId, u64>,
    /// The same of containers' snapshots, by their keys.
    #[serde(default)]
    pub(super) containers: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// How the blobs were made: those of a run with other choices are of no use.
    made: String,
    pub(super) blobs: BTreeMap<DiffId, DoneBlob>,
    /// Blobs that kept their digest, with their lengths; they are the same however they came.
    #[serde(default)]
    pub(super) kept: BTreeMap<BlobId, u64>,
    pub(super) snapshots: BTreeMap<ChainId, DoneSnapshot>,
    pub(super) moves: Option<Moves>,
}

impl Journal {
    /// Returns the journal of a run that has finished nothing yet.
    pub(super) fn new(writing: Writing) -> Self {
        Self { made: format!("{:?}", writing.compression), ..Self::default() }
    }

    /// Reads the journal of an interrupted run, if there is one that can be read.
    pub(super) fn read(sink: &dyn Sink) -> Result<Option<Self>> {
        let bytes = optional(read(sink.tree(), layout::journal().as_path()))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Returns what of this journal is of use to a run with these choices. A commit that was begun is
    /// not.
    pub(super) fn of_use(&self, writing: Writing) -> Self {
        let (kept, snapshots) = (self.kept.clone(), self.snapshots.clone());
        let mut new = Self { kept, snapshots, ..Self::new(writing) };
        if self.made == new.made {
            new.blobs.clone_from(&self.blobs);
        }
        new
    }

    /// Makes all that was written durable, and then, under its name, the journal that says so.
    pub(super) fn write(&self, sink: &dyn Sink, attributes: &Attributes) -> Result<()> {
        if !sink.can_stage() {
            return Ok(());
        }
        let new = layout::new_journal();
        sink.remove(new.as_path())?;
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let mut file = sink.create(new.as_path(), attributes)?;
        file.write_all(&bytes).map_err(|error| sink_error(sink, new.as_path(), error))?;
        file.finish()?;
        sink.sync()?;
        sink.rename(new.as_path(), layout::journal().as_path())?;
        sink.sync()
    }

    /// Removes what lies in the staging folder without being named here.
    pub(super) fn sweep(&self, sink: &dyn Sink) -> Result<()> {
        let made = self.blobs.values().map(|blob| blob.digest);
        let blobs: Vec<_> = made.chain(self.kept.keys().copied()).map(|blob| blob.hex()).collect();
        let snapshots: Vec<_> = self.snapshots.keys().map(ChainId::hex).collect();
        remove_others(sink, &layout::staged_blobs(), &blobs)?;
        remove_others(sink, &layout::staged_snapshots(), &snapshots)?;
        // A container may have run since: it is always copied anew.
        remove_others(sink, &layout::staged_containers(), &[])
    }
}

/// Removes what is staged, the journal first: what is half removed must not be taken for done. What was
/// put aside lies in the same folder, and stays.
pub(super) fn discard(sink: &dyn Sink) -> Result<()> {
    sink.remove(layout::journal().as_path())?;
    sink.sync()?;
    let folder = layout::staging();
    let names = optional(sink.tree().names(folder.as_path()))?.unwrap_or_default();
    if names.iter().any(|name| name == layout::QUARANTINE.as_bytes()) {
        remove_others(sink, &folder, &[layout::QUARANTINE.to_owned()])?;
    } else {
        sink.remove(folder.as_path())?;
    }
    sink.sync()
}

fn remove_others(sink: &dyn Sink, folder: &TreePathBuf, keep: &[String]) -> Result<()> {
    let folder: TreePath<'_> = folder.as_path();
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
