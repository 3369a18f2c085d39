//! `tranship logs`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::Places;
use crate::cli::exit::Exit;
use crate::cli::filter::time::Until;
use crate::cli::migrate::{names, split};
use crate::cli::ops::{LogsRequest, Ops};
use crate::cli::render::logs::{Before, line, row};
use crate::cli::render::{findings, json};
use crate::cli::rows::any_matter;
use crate::cli::ui::Ui;
use crate::error::{Error, Place, Result};
use crate::format::docker::log::Record;
use crate::format::time::Timestamp;
use crate::op::logs::Wanted;

/// Print what a container wrote, as `docker logs` does
///
/// Reads the files of the drivers json-file and local, rotated and compressed ones too, and the copy
/// that Docker keeps beside other drivers. No daemon is asked: containers that the daemon does not show,
/// and roots of machines that do not start any more, have logs like any other. What a crash damaged is
/// passed over and told.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship logs [OPTIONS] [PATH] <CONTAINER>")]
#[command(after_long_help = "\
Examples:
  tranship logs web
  tranship logs web --since 10m -t
  tranship logs /mnt/old/docker web --tail 100 --stream stderr
  tranship logs backup.tar.zst web --json | jq -r 'select(.stream == \"stderr\").log'")]
pub(crate) struct Args {
    /// The data root, then the container by name or ID
    ///
    /// Without a path: this host's own data root.
    #[arg(value_name = "PATH|CONTAINER", required = true, num_args = 1..=2)]
    #[arg(value_hint = ValueHint::AnyPath)]
    targets: Vec<OsString>,

    /// Read the data root at PATH, and take the argument for a container
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Begin at TIME: 2026-02-28T12:00:00Z, seconds since 1970, or a span before now such as 10m
    ///
    /// A time without a zone is in UTC.
    #[arg(long, value_name = "TIME", value_parser = Until::parse)]
    since: Option<Until>,

    /// End at TIME
    #[arg(long, value_name = "TIME", value_parser = Until::parse)]
    until: Option<Until>,

    /// Print of the last N records alone, or all
    ///
    /// They are counted before --since, --until and --stream choose among them, as Docker does it.
    #[arg(short = 'n', long, value_name = "N", default_value = "all", value_parser = tail)]
    tail: Tail,

    /// Print before each record when it was written
    #[arg(short, long, conflicts_with = "json")]
    timestamps: bool,

    /// Print before each record what the log driver was told to add, such as labels
    #[arg(long, conflicts_with = "json")]
    details: bool,

    /// Print this stream alone
    #[arg(long, value_name = "STREAM", value_enum)]
    stream: Option<Stream>,

    #[command(flatten)]
    places: Places,

    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// How many records; nothing for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail(Option<u64>);

fn tail(text: &str) -> std::result::Result<Tail, String> {
    match text {
        // docker/cli takes any negative number for all.
        "all" | "-1" => Ok(Tail(None)),
        _ => text
            .parse()
            .map(|number| Tail(Some(number)))
            .map_err(|_| format!("`{text}` is neither a number nor `all`")),
    }
}

/// The streams of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Stream {
    /// What went to stdout
    Stdout,
    /// What went to stderr
    Stderr,
}

/// Reads the log and prints it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let request = request(args, ui)?;
    let mut printer = Printer { args, ui, ready: Vec::with_capacity(2 * BLOCK), is_err: false };
    let found = ops.logs(&request, &mut |record| printer.take(record))?;
    printer.hand_over()?;
    ui.flush()?;
    ui.note(&findings::text(&found, ui.text_width()));
    Ok(Exit::with_findings(any_matter(&found)))
}

fn request(args: &Args, ui: &Ui<'_>) -> Result<LogsRequest> {
    let (root, targets) = split(&args.targets, args.root.as_deref(), Path::exists);
    let containers = names(targets)?;
    let [container] = containers.as_slice() else {
        let what = format!("{} containers are named, wanted one", containers.len());
        return Err(Error::refused(what).hint("tranship logs [PATH] <CONTAINER>"));
    };
    let moment = |time: Option<Until>| time.map(|time| time.at(ui.now).to_string().parse());
    let parsed = |time: Option<std::result::Result<Timestamp, _>>| {
        time.transpose().map_err(|error: crate::error::DecodeError| error.at(Place::default()))
    };
    let wanted = Wanted {
        since: parsed(moment(args.since))?,
        until: parsed(moment(args.until))?,
        tail: args.tail.0,
    };
    Ok(LogsRequest { at: args.places.at(root), container: container.clone(), wanted })
}

/// So much is handed on at once.
const BLOCK: usize = 64 << 10;

/// Gathers what goes to one stream until the other's turn comes.
struct Printer<'p, 'u> {
    args: &'p Args,
    ui: &'p mut Ui<'u>,
    ready: Vec<u8>,
    is_err: bool,
}

impl Printer<'_, '_> {
    fn take(&mut self, record: &Record<'_>) -> Result<()> {
        // Docker prints no others.
        let stream = match &*record.stream {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => return Ok(()),
        };
        if self.args.stream.is_some_and(|wanted| wanted != stream) {
            return Ok(());
        }
        let is_err = stream == Stream::Stderr && !self.args.json;
        if self.ready.len() >= BLOCK || is_err != self.is_err {
            self.hand_over()?;
        }
        self.is_err = is_err;
        if self.args.json {
            let text = serde_json::to_string(&row(record));
            let text = text.map_err(|error| Error::io(Place::new("stdout", ""), error.into()))?;
            self.ready.extend_from_slice(json::safe(&text).as_bytes());
            self.ready.push(b'\n');
            return Ok(());
        }
        let before = Before { time: self.args.timestamps, details: self.args.details };
        line(record, before, &mut self.ready);
        Ok(())
    }

    fn hand_over(&mut self) -> Result<()> {
        match self.is_err {
            true => self.ui.write_err(&self.ready)?,
            false => self.ui.bytes(&self.ready)?,
        }
        self.ready.clear();
        Ok(())
    }
}
