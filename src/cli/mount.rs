//! `tranship mount`

use std::ffi::OsString;
use std::path::Path;

use clap::ValueHint;

use crate::cli::exit::Exit;
use crate::cli::inside::Inside;
use crate::cli::migrate::names;
use crate::cli::ops::{Ops, absolute};
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::op::look::{Mount, mount};
use crate::os;

/// Print the command that mounts an image or container, to be looked at
///
/// The kernel's own overlayfs then shows what a process in it would see, read-only. The data root must
/// be a directory of this machine. Without --run nothing is mounted.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship mount [OPTIONS] [PATH] <IMAGE|CONTAINER> [DIR]")]
#[command(after_long_help = "\
Examples:
  tranship mount web /mnt
  tranship mount web /mnt --run && ls /mnt; umount /mnt
  tranship mount /mnt/old/docker busybox:1.36")]
pub(crate) struct Args {
    /// The data root, the image or container, and where to mount it: /mnt if nothing is said
    #[arg(value_name = "PATH|NAME|DIR", value_hint = ValueHint::AnyPath, required = true)]
    targets: Vec<OsString>,

    /// Mount it, which takes root rights
    #[arg(long)]
    run: bool,

    #[command(flatten)]
    inside: Inside,
}

/// Prints the command, or mounts.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (at, words) = args.inside.place(&args.targets);
    let (name, dir) = match words {
        [name] => (name, Path::new("/mnt")),
        [name, dir] => (name, Path::new(dir)),
        _ => {
            let what = "one image or container is mounted at a time, in one place";
            return Err(Error::refused(what).hint("say which: `tranship mount web /mnt`"));
        }
    };
    let (name, dir) = (names(std::slice::from_ref(name))?.concat(), absolute(dir)?);
    ops.look(&at, &[&name], &args.inside.which(), &mut |view| {
        let view = view?;
        act(args.run, &mount(&view)?, &dir, ui)
    })?;
    Ok(Exit::Done)
}

fn act(run: bool, mount: &Mount, dir: &Path, ui: &mut Ui<'_>) -> Result<()> {
    if !run {
        let mut command = mount.command(dir);
        command.push(b'\n');
        return ui.bytes(&command);
    }
    if !os::is_dir(dir) {
        let what = format!("{} is no folder to mount at", dir.display());
        return Err(Error::refused(what).hint("make it first"));
    }
    mount.run(dir)
}
