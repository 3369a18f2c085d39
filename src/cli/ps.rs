//! `tranship ps`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, each};
use crate::cli::exit::Exit;
use crate::cli::filter::containers::{self, Filter};
use crate::cli::ops::{Containers, Ops};
use crate::cli::render::ps::{self, FIELDS, Style};
use crate::cli::render::template::Template;
use crate::cli::render::text::printable;
use crate::cli::render::{findings, text};
use crate::cli::rows::any_matter;
use crate::cli::rows::ps::{ContainerList, ContainerRow};
use crate::cli::ui::Ui;
use crate::error::{Error, Result};

/// List the containers of both stores, shown and hidden
///
/// The list is that of `docker ps --all --size`, with the store and the restart policy beside it:
/// containers that the daemon does not show are marked (hidden). No daemon is asked, and none need run.
/// A container that ran when its daemon last wrote is said to have been running.
///
/// SIZE is the bytes of the files that the container made or changed, as the classic store's daemon
/// counts them; --json has what they take on disk too, as the containerd store's daemon does.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Fields for --format:
  .ID .Image .Command .CreatedAt .RunningFor .Ports .State .Status .Size .Names .Labels .Mounts
  .LocalVolumes .Networks .Restart .Store .Hidden .Driver .Root

Examples:
  tranship ps
  tranship ps --filter hidden=true --filter status=running
  tranship ps --format 'table {{.Names}}\\t{{.Status}}\\t{{.Store}}'
  tranship ps /mnt/old/docker --json
  tranship ps docker.tar.zst -q --filter label=com.docker.compose.project=shop")]
pub(crate) struct Args {
    /// Look at these data roots instead of this host's own
    ///
    /// The containers of several are listed one root after the other.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// Look at the data root at PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Vec<PathBuf>,

    /// Show all containers: the default
    #[arg(short, long, overrides_with = "running")]
    all: bool,

    /// Show only containers that ran when their daemon last wrote
    #[arg(long, overrides_with = "all")]
    running: bool,

    /// Show only the N newest
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,

    /// Do not count sizes: faster where containers have very many files
    #[arg(long)]
    no_size: bool,

    /// Show whole IDs and commands, and cut nothing
    #[arg(long)]
    no_trunc: bool,

    /// Print IDs only
    #[arg(short, long, conflicts_with_all = ["format", "json"])]
    quiet: bool,

    /// Show only containers for which KEY is VALUE
    ///
    /// As for `docker ps`: id=START, name=PART, label=KEY[=VALUE], status=STATE, exited=CODE,
    /// ancestor=IMAGE, before=CONTAINER, since=CONTAINER, volume=NAME|PATH, network=NAME,
    /// publish=PORT[-PORT][/PROTOCOL]. And store=classic|containerd, hidden=true|false.
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,

    /// Print each container through a template: `json`, `table TEMPLATE` or `TEMPLATE`
    ///
    /// Templates are Docker's: fields and the functions join, json, lower, pad, println, split,
    /// title, truncate and upper.
    #[arg(long, value_name = "TEMPLATE", value_parser = template, conflicts_with = "json")]
    format: Option<Template>,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn template(text: &str) -> std::result::Result<Template, String> {
    Template::parse(text, FIELDS)
}

/// Reads the containers and shows them.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let paths = [args.root.as_slice(), args.paths.as_slice()].concat();
    let sizes = !(args.no_size || args.quiet);
    let (all, worst) = each(&args.places, &paths, ui, |at| ops.containers(at, sizes))?;
    let mut found = Containers::default();
    for containers in all {
        found.rows.extend(containers.rows);
        found.findings.extend(containers.findings);
    }
    let rows = select(found.rows, args)?;
    let (hidden, list) = (rows.iter().filter(|row| row.hidden).count(), ContainerList(rows));
    if args.json {
        ui.json(&list)?;
    } else {
        ui.print(&shown(&list.0, args, paths.len() > 1, ui)?)?;
    }
    // The table first, then what is said of it.
    ui.flush()?;
    ui.note(&findings::text(&found.findings, ui.text_width()));
    if hidden > 0 && ui.err_is_terminal && !(args.json || args.quiet || args.format.is_some()) {
        ui.note(&hidden_note(hidden));
    }
    Ok(worst.max(Exit::with_findings(any_matter(&found.findings))))
}

fn select(rows: Vec<ContainerRow>, args: &Args) -> Result<Vec<ContainerRow>> {
    let mut roots: Vec<String> = rows.iter().map(|row| row.root.clone()).collect();
    roots.dedup();
    let mut rows = containers::apply(rows, &args.filters)?;
    let ran =
        |row: &ContainerRow| ["running", "paused", "restarting"].contains(&&*row.state.status);
    rows.retain(|row| !args.running || ran(row));
    ps::sort(&mut rows);
    rows.truncate(args.last.unwrap_or(usize::MAX));
    rows.sort_by_key(|row| roots.iter().position(|root| *root == row.root));
    Ok(rows)
}

fn shown(rows: &[ContainerRow], args: &Args, several: bool, ui: &Ui<'_>) -> Result<String> {
    let sizes = !args.no_size;
    let style = Style { no_trunc: args.no_trunc, sizes, now: ui.now, width: ui.width };
    Ok(match &args.format {
        _ if args.quiet => ps::ids(rows, style),
        None if several => by_root(rows, style),
        None => ps::text(rows, style),
        Some(format) => format
            .render(&ps::lines(rows, style), FIELDS)
            .map_err(|why| Error::refused(format!("--format: {why}")))?,
    })
}

/// Returns the table of each root below its name.
fn by_root(rows: &[ContainerRow], style: Style) -> String {
    let block = |rows: &[ContainerRow]| {
        let root = rows.first().map(|row| row.root.as_str()).unwrap_or_default();
        format!("{}\n\n{}", printable(root), ps::text(rows, style))
    };
    let blocks = rows.chunk_by(|a, b| a.root == b.root).map(block);
    blocks.collect::<Vec<_>>().join("\n")
}

fn hidden_note(hidden: usize) -> String {
    let containers = text::count(u64::try_from(hidden).unwrap_or(u64::MAX), "container");
    let verb = if hidden == 1 { "is" } else { "are" };
    format!("\n{containers} here {verb} hidden from the daemon; `tranship status` says why\n")
}
