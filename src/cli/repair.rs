//! `tranship repair`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, Quiet};
use crate::cli::exit::{self, Exit};
use crate::cli::ops::{Ops, RepairRequest};
use crate::cli::progress::{Display, Interrupt, Style};
use crate::cli::render::{findings, repair};
use crate::cli::rows::any_matter;
use crate::cli::rows::repair::{MendOutcome, Repair};
use crate::cli::ui::Ui;
use crate::error::Result;

/// Set right what is wrong in the stores of a stopped data root
///
/// What is missing is made again from what is left: from the other files of the store, from the other
/// store, from the containers, and from what --from names. The plan is printed first, then carried out.
/// Whatever gives way is kept in `tranship/quarantine` in the data root, and `tranship undo` puts it back.
/// What cannot be set right is told, with what would be needed.
///
/// A run that was interrupted is gone on with first.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = exit::help("\
Examples:
  tranship repair --dry-run
  tranship repair /mnt/disk/docker
  tranship repair --from backup.tar.zst --from image.tar
  tranship undo"))]
pub(crate) struct Args {
    /// Repair the data root at PATH instead of this host's own
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: Option<PathBuf>,

    /// Show what would be done and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Take what is missing from this data root, layout or archive; may be given more than once
    ///
    /// Implies --content. The other store of the same data root is always asked.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    from: Vec<PathBuf>,

    /// Read all content too, and replace what does not have its digest
    #[arg(long)]
    content: bool,

    #[command(flatten)]
    places: Places,

    #[command(flatten)]
    quiet: Quiet,
}

/// Plans, says so, and repairs.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let Quiet { quiet, json, progress } = args.quiet;
    let request = RepairRequest {
        at: args.places.at(args.path.clone()),
        from: args.from.clone(),
        content: args.content,
        dry_run: args.dry_run,
    };
    let planned = ops.repair(&request)?;
    let speaks = !quiet && !json;
    if speaks {
        ui.print(&repair::plan(planned.plan(), ui.text_width()))?;
        ui.flush()?;
    }
    let done = if args.dry_run || planned.plan().mends.is_empty() {
        planned.plan().clone()
    } else {
        let interrupt = Interrupt::default();
        interrupt.listen()?;
        let bar = progress == Style::Auto && speaks && ui.err_is_terminal;
        let events = progress.events(None);
        planned.apply(&Display::new(bar, events.as_ref(), &interrupt))?
    };
    if json {
        ui.json(&done)?;
    } else if !args.dry_run && !quiet {
        ui.print(&repair::done(&done, ui.text_width()))?;
    }
    ui.flush()?;
    if !json {
        ui.note(&repair::failures(&done, ui.text_width()));
        ui.note(&findings::text(&done.findings, ui.text_width()));
    }
    Ok(Exit::with_findings(is_left(&done)))
}

/// Returns whether something is still wrong.
fn is_left(done: &Repair) -> bool {
    let undone = done.mends.iter().any(|mend| mend.outcome != MendOutcome::Done);
    undone || !done.unmendable.is_empty() || any_matter(&done.findings)
}
