//! The whole of `tranship migrate` and `export`: find the stores, keep daemons away, plan, carry out,
//! switch.

mod containers;
mod exported;
mod fingerprint;
mod index;
mod place;
mod source;
mod switch;
mod undo;
mod without;

use std::path::PathBuf;
use std::sync::Arc;

use crate::digest::BlobId;
use crate::error::{Error, Place, Result};
use crate::format::oci::Platform;
use crate::model::{Inventory, StoreKind};
use crate::op::commit::Commit;
use crate::op::host::{self, ConfigFile, DataRoot, Known, Seen, Stopped};
use crate::op::transfer::{self, Options, Originals, Outcome, Plan};
use crate::store::Progress;
use crate::store::{self, Source, Target, Writing};
use crate::tree::Tree;
use place::Destination;

pub use exported::is_exported;
pub use fingerprint::{Fingerprint, of_inventory};
pub use index::Indexed;
pub use switch::{Changed, Switched, switch_file};
pub use undo::{BoundBack, Undo, undo, undo_in};

/// What to migrate, and how.
pub struct Request {
    /// The data root, the system, or an archive of either; nothing for this host.
    pub at: Option<PathBuf>,
    /// The root of a containerd that is not in the usual place.
    pub containerd_root: Option<PathBuf>,
    /// The daemon's configuration, if it is not the system's own.
    pub daemon_config: Option<PathBuf>,
    /// The kind of store to move from, where there is more than one.
    pub from: Option<StoreKind>,
    /// The kind of store to move to.
    pub to: StoreKind,
    /// The name of an index to make of the images; without another place, in the store they are in.
    pub index: Option<String>,
    /// A container that becomes an image, which alone moves; without another place, to the store that the
    /// container is in.
    pub commit: Option<Commit>,
    /// Which images, and what happens to names that are taken.
    pub options: Options,
    /// How the target is written.
    pub writing: Writing,
    /// Another place for the target than beside the source: a directory, or a tar to be made.
    pub into: Option<PathBuf>,
    /// Where the target goes as a tar while it is written, instead of to any place.
    pub stream: Option<Box<dyn std::io::Write + Send>>,
    /// What holds layers that are left out: data roots, layouts, archives, and files with digests.
    pub without: Vec<PathBuf>,
    /// Whether the daemon is to show the target from its next start on.
    pub switch: bool,
    /// Nothing is moved if the images are larger than this.
    pub threshold: Option<u64>,
    /// Whether only to plan.
    pub dry_run: bool,
    /// How many layers to work on at once.
    pub jobs: usize,
    /// The platform of this host.
    pub platform: Platform,
}

/// A migration that is planned.
pub struct Prepared {
    request: Request,
    root: DataRoot,
    source: usize,
    destination: Destination,
    target: Box<dyn Target>,
    stopped: Stopped,
    /// What would be done.
    pub plan: Plan,
    /// Whether the images are larger than the threshold, so that nothing will be done.
    pub over_threshold: bool,
    /// Bytes that can be written at the target, where that is known.
    pub free: Option<u64>,
}

/// What became of a migration.
#[derive(Debug, Default)]
pub struct Done {
    /// What the transfer made.
    pub outcome: Outcome,
    /// What was changed in the daemon's configuration, if that was wished for.
    pub switched: Option<Switched>,
    /// Whether it went to the very store that it came from.
    pub is_in_place: bool,
}

impl Request {
    /// Returns whether what is made goes to the very store that it is made of.
    fn is_addition(&self) -> bool {
        let is_in_place = self.commit.as_ref().is_some_and(|commit| commit.in_place);
        is_in_place || self.index.is_some() && self.into.is_none()
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("at", &self.at)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// Finds source and target, takes the daemons' locks unless this is only a plan, and plans.
///
/// # Errors
/// Refused while a daemon runs, where there is too little room, or where names are taken and that is
/// to stop everything; and whatever makes either store unreadable.
pub fn prepare(mut request: Request) -> Result<Prepared> {
    let opened = host::open(request.at.as_deref())?;
    let known = known(&request)?;
    let host = host::survey(&opened, &known)?;
    let committed = source::container(&host, &mut request)?;
    let (mut root, source) = match &committed {
        Some(found) => source::take_root(host.roots, found)?,
        None => source::choose(host.roots, &request, opened.tree.origin())?,
    };
    if let Some(found) = committed {
        source::commit(&mut request, &mut root.stores[source], &found)?;
    }
    if let Some(name) = request.index.clone() {
        source::index(&mut request, &mut root.stores[source], &name)?;
    }
    if request.switch {
        switch::possible(&request, &root)?;
    }
    containers::possible(&request)?;
    containers::note_alive(&mut request, &root);
    let destination = place::destination(&mut request, &root, &root.stores[source].here)?;
    let from = &mut root.stores[source];
    let stopped = if request.dry_run {
        Stopped::default()
    } else {
        let here = Stopped::default().and(&*from.here.tree, &from.here.lock_files)?;
        // What is added to is locked already.
        if request.is_addition() { here } else { destination.lock(here)? }
    };
    let sink = destination.sink()?;
    let target = open_target(&request, sink)?;
    request.options.without = without::held(&request.without, &known)?;
    request.options.can_share &= destination.shares_files_with(&*from.here.tree);
    if request.options.rebuild_missing {
        source::rebuild(&request, from, &*target)?;
    }
    let from = &root.stores[source];
    let originals = originals(&root, source_of(from)?);
    let mut plan = transfer::plan(source_of(from)?, &*target, &originals, &request.options)?;
    plan.stays.extend(containers::foreign(&request, &root));
    let over_threshold = request.threshold.is_some_and(|most| plan.selected_bytes > most);
    let free = destination.free()?;
    let prepared = Prepared {
        request,
        root,
        source,
        destination,
        target,
        stopped,
        plan,
        over_threshold,
        free,
    };
    if !prepared.request.dry_run {
        prepared.refuse_if_too_little_room()?;
    }
    Ok(prepared)
}

fn open_target(request: &Request, sink: SharedSink) -> Result<Box<dyn Target>> {
    let open = if request.is_addition() { store::open::addition } else { store::open::target };
    open(request.to, sink, &request.platform, request.writing)
}

fn known(request: &Request) -> Result<Known> {
    let containerd_root = match &request.containerd_root {
        Some(path) if request.into.is_none() || request.to != StoreKind::Containerd => {
            Some(host::open(Some(path))?.tree)
        }
        _ => None,
    };
    let config = request.daemon_config.as_deref().map(host::read_config).transpose()?;
    Ok(Known { containerd_root, config: config.flatten(), platform: request.platform.clone() })
}

fn source_of(seen: &Seen) -> Result<&dyn Source> {
    seen.here.source.as_deref().ok_or_else(|| {
        Error::unsupported(Place::new(seen.here.place.clone(), ""), "the store cannot be read")
    })
}

/// Reads the registry documents that were kept for the images; those that are gone are gone.
fn originals(root: &DataRoot, from: &dyn Source) -> Originals {
    let keepers: Vec<_> = root.stores.iter().filter_map(|seen| seen.here.source.as_ref()).collect();
    let find = |blob: &BlobId| keepers.iter().find_map(|keeper| keeper.document(*blob).ok());
    let read = |image: &crate::model::Image| {
        let found = image.originals.iter().filter_map(|blob| Some((*blob, find(blob)?)));
        (image.id, found.collect::<Vec<_>>())
    };
    from.inventory().images.iter().map(read).filter(|(_, found)| !found.is_empty()).collect()
}

impl Prepared {
    /// Returns what the source holds.
    ///
    /// # Errors
    /// None in practice: only a store that can be read is chosen.
    pub fn source(&self) -> Result<&Inventory> {
        Ok(source_of(&self.root.stores[self.source])?.inventory())
    }

    /// Returns the places of source and target, for messages.
    #[must_use]
    pub fn places(&self) -> (String, String) {
        (self.root.stores[self.source].here.place.clone(), self.destination.name())
    }

    /// Returns the kind of store that is written.
    #[must_use]
    pub fn to(&self) -> StoreKind {
        self.request.to
    }

    /// Returns whether images have the digests of their configs as IDs in the target.
    #[must_use]
    pub fn keeps_configs(&self) -> bool {
        !self.target.keeps_documents()
    }

    /// Returns the configuration that the daemon reads, if one is known.
    #[must_use]
    pub fn config(&self) -> Option<&ConfigFile> {
        self.root.config.as_ref()
    }

    fn refuse_if_too_little_room(&self) -> Result<()> {
        match self.free {
            Some(free) if free < self.plan.bytes.needed => {
                let needed = self.plan.bytes.needed;
                let name = self.destination.name();
                let what = format!("{needed} bytes are needed at {name}, and {free} are free");
                Err(Error::refused(what)
                    .hint("make room, move fewer images at a time, or write elsewhere: `--into`"))
            }
            _ => Ok(()),
        }
    }

    /// Keeps the registry documents of images that a new classic store has, beside it. In the place of
    /// the source its own containerd has them.
    fn lease_originals(&self) -> Result<()> {
        let is_classic = self.request.to == StoreKind::Classic;
        let any = self.plan.images.iter().any(|image| !image.originals.is_empty());
        if !(is_classic && any) {
            return Ok(());
        }
        let Some(sink) = self.destination.beside()? else { return Ok(()) };
        let (platform, writing) = (&self.request.platform, self.request.writing);
        store::open::lease_originals(sink, platform, writing, &self.plan.images)
    }

    /// Carries the plan out.
    ///
    /// # Errors
    /// What stops everything; Docker sees nothing of it then, and the next run goes on from there.
    pub fn apply(self, progress: &dyn Progress) -> Result<Done> {
        if self.over_threshold {
            return Ok(Done::default());
        }
        let source = source_of(&self.root.stores[self.source])?;
        let made = self.destination.make()?;
        self.lease_originals()?;
        let made = made.map(|sink| open_target(&self.request, sink)).transpose()?;
        let target = made.as_deref().unwrap_or(&*self.target);
        let jobs = if self.destination.is_ordered() { 1 } else { self.request.jobs };
        let outcome = transfer::apply(&self.plan, source, target, jobs, progress)?;
        drop(made);
        self.rebind(&outcome)?;
        self.destination.close()?;
        self.stopped.release()?;
        let switched = match self.request.switch && outcome.failed.is_empty() {
            true => Some(switch::switch(&self.request, &self.root)?),
            false => None,
        };
        let is_in_place = self.request.is_addition();
        Ok(Done { outcome, switched, is_in_place })
    }
}

/// Returns whether two trees are directories of this machine whose files can be hard-linked.
fn share_files(a: &dyn Tree, b: &dyn Tree) -> bool {
    let root = crate::tree::TreePath::ROOT;
    match (a.live(root), b.live(root)) {
        (Some((a, _)), Some((b, _))) => a.shares_device(b),
        _ => false,
    }
}

/// What a destination shares with the migration that writes it.
type SharedSink = Arc<dyn crate::tree::Sink>;
