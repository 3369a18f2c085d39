//! The rows of `tranship reclaim`.

use serde::{Deserialize, Serialize};

use super::FindingRow;
use super::migrate::StayRow;

/// What goes, why nobody misses it, and what that frees. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reclaimed {
    /// Whether this was only a plan.
    pub dry_run: bool,
    /// The data root.
    pub root: String,
    /// What goes, in this order.
    pub waste: Vec<WasteRow>,
    /// Earlier runs whose put-aside things are deleted.
    pub runs: Vec<RunRow>,
    /// Bytes on disk that all of it frees.
    pub bytes: u64,
    /// Bytes of files that stay under other names, and so free nothing.
    pub shared: u64,
    /// What of a store that was to go is not known to be in the other: without `--force-unverified`,
    /// nothing is done then.
    pub unverified: Vec<StayRow>,
    /// Whether it was refused.
    pub refused: bool,
    /// What could be thought to be of no use, and stays.
    pub stays: Vec<StayRow>,
    /// What will not work any more.
    pub losses: Vec<String>,
    /// What was found on the way.
    pub findings: Vec<FindingRow>,
    /// Bytes on disk that were freed; nothing where nothing was done.
    pub freed: Option<u64>,
    /// The number that `tranship undo` knows this by, where what goes was put aside.
    pub undo: Option<u32>,
}

/// Something that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WasteRow {
    /// A stable name for the sort of thing, such as `blob`.
    pub code: String,
    /// What it is.
    pub what: String,
    /// Why nobody misses it.
    pub proof: String,
    /// The files and folders that go; none for a mere record.
    pub paths: Vec<String>,
    /// Bytes on disk that it frees. A file with several names counts where the last of them goes.
    pub bytes: u64,
}

/// An earlier run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunRow {
    /// Its number.
    pub number: u32,
    /// The verb that put things aside.
    pub verb: String,
    /// When.
    pub at: String,
    /// Where.
    pub place: String,
    /// Bytes on disk that it frees.
    pub bytes: u64,
}
