//! The rows of `tranship logs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a container wrote at once: one line of `tranship logs --json`. Fields are only ever added to this schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogRow {
    /// When, in UTC.
    pub time: String,
    /// Where: `stdout` or `stderr`.
    pub stream: String,
    /// What, with the end of the line if it has one; bytes that are no UTF-8 are U+FFFD.
    pub log: String,
    /// Whether the line goes on in the next row of the stream.
    pub partial: bool,
    /// What the log driver was told to add, such as labels.
    pub attrs: BTreeMap<String, String>,
}
