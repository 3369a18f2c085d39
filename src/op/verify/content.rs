//! Content held against its digests: every piece is read to its end once, the largest first.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Verified;
use super::pieces::{self, Job};
use crate::digest::ChainId;
use crate::error::{Error, Place, Result, from_io};
use crate::model::{Finding, Severity};
use crate::op::host::Host;
use crate::store::{Piece, Progress, Source, blob};

/// Reads all content of `host`, `jobs` pieces at a time.
pub(super) fn check(
    host: &Host,
    jobs: usize,
    progress: &dyn Progress,
    all: &mut Verified,
) -> Result<()> {
    let jobs_left = pieces::of_host(host);
    let total = jobs_left.iter().map(Job::size).fold(0, u64::saturating_add);
    progress.start(total, jobs_left.len());
    progress.phase("content");
    let work = Work {
        jobs: &jobs_left,
        progress,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        bytes: AtomicU64::new(0),
        found: Mutex::default(),
    };
    thread::scope(|scope| {
        for _ in 1..jobs.clamp(1, jobs_left.len().max(1)) {
            // With fewer threads than wanted it takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, || work.run());
        }
        work.run();
    });
    if work.stop.into_inner() {
        return Err(Error::refused("stopped"));
    }
    all.findings.extend(work.found.into_inner().unwrap_or_else(PoisonError::into_inner));
    all.bytes = all.bytes.saturating_add(work.bytes.into_inner());
    for job in &jobs_left {
        let sort = match job.piece {
            Piece::Blob { .. } => "blobs read",
            Piece::Layer { .. } => "layers read",
        };
        *all.checked.entry(sort).or_default() += 1;
    }
    Ok(())
}

struct Work<'w> {
    jobs: &'w [Job<'w>],
    progress: &'w dyn Progress,
    next: AtomicUsize,
    stop: AtomicBool,
    bytes: AtomicU64,
    found: Mutex<Vec<Finding>>,
}

impl Work<'_> {
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = self.jobs.get(next) else { return };
            if let Err(error) = self.read(job) {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                let finding = told(job, &error);
                self.found.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
            }
            self.progress.layer_done();
        }
    }

    fn read(&self, job: &Job<'_>) -> Result<()> {
        let source = job.source;
        match job.piece {
            Piece::Blob { blob, .. } => self.drain(&mut *source.blob(blob)?),
            Piece::Layer { chain_id, .. } => {
                let content = source.layer(chain_id)?;
                self.drain(&mut *content.tar()?)
            }
        }
    }

    /// Reads to the end, where the reader fails unless the bytes are the right ones.
    fn drain(&self, from: &mut dyn std::io::BufRead) -> Result<()> {
        let mut advance = |bytes| {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.progress.advance(bytes);
            if self.progress.cancelled() {
                self.stop.store(true, Ordering::Relaxed);
                return Err(Error::refused("stopped").into());
            }
            Ok(())
        };
        blob::drain(from, &mut advance).map_err(|error| from_io(error, Place::default))
    }
}

/// Returns the finding that `error` of reading a piece is.
fn told(job: &Job<'_>, error: &Error) -> Finding {
    if error.io_kind() == Some(std::io::ErrorKind::PermissionDenied) {
        let finding = Finding::of("content-unchecked", Severity::WrongMetadata, error);
        let remedy = "run as root, so that all files can be read".to_owned();
        return Finding { remedy, ..finding };
    }
    let (code, what, remedy) = match job.piece {
        Piece::Blob { blob, .. } => {
            let what = format!("blob {}: {}", blob.0.short(), error.what());
            ("blob-damaged", what, "heal it with `tranship repair --from …`")
        }
        Piece::Layer { chain_id, .. } => {
            let of = users(job.source, chain_id);
            let what = format!("layer {}{of}: {}", chain_id.0.short(), error.what());
            let remedy = "heal it with `tranship repair --from …`, or remove its images and pull \
                          them again";
            ("layer-damaged", what, remedy)
        }
    };
    Finding { what, remedy: remedy.to_owned(), ..Finding::of(code, Severity::DataLost, error) }
}

/// Returns the names of some images that a layer belongs to, as a part of a sentence.
fn users(source: &dyn Source, chain_id: ChainId) -> String {
    let has = |layers: &[_]| ChainId::chain(layers).contains(&chain_id);
    let images = source.inventory().images.iter();
    let images = images.filter(|image| image.manifests.iter().any(|one| has(&one.layers)));
    let mut names: Vec<String> = images
        .map(|image| match image.tags().next() {
            Some(name) => name.familiar(),
            None => image.id.short(),
        })
        .take(4)
        .collect();
    if names.len() > 3 {
        names.truncate(3);
        names.push("others".to_owned());
    }
    if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) }
}
