//! The records of one file, as it is read from end to end.

use std::io::{self, BufReader, Read};

use crate::error::Result;
use crate::format::compression::Compression;
use crate::format::docker::log::{Form, Frame, LIMIT};
use crate::store::logs::LogFile;
use crate::tree::Tree;

/// What is read at once; it stays in a core's cache.
const BUFFER: usize = 256 << 10;

/// What holds any record with all around it, and where the next begins if it is damaged.
const MOST: usize = 2 * LIMIT + BUFFER;

/// Reads records, holding one at a time. What is compressed may be endless: it is never held whole.
pub(super) struct Records<'a> {
    from: Box<dyn Read + Send + 'a>,
    form: Form,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where in the file, uncompressed, `start` is.
    offset: u64,
    is_end: bool,
    failed: Option<io::Error>,
}

/// What comes next in a file.
pub(super) enum Step<'b> {
    /// A record, at a byte of the file: its body.
    Record(u64, &'b [u8]),
    /// At a byte, so many that are none; and why.
    Damage(u64, usize, String),
    /// At a byte, so many of a record that was not written whole.
    Torn(u64, usize),
    /// Reading failed there.
    Failed(u64, io::Error),
    /// Nothing.
    End,
}

impl<'a> Records<'a> {
    /// Opens `file` at the byte `offset`, which is 0 in what is compressed.
    pub(super) fn open(
        tree: &'a dyn Tree,
        file: &LogFile,
        form: Form,
        offset: u64,
    ) -> Result<Self> {
        let path = file.path.as_path();
        let from = match file.is_gzip {
            false => tree.open_from(path, offset)?,
            true => {
                let packed = BufReader::with_capacity(64 << 10, tree.open(path)?);
                let unpacked = Compression::Gzip.reader(packed);
                unpacked.map_err(|error| crate::error::from_io(error, || tree.place(path)))?
            }
        };
        let buffer = vec![0; BUFFER];
        Ok(Self { from, form, buffer, start: 0, end: 0, offset, is_end: false, failed: None })
    }

    /// Returns what comes next.
    pub(super) fn next(&mut self) -> Step<'_> {
        let frame = loop {
            if self.start < self.end {
                match self.form.frame(&self.buffer[self.start..self.end], self.is_end) {
                    Frame::More if !self.is_end => {}
                    frame => break frame,
                }
            } else if self.is_end {
                return match self.failed.take() {
                    Some(error) => Step::Failed(self.offset, error),
                    None => Step::End,
                };
            }
            self.fill();
        };
        let (start, offset) = (self.start, self.offset);
        match frame {
            Frame::Record(body, length) => {
                self.pass(length);
                Step::Record(offset, &self.buffer[start + body.start..start + body.end])
            }
            Frame::Damage(length, what) => {
                self.pass(length);
                Step::Damage(offset, length, what)
            }
            Frame::Torn | Frame::More => {
                let length = self.end - start;
                self.pass(length);
                match self.failed.take() {
                    Some(error) => Step::Failed(offset, error),
                    None => Step::Torn(offset, length),
                }
            }
        }
    }

    fn pass(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// Reads once, after what is left of the bytes before.
    fn fill(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            self.buffer.resize((2 * self.end).min(MOST), 0);
        }
        match self.from.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.is_end = true,
            Ok(read) => self.end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => (self.is_end, self.failed) = (true, Some(error)),
        }
    }
}
