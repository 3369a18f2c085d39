//! The rows of `tranship usage`.

use serde::{Deserialize, Serialize};

use super::{FindingRow, StoreKind};
use crate::model::Use;

/// Where every byte of one or more data roots is. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UsageReport {
    /// The folders that were counted: data roots, and roots of containerd outside of them.
    pub places: Vec<String>,
    /// What all of it takes.
    pub total: AmountRow,
    /// Bytes on disk of what no daemon shows at its next start.
    pub hidden: u64,
    /// Bytes on disk that nobody would miss.
    pub reclaimable: u64,
    /// All that takes room, the largest first: the sum of the lines is the total.
    pub lines: Vec<LineRow>,
    /// The lines by what was asked for with `--by`.
    pub groups: Vec<GroupRow>,
    /// What would be free if the things that were asked for with `--if-removed` were gone.
    pub removal: Option<RemovalRow>,
    /// What could not be looked at.
    pub findings: Vec<FindingRow>,
}

/// What files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AmountRow {
    /// Bytes on disk, to the block.
    pub on_disk: u64,
    /// Bytes when read.
    pub apparent: u64,
    /// How many files and folders; one with several names counts once.
    pub files: u64,
}

/// What a thing is; its fields stand among those of the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThingRow {
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
}

/// One thing that takes room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LineRow {
    /// What it is.
    #[serde(flatten)]
    pub thing: ThingRow,
    /// Bytes on disk. A file that other lines have too is counted in one of them.
    pub on_disk: u64,
    /// Bytes when read.
    pub apparent: u64,
    /// How many files and folders.
    pub files: u64,
    /// Whether no daemon shows it at its next start.
    pub hidden: bool,
    /// Bytes on disk that nobody would miss.
    pub reclaimable: u64,
    /// Bytes on disk that are free once it alone is gone.
    pub frees_alone: u64,
    /// Why nobody would miss it.
    pub proof: Option<String>,
}

/// Several lines together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GroupRow {
    /// The data root that it is in.
    pub root: String,
    /// What the lines are together by: an ID, a name, a kind.
    pub id: String,
    /// What people call it.
    pub names: Vec<String>,
    /// The store that it is in; null for what is of no store, and of several.
    pub store: Option<StoreKind>,
    /// Bytes on disk of all of it.
    pub on_disk: u64,
    /// Bytes when read.
    pub apparent: u64,
    /// Bytes on disk that others hold too.
    pub shared: u64,
    /// Bytes on disk that are free once it alone is gone.
    pub frees_alone: u64,
    /// How many lines.
    pub lines: u64,
    /// Whether no daemon shows it at its next start.
    pub hidden: bool,
}

/// What would be free, and what not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RemovalRow {
    /// What would be removed, as it was found.
    pub things: Vec<String>,
    /// What goes along with it.
    pub along: Vec<String>,
    /// Bytes on disk that would be free.
    pub frees: u64,
    /// What of it would stay, and what holds that.
    pub stays: Vec<StaysRow>,
}

/// Something that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StaysRow {
    /// What it is of.
    pub kind: Use,
    /// What its store calls it.
    pub id: String,
    /// Bytes on disk.
    pub on_disk: u64,
    /// What else holds it.
    pub held_by: Vec<String>,
}
