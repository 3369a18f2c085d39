//! Content held against its digests: every piece is read to its end once, the largest first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Verified;
use super::pieces::{self, Job};
use crate::digest::ChainId;
use crate::error::{Error, Place, Result, from_io};
use crate::model::{Finding, Severity};
use crate::op::host::Host;
use crate::store::unpack::Differences;
use crate::store::{Piece, Progress, Source, blob};
use crate::tree::{Tree, TreePath, TreePathBuf};

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
    let work =
        Work { jobs: &jobs_left, progress, next: AtomicUsize::new(0), found: Mutex::default() };
    thread::scope(|scope| {
        for _ in 1..jobs.clamp(1, jobs_left.len().max(1)) {
            // With fewer threads than wanted it takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, || work.run());
        }
        work.run();
    });
    if progress.cancelled() {
        return Err(Error::refused("stopped before all was read"));
    }
    all.findings.extend(work.found.into_inner().unwrap_or_else(PoisonError::into_inner));
    all.bytes = all.bytes.saturating_add(total);
    for job in &jobs_left {
        let sort = match job.piece {
            Piece::Blob { .. } => "blobs-read",
            Piece::Layer { .. } => "layers-read",
        };
        *all.checked.entry(sort).or_default() += 1;
    }
    Ok(())
}

struct Work<'w> {
    jobs: &'w [Job<'w>],
    progress: &'w dyn Progress,
    next: AtomicUsize,
    found: Mutex<Vec<Finding>>,
}

impl Work<'_> {
    fn run(&self) {
        while !self.progress.cancelled() {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = self.jobs.get(next) else { return };
            let found = match self.read(job) {
                Ok(found) => found,
                Err(_) if self.progress.cancelled() => return,
                Err(error) => Some(told(job, &error)),
            };
            self.found.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
            self.progress.layer_done();
        }
    }

    fn read(&self, job: &Job<'_>) -> Result<Option<Finding>> {
        match job.piece {
            Piece::Blob { blob, size } => {
                self.drain(&mut *job.source.blob(blob)?, size)?;
                Ok(None)
            }
            Piece::Layer { chain_id, size } => {
                let content = job.source.layer(chain_id)?;
                let differences = content.compare(size, self.progress)?;
                Ok(differ(job.source, chain_id, content.files(), &differences))
            }
        }
    }

    /// Reads a blob to its end, where the reader fails unless the bytes are the right ones.
    fn drain(&self, from: &mut dyn std::io::BufRead, size: u64) -> Result<()> {
        let mut left = size;
        let mut advance = |bytes: u64| {
            let step = bytes.min(left);
            left = left.saturating_sub(step);
            self.progress.advance(step);
            match self.progress.cancelled() {
                true => Err(Error::refused("stopped").into()),
                false => Ok(()),
            }
        };
        blob::drain(from, &mut advance).map_err(|error| from_io(error, Place::default))?;
        self.progress.advance(left);
        Ok(())
    }
}

/// How many files of a layer are named.
const NAMED: usize = 3;

/// Returns the finding that the files beside a layer's tar are others, if they are.
fn differ(
    source: &dyn Source,
    chain_id: ChainId,
    files: Option<(&dyn Tree, TreePathBuf)>,
    found: &Differences,
) -> Option<Finding> {
    // What is lost comes before what is only noted in another way.
    let mut named: Vec<_> = found.named.iter().collect();
    named.sort_by_key(|one| !one.differs.is_lost());
    let first = named.first()?;
    let mut shown: Vec<_> = named.iter().take(NAMED).map(ToString::to_string).collect();
    let more = found.len().saturating_sub(shown.len() as u64);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    let layer = chain_id.0.short();
    let what = format!("layer {layer}{}: {}", users(source, chain_id), shown.join("; "));
    let file = TreePath::new(&first.path).unwrap_or(TreePath::ROOT);
    let place = files.map(|(tree, folder)| tree.place(folder.as_path().join(file).as_path()));
    let (code, severity) = match first.differs.is_lost() {
        true => ("files-damaged", Severity::DataLost),
        false => ("files-differ", Severity::WrongMetadata),
    };
    let remedy = "the layer's tar is sound: `tranship repair` unpacks it anew".to_owned();
    Some(Finding { code, severity, place: place.unwrap_or_default(), what, remedy })
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
