//! A regular file of a folder, held against its bytes in a tar.

use std::io::{self, Read};
use std::vec::IntoIter;

use super::difference::Differs;
use crate::format::tar::{Chunk, Member};

/// A file being compared.
pub(super) struct Content<'a> {
    bytes: Box<dyn Read + Send + 'a>,
    /// How far it is read.
    at: u64,
    size: u64,
    /// Where the member's data goes, if the file has holes, and how much of the chunk is to come.
    chunks: Option<(IntoIter<Chunk>, u64)>,
    buffer: Vec<u8>,
}

/// What is compared with zeros at once.
const PIECE: usize = 64 << 10;

type Compared = io::Result<Option<Differs>>;

impl<'a> Content<'a> {
    pub(super) fn new(bytes: Box<dyn Read + Send + 'a>, member: &Member<'_>) -> Self {
        let chunks = member.sparse.clone().map(|chunks| (chunks.into_iter(), 0));
        Self { bytes, at: 0, size: member.size, chunks, buffer: Vec::new() }
    }

    /// Compares the next of the member's data; returns what differs.
    pub(super) fn compare(&mut self, mut data: &[u8]) -> Compared {
        while !data.is_empty() {
            let room = match &mut self.chunks {
                None => data.len(),
                Some((chunks, left)) if *left == 0 => {
                    let Some(chunk) = chunks.next() else { return Ok(None) };
                    *left = chunk.length;
                    if chunk.length > 0
                        && let Some(differs) = self.zeros(chunk.offset)?
                    {
                        return Ok(Some(differs));
                    }
                    continue;
                }
                Some((_, left)) => usize::try_from(*left).unwrap_or(usize::MAX).min(data.len()),
            };
            let (now, later) = data.split_at(room);
            if let Some(differs) = self.piece(now)? {
                return Ok(Some(differs));
            }
            if let Some((_, left)) = &mut self.chunks {
                *left = left.saturating_sub(now.len() as u64);
            }
            data = later;
        }
        Ok(None)
    }

    /// Compares what the member's data leaves out at the file's end.
    pub(super) fn finish(&mut self) -> Compared {
        if self.chunks.is_some() { self.zeros(self.size) } else { Ok(None) }
    }

    /// Compares a hole up to `end`.
    fn zeros(&mut self, end: u64) -> Compared {
        static ZEROS: [u8; PIECE] = [0; PIECE];
        while self.at < end {
            let left = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(PIECE);
            if let Some(differs) = self.piece(&ZEROS[..left])? {
                return Ok(Some(differs));
            }
        }
        Ok(None)
    }

    fn piece(&mut self, wanted: &[u8]) -> Compared {
        self.buffer.resize(wanted.len(), 0);
        match self.bytes.read_exact(&mut self.buffer) {
            Ok(()) => {}
            // It was as long as wanted when it was looked at.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Some(Differs::Bytes(self.at)));
            }
            Err(error) => return Err(error),
        }
        let differs = differing(&self.buffer, wanted, self.at);
        self.at = self.at.saturating_add(wanted.len() as u64);
        Ok(differs)
    }
}

fn differing(found: &[u8], wanted: &[u8], start: u64) -> Option<Differs> {
    if found == wanted {
        return None;
    }
    let same = found.iter().zip(wanted).take_while(|(found, wanted)| found == wanted).count();
    let at = start.saturating_add(same as u64);
    let rest = found.get(same..).unwrap_or_default();
    Some(match rest.iter().all(|byte| *byte == 0) {
        true => Differs::Zeros(at),
        false => Differs::Bytes(at),
    })
}
