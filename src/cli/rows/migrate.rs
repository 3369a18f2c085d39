//! The rows of `tranship migrate`: the plan, and after a run what became of it.

use serde::{Deserialize, Serialize};

use super::{FindingRow, StoreKind};

/// What a migration will do, or did. Fields are only ever added to this schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Migration {
    /// Whether this is a plan that was not carried out.
    pub dry_run: bool,
    /// The store that is read.
    pub source: EndRow,
    /// The store that is written.
    pub target: EndRow,
    /// The images asked for.
    pub images: Vec<MovedImage>,
    /// The containers that move.
    #[serde(default)]
    pub containers: Vec<MovedContainer>,
    /// The layers of the images that move.
    pub layers: LayerCounts,
    /// The bytes that move, and the room for them.
    pub bytes: ByteCounts,
    /// What the target cannot keep.
    pub losses: Vec<LossRow>,
    /// What stays where it is.
    pub stays: Vec<StayRow>,
    /// What was found on the way.
    pub findings: Vec<FindingRow>,
    /// What to do next, in order.
    pub next_steps: Vec<StepRow>,
    /// Whether the images are larger than the threshold, so that nothing is done.
    #[serde(default)]
    pub over_threshold: bool,
    /// The daemon's configuration file, where it was changed to show the target.
    #[serde(default)]
    pub switched: Option<String>,
}

/// One end of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EndRow {
    /// Which kind of store it is.
    pub store: StoreKind,
    /// The graph driver or snapshotter.
    pub driver: String,
    /// Where it is.
    pub path: String,
}

/// What happens to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new to the target.
    Add,
    /// The target has it already.
    Present,
    /// A damaged layer kept it from moving.
    Failed,
}

/// One image of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MovedImage {
    /// Its ID in the source.
    pub id: String,
    /// Its names as Docker shows them, those with a digest after those with a tag.
    pub names: Vec<String>,
    /// Its ID in the target; null where only the run itself will tell.
    pub becomes: Option<String>,
    /// The diff IDs of its layers, base first.
    pub layers: Vec<String>,
    /// What happens to it.
    pub action: Action,
    /// Its size in the source, in bytes.
    pub size: Option<u64>,
}

/// One container of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MovedContainer {
    /// Its ID, which it keeps.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it does, as `docker ps -a` says it.
    pub state: String,
    /// The image it was made from, as the user named it.
    pub image: String,
    /// What happens to it.
    pub action: Action,
    /// Bytes of what it and its daemon put into its folders.
    pub size: u64,
}

/// How many layers there are, each counted once however many images share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LayerCounts {
    /// The layers of all images that move.
    pub total: u64,
    /// The layers that must be read.
    pub to_read: u64,
    /// The layers that the target has already.
    pub reused: u64,
    /// The layers that are named and not written, as `--without` wants it.
    #[serde(default)]
    pub left_out: u64,
}

/// How many bytes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ByteCounts {
    /// The bytes read from the source.
    pub read: u64,
    /// The bytes to be written to the target: an estimate where layers are compressed.
    pub write: u64,
    /// The bytes free where the target is, if that can be told.
    pub free: Option<u64>,
    /// The bytes that must be free before the run begins.
    pub needed: u64,
    /// The sizes of all images asked for, each counted whole: what a threshold is held against.
    #[serde(default)]
    pub selected: u64,
    /// The bytes that were written; null in a plan.
    #[serde(default)]
    pub written: Option<u64>,
}

/// Something of an image that the target cannot keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LossRow {
    /// The image: its first name, or its ID.
    pub image: String,
    /// What is not kept.
    pub what: String,
}

/// Something that stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StayRow {
    /// What stays.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Something to do after the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StepRow {
    /// What to do, as a sentence.
    pub what: String,
    /// The command that does it, if there is one.
    pub command: Option<String>,
}
