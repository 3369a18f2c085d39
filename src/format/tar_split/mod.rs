//! tar-split: a layer's tar without the bytes of its files, so that tar and files together give the
//! layer back byte for byte. The classic store keeps one of these for every layer.
//!
//! It is a sequence of JSON objects, in order: a [`Segment`](Entry::Segment) is written as it is, for a
//! [`File`](Entry::File) its bytes are taken from the unpacked layer. vbatts/tar-split tar/storage

mod disassemble;
mod paths;
mod read;
mod write;

use crc_fast::{CrcAlgorithm, Digest};

pub use disassemble::{Summary, disassemble};
pub use paths::Apart;
pub use read::Entries;
pub use write::Writer;

/// One step of putting a tar together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Bytes of the tar: headers, padding, and data that is not kept in a file.
    Segment(Vec<u8>),
    /// A member of the tar; if its size is not zero, the bytes of a file follow.
    File {
        /// The path as the tar spells it: a slash may end it, anything may be in it.
        name: Vec<u8>,
        /// How many bytes.
        size: u64,
        /// Their checksum, where there are any.
        crc: Option<[u8; 8]>,
    },
}

/// The checksum that tar-split keeps of files: CRC-64/GO-ISO, most significant byte first.
#[derive(Debug)]
pub struct Crc(Digest);

impl Default for Crc {
    fn default() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64GoIso))
    }
}

impl Crc {
    /// Returns the checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> [u8; 8] {
        let mut crc = Self::default();
        crc.update(bytes);
        crc.finish()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the checksum of all bytes added.
    #[must_use]
    pub fn finish(&self) -> [u8; 8] {
        self.0.finalize().to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// Computed with Go's `hash/crc64`.
    #[test]
    fn checksums_are_go_s() {
        for (bytes, want) in
            [("", "AAAAAAAAAAA="), ("123456789", "uQlWx3WkEAE="), ("hello\n", "YUw+7uLYEAA=")]
        {
            assert_eq!(STANDARD.encode(Crc::of(bytes.as_bytes())), want, "{bytes:?}");
        }
        let mut parts = Crc::default();
        parts.update(b"1234");
        parts.update(b"56789");
        assert_eq!(parts.finish(), Crc::of(b"123456789"));
    }
}
