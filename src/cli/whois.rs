//! `tranship whois`

use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::Places;
use crate::cli::exit::Exit;
use crate::cli::file;
use crate::cli::ops::Ops;
use crate::cli::render::{findings, whois};
use crate::cli::rows::any_matter;
use crate::cli::ui::Ui;
use crate::error::Result;

/// Tell which images and containers a path, an ID or a file is of, and the other way round
///
/// WHAT is a path below a data root; the ID of a layer, blob, container or image, or the start of one; the
/// name of a folder in overlay2, a snapshot's number, a short link; inode:NUMBER; or the name of an image,
/// container or volume, which tells all that it holds. With - they are read from stdin, one a line, of which
/// only what stands after the last tab counts: `du` puts its sizes before one.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  tranship whois /var/lib/docker/overlay2/3f6c…
  tranship whois alpine:3.20
  du -d1 /var/lib/docker/overlay2 | sort -n | tail | tranship whois -
  tranship whois --root /mnt/old/docker inode:1234567 --json

Exit codes:
  0  all of it is known
  1  something is not known here
  2  nothing could be read")]
pub(crate) struct Args {
    /// What is asked for; - reads a list from stdin
    #[arg(value_name = "WHAT", required = true, value_hint = ValueHint::AnyPath)]
    what: Vec<String>,

    /// Look at the data root at PATH instead of this host's own
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A list of a million paths is a hundred megabytes.
const LIST_LIMIT: u64 = 1 << 30;

/// Asks and shows.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let mut queries = Vec::new();
    for what in &args.what {
        match what.as_str() {
            "-" => {
                let bytes = file::read(Path::new("-"), LIST_LIMIT)?;
                queries.extend(listed(&String::from_utf8_lossy(&bytes)));
            }
            what => queries.push(what.to_owned()),
        }
    }
    let report = ops.whois(&args.places.at(args.root.clone()), &queries)?;
    if args.json {
        ui.json(&report)?;
    } else {
        ui.print(&whois::text(&report.whose, ui.text_width()))?;
        ui.flush()?;
        ui.note(&findings::text(&report.findings, ui.text_width()));
    }
    let is_known = report.whose.iter().all(|one| !one.found.is_empty());
    Ok(Exit::with_findings(!is_known || any_matter(&report.findings)))
}

/// Returns the items of a list.
fn listed(text: &str) -> Vec<String> {
    let items = text.lines().map(|line| line.rsplit('\t').next().unwrap_or(line).trim());
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_come_from_du() {
        assert_eq!(listed("8\t/d/a\n\n 12\t/d/b c \nplain\n"), ["/d/a", "/d/b c", "plain"]);
    }
}
