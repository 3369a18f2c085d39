//! The rows of `tranship migrate --undo`.

use serde::{Deserialize, Serialize};

/// The containers of the last migration, after that was undone. Fields are only ever added to this
/// schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UndoReport {
    /// The containers.
    pub containers: Vec<UndoneRow>,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UndoneRow {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The graph driver or snapshotter that it came from.
    pub driver: String,
    /// What became of it.
    pub outcome: UndoOutcome,
}

/// What became of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UndoOutcome {
    /// It is as it was before the migration.
    AsBefore,
    /// It is back, and what it did since the migration is in the store it leaves.
    UsedSince,
    /// Its old store does not have it any more: it stays.
    Gone,
}
