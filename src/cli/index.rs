//! `tranship index`

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::args::{Places, PlanOut, Quiet};
use crate::cli::carry::carry_out;
use crate::cli::exit::Exit;

use crate::cli::ops::{Compress, MigrateRequest, OnConflict, Ops, Snapshots};
use crate::cli::rows::StoreKind;
use crate::cli::ui::Ui;
use crate::error::Result;
use crate::store::Form;

/// Make one image for several platforms of images for one each
///
/// The images must be in one containerd store or one image layout: import them there first, under
/// names of their own. Each manifest stays what it is; the platforms are those of the configs. Images
/// built with attestations bring them along.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  tranship index team/app:v2 app:amd64 app:arm64
  tranship index team/app:v2 app:amd64 app:arm64 --root layout
  tranship index team/app:v2 app:amd64 app:arm64 --root images.tar -o both.tar")]
pub(crate) struct Args {
    /// What to call the new image
    name: String,

    /// The images to make it of, by name or ID
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    /// The data root or image layout that the images are in; without it, this host's own data root
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Write the new image alone to this new layout instead of adding it to where the others are
    #[arg(short, long, value_name = "FILE.tar|DIR", value_hint = ValueHint::AnyPath)]
    output: Option<PathBuf>,

    /// Give the new image a name that another image has; that image loses it
    #[arg(long)]
    replace: bool,

    /// Show the plan and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    plan_out: PlanOut,

    #[command(flatten)]
    places: Places,

    #[command(flatten)]
    quiet: Quiet,
}

/// Plans the index, shows the plan, carries it out and shows what became of it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    carry_out(&request(args), &args.plan_out, args.quiet, ui, ops)
}

fn request(args: &Args) -> MigrateRequest {
    MigrateRequest {
        at: args.places.at(args.root.clone()),
        from: None,
        to: StoreKind::Layout,
        index: Some(args.name.clone()),
        commit: None,
        form: Form::Docker,
        images: args.images.clone(),
        names: Vec::new(),
        containers: Vec::new(),
        no_containers: true,
        exclude: Vec::new(),
        all: false,
        platform: None,
        compress: Compress::None,
        snapshots: Snapshots::None,
        on_conflict: if args.replace { OnConflict::Replace } else { OnConflict::Fail },
        dry_run: args.dry_run,
        switch: false,
        threshold: None,
        into: args.output.clone(),
        without: Vec::new(),
        rebuild_missing: false,
        to_stdout: false,
        jobs: None,
    }
}
