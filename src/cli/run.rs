//! `tranship run`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::Quiet;
use crate::cli::carry::{self, Carry};
use crate::cli::exit::{self, Exit};
use crate::cli::job::{self, Job};
use crate::cli::ops::{MigrateRequest, Ops};
use crate::cli::progress::Interrupt;
use crate::cli::render::text::printable;
use crate::cli::rows::migrate::Migration;
use crate::cli::rows::run::{ErrorRow, JobOutcome, JobReport, JobReports};
use crate::cli::ui::{self, Ui};
use crate::error::{Error, Result};

/// Carry out the jobs of a file, one after the other
///
/// For runs that nobody watches. A file of TOML or JSON has a list of `jobs` and a table of `defaults`
/// for all of them. The keys are the options of migrate, import and export: source, images, exclude,
/// all, platform, to (classic, containerd or layout), into, names, from, format, compress, snapshots,
/// on_conflict, threshold, switch, parallel, containerd_root, daemon_config; and name, the job's own.
/// Relative paths start at the folder of the file.
///
/// A run that was interrupted goes on when it is started again: what is in its target already is not
/// moved again, and an export that is there, whole, is skipped. The exit code is the largest of its jobs'.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = exit::help("\
Example of a file:
  [defaults]
  to = \"containerd\"
  compress = \"zstd:3\"

  [[jobs]]
  name = \"the first machine\"
  source = \"first/docker\"
  into = \"moved/first\"
  exclude = [\"ci/*\"]

  [[jobs]]
  source = \"second.tar.zst\"
  to = \"layout\"
  into = \"second-images.tar\"

Examples:
  tranship run jobs.toml --dry-run
  tranship run jobs.toml --json --progress json > report.json"))]
pub(crate) struct Args {
    /// The jobs; - reads TOML from stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    jobs: PathBuf,

    /// Show the plans and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Go on with the other jobs when one fails: the default
    #[arg(long, overrides_with = "fail_fast")]
    keep_going: bool,

    /// Stop at the first job that fails
    #[arg(long, overrides_with = "keep_going")]
    fail_fast: bool,

    #[command(flatten)]
    quiet: Quiet,
}

fn speaks(args: &Args) -> bool {
    !args.quiet.quiet && !args.quiet.json
}

fn heading(job: &Job, number: usize, of: usize) -> String {
    let before = if number == 1 { "" } else { "\n" };
    let name = match job.name == number.to_string() {
        true => String::new(),
        false => format!(": {}", printable(&job.name)),
    };
    format!("{before}Job {number} of {of}{name}\n")
}

/// How a job went: what it did, nothing if its output was there, or why it failed.
type Went = Result<Option<Migration>>;

/// Carries out the jobs.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let jobs = job::read(&args.jobs)?;
    let interrupt = Interrupt::default();
    let mut reports = JobReports::default();
    let mut is_over = false;
    for (number, job) in (1..).zip(&jobs) {
        if is_over {
            reports.0.push(not_run(job));
            continue;
        }
        if speaks(args) {
            ui.print(&heading(job, number, jobs.len()))?;
        }
        let went = one(job, args, &interrupt, ui, ops);
        if let Err(error) = &went {
            if ui::is_broken_pipe(error) {
                return went.map(|_| Exit::Done);
            }
            ui.flush()?;
            ui.error(error);
        }
        is_over = interrupt.asked() || (args.fail_fast && went.is_err());
        reports.0.push(report(job, went));
    }
    if args.quiet.json {
        ui.json(&reports)?;
    }
    let worst = reports.0.iter().map(|report| exit_of(report.outcome)).max();
    Ok(worst.unwrap_or(Exit::Done))
}

fn one(job: &Job, args: &Args, interrupt: &Interrupt, ui: &mut Ui<'_>, ops: &dyn Ops) -> Went {
    let request = MigrateRequest { dry_run: args.dry_run, ..job.request.clone() };
    if ops.is_exported(&request)? {
        if speaks(args) {
            ui.print("Nothing to do: its output is there already, whole.\n")?;
        }
        return Ok(None);
    }
    let how = args.quiet;
    let carry = Carry { request: &request, how, wanted: None, job: Some(&job.name), interrupt };
    carry.report(ui, ops).map(Some)
}

fn report(job: &Job, went: Went) -> JobReport {
    let (outcome, report, error) = match went {
        Ok(None) => (JobOutcome::Skipped, None, None),
        Ok(Some(done)) => {
            let outcome = match carry::exit(&done) {
                Exit::Done => JobOutcome::Done,
                _ => JobOutcome::Findings,
            };
            (outcome, Some(done), None)
        }
        Err(error) => {
            let outcome = match Exit::from(&error) {
                Exit::Refused => JobOutcome::Refused,
                _ => JobOutcome::Failed,
            };
            (outcome, None, Some(row(&error)))
        }
    };
    JobReport { name: job.name.clone(), outcome, exit: exit_of(outcome).code(), report, error }
}

fn not_run(job: &Job) -> JobReport {
    let outcome = JobOutcome::NotRun;
    let exit = exit_of(outcome).code();
    JobReport { name: job.name.clone(), outcome, exit, report: None, error: None }
}

fn exit_of(outcome: JobOutcome) -> Exit {
    match outcome {
        JobOutcome::Done | JobOutcome::Skipped => Exit::Done,
        JobOutcome::Findings => Exit::Findings,
        JobOutcome::Failed => Exit::Failed,
        // Not begun is what refused means.
        JobOutcome::NotRun | JobOutcome::Refused => Exit::Refused,
    }
}

fn row(error: &Error) -> ErrorRow {
    ErrorRow {
        what: error.what().to_owned(),
        place: error.place().map(ToString::to_string),
        hint: error.advice().map(str::to_owned),
    }
}
