//! `tranship images`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, each};
use crate::cli::exit::Exit;
use crate::cli::filter::{self, Filter};
use crate::cli::ops::{Images, Ops};
use crate::cli::render::images::{self, FIELDS, Style};
use crate::cli::render::template::Template;
use crate::cli::render::text::printable;
use crate::cli::render::{findings, text, tree};
use crate::cli::rows::any_matter;
use crate::cli::rows::images::{ImageList, ImageRow};
use crate::cli::ui::Ui;
use crate::error::{Error, Result};

/// List the images of both stores, shown and hidden
///
/// The list is that of `docker images`, with the store beside it: images that the daemon does not
/// show are marked (hidden). No daemon is asked, and none need run.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Fields for --format:
  .ID .Repository .Tag .Digest .CreatedSince .CreatedAt .Size .SharedSize .UniqueSize
  .Containers .Store .Hidden .Driver .Root

Examples:
  tranship images
  tranship images --filter hidden=true
  tranship images --filter 'reference=*/app:*' --digests
  tranship images --format 'table {{.Repository}}\\t{{.Size}}\\t{{.Store}}'
  tranship images /mnt/old/docker --json
  tranship images saved.tar            what docker save wrote
  tranship images old new --format '{{.Root}} {{.Repository}}:{{.Tag}}'")]
pub(crate) struct Args {
    /// Look at these data roots, layouts or archives instead of this host's own data root
    ///
    /// The images of several are listed one root after the other.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// Show digests
    #[arg(long)]
    digests: bool,

    /// Show whole IDs and cut nothing
    #[arg(long)]
    no_trunc: bool,

    /// Show intermediate images too
    #[arg(short, long)]
    all: bool,

    /// Print IDs only
    #[arg(short, long, conflicts_with_all = ["tree", "format", "json"])]
    quiet: bool,

    /// Show the platforms and attestations of each image, and which of them are here
    #[arg(long, conflicts_with_all = ["format", "json", "digests", "no_trunc"])]
    tree: bool,

    /// Show only images for which KEY is VALUE
    ///
    /// As for `docker images`: before=IMAGE, since=IMAGE, until=TIME, dangling=true|false,
    /// label=KEY[=VALUE], reference=PATTERN. And store=classic|containerd, hidden=true|false.
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,

    /// Print each image through a template: `json`, `table TEMPLATE` or `TEMPLATE`
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

/// Reads the images and shows them.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (all, worst) = each(&args.places, &args.paths, ui, |at| ops.images(at))?;
    let mut found = Images::default();
    for images in all {
        found.rows.extend(images.rows);
        found.findings.extend(images.findings);
    }
    let rows = select(found.rows, args, ui)?;
    let (hidden, list) = (rows.iter().filter(|row| row.hidden).count(), ImageList(rows));
    if args.json {
        ui.json(&list)?;
    } else {
        ui.print(&shown(&list.0, args, ui)?)?;
    }
    // The table first, then what is said of it.
    ui.flush()?;
    ui.note(&findings::text(&found.findings, ui.text_width()));
    if hidden > 0 && ui.err_is_terminal && !(args.json || args.quiet || args.format.is_some()) {
        ui.note(&hidden_note(hidden));
    }
    Ok(worst.max(Exit::with_findings(any_matter(&found.findings))))
}

fn select(rows: Vec<ImageRow>, args: &Args, ui: &Ui<'_>) -> Result<Vec<ImageRow>> {
    let mut roots: Vec<String> = rows.iter().map(|row| row.root.clone()).collect();
    roots.dedup();
    let mut rows = filter::apply(rows, &args.filters, ui.now)?;
    rows.retain(|row| args.all || !row.intermediate);
    images::sort(&mut rows);
    if args.paths.len() > 1 {
        images::group(&mut rows, &roots);
    }
    Ok(rows)
}

fn shown(rows: &[ImageRow], args: &Args, ui: &Ui<'_>) -> Result<String> {
    let names_digest = args.format.as_ref().is_some_and(|format| format.names("Digest"));
    let style = Style {
        digests: args.digests || names_digest,
        no_trunc: args.no_trunc,
        now: ui.now,
        width: ui.width,
    };
    Ok(match &args.format {
        _ if args.quiet => images::ids(rows, style),
        None => by_root(rows, args.paths.len() > 1, &|rows| match args.tree {
            true => tree::text(rows, ui.width),
            false => images::text(rows, style),
        }),
        Some(format) => {
            let lines = images::lines(rows, style);
            format
                .render(&lines, FIELDS)
                .map_err(|why| Error::refused(format!("--format: {why}")))?
        }
    })
}

/// Returns the text of all rows, or where there are `several` roots, that of each below its name.
fn by_root(rows: &[ImageRow], several: bool, text: &dyn Fn(&[ImageRow]) -> String) -> String {
    if !several {
        return text(rows);
    }
    let block = |rows: &[ImageRow]| {
        let root = rows.first().map(|row| row.root.as_str()).unwrap_or_default();
        format!("{}\n\n{}", printable(root), text(rows))
    };
    let blocks = rows.chunk_by(|a, b| a.root == b.root).map(block);
    blocks.collect::<Vec<_>>().join("\n")
}

fn hidden_note(hidden: usize) -> String {
    let images = text::count(u64::try_from(hidden).unwrap_or(u64::MAX), "image");
    let verb = if hidden == 1 { "is" } else { "are" };
    format!("\n{images} here {verb} hidden from the daemon; `tranship status` says why\n")
}
