//! Bytes read ahead of their use.

use std::io::{self, Read};

/// What is read from the input at once, if there is no need for more.
const AT_ONCE: usize = 128 << 10;

/// A buffer before an input: `used <= filled <= bytes.len()`.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    used: usize,
    filled: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; AT_ONCE], used: 0, filled: 0 }
    }

    /// Returns what is at hand.
    pub(super) fn held(&self) -> &[u8] {
        self.bytes.get(self.used..self.filled).unwrap_or_default()
    }

    /// Uses the first bytes at hand.
    pub(super) fn advance(&mut self, by: usize) {
        self.used = self.used.saturating_add(by).min(self.filled);
    }

    /// Returns the `count` bytes used last.
    pub(super) fn behind(&self, count: usize) -> &[u8] {
        self.bytes.get(self.used.saturating_sub(count)..self.used).unwrap_or_default()
    }

    /// Reads until `want` bytes are at hand or the input ends; returns how many are.
    pub(super) fn fill(&mut self, input: &mut impl Read, want: usize) -> io::Result<usize> {
        while self.held().len() < want {
            let end = self.used.saturating_add(want);
            if end > self.bytes.len() || self.used == self.filled {
                self.bytes.copy_within(self.used..self.filled, 0);
                self.filled = self.held().len();
                self.used = 0;
                self.bytes.resize(self.bytes.len().max(want), 0);
            }
            match input.read(self.bytes.get_mut(self.filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(read) => self.filled = self.filled.saturating_add(read).min(self.bytes.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.held().len())
    }
}
