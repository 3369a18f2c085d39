//! A plan that is kept, to be carried out later: what `--plan-out` writes and `tranship apply` reads.

use serde::{Deserialize, Serialize};

use super::migrate::Migration;
use crate::cli::ops::MigrateRequest;

/// A plan that is kept. Fields are only ever added to this schema, with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The version of this format: 1.
    pub version: u64,
    /// What was asked for, with absolute paths.
    pub request: MigrateRequest,
    /// What would be done, as `--dry-run --json` shows it.
    pub plan: Migration,
    /// What the plan depends on.
    pub fingerprint: FingerprintRow,
    /// The digest of all of the above as compact JSON.
    pub digest: String,
}

/// What a plan depends on, as digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FingerprintRow {
    /// What the source holds: its images, names, layers and blobs.
    pub source: String,
    /// What the target holds.
    pub target: String,
    /// The steps to be done.
    pub plan: String,
}
