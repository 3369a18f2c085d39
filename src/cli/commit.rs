//! `tranship commit`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::{Places, PlanOut, Quiet};
use crate::cli::carry::carry_out;
use crate::cli::exit::{self, Exit};
use crate::cli::export::Format;
use crate::cli::migrate::{To, compress, names, split};
use crate::cli::ops::{Compress, MigrateRequest, OnConflict, Ops, Snapshots};
use crate::cli::rows::StoreKind;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::op::commit::Commit;
use crate::store::Form;

/// Make an image of a container, with every daemon stopped
///
/// What the container changed becomes one layer on those of its image, as `docker commit` makes it.
/// What is mounted in it, such as volumes, is not part of it. The image goes to the store that the
/// container is in, or to an archive; the container stays as it is.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship commit [OPTIONS] [PATH] <CONTAINER> <NAME>")]
#[command(after_long_help = exit::help("\
Examples:
  tranship commit web web:rescued
  tranship commit web web:rescued -m 'before the upgrade' --dry-run
  tranship commit web web:rescued -o web.tar
  tranship commit web web:rescued --to containerd
  tranship commit web web:rescued --change 'CMD [\"nginx\"]' --change 'ENV A=1'
  tranship commit /mnt/old/docker web web:rescued -o web.tar"))]
pub(crate) struct Args {
    /// The data root, the container, and what to call the image
    #[arg(value_name = "PATH|CONTAINER|NAME", value_hint = ValueHint::AnyPath, required = true)]
    targets: Vec<OsString>,

    /// Read the data root at PATH, and take every argument for a container or name
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Put the image into this store instead of the one that the container is in
    #[arg(long, value_name = "STORE", conflicts_with = "output")]
    to: Option<To>,

    /// Write the image to this new archive, to this new or empty folder, or with - to stdout
    #[arg(short, long, value_name = "FILE.tar|DIR|-", value_hint = ValueHint::AnyPath)]
    output: Option<PathBuf>,

    /// Write an archive for every Docker, or an OCI image layout and no more
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Format::Docker)]
    format: Format,

    /// Say what was done, for the image's history
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,

    /// Say who did it
    #[arg(short, long, value_name = "NAME", default_value = "", hide_default_value = true)]
    author: String,

    /// Change what containers of the image run; may be given more than once
    ///
    /// As in a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL,
    /// USER, VOLUME and WORKDIR. Variables are not put in.
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,

    /// Compress layers with zstd[:1-22], gzip[:1-9] or none
    ///
    /// By default gzip, as Docker does it; and none for an archive that every Docker loads.
    #[arg(long, value_name = "METHOD", value_parser = compress)]
    compress: Option<Compress>,

    /// Take a container that was running when its daemon last wrote, although it may be torn
    #[arg(short, long)]
    force: bool,

    /// Show the plan and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    places: Places,

    #[command(flatten)]
    quiet: Quiet,
}

/// Plans the image, shows the plan, carries it out and shows what became of it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    carry_out(&request(args)?, &PlanOut::default(), args.quiet, ui, ops)
}

fn request(args: &Args) -> Result<MigrateRequest> {
    let (root, named) = split(&args.targets, args.root.as_deref(), Path::exists);
    let named = names(named)?;
    let [container, name] = named.as_slice() else {
        return Err(Error::refused("a container and a name for the image are wanted, and no more")
            .hint("such as `tranship commit web web:rescued`"));
    };
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    let is_archive = args.output.is_some() && args.format == Format::Docker;
    let usual = if is_archive { Compress::None } else { Compress::Gzip(6) };
    Ok(MigrateRequest {
        containers: Vec::new(),
        no_containers: true,
        at: args.places.at(root),
        from: None,
        to: args.to.map_or(StoreKind::Layout, To::kind),
        index: None,
        commit: Some(Commit {
            name: name.clone(),
            container: container.clone(),
            message: args.message.clone(),
            author: args.author.clone(),
            changes: args.change.clone(),
            force: args.force,
            in_place: false,
        }),
        form: if args.format == Format::Docker { Form::Docker } else { Form::Oci },
        images: Vec::new(),
        names: Vec::new(),
        exclude: Vec::new(),
        all: false,
        platform: None,
        compress: args.compress.unwrap_or(usual),
        snapshots: if args.output.is_some() { Snapshots::None } else { Snapshots::Auto },
        on_conflict: OnConflict::Replace,
        dry_run: args.dry_run,
        switch: false,
        threshold: None,
        into: args.output.clone().filter(|_| !to_stdout),
        without: Vec::new(),
        rebuild_missing: false,
        to_stdout,
        jobs: None,
    })
}
