//! `tranship reclaim`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, Quiet};
use crate::cli::exit::{self, Exit};
use crate::cli::migrate::To;
use crate::cli::ops::{Ops, ReclaimRequest};
use crate::cli::progress::{Display, Interrupt, Style};
use crate::cli::render::text::wrap;
use crate::cli::render::{findings, reclaim};
use crate::cli::rows::any_matter;
use crate::cli::ui::Ui;
use crate::error::Result;

/// Give room back: a store that was moved, and what nothing needs
///
/// Only what is proven to be of no use goes, and the proof is shown. What goes is said before, with the
/// bytes on disk that it frees. Without options it is shown what --orphans would remove, and nothing is
/// done.
///
/// A store goes as a whole with --store, once every image and container in it is found in the other, and
/// every layer there was read to its end. Containers that are bound to it keep what they need.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = exit::help("\
Examples:
  tranship reclaim
  tranship reclaim --store classic --dry-run
  tranship reclaim --store classic
  tranship reclaim --orphans --old-switch-leases
  tranship reclaim /mnt/disk/docker --orphans --keep
  tranship reclaim --quarantine"))]
pub(crate) struct Args {
    /// The data root, instead of this host's own
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: Option<PathBuf>,

    /// Remove this store, once all of it is known to be in the other
    #[arg(long, value_name = "STORE")]
    store: Option<To>,

    /// Remove what no image, container, build or lease mentions
    ///
    /// Folders of layers that no record names, records that no image needs, blobs and snapshots that
    /// containerd would collect, and what runs that did not end left.
    #[arg(long)]
    orphans: bool,

    /// Remove packed layers of the containerd store that are unpacked too
    ///
    /// What is unpacked is held against them first. Images run as before, and cannot be saved, pushed
    /// or moved any more; `docker images` does not list all of them. `tranship migrate
    /// --rebuild-missing` packs them again under other IDs.
    #[arg(long)]
    blobs: bool,

    /// Remove leases in the containerd store that a switch between the stores left behind
    ///
    /// Those that keep registry documents of images that no classic store has any more, and those of
    /// containers that are gone.
    #[arg(long)]
    old_switch_leases: bool,

    /// Delete for good what earlier runs of repair and reclaim put aside
    #[arg(long)]
    quarantine: bool,

    /// Remove the build cache in the store too
    #[arg(long, requires = "store")]
    build_cache: bool,

    /// Remove the store although not all of it is in the other; what is not is lost
    #[arg(long, requires = "store")]
    force_unverified: bool,

    /// Put what goes aside, so that `tranship undo` brings it back; frees nothing yet
    #[arg(long)]
    keep: bool,

    /// Show what would go and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Name everything that goes
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    places: Places,

    #[command(flatten)]
    quiet: Quiet,
}

const REMOVES: &str = "`--orphans` removes this";
const LOOKED_FOR: &str = "only orphans were looked for";
const OTHERS: &str = "`--store STORE` removes a store that was moved; `--blobs`, `--old-switch-leases` and \
`--quarantine` are for other things (--help)";

impl Args {
    fn asks_nothing(&self) -> bool {
        let any = self.orphans || self.blobs || self.old_switch_leases || self.quarantine;
        !any && self.store.is_none()
    }

    fn request(&self) -> ReclaimRequest {
        ReclaimRequest {
            at: self.places.at(self.path.clone()),
            store: self.store.map(To::kind),
            orphans: self.orphans || self.asks_nothing(),
            blobs: self.blobs,
            leases: self.old_switch_leases,
            quarantine: self.quarantine,
            build_cache: self.build_cache,
            force_unverified: self.force_unverified,
            keep: self.keep,
            dry_run: self.dry_run || self.asks_nothing(),
        }
    }
}

/// Shows what goes, and removes it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (request, interrupt) = (args.request(), Interrupt::default());
    let Quiet { quiet, json, progress } = args.quiet;
    interrupt.listen()?;
    let bar = progress == Style::Auto && !quiet && !json && ui.err_is_terminal;
    let events = progress.events(None);
    let display = || Display::new(bar, events.as_ref(), &interrupt);
    let prepared = ops.reclaim(&request, &display())?;
    if !quiet && !json {
        let style = reclaim::Style { widths: ui.widths(), all: args.verbose };
        ui.print(&reclaim::plan(prepared.plan(), style))?;
        ui.flush()?;
    }
    let is_refused = prepared.plan().refused;
    let done = match request.dry_run {
        true => prepared.plan().clone(),
        false if is_refused && json => {
            ui.json(prepared.plan())?;
            return prepared.apply(&display()).map(|_| Exit::Refused);
        }
        false => prepared.apply(&display())?,
    };
    if json {
        ui.json(&done)?;
    } else {
        if !quiet && (!done.waste.is_empty() || !done.runs.is_empty()) {
            ui.print(&reclaim::outcome(&done, ui.text_width()))?;
        }
        ui.flush()?;
        ui.note(&findings::text(&done.findings, ui.text_width()));
    }
    if args.asks_nothing() && !quiet && !json {
        let first = if done.waste.is_empty() { LOOKED_FOR } else { REMOVES };
        let hint = wrap(&format!("hint: {first}; {OTHERS}"), ui.text_width(), "      ");
        ui.note(&format!("\n{hint}\n"));
    }
    match is_refused {
        true => Ok(Exit::Refused),
        false => Ok(Exit::with_findings(any_matter(&done.findings))),
    }
}
