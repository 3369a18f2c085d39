//! A regular file on its way from a tar into a tree.

use std::io::{self, Write as _};
use std::vec::IntoIter;

use crate::error::Result;
use crate::format::tar::{Chunk, Member};
use crate::tree::{FileSink, TreePathBuf};

/// A file being written.
pub(super) struct Body<'a> {
    file: Box<dyn FileSink + 'a>,
    pub(super) path: TreePathBuf,
    pub(super) size: u64,
    /// Where its data goes, if it has holes.
    sparse: Option<Sparse>,
}

struct Sparse {
    chunks: IntoIter<Chunk>,
    /// How long the file is by now, and how much of the chunk is to come.
    at: u64,
    left: u64,
}

impl<'a> Body<'a> {
    pub(super) fn new(
        file: Box<dyn FileSink + 'a>,
        path: TreePathBuf,
        member: &Member<'_>,
    ) -> Self {
        let chunks = member.sparse.clone().map(Vec::into_iter);
        let sparse = chunks.map(|chunks| Sparse { chunks, at: 0, left: 0 });
        Self { file, path, size: member.size, sparse }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sparse {
            None => self.file.write_all(bytes),
            Some(sparse) => sparse.write(&mut *self.file, bytes),
        }
    }

    /// Leaves the hole at the file's end, if it has one.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        match &self.sparse {
            Some(sparse) if sparse.at < self.size => {
                self.file.hole(self.size.saturating_sub(sparse.at))
            }
            _ => Ok(()),
        }
    }

    /// Returns the bytes it takes on disk.
    pub(super) fn finish(self) -> Result<u64> {
        self.file.finish()
    }
}

impl Sparse {
    /// Puts the next stored bytes where they belong; what is stored beyond the last chunk belongs
    /// nowhere.
    fn write(&mut self, file: &mut dyn FileSink, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let Some(chunk) = self.chunks.next() else { return Ok(()) };
                if chunk.offset > self.at && chunk.length > 0 {
                    file.hole(chunk.offset - self.at)?;
                    self.at = chunk.offset;
                }
                self.left = chunk.length;
                continue;
            }
            let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            file.write_all(now)?;
            self.at += now.len() as u64;
            self.left -= now.len() as u64;
            bytes = later;
        }
        Ok(())
    }
}
