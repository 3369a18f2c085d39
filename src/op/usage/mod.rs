//! Where every byte of a host's data roots is: [`ledger`] walks them once, and each file is of one line.
//!
//! Stores and data roots say which paths are whose ([`claims`](crate::store::claims)); a file is of the line
//! whose path lies deepest above it. A file with several names is of the first of its lines that a daemon
//! shows, and is known to be there under the others too.

mod areas;
mod claim;
mod count;
mod frees;
mod group;
mod linked;
mod names;
mod removal;
mod whois;

use std::collections::HashSet;

use crate::error::Result;
use crate::model::{Finding, Holder, StoreKind, Thing};
use crate::op::host::Host;
use crate::store::Progress;
use crate::tree::{Metadata, Time};

pub use group::{By, Group, groups};
pub use removal::{Removal, removal};
pub use whois::{Owned, Whose, whois};

/// What files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes on disk, to the block.
    pub on_disk: u64,
    /// Bytes when read; of a folder, of its list of names.
    pub apparent: u64,
    /// How many files and folders, each once.
    pub files: u64,
}

impl Amount {
    fn of(found: &Metadata) -> Self {
        Self { on_disk: found.allocated, apparent: found.size, files: 1 }
    }

    /// Adds what other files take.
    pub fn add(&mut self, other: Self) {
        self.on_disk = self.on_disk.saturating_add(other.on_disk);
        self.apparent = self.apparent.saturating_add(other.apparent);
        self.files = self.files.saturating_add(other.files);
    }
}

/// One thing that takes room.
#[derive(Clone, Debug)]
pub struct Line {
    /// The data root that it is in, by its place among the host's.
    pub root: usize,
    /// The store that it is in; nothing for what is of no store.
    pub store: Option<StoreKind>,
    /// Whether no daemon shows it at its next start.
    pub hidden: bool,
    /// What it is.
    pub thing: Thing,
    /// What people call what holds it: names of images, containers, volumes.
    pub names: Vec<String>,
    /// What its files take; of files that other lines have too, if they are counted here.
    pub amount: Amount,
    /// What is free once it is gone alone.
    pub alone: Amount,
    /// What nobody would miss of it.
    pub reclaimable: u64,
}

impl Line {
    /// Returns whether it goes when all of `gone` are removed.
    #[must_use]
    pub fn goes_with(&self, gone: &HashSet<(usize, Holder)>) -> bool {
        let held_by = &self.thing.held_by;
        let is_gone = |holder: &Holder| gone.contains(&(self.root, holder.clone()));
        !held_by.is_empty() && held_by.iter().all(is_gone)
    }
}

/// Files with several names that the same lines have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The lines that have them; they are counted in the first.
    pub lines: Vec<u32>,
    /// Whether all their names were found: they go with the last of the lines.
    pub is_complete: bool,
    /// What they take.
    pub amount: Amount,
}

/// Where every byte is.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The data roots, and containerd roots outside of them.
    pub places: Vec<String>,
    /// The lines that take room, or have files.
    pub lines: Vec<Line>,
    /// The folders that lie in these, and these themselves without them.
    pub directories: Vec<(String, Amount)>,
    /// What several lines have.
    pub shared: Vec<Shared>,
    /// What could not be looked at.
    pub findings: Vec<Finding>,
}

impl Ledger {
    /// Returns what all takes: what `du` says.
    #[must_use]
    pub fn total(&self) -> Amount {
        self.sum(|_| true)
    }

    /// Returns what the lines take that are `wanted`.
    #[must_use]
    pub fn sum(&self, wanted: impl Fn(&Line) -> bool) -> Amount {
        let mut total = Amount::default();
        self.lines.iter().filter(|line| wanted(line)).for_each(|line| total.add(line.amount));
        total
    }

    /// Returns what is free once all lines are gone that `goes` names.
    #[must_use]
    pub fn freed(&self, goes: impl Fn(&Line) -> bool) -> Amount {
        let gone: Vec<bool> = self.lines.iter().map(goes).collect();
        let is_gone = |line: &u32| gone.get(*line as usize).copied().unwrap_or(false);
        let mut freed = Amount::default();
        for (line, gone) in self.lines.iter().zip(&gone) {
            if *gone {
                freed.add(line.alone);
            }
        }
        for shared in self.shared.iter().filter(|shared| shared.is_complete) {
            if shared.lines.len() > 1 && shared.lines.iter().all(is_gone) {
                freed.add(shared.amount);
            }
        }
        freed
    }
}

/// Counts everything that the data roots of `host` have, and the roots of containerd that belong to them.
/// `now` is when this is: leases end at some time.
///
/// # Errors
/// Where not even the folders of a store can be read, and a wish to stop. What cannot be looked at is a
/// finding.
pub fn ledger(host: &Host, now: Time, progress: &dyn Progress) -> Result<Ledger> {
    progress.phase("reading stores");
    let areas = areas::areas(host);
    let mut claimed = claim::Claimed::default();
    claimed.of_host(host, now, &areas)?;
    progress.phase("counting files");
    count::count(&areas, claimed, progress)
}
