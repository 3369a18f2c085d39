//! What a store says of itself, held against itself and against what is there.

use std::collections::BTreeMap;

use crate::digest::{BlobId, ChainId};
use crate::model::Finding;

/// What came of looking at all that a store keeps, but for the content.
#[derive(Debug, Default)]
pub struct Audit {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What was looked at: the sort of thing, such as `layers` or `leases`, and how many.
    pub checked: BTreeMap<&'static str, u64>,
    /// What its daemon makes of each image and container at its next start.
    pub starts: Vec<Start>,
}

/// What a daemon makes of an image or container when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Whether it is a container; else an image.
    pub container: bool,
    /// Its ID: a digest for an image, 64 hexadecimal digits for a container.
    pub id: String,
    /// What people call it; may be none.
    pub names: Vec<String>,
    /// Why it would not be there, or could not be used; nothing if all is well.
    pub fails: Option<String>,
    /// Whether the daemon passes it over without a word.
    pub silently: bool,
}

/// Bytes that can be held against a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes under their own digest: [`Source::blob`](super::Source::blob).
    Blob {
        /// Their digest.
        blob: BlobId,
        /// How many.
        size: u64,
    },
    /// A layer: its tar, and where the tar is not made of them, the files beside it:
    /// [`Source::layer`](super::Source::layer).
    Layer {
        /// Which one.
        chain_id: ChainId,
        /// Bytes of its files, as the store counts them.
        size: u64,
    },
}
