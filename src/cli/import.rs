//! `tranship import`

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::{Places, PlanOut, Quiet};
use crate::cli::carry::carry_out;
use crate::cli::exit::{self, Exit};
use crate::cli::migrate::{To, compress, names, platform};
use crate::cli::ops::{Compress, MigrateRequest, OnConflict, Ops, Snapshots};
use crate::cli::ui::Ui;
use crate::error::Result;
use crate::format::oci::Platform;
use crate::store::Form;

/// Put images of an archive or a layout into a stopped data root, or a new one
///
/// Reads what `docker save`, BuildKit, skopeo, podman and crane write: OCI image layouts, as a folder
/// or as a tar, compressed or not, and the archives of older Dockers. Indexes come whole into the
/// containerd store; the classic store takes one platform of each. Every layer is verified.
///
/// The data root may be empty or not there yet: Docker finds the images at its first start.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = exit::help("\
Examples:
  tranship import images.tar --to containerd --root /var/lib/docker
  tranship import app.tar.zst --to classic --root /mnt/appliance/var/lib/docker
  tranship import layout --to containerd --root new --name team/app:v2
  ssh other tranship export -o - | tranship import - --to classic --root /var/lib/docker"))]
pub(crate) struct Args {
    /// The archive or the folder of the layout; - reads an archive from stdin
    #[arg(value_name = "FILE|DIR|-", value_hint = ValueHint::AnyPath)]
    source: PathBuf,

    /// The images to import, by name or ID; all without one
    #[arg(value_name = "IMAGE")]
    images: Vec<OsString>,

    /// Import into this store
    #[arg(long, value_name = "STORE")]
    to: To,

    /// The data root to import into; it is made if it is not there
    #[arg(long, value_name = "DIR|FILE.tar", value_hint = ValueHint::AnyPath)]
    root: PathBuf,

    /// Call the image NAME instead of what the archive calls it; may be given more than once
    ///
    /// With several images, say which is meant by what it was called: OLD=NEW.
    #[arg(long, value_name = "[OLD=]NAME", value_parser = given)]
    name: Vec<(Option<String>, String)>,

    /// Leave out names that match GLOB; may be given more than once
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Take this platform alone of images with several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,

    /// Compress layers that have no packed form with zstd[:1-22], gzip[:1-9] or none
    #[arg(long, value_name = "METHOD", default_value = "zstd", value_parser = compress)]
    compress: Compress,

    /// Unpack layers, or leave them packed with none: Docker unpacks an image when it is first run
    ///
    /// The classic store always has its layers unpacked.
    #[arg(long, value_name = "WAY", value_enum, default_value_t = Snapshots::Auto)]
    snapshots: Snapshots,

    /// Decide who keeps a name that another image of the target has
    #[arg(long, value_name = "RULE", value_enum, default_value_t = OnConflict::Keep)]
    on_conflict: OnConflict,

    /// Show the plan and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    plan_out: PlanOut,

    #[command(flatten)]
    places: Places,

    /// Work on N layers at once; by default one for each core
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    quiet: Quiet,
}

/// Reads `OLD=NEW` or `NEW`; a name holds no equals sign.
pub(crate) fn given(text: &str) -> std::result::Result<(Option<String>, String), String> {
    Ok(match text.split_once('=') {
        Some((old, new)) => (Some(old.to_owned()), new.to_owned()),
        None => (None, text.to_owned()),
    })
}

/// Plans the import, shows the plan, carries it out and shows what became of it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    carry_out(&request(args)?, &args.plan_out, args.quiet, ui, ops)
}

fn request(args: &Args) -> Result<MigrateRequest> {
    let is_stdin = args.source == Path::new("-");
    let source = if is_stdin { PathBuf::from("/dev/stdin") } else { args.source.clone() };
    Ok(MigrateRequest {
        at: args.places.at(Some(source)),
        from: None,
        to: args.to.kind(),
        index: None,
        commit: None,
        form: Form::Oci,
        images: names(&args.images)?,
        names: args.name.clone(),
        containers: Vec::new(),
        no_containers: false,
        exclude: args.exclude.clone(),
        all: true,
        platform: args.platform.clone(),
        compress: args.compress,
        snapshots: args.snapshots,
        on_conflict: args.on_conflict,
        dry_run: args.dry_run,
        switch: false,
        threshold: None,
        into: Some(args.root.clone()),
        without: Vec::new(),
        rebuild_missing: false,
        to_stdout: false,
        jobs: args.jobs,
    })
}
