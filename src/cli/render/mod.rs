//! Rows to text.

pub(crate) mod card;
pub(crate) mod diff;
pub(crate) mod error;
pub(crate) mod findings;
pub(crate) mod images;
pub(crate) mod json;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod migrate;
mod moved;
pub(crate) mod ps;
pub(crate) mod reclaim;
pub(crate) mod records;
pub(crate) mod repair;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod undo;
pub(crate) mod units;
pub(crate) mod usage;
pub(crate) mod verify;
pub(crate) mod volumes;
pub(crate) mod whois;

/// How wide to set text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Widths {
    /// The terminal's width, for tables; none on a pipe.
    pub(crate) table: Option<usize>,
    /// The width of paragraphs.
    pub(crate) text: usize,
}
