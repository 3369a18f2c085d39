//! `tranship usage`

use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};

use crate::cli::args::{Places, each};
use crate::cli::exit::Exit;
use crate::cli::ops::{Ops, UsageRequest};
use crate::cli::progress::{Display, Interrupt, Style};
use crate::cli::render::records::{self, Form};
use crate::cli::render::{findings, usage};
use crate::cli::rows::any_matter;
use crate::cli::rows::usage::{GroupRow, LineRow, UsageReport};
use crate::cli::ui::Ui;
use crate::error::Result;
use crate::op::usage::By;

/// Tell where every byte of a data root is, in both stores, with the daemon stopped
///
/// Each file is of exactly one line: a layer, a container, a log, a volume, what the image builder keeps,
/// what nobody would miss. Their sum is what `du` says. A file that several lines have, by hard links, is
/// counted in the first that a daemon shows. Nothing is changed, and daemons may run.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  tranship usage                           this host
  tranship usage --by image --top 20       the largest images, and what each alone would free
  tranship usage --if-removed web db:16    what would be free if these were gone
  tranship usage --if-removed store:classic
  tranship usage /mnt/old/docker --json | jq '.lines[] | select(.reclaimable > 0)'
  tranship usage --ndjson >> usage.ndjson  one line each, with the host and the time

Exit codes:
  0  everything was counted
  1  something could not be looked at, and is not counted
  2  nothing could be counted")]
pub(crate) struct Args {
    /// Look at these data roots, layouts or archives instead of this host's own data root
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// Look at the data root at PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Vec<PathBuf>,

    /// Show a table by image, layer, container, volume, kind or directory
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<Together>,

    /// Sort by what is taken on disk, what is free once it is gone, or by name
    #[arg(long, value_enum, value_name = "KEY", default_value_t = Key::OnDisk)]
    sort: Key,

    /// Show the first N rows of a table, or of the largest things, alone
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// Tell what would be free if THING were gone: images, containers and volumes
    ///
    /// Each by its name or ID, with `image:`, `container:` or `volume:` before it where several could be
    /// meant; or `store:classic`, `store:containerd`.
    #[arg(long, value_name = "THING", num_args = 1.., conflicts_with_all = ["by", "csv", "ndjson"])]
    if_removed: Vec<String>,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long, conflicts_with_all = ["csv", "ndjson"])]
    json: bool,

    /// Print comma-separated values under a line of names
    #[arg(long, conflicts_with = "ndjson")]
    csv: bool,

    /// Print JSON, one line for each row, with the host and the time
    #[arg(long)]
    ndjson: bool,

    /// Call this host NAME in --ndjson
    #[arg(long, value_name = "NAME", requires = "ndjson")]
    host: Option<String>,

    /// Show progress as a bar on a terminal, as JSON on stderr or not at all
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Style::Auto)]
    progress: Style,
}

/// What a table is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Together {
    /// Images, each with all that it holds
    Image,
    /// Layers, packed and unpacked
    Layer,
    /// Containers, with their logs
    Container,
    /// Volumes
    Volume,
    /// What things are, and in which store
    Kind,
    /// The folders in the data root
    Directory,
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Key {
    /// The largest first
    OnDisk,
    /// What frees most first
    Frees,
    /// By name
    Name,
}

impl Together {
    fn by(self) -> By {
        match self {
            Self::Image => By::Image,
            Self::Layer => By::Layer,
            Self::Container => By::Container,
            Self::Volume => By::Volume,
            Self::Kind => By::Kind,
            Self::Directory => By::Directory,
        }
    }
}

/// Counts and shows.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let paths = [args.root.as_slice(), args.paths.as_slice()].concat();
    let interrupt = Interrupt::default();
    interrupt.listen()?;
    let is_read = args.json || args.csv || args.ndjson;
    let bar = args.progress == Style::Auto && !is_read && ui.err_is_terminal;
    let events = args.progress.events(None);
    let (all, worst) = each(&args.places, &paths, ui, |at| {
        let (at, if_removed) = (at.clone(), args.if_removed.clone());
        let request = UsageRequest { at, by: args.by.map(Together::by), if_removed };
        ops.usage(&request, &Display::new(bar, events.as_ref(), &interrupt))
    })?;
    let mut report = all.into_iter().fold(UsageReport::default(), added);
    report.sort(args.sort);
    report.cut(args.top);
    show(args, &report, ui)?;
    ui.flush()?;
    if !args.json {
        ui.note(&findings::text(&report.findings, ui.text_width()));
    }
    Ok(worst.max(Exit::with_findings(any_matter(&report.findings))))
}

fn show(args: &Args, report: &UsageReport, ui: &mut Ui<'_>) -> Result<()> {
    let form = match (args.csv, args.ndjson) {
        (true, _) => Form::Csv,
        (_, true) => Form::Ndjson { host: args.host.clone(), at: ui.now },
        _ if args.json => return ui.json(report),
        _ => {
            let text = match (&report.removal, args.by) {
                (Some(removal), _) => usage::removal(removal, ui.text_width()),
                (None, Some(_)) => usage::table(&report.groups, ui.width),
                (None, None) => usage::text(report, args.top, ui.widths()),
            };
            return ui.print(&text);
        }
    };
    let text = match args.by {
        Some(_) => records::text(&report.groups, &form)?,
        None => records::text(&report.lines, &form)?,
    };
    ui.print(&text)
}

/// Adds up what several data roots have.
fn added(mut all: UsageReport, one: UsageReport) -> UsageReport {
    all.places.extend(one.places);
    all.total.on_disk = all.total.on_disk.saturating_add(one.total.on_disk);
    all.total.apparent = all.total.apparent.saturating_add(one.total.apparent);
    all.total.files = all.total.files.saturating_add(one.total.files);
    all.hidden = all.hidden.saturating_add(one.hidden);
    all.reclaimable = all.reclaimable.saturating_add(one.reclaimable);
    all.lines.extend(one.lines);
    all.groups.extend(one.groups);
    all.removal = all.removal.or(one.removal);
    all.findings.extend(one.findings);
    all
}

impl UsageReport {
    fn sort(&mut self, key: Key) {
        let name = |names: &[String], id: &str| names.first().map_or(id, |name| name).to_owned();
        match key {
            Key::OnDisk => {
                self.lines.sort_by_key(|line: &LineRow| std::cmp::Reverse(line.on_disk));
                self.groups.sort_by_key(|group: &GroupRow| std::cmp::Reverse(group.on_disk));
            }
            Key::Frees => {
                self.lines.sort_by_key(|line| std::cmp::Reverse(line.frees_alone));
                self.groups.sort_by_key(|group| std::cmp::Reverse(group.frees_alone));
            }
            Key::Name => {
                self.lines.sort_by_cached_key(|line| name(&line.thing.names, &line.thing.id));
                self.groups.sort_by_cached_key(|group| name(&group.names, &group.id));
            }
        }
    }

    /// The sums stay those of all.
    fn cut(&mut self, top: Option<usize>) {
        let Some(top) = top else { return };
        self.groups.truncate(top);
    }
}
