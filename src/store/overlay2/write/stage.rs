//! Files that are written aside and moved to their names when they are durable.

use super::Writer;
use crate::error::Result;
use crate::tree::{TreePathBuf, read_within};

/// Some of them, moved together.
pub(super) struct Batch<'a> {
    writer: &'a Writer,
    files: Vec<(TreePathBuf, TreePathBuf)>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(writer: &'a Writer) -> Self {
        Self { writer, files: Vec::new() }
    }

    /// Writes what is to be at `place`, unless it is there.
    pub(super) fn put(&mut self, place: TreePathBuf, mode: u16, bytes: &[u8]) -> Result<()> {
        let there = read_within(self.writer.sink.tree(), place.as_path(), bytes.len() as u64);
        if there.is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let staged = self.staged(&place);
        self.writer.sink.remove(staged.as_path())?;
        self.writer.write_file(&staged, mode, bytes)?;
        self.files.push((staged, place));
        Ok(())
    }

    fn staged(&self, place: &TreePathBuf) -> TreePathBuf {
        if self.writer.sink.can_stage() {
            return self.writer.layout.staging(Some(&self.files.len().to_string()));
        }
        let Some((folder, name)) = place.as_path().split_last() else { return place.clone() };
        folder.child(&[b".tranship-", name].concat()).unwrap_or_default()
    }

    /// Makes the files durable, and moves them to their places.
    pub(super) fn settle(self) -> Result<()> {
        if self.files.is_empty() {
            return Ok(());
        }
        self.writer.sink.sync()?;
        for (staged, place) in &self.files {
            self.writer.sink.rename(staged.as_path(), place.as_path())?;
        }
        Ok(())
    }
}
