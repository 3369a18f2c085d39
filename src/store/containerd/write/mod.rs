//! Writing into a containerd root: layers first, in a folder of their own; then, at the commit, the
//! snapshotter's `metadata.db`, the snapshots and blobs to where containerd looks for them, and last
//! `meta.db`, whose rename makes everything visible at once. Each is durable before the next.
//!
//! Two bolt files cannot be renamed together. New entries of the snapshotter's file are harmless as
//! long as `meta.db` does not name them, so it goes first. It goes before the snapshots' folders too:
//! from then on their numbers are taken, and a daemon that starts after a power cut does not give one
//! of them to another snapshot, whose folder it could not put there.

mod bolt;
mod commit;
mod container;
mod image;
mod layer;
mod lease;
pub(super) mod meta;
mod recover;
mod snapshot;
mod stage;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::journal::{DoneBlob, Journal};
use super::layout::{self, Snapshotter};
use super::read::Containerd;
use crate::digest::{BlobId, ChainId, DiffId};
use crate::error::{Error, ErrorKind, Result};
use crate::format::oci::Platform;
use crate::model::{Finding, Inventory, LayerBlob, Severity, StoreKind};
use crate::store::{
    BlobStep, Committed, Compression, ContainerStep, Damage, ImageStep, LayerStep, Progress,
    Source, Target, Writing,
};
use crate::tree::{Kind, Sink, TreePath, optional};
use stage::Stage;

/// A containerd root being written.
pub struct Writer {
    sink: Arc<dyn Sink>,
    namespace: String,
    snapshotter: String,
    places: Snapshotter,
    writing: Writing,
    stage: Stage,
    inventory: Inventory,
    /// The blobs that the namespace has.
    there: HashSet<BlobId>,
    /// Owner of the files that belong to the store itself: whoever owns its root.
    owner: (u32, u32),
    /// The folders of the snapshots that images stand on.
    unpacked: HashMap<ChainId, u64>,
    state: Mutex<State>,
    /// A snapshot is no longer pending.
    ended: Condvar,
    /// One journal is written at a time.
    journal: Mutex<()>,
}

#[derive(Default)]
struct State {
    journal: Journal,
    /// The snapshots to be made, with the folder each is to have.
    folders: BTreeMap<ChainId, u64>,
    /// What each snapshot to be made stands on.
    parents: HashMap<ChainId, Option<ChainId>>,
    /// Snapshots that are neither made nor given up yet.
    pending: HashSet<ChainId>,
    /// The first number that no snapshot has.
    next_folder: u64,
    /// The containers that are staged.
    containers: Vec<container::Put>,
    /// Documents that are staged.
    documents: HashSet<BlobId>,
    /// Bytes of layers written by this run.
    written: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Writer {
    /// Opens the containerd root that `sink` is, empty or not. Nothing else may write there meanwhile.
    ///
    /// # Errors
    /// A root whose bolt files cannot be read is not written to; names that are none are refused.
    pub fn open(
        sink: Arc<dyn Sink>,
        namespace: &str,
        snapshotter: &str,
        host: &Platform,
        writing: Writing,
    ) -> Result<Self> {
        bolt::check_name("namespace", namespace)?;
        bolt::check_name("snapshotter", snapshotter)?;
        let Held { inventory, blobs: there, unpacked } =
            found(&*sink, namespace, snapshotter, host)?;
        // A root that is yet to be made will be root's.
        let root = optional(sink.tree().stat(TreePath::ROOT))?;
        let stage = Stage::new(sink.can_stage(), snapshotter);
        Ok(Self {
            namespace: namespace.to_owned(),
            snapshotter: snapshotter.to_owned(),
            places: Snapshotter::new(snapshotter),
            owner: root.map_or((0, 0), |root| (root.uid, root.gid)),
            sink,
            writing,
            stage,
            inventory,
            there,
            unpacked,
            ended: Condvar::new(),
            state: Mutex::new(State { journal: Journal::new(writing), ..State::default() }),
            journal: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the blob of a layer that is in the store already and may be used as it is.
    ///
    /// Without compression the image's ID is to be that of `docker save`, so nothing else will do.
    fn existing_blob(&self, diff_id: DiffId) -> Option<&LayerBlob> {
        let blob = self.inventory.blobs.get(&diff_id)?;
        let same = blob.blob.0 == diff_id.0;
        let file = self.sink.tree().stat(layout::blob(blob.blob).as_path()).ok()?;
        let whole = file.kind == Kind::File && file.size == blob.size;
        (whole && (same || self.writing.compression != Compression::None)).then_some(blob)
    }

    /// Returns the blob of a layer, whether it was there or has been put there.
    fn blob(&self, diff_id: DiffId) -> Option<(DoneBlob, bool)> {
        if let Some(blob) = self.existing_blob(diff_id) {
            return Some((DoneBlob { digest: blob.blob, size: blob.size }, false));
        }
        self.state().journal.blobs.get(&diff_id).map(|blob| (*blob, true))
    }
}

/// What a root held when it was opened.
struct Held {
    inventory: Inventory,
    blobs: HashSet<BlobId>,
    unpacked: HashMap<ChainId, u64>,
}

fn found(sink: &dyn Sink, namespace: &str, snapshotter: &str, host: &Platform) -> Result<Held> {
    // The reader wants a tree of its own; what it borrows ends with this call.
    match Containerd::read(sink.tree(), namespace, snapshotter, host) {
        Ok(found) => Ok(Held {
            unpacked: found.folders(),
            inventory: found.inventory,
            blobs: found.records.blobs.into_keys().collect(),
        }),
        Err(error) if error.kind() == ErrorKind::Missing => Ok(Held {
            inventory: Inventory::new(StoreKind::Containerd, snapshotter),
            blobs: HashSet::new(),
            unpacked: HashMap::new(),
        }),
        Err(error) => Err(error),
    }
}

impl Target for Writer {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn has_blob(&self, diff_id: DiffId) -> bool {
        self.existing_blob(diff_id).is_some()
    }

    fn begin(&self, steps: &[LayerStep]) -> Result<()> {
        self.prepare(steps)
    }

    fn put_layer(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Damage> {
        self.layer(step, source, progress)
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    fn has_bytes(&self, step: &BlobStep) -> bool {
        let file = || self.sink.tree().stat(layout::blob(step.blob).as_path()).ok();
        self.there.contains(&step.blob)
            && file().is_some_and(|file| file.kind == Kind::File && file.size == step.size)
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Option<Error>> {
        self.keep_blob(step, source, progress)
    }

    fn put_container(&self, step: &ContainerStep, source: &dyn Source) -> Result<u64> {
        self.container(step, source)
    }

    fn written(&self) -> u64 {
        self.state().written
    }

    fn checkpoint(&self) -> Result<()> {
        let _alone = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = self.state().journal.clone();
        journal.write(&*self.sink, &self.attributes(0o600))
    }

    fn tidy(&self) -> Result<()> {
        self.clean_up()
    }

    fn commit(&self, images: &[ImageStep], source: &dyn Source) -> Result<Vec<Committed>> {
        let documents = images.iter().map(|image| self.documents(image, source));
        let documents = documents.collect::<Result<Vec<_>>>()?;
        self.publish(images, &documents)?;
        // The images are there. What could not be cleaned up is no reason to say that they are not.
        let mut left = self.discard().err().map(|error| {
            let error = error.hint("the next run removes it");
            Finding::of("staging-left", Severity::Untidy, &error)
        });
        let findings = documents.iter().map(|_| left.take().into_iter().collect());
        let committed = documents.iter().zip(findings);
        committed.map(|(d, findings)| Ok(Committed { id: d.id()?, findings })).collect()
    }
}

/// Returns the chains that `images` stand on, each after the one below it.
fn chains_of(images: &[ImageStep]) -> Vec<(ChainId, Option<ChainId>)> {
    let (mut seen, mut chains) = (HashSet::new(), Vec::new());
    for manifest in images.iter().filter_map(|step| step.image.shown()) {
        let mut parent = None;
        for chain_id in manifest.chain() {
            if seen.insert(chain_id) {
                chains.push((chain_id, parent));
            }
            parent = Some(chain_id);
        }
    }
    chains
}
