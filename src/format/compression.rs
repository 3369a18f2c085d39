//! Compressed streams, told apart by their first bytes.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all, or in no way known here.
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
    /// bzip2; known by name only.
    Bzip2,
    /// xz; known by name only.
    Xz,
}

/// How many bytes [`Compression::sniff`] looks at.
pub const SNIFF: usize = 6;

/// What is compressed may grow by this and by [`RATIO`] times its size.
const GROWTH: u64 = 1 << 30;

/// zstd makes good files smaller by 10, text by 100. What grows more is a bomb.
pub const RATIO: u64 = 1000;

/// Returns how many bytes may come of `packed` compressed ones.
#[must_use]
pub fn most(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).saturating_add(GROWTH)
}

impl Compression {
    /// Returns what `start`, the first [`SNIFF`] bytes, say.
    ///
    /// moby pkg/archive DetectCompression
    #[must_use]
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame to skip may come before the first frame with data.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }

    /// Returns `input` decompressed.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for what is known by name only.
    pub fn reader<'a>(
        self,
        input: impl BufRead + Send + 'a,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
            Self::Bzip2 | Self::Xz => {
                let what = format!("{} compression is not supported", self.name());
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).expect("a vector takes every write");
        out.finish().expect("a vector takes every write")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).expect("a vector takes every write")
    }

    #[test]
    fn what_is_sniffed_is_read() {
        let skipped = [b"\x5a\x2a\x4d\x18\x02\0\0\0zz".as_slice(), &zstd(b"plain")].concat();
        for (bytes, want) in [
            (b"plain".to_vec(), Compression::None),
            (gzip(b"plain"), Compression::Gzip),
            ([gzip(b"pl"), gzip(b"ain")].concat(), Compression::Gzip),
            (zstd(b"plain"), Compression::Zstd),
            ([zstd(b"pl"), zstd(b"ain")].concat(), Compression::Zstd),
            (skipped, Compression::Zstd),
        ] {
            assert_eq!(Compression::sniff(&bytes), want);
            let mut plain = String::new();
            let mut reader = want.reader(bytes.as_slice()).expect("a known compression");
            reader.read_to_string(&mut plain).expect("whole");
            assert_eq!(plain, "plain", "{want:?}");
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for bytes in [gzip(b"plain"), zstd(b"plain")] {
            let cut = &bytes[..bytes.len() - 1];
            let mut reader = Compression::sniff(cut).reader(cut).expect("a known compression");
            assert!(reader.read_to_end(&mut Vec::new()).is_err());
        }
    }

    #[test]
    fn short_and_foreign_starts_are_told_apart() {
        for (start, want) in [
            (b"".as_slice(), Compression::None),
            (b"\x1f\x8b", Compression::None),
            (b"BZh91A", Compression::Bzip2),
            (b"\xfd7zXZ\0", Compression::Xz),
        ] {
            assert_eq!(Compression::sniff(start), want);
        }
        let error = Compression::Xz.reader(io::empty()).err().expect("not supported");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
