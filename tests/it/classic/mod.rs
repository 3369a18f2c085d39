//! Classic stores that are written: what dockerd would make of them.

mod crash;
mod names;
pub(crate) mod seen;
mod starts;
mod target;
mod written;

use std::sync::Arc;

use tranship::op::transfer::Outcome;
use tranship::tree::{Memory, Sink};

use crate::support::classic::Classic;
use crate::support::{Migration, open};
use seen::{Seen, leftovers, look};

/// A data root with what was moved into it.
struct Root {
    tree: Arc<Memory>,
    outcome: Outcome,
    seen: Seen,
}

impl Root {
    /// Moves the store `text` into an empty data root.
    fn of(text: &str) -> Self {
        Self::into(Memory::new(), text, &Migration::default())
    }

    /// Moves the store `text` into a data root.
    fn into(target: Memory, text: &str, migration: &Migration) -> Self {
        let (source, tree) = (Arc::new(Classic::of(text).tree()), Arc::new(target));
        let outcome = migration.to_classic(&open(&source), &sink(&tree)).expect("a sound store");
        let seen = look(&tree).expect("a sound target");
        assert_eq!(leftovers(&*tree), [""; 0]);
        Self { tree, outcome, seen }
    }
}

fn sink(tree: &Arc<Memory>) -> Arc<dyn Sink> {
    Arc::<Memory>::clone(tree)
}
