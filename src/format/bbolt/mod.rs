//! bbolt, the B+tree file in which containerd, BuildKit and dockerd keep their records.
//!
//! A file is an array of pages. Two *meta* pages name the root of a tree of *branch* and *leaf*
//! pages; a leaf's value may be a bucket: the root of another tree, or a small tree's only leaf,
//! *inline*. Everything is little-endian on the machines that are supported.
//!
//! ```text
//! page 0  meta, even transactions ┐ the valid one with the larger transaction
//! page 1  meta, odd transactions  ┘ is in force: root, freelist, end of the used pages
//! page 2… branch │ leaf │ freelist, each with as many overflow pages as it needs
//! ```
//!
//! Reading borrows: [`Db::open`] looks at the meta pages only, a [`Bucket`] at the pages it is asked
//! about. A file is never edited in place: it is [loaded](load) as an [`OwnedBucket`], changed, and
//! [written](Layout) whole, so there is no free page to find and no torn page to leave behind.
//!
//! A bucket that is read lazily is sound in itself, or says where it is not. That no two buckets
//! share a page is known only after [`check`] or [`load`]: whoever walks nested buckets of a file
//! from an unknown hand calls one of them first.

mod check;
mod entries;
#[cfg(test)]
mod hostile;
mod meta;
mod page;
mod pen;
mod read;
mod salvage;
mod value;
mod write;

pub use check::{Summary, check};
pub use read::{Bucket, Item, Iter};
pub use salvage::{Home, Lost, Salvaged, salvage};
pub use value::{Node, OwnedBucket, load};
pub use write::{EncodeError, Layout, Options, write};

use crate::error::DecodeError;
use meta::Meta;
use page::{Page, Pages};

/// The longest key. bbolt v1.4.3 bucket.go MaxKeySize
pub const MAX_KEY_SIZE: usize = 32_768;

/// The longest value. bbolt v1.4.3 bucket.go MaxValueSize
pub const MAX_VALUE_SIZE: usize = (1 << 31) - 2;

/// How deep buckets may nest below the root; containerd needs seven.
pub const MAX_NESTING: usize = 16;

/// A bbolt file, open for reading.
#[derive(Clone, Copy, Debug)]
pub struct Db<'a> {
    pages: Pages<'a>,
    meta: Meta,
    root: Page<'a>,
}

impl<'a> Db<'a> {
    /// Opens the file whose content is `bytes` at its newest valid meta page.
    ///
    /// # Errors
    /// Neither meta page is valid, or the file is shorter than the one in force says.
    pub fn open(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let meta = meta::in_force(bytes)?;
        let pages = Pages::new(bytes, meta.page_size, meta.end)?;
        let root = pages.get(meta.root, meta.offset)?;
        Ok(Self { pages, meta, root })
    }

    /// Returns the bucket that holds all others.
    #[must_use]
    pub fn root(&self) -> Bucket<'a> {
        Bucket::root(self.pages, self.root, self.meta.sequence)
    }

    /// Returns the size of a page in bytes, which need not be that of this machine's pages.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        self.meta.page_size
    }

    /// Returns the number of the last transaction.
    #[must_use]
    pub fn txid(&self) -> u64 {
        self.meta.txid
    }

    /// Returns whether the file lists its free pages; containerd's `meta.db` does not.
    #[must_use]
    pub fn has_freelist(&self) -> bool {
        self.meta.freelist.is_some()
    }
}
