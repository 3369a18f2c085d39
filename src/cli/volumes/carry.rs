//! `tranship volumes export` and `import`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::{Places, Quiet};
use crate::cli::exit::{self, Exit};
use crate::cli::ops::{ExportVolumes, ImportVolume, Ops};
use crate::cli::progress::{Display, Events, Interrupt, Style};
use crate::cli::render::findings;
use crate::cli::render::volumes::carried;
use crate::cli::rows::any_matter;
use crate::cli::rows::volumes::VolumesCarried;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::op::volumes::Importing;
use crate::store::Progress;

#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Verb {
    Export(ExportArgs),
    Import(ImportArgs),
}

/// Write the files of volumes to a tar or a folder
///
/// With owners, modes, times, extended attributes and hard links. Of one volume the files stand at the
/// top, of several in a folder each. Stop the containers that write to them first.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  tranship volumes export db -o db.tar
  tranship volumes export db uploads --root backup.tar.zst -o out
  tranship volumes export db -o - | zstd > db.tar.zst")]
pub(crate) struct ExportArgs {
    /// The volumes
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    /// Write to this new tar, to this new or empty folder, or with - to stdout
    #[arg(short, long, value_name = "FILE.tar|DIR|-", value_hint = ValueHint::AnyPath)]
    output: PathBuf,

    /// Read the data root at PATH instead of this host's own
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    #[command(flatten)]
    places: Places,

    #[command(flatten)]
    quiet: Quiet,
}

/// Put the files of a tar or a folder into a volume of a stopped data root
///
/// The volume is made as Docker makes it, and appears once all its files are durable.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = exit::help("\
Examples:
  tranship volumes import db.tar db --root /var/lib/docker
  tranship volumes import two.tar db --folder db --root /mnt/disk/docker --label keep=yes
  ssh other tranship volumes export db -o - | tranship volumes import - db --root /var/lib/docker"))]
pub(crate) struct ImportArgs {
    /// The tar or the folder; - reads a tar from stdin
    #[arg(value_name = "FILE.tar|DIR|-", value_hint = ValueHint::AnyPath)]
    from: PathBuf,

    /// The name of the volume
    #[arg(value_name = "NAME")]
    name: String,

    /// The data root to import into
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    root: PathBuf,

    /// Take what is in this folder of the archive, as an export of several volumes has them
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,

    /// Give the volume a label; may be given more than once
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = label)]
    label: Vec<(String, String)>,

    /// Remove a volume of that name with all that is in it, once the new one is there
    #[arg(long)]
    replace: bool,

    /// Look at everything and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    places: Places,

    #[command(flatten)]
    quiet: Quiet,
}

fn label(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    match key.is_empty() {
        true => Err("a label needs a key".to_owned()),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}

/// Exports and says what was written.
pub(super) fn export(args: &ExportArgs, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    if args.output == Path::new("-") {
        if ui.width.is_some() {
            return Err(Error::refused("an archive does not go to a terminal")
                .hint("send stdout to a file or a command, or name one: `-o volume.tar`"));
        }
        ui.stand_aside();
    }
    let request = ExportVolumes {
        at: args.places.at(args.root.clone()),
        names: args.names.clone(),
        output: args.output.clone(),
    };
    carry(args.quiet, ui, &|progress| ops.export_volumes(&request, progress))
}

/// Imports and says what was written.
pub(super) fn import(args: &ImportArgs, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let is_stdin = args.from == Path::new("-");
    let from = if is_stdin { PathBuf::from("/dev/stdin") } else { args.from.clone() };
    let folder = args.folder.as_ref().map(|folder| {
        crate::tree::clean(folder.as_bytes())
            .ok_or_else(|| Error::refused(format!("`{folder}` is no folder of an archive")))
    });
    let importing = Importing {
        from,
        folder: folder.transpose()?,
        name: args.name.clone(),
        labels: args.label.iter().cloned().collect::<BTreeMap<_, _>>(),
        replace: args.replace,
        dry_run: args.dry_run,
    };
    let request = ImportVolume { at: args.places.at(Some(args.root.clone())), importing };
    carry(args.quiet, ui, &|progress| ops.import_volume(&request, progress))
}

type Work<'w> = &'w dyn Fn(&dyn Progress) -> Result<VolumesCarried>;

fn carry(how: Quiet, ui: &mut Ui<'_>, work: Work<'_>) -> Result<Exit> {
    let Quiet { quiet, json, progress } = how;
    let interrupt = Interrupt::default();
    interrupt.listen()?;
    let bar = progress == Style::Auto && !quiet && !json && ui.err_is_terminal;
    let events: Option<Events> = progress.events(None);
    let done = work(&Display::new(bar, events.as_ref(), &interrupt))?;
    if json {
        ui.json(&done)?;
    } else {
        if !quiet {
            ui.print(&carried(&done))?;
        }
        ui.note(&findings::text(&done.findings, ui.text_width()));
    }
    Ok(Exit::with_findings(any_matter(&done.findings)))
}
