//! The rows of `tranship repair` and `tranship undo`.

use serde::{Deserialize, Serialize};

use super::FindingRow;
use super::undo::UndoneRow;

/// What a repair will do, or did. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Repair {
    /// Whether this is a plan that was not carried out.
    pub dry_run: bool,
    /// The data root.
    pub root: String,
    /// The number to undo it by; null if nothing was done.
    pub number: Option<u32>,
    /// What is wrong and can be set right.
    pub mends: Vec<MendRow>,
    /// What is wrong and stays so.
    pub unmendable: Vec<UnmendableRow>,
    /// Runs that were interrupted, and were finished first; in a plan, those that would be.
    pub finished: Vec<RunRow>,
    /// What else was found.
    pub findings: Vec<FindingRow>,
}

/// One thing that is set right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MendRow {
    /// A stable code for the sort of damage.
    pub code: String,
    /// Where it is.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What is done.
    pub how: String,
    /// Bytes that are written for it.
    pub bytes: u64,
    /// What became of it.
    pub outcome: MendOutcome,
    /// Why it could not be done.
    pub error: Option<String>,
}

/// What became of a mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MendOutcome {
    /// It was not carried out.
    Planned,
    /// It is done.
    Done,
    /// It could not be got ready: nothing of it was done.
    Failed,
    /// Something was not any more as it was when the run began: not all of it was done.
    Changed,
}

/// Something that cannot be set right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnmendableRow {
    /// A stable code for the sort of damage.
    pub code: String,
    /// Where it is.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What would be needed.
    pub missing: String,
}

/// What can be undone. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunList {
    /// The runs, the newest first.
    pub runs: Vec<RunRow>,
    /// The containers that a migration moved.
    pub moved: Option<MovedRow>,
    /// What is wrong with the records of others.
    pub findings: Vec<FindingRow>,
}

/// One run, in one tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunRow {
    /// Its number.
    pub number: u32,
    /// The verb that did it.
    pub verb: String,
    /// When.
    pub at: String,
    /// How far it is: `begun`, `done`, `undoing` or `dropping`.
    pub state: String,
    /// What it did.
    pub mends: Vec<NotedRow>,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotedRow {
    /// A stable code for the sort of damage.
    pub code: String,
    /// Where it was.
    pub place: String,
    /// What was wrong.
    pub what: String,
    /// What was done.
    pub how: String,
}

/// The containers that the last migration bound to another store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MovedRow {
    /// The driver of the store that has them now.
    pub to: String,
    /// Their IDs.
    pub containers: Vec<String>,
    /// When they were moved.
    pub at: String,
}

/// What was undone. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Undone {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The run, once for each tree that it changed.
    pub runs: Vec<RunRow>,
    /// The containers that were bound to their old store again.
    pub containers: Vec<UndoneRow>,
    /// Those that would be.
    pub moved: Option<MovedRow>,
}
