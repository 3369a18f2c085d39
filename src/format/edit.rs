//! Changes to a JSON text that leave every other byte of it alone: numbers too long for a machine
//! word, unknown members, their order and the way the text is laid out.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::DecodeError;
use crate::format::raw::located;
use crate::format::wide;

/// Returns `text` with the member at `path` set to the JSON text `value`.
///
/// Objects on the way that are missing or `null` are made; new members come last.
///
/// # Errors
/// A text that is no JSON object, or has something else than an object on the way.
pub fn set(text: &str, path: &[&str], value: &str) -> Result<String, DecodeError> {
    let outer = Object::parse(text, 0..text.len())?;
    let style = Style::of(text, &outer);
    let mut object = outer;
    for (depth, name) in path.iter().enumerate() {
        let rest = path.get(depth.saturating_add(1)..).unwrap_or_default();
        let below = |depth: usize| style.nest(rest, value, depth.saturating_add(2));
        match object.last(name) {
            None => return Ok(object.append(text, &style, depth, name, &below(depth))),
            Some(found) if rest.is_empty() => return Ok(splice(text, found, value)),
            Some(found) if text.get(found.clone()) == Some("null") => {
                return Ok(splice(text, found, &below(depth)));
            }
            Some(found) => object = Object::parse(text, found)?,
        }
    }
    Ok(text.to_owned())
}

/// Returns `text` without the members of its outermost object that are called `name`.
///
/// # Errors
/// A text that is no JSON object.
pub fn remove(text: &str, name: &str) -> Result<String, DecodeError> {
    let mut text = text.to_owned();
    loop {
        let object = Object::parse(&text, 0..text.len())?;
        let Some(at) = object.members.iter().position(|member| member.name == name) else {
            return Ok(text);
        };
        text = splice(&text, object.extent(&text, at), "");
    }
}

/// An object in a text: where it stands, and its members in order.
struct Object {
    /// From `{` to after `}`.
    span: Range<usize>,
    members: Vec<Member>,
}

struct Member {
    name: String,
    /// Where its value stands.
    value: Range<usize>,
}

impl Object {
    fn parse(text: &str, span: Range<usize>) -> Result<Self, DecodeError> {
        let inside = text.get(span.clone()).unwrap_or_default();
        let wrong = |error: &serde_json::Error| {
            let mut wrong = located(inside.as_bytes(), error);
            wrong.offset = wrong.offset.saturating_add(wide(span.start));
            wrong
        };
        let mut reader = serde_json::Deserializer::from_str(inside);
        let slices = reader.deserialize_map(Members).map_err(|error| wrong(&error))?;
        reader.end().map_err(|error| wrong(&error))?;
        let place = |slice: &str| {
            let start = slice.as_ptr().addr().saturating_sub(text.as_ptr().addr());
            start..start.saturating_add(slice.len())
        };
        let members = slices
            .into_iter()
            .map(|(name, value)| Member { name, value: place(value.get()) })
            .collect();
        Ok(Self { span: place(inside.trim()), members })
    }

    /// Returns where the value of the last member called `name` stands: the one that counts.
    fn last(&self, name: &str) -> Option<Range<usize>> {
        self.members.iter().rfind(|member| member.name == name).map(|member| member.value.clone())
    }

    /// Returns what to cut so that member `at` is gone and the text still an object.
    fn extent(&self, text: &str, at: usize) -> Range<usize> {
        let end = |at: usize| self.members.get(at).map(|member| member.value.end);
        // Between two values, or before the first, the first quote begins a name.
        let name_after = |from: usize| {
            let found = text.get(from..).and_then(|rest| rest.find('"'));
            from.saturating_add(found.unwrap_or_default())
        };
        let inside = self.span.start.saturating_add(1)..self.span.end.saturating_sub(1);
        let own = end(at).unwrap_or(inside.end);
        match at.checked_sub(1).and_then(end) {
            Some(before) => before..own,
            None if self.members.len() > 1 => name_after(inside.start)..name_after(own),
            None => inside,
        }
    }

    /// Returns the text with a member after the last one of this object, which is `depth` deep.
    fn append(&self, text: &str, style: &Style, depth: usize, name: &str, value: &str) -> String {
        let member = style.member(name, value);
        match self.members.last() {
            Some(last) => {
                let new = format!("{}{member}", style.separator(depth.saturating_add(1)));
                splice(text, last.value.end..last.value.end, &new)
            }
            None => splice(text, self.span.clone(), &style.object(&member, depth)),
        }
    }
}

fn splice(text: &str, range: Range<usize>, new: &str) -> String {
    let before = text.get(..range.start).unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    [before, new, after].concat()
}

/// How a text is laid out.
struct Style {
    /// The line end and the indentation of one level, or what stands inside braces on one line.
    lines: Option<(&'static str, String)>,
    padding: String,
    colon: &'static str,
}

impl Style {
    /// Returns the layout of an object, judged by its first member; an empty one is laid out anew.
    fn of(text: &str, object: &Object) -> Self {
        let Some(first) = object.members.first() else {
            return Self {
                lines: Some(("\n", "  ".to_owned())),
                padding: String::new(),
                colon: ": ",
            };
        };
        let start = object.span.start.saturating_add(1);
        let head = text.get(start..first.value.start).unwrap_or_default();
        let gap = head.get(..head.find('"').unwrap_or_default()).unwrap_or_default();
        let colon = if head.ends_with(':') { ":" } else { ": " };
        let end = if gap.contains("\r\n") { "\r\n" } else { "\n" };
        let lines = gap.rfind('\n').and_then(|at| gap.get(at.saturating_add(1)..));
        let lines = lines.map(|indent| (end, indent.to_owned()));
        let padding = if lines.is_some() { String::new() } else { gap.to_owned() };
        Self { lines, padding, colon }
    }

    /// Returns what stands between a brace and a member of an object `depth` deep.
    fn gap(&self, depth: usize) -> String {
        match &self.lines {
            Some((end, indent)) => format!("{end}{}", indent.repeat(depth)),
            None => self.padding.clone(),
        }
    }

    fn separator(&self, depth: usize) -> String {
        match &self.lines {
            Some(_) => format!(",{}", self.gap(depth)),
            None if self.colon == ": " => ", ".to_owned(),
            None => ",".to_owned(),
        }
    }

    fn member(&self, name: &str, value: &str) -> String {
        format!("{}{}{value}", serde_json::Value::from(name), self.colon)
    }

    /// Returns an object with one member, itself `depth` deep.
    fn object(&self, member: &str, depth: usize) -> String {
        format!("{{{}{member}{}}}", self.gap(depth.saturating_add(1)), self.gap(depth))
    }

    /// Returns `value` inside an object for each name of `path`; the outermost has its members at
    /// `depth`.
    fn nest(&self, path: &[&str], value: &str, depth: usize) -> String {
        match path {
            [] => value.to_owned(),
            [name, rest @ ..] => {
                let inner = self.nest(rest, value, depth.saturating_add(1));
                self.object(&self.member(name, &inner), depth.saturating_sub(1))
            }
        }
    }
}

/// Collects the members of an object, equal names and all, with their values as slices of the text.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn a_member_is_set_in_the_style_of_the_text() {
        for (text, want) in [
            ("{}", "{\n  \"f\": {\n    \"c\": true\n  }\n}"),
            ("{\"a\":1}", "{\"a\":1,\"f\":{\"c\":true}}"),
            ("{ \"a\": 1 }", "{ \"a\": 1, \"f\": { \"c\": true } }"),
            ("{\n\t\"a\": 1\n}\n", "{\n\t\"a\": 1,\n\t\"f\": {\n\t\t\"c\": true\n\t}\n}\n"),
            ("{\r\n \"a\": 1\r\n}", "{\r\n \"a\": 1,\r\n \"f\": {\r\n  \"c\": true\r\n }\r\n}"),
            ("{\"f\":{\"c\":false,\"d\":1e400}}", "{\"f\":{\"c\":true,\"d\":1e400}}"),
            ("{\"f\":null}", "{\"f\":{\"c\":true}}"),
            ("{\n  \"f\": {}\n}", "{\n  \"f\": {\n    \"c\": true\n  }\n}"),
            ("{\"f\":{\"d\":2}}", "{\"f\":{\"d\":2,\"c\":true}}"),
            (
                "{\"f\":{\"c\":1,\"c\":2},\"f\":{\"c\":3,\"c\":4}}",
                "{\"f\":{\"c\":1,\"c\":2},\"f\":{\"c\":3,\"c\":true}}",
            ),
            ("{\"\\u0066\":{\"c\" : 0}}", "{\"\\u0066\":{\"c\" : true}}"),
        ] {
            assert_eq!(set(text, &["f", "c"], "true").as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn a_member_is_removed_with_its_comma() {
        for (text, want) in [
            ("{\"s\":1}", "{}"),
            ("{ \"s\":1, \"a\":2 }", "{ \"a\":2 }"),
            ("{\"a\":2,\"s\":1}", "{\"a\":2}"),
            (
                "{\n  \"a\": 2,\n  \"s\": {\"x\":[1]},\n  \"b\": 3\n}",
                "{\n  \"a\": 2,\n  \"b\": 3\n}",
            ),
            ("{\"s\":1,\"a\":2,\"s\":3}", "{\"a\":2}"),
            ("{\"a\":{\"s\":1}}", "{\"a\":{\"s\":1}}"),
        ] {
            assert_eq!(remove(text, "s").as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_at_its_byte() {
        for (text, offset) in
            [("[]", 0), ("{\"f\":7}", 5), ("{\"a\":1}x", 7), ("{\"f\":", 5), ("", 0)]
        {
            assert_eq!(set(text, &["f", "c"], "1").map_err(|e| e.offset), Err(offset), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[\"a-c{},: ]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[\"a-c{},: ]{0,3}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn only_the_member_changes(members in prop::collection::vec(("[\"a-c]{0,2}", json()), 0..5), pretty: bool) {
            let mut object: Map<String, Value> = members.into_iter().collect();
            let print = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
            let text = print(&object).expect("an object");
            let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).expect("still an object");
            let cut = remove(&text, "a").expect("an object");
            let added = set(&text, &["a"], "[7]").expect("an object");
            object.insert("a".to_owned(), Value::from(vec![7]));
            prop_assert_eq!(read(&added), object.clone());
            object.shift_remove("a");
            prop_assert_eq!(read(&cut), object);
        }

        #[test]
        fn no_text_panics(text in "[{}\"a:, \\[\\]\n0-9]{0,24}") {
            let _ = set(&text, &["a", "b"], "1");
            let _ = remove(&text, "a");
        }
    }
}
