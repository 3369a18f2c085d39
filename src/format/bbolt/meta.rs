//! Meta pages: where the tree starts and the used pages end.
//! bbolt v1.4.3 internal/common/meta.go

use super::page::HEADER;
use crate::error::DecodeError;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Stands for the freelist of a file that keeps none. bbolt v1.4.3 internal/common/types.go
const NO_FREELIST: u64 = u64::MAX;
/// The fields, then the checksum of the fields.
const FIELDS: usize = 56;
const SIZE: usize = FIELDS + 8;

/// Page sizes that are believed: the smallest that holds a meta to the largest that bbolt looks for.
const MIN_PAGE_SIZE: u32 = 512;
const MAX_PAGE_SIZE: u32 = 16 << 20;

/// What a meta page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// Where in the file its page starts.
    pub(super) offset: u64,
    pub(super) page_size: u32,
    /// The root bucket's root page.
    pub(super) root: u64,
    /// The root bucket's sequence.
    pub(super) sequence: u64,
    pub(super) freelist: Option<u64>,
    /// The first page that was never used.
    pub(super) end: u64,
    pub(super) txid: u64,
}

/// Returns whether pages can have this size.
pub(super) fn is_page_size(size: u32) -> bool {
    size.is_power_of_two() && (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&size)
}

/// Returns the sizes that pages can have, the smallest first.
pub(super) fn page_sizes() -> impl Iterator<Item = u32> {
    (MIN_PAGE_SIZE.ilog2()..=MAX_PAGE_SIZE.ilog2()).map(|bits| 1 << bits)
}

/// Returns the meta in force: of the valid ones the one with the larger transaction.
pub(super) fn in_force(bytes: &[u8]) -> Result<Meta, DecodeError> {
    let first = Meta::decode(bytes, 0);
    let second = match &first {
        Ok(first) => Meta::decode(bytes, first.page_size),
        Err(_) => probe(bytes),
    };
    match (first, second) {
        (Ok(first), Ok(second)) if second.txid > first.txid => Ok(second),
        (Ok(meta), _) | (Err(_), Ok(meta)) => Ok(meta),
        (Err(first), Err(second)) => Err(DecodeError::new(
            first.offset,
            format!("no valid meta page: {}; the second: {}", first.what, second.what),
        )),
    }
}

/// Returns the second meta of a file whose first, which would tell where, is lost.
fn probe(bytes: &[u8]) -> Result<Meta, DecodeError> {
    page_sizes()
        .map(|size| Meta::decode(bytes, size))
        .find(Result::is_ok)
        .unwrap_or_else(|| Err(DecodeError::new(0, "not found at any page size")))
}

impl Meta {
    /// Reads the meta page that starts at byte `offset`: 0, or the size of a page.
    pub(super) fn decode(bytes: &[u8], offset: u32) -> Result<Self, DecodeError> {
        let wrong = |what: String| Err(DecodeError::new(offset.into(), what));
        let start = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(HEADER);
        let Some(body) = bytes.get(start..).and_then(<[u8]>::first_chunk::<SIZE>) else {
            return wrong(format!("the file ends after {} bytes", bytes.len()));
        };
        let (meta, [magic, version], checksum) = Self::parse(body, offset);
        if [magic.swap_bytes(), version.swap_bytes()] == [MAGIC, VERSION] {
            return wrong("a big-endian file, as s390x writes them, which is not supported".into());
        }
        if magic != MAGIC {
            return wrong(format!("magic {magic:#010x}, wanted {MAGIC:#010x}"));
        }
        if version != VERSION {
            return wrong(format!("version {version}, wanted {VERSION}"));
        }
        if checksum != fnv1a(body) {
            return wrong(format!("checksum {checksum:#018x}, wanted {:#018x}", fnv1a(body)));
        }
        if !is_page_size(meta.page_size) || offset != 0 && offset != meta.page_size {
            return wrong(format!("pages of {} bytes", meta.page_size));
        }
        Ok(meta)
    }

    /// Reads what a meta page says, be it valid or not.
    pub(super) fn believed(bytes: &[u8], offset: u32) -> Option<Self> {
        let start = usize::try_from(offset).ok()?.saturating_add(HEADER);
        let body = bytes.get(start..)?.first_chunk::<SIZE>()?;
        Some(Self::parse(body, offset).0)
    }

    fn parse(body: &[u8; SIZE], offset: u32) -> (Self, [u32; 2], u64) {
        let (words, _) = body.as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        let [magic, version] = halves(word(0));
        let [page_size, _flags] = halves(word(1));
        let meta = Self {
            offset: offset.into(),
            page_size,
            root: word(2),
            sequence: word(3),
            freelist: Some(word(4)).filter(|id| *id != NO_FREELIST),
            end: word(5),
            txid: word(6),
        };
        (meta, [magic, version], word(7))
    }

    /// Returns the bytes that stand after the page's header.
    pub(super) fn encode(&self) -> [u8; SIZE] {
        let [magic, version, page_size] = [MAGIC, VERSION, self.page_size].map(u64::from);
        let words = [
            magic | version << 32,
            page_size,
            self.root,
            self.sequence,
            self.freelist.unwrap_or(NO_FREELIST),
            self.end,
            self.txid,
        ];
        let mut body = [0; SIZE];
        for (to, word) in body.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
        let checksum = fnv1a(&body);
        if let Some(to) = body.last_chunk_mut() {
            *to = checksum.to_le_bytes();
        }
        body
    }
}

/// Returns the two little-endian halves of a word, the one that stands first in the file first.
fn halves(word: u64) -> [u32; 2] {
    [word, word >> 32].map(|half| u32::try_from(half & u64::from(u32::MAX)).unwrap_or(0))
}

/// Returns the 64-bit FNV-1a hash of the fields.
fn fnv1a(body: &[u8; SIZE]) -> u64 {
    body.iter().take(FIELDS).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of two 4 KiB pages as bbolt's `init` makes the first two.
    fn fresh(page_size: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for txid in [0, 1] {
            let meta = Meta {
                offset: 0,
                page_size,
                root: 3,
                sequence: 0,
                freelist: Some(2),
                end: 4,
                txid,
            };
            let start = bytes.len();
            bytes.extend([0; HEADER]);
            bytes.extend(meta.encode());
            bytes.resize(start + page_size as usize, 0);
        }
        bytes
    }

    #[test]
    fn bbolts_own_checksums() {
        let bytes = fresh(4096);
        assert_eq!(bytes[72..80], 0x0751_6e11_4689_fdee_u64.to_le_bytes());
        assert_eq!(bytes[4096 + 72..][..8], 0x264c_351a_5179_480f_u64.to_le_bytes());
    }

    #[test]
    fn the_larger_valid_transaction_is_in_force() {
        for size in [512, 1024, 4096, 16384, 65536, 1 << 20] {
            let mut bytes = fresh(size);
            let meta = in_force(&bytes).expect("both are valid");
            assert_eq!((meta.txid, meta.page_size, meta.freelist), (1, size, Some(2)));

            bytes[size as usize + 40] ^= 1;
            assert_eq!(in_force(&bytes).expect("the first is valid").txid, 0);

            let mut bytes = fresh(size);
            bytes[20] ^= 1;
            assert_eq!(in_force(&bytes).expect("the second is valid").txid, 1);
        }
    }

    #[test]
    fn each_fault_is_named() {
        let with = |at: usize, value: u32| {
            let mut bytes = fresh(4096);
            for page in [0, 4096] {
                bytes[page + at..][..4].copy_from_slice(&value.to_le_bytes());
            }
            in_force(&bytes).expect_err("both metas are bad").what
        };
        assert!(with(16, 0x5caf_f01d).contains("magic 0x5caff01d, wanted 0xed0cdaed"));
        assert!(with(20, 3).contains("version 3, wanted 2"));
        assert!(with(24, 8192).contains("checksum"));
        assert!(with(72, 0).contains("checksum"));
        for length in [0, 16, 79] {
            let error = in_force(&fresh(4096)[..length]).expect_err("too short");
            assert!(error.what.contains(&format!("ends after {length} bytes")), "{error}");
        }
    }

    #[test]
    fn impossible_page_sizes_are_refused() {
        for size in [0, 1, 256, 4095, 4097, 32 << 20, u32::MAX] {
            let meta = Meta { page_size: size, ..in_force(&fresh(4096)).expect("both are valid") };
            let mut bytes = fresh(4096);
            bytes[HEADER..][..SIZE].copy_from_slice(&meta.encode());
            bytes[4096 + 20] = 0;
            let error = in_force(&bytes).expect_err("no such page size");
            assert!(error.what.contains(&format!("pages of {size} bytes")), "{error}");
        }
    }

    #[test]
    fn files_of_big_endian_machines_are_named() {
        let mut bytes = fresh(4096);
        for page in [0, 4096] {
            for field in bytes[page + HEADER..][..16].as_chunks_mut::<4>().0 {
                field.reverse();
            }
        }
        let error = in_force(&bytes).expect_err("big-endian");
        assert!(error.what.contains("big-endian"), "{error}");
    }
}
