//! The names that a shell offers where the cursor is.

use std::ffi::{OsStr, OsString};

use clap::CommandFactory;
use clap_complete::CompletionCandidate;
use clap_complete::engine::{ArgValueCompleter, PathCompleter, ValueCompleter};

use crate::cli::args::{Cli, Places};
use crate::cli::migrate;
use crate::cli::ops::Where;

/// Tells the names of one kind of things at a place.
type Tell = fn(&Where) -> Vec<String>;

/// Tells the names at a place.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub(crate) images: Tell,
    pub(crate) containers: Tell,
    pub(crate) volumes: Tell,
}

/// What an argument names.
#[derive(Clone, Copy)]
enum Named {
    Image,
    Container,
    Either,
}

/// The arguments that name something, each with its verb, and whether a path can stand there too.
const ARGUMENTS: [(&str, &str, Named, bool); 16] = [
    ("migrate", "targets", Named::Image, true),
    ("migrate", "exclude", Named::Image, false),
    ("migrate", "container", Named::Container, false),
    ("export", "targets", Named::Either, true),
    ("export", "exclude", Named::Image, false),
    ("ls", "targets", Named::Either, true),
    ("cat", "targets", Named::Either, true),
    ("cp", "source", Named::Either, true),
    ("diff", "targets", Named::Either, true),
    ("mount", "targets", Named::Either, true),
    ("inspect", "targets", Named::Either, true),
    ("commit", "targets", Named::Container, true),
    ("recipe", "targets", Named::Container, true),
    ("logs", "targets", Named::Container, true),
    ("usage", "if_removed", Named::Either, false),
    ("whois", "what", Named::Either, true),
];

/// Returns the command with completion of names, for a shell that completes `words`.
pub(crate) fn completing(words: &[OsString], names: Names) -> clap::Command {
    let (root, _) = migrate::split(words, None, |path| path.is_dir());
    let at = Places::default().at(root);
    let here = at.clone();
    let volumes =
        ArgValueCompleter::new(move |current: &OsStr| candidates(&(names.volumes)(&here), current));
    let command = Cli::command().mut_subcommand("volumes", |verb| {
        verb.mut_subcommand("export", |verb| verb.mut_arg("names", |arg| arg.add(volumes)))
    });
    ARGUMENTS.iter().fold(command, |command, (verb, argument, named, or_path)| {
        let (at, named, or_path) = (at.clone(), *named, *or_path);
        let complete = ArgValueCompleter::new(move |current: &OsStr| {
            let mut all = candidates(&named.tell(names, &at), current);
            if or_path {
                all.extend(PathCompleter::any().complete(current));
            }
            all
        });
        command.mut_subcommand(*verb, |verb| verb.mut_arg(*argument, |arg| arg.add(complete)))
    })
}

impl Named {
    fn tell(self, names: Names, at: &Where) -> Vec<String> {
        let mut told = Vec::new();
        if matches!(self, Self::Container | Self::Either) {
            told.extend((names.containers)(at));
        }
        if matches!(self, Self::Image | Self::Either) {
            told.extend((names.images)(at));
        }
        told
    }
}

fn candidates(names: &[String], current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names.iter().filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_complete() {
        let names = Names {
            images: |_| vec!["tiny/base:1".into()],
            containers: |_| vec!["tiny-box".into()],
            volumes: |_| vec!["tiny-data".into()],
        };
        let mut command = completing(&["tranship".into()], names);
        let (image, container) = ("tiny/base:1", "tiny-box");
        let cases: [(&str, &[&str]); 5] = [
            ("migrate", &[image]),
            ("commit", &[container]),
            ("diff", &[container, image]),
            ("whois", &[container, image]),
            ("images", &[]),
        ];
        for (verb, wanted) in cases {
            let words = ["tranship", verb, "ti"].map(Into::into).to_vec();
            let found = clap_complete::engine::complete(&mut command, words, 2, None);
            let found = found.expect("completion reads no file here");
            let mut found: Vec<_> =
                found.iter().filter_map(|one| one.get_value().to_str()).collect();
            found.sort_unstable();
            assert_eq!(found, wanted, "{verb}");
        }
    }
}
