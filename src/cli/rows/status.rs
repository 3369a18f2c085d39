//! The rows of `tranship status`.

use serde::{Deserialize, Serialize};

use super::{FindingRow, StoreKind};

/// What Docker keeps here and what it will show. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// The data roots looked at.
    pub roots: Vec<RootRow>,
}

/// One data root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RootRow {
    /// The directory, archive or disk.
    pub path: String,
    /// The stores in it.
    pub stores: Vec<StoreRow>,
    /// Which store each daemon will use when it next starts on this root; null for a layout or an
    /// archive of images, which is no data root.
    pub next_start: Option<NextStart>,
    /// What to change to see what is hidden.
    #[serde(default)]
    pub changes: Vec<ChangeRow>,
    /// What was found on the way.
    #[serde(default)]
    pub findings: Vec<FindingRow>,
}

/// One store of a data root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StoreRow {
    /// Which kind of store it is.
    pub store: StoreKind,
    /// The graph driver or snapshotter.
    pub driver: String,
    /// Where it is.
    pub path: String,
    /// How many images it holds.
    pub images: u64,
    /// How many containers have their files in it.
    pub containers: u64,
    /// The bytes it takes on disk; null where they were not counted.
    pub bytes: Option<u64>,
    /// Whether there are too many files to look at each, so that `bytes` is the sum of what the store
    /// itself has on record.
    #[serde(default)]
    pub bytes_estimated: bool,
    /// Whether a daemon has it open now.
    pub open_by_daemon: bool,
    /// Whether the daemon that uses this data root will not show it.
    pub hidden: bool,
}

/// The choice of each daemon, as its own code would make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NextStart {
    /// Docker 28 and older.
    pub docker_28: ChoiceRow,
    /// Docker 29.
    pub docker_29: ChoiceRow,
    /// Rancher Desktop with its choice of store left at automatic.
    pub rancher_auto: ChoiceRow,
}

/// A store, and why it is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChoiceRow {
    /// The store; null if the daemon will refuse to start.
    pub store: Option<StoreKind>,
    /// Why, as a clause: `features.containerd-snapshotter is true in /etc/docker/daemon.json`.
    pub why: String,
}

/// What makes a store visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangeRow {
    /// The store that becomes visible.
    pub to: StoreKind,
    /// What to do, as an order: `set features.containerd-snapshotter to false`.
    pub what: String,
    /// A command that does it, if there is one.
    pub command: Option<String>,
}
