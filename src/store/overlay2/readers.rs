//! Threads that read what will be wanted soon: most files of a layer are small, and a disk answers many
//! questions at once nearly as fast as one.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use crate::tree::THREADS;

type Job = Box<dyn FnOnce() + Send>;

/// Hands jobs to the threads; nothing if the system has none to give. Unlike a pool's they do not look
/// around for work when there is none, which would cost those time who work.
static JOBS: LazyLock<Option<Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    let start = |number: usize| {
        let jobs = Arc::clone(&jobs);
        let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        let run = move || std::iter::from_fn(&next).for_each(|job| job());
        thread::Builder::new().name(format!("reader {number}")).spawn(run).is_ok()
    };
    let started = (0..THREADS).map(start).filter(|started| *started).count();
    (started > 0).then_some(sender)
});

/// Starts `work` in another thread and returns where its result will be.
pub(super) fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let Some(jobs) = JOBS.as_ref() else { return now(work) };
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
