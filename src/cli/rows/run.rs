//! The rows of `tranship run`: what became of each job.

use serde::{Deserialize, Serialize};

use super::migrate::Migration;

/// The jobs of a file, in its order. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct JobReports(pub Vec<JobReport>);

/// What became of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JobReport {
    /// Its name; without one, its number in the file.
    pub name: String,
    /// How it ended.
    pub outcome: JobOutcome,
    /// The exit code of a command that ends so.
    pub exit: u8,
    /// What it did, or would do; null where it came to no plan.
    pub report: Option<Migration>,
    /// Why it was not done.
    pub error: Option<ErrorRow>,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// It is done, or in a dry run, it would be.
    Done,
    /// It is done, and something was found that needs a look.
    Findings,
    /// It failed.
    Failed,
    /// It was refused.
    Refused,
    /// Its output was there already, whole.
    Skipped,
    /// It was not begun, because the run ended before.
    NotRun,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorRow {
    /// What was found.
    pub what: String,
    /// Where, if it was at a place.
    pub place: Option<String>,
    /// What can be done about it.
    pub hint: Option<String>,
}
