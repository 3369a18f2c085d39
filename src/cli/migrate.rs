//! `tranship migrate`

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::{Places, PlanOut, Quiet};
use crate::cli::carry::carry_out;
use crate::cli::exit::{self, Exit};
use crate::cli::ops::{Compress, MigrateRequest, OnConflict, Ops, Snapshots};
use crate::cli::render;
use crate::cli::rows::StoreKind;
use crate::cli::rows::undo::{UndoOutcome, UndoneRow};
use crate::cli::size;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::format::oci::Platform;
use crate::store::Form;

/// Move images and containers from one store to the other
///
/// The source is only read, and keeps everything. The target gets its images all at once, at the
/// end: a run that is interrupted has changed nothing that Docker sees, and the next run goes on
/// from there. Every daemon that uses either store must be stopped.
///
/// Containers come along with their images: what they changed is copied, and their configs, which both
/// stores share, name the new store. --undo puts the configs back.
///
/// Name images as `docker` does, by name or ID; without one, all images move. The first argument is
/// the data root instead if it is `.` or `..`, begins with `/`, `./` or `../`, or holds a `/` and
/// exists; say --root PATH to leave no doubt.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship migrate [OPTIONS] --to <STORE> [PATH] [IMAGE]...")]
#[command(after_long_help = exit::help("\
Examples:
  tranship migrate --to containerd --dry-run
  tranship migrate --to containerd --switch
  tranship migrate --to containerd busybox app:v2 --on-conflict replace
  tranship migrate /mnt/old/docker --to containerd --exclude 'ci/*'
  tranship migrate --to containerd --container web --container db
  tranship migrate --to containerd --into moved.tar --snapshots none
  tranship migrate --undo
  tranship migrate --to containerd --plan-out plan.json && tranship apply plan.json"))]
pub(crate) struct Args {
    /// The data root, then the images to move
    ///
    /// Without a path: this host's own data root. Without an image: all.
    #[arg(value_name = "PATH|IMAGE", value_hint = ValueHint::AnyPath)]
    targets: Vec<OsString>,

    /// Read the data root at PATH, and take every argument for an image
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Move to this store
    #[arg(long, value_name = "STORE", required_unless_present = "undo")]
    to: Option<To>,

    /// Bind the containers of the last migration to the store they came from again
    ///
    /// That store has kept them as they were. What a container did since stays in the store it was
    /// moved to. Images stay in both.
    #[arg(long, conflicts_with_all = ["to", "into", "switch", "dry_run", "plan_out"])]
    undo: bool,

    /// Move from this store, where images are in more than one
    #[arg(long, value_name = "STORE")]
    from: Option<To>,

    /// Leave out names that match GLOB; may be given more than once
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Move this container and its image; may be given more than once
    ///
    /// Without this the containers of all images that move do so too.
    #[arg(long, value_name = "NAME", conflicts_with = "into")]
    container: Vec<String>,

    /// Leave all containers where they are
    #[arg(long, conflicts_with = "container")]
    no_containers: bool,

    /// Move intermediate images too: untagged ones that others were built from
    #[arg(long)]
    all: bool,

    /// Compress layers with zstd[:1-22], gzip[:1-9] or none
    ///
    /// Layers that the target has already stay as they are. With none, images get the IDs that
    /// `docker save | docker load` would give them.
    #[arg(long, value_name = "METHOD", default_value = "zstd", value_parser = compress)]
    compress: Compress,

    /// Bring unpacked layers to the target in this way
    #[arg(long, value_name = "WAY", value_enum, default_value_t = Snapshots::Auto)]
    snapshots: Snapshots,

    /// Decide who keeps a name that another image of the target has
    #[arg(long, value_name = "RULE", value_enum, default_value_t = OnConflict::Keep)]
    on_conflict: OnConflict,

    /// Take this platform alone of images with several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,

    /// Move images whose packed layers are gone as new images, made of their unpacked layers
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

    /// Make Docker use the target from its next start on
    #[arg(long, conflicts_with = "into")]
    switch: bool,

    /// Do nothing if the images are larger than SIZE, such as 10GB
    ///
    /// For runs that nobody watches: each image counts whole, and the exit code is 0. SIZE is read
    /// as Docker reads DOCKER_MIGRATE_SNAPSHOTTER_THRESHOLD: units are decimal, even if written MiB.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    threshold: Option<u64>,

    /// Write a new store to DIR or FILE.tar instead of the one beside the source
    #[arg(long, value_name = "DIR|FILE.tar", value_hint = ValueHint::AnyPath)]
    into: Option<PathBuf>,

    #[command(flatten)]
    places: Places,

    /// Work on N layers at once; by default one for each core
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    quiet: Quiet,
}

/// The stores one can move to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum To {
    /// The containerd image store, Docker's default since version 29
    Containerd,
    /// The store of the graph driver overlay2
    Classic,
}

impl To {
    /// Returns the kind of store that is meant.
    pub(crate) fn kind(self) -> StoreKind {
        match self {
            Self::Containerd => StoreKind::Containerd,
            Self::Classic => StoreKind::Classic,
        }
    }
}

/// Plans the migration, shows the plan, carries it out and shows what became of it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    match args.to {
        Some(to) => carry_out(&request(args, to)?, &args.plan_out, args.quiet, ui, ops),
        None => undo(args, ui, ops),
    }
}

fn undo(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (root, rest) = split(&args.targets, args.root.as_deref(), Path::exists);
    if !rest.is_empty() {
        return Err(Error::refused("all that was migrated last is undone together")
            .hint("name nothing but the data root"));
    }
    let done = ops.undo(&args.places.at(root))?;
    match args.quiet {
        Quiet { json: true, .. } => ui.json(&done)?,
        Quiet { quiet: true, .. } => {}
        _ => ui.print(&render::undo::report(&done, ui.text_width()))?,
    }
    let as_before = |row: &UndoneRow| row.outcome == UndoOutcome::AsBefore;
    Ok(Exit::with_findings(!done.containers.iter().all(as_before)))
}

fn request(args: &Args, to: To) -> Result<MigrateRequest> {
    let (root, images) = split(&args.targets, args.root.as_deref(), Path::exists);
    Ok(MigrateRequest {
        at: args.places.at(root),
        from: args.from.map(To::kind),
        to: to.kind(),
        names: Vec::new(),
        index: None,
        commit: None,
        form: Form::Oci,
        images: names(images)?,
        containers: args.container.clone(),
        no_containers: args.no_containers,
        exclude: args.exclude.clone(),
        all: args.all,
        platform: args.platform.clone(),
        compress: args.compress,
        snapshots: args.snapshots,
        on_conflict: args.on_conflict,
        dry_run: args.dry_run,
        switch: args.switch,
        threshold: args.threshold,
        into: args.into.clone(),
        without: Vec::new(),
        rebuild_missing: args.rebuild_missing,
        to_stdout: false,
        jobs: args.jobs,
    })
}

/// Returns arguments as the names of images.
pub(crate) fn names(images: &[OsString]) -> Result<Vec<String>> {
    images.iter().map(name).collect()
}

fn name(image: &OsString) -> Result<String> {
    let text = image.to_str().ok_or_else(|| {
        let shown = crate::error::printable(image.as_encoded_bytes()).into_owned();
        Error::refused(format!("`{shown}` is no image name"))
    })?;
    Ok(text.to_owned())
}

/// Tells the data root from the images. `exists` is asked only about a first target that could be
/// either.
pub(crate) fn split<'a>(
    targets: &'a [OsString],
    root: Option<&Path>,
    exists: impl FnOnce(&Path) -> bool,
) -> (Option<PathBuf>, &'a [OsString]) {
    match targets.split_first() {
        _ if root.is_some() => (root.map(Path::to_owned), targets),
        Some((first, images)) if is_path(first, exists) => (Some(first.into()), images),
        _ => (None, targets),
    }
}

/// No image is called like an archive; a tag could be, but not without a colon before it.
fn is_archive(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name);
    !text.contains(':')
        && [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| text.ends_with(end))
}

fn is_path(target: &OsString, exists: impl FnOnce(&Path) -> bool) -> bool {
    let (path, bytes) = (Path::new(target), target.as_encoded_bytes());
    let plainly = bytes == b"." || bytes == b".." || path.is_absolute();
    plainly
        || bytes.starts_with(b"./")
        || bytes.starts_with(b"../")
        || ((bytes.contains(&b'/') || is_archive(bytes)) && exists(path))
}

/// On the benchmark root level 1 took 2.9 s of CPU where level 3 took 4.9 s, for 7 % more room
/// (`benches/README.md`); the layers are read again by containerd only when something must be unpacked.
const ZSTD_LEVEL: u8 = 1;

pub(crate) fn platform(text: &str) -> std::result::Result<Platform, String> {
    text.parse().map_err(|error: crate::error::DecodeError| error.what)
}

pub(crate) fn compress(text: &str) -> std::result::Result<Compress, String> {
    let (method, level) = match text.split_once(':') {
        Some((method, level)) => (method, Some(level)),
        None => (text, None),
    };
    let wrong = || format!("`{text}` is not zstd[:1-22], gzip[:1-9] or none");
    let level_to = |most: u8, usual: u8| match level {
        None => Ok(usual),
        Some(level) => level.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(wrong),
    };
    match method {
        "zstd" => level_to(22, ZSTD_LEVEL).map(Compress::Zstd),
        "gzip" => level_to(9, 6).map(Compress::Gzip),
        "none" if level.is_none() => Ok(Compress::None),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_an_image() {
        let here = |targets: &[&str], root: Option<&str>| {
            let targets: Vec<OsString> = targets.iter().map(OsString::from).collect();
            let exists = |path: &Path| path == Path::new("old/docker");
            let (root, images) = split(&targets, root.map(Path::new), exists);
            (root.map(|root| root.display().to_string()), images.len())
        };
        let path = |path: &str| Some(path.to_owned());
        for (targets, root, wanted) in [
            (&[][..], None, (None, 0)),
            (&["busybox"], None, (None, 1)),
            (&["team/app:1", "b"], None, (None, 2)),
            (&["old/docker", "b"], None, (path("old/docker"), 1)),
            (&["b", "old/docker"], None, (None, 2)),
            (&["/gone"], None, (path("/gone"), 0)),
            (&["."], None, (path("."), 0)),
            (&["./x", "y"], None, (path("./x"), 1)),
            (&["old/docker"], Some("/r"), (path("/r"), 1)),
        ] {
            assert_eq!(here(targets, root), wanted, "{targets:?}");
        }
    }

    #[test]
    fn a_compression_is_a_method_and_a_level_it_has() {
        for (text, wanted) in [
            ("zstd", Compress::Zstd(ZSTD_LEVEL)),
            ("zstd:19", Compress::Zstd(19)),
            ("gzip", Compress::Gzip(6)),
            ("gzip:1", Compress::Gzip(1)),
            ("none", Compress::None),
        ] {
            assert_eq!(compress(text), Ok(wanted));
        }
        for bad in ["", "zstd:", "zstd:23", "zstd:0", "gzip:10", "none:1", "xz", "zstd:-1"] {
            assert!(compress(bad).is_err(), "{bad}");
        }
    }
}
