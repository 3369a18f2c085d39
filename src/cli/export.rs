//! `tranship export`

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::{Places, PlanOut, Quiet};
use crate::cli::carry::carry_out;
use crate::cli::exit::{self, Exit};
use crate::cli::migrate::{self, compress, names, platform, split};
use crate::cli::ops::{Compress, MigrateRequest, OnConflict, Ops, Snapshots};
use crate::cli::rows::StoreKind;
use crate::cli::take::{To, take};
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::format::oci::Platform;
use crate::op::look::Which;
use crate::os;
use crate::store::Form;
use crate::tree::TreePath;

/// Write images of a stopped store to an archive or a folder
///
/// Each layer is read once, whichever images share it, and verified on the way. The same images give
/// the same bytes. Every Docker loads what is written; other tools read it as an OCI image layout.
///
/// Images and the data root are named as for migrate; without an image, all are exported.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship export [OPTIONS] --output <FILE.tar|DIR|-> [PATH] [IMAGE]...")]
#[command(after_long_help = exit::help("\
Examples:
  tranship export -o all.tar
  tranship export app:v2 busybox -o two.tar
  tranship export /mnt/old/docker 'registry.example.com/*' -o layout --format oci
  tranship export docker.tar.zst -o all.tar --compress gzip
  tranship export app:v2 -o - | ssh other docker load
  tranship export --rootfs web -o web.tar            as `docker export`"))]
pub(crate) struct Args {
    /// The data root, then the images to export
    ///
    /// Without a path: this host's own data root. Without an image: all.
    #[arg(value_name = "PATH|IMAGE", value_hint = ValueHint::AnyPath)]
    targets: Vec<OsString>,

    /// Read the data root at PATH, and take every argument for an image
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Write to this new archive, to this new or empty folder, or with - to stdout
    ///
    /// To stdout each layer is read twice, because an archive says how long a file is before it comes;
    /// all that is otherwise printed goes to stderr then.
    #[arg(short, long, value_name = "FILE.tar|DIR|-", value_hint = ValueHint::AnyPath)]
    output: PathBuf,

    /// Write for every Docker, or an OCI image layout and no more
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Format::Docker)]
    format: Format,

    /// Export from this store, where images are in more than one
    #[arg(long, value_name = "STORE")]
    from: Option<migrate::To>,

    /// Leave out layers that are in HELD: a data root, an archive, a layout, or a list of digests
    ///
    /// For those who have most of it already. The manifests still name the layers; `tranship import`
    /// finds them in the data root it imports into, or says which are missing.
    #[arg(long, value_name = "HELD", value_hint = ValueHint::AnyPath)]
    without: Vec<PathBuf>,

    /// Write the files of one image or container instead, as `docker export` does
    ///
    /// FILE.tar or stdout gets a tar of what a process in it would see; a folder gets the files. It need
    /// not be stopped, but then what it writes meanwhile may come half.
    #[arg(long, conflicts_with_all = [
        "format", "without", "exclude", "all", "compress", "rebuild_missing", "dry_run", "plan_out",
        "jobs", "json", "progress",
    ])]
    rootfs: bool,

    /// Leave out names that match GLOB; may be given more than once
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Export intermediate images too: untagged ones that others were built from
    #[arg(long)]
    all: bool,

    /// Compress layers with zstd[:1-22], gzip[:1-9] or none
    ///
    /// By default zstd for the format oci, and none for docker, as `docker save` does it.
    #[arg(long, value_name = "METHOD", value_parser = compress)]
    compress: Option<Compress>,

    /// Take this platform alone of images with several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,

    /// Export images whose packed layers are gone as new images, made of their unpacked layers
    ///
    /// A containerd store may have an image unpacked alone. What was packed cannot be had back from
    /// that: the image gets other layers and so another ID. Without this it stays, and is named.
    #[arg(long)]
    rebuild_missing: bool,

    /// Show the plan and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    plan_out: PlanOut,

    #[command(flatten)]
    places: Places,

    /// Work on N layers at once; by default one for each core, and one for an archive
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    quiet: Quiet,
}

/// The forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// As `docker save` writes: an OCI image layout with a manifest.json
    Docker,
    /// An OCI image layout
    Oci,
}

/// Plans the export, shows the plan, carries it out and shows what became of it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    if args.rootfs {
        return rootfs(args, ui, ops);
    }
    carry_out(&request(args)?, &args.plan_out, args.quiet, ui, ops)
}

/// Writes the files of one image or container.
fn rootfs(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (root, targets) = split(&args.targets, args.root.as_deref(), Path::exists);
    let [name] = names(targets)?.try_into().map_err(|_| {
        Error::refused("the files of one image or container are written at a time")
            .hint("name one: `tranship export --rootfs web -o web.tar`")
    })?;
    let to = match &args.output {
        stdout if stdout == Path::new("-") => To::Stdout(TreePath::ROOT),
        file if file.extension().is_some_and(|end| end == "tar") && !os::is_dir(file) => {
            To::Tar(file)
        }
        folder => To::Disk(folder, TreePath::ROOT),
    };
    let which = Which { platform: args.platform.clone(), from: args.from.map(migrate::To::kind) };
    let mut exit = Exit::Done;
    ops.look(&args.places.at(root), &[&name], &which, &mut |view| {
        exit = take(&view?, TreePath::ROOT, to, args.quiet.quiet, ui)?;
        Ok(())
    })?;
    Ok(exit)
}

fn request(args: &Args) -> Result<MigrateRequest> {
    let to_stdout = args.output == Path::new("-");
    let (root, images) = split(&args.targets, args.root.as_deref(), Path::exists);
    let (form, compression) = match args.format {
        Format::Docker => (Form::Docker, Compress::None),
        Format::Oci => (Form::Oci, compress("zstd").map_err(Error::refused)?),
    };
    Ok(MigrateRequest {
        at: args.places.at(root),
        from: args.from.map(migrate::To::kind),
        to: StoreKind::Layout,
        names: Vec::new(),
        index: None,
        commit: None,
        form,
        images: names(images)?,
        containers: Vec::new(),
        no_containers: false,
        exclude: args.exclude.clone(),
        all: args.all,
        platform: args.platform.clone(),
        compress: args.compress.unwrap_or(compression),
        snapshots: Snapshots::None,
        on_conflict: OnConflict::Fail,
        dry_run: args.dry_run,
        switch: false,
        threshold: None,
        into: Some(args.output.clone()).filter(|_| !to_stdout),
        without: args.without.clone(),
        rebuild_missing: args.rebuild_missing,
        to_stdout,
        jobs: args.jobs,
    })
}
