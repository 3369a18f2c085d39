//! The events of `--progress json`, one a line.

use serde::{Deserialize, Serialize};

/// One event. Fields and events are only ever added to this schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventRow {
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// The job of `tranship run` that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan is made, and work begins. Always the first, unless it failed before.
    Start {
        /// The bytes to be done.
        bytes: u64,
        /// The layers to be done.
        layers: u64,
    },
    /// Another part of the work begins.
    Phase {
        /// Which: `layers` or `commit`.
        phase: String,
    },
    /// How far the work is; a few times a second at most.
    Progress {
        /// The bytes done.
        bytes: u64,
        /// The layers done.
        layers: u64,
    },
    /// All is done. Always the last, unless it failed.
    Done {
        /// The bytes done: all of them.
        bytes: u64,
        /// The layers done.
        layers: u64,
        /// The images that are in the target by this.
        images: u64,
        /// The images that a damaged layer kept from moving.
        failed: u64,
        /// The bytes that were written.
        written: u64,
    },
    /// It was not done. Always the last.
    Failed {
        /// Why.
        error: String,
        /// The exit code of a command that fails so.
        exit: u8,
    },
}
