//! What runs: who, with which variables, and the command.

use super::{Facts, Recipe, Yaml, at, secrets, size};
use crate::format::docker::run_config::{Healthcheck, RunConfig};

impl Recipe {
    /// Adds what comes first: how it is attached, and what it is called inside.
    pub(super) fn who(&mut self, facts: &Facts<'_>) {
        let runs = facts.runs;
        let is_attached = runs.attach_stdin || runs.attach_stdout || runs.attach_stderr;
        if facts.is_started && !is_attached {
            self.add("--detach", None, Vec::new());
        }
        self.on("--interactive", "stdin_open", runs.open_stdin);
        self.on("--tty", "tty", runs.tty);
        if let Some(platform) = facts.platform {
            self.text("--platform", "platform", &platform.to_string());
        }
        let mode = facts.machine.map(|machine| machine.network_mode.as_str()).unwrap_or_default();
        // There Docker fills in another's name.
        let is_other = mode == "host" || mode.starts_with("container:");
        if !facts.id.starts_with(&runs.hostname) && !is_other {
            self.text("--hostname", "hostname", &runs.hostname);
        }
        if !is_other {
            self.text("--domainname", "domainname", &runs.domainname);
        }
    }

    /// Adds variables and labels that the image does not have.
    pub(super) fn environment(&mut self, facts: &Facts<'_>) {
        let of_image = facts.image.cloned().unwrap_or_default();
        for variable in facts.runs.env.iter().filter(|one| !of_image.env.contains(one)) {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            let told = match secrets::masked(name, value).filter(|_| !facts.show_secrets) {
                Some(masked) => {
                    self.masked.push(name.to_owned());
                    format!("{name}={masked}")
                }
                None => variable.clone(),
            };
            self.item("--env", "environment", told);
        }
        for gone in of_image.env.iter().filter(|variable| !has_name(facts.runs, variable)) {
            let name = gone.split('=').next().unwrap_or_default();
            self.note(format!("its image sets {name}, which the container does not have"));
        }
        for (key, value) in &facts.runs.labels {
            if of_image.labels.get(key) != Some(value) {
                self.item("--label", "labels", format!("{key}={value}"));
            }
        }
    }

    /// Adds what it runs, where the image would not.
    pub(super) fn what(&mut self, facts: &Facts<'_>) {
        let (runs, of_image) = (facts.runs, facts.image.cloned().unwrap_or_default());
        if runs.user != of_image.user {
            self.text("--user", "user", &runs.user);
        }
        let is_top = |dir: &str| matches!(dir, "" | "/");
        let same = runs.working_dir == of_image.working_dir
            || (is_top(&runs.working_dir) && is_top(&of_image.working_dir));
        if !same {
            let dir = if runs.working_dir.is_empty() { "/" } else { &runs.working_dir };
            self.text("--workdir", "working_dir", dir);
        }
        if runs.stop_signal != of_image.stop_signal {
            self.text("--stop-signal", "stop_signal", &runs.stop_signal);
        }
        if let Some(seconds) = runs.stop_timeout {
            let grace = Yaml::Text(format!("{seconds}s"));
            self.add(
                "--stop-timeout",
                Some(seconds.to_string()),
                vec![at(&["stop_grace_period"], grace)],
            );
        }
        self.health(&runs.healthcheck, &of_image.healthcheck);
        self.command_line(runs, &of_image);
    }

    /// moby v28 daemon/commit.go merge: an entrypoint of the user's takes the image's command away.
    fn command_line(&mut self, runs: &RunConfig, of_image: &RunConfig) {
        let same = runs.entrypoint == of_image.entrypoint
            && (!runs.cmd.is_empty() || of_image.cmd.is_empty());
        if same {
            if runs.cmd != of_image.cmd {
                self.arguments.clone_from(&runs.cmd);
                self.add("", None, vec![at(&["command"], list(&runs.cmd))]);
            }
            return;
        }
        let (first, rest) = match runs.entrypoint.split_first() {
            Some((first, rest)) => (first.clone(), rest),
            None => (String::new(), &[][..]),
        };
        self.arguments = [rest, &runs.cmd].concat();
        let entrypoint = at(&["entrypoint"], list(&runs.entrypoint));
        let command = at(&["command"], list(&runs.cmd));
        self.add("--entrypoint", Some(first), vec![entrypoint, command]);
    }

    fn health(&mut self, check: &Healthcheck, of_image: &Healthcheck) {
        let path = |key| ["healthcheck", key];
        match check.test.as_slice() {
            test if test == of_image.test => {}
            [] => {}
            [none] if none == "NONE" => {
                let off = Yaml::Plain("true".to_owned());
                self.add("--no-healthcheck", None, vec![at(&path("disable"), off)]);
            }
            [how, command @ ..] => {
                let words: Vec<String> = match how.as_str() {
                    "CMD" => command.iter().map(|word| super::quote(word)).collect(),
                    _ => command.to_vec(),
                };
                self.add(
                    "--health-cmd",
                    Some(words.join(" ")),
                    vec![at(&path("test"), list(&check.test))],
                );
            }
        }
        let times = [
            ("--health-interval", "interval", check.interval, of_image.interval),
            ("--health-timeout", "timeout", check.timeout, of_image.timeout),
            ("--health-start-period", "start_period", check.start_period, of_image.start_period),
            (
                "--health-start-interval",
                "start_interval",
                check.start_interval,
                of_image.start_interval,
            ),
        ];
        for (option, key, value, default) in times {
            if value != default {
                let text = size::duration(value);
                self.add(option, Some(text.clone()), vec![at(&path(key), Yaml::Text(text))]);
            }
        }
        if check.retries != of_image.retries {
            let retries = check.retries.to_string();
            let plain = Yaml::Plain(retries.clone());
            self.add("--health-retries", Some(retries), vec![at(&path("retries"), plain)]);
        }
    }
}

fn has_name(runs: &RunConfig, variable: &str) -> bool {
    let name = |variable: &str| variable.split('=').next().map(str::to_owned);
    runs.env.iter().any(|one| name(one) == name(variable))
}

pub(super) fn list(words: &[String]) -> Yaml {
    Yaml::List(words.iter().cloned().map(Yaml::Text).collect())
}
