//! Damage, and other things a person should know of.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Place};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Takes room or confuses, and harms nothing.
    Untidy,
    /// Something the store says is not so.
    WrongMetadata,
    /// A daemon would pass the thing over without a word.
    WouldNotLoad,
    /// Bytes are gone or changed.
    DataLost,
}

/// Something found to be wrong. Reading goes on after one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name for the sort of finding, such as `layer-without-size`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What was found and what was wanted.
    pub what: String,
    /// What can be done about it; may be empty.
    pub remedy: String,
}

impl Finding {
    /// Returns the finding that `error` is, seen as `code`.
    #[must_use]
    pub fn of(code: &'static str, severity: Severity, error: &Error) -> Self {
        Self {
            code,
            severity,
            place: error.place().cloned().unwrap_or_default(),
            what: error.what().to_owned(),
            remedy: error.advice().unwrap_or_default().to_owned(),
        }
    }
}
