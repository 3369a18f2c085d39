//! `tranship verify`

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, Quiet, each};
use crate::cli::exit::Exit;
use crate::cli::ops::{Ops, VerifyRequest};
use crate::cli::progress::{Display, Interrupt, Style};
use crate::cli::render::verify;
use crate::cli::rows::any_matter;
use crate::cli::rows::verify::VerifyReport;
use crate::cli::ui::Ui;
use crate::error::Result;

/// Check that images, containers and volumes are whole, and what Docker will show at its next start
///
/// All that the stores say of themselves is held against itself and against what is there; then every
/// layer and blob is read and held against its digest, so that a damaged file is told by its name. It
/// changes nothing, needs no lock, and daemons may run; what a daemon writes meanwhile can look like
/// damage.
///
/// Each finding has a code. They are all explained in src/cli/findings.md of the source.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  tranship verify                      this host
  tranship verify --quick              all but the content of layers and blobs
  tranship verify /mnt/old/docker backup.tar.zst
  tranship verify --json | jq '.findings[] | select(.severity == \"data-lost\")'

Exit codes:
  0  nothing is wrong, or things lie about that harm nothing
  1  something is wrong
  2  something could not be looked at
  3  interrupted")]
pub(crate) struct Args {
    /// Look at these data roots, layouts or archives instead of this host's own data root
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// Look at the data root at PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Vec<PathBuf>,

    /// Leave out content: the bytes of layers and blobs
    #[arg(long)]
    quick: bool,

    /// Read N layers at once; the default is one for each core
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    places: Places,

    #[command(flatten)]
    quiet: Quiet,
}

/// Verifies and reports.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let Quiet { quiet, json, progress } = args.quiet;
    let paths = [args.root.as_slice(), args.paths.as_slice()].concat();
    let interrupt = Interrupt::default();
    interrupt.listen()?;
    let bar = progress == Style::Auto && !quiet && !json && ui.err_is_terminal;
    let events = progress.events(None);
    let (all, worst) = each(&args.places, &paths, ui, |at| {
        let request = VerifyRequest { at: at.clone(), quick: args.quick, jobs: args.jobs };
        ops.verify(&request, &Display::new(bar, events.as_ref(), &interrupt))
    })?;
    let report = all.into_iter().fold(VerifyReport::default(), added);
    if json {
        ui.json(&report)?;
    } else {
        ui.print(&verify::text(&report, quiet, ui.text_width()))?;
    }
    Ok(worst.max(Exit::with_findings(any_matter(&report.findings))))
}

fn added(mut all: VerifyReport, one: VerifyReport) -> VerifyReport {
    all.findings.extend(one.findings);
    for (sort, count) in one.checked {
        *all.checked.entry(sort).or_default() += count;
    }
    all.starts.extend(one.starts);
    all.roots.extend(one.roots);
    all.bytes = all.bytes.saturating_add(one.bytes);
    all.seconds += one.seconds;
    all.open_by_daemon |= one.open_by_daemon;
    all
}
