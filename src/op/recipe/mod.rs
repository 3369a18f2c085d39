//! How to make a container again: the words of `docker run`, or a compose file.
//!
//! What its image says of itself is left out, so that the recipe is what a person asked for. Nothing is
//! asked of a store here: a recipe is a function of what was read.

mod compose;
mod machine;
mod mounts;
mod networks;
mod quote;
mod runs;
mod secrets;
mod size;

pub use compose::compose;
pub use quote::quote;

use crate::format::docker::container::MountPoint;
use crate::format::docker::host_config::HostConfig;
use crate::format::docker::network::NetworkSettings;
use crate::format::docker::run_config::RunConfig;
use crate::format::oci::Platform;

/// All that a recipe is made of.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The container's ID.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Whether it was ever started.
    pub is_started: bool,
    /// What it runs.
    pub runs: &'a RunConfig,
    /// What its image alone would run; nothing if the image is gone.
    pub image: Option<&'a RunConfig>,
    /// What it has of its machine; nothing if that was not written.
    pub machine: Option<&'a HostConfig>,
    /// Its networks.
    pub networks: &'a NetworkSettings,
    /// What is mounted in it.
    pub mounts: &'a [MountPoint],
    /// What it runs on, if that is not this machine's own platform.
    pub platform: Option<&'a Platform>,
    /// Whether secrets are told.
    pub show_secrets: bool,
}

/// How to make a container again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The container's name.
    pub name: String,
    /// Whether it was ever started: then `docker run` makes it, else `docker create`.
    pub is_started: bool,
    /// The options, in the order in which they are told.
    pub options: Vec<Setting>,
    /// The image, in the user's words.
    pub image: String,
    /// What stands after the image.
    pub arguments: Vec<String>,
    /// What the options cannot say, or what should be known of them.
    pub notes: Vec<String>,
    /// What a compose file cannot say.
    pub compose_notes: Vec<String>,
    /// The names of what is not told.
    pub masked: Vec<String>,
}

/// One option, and where it stands in a compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option, such as `--restart`; empty for what only a compose file says.
    pub option: &'static str,
    /// Its value; nothing for one that is on or off.
    pub value: Option<String>,
    /// What it is in a compose file.
    compose: Vec<Placed>,
}

/// A value of a compose file below the names that lead to it, from the service on, or with a `/` before
/// the first from the top on.
type Placed = (Vec<String>, Yaml);

fn at(path: &[&str], yaml: Yaml) -> Placed {
    (path.iter().map(|name| (*name).to_owned()).collect(), yaml)
}

/// A value of a compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Yaml {
    /// A text that is always read as one.
    Text(String),
    /// A number or a truth value.
    Plain(String),
    /// One more item of a list.
    Item(Box<Self>),
    /// Members in their order.
    Map(Vec<(String, Self)>),
    /// A list whole.
    List(Vec<Self>),
}

impl Recipe {
    /// Returns how to make the container again.
    #[must_use]
    pub fn of(facts: &Facts<'_>) -> Self {
        let mut recipe = Self {
            name: facts.name.to_owned(),
            is_started: facts.is_started,
            image: facts.runs.image.clone(),
            ..Self::default()
        };
        if facts.image.is_none() {
            recipe.note("its image is gone: what the image said of itself is told as if asked for");
        }
        recipe.text("--name", "container_name", facts.name);
        recipe.who(facts);
        if let Some(machine) = facts.machine {
            recipe.networks(facts, machine);
            recipe.mounts(facts, machine);
            recipe.machine(machine, facts);
        } else {
            recipe.note("hostconfig.json is gone: ports, limits, restart policy and the like too");
        }
        recipe.environment(facts);
        recipe.what(facts);
        recipe
    }

    /// Returns the words of the command that makes the container.
    #[must_use]
    pub fn command(&self) -> Vec<Vec<String>> {
        let verb = if self.is_started { "run" } else { "create" };
        let mut words = vec![vec!["docker".to_owned(), verb.to_owned()]];
        for setting in self.options.iter().filter(|setting| !setting.option.is_empty()) {
            let own = std::iter::once(setting.option.to_owned());
            words.push(match &setting.value {
                // An option that can be on or off takes its value with an equals sign alone.
                Some(value) if setting.option == "--init" => vec![format!("--init={value}")],
                Some(value) => own.chain([value.clone()]).collect(),
                None => own.collect(),
            });
        }
        words.push(std::iter::once(&self.image).chain(&self.arguments).cloned().collect());
        words
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    fn add(&mut self, option: &'static str, value: Option<String>, compose: Vec<Placed>) {
        self.options.push(Setting { option, value, compose });
    }

    /// Adds an option whose value is a text, unless that is empty.
    fn text(&mut self, option: &'static str, key: &str, value: &str) {
        if !value.is_empty() {
            let compose = at(&[key], Yaml::Text(value.to_owned()));
            self.add(option, Some(value.to_owned()), vec![compose]);
        }
    }

    /// Adds an option that is given once for each of `values`.
    fn each(&mut self, option: &'static str, key: &str, values: &[String]) {
        for value in values {
            self.item(option, key, value.clone());
        }
    }

    fn item(&mut self, option: &'static str, key: &str, value: String) {
        let item = Yaml::Item(Box::new(Yaml::Text(value.clone())));
        self.add(option, Some(value), vec![at(&[key], item)]);
    }

    /// Adds an option without a value.
    fn on(&mut self, option: &'static str, key: &str, is_on: bool) {
        if is_on {
            self.add(option, None, vec![at(&[key], Yaml::Plain("true".to_owned()))]);
        }
    }

    /// Adds an option whose value is a number, unless that is `default`.
    fn number(&mut self, option: &'static str, key: &str, value: i64, default: i64) {
        if value != default {
            let plain = Yaml::Plain(value.to_string());
            self.add(option, Some(value.to_string()), vec![at(&[key], plain)]);
        }
    }

    /// Adds an option whose value is a number of bytes, unless that is `default`.
    fn bytes(&mut self, option: &'static str, key: &str, value: i64, default: i64) {
        if value != default {
            self.text(option, key, &size::bytes(value));
        }
    }
}

#[cfg(test)]
mod tests;
