//! What `cp` and `export --rootfs` share: files on their way out.

use std::io;
use std::path::Path;

use crate::cli::exit::Exit;
use crate::cli::progress::{Display, Interrupt};
use crate::cli::render::text::{count, list, wrap};
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::op::look::{LeftOut, Taken, Taking, View, to_disk, to_sink};
use crate::os;
use crate::tree::{TarSink, TreePath};

/// Where files go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    /// To stdout, as a tar in which they have this name.
    Stdout(TreePath<'a>),
    /// To a new tar.
    Tar(&'a Path),
    /// To this place on this machine, where they have this name in a folder that is there.
    Disk(&'a Path, TreePath<'a>),
}

/// Takes out what is at `from`, and says on stderr what was left out.
pub(crate) fn take(
    view: &View<'_>,
    from: TreePath<'_>,
    to: To<'_>,
    quiet: bool,
    ui: &mut Ui<'_>,
) -> Result<Exit> {
    let interrupt = Interrupt::default();
    interrupt.listen()?;
    let is_seen = ui.err_is_terminal && !quiet && !matches!(to, To::Stdout(_));
    let taken = {
        let progress = Display::new(is_seen, None, &interrupt);
        crate::store::Progress::phase(&progress, "copying");
        let taking = Taking { owner: os::ordinary_user(), progress: &progress };
        put(view, from, to, taking, ui.width.is_some())?
    };
    let text = left_out(&taken.left_out);
    if !quiet && !text.is_empty() {
        ui.note(&(wrap(&text, ui.text_width(), "  ") + "\n"));
    }
    let LeftOut { sockets, devices, xattrs, .. } = taken.left_out;
    Ok(Exit::with_findings(sockets + devices + xattrs > 0))
}

fn put(
    view: &View<'_>,
    from: TreePath<'_>,
    to: To<'_>,
    taking: Taking<'_>,
    is_terminal: bool,
) -> Result<Taken> {
    let (sink, name) = match to {
        To::Disk(dest, name) => return to_disk(view, from, name, dest, taking),
        To::Stdout(_) if is_terminal => {
            return Err(Error::refused("an archive does not go to a terminal")
                .hint("send stdout to a file or a command, or name a place instead of `-`"));
        }
        To::Stdout(name) => (TarSink::stream(Box::new(io::stdout()), "stdout"), name),
        To::Tar(file) => (TarSink::create(file)?, TreePath::ROOT),
    };
    let taken = to_sink(view, from, &sink, name, taking)?;
    sink.close()?;
    Ok(taken)
}

/// Returns what was left out and why, in a sentence; nothing if all was taken along.
fn left_out(left: &LeftOut) -> String {
    let mut what = Vec::new();
    if left.owners {
        what.push("owners".to_owned());
    }
    for (number, noun) in
        [(left.devices, "device"), (left.xattrs, "extended attribute"), (left.sockets, "socket")]
    {
        if number > 0 {
            what.push(count(number, noun));
        }
    }
    let why = match (left.sockets > 0, left.owners) {
        (true, _) => "a tar holds no sockets",
        (_, true) => "run it as root to keep them",
        _ => return String::new(),
    };
    format!("note: left out: {} ({why})", list(&what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said_with_the_reason() {
        for (left, text) in [
            (LeftOut::default(), ""),
            (
                LeftOut { owners: true, devices: 2, ..LeftOut::default() },
                "note: left out: owners and 2 devices (run it as root to keep them)",
            ),
            (
                LeftOut { sockets: 1, ..LeftOut::default() },
                "note: left out: 1 socket (a tar holds no sockets)",
            ),
        ] {
            assert_eq!(left_out(&left), text);
        }
    }
}
