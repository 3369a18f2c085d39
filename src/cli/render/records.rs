//! Rows for programs that read one after the other.

use jiff::Timestamp;
use serde::Serialize;

use super::json;
use crate::error::{Error, Place, Result};

/// How rows are written.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Comma-separated values under a line of names (RFC 4180).
    Csv,
    /// A JSON object on each line, with where and when it was.
    Ndjson {
        /// The host; none for what this one is called.
        host: Option<String>,
        /// When.
        at: Timestamp,
    },
}

/// A row with where and when it was.
#[derive(Serialize)]
struct Dated<'a, T> {
    host: &'a str,
    time: Timestamp,
    #[serde(flatten)]
    row: &'a T,
}

/// Returns `rows` as text.
///
/// # Errors
/// A row that cannot be written so.
pub(crate) fn text<T: Serialize>(rows: &[T], form: &Form) -> Result<String> {
    match form {
        Form::Csv => csv(rows),
        Form::Ndjson { host, at } => {
            let own = || crate::os::host_name();
            let host = host.clone().unwrap_or_else(own);
            let line = |row| {
                let dated = Dated { host: &host, time: *at, row };
                serde_json::to_string(&dated).map(|line| json::safe(&line).into_owned() + "\n")
            };
            rows.iter().map(line).collect::<serde_json::Result<_>>().map_err(failed)
        }
    }
}

fn csv<T: Serialize>(rows: &[T]) -> Result<String> {
    let values = rows.iter().map(serde_json::to_value).collect::<serde_json::Result<Vec<_>>>();
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    for (n, value) in values.map_err(failed)?.iter().enumerate() {
        let serde_json::Value::Object(fields) = value else { continue };
        if n == 0 {
            writer.write_record(fields.keys()).map_err(failed)?;
        }
        writer.write_record(fields.values().map(cell)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A list is its items, with spaces between them: no name of Docker's has one.
fn cell(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => super::text::printable(text).into_owned(),
        serde_json::Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::io(Place::new("stdout", Vec::new()), std::io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn rows_are_lines_for_programs() {
        let rows = sample::usage(false).lines;
        let csv = text(&rows, &Form::Csv).expect("rows");
        let mut lines = csv.lines();
        assert!(
            lines.next().is_some_and(|names| names.starts_with("root,kind,store,id,role,names,"))
        );
        let wanted = "/var/lib/docker,layer,classic,";
        assert!(lines.next().is_some_and(|line| line.starts_with(wanted)), "{csv}");
        assert!(csv.contains("db\\u{1b}[31m") && !csv.contains('\u{1b}'), "{csv}");
        assert_eq!(csv.lines().count(), rows.len() + 1);
        let form = Form::Ndjson { host: Some("a".into()), at: sample::now() };
        let lines = text(&rows, &form).expect("rows");
        assert_eq!(lines.lines().count(), rows.len());
        for line in lines.lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!((&row["host"], &row["time"]), (&"a".into(), &"2026-11-20T17:27:46Z".into()));
            assert!(row["on_disk"].is_u64());
        }
    }
}
