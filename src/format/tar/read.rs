//! Walks an archive.

use std::io::{self, Read, Seek, SeekFrom};

use super::header::{self, Span};
use super::{BLOCK, HEADER_LIMIT, Member};
use crate::error::DecodeError;

/// What is read from the input at once.
const BUFFER: usize = 128 << 10;

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
    buffer: Vec<u8>,
    /// What is in `buffer` and not used: `start..end`.
    start: usize,
    end: usize,
    /// Where in the archive `start` is.
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
        let buffer = vec![0; BUFFER];
        Self { input, buffer, start: 0, end: 0, offset: 0, data: 0, padding: 0 }
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
        let have = self.fill(BLOCK)?;
        let here = &self.buffer[self.start..self.end];
        if have == 0 {
            return Ok(Next::End(&[]));
        }
        if have >= BLOCK && is_zero(&here[..BLOCK]) {
            return self.end_blocks();
        }
        let length = self.headers(at)?;
        let start = self.start;
        self.advance(length);
        let raw = &self.buffer[start..start + length];
        let member = header::decode(raw, at).map_err(|error| shift(error, at))?;
        self.data = member.stored;
        let used = length as u64 + member.stored;
        self.padding = used.next_multiple_of(BLOCK as u64) - used;
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
        let start = self.start;
        let taken = self.held().min(self.data);
        self.data -= taken;
        self.advance(taken as usize);
        Ok(&self.buffer[start..self.start])
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
        let start = self.start;
        let taken = self.held().min(self.padding);
        self.padding -= taken;
        self.advance(taken as usize);
        Ok(&self.buffer[start..self.start])
    }

    /// Returns the next piece of what follows the archive's end, up to where `step` divides the offset;
    /// an empty one at the end of the input.
    ///
    /// # Errors
    /// Those of the input.
    pub fn rest(&mut self, step: usize) -> io::Result<&[u8]> {
        let most = step - (self.offset % step as u64) as usize;
        let taken = self.fill(most)?.min(most);
        let start = self.start;
        self.advance(taken);
        Ok(&self.buffer[start..self.start])
    }

    /// Returns the zero blocks at the end of the archive.
    fn end_blocks(&mut self) -> io::Result<Next<'_>> {
        let have = self.fill(2 * BLOCK)?.min(2 * BLOCK);
        let zero = is_zero(&self.buffer[self.start..self.start + have]);
        let what = match have {
            _ if !zero => "one zero block where the archive ends with two",
            BLOCK | 1024 => {
                let start = self.start;
                self.advance(have);
                return Ok(Next::End(&self.buffer[start..self.start]));
            }
            _ => "the archive ends inside its last block",
        };
        Err(DecodeError::new(self.offset, what).into())
    }

    /// Buffers the next member's headers whole and returns their length.
    fn headers(&mut self, at: u64) -> io::Result<usize> {
        let mut want = BLOCK;
        loop {
            let have = self.fill(want)?;
            let here = &self.buffer[self.start..self.end];
            if let Span::Whole(length) = header::span(here).map_err(|error| shift(error, at))? {
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
            want = (have * 2).min(HEADER_LIMIT);
        }
    }

    fn held(&self) -> u64 {
        (self.end - self.start) as u64
    }

    fn advance(&mut self, by: usize) {
        self.start += by;
        self.offset += by as u64;
    }

    /// Reads until `want` bytes are at hand or the input ends; returns how many are.
    fn fill(&mut self, want: usize) -> io::Result<usize> {
        while self.end - self.start < want {
            if self.start + want > self.buffer.len() || self.start == self.end {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
                self.buffer.resize(self.buffer.len().max(want), 0);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.end - self.start)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Skips the rest of the member's data; moves the input where that is faster than reading. The
    /// caller must know that the data is there.
    ///
    /// # Errors
    /// Those of the input.
    pub fn skip_data(&mut self) -> io::Result<()> {
        let held = self.held().min(self.data);
        self.advance(held as usize);
        self.data -= held;
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

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

fn shift(error: DecodeError, by: u64) -> DecodeError {
    DecodeError { offset: error.offset.saturating_add(by), ..error }
}
