//! `tranship status`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, each};
use crate::cli::exit::Exit;
use crate::cli::ops::Ops;
use crate::cli::render::status;
use crate::cli::rows::any_matter;
use crate::cli::rows::status::Status;
use crate::cli::ui::Ui;
use crate::error::Result;

/// Show which image stores are here and which one Docker will use next
///
/// Docker has two image stores and shows one at a time. After an upgrade or a change of
/// configuration, images can seem gone although the other store still holds them. This reads what
/// is on disk, says what is hidden, and which store each Docker will choose at its next start, with
/// the reason. It changes nothing, and daemons may run.
///
/// SIZE is what a store takes on disk, counted file by file. Of a store with very many files it is
/// the sum of what the store has on record, and marked with `~`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  tranship status                      this host
  tranship status /mnt/old/docker      the data root of a disk that is mounted
  tranship status backup/*.tar.zst     several, one after the other
  tranship status --json | jq '.roots[].stores[] | select(.hidden)'")]
pub(crate) struct Args {
    /// Look at these data roots instead of this host's own
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads the status and shows it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (all, worst) = each(&args.places, &args.paths, ui, |at| ops.status(at))?;
    let status = Status { roots: all.into_iter().flat_map(|status| status.roots).collect() };
    if args.json {
        ui.json(&status)?;
    } else {
        ui.print(&status::text(&status, ui.widths()))?;
        ui.note(&status::findings(&status, ui.text_width()));
    }
    let found = status.roots.iter().any(|root| any_matter(&root.findings));
    Ok(worst.max(Exit::with_findings(found)))
}
