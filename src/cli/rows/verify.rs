//! The rows of `tranship verify`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FindingRow, StoreKind};

/// What is wrong, what was looked at, and what a daemon will make of it. Fields are only ever added to
/// this schema.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerifyReport {
    /// What is wrong, the worst first in each data root.
    pub findings: Vec<FindingRow>,
    /// What was looked at: the sort of thing, and how many.
    pub checked: BTreeMap<String, u64>,
    /// What the daemon makes of each image and container at its next start.
    pub starts: Vec<StartRow>,
    /// The data roots, layouts and archives.
    #[serde(default)]
    pub roots: Vec<String>,
    /// Bytes of content that were held against their digests, as the stores count them.
    #[serde(default)]
    pub bytes: u64,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
    /// Whether a daemon had one of the stores open: what it writes meanwhile can look like damage.
    #[serde(default)]
    pub open_by_daemon: bool,
}

/// What a daemon makes of an image or container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartRow {
    /// The data root.
    pub root: String,
    /// The store; null for a container whose store is not known.
    pub store: Option<StoreKind>,
    /// Whether no daemon will show that store.
    pub hidden: bool,
    /// What it is.
    pub kind: StartKind,
    /// Its ID.
    pub id: String,
    /// Its names.
    pub names: Vec<String>,
    /// What becomes of it, if its store is shown.
    pub becomes: Becomes,
    /// Why it is not shown, or of no use.
    pub why: Option<String>,
}

/// What has a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StartKind {
    /// A container.
    Container,
    /// An image.
    Image,
}

/// What becomes of an image or container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Becomes {
    /// It is listed, and can be used.
    Shown,
    /// It cannot be used, and a person is told.
    Broken,
    /// It is passed over, and nobody is told.
    PassedOver,
}
