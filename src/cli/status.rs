//! `tranship status`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::Places;
use crate::cli::exit::Exit;
use crate::cli::ops::Ops;
use crate::cli::render::status;
use crate::cli::rows::any_matter;
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
  tranship status --json | jq '.roots[].stores[] | select(.hidden)'")]
pub(crate) struct Args {
    /// Look at this data root instead of this host's own
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: Option<PathBuf>,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads the status and shows it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let status = ops.status(&args.places.at(args.path.clone()))?;
    if args.json {
        ui.json(&status)?;
    } else {
        ui.print(&status::text(&status, ui.widths()))?;
        ui.note(&status::findings(&status, ui.text_width()));
    }
    Ok(Exit::with_findings(status.roots.iter().any(|root| any_matter(&root.findings))))
}
