//! Progress as lines of JSON, for a program that watches.

use std::fmt;
use std::io::Write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::exit::Exit;
use crate::cli::render::json;
use crate::cli::rows::migrate::{Action, Migration};
use crate::cli::rows::progress::{Event, EventRow};
use crate::error::Result;
use crate::store::Progress;

/// The time between two events that only say how far the work is.
const PACE: Duration = Duration::from_millis(250);

/// Writes events, one a line.
pub(crate) struct Events {
    job: Option<String>,
    total: AtomicU64,
    bytes: AtomicU64,
    layers: AtomicU64,
    out: Mutex<Out>,
}

struct Out {
    to: Box<dyn Write + Send>,
    /// When the last event was written; none before the first.
    last: Option<Instant>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("job", &self.job).finish_non_exhaustive()
    }
}

impl Out {
    /// Nobody is left to tell if nobody reads.
    fn write(&mut self, row: &EventRow) {
        if let Ok(mut line) = serde_json::to_string(row) {
            line.push('\n');
            let _ = self.to.write_all(json::safe(&line).as_bytes()).and_then(|()| self.to.flush());
        }
        self.last = Some(Instant::now());
    }
}

impl Events {
    /// Returns events that are written to `to`, about `job` if it is one of several.
    pub(crate) fn new(to: Box<dyn Write + Send>, job: Option<String>) -> Self {
        let out = Mutex::new(Out { to, last: None });
        Self {
            job,
            total: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            layers: AtomicU64::new(0),
            out,
        }
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self, event: Event) -> EventRow {
        EventRow { event, job: self.job.clone() }
    }

    /// Layers may be longer than their store has on record.
    fn done(&self) -> (u64, u64) {
        (self.bytes.load(Relaxed).min(self.total.load(Relaxed)), self.layers.load(Relaxed))
    }

    /// Says how far the work is, unless that was said just now.
    fn tell(&self) {
        let Ok(mut out) = self.out.try_lock() else { return };
        if out.last.is_none_or(|last| last.elapsed() >= PACE) {
            let (bytes, layers) = self.done();
            out.write(&self.row(Event::Progress { bytes, layers }));
        }
    }

    /// Says how it ended.
    pub(crate) fn end(&self, done: &Result<Migration>) {
        let mut out = self.out();
        let event = match done {
            Ok(done) => {
                if out.last.is_none() {
                    out.write(&self.row(Event::Start { bytes: 0, layers: 0 }));
                }
                self.done_event(done)
            }
            Err(error) => {
                Event::Failed { error: error.to_string(), exit: Exit::from(error).code() }
            }
        };
        out.write(&self.row(event));
    }

    fn done_event(&self, done: &Migration) -> Event {
        let count = |action| done.images.iter().filter(|image| image.action == action).count();
        let images = match done.over_threshold {
            true => 0,
            false => count(Action::Add) as u64,
        };
        Event::Done {
            bytes: self.total.load(Relaxed),
            layers: self.layers.load(Relaxed),
            images,
            failed: count(Action::Failed) as u64,
            written: done.bytes.written.unwrap_or_default(),
        }
    }
}

impl Progress for Events {
    fn start(&self, total_bytes: u64, layers: usize) {
        self.total.store(total_bytes, Relaxed);
        let layers = u64::try_from(layers).unwrap_or(u64::MAX);
        self.out().write(&self.row(Event::Start { bytes: total_bytes, layers }));
    }

    fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.tell();
    }

    fn layer_done(&self) {
        self.layers.fetch_add(1, Relaxed);
        self.tell();
    }

    fn phase(&self, name: &str) {
        let (bytes, layers) = self.done();
        let mut out = self.out();
        if layers > 0 {
            out.write(&self.row(Event::Progress { bytes, layers }));
        }
        out.write(&self.row(Event::Phase { phase: name.to_owned() }));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::cli::sample;
    use crate::error::Error;

    #[derive(Clone, Debug, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(work: impl FnOnce(&Events)) -> Vec<EventRow> {
        let lines = Lines::default();
        work(&Events::new(Box::new(lines.clone()), Some("nightly".to_owned())));
        let bytes = lines.0.lock().expect("no writer panics").clone();
        let text = String::from_utf8(bytes).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }

    #[test]
    fn the_last_event_has_all_bytes() {
        let rows = told(|events| {
            events.start(1000, 2);
            events.phase("layers");
            for _ in 0..100 {
                events.advance(11);
            }
            events.layer_done();
            events.layer_done();
            events.phase("commit");
            events.end(&Ok(sample::migration()));
        });
        assert!(rows.iter().all(|row| row.job.as_deref() == Some("nightly")));
        let events: Vec<Event> = rows.into_iter().map(|row| row.event).collect();
        assert_eq!(events[0], Event::Start { bytes: 1000, layers: 2 });
        assert_eq!(events[1], Event::Phase { phase: "layers".to_owned() });
        let [before, commit, done] = &events[events.len() - 3..] else { panic!("{events:?}") };
        assert_eq!(*before, Event::Progress { bytes: 1000, layers: 2 });
        assert_eq!(*commit, Event::Phase { phase: "commit".to_owned() });
        let wanted = Event::Done { bytes: 1000, layers: 2, images: 3, failed: 0, written: 0 };
        assert_eq!(*done, wanted);
    }

    #[test]
    fn what_failed_or_had_nothing_to_do_says_so() {
        let rows = told(|events| events.end(&Err(Error::refused("dockerd is up"))));
        let failed = Event::Failed { error: "dockerd is up".to_owned(), exit: 3 };
        assert_eq!(rows.into_iter().map(|row| row.event).collect::<Vec<_>>(), [failed]);
        let rows = told(|events| events.end(&Ok(sample::migration())));
        assert_eq!(rows[0].event, Event::Start { bytes: 0, layers: 0 });
        assert!(matches!(rows[1].event, Event::Done { bytes: 0, .. }), "{rows:?}");
    }
}
