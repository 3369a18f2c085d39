//! `tranship completions`

use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::error::{Error, Place, Result};

/// The variable by which a shell asks for completions.
pub(crate) const VARIABLE: &str = "COMPLETE";

/// Print the script that lets a shell complete commands, options and image names
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  source <(tranship completions bash)                     in ~/.bashrc
  source <(tranship completions zsh)                      in ~/.zshrc
  tranship completions fish > ~/.config/fish/completions/tranship.fish")]
pub(crate) struct Args {
    /// The shell that reads the script
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>) -> Result<Exit> {
    let shell = args.shell.to_string();
    let unknown = || Error::refused(format!("there are no completions for {shell}"));
    let shells = Shells::builtins();
    let completer = shells.completer(&shell).ok_or_else(unknown)?;
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, "tranship", "tranship", "tranship", &mut script)
        .map_err(|error| Error::io(Place::new(shell.as_str(), Vec::new()), error))?;
    ui.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
