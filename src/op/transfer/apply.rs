//! The one transfer loop.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Plan;
use crate::digest::{BlobId, ChainId, DiffId, Digest};
use crate::error::{Error, Place, Result};
use crate::model::{Finding, Severity};
use crate::store::{
    BlobStep, ContainerStep, Damage, ImageStep, LayerStep, Progress, Source, Target, of_source,
};

/// An interrupted run loses at most this much work.
const CHECKPOINT: u64 = 1 << 30;

/// An image that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its ID in the source.
    pub id: Digest,
    /// Its ID in the target.
    pub becomes: Digest,
}

/// An image that could not be moved, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its ID in the source.
    pub id: Digest,
    /// The layer or blob that stopped it.
    pub stopped_by: Digest,
}

/// A container that could not be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedContainer {
    /// Its ID.
    pub id: String,
    /// Why.
    pub why: String,
}

/// What came of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The images that arrived.
    pub moved: Vec<Moved>,
    /// The images that did not.
    pub failed: Vec<Failed>,
    /// The IDs of the containers that arrived.
    pub containers: Vec<String>,
    /// The containers that did not.
    pub failed_containers: Vec<FailedContainer>,
    /// Bytes of layers and containers that were written.
    pub written: u64,
    /// What was found on the way.
    pub findings: Vec<Finding>,
}

/// Carries out `plan`, `jobs` layers at a time. Images become visible in `target` all at once, at the
/// end; those with a damaged layer are left out.
///
/// # Errors
/// What stops everything: a target that cannot be written, or a wish to stop. Nothing is visible then,
/// and the next run goes on from there.
pub fn apply(
    plan: &Plan,
    source: &dyn Source,
    target: &dyn Target,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Outcome> {
    if plan.images.is_empty() && plan.containers.is_empty() {
        target.tidy()?;
        return Ok(Outcome::default());
    }
    progress.start(plan.bytes.read, plan.layers.len() + plan.blobs.len());
    progress.phase("layers");
    target.begin(&plan.layers)?;
    let work = Work::new(plan, source, target, progress);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| work.run());
        }
    });
    let (lost, fatal) = work.end();
    // What is done is kept for the next run, whatever happens now.
    let kept = target.checkpoint();
    if let Some(error) = fatal {
        return Err(error);
    }
    kept?;
    let (images, failed) = lost.part(&plan.images);
    let mut outcome = Outcome { failed, ..Outcome::default() };
    let written = put_containers(plan, &lost, (source, target), progress, &mut outcome)?;
    outcome.findings.extend(lost.findings);
    progress.phase("commit");
    if images.is_empty() && outcome.containers.is_empty() {
        target.tidy()?;
    } else {
        let committed = target.commit(&images, source)?;
        for (image, committed) in images.iter().zip(committed) {
            outcome.moved.push(Moved { id: image.image.id, becomes: committed.id });
            outcome.findings.extend(committed.findings);
        }
    }
    outcome.written = target.written().saturating_add(written);
    Ok(outcome)
}

/// Puts the containers whose layers arrived; returns the bytes written.
fn put_containers(
    plan: &Plan,
    lost: &Lost,
    (source, target): (&dyn Source, &dyn Target),
    progress: &dyn Progress,
    outcome: &mut Outcome,
) -> Result<u64> {
    let mut written: u64 = 0;
    if !plan.containers.is_empty() {
        progress.phase("containers");
    }
    for step in &plan.containers {
        let id = step.container.id.clone();
        if progress.cancelled() {
            return Err(Error::refused("stopped"));
        }
        let put = match lost.below(step, &outcome.failed) {
            Some(error) => Err(error),
            None => target.put_container(step, source),
        };
        match put.map_or_else(|error| of_source(error).map(Err), |bytes| Ok(Ok(bytes)))? {
            Ok(bytes) => {
                written = written.saturating_add(bytes);
                outcome.containers.push(id);
            }
            Err(error) => {
                let error = error.within(format_args!("container {}", step.container.name));
                let finding = Finding::of("container-damaged", Severity::DataLost, &error);
                outcome.findings.push(finding);
                let why = error.what().to_owned();
                outcome.failed_containers.push(FailedContainer { id, why });
            }
        }
        progress.advance(step.size);
    }
    Ok(written)
}

/// One thing to be put.
#[derive(Clone, Copy)]
enum Step<'a> {
    Layer(&'a LayerStep),
    Blob(&'a BlobStep),
}

impl Step<'_> {
    fn size(self) -> u64 {
        match self {
            Self::Layer(step) => step.size,
            Self::Blob(step) => step.size,
        }
    }
}

/// Steps being worked on by several threads, the largest first if their order is free.
struct Work<'a> {
    steps: Vec<Step<'a>>,
    source: &'a dyn Source,
    target: &'a dyn Target,
    progress: &'a dyn Progress,
    next: AtomicUsize,
    stop: AtomicBool,
    since_checkpoint: AtomicU64,
    found: Mutex<(Lost, Option<Error>)>,
}

/// What could not be put.
#[derive(Default)]
struct Lost {
    layers: HashSet<DiffId>,
    chains: HashSet<ChainId>,
    blobs: HashSet<BlobId>,
    findings: Vec<Finding>,
}

impl<'a> Work<'a> {
    fn new(
        plan: &'a Plan,
        source: &'a dyn Source,
        target: &'a dyn Target,
        progress: &'a dyn Progress,
    ) -> Self {
        let layers = plan.layers.iter().map(Step::Layer);
        let mut steps: Vec<_> = layers.chain(plan.blobs.iter().map(Step::Blob)).collect();
        if !plan.in_order {
            steps.sort_by_key(|step| std::cmp::Reverse(step.size()));
        }
        Self {
            steps,
            source,
            target,
            progress,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            since_checkpoint: AtomicU64::new(0),
            found: Mutex::default(),
        }
    }

    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(step) = self.steps.get(next).copied() else { return };
            let put = self.put(step);
            let put = put.and_then(|lost| self.checkpoint(step.size()).map(|()| lost));
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            match put {
                Ok(lost) => {
                    found.0.add(lost);
                    self.progress.layer_done();
                }
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    found.1.get_or_insert(error);
                }
            }
        }
    }

    /// Puts one thing; returns what is lost with it.
    fn put(&self, step: Step<'_>) -> Result<Lost> {
        let mut lost = Lost::default();
        match step {
            Step::Layer(step) => {
                let damage = self.target.put_layer(step, self.source, self.progress)?;
                lost.add_layer(step, damage);
            }
            Step::Blob(step) => {
                if let Some(error) = self.target.put_blob(step, self.source, self.progress)? {
                    lost.blobs.insert(step.blob);
                    let finding = Finding::of("blob-damaged", Severity::DataLost, &error);
                    lost.findings.push(finding);
                }
            }
        }
        Ok(lost)
    }

    fn checkpoint(&self, size: u64) -> Result<()> {
        let before = self.since_checkpoint.fetch_add(size, Ordering::Relaxed);
        if before.saturating_add(size) < CHECKPOINT {
            return Ok(());
        }
        self.since_checkpoint.store(0, Ordering::Relaxed);
        self.target.checkpoint()
    }

    fn end(self) -> (Lost, Option<Error>) {
        let (mut lost, fatal) = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Threads end in any order; what they found is told in one.
        lost.findings.sort_by(|a, b| (&a.place.path, &a.what).cmp(&(&b.place.path, &b.what)));
        (lost, fatal)
    }
}

impl Lost {
    fn add(&mut self, other: Self) {
        self.layers.extend(other.layers);
        self.chains.extend(other.chains);
        self.blobs.extend(other.blobs);
        self.findings.extend(other.findings);
    }

    fn add_layer(&mut self, step: &LayerStep, damage: Damage) {
        if damage.blob {
            self.layers.insert(step.diff_id);
        }
        for (chain_id, error) in damage.chains {
            // A chain that the target has already may have been read for the blob alone.
            if step.chains.iter().any(|(wanted, _)| *wanted == chain_id) {
                self.chains.insert(chain_id);
            }
            let error = error.within(format_args!("layer {}", step.diff_id));
            self.findings.push(Finding::of("layer-damaged", Severity::DataLost, &error));
        }
    }

    /// Parts the images that can be committed from those with a damaged layer.
    fn part(&self, images: &[ImageStep]) -> (Vec<ImageStep>, Vec<Failed>) {
        let (mut sound, mut failed) = (Vec::new(), Vec::new());
        for step in images {
            match self.of(step) {
                Some(stopped_by) => failed.push(Failed { id: step.image.id, stopped_by }),
                None => sound.push(step.clone()),
            }
        }
        (sound, failed)
    }

    /// Returns why a container has nothing to stand on, if that is so.
    fn below(&self, step: &ContainerStep, failed: &[Failed]) -> Option<Error> {
        let image = failed.iter().any(|failed| Some(failed.id) == step.image);
        let layer = step.chain.iter().any(|chain_id| self.chains.contains(chain_id));
        (image || layer)
            .then(|| Error::missing(Place::default(), "the layers below it are damaged"))
    }

    /// Returns what of an image is lost, if anything is.
    fn of(&self, step: &ImageStep) -> Option<Digest> {
        let layers = step.image.shown().into_iter();
        let mut layers = layers.flat_map(|shown| shown.layers.iter().zip(shown.chain()));
        let lost = |(layer, chain_id): &(&DiffId, ChainId)| {
            self.layers.contains(*layer) || self.chains.contains(chain_id)
        };
        let mut blobs = step.kept.iter().flat_map(|kept| &kept.blobs).filter_map(|d| d.blob());
        let layer = layers.find(lost).map(|(layer, _)| layer.0);
        layer.or_else(|| blobs.find(|blob| self.blobs.contains(blob)).map(|blob| blob.0))
    }
}
