//! A migration that is stopped on purpose, by a source that cannot be read, or by a full disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use tranship::error::ErrorKind;
use tranship::model::Severity;
use tranship::store::{Progress, Source as _};
use tranship::tree::{Memory, Sink};

use crate::support::classic::Classic;
use crate::support::fault::{Cut, Fault};
use crate::support::scene::{STORE, Scene, before};
use crate::support::seen::look;
use crate::support::source::Counting;
use crate::support::{Migration, nothing_is};

/// Wishes to stop once it has heard of progress so often.
struct Until(AtomicUsize);

impl Progress for Until {
    fn start(&self, _: u64, _: usize) {}
    fn advance(&self, _: u64) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    }
    fn layer_done(&self) {}
    fn phase(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

#[test]
fn a_run_that_is_cancelled_loses_no_layer_it_has_done() {
    let scene = Scene::new(before());
    let layers = scene.store.inventory().layers.len();
    let mut stops = 0;
    for after in 0.. {
        let source = Counting::new(&scene.store);
        let target = Arc::new(scene.base.clone());
        let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
        let until = Until(AtomicUsize::new(after));
        let Err(error) = Migration::default().watched(&source, &sink, &until) else {
            assert_eq!(look(&*target), Ok(scene.new.clone()), "it was not stopped");
            break;
        };
        stops += 1;
        assert_eq!((error.kind(), error.what()), (ErrorKind::Refused, "stopped before the end"));
        assert!(error.advice().is_some_and(|advice| advice.contains("goes on from here")));
        assert_eq!(look(&*target), Ok(scene.old.clone()), "nothing is visible");
        let first = source.all_opened();
        let done = scene.journalled(&*target);
        assert_eq!(done.len(), first - 1, "all but the one that was stopped are done");
        assert_eq!(scene.completes((*target).clone(), &done), Ok(()), "stopped after {after}");
    }
    assert!(stops >= layers - 1, "each of the new layers was stopped: {stops}");
}

#[test]
fn a_source_that_cannot_be_read_to_its_end_costs_the_images_that_need_it() {
    let (scene, classic) = (Scene::new(Memory::new()), Classic::of(STORE));
    let mut source = Counting::new(&scene.store);
    source.broken = Some((classic.chain(&["base", "data"]), io::ErrorKind::UnexpectedEof));
    let target = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let outcome = Migration::default().run(&source, &sink).expect("the others arrive");
    let failed: Vec<_> =
        outcome.failed.iter().map(|failed| (failed.id, failed.stopped_by)).collect();
    assert_eq!(failed, [(classic.config("full").0, classic.diff_id("data").0)]);
    let [finding] = outcome.findings.as_slice() else { panic!("{:?}", outcome.findings) };
    assert_eq!((finding.code, finding.severity), ("layer-damaged", Severity::DataLost));
    assert!(finding.what.contains(&classic.diff_id("data").to_string()), "{}", finding.what);
    let seen = look(&*target).expect("a sound target");
    assert_eq!(seen.records.len(), 4, "app has two names, base and empty one each");
    assert_eq!(scene.completes((*target).clone(), &[]), Ok(()), "once it can be read again");
}

#[test]
fn a_target_that_fills_up_stops_the_run_and_loses_nothing() {
    for base in [Memory::new(), before()] {
        let scene = Scene::new(base);
        let wrong: Vec<String> = (1..=scene.operations)
            .into_par_iter()
            .filter_map(|n| Some(format!("operation {n}: {}", full(&scene, n).err()?)))
            .collect();
        nothing_is(&wrong);
    }
}

fn full(scene: &Scene, n: usize) -> Result<(), String> {
    let (sink, outcome) = scene.disturbed(scene.base.clone(), Fault::Fills(n));
    let tree = sink.after(Cut::Kill);
    match outcome {
        Ok(_) if look(&tree)? == scene.new => return Ok(()),
        Ok(outcome) => return Err(format!("it ends well: {outcome:?}")),
        Err(error) if error.io_kind() == Some(io::ErrorKind::StorageFull) => {}
        Err(error) => return Err(format!("it ends with {error}")),
    }
    if look(&tree)? != scene.old {
        return Err("something is visible".to_owned());
    }
    scene.completes(tree, &[])
}
