//! Setting right what is wrong in the stores of a data root: [`prepare`] looks and plans,
//! [`Prepared::apply`] carries out.
//!
//! A plan is made by reading alone ([`plan`]): each store says what it would change in its own tree, with
//! the help of the other stores and of what the user names. All changes go through
//! [`aside`], so that they can be undone.

use std::path::PathBuf;
use std::sync::Arc;

use super::aside::{self, About, End, Run};
use super::host::{self, DataRoot, Host, Known, Stopped};
use crate::error::{Error, Place, Result};
use crate::format::oci::Platform;
use crate::model::{Finding, StoreKind};
use crate::store::mend::{Help, Mend, Mending, Unmendable};
use crate::store::open::mends;
use crate::store::{Progress, Source, dockerd_locks, shared};
use crate::tree::{LiveSink, Sink, Sub, Time, Tree};

/// What to repair, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The data root, or the system; nothing for this host.
    pub at: Option<PathBuf>,
    /// The root of a containerd that is not in the usual place.
    pub containerd_root: Option<PathBuf>,
    /// The daemon's configuration, if it is not the system's own.
    pub daemon_config: Option<PathBuf>,
    /// Other data roots, layouts and archives to take from what is missing.
    pub from: Vec<PathBuf>,
    /// Whether all content is read and held against its digests.
    pub content: bool,
    /// Whether only to plan.
    pub dry_run: bool,
    /// The platform of this host.
    pub platform: Platform,
    /// When this is.
    pub now: Time,
}

/// What is wrong in one tree: the data root, or a containerd root.
pub struct Part {
    /// The tree.
    pub tree: Arc<dyn Tree>,
    /// Where it is, for messages.
    pub place: String,
    /// What can be set right.
    pub mends: Vec<Mend>,
    /// What cannot.
    pub unmendable: Vec<Unmendable>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("place", &self.place).field("mends", &self.mends).finish()
    }
}

/// A repair that is planned.
#[derive(Debug)]
pub struct Prepared {
    /// The data root, for messages.
    pub place: String,
    /// What is to be done, by tree.
    pub parts: Vec<Part>,
    /// Runs that were interrupted, and are finished now; in a dry run, those that would be first.
    pub finished: Vec<Run>,
    /// What is wrong with the records of earlier runs.
    pub findings: Vec<Finding>,
    stopped: Stopped,
    now: Time,
}

/// What became of a repair.
#[derive(Debug, Default)]
pub struct Done {
    /// The number to undo it by; nothing if nothing was done.
    pub number: Option<u32>,
    /// What became of each mend, in the order of the parts.
    pub ends: Vec<End>,
}

/// Finds the data root, takes the daemons' locks and goes on with runs that were interrupted, unless this
/// is only a plan; then plans.
///
/// # Errors
/// Refused while a daemon runs, and for what can only be read; and whatever makes the root unreadable.
pub fn prepare(request: &Request) -> Result<Prepared> {
    let mut host = survey(request)?;
    let (mut stopped, mut finished) = (Stopped::default(), Vec::new());
    let mut findings = Vec::new();
    let root = only(&host)?;
    if request.dry_run {
        for tree in trees(root) {
            let (runs, wrong) = aside::runs(&*tree)?;
            finished.extend(runs.into_iter().filter(|run| run.state != aside::State::Done));
            findings.extend(wrong);
        }
    } else {
        let sinks =
            trees(root).iter().map(|tree| aside::sink(&**tree)).collect::<Result<Vec<_>>>()?;
        stopped = lock(root)?;
        for sink in &sinks {
            finished.extend(aside::finish(sink)?);
        }
        if !finished.is_empty() {
            host = survey(request)?;
        }
    }
    let place = only(&host)?.place.clone();
    let parts = plan(host, request)?;
    Ok(Prepared { place, parts, finished, findings, stopped, now: request.now })
}

fn survey(request: &Request) -> Result<Host> {
    host::survey(&host::open(request.at.as_deref())?, &known(request)?)
}

fn known(request: &Request) -> Result<Known> {
    let elsewhere = request.containerd_root.as_ref().map(|root| host::open(Some(root)));
    let config = request.daemon_config.as_deref().map(host::read_config).transpose()?.flatten();
    let containerd_root = elsewhere.transpose()?.map(|opened| opened.tree);
    Ok(Known { containerd_root, config, platform: request.platform.clone() })
}

/// Returns the one data root of `host`.
///
/// # Errors
/// Refused if there is none, or more than one.
pub fn only(host: &Host) -> Result<&DataRoot> {
    let roots: Vec<_> = host.roots.iter().filter(|root| root.choices.is_some()).collect();
    if let [root] = roots.as_slice() {
        return Ok(root);
    }
    let places: Vec<_> = roots.iter().map(|root| root.place.as_str()).collect();
    Err(Error::refused(match places.as_slice() {
        [] => format!("there is no data root at {}", Place::new(host.tree.origin(), "")),
        several => format!("several data roots are here: {}", several.join(", ")),
    })
    .hint("name the one that is meant"))
}

/// Returns the trees of a data root that have stores, the root's own first, each once.
#[must_use]
pub fn trees(root: &DataRoot) -> Vec<Arc<dyn Tree>> {
    let own: Arc<dyn Tree> = Arc::new(Sub::new(Arc::clone(&root.tree), root.path.as_path()));
    let mut trees = vec![own];
    for seen in &root.stores {
        if trees.iter().all(|tree| tree.origin() != seen.here.tree.origin()) {
            trees.push(Arc::clone(&seen.here.tree));
        }
    }
    trees
}

/// Takes the locks of all daemons that may use a data root.
///
/// # Errors
/// Refused while one runs.
pub fn lock(root: &DataRoot) -> Result<Stopped> {
    let mut stopped = Stopped::default();
    for tree in trees(root) {
        let is_own =
            tree.origin() == Sub::new(Arc::clone(&root.tree), root.path.as_path()).origin();
        if is_own {
            stopped = stopped.and(&*tree, &dockerd_locks(&*tree)?)?;
        }
        let here = root.stores.iter().map(|seen| &seen.here);
        for store in here.filter(|store| store.kind == StoreKind::Containerd) {
            if store.tree.origin() == tree.origin() {
                stopped = stopped.and(&*tree, &store.lock_files)?;
            }
        }
    }
    Ok(stopped)
}

/// Plans what is to be done in each tree of the one data root of `host`; reads alone.
///
/// # Errors
/// Where not even the folders can be read, or what the user names.
pub fn plan(mut host: Host, request: &Request) -> Result<Vec<Part>> {
    only(&host)?;
    host.roots.retain(|root| root.choices.is_some());
    let Some(mut root) = host.roots.pop() else { return Ok(Vec::new()) };
    let own: Vec<Option<Arc<dyn Source>>> =
        root.stores.iter_mut().map(|seen| seen.here.source.take().map(Arc::from)).collect();
    let elsewhere = named(request)?;
    let place = |tree: &Arc<dyn Tree>| Part {
        place: tree.origin().to_owned(),
        tree: Arc::clone(tree),
        mends: Vec::new(),
        unmendable: Vec::new(),
    };
    let mut parts: Vec<Part> = trees(&root).iter().map(place).collect();
    let tree = Sub::new(Arc::clone(&root.tree), root.path.as_path());
    let drivers: Vec<&str> = root.stores.iter().map(|seen| seen.here.driver.as_str()).collect();
    let shared = shared::mends(&tree, &drivers)?;
    for (n, seen) in root.stores.iter().enumerate() {
        let beside = own.iter().enumerate().filter(|(m, _)| *m != n);
        let beside = beside.filter_map(|(_, source)| source.clone());
        let help = Help {
            others: beside.chain(elsewhere.iter().cloned()).collect(),
            containers: &root.containers,
            root: &tree,
            content: request.content || !request.from.is_empty(),
            platform: &request.platform,
            now: request.now,
        };
        let found = mends(&seen.here, own.get(n).and_then(Option::as_ref), &help)?;
        add(&mut parts, seen.here.tree.origin(), found);
    }
    add(&mut parts, tree.origin(), shared);
    Ok(parts)
}

/// Adds what was found in a tree to its part.
fn add(parts: &mut [Part], origin: &str, found: Mending) {
    if let Some(part) = parts.iter_mut().find(|part| part.place == origin) {
        part.mends.extend(found.mends);
        part.unmendable.extend(found.unmendable);
    }
}

/// Returns the stores that the user names to take from.
fn named(request: &Request) -> Result<Vec<Arc<dyn Source>>> {
    let mut all: Vec<Arc<dyn Source>> = Vec::new();
    for path in &request.from {
        let known = Known { platform: request.platform.clone(), ..Known::default() };
        let host = host::survey(&host::open(Some(path))?, &known)?;
        let before = all.len();
        let stores = host.roots.into_iter().flat_map(|root| root.stores);
        all.extend(stores.filter_map(|seen| seen.here.source).map(Arc::from));
        if all.len() == before {
            let place = Place::new(path.display().to_string(), "");
            return Err(Error::missing(place, "found no store of images")
                .hint("`--from` takes a data root, a layout or an archive"));
        }
    }
    Ok(all)
}

impl Prepared {
    /// Carries the plan out.
    ///
    /// # Errors
    /// What the sinks say; the run is gone on with by the next one, or can be undone.
    pub fn apply(self, progress: &dyn Progress) -> Result<Done> {
        let trees: Vec<&dyn Tree> = self.parts.iter().map(|part| &*part.tree).collect();
        let number = aside::next_number(trees)?;
        let about = About { verb: "repair", at: self.now, number, keep: true };
        let mut done = Done::default();
        for part in self.parts.iter().filter(|part| !part.mends.is_empty()) {
            let sink: LiveSink = aside::sink(&*part.tree)?;
            let sink: &dyn Sink = &sink;
            done.ends.extend(aside::apply(sink, &about, &part.mends, progress)?);
        }
        let any = done.ends.iter().any(|end| !matches!(end, End::Failed(_)));
        done.number = any.then_some(number);
        self.stopped.release()?;
        Ok(done)
    }
}
