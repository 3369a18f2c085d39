//! `tranship diff`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::Places;
use crate::cli::exit::{self, Exit};
use crate::cli::migrate::{To, names, split};
use crate::cli::ops::{DiffRequest, Ops};
use crate::cli::render::diff;
use crate::cli::rows::diff::ChangeList;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};

/// Show what a container changed, or what is different between two containers or images
///
/// Of a container alone this is `docker diff`: A for added, C for changed, D for deleted, against its
/// image; of an image alone, what its topmost layer changed. With OTHER, the letters say what OTHER has that the first has not. They may be in different
/// stores. No daemon is asked, and none need run.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship diff [OPTIONS] [PATH] <CONTAINER|IMAGE> [OTHER]")]
#[command(after_long_help = exit::help("\
Examples:
  tranship diff web
  tranship diff web -v
  tranship diff app:v1 app:v2
  tranship diff app:v1 web --json
  tranship diff app:v2
  tranship diff app:v1 app:v1 --from classic --to containerd
  tranship diff /mnt/old/docker web"))]
pub(crate) struct Args {
    /// The data root, then what to compare
    #[arg(value_name = "PATH|NAME", value_hint = ValueHint::AnyPath, required = true)]
    targets: Vec<OsString>,

    /// Read the data root at PATH, and take every argument for a container or image
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Say what is different about each: size, content, mode, owner, time, attributes
    #[arg(short, long)]
    verbose: bool,

    /// Take the first for an image of this store
    #[arg(long, value_name = "STORE")]
    from: Option<To>,

    /// Take OTHER for an image of this store
    #[arg(long, value_name = "STORE")]
    to: Option<To>,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares, and shows what is different.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let rows = ops.diff(&request(args)?)?;
    match args.json {
        true => ui.json(&ChangeList(rows))?,
        false => ui.print(&diff::text(&rows, args.verbose))?,
    }
    Ok(Exit::Done)
}

fn request(args: &Args) -> Result<DiffRequest> {
    let (root, wanted) = split(&args.targets, args.root.as_deref(), Path::exists);
    let mut wanted = names(wanted)?.into_iter();
    let (one, other) = match (wanted.next(), wanted.next(), wanted.next()) {
        (Some(one), other, None) => (one, other),
        (None, ..) => {
            return Err(Error::refused("nothing is named that could be compared")
                .hint("name a container, or two images: `tranship diff app:v1 app:v2`"));
        }
        _ => return Err(Error::refused("two can be compared, and no more")),
    };
    Ok(DiffRequest {
        at: args.places.at(root),
        one: (one, args.from.map(To::kind)),
        other: other.map(|other| (other, args.to.map(To::kind))),
        details: args.verbose || args.json,
        digests: args.json,
    })
}
