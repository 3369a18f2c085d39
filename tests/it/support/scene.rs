//! A migration that is known to succeed, to be disturbed.

use std::sync::Arc;

use tranship::digest::{ChainId, DiffId};
use tranship::error::Result;
use tranship::op::transfer::Outcome;
use tranship::store::Source as _;
use tranship::store::overlay2::Overlay2;
use tranship::tree::{Memory, Sink, Tree, optional, path, read};

use super::classic::Classic;
use super::fault::{Fault, FaultSink};
use super::seen::{Seen, leftovers, look};
use super::source::Counting;
use super::{Migration, open};

/// Four images that share layers; a layer on two parents; one so large, if we believe the daemon, that
/// it is worth a checkpoint.
pub(crate) const STORE: &str = "
diff base
  dir  bin
  file bin/sh shell*300
  hard bin/ash bin/sh
  gone old
  size 2000000000
diff code
  dir  app
  file app/run run
  link app/go run
diff data
  dir  app
  hide app
  dir  bin
  gone bin/ash
  file app/data 0123456789*50
image base = base
  name base:1
image app = base + code
  name app:1
  name app:latest
  parent base
image full = base + data + code
image empty =
  name empty:1
";

/// What a target may hold already.
pub(crate) const BEFORE: &str = "
diff base
  dir  bin
  file bin/sh shell*300
  hard bin/ash bin/sh
  gone old
diff tool
  file tool tool
image tool = base + tool
  name tool:1
";

/// Returns a target that holds what the store `text` did.
pub(crate) fn target_of(text: &str, target: Memory) -> Memory {
    let source = open(&Arc::new(Classic::of(text).tree()));
    let target = Arc::new(target);
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    Migration::default().run(&source, &sink).expect("a sound store");
    (*target).clone()
}

/// A target with images of another store.
pub(crate) fn before() -> Memory {
    target_of(BEFORE, Memory::new())
}

pub(crate) struct Scene {
    pub(crate) source: Arc<Memory>,
    pub(crate) store: Overlay2,
    /// The target as it is before.
    pub(crate) base: Memory,
    pub(crate) old: Seen,
    /// What an undisturbed run makes of it, and in how many operations.
    pub(crate) new: Seen,
    pub(crate) operations: usize,
}

impl Scene {
    pub(crate) fn new(base: Memory) -> Self {
        let source = Arc::new(Classic::of(STORE).tree());
        let store = open(&source);
        let undisturbed = Arc::new(FaultSink::new(base.clone(), Fault::Never));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&undisturbed);
        let outcome = Migration::default().run(&store, &sink).expect("nothing fails");
        assert_eq!((outcome.moved.len(), outcome.findings.len()), (4, 0));
        let old = look(&base).expect("a sound target");
        let new = look(undisturbed.tree()).expect("a sound result");
        assert_eq!(leftovers(undisturbed.tree()), [""; 0], "an undisturbed run cleans up");
        assert_eq!(new.records.len(), old.records.len() + 5, "all names, and one image without");
        Self { source, store, base, old, new, operations: undisturbed.log().len() }
    }

    /// Runs the migration on `tree` until `fault`.
    pub(crate) fn disturbed(
        &self,
        tree: Memory,
        fault: Fault,
    ) -> (Arc<FaultSink>, Result<Outcome>) {
        let dying = Arc::new(FaultSink::new(tree, fault));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
        let outcome = Migration::default().run(&self.store, &sink);
        (dying, outcome)
    }

    /// A daemon that looks at `tree` sees all of the old or all of the new.
    pub(crate) fn is_whole(&self, tree: &Memory) -> std::result::Result<(), String> {
        let seen = look(tree)?;
        if seen == self.old || seen == self.new {
            return Ok(());
        }
        Err(format!("neither old nor new: {}", difference(&seen, &self.new)))
    }

    /// The next run on `tree` makes all that an undisturbed one does, reads nothing again that is
    /// `done`, and leaves nothing behind.
    pub(crate) fn completes(
        &self,
        tree: Memory,
        done: &[ChainId],
    ) -> std::result::Result<(), String> {
        let tree = Arc::new(tree);
        let source = Counting::new(&self.store);
        let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&tree);
        let outcome = Migration::default().run(&source, &sink);
        outcome.map_err(|error| format!("the next run: {error}"))?;
        let seen = look(&*tree).map_err(|what| format!("after the next run: {what}"))?;
        if seen != self.new {
            return Err(format!("the next run made {}", difference(&seen, &self.new)));
        }
        if let left @ [_, ..] = leftovers(&*tree).as_slice() {
            return Err(format!("left behind: {left:?}"));
        }
        match done.iter().find(|chain_id| source.opened(**chain_id) > 0) {
            Some(chain_id) => Err(format!("layer {chain_id} was done, and is read again")),
            None => Ok(()),
        }
    }

    /// Returns the chains that the journal in `tree` says are done altogether.
    pub(crate) fn journalled(&self, tree: &dyn Tree) -> Vec<ChainId> {
        let file = optional(read(tree, path("tranship/journal.json"))).expect("memory can be read");
        let Some(bytes) = file else { return Vec::new() };
        let journal: serde_json::Value = serde_json::from_slice(&bytes).expect("it was durable");
        let has = |part: &str, key: String| journal[part].get(key).is_some();
        let layers = self.store.inventory().layers.iter();
        let is_done = |chain: ChainId, diff: DiffId| {
            has("snapshots", chain.to_string()) && has("blobs", diff.to_string())
        };
        layers.filter(|(chain, layer)| is_done(**chain, layer.diff_id)).map(|(c, _)| *c).collect()
    }
}

/// Returns the first lines in which two differ.
pub(crate) fn difference(a: &Seen, b: &Seen) -> String {
    let lines =
        |seen: &Seen| -> Vec<String> { format!("{seen:#?}").lines().map(str::to_owned).collect() };
    let (a, b) = (lines(a), lines(b));
    let only = |x: &[String], y: &[String]| -> Vec<String> {
        x.iter().filter(|line| !y.contains(line)).take(6).cloned().collect()
    };
    format!("{:?} instead of {:?}", only(&a, &b), only(&b, &a))
}
