//! `tranship cat`

use std::ffi::OsString;
use std::io::Read;

use clap::ValueHint;

use crate::cli::exit::Exit;
use crate::cli::inside::Inside;
use crate::cli::ops::Ops;
use crate::cli::ui::Ui;
use crate::error::{Error, Result, from_io};
use crate::op::look::View;
use crate::tree::{Kind, Tree};

/// Print files of images and containers
///
/// Links are followed, inside the root of the image or container alone. No daemon is asked, and a
/// recorded data root will do.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship cat [OPTIONS] [PATH] <IMAGE|CONTAINER:/PATH>...")]
#[command(after_long_help = "\
Examples:
  tranship cat web:/etc/nginx/nginx.conf
  tranship cat /mnt/old/docker db:/var/lib/db/dump.sql > dump.sql")]
pub(crate) struct Args {
    /// The data root, then what to print: a path in an image or container
    #[arg(value_name = "PATH|NAME:/PATH", value_hint = ValueHint::AnyPath, required = true)]
    targets: Vec<OsString>,

    #[command(flatten)]
    inside: Inside,
}

/// Prints the files.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (at, addresses) = args.inside.split(&args.targets)?;
    let names: Vec<_> = addresses.iter().map(|address| address.name.as_str()).collect();
    let mut worst = Exit::Done;
    let mut next = addresses.iter();
    ops.look(&at, &names, &args.inside.which(), &mut |view| {
        let Some(address) = next.next() else { return Ok(()) };
        match view.and_then(|view| print(&view, &address.path, ui)) {
            Err(error) if !crate::cli::ui::is_broken_pipe(&error) => {
                ui.error(&error);
                worst = worst.max(Exit::from(&error));
                Ok(())
            }
            answer => answer,
        }
    })?;
    Ok(worst)
}

fn print(view: &View<'_>, path: &[u8], ui: &mut Ui<'_>) -> Result<()> {
    let at = view.resolve(path, true)?;
    let place = || view.tree.place(at.as_path());
    match view.tree.stat(at.as_path())?.kind {
        Kind::File => {}
        Kind::Dir => {
            return Err(Error::unsupported(place(), "a folder has no bytes to print")
                .hint("`tranship ls` lists it, `tranship cp` takes it out"));
        }
        _ => return Err(Error::unsupported(place(), "only a regular file has bytes to print")),
    }
    let mut file = view.tree.open(at.as_path())?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => ui.bytes(&buffer[..length])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(from_io(error, place)),
        }
    }
}
