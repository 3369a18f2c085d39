//! Walks an archive.

use std::io::{self, Read, Seek, SeekFrom};

use super::buffer::Buffer;
use super::header::{self, Span};
use super::{BLOCK, HEADER_LIMIT, Member, long};
use crate::error::DecodeError;

/// Skipping this much or more moves the input instead of reading it.
const SEEK_FROM: u64 = 256 << 10;

/// Reads a tar archive member by member, in memory bounded by [`HEADER_LIMIT`].
///
/// After a member, [`data`](Self::data) gives its data and [`padding`](Self::padding) what fills its
/// last block; what is not asked for is skipped. Errors of the input are passed on, others hold a
/// [`DecodeError`].
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    buffer: Buffer,
    /// Where in the archive the first byte at hand is.
    offset: u64,
    /// What is left of the member's data and of its padding.
    data: u64,
    padding: u64,
}

/// What comes next in an archive.
#[derive(Debug)]
pub enum Next<'a> {
    /// A member.
    Member(Member<'a>),
    /// The end, with the zero blocks that mark it: two; one; or none where the input just ends.
    End(&'a [u8]),
}

impl<R: Read> Reader<R> {
    /// Returns a reader of the archive that `input` begins with.
    pub fn new(input: R) -> Self {
        Self { input, buffer: Buffer::new(), offset: 0, data: 0, padding: 0 }
    }

    /// Returns how many bytes of the archive are used.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next member's headers.
    ///
    /// # Errors
    /// Those of the input, and a [`DecodeError`] for what is no tar or ends too early. Padding that is
    /// missing at the very end is none: Go does without.
    pub fn member(&mut self) -> io::Result<Next<'_>> {
        while !self.data()?.is_empty() {}
        while !self.padding()?.is_empty() {}
        let at = self.offset;
        if self.fill(BLOCK)? == 0 {
            return Ok(Next::End(&[]));
        }
        if self.buffer.held().get(..BLOCK).is_some_and(is_zero) {
            return self.end_blocks();
        }
        let length = self.headers(at)?;
        self.advance(length);
        let member =
            header::decode(self.buffer.behind(length), at).map_err(|error| shift(error, at))?;
        self.data = member.stored;
        // What is in a map is whole blocks, and so is all else but a global header's records.
        self.padding = to_block(long(length)).saturating_add(to_block(member.stored));
        Ok(Next::Member(member))
    }

    /// Returns the next piece of the member's data; an empty one at its end.
    ///
    /// # Errors
    /// Those of the input, and a [`DecodeError`] if it ends before the data does.
    pub fn data(&mut self) -> io::Result<&[u8]> {
        if self.data == 0 {
            return Ok(&[]);
        }
        if self.fill(1)? == 0 {
            let what = format!("the archive ends, {} bytes before the data does", self.data);
            return Err(DecodeError::new(self.offset, what).into());
        }
        let taken = self.at_most(self.data);
        self.data = self.data.saturating_sub(long(taken));
        Ok(self.take(taken))
    }

    /// Returns the next piece of what pads the member's data to a block; an empty one at its end.
    ///
    /// # Errors
    /// Those of the input.
    pub fn padding(&mut self) -> io::Result<&[u8]> {
        if self.padding == 0 {
            return Ok(&[]);
        }
        if self.fill(1)? == 0 {
            self.padding = 0;
        }
        let taken = self.at_most(self.padding);
        self.padding = self.padding.saturating_sub(long(taken));
        Ok(self.take(taken))
    }

    /// Returns the next piece of what follows the archive's end, up to where `step` divides the offset;
    /// an empty one at the end of the input.
    ///
    /// # Errors
    /// Those of the input.
    pub fn rest(&mut self, step: usize) -> io::Result<&[u8]> {
        let over = self.offset.checked_rem(long(step)).unwrap_or_default();
        let most = long(step).saturating_sub(over);
        self.fill(usize::try_from(most).unwrap_or(step))?;
        let taken = self.at_most(most);
        Ok(self.take(taken))
    }

    /// Returns the zero blocks at the end of the archive.
    fn end_blocks(&mut self) -> io::Result<Next<'_>> {
        const BOTH: usize = 2 * BLOCK;
        let have = self.fill(BOTH)?.min(BOTH);
        let zero = self.buffer.held().get(..have).is_some_and(is_zero);
        let what = match have {
            _ if !zero => "one zero block where the archive ends with two",
            BLOCK | BOTH => return Ok(Next::End(self.take(have))),
            _ => "the archive ends inside its last block",
        };
        Err(DecodeError::new(self.offset, what).into())
    }

    /// Buffers the next member's headers whole and returns their length.
    fn headers(&mut self, at: u64) -> io::Result<usize> {
        let mut want = BLOCK;
        loop {
            let have = self.fill(want)?;
            let span = header::span(self.buffer.held()).map_err(|error| shift(error, at))?;
            if let Span::Whole(length) = span {
                return Ok(length);
            }
            if have < want {
                let what = format!("the archive ends after {have} bytes of a member's headers");
                return Err(DecodeError::new(at, what).into());
            }
            if have >= HEADER_LIMIT {
                let what = format!("a member's headers take more than {HEADER_LIMIT} bytes");
                return Err(DecodeError::new(at, what).into());
            }
            want = have.saturating_mul(2).min(HEADER_LIMIT);
        }
    }

    /// Returns how many bytes are at hand, but at most `most`.
    fn at_most(&self, most: u64) -> usize {
        let held = self.buffer.held().len();
        usize::try_from(most).map_or(held, |most| held.min(most))
    }

    fn advance(&mut self, by: usize) {
        self.buffer.advance(by);
        self.offset = self.offset.saturating_add(long(by));
    }

    fn take(&mut self, count: usize) -> &[u8] {
        self.advance(count);
        self.buffer.behind(count)
    }

    fn fill(&mut self, want: usize) -> io::Result<usize> {
        self.buffer.fill(&mut self.input, want)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Skips the rest of the member's data; moves the input where that is faster than reading. The
    /// caller must know that the data is there.
    ///
    /// # Errors
    /// Those of the input.
    pub fn skip_data(&mut self) -> io::Result<()> {
        let held = self.at_most(self.data);
        self.advance(held);
        self.data = self.data.saturating_sub(long(held));
        if self.data >= SEEK_FROM
            && let Ok(distance) = i64::try_from(self.data)
        {
            self.input.seek(SeekFrom::Current(distance))?;
            self.offset = self.offset.saturating_add(self.data);
            self.data = 0;
        }
        Ok(())
    }
}

/// Returns how many bytes are missing to whole blocks.
fn to_block(length: u64) -> u64 {
    length.checked_next_multiple_of(long(BLOCK)).unwrap_or(length).saturating_sub(length)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

fn shift(error: DecodeError, by: u64) -> DecodeError {
    DecodeError { offset: error.offset.saturating_add(by), ..error }
}
