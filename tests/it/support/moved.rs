//! Migrations with their outcome, for tests of what comes of them.

use std::sync::Arc;

use tranship::digest::Digest;
use tranship::error::Result;
use tranship::op::transfer::Outcome;
use tranship::store::containerd::Writer;
use tranship::tree::{Memory, Sink};

use super::classic::Classic;
use super::seen::{Record, Seen, leftovers, look};
use super::{Migration, open};

/// A target with what was moved into it.
pub(crate) struct Moved {
    pub(crate) tree: Arc<Memory>,
    pub(crate) outcome: Outcome,
    pub(crate) seen: Seen,
}

/// Migrates the store `text` into an empty target.
pub(crate) fn moved(text: &str, migration: &Migration) -> Moved {
    Moved::into(Memory::new(), text, migration)
}

impl Moved {
    pub(crate) fn into(target: Memory, text: &str, migration: &Migration) -> Self {
        Self::try_into(target, text, migration).expect("a sound store")
    }

    pub(crate) fn try_into(target: Memory, text: &str, migration: &Migration) -> Result<Self> {
        let source = Arc::new(Classic::of(text).tree());
        let tree = Arc::new(target);
        let outcome = migration.run(&open(&source), &Self::sink(&tree))?;
        let seen = look(&*tree).expect("a sound target");
        assert_eq!(leftovers(&*tree), [""; 0]);
        Ok(Self { tree, outcome, seen })
    }

    /// Migrates the store `text` to what is here already.
    pub(crate) fn and(&self, text: &str, migration: &Migration) -> Self {
        Self::into((*self.tree).clone(), text, migration)
    }

    pub(crate) fn writer(&self) -> Writer {
        Migration::default().writer(Self::sink(&self.tree)).expect("a sound target")
    }

    fn sink(tree: &Arc<Memory>) -> Arc<dyn Sink> {
        Arc::<Memory>::clone(tree)
    }

    /// Returns the names of all records in their order, without what Docker leaves out of them.
    pub(crate) fn names(&self) -> Vec<&str> {
        let names = self.seen.records.keys();
        let mut names: Vec<&str> =
            names.map(|name| name.strip_prefix("docker.io/library/").unwrap_or(name)).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn record(&self, name: &str) -> &Record {
        let full = format!("docker.io/library/{name}");
        self.seen.records.get(&full).unwrap_or_else(|| panic!("no {name}: {:?}", self.names()))
    }

    /// Returns what the image with this ID became.
    pub(crate) fn became(&self, id: Digest) -> Digest {
        let moved = self.outcome.moved.iter().find(|moved| moved.id == id);
        moved.unwrap_or_else(|| panic!("{id} was not moved")).becomes
    }
}
