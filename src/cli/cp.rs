//! `tranship cp`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::exit::Exit;
use crate::cli::inside::Inside;
use crate::cli::ops::Ops;
use crate::cli::take::{To, take};
use crate::cli::ui::Ui;
use crate::error::Result;
use crate::op::look::{Address, View};
use crate::tree::TreePath;

/// Copy files out of an image or container
///
/// Modes, times, extended attributes, hard links and holes are kept, and as root the owners. DEST is
/// read as by `docker cp`: what is copied goes into a folder that is there, and gets the name DEST
/// where nothing is. Only a file takes the place of a file. With - for DEST a tar goes to stdout.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship cp [OPTIONS] <IMAGE|CONTAINER:/PATH> <DEST|->")]
#[command(after_long_help = "\
Examples:
  tranship cp web:/etc/nginx .
  tranship cp web:/var/lib/db/. rescued          what is in the folder, and not the folder
  tranship cp busybox:1.36:/bin/busybox busybox
  tranship cp --root docker.tar.zst web:/etc - | tar -t")]
pub(crate) struct Args {
    /// What to copy: a path in an image or container; with /. at its end what is in the folder
    #[arg(value_name = "NAME:/PATH", index = 1)]
    source: OsString,

    /// Where to: a place on this machine, or - for a tar on stdout
    #[arg(value_name = "DEST", index = 2, value_hint = ValueHint::AnyPath)]
    dest: PathBuf,

    /// Copy what a link leads to, and not the link
    #[arg(short = 'L', long)]
    follow_link: bool,

    /// Print only what went wrong
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    inside: Inside,
}

/// Copies the files.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let address = Address::parse(args.source.as_encoded_bytes())?;
    let mut exit = Exit::Done;
    ops.look(&args.inside.at(), &[&address.name], &args.inside.which(), &mut |view| {
        exit = copy(args, &view?, &address.path, ui)?;
        Ok(())
    })?;
    Ok(exit)
}

fn copy(args: &Args, view: &View<'_>, path: &[u8], ui: &mut Ui<'_>) -> Result<Exit> {
    let at = view.resolve(path, args.follow_link)?;
    let contents = path.ends_with(b"/.");
    // A link that is followed keeps its own name, as with `docker cp`.
    let own = path.split(|b| *b == b'/').rfind(|name| !matches!(*name, b"" | b"."));
    let name = match own.and_then(TreePath::new) {
        Some(name) if !contents && !at.as_path().is_root() => name,
        _ => TreePath::ROOT,
    };
    let to = match args.dest.as_os_str() == "-" {
        true => To::Stdout(name),
        false => To::Disk(&args.dest, name),
    };
    take(view, at.as_path(), to, args.quiet, ui)
}
