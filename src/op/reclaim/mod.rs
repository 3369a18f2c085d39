//! Giving room back: [`prepare`] looks, proves and plans, [`Prepared::apply`] carries out.
//!
//! What goes is what each store tells with its proof ([`store::reclaim`](crate::store::reclaim)). A whole
//! store goes only if everything in it is found, and read to its end, in the other. All changes go through
//! [`aside`]: what a daemon sees changes first, files are renamed away and only then deleted,
//! and a run that dies is gone on with by the next.

mod apply;
mod copies;
mod proof;
mod room;

use std::path::PathBuf;
use std::sync::Arc;

use super::aside::{self, Run};
use super::host::{self, DataRoot, Host, Stopped};
use super::repair::{lock, only, trees};
use crate::error::{Error, Place, Result};
use crate::format::oci::Platform;
use crate::model::{Finding, StoreKind};
use crate::store::reclaim::{Put, Reclaim, Stay, Wanted, Waste};
use crate::store::{Progress, Source};
use crate::tree::{Time, Tree};

pub use proof::Unproven;
pub use room::Room;

/// What is to go, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The data root, or the system; nothing for this host.
    pub at: Option<PathBuf>,
    /// The root of a containerd that is not in the usual place.
    pub containerd_root: Option<PathBuf>,
    /// The daemon's configuration, if it is not the system's own.
    pub daemon_config: Option<PathBuf>,
    /// The kind of store that goes as a whole.
    pub store: Option<StoreKind>,
    /// Whether it goes although not all of it is in the other.
    pub force_unverified: bool,
    /// What nothing mentions.
    pub orphans: bool,
    /// Packed layers that are unpacked too.
    pub blobs: bool,
    /// Leases that nobody will end.
    pub leases: bool,
    /// What earlier runs put aside.
    pub quarantine: bool,
    /// With a whole store, what the image builder keeps in it too.
    pub build_cache: bool,
    /// Whether what goes is put aside and not deleted.
    pub keep: bool,
    /// Whether only to plan.
    pub dry_run: bool,
    /// The platform of this host.
    pub platform: Platform,
    /// When this is.
    pub now: Time,
}

/// What goes from one tree: the data root, or a containerd root.
pub struct Part {
    tree: Arc<dyn Tree>,
    /// Where it is, for messages.
    pub place: String,
    /// What goes, in this order.
    pub waste: Vec<Waste>,
    /// What each of it frees, and all of it together.
    pub room: Room,
    puts: Vec<Put>,
    /// Earlier runs whose kept things go.
    pub runs: Vec<(Run, u64)>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("place", &self.place).field("waste", &self.waste).finish()
    }
}

/// What goes, what does not, and why.
#[derive(Debug, Default)]
pub struct Plan {
    /// What goes, by tree.
    pub parts: Vec<Part>,
    /// What of a store that goes as a whole is not found in the other.
    pub unproven: Vec<Unproven>,
    /// What stays, and why.
    pub stays: Vec<Stay>,
    /// What will not work any more.
    pub losses: Vec<String>,
}

/// A reclaim that is planned.
#[derive(Debug)]
pub struct Prepared {
    /// The data root, for messages.
    pub place: String,
    /// The plan.
    pub plan: Plan,
    /// Runs that were interrupted, and are finished now; in a dry run, those that would be first.
    pub finished: Vec<Run>,
    /// What is wrong with the records of earlier runs.
    pub findings: Vec<Finding>,
    stopped: Stopped,
    request: Request,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Done {
    /// Bytes that are free now, on disk.
    pub freed: u64,
    /// The number by which it is undone, if it was put aside.
    pub number: Option<u32>,
    /// What could not be done.
    pub findings: Vec<Finding>,
}

/// Finds the data root, takes the daemons' locks and ends what was interrupted, unless this is only a
/// plan; then plans.
///
/// # Errors
/// Refused while a daemon runs, and for what can only be read; and whatever makes the root unreadable.
pub fn prepare(request: Request, progress: &dyn Progress) -> Result<Prepared> {
    let mut host = survey(&request)?;
    let root = only(&host)?;
    let (mut stopped, mut finished, mut findings) = (Stopped::default(), Vec::new(), Vec::new());
    if request.dry_run {
        for tree in trees(root) {
            let (runs, wrong) = aside::runs(&*tree)?;
            finished.extend(runs.into_iter().filter(|run| run.state != aside::State::Done));
            findings.extend(wrong);
        }
    } else {
        let sinks = trees(root);
        let sinks: Vec<_> = sinks.iter().map(|tree| aside::sink(&**tree)).collect::<Result<_>>()?;
        stopped = lock(root)?;
        for sink in &sinks {
            finished.extend(aside::finish(sink)?);
        }
        // What a daemon changed until it stopped is seen, and nothing changes from here on.
        host = survey(&request)?;
    }
    let root = only(&host)?;
    let plan = plan(root, &request, progress)?;
    let place = root.place.clone();
    Ok(Prepared { place, plan, finished, findings, stopped, request })
}

/// Plans what is to go of a data root; reads alone.
///
/// # Errors
/// Missing if there is no such store, refused if the user wishes to stop; and whatever makes the root
/// unreadable.
pub fn plan(root: &DataRoot, request: &Request, progress: &dyn Progress) -> Result<Plan> {
    let kinds = root.stores.iter().map(|seen| seen.here.kind);
    if let Some(kind) = request.store.filter(|kind| !kinds.clone().any(|one| one == *kind)) {
        let what = format!("there is no {kind} store here");
        return Err(Error::missing(Place::new(root.place.clone(), ""), what));
    }
    let mut planning = Planning { root, request, progress, plan: Plan::default() };
    for (n, tree) in trees(root).into_iter().enumerate() {
        planning.add(tree, n == 0)?;
    }
    Ok(planning.plan)
}

fn survey(request: &Request) -> Result<Host> {
    let elsewhere = request.containerd_root.as_ref().map(|root| host::open(Some(root)));
    let config = request.daemon_config.as_deref().map(host::read_config).transpose()?.flatten();
    let containerd_root = elsewhere.transpose()?.map(|opened| opened.tree);
    let platform = request.platform.clone();
    let known = host::Known { containerd_root, config, platform };
    host::survey(&host::open(request.at.as_deref())?, &known)
}

/// A plan that is being made.
struct Planning<'a> {
    root: &'a DataRoot,
    request: &'a Request,
    progress: &'a dyn Progress,
    plan: Plan,
}

impl<'a> Planning<'a> {
    /// Plans what is to go from one tree, which may be the data root's own.
    fn add(&mut self, tree: Arc<dyn Tree>, is_own: bool) -> Result<()> {
        let mut all = Reclaim::default();
        if is_own {
            self.own(&*tree, &mut all)?;
        }
        for (n, seen) in self.root.stores.iter().enumerate() {
            if seen.here.tree.origin() == tree.origin() {
                let found = self.of_store(n)?;
                all.puts.extend(found.puts);
                all.waste.extend(found.waste);
                self.plan.stays.extend(found.stays);
                self.plan.losses.extend(found.losses);
            }
        }
        self.progress.phase("measuring");
        let room = Room::of(&*tree, &all.waste, &all.puts)?;
        let runs = if self.request.quarantine { kept_runs(&*tree)? } else { Vec::new() };
        let place = tree.origin().to_owned();
        let Reclaim { puts, waste, .. } = all;
        self.plan.parts.push(Part { tree, place, waste, room, puts, runs });
        Ok(())
    }

    /// Plans what the data root itself has: no store's own.
    fn own(&self, tree: &dyn Tree, plan: &mut Reclaim) -> Result<()> {
        if self.request.orphans {
            plan.waste.extend(crate::store::temporary::waste(tree)?);
        }
        if self.request.build_cache && self.request.store == Some(StoreKind::Containerd) {
            plan.waste.extend(crate::store::builds::waste(tree, StoreKind::Containerd)?);
        }
        Ok(())
    }

    /// Plans what one store has.
    fn of_store(&mut self, n: usize) -> Result<Reclaim> {
        let seen = &self.root.stores[n];
        let whole = self.request.store == Some(seen.here.kind);
        let Some(source) = seen.here.source.as_deref() else {
            let what = format!("the {} store of {}", seen.here.kind, seen.here.driver);
            let why = "it cannot be read, so nothing of it is known to be of no use";
            self.plan.stays.push(Stay { what, why: why.to_owned() });
            return Ok(Reclaim::default());
        };
        let mut wanted = Wanted {
            whole,
            orphans: self.request.orphans,
            blobs: self.request.blobs && !whole,
            leases: self.request.leases,
            build_cache: self.request.build_cache,
            known: self.root.known(self.request.now)?,
            ..Wanted::default()
        };
        if whole {
            let others = self.others(seen.here.kind);
            let proven = proof::images(source, &others, &wanted.known, self.progress)?;
            self.plan.unproven.extend(proven.missing);
            self.plan.losses.extend(proven.losses);
            self.plan.unproven.extend(copies::containers(self.root, source)?);
            self.plan.unproven.extend(unreadable(source));
        }
        let mut found = source.reclaim(&wanted)?;
        if !found.relied_on.is_empty() {
            wanted.damaged = proof::damaged(source, &found.relied_on, self.progress)?;
            if !wanted.damaged.is_empty() {
                found = source.reclaim(&wanted)?;
            }
        }
        Ok(found)
    }

    /// Returns the stores of the other kind.
    fn others(&self, kind: StoreKind) -> Vec<&'a dyn Source> {
        let others = self.root.stores.iter().filter(|seen| seen.here.kind != kind);
        others.filter_map(|seen| seen.here.source.as_deref()).collect()
    }
}

/// Returns what a store has that cannot be told of, and so cannot be found elsewhere.
fn unreadable(source: &dyn Source) -> Vec<Unproven> {
    let findings = source.inventory().findings.iter();
    let is_image = |finding: &&Finding| finding.code == "image-unloadable";
    let row = |finding: &Finding| Unproven {
        what: finding.place.to_string(),
        why: format!("an image that cannot be loaded: {}", finding.what),
    };
    findings.filter(is_image).map(row).collect()
}

/// Returns the runs of `tree` that can be dropped, with what each takes on disk.
fn kept_runs(tree: &dyn Tree) -> Result<Vec<(Run, u64)>> {
    let (runs, _) = aside::runs(tree)?;
    let done = runs.into_iter().filter(|run| run.state == aside::State::Done);
    done.map(|run| {
        let folder = aside::folder(run.number);
        let waste = Waste { paths: vec![folder], ..room::nothing() };
        let room = Room::of(tree, &[waste], &[])?;
        Ok((run, room.freed))
    })
    .collect()
}
