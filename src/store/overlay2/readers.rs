//! Threads that read small files.
//!
//! A store is made of small files, and so are most layers; a disk answers many questions at once
//! nearly as fast as one.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

/// They wait more than they work, so there are more than cores: from a cold disk, 16 read small files
/// four times as fast as one, and 32 hardly faster than 16.
const READERS: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that read what will be wanted soon. They start with the first job.
#[derive(Default)]
pub(super) struct Readers {
    jobs: OnceLock<Option<Sender<Job>>>,
}

impl Readers {
    /// Starts `work` and returns where its result will be.
    pub(super) fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Receiver<T> {
        let Some(jobs) = self.jobs.get_or_init(start_threads) else { return Self::now(work) };
        let (done, result) = sync_channel(1);
        // Who wanted the result may have given up meanwhile; without threads there is none.
        let job = move || drop(done.send(work()));
        drop(jobs.send(Box::new(job)));
        result
    }

    /// Does `work` at once.
    pub(super) fn now<T>(work: impl FnOnce() -> T) -> Receiver<T> {
        let (done, result) = sync_channel(1);
        drop(done.send(work()));
        result
    }
}

/// Starts threads that end once the sender of jobs is dropped; nothing if there are none to be had.
fn start_threads() -> Option<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    let start = |number: usize| {
        let jobs = Arc::clone(&jobs);
        let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        let run = move || std::iter::from_fn(&next).for_each(|job| job());
        thread::Builder::new().name(format!("reader {number}")).spawn(run).is_ok()
    };
    let started = (0..READERS).map(start).filter(|started| *started).count();
    (started > 0).then_some(sender)
}

/// Runs `work` with as many threads for its parallel iterators.
pub(super) fn with_many<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(READERS).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}
