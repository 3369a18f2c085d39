//! The rows of `tranship whois`.

use serde::{Deserialize, Serialize};

use super::FindingRow;
use super::usage::ThingRow;

/// Whose paths, IDs and names are. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WhoisReport {
    /// The answers, in the order of the questions.
    pub whose: Vec<WhoseRow>,
    /// What could not be looked at.
    pub findings: Vec<FindingRow>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WhoseRow {
    /// What was asked for.
    pub query: String,
    /// What it is of, or what it has; nothing if it is not known.
    pub found: Vec<OwnedRow>,
}

/// One thing, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnedRow {
    /// What it is.
    #[serde(flatten)]
    pub thing: ThingRow,
    /// Whether no daemon shows it at its next start.
    pub hidden: bool,
    /// Why nobody would miss it.
    pub proof: Option<String>,
    /// The paths that it has.
    pub paths: Vec<String>,
}
