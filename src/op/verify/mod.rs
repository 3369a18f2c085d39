//! Verifying: all that stores say held against itself, against what is there, and every byte that has a
//! digest against that. Nothing is written, and daemons may run.

mod content;
mod pieces;
mod root;

use std::collections::{BTreeMap, HashSet};

use crate::error::Result;
use crate::model::{Finding, StoreKind};
use crate::op::host::{Host, Seen};
use crate::store::{Audit, Progress, Start};

/// How much to verify.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Whether content is left out.
    pub quick: bool,
    /// How many pieces of content to read at once.
    pub jobs: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verified {
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// What was looked at: the sort of thing, and how many.
    pub checked: BTreeMap<&'static str, u64>,
    /// What the daemon makes of each image and container at its next start.
    pub starts: Vec<StartAt>,
    /// How many bytes of content were read.
    pub bytes: u64,
}

/// What a daemon makes of an image or container, and where that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartAt {
    /// The data root.
    pub root: String,
    /// The store; nothing for a container whose store is not known.
    pub store: Option<StoreKind>,
    /// Whether no daemon will show that store at all.
    pub hidden: bool,
    /// What becomes of it.
    pub start: Start,
}

/// Verifies every data root and every store of `host`.
///
/// # Errors
/// Folders that cannot be read, and a wish to stop. What is wrong is in the answer.
pub fn verify(host: &Host, wanted: &Wanted, progress: &dyn Progress) -> Result<Verified> {
    let mut all = Verified::default();
    progress.phase("structure");
    for root in &host.roots {
        let mut starts = Vec::new();
        all.findings.extend_from_slice(&root.findings);
        for seen in &root.stores {
            let (Some(source), Some(inventory)) = (&seen.here.source, seen.inventory()) else {
                continue;
            };
            all.findings.extend_from_slice(&inventory.findings);
            let audit = source.audit()?;
            starts.extend(audit.starts.iter().map(|start| StartAt::of(root, Some(seen), start)));
            all.take(audit);
        }
        if root.choices.is_some() {
            root::check(root, &mut all, &mut starts)?;
        }
        all.starts.extend(starts);
    }
    if !wanted.quick {
        content::check(host, wanted.jobs, progress, &mut all)?;
    }
    all.sort();
    Ok(all)
}

impl StartAt {
    fn of(root: &crate::op::host::DataRoot, seen: Option<&Seen>, start: &Start) -> Self {
        Self {
            root: root.place.clone(),
            store: seen.map(|seen| seen.here.kind),
            hidden: seen.is_some_and(|seen| seen.hidden),
            start: start.clone(),
        }
    }
}

impl Verified {
    fn take(&mut self, audit: Audit) {
        self.findings.extend(audit.findings);
        for (sort, count) in audit.checked {
            *self.checked.entry(sort).or_default() += count;
        }
    }

    /// Puts all in an order that is the same each time, and leaves out what was said twice.
    fn sort(&mut self) {
        let key = |finding: &Finding| {
            let place = finding.place.clone();
            (place.origin, place.path, finding.code, place.offset, finding.what.clone())
        };
        self.findings.sort_by_cached_key(|f| (std::cmp::Reverse(f.severity), key(f)));
        let mut said = HashSet::new();
        self.findings.retain(|finding| said.insert(key(finding)));
        self.starts.sort_by_cached_key(|at| {
            (at.root.clone(), at.store, at.start.container, at.start.id.clone())
        });
    }
}
