//! Changes to the configuration of a container, written as in a Dockerfile: `docker commit --change`.
//!
//! Source: moby v28 builder/dockerfile/dispatchers.go, the instructions that `BuildFromConfig` allows

use serde_json::{Map, Value, json};

use crate::error::DecodeError;

/// Several instructions, applied one after the other.
#[derive(Debug)]
pub struct Changes<'a> {
    config: &'a mut Map<String, Value>,
    /// An entry point takes the command away, but for one that was set here.
    has_command: bool,
}

type Result<T> = std::result::Result<T, DecodeError>;

fn wrong<T>(what: impl Into<String>) -> Result<T> {
    Err(DecodeError::new(0, what))
}

impl<'a> Changes<'a> {
    /// Starts to change `config`, which is laid out as Docker's `container.Config`.
    pub fn of(config: &'a mut Map<String, Value>) -> Self {
        Self { config, has_command: false }
    }

    /// Carries out one instruction.
    ///
    /// # Errors
    /// One that cannot be carried out on a container, or that is written wrong.
    pub fn apply(&mut self, line: &str) -> Result<()> {
        let (word, rest) = first_word(line);
        let rest = rest.trim();
        let word = word.to_ascii_uppercase();
        if rest.is_empty() {
            return wrong(format!("`{word}` has nothing after it"));
        }
        if rest.contains('$')
            && !matches!(word.as_str(), "CMD" | "ENTRYPOINT" | "ONBUILD" | "HEALTHCHECK")
        {
            return wrong("a `$` stands in it, and variables are not put in: write what they hold");
        }
        match word.as_str() {
            "CMD" => {
                self.has_command = true;
                let command = self.command(rest);
                self.set("Cmd", command);
            }
            "ENTRYPOINT" => {
                let command = self.command(rest);
                self.set("Entrypoint", command);
                if !self.has_command {
                    self.set("Cmd", Value::Null);
                }
            }
            "ENV" => pairs(rest)?.into_iter().for_each(|(name, value)| self.env(&name, &value)),
            "LABEL" => {
                for (name, value) in pairs(rest)? {
                    self.put("Labels", name, Value::String(value));
                }
            }
            "EXPOSE" => {
                for port in words(rest)?
                    .iter()
                    .map(|word| ports(word))
                    .collect::<Result<Vec<_>>>()?
                    .concat()
                {
                    self.put("ExposedPorts", port, json!({}));
                }
            }
            "VOLUME" => {
                let all = exec_form(rest).map_or_else(|| words(rest), Ok)?;
                all.into_iter().for_each(|path| self.put("Volumes", path, json!({})));
            }
            "HEALTHCHECK" => {
                let check = self.health(rest)?;
                self.set("Healthcheck", check);
            }
            "ONBUILD" => self.push("OnBuild", rest),
            "STOPSIGNAL" => self.set("StopSignal", Value::String(one_word(rest)?)),
            "USER" => self.set("User", Value::String(one_word(rest)?)),
            "WORKDIR" => self.work_dir(&one_word(rest)?),
            _ => {
                return wrong(format!(
                    "`{word}` changes no container; wanted CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, \
                     LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR"
                ));
            }
        }
        Ok(())
    }

    fn set(&mut self, member: &str, value: Value) {
        self.config.insert(member.to_owned(), value);
    }

    fn put(&mut self, member: &str, name: String, value: Value) {
        let object = self.config.entry(member).or_insert(Value::Null);
        match object {
            Value::Object(object) => _ = object.insert(name, value),
            other => *other = Value::Object([(name, value)].into_iter().collect()),
        }
    }

    fn push(&mut self, member: &str, text: &str) {
        match self.config.entry(member).or_insert(Value::Null) {
            Value::Array(all) => all.push(text.into()),
            other => *other = json!([text]),
        }
    }

    fn env(&mut self, name: &str, value: &str) {
        let new = format!("{name}={value}");
        let is_it =
            |one: &Value| one.as_str().is_some_and(|text| text.split('=').next() == Some(name));
        let known = self.config.get_mut("Env").and_then(Value::as_array_mut);
        match known.and_then(|all| all.iter_mut().find(|one| is_it(one))) {
            Some(known) => *known = Value::String(new),
            None => self.push("Env", &new),
        }
    }

    /// Returns a command: as a list, or as a line for a shell.
    fn command(&self, text: &str) -> Value {
        if let Some(words) = exec_form(text) {
            return json!(words);
        }
        let shell = self.config.get("Shell").and_then(Value::as_array);
        let usual = || vec![json!("/bin/sh"), json!("-c")];
        let mut words = shell.filter(|shell| !shell.is_empty()).cloned().unwrap_or_else(usual);
        words.push(json!(text));
        Value::Array(words)
    }

    fn health(&self, text: &str) -> Result<Value> {
        let mut check = Map::new();
        let mut rest = text;
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, after) = first_word(flag);
            let Some((name, value)) = flag.split_once('=') else {
                return wrong(format!("`--{flag}` has no value"));
            };
            let (member, value) = match name {
                "interval" => ("Interval", nanoseconds(value)?),
                "timeout" => ("Timeout", nanoseconds(value)?),
                "start-period" => ("StartPeriod", nanoseconds(value)?),
                "start-interval" => ("StartInterval", nanoseconds(value)?),
                "retries" => match value.parse::<u32>() {
                    Ok(times) => ("Retries", times.into()),
                    Err(_) => return wrong(format!("`{value}` is no number of retries")),
                },
                _ => return wrong(format!("HEALTHCHECK knows no `--{name}`")),
            };
            check.insert(member.to_owned(), value.into());
            rest = after.trim_start();
        }
        let (word, command) = first_word(rest);
        let command = command.trim();
        let test = match (word.to_ascii_uppercase().as_str(), exec_form(command)) {
            ("NONE", _) => json!(["NONE"]),
            ("CMD", _) if command.is_empty() => return wrong("`HEALTHCHECK CMD` has no command"),
            ("CMD", Some(words)) => {
                json!(["CMD".to_owned()].into_iter().chain(words).collect::<Vec<_>>())
            }
            ("CMD", None) => json!(["CMD-SHELL", command]),
            _ => return wrong("after HEALTHCHECK comes NONE or CMD"),
        };
        check.insert("Test".to_owned(), test);
        Ok(Value::Object(check))
    }

    /// A folder that does not begin with `/` is one in the folder before.
    fn work_dir(&mut self, text: &str) {
        let before = self.config.get("WorkingDir").and_then(Value::as_str).unwrap_or_default();
        let whole =
            if text.starts_with('/') { text.to_owned() } else { format!("{before}/{text}") };
        let mut names: Vec<&str> = Vec::new();
        for name in whole.split('/').filter(|name| !matches!(*name, "" | ".")) {
            match name {
                ".." => _ = names.pop(),
                name => names.push(name),
            }
        }
        let path = format!("/{}", names.join("/"));
        self.set("WorkingDir", Value::String(path));
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}

/// Reads `["a", "b"]`.
fn exec_form(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

fn one_word(text: &str) -> Result<String> {
    match words(text)?.as_slice() {
        [word] => Ok(word.clone()),
        _ => wrong(format!("`{text}` is more than one word")),
    }
}

/// Splits at spaces, with quotes and `\` as a shell has them.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(q)) if c == q => quote = None,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return wrong("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// Reads `a=1 b=2`, or in the old way `a 1`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let (first, rest) = first_word(text);
    if !first.contains('=') {
        let value = rest.trim();
        return match value {
            "" => wrong(format!("`{first}` has no value")),
            value => Ok(vec![(first.to_owned(), value.to_owned())]),
        };
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => wrong(format!("`{word}` is not NAME=VALUE")),
    };
    words(text)?.into_iter().map(pair).collect()
}

/// Reads `80`, `80/udp` and `80-82/tcp`.
fn ports(text: &str) -> Result<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse::<u16>(), protocol) {
        (Ok(first), Ok(last), "tcp" | "udp" | "sctp") if first <= last => {
            Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
        }
        _ => wrong(format!("`{text}` is no port such as 80, 53/udp or 8000-8010")),
    }
}

/// Reads a duration of Go: `30s`, `1m30s`, `500ms`.
fn nanoseconds(text: &str) -> Result<u64> {
    let bad = || DecodeError::new(0, format!("`{text}` is no time such as 30s, 1m30s or 500ms"));
    let (mut sum, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits).ok_or_else(bad)?;
        let units = [
            ("ms", 1_000_000_u64),
            ("us", 1_000),
            ("ns", 1),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
        ];
        let (unit, each) =
            units.into_iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        sum = number.checked_mul(each).and_then(|more| sum.checked_add(more)).ok_or_else(bad)?;
        rest = after.strip_prefix(unit).unwrap_or_default();
    }
    i64::try_from(sum).ok().filter(|sum| *sum > 0).map(|_| sum).ok_or_else(bad)
}

#[cfg(test)]
mod tests;
