//! `tranship undo`

use std::path::{Path, PathBuf};

use crate::cli::args::Places;
use crate::cli::exit::{self, Exit};
use crate::cli::ops::{Ops, UndoRequest};
use crate::cli::render::{findings, repair};
use crate::cli::rows::any_matter;
use crate::cli::rows::undo::UndoOutcome;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::op::undo::Which;

/// Undo what was done to a stopped data root: repairs, what reclaim kept, moves of containers
///
/// Without N the newest of them. What gave way is put back and what took its place is taken away, unless
/// somebody has changed it since: then nothing is undone.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = exit::help("\
Examples:
  tranship undo --list
  tranship undo
  tranship undo /mnt/disk/docker 3
  tranship undo containers"))]
pub(crate) struct Args {
    /// The data root at PATH instead of this host's own, and what to undo: a number, or `containers`
    #[arg(value_name = "PATH|N", num_args = 0..=2)]
    targets: Vec<String>,

    /// Show what can be undone, the newest first
    #[arg(short, long, conflicts_with = "dry_run")]
    list: bool,

    /// Show what would be undone and stop
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Returns what `text` names to undo, if it is no folder.
fn which(text: &str, is_dir: impl Fn(&Path) -> bool) -> Option<Which> {
    let which = match text {
        "containers" => Which::Containers,
        number => Which::Run(number.parse().ok()?),
    };
    (!is_dir(Path::new(text))).then_some(which)
}

fn split(
    targets: &[String],
    is_dir: impl Fn(&Path) -> bool,
) -> Result<(Option<PathBuf>, Option<Which>)> {
    let wrong = |text: &str| {
        let shown = crate::error::printable(text.as_bytes()).into_owned();
        Error::refused(format!("`{shown}` is no number of a run"))
            .hint("`tranship undo --list` shows them")
    };
    match targets {
        [] => Ok((None, None)),
        [one] => Ok(match which(one, is_dir) {
            Some(which) => (None, Some(which)),
            None => (Some(one.into()), None),
        }),
        [path, rest @ ..] => {
            let text = rest.first().map_or("", String::as_str);
            let which = which(text, |_| false).ok_or_else(|| wrong(text))?;
            Ok((Some(path.into()), Some(which)))
        }
    }
}

/// Lists or undoes.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (root, which) = split(&args.targets, Path::is_dir)?;
    let request = UndoRequest { at: args.places.at(root), which, dry_run: args.dry_run };
    if args.list {
        let list = ops.runs(&request)?;
        match args.json {
            true => ui.json(&list)?,
            false => ui.print(&repair::list(&list, ui.text_width()))?,
        }
        ui.flush()?;
        ui.note(&findings::text(&list.findings, ui.text_width()));
        return Ok(Exit::with_findings(any_matter(&list.findings)));
    }
    let done = ops.undo_run(&request)?;
    match args.json {
        true => ui.json(&done)?,
        false => ui.print(&repair::undone(&done, ui.text_width()))?,
    }
    let stay = done.containers.iter().any(|row| row.outcome != UndoOutcome::AsBefore);
    Ok(Exit::with_findings(stay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_from_a_path() {
        let is_dir = |path: &Path| path == Path::new("7");
        for (targets, path, meant) in [
            (&[][..], None, None),
            (&["3"], None, Some(Which::Run(3))),
            (&["7"], Some("7"), None),
            (&["/d"], Some("/d"), None),
            (&["/d", "3"], Some("/d"), Some(Which::Run(3))),
            (&["7", "7"], Some("7"), Some(Which::Run(7))),
            (&["containers"], None, Some(Which::Containers)),
        ] {
            let targets: Vec<_> = targets.iter().map(|text| (*text).to_owned()).collect();
            let found = split(&targets, is_dir).expect("sound");
            assert_eq!(found, (path.map(PathBuf::from), meant), "{targets:?}");
        }
        for bad in ["x", "-1", "", "4294967296"] {
            split(&["/d".to_owned(), bad.to_owned()], is_dir).expect_err(bad);
        }
    }
}
