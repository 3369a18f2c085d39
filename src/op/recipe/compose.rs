//! Compose files, and the little of YAML that they need.

use std::fmt::Write;

use super::{Recipe, Yaml, at};

/// Returns a compose file that makes the containers again, each as a service of its own.
#[must_use]
pub fn compose(recipes: &[Recipe]) -> String {
    let mut file = Yaml::Map(vec![("services".to_owned(), Yaml::Map(Vec::new()))]);
    for recipe in recipes {
        let service = service_name(&recipe.name);
        let image = at(&["image"], Yaml::Text(recipe.image.clone()));
        let all = recipe.options.iter().flat_map(|setting| setting.compose.iter().cloned());
        let mut all: Vec<_> = std::iter::once(image).chain(all).collect();
        let is_network = |name: &str| matches!(name, "networks" | "network_mode");
        // Without a word compose makes a network of its own.
        if !all.iter().any(|(path, _)| path.first().is_some_and(|name| is_network(name))) {
            all.push(at(&["network_mode"], Yaml::Text("bridge".to_owned())));
        }
        for (path, yaml) in all {
            let Some(first) = path.first().filter(|first| !first.is_empty()) else { continue };
            let path: Vec<&str> = match first.strip_prefix('/') {
                Some(top) => std::iter::once(top).chain(rest(&path)).collect(),
                None => ["services", &service, first].into_iter().chain(rest(&path)).collect(),
            };
            file.put(&path, yaml);
        }
    }
    let mut out = String::new();
    file.write(&mut out, 0);
    out
}

fn rest(path: &[String]) -> impl Iterator<Item = &str> {
    path.iter().skip(1).map(String::as_str)
}

/// compose-spec: `^[a-zA-Z0-9._-]+$`
fn service_name(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    if name.is_empty() { "container".to_owned() } else { name.chars().map(legal).collect() }
}

impl Yaml {
    /// Puts `value` below the names of `path`: items are added to a list, all else replaces what is there.
    pub(super) fn put(&mut self, path: &[&str], value: Self) {
        let Some((first, rest)) = path.split_first() else {
            match (self, value) {
                (Self::List(items), Self::Item(item)) => items.push(*item),
                (this, Self::Item(item)) => *this = Self::List(vec![*item]),
                (Self::Map(members), Self::Map(more)) if !members.is_empty() => {
                    members.extend(more)
                }
                (this, value) => *this = value,
            }
            return;
        };
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Vec::new());
        }
        let Self::Map(members) = self else { return };
        let known = members.iter().position(|(name, _)| name == first);
        let known = known.unwrap_or_else(|| {
            members.push(((*first).to_owned(), Self::Map(Vec::new())));
            members.len() - 1
        });
        members[known].1.put(rest, value);
    }

    fn write(&self, out: &mut String, indent: usize) {
        match self {
            Self::Map(members) => {
                for (name, value) in members {
                    // Writing to a text does not fail.
                    let _ = write!(out, "{:indent$}{}:", "", scalar(name));
                    value.write_after(out, indent);
                }
            }
            Self::List(items) => {
                for item in items {
                    let _ = write!(out, "{:indent$}-", "");
                    let mut below = String::new();
                    item.write_after(&mut below, indent);
                    match item {
                        // The first member stands behind the dash.
                        Self::Map(members) if !members.is_empty() => {
                            let _ = write!(out, " {}", below.trim_start());
                        }
                        _ => out.push_str(&below),
                    }
                }
            }
            Self::Text(_) | Self::Plain(_) | Self::Item(_) => {}
        }
    }

    /// Writes what stands behind a name or a dash.
    fn write_after(&self, out: &mut String, indent: usize) {
        match self {
            Self::Text(text) => {
                // Compose takes `$` for the start of a variable.
                let _ = writeln!(out, " {}", scalar(&text.replace('$', "$$")));
            }
            Self::Plain(text) => {
                let _ = writeln!(out, " {text}");
            }
            Self::Item(item) => item.write_after(out, indent),
            Self::Map(members) if members.is_empty() => out.push_str(" {}\n"),
            Self::List(items) if items.is_empty() => out.push_str(" []\n"),
            Self::Map(_) | Self::List(_) => {
                out.push('\n');
                self.write(out, indent + 2);
            }
        }
    }
}

/// Returns `text` so that YAML reads it as that text: as it is where nothing can be meant by it, else in
/// double quotes, as JSON has them, which all of YAML reads.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(plain)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    let mut out = "\"".to_owned();
    for c in text.chars() {
        let is_safe = crate::error::printable(c.to_string().as_bytes()) == c.to_string();
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_safe => out.push(c),
            c if u32::from(c) > 0xffff => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        for (text, wanted) in [
            ("nginx", "nginx"),
            ("/var/lib", "/var/lib"),
            ("a:b", "\"a:b\""),
            ("no", "\"no\""),
            ("", "\"\""),
            ("1", "\"1\""),
            ("1.5", "\"1.5\""),
            ("0o17", "\"0o17\""),
            ("- x", "\"- x\""),
            ("a # b", "\"a # b\""),
            ("q\"b\\", "\"q\\\"b\\\\\""),
            ("l\nm\u{1b}é", "\"l\\nm\\u001bé\""),
            ("~", "\"~\""),
        ] {
            assert_eq!(scalar(text), wanted, "{text:?}");
        }
    }
}
