//! What all stores of a data root share, held against itself: containers, volumes, and the databases
//! that dockerd opens at its start.

mod containers;
mod databases;
mod volumes;

use super::Audit;
use super::mend::Mending;
use crate::error::{Place, Result};
use crate::model::{Container, Finding, Severity};
use crate::tree::{Tree, TreePathBuf, path};

/// Holds what the data root `tree` keeps beside its stores against itself. `all` are its containers that
/// can be read, `drivers` the graph drivers and snapshotters of its stores.
///
/// # Errors
/// Where not even the folders can be read.
pub fn audit(tree: &dyn Tree, all: &[Container], drivers: &[&str]) -> Result<Audit> {
    let mut audit = Audit::default();
    let broken = databases::check(tree, &mut audit)?;
    containers::check(tree, all, drivers, &mut audit)?;
    volumes::check(tree, all, &broken, &mut audit)?;
    Ok(audit)
}

/// Returns what can be set right in the data root `tree` beside its stores, and what cannot: most of it
/// stands nowhere else. `drivers` are as for [`audit`].
///
/// # Errors
/// Where not even the folders can be read.
pub fn mends(tree: &dyn Tree, drivers: &[&str]) -> Result<Mending> {
    let (all, mut wrong) = super::containers::read_all(tree)?;
    wrong.extend(audit(tree, &all, drivers)?.findings);
    let mut found = Mending { mends: databases::mends(tree)?, ..Mending::default() };
    let is_mended = |wrong: &Finding| found.mends.iter().any(|mend| mend.place == wrong.place);
    let stays = |wrong: &Finding| wrong.severity > Severity::Untidy && !is_mended(wrong);
    wrong.retain(stays);
    found.tell(wrong.into_iter());
    Ok(found)
}

impl Audit {
    /// Notes that something is wrong.
    pub(crate) fn note(
        &mut self,
        (code, severity): (&'static str, Severity),
        place: Place,
        what: impl Into<String>,
        remedy: &str,
    ) {
        let (what, remedy) = (what.into(), remedy.to_owned());
        self.findings.push(Finding { code, severity, place, what, remedy });
    }

    /// Notes that `count` more things of a sort were looked at.
    pub(crate) fn count(&mut self, sort: &'static str, count: usize) {
        *self.checked.entry(sort).or_default() += count as u64;
    }
}

/// Returns the folder of the container with the ID `id`.
#[must_use]
pub fn container(id: &str) -> TreePathBuf {
    path(super::containers::FOLDER).child(id.as_bytes()).unwrap_or_default()
}
