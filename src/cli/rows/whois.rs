//! The rows of `tranship whois`.

use serde::{Deserialize, Serialize};

use super::{FindingRow, StoreKind};
use crate::model::Use;

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
    /// The data root that it is in.
    pub root: String,
    /// What it is of.
    pub kind: Use,
    /// The store that it is in; null for what is of no store.
    pub store: Option<StoreKind>,
    /// What its store calls it; else its path.
    pub id: String,
    /// What it is within its kind, such as `config`; may be empty.
    pub role: String,
    /// The images, containers and volumes that hold it.
    pub names: Vec<String>,
    /// Whether no daemon shows it at its next start.
    pub hidden: bool,
    /// Why nobody would miss it.
    pub proof: Option<String>,
    /// The paths that it has.
    pub paths: Vec<String>,
}
