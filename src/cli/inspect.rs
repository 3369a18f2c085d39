//! `tranship inspect`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde_json::Value;

use crate::cli::args::Places;
use crate::cli::exit::Exit;
use crate::cli::migrate::{names, split};
use crate::cli::ops::{InspectRequest, Kind, Ops};
use crate::cli::render::card;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};

/// Show all that is kept of a container, image, layer, volume or snapshot
///
/// What a name means is looked for in that order. The JSON has Docker's own members where `docker inspect`
/// has them, and below `Tranship` what only the disk tells: the store, the folders, the raw documents. What
/// only a running daemon knows is not there: processes, and a container's size unless asked for.
/// On a terminal it is a card; secrets are not masked in JSON.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship inspect [OPTIONS] [PATH] <NAME|ID>...")]
#[command(after_long_help = "\
Examples:
  tranship inspect web
  tranship inspect web | jq '.[0].HostConfig.RestartPolicy'
  tranship inspect --type image app:v2 --json
  tranship inspect /mnt/old/docker vol1 9c1f0e
  tranship inspect docker.tar.zst 17 --type snapshot")]
pub(crate) struct Args {
    /// The data root, then names or IDs
    ///
    /// A layer is known by its chain ID or the name of its folder, a snapshot by its key or number.
    /// Without a path: this host's own data root.
    #[arg(value_name = "PATH|NAME|ID", value_hint = ValueHint::AnyPath, required = true)]
    targets: Vec<OsString>,

    /// Read the data root at PATH, and take every argument for a name
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Look for this sort of thing alone
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    kind: Option<Kind>,

    /// Count the size of a container's writable layer too
    #[arg(short, long)]
    size: bool,

    #[command(flatten)]
    places: Places,

    /// Print JSON on a terminal too
    #[arg(long)]
    json: bool,
}

/// Finds what is named and shows it.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (root, words) = split(&args.targets, args.root.as_deref(), Path::exists);
    let request = InspectRequest { names: names(words)?, kind: args.kind, size: args.size };
    if request.names.is_empty() {
        return Err(Error::refused("nothing is named").hint("name a container, image or volume"));
    }
    let (mut documents, mut worst) = (Vec::<Value>::new(), Exit::Done);
    let mut errors = Vec::new();
    for found in ops.inspect(&args.places.at(root), &request)? {
        match found {
            Ok(document) => documents.push(document),
            Err(error) => errors.push(error),
        }
    }
    match ui.width {
        Some(width) if !args.json => {
            let cards: Vec<String> =
                documents.iter().map(|one| card::text(one, ui.now, width)).collect();
            ui.print(&cards.join("\n"))?;
        }
        _ => ui.json(&documents)?,
    }
    ui.flush()?;
    for error in &errors {
        ui.error(error);
        worst = worst.max(Exit::from(error));
    }
    Ok(worst)
}
