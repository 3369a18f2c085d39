//! `tranship volumes`

mod carry;

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, each};
use crate::cli::exit::Exit;
use crate::cli::filter::volumes::{Filter, passes};
use crate::cli::ops::{Ops, Volumes};
use crate::cli::render::findings;
use crate::cli::render::template::Template;
use crate::cli::render::text::wrap;
use crate::cli::render::volumes::{FIELDS, hidden_note, text};
use crate::cli::rows::any_matter;
use crate::cli::rows::volumes::VolumeList;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};

/// List volumes with their sizes and the containers that use them, export and import them
///
/// The list is that of `docker volume ls` with more beside it, and tells what Docker does not: which
/// volumes it would take for unused because the containers that use them are in the store it does not
/// show.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_long_help = "\
Fields for --format:
  .Name .Driver .Scope .Mountpoint .Labels .Links .Size .UsedBy .Hidden .Anonymous .Device .Root

Examples:
  tranship volumes
  tranship volumes --filter hidden=true
  tranship volumes /mnt/old/docker --json
  tranship volumes export db -o db.tar
  tranship volumes import db.tar db --root /var/lib/docker")]
pub(crate) struct Args {
    #[command(subcommand)]
    carry: Option<carry::Verb>,

    #[command(flatten)]
    list: List,
}

#[derive(Clone, Debug, clap::Args)]
struct List {
    /// Look at these data roots instead of this host's own
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// Show only volumes for which KEY is VALUE
    ///
    /// As for `docker volume ls`: dangling=true|false, driver=DRIVER, label=KEY[=VALUE], name=PART. And
    /// hidden=true|false: used by containers alone that the daemon does not see.
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,

    /// Print names only
    #[arg(short, long, conflicts_with_all = ["format", "json"])]
    quiet: bool,

    /// Print each volume through a template: `json`, `table TEMPLATE` or `TEMPLATE`
    #[arg(long, value_name = "TEMPLATE", value_parser = template, conflicts_with = "json")]
    format: Option<Template>,

    /// Do not look at every file for the sizes
    #[arg(long)]
    no_size: bool,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn template(text: &str) -> std::result::Result<Template, String> {
    Template::parse(text, FIELDS)
}

/// Reads the volumes and shows them, or carries some.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    match &args.carry {
        Some(carry::Verb::Export(args)) => carry::export(args, ui, ops),
        Some(carry::Verb::Import(args)) => carry::import(args, ui, ops),
        None => list(&args.list, ui, ops),
    }
}

fn list(args: &List, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let sizes = !args.no_size && !args.quiet;
    let (all, worst) = each(&args.places, &args.paths, ui, |at| ops.volumes(at, sizes))?;
    let mut found = Volumes::default();
    for volumes in all {
        found.rows.extend(volumes.rows);
        found.findings.extend(volumes.findings);
    }
    found.rows.retain(|row| passes(row, &args.filters));
    let list = VolumeList(found.rows);
    match &args.format {
        _ if args.json => ui.json(&list)?,
        _ if args.quiet => {
            let names = list.0.iter().map(|row| crate::error::printable(row.name.as_bytes()));
            ui.print(&names.map(|name| format!("{name}\n")).collect::<String>())?;
        }
        None => ui.print(&text(&list.0, ui.width))?,
        Some(format) => {
            let text = format.render(&list.0, FIELDS);
            ui.print(&text.map_err(|why| Error::refused(format!("--format: {why}")))?)?;
        }
    }
    ui.flush()?;
    ui.note(&findings::text(&found.findings, ui.text_width()));
    if let Some(note) = hidden_note(&list.0)
        && !(args.json || args.quiet || args.format.is_some())
    {
        ui.note(&format!("\n{}\n", wrap(&format!("hint: {note}"), ui.text_width(), "      ")));
    }
    Ok(worst.max(Exit::with_findings(any_matter(&found.findings))))
}
