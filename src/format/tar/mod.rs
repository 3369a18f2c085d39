//! Tar archives, header by header, as Go's `archive/tar` understands them: both daemons read layers
//! with it, so where tar programs disagree, its reading is the one that counts.
//!
//! [`Reader`] walks an archive of any size in bounded memory and keeps the raw bytes of every header,
//! which is what taking a layer apart byte by byte needs.

mod buffer;
#[cfg(test)]
pub(crate) mod build;
mod header;
mod pax;
mod read;
mod sparse;
mod watch;

use std::borrow::Cow;

pub use header::decode;
pub use pax::push_record;
pub use read::{Next, Reader};
pub use sparse::Chunk;
pub use watch::{Watch, watch};

/// The unit of a tar archive: headers take whole blocks, and data is padded to them.
pub const BLOCK: usize = 512;

/// The most bytes that one member may use before its data: its header, long names, PAX records and
/// sparse map. Go stops at 1 MiB for each of these.
pub const HEADER_LIMIT: usize = 16 << 20;

/// Returns a length as one of an archive.
pub(super) fn long(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What a member of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of a file earlier in the archive.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Dir,
    /// A named pipe.
    Fifo,
    /// PAX records for all members that follow; no file.
    Global,
    /// Something else, by its type flag.
    Other(u8),
}

impl Kind {
    /// Returns whether no data follows the header, whatever size it gives.
    ///
    /// vbatts/tar-split archive/tar/common.go isHeaderOnlyType
    #[must_use]
    pub fn is_header_only(self) -> bool {
        use Kind::{Block, Char, Dir, Fifo, HardLink, Symlink};
        matches!(self, HardLink | Symlink | Char | Block | Dir | Fifo)
    }
}

/// One member of an archive, with its long names and PAX records applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Every byte from the end of the previous member's padding to the first byte of data. Of a
    /// global header its records are part, and what pads them is not.
    pub raw: &'a [u8],
    /// Where `raw` begins in the archive.
    pub offset: u64,
    /// What it is.
    pub kind: Kind,
    /// The path as the archive spells it.
    pub path: Cow<'a, [u8]>,
    /// What a hard or symbolic link leads to; empty without one.
    pub link: Cow<'a, [u8]>,
    /// Permission, set-id and sticky bits; higher bits are dropped.
    pub mode: u16,
    /// The owner; a negative one wraps.
    pub uid: u64,
    /// The group; a negative one wraps.
    pub gid: u64,
    /// Seconds since 1970 and nanoseconds after that second.
    pub mtime: (i64, u32),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Bytes of the file when read, holes included; for a member without data, what the header says.
    pub size: u64,
    /// Bytes of data in the archive, without padding.
    pub stored: u64,
    /// Where the data lies in the file, if the file has holes.
    pub sparse: Option<Vec<Chunk>>,
    /// Extended attributes (`SCHILY.xattr.` records): full names and values. Of two with
    /// one name the last counts.
    pub xattrs: Vec<(&'a [u8], &'a [u8])>,
}

#[cfg(test)]
mod tests;
