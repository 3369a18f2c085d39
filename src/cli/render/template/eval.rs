//! Expressions and rows to text.

use std::collections::BTreeMap;

use super::{Expr, Field, Fields, Function, Part};
use crate::cli::render::json;
use crate::cli::render::text::printable;

/// More spaces than any line needs; `pad` and hostile numbers must not fill memory.
const WIDEST_PAD: usize = 1000;

/// A row and the fields it has.
pub(super) struct Row<'a, R> {
    pub(super) fields: &'static [Field],
    pub(super) row: &'a R,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Text as it came from the disk.
    Text(String),
    /// Text that is safe to print: JSON, or what the template itself says.
    Safe(String),
    List(Vec<String>),
    Number(usize),
}

pub(super) fn line<R: Fields>(parts: &[Part], row: &Row<'_, R>) -> Result<String, String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Action(expr) => out.push_str(&shown(eval(expr, row)?)),
        }
    }
    Ok(out)
}

fn shown(value: Value) -> String {
    match value {
        Value::Safe(text) => text,
        Value::Text(text) => printable(&text).into_owned(),
        // As Go prints a slice.
        Value::List(items) => printable(&format!("[{}]", items.join(" "))).into_owned(),
        Value::Number(number) => number.to_string(),
    }
}

fn eval<R: Fields>(expr: &Expr, row: &Row<'_, R>) -> Result<Value, String> {
    Ok(match expr {
        Expr::Field(name) => Value::Text(row.row.field(name)),
        Expr::Text(text) => Value::Safe(text.clone()),
        Expr::Number(number) => Value::Number(*number),
        Expr::Row => return Err("`.` can only be an argument of `json`".to_owned()),
        Expr::Call(Function::Json, args) if args == &[Expr::Row] => Value::Safe(json_row(row)?),
        Expr::Call(function, args) => {
            let args: Result<Vec<Value>, String> = args.iter().map(|arg| eval(arg, row)).collect();
            call(*function, &args?)?
        }
    })
}

/// Keys in the order of their names, as Go writes a map; every value a string, as Docker's are.
fn json_row<R: Fields>(row: &Row<'_, R>) -> Result<String, String> {
    let fields: BTreeMap<&str, String> =
        row.fields.iter().map(|(name, _)| (*name, row.row.field(name))).collect();
    let text = serde_json::to_string(&fields).map_err(|error| error.to_string())?;
    Ok(json::safe(&text).into_owned())
}

fn call(function: Function, args: &[Value]) -> Result<Value, String> {
    Ok(match (function, args) {
        (Function::Json, [value]) => Value::Safe(json_text(value)?),
        (Function::Lower, [value]) => map(value, |text| text.to_lowercase())?,
        (Function::Upper, [value]) => map(value, |text| text.to_uppercase())?,
        (Function::Title, [value]) => map(value, title)?,
        (Function::Truncate, [value, Value::Number(length)]) => {
            map(value, |text| truncate(text, *length))?
        }
        (Function::Pad, [value, Value::Number(before), Value::Number(after)]) => {
            map(value, |text| pad(text, *before, *after))?
        }
        (Function::Split, [value, separator]) => {
            Value::List(split(text_of(value)?, text_of(separator)?))
        }
        (Function::Join, [Value::List(items), separator]) => join(items, text_of(separator)?),
        (Function::Println, values) => {
            let words: Vec<String> = values.iter().cloned().map(shown).collect();
            Value::Safe(words.join(" ") + "\n")
        }
        (function, _) => return Err(wrong_arguments(function)),
    })
}

fn wrong_arguments(function: Function) -> String {
    match function {
        Function::Join => "`join` takes a list and a text: `{{join (split .ID \":\") \" \"}}`",
        Function::Truncate => "`truncate` takes a text and a length: `{{truncate .ID 5}}`",
        Function::Pad => "`pad` takes a text and two widths: `{{pad .ID 1 2}}`",
        Function::Split => "`split` takes a text and a separator: `{{split .ID \":\"}}`",
        _ => "the function takes a text",
    }
    .to_owned()
}

fn text_of(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) | Value::Safe(text) => Ok(text),
        Value::List(_) | Value::Number(_) => Err("a text was expected here".to_owned()),
    }
}

fn map(value: &Value, change: impl Fn(&str) -> String) -> Result<Value, String> {
    text_of(value).map(|text| Value::Text(change(text)))
}

fn json_text(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::Text(text) | Value::Safe(text) => serde_json::to_string(text),
        Value::List(items) => serde_json::to_string(items),
        Value::Number(number) => serde_json::to_string(number),
    };
    Ok(json::safe(&text.map_err(|error| error.to_string())?).into_owned())
}

/// The separator is the template's own, so it is printed as it is; the items are not.
fn join(items: &[String], separator: &str) -> Value {
    let items: Vec<_> = items.iter().map(|item| printable(item)).collect();
    Value::Safe(items.join(separator))
}

fn split(text: &str, separator: &str) -> Vec<String> {
    match separator {
        "" => text.chars().map(String::from).collect(),
        separator => text.split(separator).map(String::from).collect(),
    }
}

fn title(text: &str) -> String {
    let mut after_letter = false;
    let raise = |c: char| {
        let first = !after_letter;
        after_letter = c.is_alphanumeric() || matches!(c, '_' | '\'');
        if first { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(raise).collect()
}

/// Docker cuts bytes; a character is never cut here.
fn truncate(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

fn pad(text: &str, before: usize, after: usize) -> String {
    let spaces = |n: usize| " ".repeat(n.min(WIDEST_PAD));
    if text.is_empty() { String::new() } else { spaces(before) + text + &spaces(after) }
}

/// Headers stay as they are whatever function is called on the field; only `pad` works on them.
///
/// docker/cli templates/templates.go HeaderFunctions
pub(super) fn header(parts: &[Part], fields: &'static [Field]) -> Result<String, String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Action(expr) => out.push_str(&shown(header_of(expr, fields)?)),
        }
    }
    Ok(out)
}

fn header_of(expr: &Expr, fields: &'static [Field]) -> Result<Value, String> {
    Ok(match expr {
        Expr::Field(name) => {
            let header = fields.iter().find(|(field, _)| field == name);
            Value::Text(header.map_or(*name, |(_, header)| *header).to_owned())
        }
        Expr::Row => Value::Text(String::new()),
        Expr::Text(text) => Value::Safe(text.clone()),
        Expr::Number(number) => Value::Number(*number),
        Expr::Call(function, args) => {
            let args: Result<Vec<Value>, String> =
                args.iter().map(|arg| header_of(arg, fields)).collect();
            match (function, args?) {
                (Function::Pad | Function::Println, args) => call(*function, &args)?,
                (_, args) => args.into_iter().next().unwrap_or(Value::Text(String::new())),
            }
        }
    })
}
