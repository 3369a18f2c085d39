//! How a person asks and is answered: arguments, an operation, its rows on a stream.

mod apply;
mod args;
mod carry;
mod cat;
mod commit;
mod complete;
mod completions;
mod cp;
mod diff;
pub mod exit;
mod export;
mod file;
mod filter;
mod host;
mod images;
mod import;
mod index;
mod inside;
mod inspect;
mod job;
mod logs;
mod ls;
mod migrate;
mod mount;
pub mod ops;
mod plan_file;
mod progress;
mod ps;
mod recipe;
mod reclaim;
mod render;
mod repair;
pub mod rows;
mod run;
#[cfg(test)]
mod sample;
mod size;
mod spelled;
mod status;
mod take;
pub mod ui;
mod undo;
mod usage;
mod verify;
mod volumes;
mod whois;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap_complete::CompleteEnv;

use self::args::{Cli, Verb};
use self::complete::Names;
use self::exit::Exit;
use self::ops::Ops;
use self::ui::Ui;
use crate::error::Result;

/// Runs the command on this process's arguments and streams.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let (mut out, mut err) = (io::BufWriter::new(io::stdout()), io::stderr());
    let mut ui = Ui::process(&mut out, &mut err);
    if let Some(code) = completed(&args, &mut ui) {
        return code;
    }
    match Cli::try_parse_from(args) {
        Ok(cli) => run(&cli, &mut ui, &host::Host).into(),
        Err(error) => misused(&error, &mut ui),
    }
}

/// Answers a shell that asks for completions.
fn completed(args: &[OsString], ui: &mut Ui<'_>) -> Option<ExitCode> {
    let typed = args.iter().skip_while(|word| *word != "--").skip(1);
    let words: Vec<OsString> = typed.cloned().collect();
    let names = Names {
        images: host::image_names,
        containers: host::container_names,
        volumes: host::volumes::names,
    };
    let command = || complete::completing(&words, names);
    let asked = CompleteEnv::with_factory(command).var(completions::VARIABLE);
    match asked.try_complete(args.iter().cloned(), std::env::current_dir().ok().as_deref()) {
        Ok(true) => Some(Exit::Done.into()),
        Ok(false) => None,
        Err(error) => Some(misused(&error, ui)),
    }
}

/// Shows what clap has to say: help and version on stdout, errors of the command line on stderr.
fn misused(error: &clap::Error, ui: &mut Ui<'_>) -> ExitCode {
    let text = error.render();
    if error.use_stderr() {
        let plain = if ui.err_is_terminal { text.ansi().to_string() } else { text.to_string() };
        ui.note(&plain);
        return Exit::Failed.into();
    }
    let plain = if ui.width.is_some() { text.ansi().to_string() } else { text.to_string() };
    let printed = ui.print(&plain).and_then(|()| ui.flush());
    finish(printed.map(|()| Exit::Done), ui).into()
}

/// Runs one verb and says how it ended.
pub(crate) fn run(cli: &Cli, ui: &mut Ui<'_>, ops: &dyn Ops) -> Exit {
    let exit = match &cli.verb {
        Verb::Status(args) => status::run(args, ui, ops),
        Verb::Images(args) => images::run(args, ui, ops),
        Verb::Commit(args) => commit::run(args, ui, ops),
        Verb::Diff(args) => diff::run(args, ui, ops),
        Verb::Ps(args) => ps::run(args, ui, ops),
        Verb::Inspect(args) => inspect::run(args, ui, ops),
        Verb::Recipe(args) => recipe::run(args, ui, ops),
        Verb::Logs(args) => logs::run(args, ui, ops),
        Verb::Migrate(args) => migrate::run(args, ui, ops),
        Verb::Export(args) => export::run(args, ui, ops),
        Verb::Import(args) => import::run(args, ui, ops),
        Verb::Index(args) => index::run(args, ui, ops),
        Verb::Ls(args) => ls::run(args, ui, ops),
        Verb::Cat(args) => cat::run(args, ui, ops),
        Verb::Cp(args) => cp::run(args, ui, ops),
        Verb::Mount(args) => mount::run(args, ui, ops),
        Verb::Repair(args) => repair::run(args, ui, ops),
        Verb::Undo(args) => undo::run(args, ui, ops),
        Verb::Reclaim(args) => reclaim::run(args, ui, ops),
        Verb::Apply(args) => apply::run(args, ui, ops),
        Verb::Run(args) => run::run(args, ui, ops),
        Verb::Volumes(args) => volumes::run(args, ui, ops),
        Verb::Usage(args) => usage::run(args, ui, ops),
        Verb::Verify(args) => verify::run(args, ui, ops),
        Verb::Whois(args) => whois::run(args, ui, ops),
        Verb::Completions(args) => completions::run(args, ui),
    };
    let flushed = ui.flush();
    finish(exit.and_then(|exit| flushed.map(|()| exit)), ui)
}

/// A reader that has heard enough is no failure; any other error is told and decides the exit code.
fn finish(exit: Result<Exit>, ui: &mut Ui<'_>) -> Exit {
    match exit {
        Ok(exit) => exit,
        Err(error) if ui::is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            ui.error(&error);
            Exit::from(&error)
        }
    }
}

#[cfg(test)]
mod tests;
