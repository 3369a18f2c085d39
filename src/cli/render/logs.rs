//! Records of a log as `docker logs` prints them.

use std::io::Write;

use crate::cli::rows::logs::LogRow;
use crate::format::docker::log::Record;

/// What stands before each record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// When it was written.
    pub(crate) time: bool,
    /// What the driver was told to add.
    pub(crate) details: bool,
}

/// Appends `record` to `out`.
///
/// moby v28.5 api/server/httputils/write_log_stream.go
pub(crate) fn line(record: &Record<'_>, before: Before, out: &mut Vec<u8>) {
    if before.time {
        // A vector takes every write.
        let _ = match time(record) {
            Some(time) => write!(out, "{time:.9} "),
            None => write!(out, "{} ", record.time),
        };
    }
    if before.details {
        details(record, out);
    }
    out.extend_from_slice(&record.log);
}

fn time(record: &Record<'_>) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(record.time.seconds, i32::try_from(record.time.nanos).ok()?).ok()
}

fn details(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut attrs: Vec<_> = record.attrs.iter().collect();
    attrs.sort();
    for (at, (key, value)) in attrs.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        escape(key, out);
        out.push(b'=');
        escape(value, out);
    }
    out.push(b' ');
}

/// Go's url.QueryEscape.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte),
            _ if byte.is_ascii_alphanumeric() => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

/// Returns `record` as a row.
pub(crate) fn row(record: &Record<'_>) -> LogRow {
    LogRow {
        time: record.time.to_string(),
        stream: record.stream.clone().into_owned(),
        log: String::from_utf8_lossy(&record.log).into_owned(),
        partial: record.is_partial(),
        attrs: record
            .attrs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
    }
}
