//! What is different between two trees: a container and what it stands on, or any two.

mod compare;
mod details;
mod sides;

pub use compare::{Changes, Linked, Rule, Upper, compare};
pub use details::{Detail, details, sha256};
pub use sides::{Pair, Wanted, open};

use crate::tree::{Metadata, TreePathBuf};

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is other than it was, or something in it is.
    Changed,
    /// It is new.
    Added,
    /// It is gone, with all that was in it.
    Deleted,
}

impl Change {
    /// Returns the letter that `docker diff` shows.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Changed => 'C',
            Self::Added => 'A',
            Self::Deleted => 'D',
        }
    }
}

/// A path that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where, from the root of both.
    pub path: TreePathBuf,
    /// What became of it.
    pub change: Change,
    /// What was there.
    pub old: Option<Metadata>,
    /// What is there.
    pub new: Option<Metadata>,
}
