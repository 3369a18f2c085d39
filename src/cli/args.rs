//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::cli::exit::Exit;
use crate::cli::ops::Where;
use crate::cli::progress::Style;
use crate::cli::ui::Ui;
use crate::cli::{
    apply, cat, commit, completions, cp, diff, export, images, import, index, inspect, logs, ls,
    migrate, mount, ps, recipe, reclaim, repair, run, status, undo, usage, verify, volumes, whois,
};
use crate::error::Result;

/// Move container images between Docker's two on-disk stores, with every daemon stopped
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "\
Exit codes: 0 done, 1 done with findings, 2 failed, 3 refused")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Status(status::Args),
    Images(images::Args),
    Ps(ps::Args),
    Inspect(inspect::Args),
    Recipe(recipe::Args),
    Logs(logs::Args),
    Volumes(volumes::Args),
    Usage(usage::Args),
    Whois(whois::Args),
    Verify(verify::Args),
    Diff(diff::Args),
    Commit(commit::Args),
    Migrate(migrate::Args),
    Export(export::Args),
    Import(import::Args),
    Index(index::Args),
    Ls(ls::Args),
    Cat(cat::Args),
    Cp(cp::Args),
    Mount(mount::Args),
    Reclaim(reclaim::Args),
    Repair(repair::Args),
    Undo(undo::Args),
    Apply(apply::Args),
    Run(run::Args),
    Completions(completions::Args),
}

/// Where the parts of a data root are if they are not in their usual places.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Places {
    /// Look for the containerd store in DIR
    ///
    /// For a daemon that uses the system's containerd rather than its own: often
    /// /var/lib/containerd.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    containerd_root: Option<PathBuf>,

    /// Read the daemon's configuration from FILE
    ///
    /// The default is /etc/docker/daemon.json, or its rootless counterpart.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    daemon_config: Option<PathBuf>,
}

impl Places {
    /// Returns where to look, for the data root `root`.
    pub(crate) fn at(&self, root: Option<PathBuf>) -> Where {
        Where {
            root,
            containerd_root: self.containerd_root.clone(),
            daemon_config: self.daemon_config.clone(),
        }
    }
}

/// Asks at each of `paths`, or of this host without one, and returns the answers with the exit code so
/// far. One path that cannot be read does not stop the others: with several, its error is shown.
pub(crate) fn each<T>(
    places: &Places,
    paths: &[PathBuf],
    ui: &mut Ui<'_>,
    ask: impl Fn(&Where) -> Result<T>,
) -> Result<(Vec<T>, Exit)> {
    if let [] | [_] = paths {
        return Ok((vec![ask(&places.at(paths.first().cloned()))?], Exit::Done));
    }
    let (mut answers, mut worst) = (Vec::new(), Exit::Done);
    for path in paths {
        match ask(&places.at(Some(path.clone()))) {
            Ok(answer) => answers.push(answer),
            Err(error) => {
                ui.error(&error);
                worst = worst.max(Exit::from(&error));
            }
        }
    }
    Ok((answers, worst))
}

/// What a verb that writes keeps to itself.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Quiet {
    /// Print only what went wrong
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Show progress as a bar on a terminal, as JSON on stderr or not at all
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Style::Auto)]
    pub(crate) progress: Style,
}

/// Where a plan is kept.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PlanOut {
    /// Write the plan to FILE, or with - to stdout, for `tranship apply`; and stop
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plan_out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_imperative_and_has_no_full_stop() {
        for verb in Cli::command().get_subcommands() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.starts_with(char::is_uppercase), "{}: {about}", verb.get_name());
            for arg in verb.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty() && !help.ends_with('.'), "{}: {help}", arg.get_id());
            }
        }
    }
}
