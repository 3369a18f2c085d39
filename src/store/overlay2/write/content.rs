//! What a layer holds: its files, and the record that makes its tar of them again.

use std::io::Read;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Writer;
use super::layer::child;
use super::plan::Planned;
use crate::error::{Error, Result, from_io};
use crate::format::overlay::Mark;
use crate::format::tar::{self, Watch};
use crate::format::tar_split::{self, Apart, Summary};
use crate::store::overlay2::layers::RECORD;
use crate::store::put::Metered;
use crate::store::unpack::{Rules, Same, Unpacker};
use crate::store::{LayerContent, LayerStep, Progress};
use crate::tree::{Copying, Entry, Tree, TreePath, TreePathBuf, copy, sink_error};

/// A layer that is being put, and where layerdb will have its record.
pub(super) struct Record<'a> {
    pub(super) step: &'a LayerStep,
    pub(super) content: &'a dyn LayerContent,
    pub(super) entry: &'a TreePathBuf,
    pub(super) progress: &'a dyn Progress,
}

impl Writer {
    /// Puts the files and the record of a layer; returns its size as dockerd counts it.
    ///
    /// The tar is read once: while it is taken apart it is also unpacked, or compared with files that
    /// may be taken over if they are the same. Files that the tar is made of need no comparing.
    pub(super) fn put_content(&self, record: &Record<'_>, planned: &Planned) -> Result<u64> {
        let folder = self.layout.folder(&planned.cache_id).unwrap_or_default();
        let diff = child(&folder, "diff");
        let Some((tree, from)) = record.content.files() else {
            return self.unpack(record, diff.as_path(), false);
        };
        if !record.content.tar_is_of_files() {
            let mut same = Same::new(tree, from.as_path(), Rules::docker());
            self.put_record(record, Apart::default(), &mut same)?;
            if !same.finish()? {
                return self.unpack(record, diff.as_path(), true);
            }
        } else {
            self.put_record(record, Apart::default(), &mut ())?;
        }
        self.take(tree, from.as_path(), diff.as_path())
    }

    /// Takes files over that are known to be the layer's.
    fn take(&self, tree: &dyn Tree, from: TreePath<'_>, diff: TreePath<'_>) -> Result<u64> {
        let copying = Copying {
            snapshots: self.writing.snapshots,
            skip: &|_: &Entry| false,
            // What the kernel noted for its own use while the folder was a container's, or BuildKit's,
            // means nothing elsewhere.
            skip_xattr: &|key: &[u8]| Mark::of(key).is_some_and(|(_, mark)| mark.is_private()),
        };
        let copied = copy(tree, from, &*self.sink, diff, &copying)?;
        self.add_written(copied.written);
        Ok(copied.apparent)
    }

    /// Unpacks a layer's tar, and takes it apart meanwhile if it has no record yet.
    fn unpack(&self, record: &Record<'_>, diff: TreePath<'_>, has_record: bool) -> Result<u64> {
        let mut unpacker = Unpacker::new(&*self.sink, diff, Rules::docker())?;
        if has_record {
            let read = tar::watch(record.content.tar()?, &mut unpacker);
            read.map_err(|error| from_io(error, || self.sink.tree().place(diff)))?;
        } else {
            self.put_record(record, Apart::default(), &mut unpacker)?;
        }
        let unpacked = unpacker.finish()?;
        if unpacked.ambiguous {
            self.put_record(record, Apart::everything(), &mut ())?;
        }
        self.add_written(unpacked.written);
        Ok(unpacked.apparent)
    }

    fn add_written(&self, bytes: u64) {
        let mut state = self.state();
        state.written = state.written.saturating_add(bytes);
    }

    /// Writes the record of the layer's tar. That reads the tar to its end and so verifies it, and with
    /// it files that are its source. Data at `apart` is kept in the record itself.
    fn put_record(
        &self,
        record: &Record<'_>,
        mut apart: Apart,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let unfinished = child(record.entry, ".tranship-tar-split");
        let (mut watch, mut nobody) = (Some(watch), ());
        // What is replaced later in the tar is known when it was read; then it is read once more.
        for _ in 0..2 {
            self.sink.remove(unfinished.as_path())?;
            let planned = if watch.is_some() { record.step.size } else { 0 };
            let from = Metered::new(record.content.tar()?, planned, record.progress);
            let watch = watch.take().unwrap_or(&mut nobody);
            let summary = self.take_apart(from, unfinished.as_path(), &apart, watch)?;
            if summary.replaced.is_empty() {
                let place = child(record.entry, RECORD);
                self.sink.remove(place.as_path())?;
                return self.sink.rename(unfinished.as_path(), place.as_path());
            }
            apart.extend(summary.replaced);
        }
        let place = self.sink.tree().place(record.entry.as_path());
        Err(Error::corrupt(place, "the layer's tar was another when it was read again"))
    }

    fn take_apart(
        &self,
        tar: impl Read,
        to: TreePath<'_>,
        apart: &Apart,
        watch: &mut dyn Watch,
    ) -> Result<Summary> {
        let file = self.sink.create(to, &self.attributes(0o644))?;
        let mut out = tar_split::Writer::new(GzEncoder::new(file, Compression::default()));
        let summary = tar_split::disassemble(tar, &mut out, apart, watch)
            .map_err(|error| from_io(error, || self.sink.tree().place(to)))?;
        let ended = out.into_inner().finish();
        ended.map_err(|error| sink_error(&*self.sink, to, error))?.finish()?;
        Ok(summary)
    }
}
