//! `tranship apply`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::Quiet;
use crate::cli::carry::Carry;
use crate::cli::exit::{self, Exit};
use crate::cli::ops::{MigrateRequest, Ops};
use crate::cli::plan_file;
use crate::cli::progress::Interrupt;
use crate::cli::ui::Ui;
use crate::error::Result;

/// Carry out a plan that was kept with --plan-out
///
/// Plans anew what was asked for then, and goes on only if source, target and plan are still the same:
/// otherwise it says what has changed, and nothing is written.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = exit::help("\
Examples:
  tranship migrate --to containerd --plan-out plan.json
  tranship apply plan.json --dry-run
  tranship apply plan.json"))]
pub(crate) struct Args {
    /// The plan; - reads it from stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    plan: PathBuf,

    /// Check whether the plan still holds, and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    quiet: Quiet,
}

/// Carries out the plan, if it still holds.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let plan = plan_file::read(&args.plan)?;
    let request = MigrateRequest { dry_run: args.dry_run, ..plan.request };
    let (wanted, interrupt) = (Some(&plan.fingerprint), Interrupt::default());
    let carry =
        Carry { request: &request, how: args.quiet, wanted, job: None, interrupt: &interrupt };
    carry.run(ui, ops)
}
