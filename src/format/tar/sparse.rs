//! Maps of files with holes: old GNU, and GNU's three PAX forms.

use tar_core::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::{BLOCK, long, pax};
use crate::error::DecodeError;

/// The most pieces of data one file may have; what fits a map of a few megabytes.
const CHUNK_LIMIT: usize = 1 << 18;

/// A piece of a file that holds data; what lies between two pieces is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// How reading something of unknown length went.
pub(super) enum Progress<T> {
    /// It is there, and took so many bytes.
    Done(T, usize),
    /// It is not all there: more bytes are needed than these.
    Short,
}

/// Reads the map of an old GNU sparse header (type `S`) and of its extension blocks, with which `after`
/// begins; the size is the file's with holes.
///
/// vbatts/tar-split archive/tar/reader.go readOldGNUSparseMap
pub(super) fn old_gnu(
    header: &Header,
    after: &[u8],
) -> Result<Progress<(Vec<Chunk>, u64)>, DecodeError> {
    let bad = |error| DecodeError::new(0, format!("bad sparse map: {error}"));
    let gnu = header.try_as_gnu().ok_or_else(|| {
        DecodeError::new(0, "a sparse file (type S) in a header that is not GNU tar's")
    })?;
    let size = gnu.real_size().map_err(bad)?;
    let mut chunks = Vec::new();
    push_chunks(&mut chunks, &gnu.sparse)?;
    let (mut rest, mut more) = (after, gnu.isextended != [0]);
    while more {
        let Some((block, next)) = rest.split_first_chunk::<BLOCK>() else {
            return Ok(Progress::Short);
        };
        let extension = extension(block);
        push_chunks(&mut chunks, &extension.sparse)?;
        (rest, more) = (next, extension.isextended != [0]);
    }
    Ok(Progress::Done((chunks, size), after.len().saturating_sub(rest.len())))
}

/// Returns a block of more descriptors: 21 of 24 bytes, and whether more blocks follow.
fn extension(block: &[u8; BLOCK]) -> GnuExtSparseHeader {
    let mut extension = GnuExtSparseHeader::default();
    let (descriptors, end) = block.as_chunks::<24>();
    for (to, descriptor) in extension.sparse.iter_mut().zip(descriptors) {
        let (offset, length) = descriptor.split_at(12);
        to.offset.copy_from_slice(offset);
        to.numbytes.copy_from_slice(length);
    }
    extension.isextended = [end.first().copied().unwrap_or_default()];
    extension
}

fn push_chunks(chunks: &mut Vec<Chunk>, from: &[GnuSparseHeader]) -> Result<(), DecodeError> {
    for descriptor in from.iter().take_while(|descriptor| descriptor.offset[0] != 0) {
        let entry = descriptor
            .to_sparse_entry()
            .map_err(|error| DecodeError::new(0, format!("bad sparse map: {error}")))?;
        chunks.push(Chunk { offset: entry.offset, length: entry.length });
    }
    if chunks.len() > CHUNK_LIMIT {
        return Err(DecodeError::new(
            0,
            format!("a sparse file of more than {CHUNK_LIMIT} pieces"),
        ));
    }
    Ok(())
}

/// Reads the map at the start of the data of a PAX 1.0 sparse file: a count, then offsets and lengths,
/// each on a line, padded to a block.
pub(super) fn in_data(data: &[u8]) -> Result<Progress<Vec<Chunk>>, DecodeError> {
    let mut lines = Lines { data, at: 0 };
    let Some(count) = lines.number()? else {
        return Ok(Progress::Short);
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > CHUNK_LIMIT {
        return Err(DecodeError::new(0, format!("a sparse file of {count} pieces")));
    }
    let mut chunks = Vec::new();
    for _ in 0..count {
        let (Some(offset), Some(length)) = (lines.number()?, lines.number()?) else {
            return Ok(Progress::Short);
        };
        chunks.push(Chunk { offset, length });
    }
    match lines.at.next_multiple_of(BLOCK) {
        used if used <= data.len() => Ok(Progress::Done(chunks, used)),
        _ => Ok(Progress::Short),
    }
}

/// Numbers, one a line.
struct Lines<'a> {
    data: &'a [u8],
    at: usize,
}

impl Lines<'_> {
    /// Returns the next number, or nothing if its line is not all there.
    fn number(&mut self) -> Result<Option<u64>, DecodeError> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        // No number has more than 20 digits: a longer line is no reason to wait for its end.
        let start = rest.get(..21).unwrap_or(rest);
        let number = match start.split_inclusive(|b| *b == b'\n').next() {
            Some([digits @ .., b'\n']) => pax::decimal(digits).map(|number| (number, digits.len())),
            _ if start.len() <= 20 => return Ok(None),
            _ => None,
        };
        let bad = || DecodeError::new(long(self.at), "not a number in a sparse map");
        let (number, digits) = number.ok_or_else(bad)?;
        self.at = self.at.saturating_add(digits).saturating_add(1);
        Ok(Some(number))
    }
}

/// Checks that `chunks` lie in order in a file of `size` bytes and are all among the `stored` bytes.
pub(super) fn check(chunks: &[Chunk], size: u64, stored: u64) -> Result<(), DecodeError> {
    let (mut end, mut sum) = (0u64, 0u64);
    for chunk in chunks {
        let next = chunk.offset.checked_add(chunk.length);
        match next {
            Some(next) if chunk.offset >= end && next <= size => end = next,
            _ => {
                return Err(DecodeError::new(0, "pieces of a sparse file overlap or lie outside"));
            }
        }
        sum = sum.saturating_add(chunk.length);
    }
    if sum > stored {
        return Err(DecodeError::new(
            0,
            format!("a sparse file of {sum} bytes stored in {stored}"),
        ));
    }
    Ok(())
}
