//! Undoing what was done to a data root: what [`aside`] kept, and the containers that a
//! migration bound to another store.

use std::path::PathBuf;

use super::aside::{self, Run, State};
use super::host::{self, Known};
use super::migrate::{self, BoundBack};
use super::repair::{lock, only, trees};
use crate::error::{Error, Place, Result};
use crate::format::oci::Platform;
use crate::model::Finding;
use crate::store::containers::{self, Moved};
use crate::tree::{Sub, Time};

/// What to undo.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The data root, or the system; nothing for this host.
    pub at: Option<PathBuf>,
    /// The root of a containerd that is not in the usual place.
    pub containerd_root: Option<PathBuf>,
    /// The daemon's configuration, if it is not the system's own.
    pub daemon_config: Option<PathBuf>,
    /// The platform of this host.
    pub platform: Platform,
    /// What is meant; nothing for the newest.
    pub which: Option<Which>,
    /// Whether only to look.
    pub dry_run: bool,
}

/// Something that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The run with this number.
    Run(u32),
    /// The containers of the last migration.
    Containers,
}

/// What can be undone, the newest first.
#[derive(Debug, Default)]
pub struct Undoable {
    /// The runs; one that changed several trees is there once for each.
    pub runs: Vec<Run>,
    /// The containers that the last migration bound to another store.
    pub moved: Option<Moved>,
    /// What is wrong with the records of others.
    pub findings: Vec<Finding>,
}

impl Undoable {
    /// Returns what was done last.
    fn newest(&self) -> Option<Which> {
        let runs = self.runs.iter().filter(|run| run.state != State::Dropping);
        let run = runs.map(|run| (run.at, Which::Run(run.number)));
        let moved = self.moved.iter().map(|moved| (moved.at, Which::Containers));
        run.chain(moved).max_by_key(|(at, _): &(Time, Which)| *at).map(|(_, which)| which)
    }
}

/// What was undone.
#[derive(Debug)]
pub enum Undone {
    /// A run: what it had done in each tree.
    Runs(Vec<Run>),
    /// The containers, with what became of each.
    Containers(Vec<BoundBack>),
    /// The containers that would be bound back.
    WouldMove(Moved),
}

/// Returns what can be undone.
///
/// # Errors
/// As [`undo`].
pub fn list(request: &Request) -> Result<Undoable> {
    list_of(&survey(request)?)
}

fn survey(request: &Request) -> Result<host::Host> {
    let elsewhere = request.containerd_root.as_ref().map(|root| host::open(Some(root)));
    let config = request.daemon_config.as_deref().map(host::read_config).transpose()?.flatten();
    let containerd_root = elsewhere.transpose()?.map(|opened| opened.tree);
    let known = Known { containerd_root, config, platform: request.platform.clone() };
    host::survey(&host::open(request.at.as_deref())?, &known)
}

fn list_of(host: &host::Host) -> Result<Undoable> {
    let root = only(host)?;
    let mut all = Undoable::default();
    for tree in trees(root) {
        let (runs, findings) = aside::runs(&*tree)?;
        all.runs.extend(runs);
        all.findings.extend(findings);
    }
    all.runs.sort_by_key(|run| std::cmp::Reverse((run.number, run.at)));
    let own = Sub::new(root.tree.clone(), root.path.as_path());
    all.moved = containers::moved(&own)?;
    Ok(all)
}

/// Takes the daemons' locks, and undoes what is meant.
///
/// # Errors
/// Missing if there is nothing to undo; refused while a daemon runs, for what can only be read, if
/// something was changed since, or if several roots could be meant.
pub fn undo(request: &Request) -> Result<Undone> {
    let host = survey(request)?;
    let root = only(&host)?;
    let all = list_of(&host)?;
    let which = request.which.or_else(|| all.newest()).ok_or_else(|| {
        Error::missing(Place::new(root.place.clone(), ""), "nothing was done that can be undone")
    })?;
    let number = match (which, all.moved) {
        (Which::Run(number), _) => number,
        (Which::Containers, Some(moved)) if request.dry_run => return Ok(Undone::WouldMove(moved)),
        (Which::Containers, _) => {
            return migrate::undo(&migrate::Undo {
                at: request.at.clone(),
                containerd_root: request.containerd_root.clone(),
                daemon_config: request.daemon_config.clone(),
                platform: request.platform.clone(),
            })
            .map(Undone::Containers);
        }
    };
    let mut sinks = Vec::new();
    for tree in trees(root) {
        let (runs, _) = aside::runs(&*tree)?;
        if runs.iter().any(|run| run.number == number) {
            sinks.push(tree);
        }
    }
    if sinks.is_empty() {
        let what = format!("there is no run {number}");
        return Err(Error::missing(Place::new(root.place.clone(), ""), what)
            .hint("`tranship undo --list` shows what can be undone"));
    }
    // All of them, or none.
    let checked = sinks.iter().map(|tree| aside::may_undo(&**tree, number));
    let checked = checked.collect::<Result<Vec<_>>>()?;
    if request.dry_run {
        return Ok(Undone::Runs(checked));
    }
    let writable = sinks.iter().map(|tree| aside::sink(&**tree)).collect::<Result<Vec<_>>>()?;
    let stopped = lock(root)?;
    let undone = writable.iter().rev().map(|sink| aside::undo(sink, number));
    let undone = undone.collect::<Result<Vec<_>>>()?;
    stopped.release()?;
    Ok(Undone::Runs(undone))
}
