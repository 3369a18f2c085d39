//! `tranship recipe`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::Places;
use crate::cli::exit::Exit;
use crate::cli::migrate::{names, split};
use crate::cli::ops::{Ops, RecipeRequest};
use crate::cli::render::text::{list, printable, wrap};
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::op::recipe::{Recipe, compose, quote};

/// Print the docker run command that would make a container again
///
/// Of a container that was never started it is docker create. What the image says of itself is left out.
/// Variables that look like secrets are masked; volumes that Docker made unasked are named, so that their
/// data comes along.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "tranship recipe [OPTIONS] [PATH] <CONTAINER>...")]
#[command(after_long_help = "\
Examples:
  tranship recipe web
  tranship recipe web db --compose > compose.yaml
  tranship recipe /mnt/old/docker web --show-secrets | sh
  tranship recipe docker.tar.zst $(tranship ps docker.tar.zst -q)")]
pub(crate) struct Args {
    /// The data root, then names or IDs of containers
    ///
    /// Without a path: this host's own data root.
    #[arg(value_name = "PATH|CONTAINER", value_hint = ValueHint::AnyPath, required = true)]
    targets: Vec<OsString>,

    /// Read the data root at PATH, and take every argument for a container
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Print a compose file instead, with a service for each container
    #[arg(long)]
    compose: bool,

    /// Print secrets too
    ///
    /// Masked are variables and log options with names like TOKEN or DB_PASSWORD, and passwords in
    /// URLs. What stands in the command itself is never masked.
    #[arg(long)]
    show_secrets: bool,

    #[command(flatten)]
    places: Places,

    /// Print JSON: the words of each command
    #[arg(long, conflicts_with = "compose")]
    json: bool,
}

/// Makes the recipes and shows them.
pub(crate) fn run(args: &Args, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
    let (root, containers) = split(&args.targets, args.root.as_deref(), Path::exists);
    let containers = names(containers)?;
    if containers.is_empty() {
        return Err(Error::refused("no container is named").hint("`tranship ps` lists them all"));
    }
    let request = RecipeRequest { containers, show_secrets: args.show_secrets };
    let recipes = ops.recipes(&args.places.at(root), &request)?;
    if args.compose {
        ui.print(&compose(&recipes))?;
    } else if args.json {
        ui.json(&recipes.iter().map(crate::cli::rows::recipe::row).collect::<Vec<_>>())?;
    } else {
        let all: Vec<String> = recipes.iter().map(|recipe| command(recipe, ui.width)).collect();
        ui.print(&all.join(if ui.width.is_some() { "\n" } else { "" }))?;
    }
    // The command first, then what is said of it.
    ui.flush()?;
    ui.note(&notes(&recipes, args.compose, ui.text_width()));
    Ok(Exit::Done)
}

/// Returns the command, one line on a pipe; on a terminal that is too narrow for it, an option a line.
fn command(recipe: &Recipe, width: Option<usize>) -> String {
    let part =
        |words: &Vec<String>| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    let parts: Vec<String> = recipe.command().iter().map(part).collect();
    let line = parts.join(" ");
    match width {
        Some(width) if line.chars().count() > width => parts.join(" \\\n  ") + "\n",
        _ => line + "\n",
    }
}

/// Returns what is to be known of the recipes; what holds for several is said once.
fn notes(recipes: &[Recipe], with_compose: bool, width: usize) -> String {
    let mut notes: Vec<(String, Vec<String>)> = Vec::new();
    for recipe in recipes {
        let of_compose = recipe.compose_notes.iter().filter(|_| with_compose).cloned();
        let all = recipe.notes.iter().cloned().chain(of_compose).chain(masked(recipe));
        for note in all {
            match notes.iter_mut().find(|(known, _)| *known == note) {
                Some((_, names)) => names.push(recipe.name.clone()),
                None => notes.push((note, vec![recipe.name.clone()])),
            }
        }
    }
    let line = |(note, names): &(String, Vec<String>)| {
        let text = format!("note: {}: {note}", list(names));
        wrap(&printable(&text), width, "  ") + "\n"
    };
    notes.iter().map(line).collect()
}

fn masked(recipe: &Recipe) -> Option<String> {
    let verb = if recipe.masked.len() == 1 { "is" } else { "are" };
    let names = list(&recipe.masked);
    (!names.is_empty()).then(|| format!("{names} {verb} masked: with --show-secrets they are told"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_gets_an_option_a_line() {
        let recipe = Recipe {
            name: "web".into(),
            is_started: true,
            image: "nginx".into(),
            arguments: vec!["say".into(), "it's".into()],
            masked: vec!["TOKEN".into()],
            ..Recipe::default()
        };
        assert_eq!(command(&recipe, None), "docker run nginx say 'it'\\''s'\n");
        assert_eq!(command(&recipe, Some(20)), "docker run \\\n  nginx say 'it'\\''s'\n");
        let note = "note: web: TOKEN is masked: with --show-secrets they are told\n";
        assert_eq!(notes(&[recipe], false, 80), note);
    }
}
