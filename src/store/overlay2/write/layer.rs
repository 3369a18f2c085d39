//! One layer: the record of its tar, its files, and what layerdb and the driver note of it.

use std::io::{self, BufRead, Read};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Writer;
use super::plan::Planned;
use crate::digest::ChainId;
use crate::error::{Error, Result, from_io};
use crate::format::docker::link::{self, Link};
use crate::format::overlay::Mark;
use crate::format::tar_split::{self, Apart, Summary};
use crate::store::put::Meter;
use crate::store::{Damage, LayerContent, LayerStep, Progress, Source};
use crate::tree::{
    Copied, Copying, Entry, Special, TreePath, TreePathBuf, copy, optional, sink_error,
};

impl Writer {
    /// Puts one layer on all the layers it is to stand on.
    pub(super) fn layer(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Damage> {
        let mut damage = Damage::default();
        for (chain_id, _) in &step.chains {
            let planned = self.state().planned.get(chain_id).cloned();
            let Some(planned) = planned else { continue };
            let put = source
                .layer(*chain_id)
                .and_then(|content| self.put(step, *chain_id, &planned, &*content, progress));
            match put {
                Ok(()) => _ = self.state().done.insert(*chain_id),
                Err(error) => {
                    // What cannot be finished does not keep the room of what can.
                    drop(self.clear(*chain_id, &planned));
                    damage.note(*chain_id, error)?;
                }
            }
        }
        Ok(damage)
    }

    fn put(
        &self,
        step: &LayerStep,
        chain_id: ChainId,
        planned: &Planned,
        content: &dyn LayerContent,
        progress: &dyn Progress,
    ) -> Result<()> {
        let lower = self.lower(planned.parent)?;
        self.clear(chain_id, planned)?;
        let entry = self.entry(chain_id);
        self.sink.make_dir(entry.as_path(), 0o700)?;
        self.put_record(step, content, &entry, progress)?;
        let size = self.put_folder(planned, &lower, content)?;
        let parent = planned.parent.map(|parent| parent.to_string());
        let values = [
            ("diff", Some(step.diff_id.to_string())),
            ("size", Some(size.to_string())),
            ("cache-id", Some(planned.cache_id.clone())),
            ("parent", parent),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                self.write_file(&child(&entry, key), 0o644, value.as_bytes())?;
            }
        }
        self.sink.finish_dir(entry.as_path(), &self.attributes(0o700)).map(drop)
    }

    /// Returns the folder that becomes the layer's in layerdb, or is it already.
    fn entry(&self, chain_id: ChainId) -> TreePathBuf {
        match self.sink.can_stage() {
            true => self.layout.write_set(chain_id),
            false => self.layout.entry(chain_id),
        }
    }

    /// Removes what there is of a layer, but for its folder in layerdb by which the rest is known.
    pub(super) fn clear(&self, chain_id: ChainId, planned: &Planned) -> Result<()> {
        let entry = self.entry(chain_id);
        if !self.sink.can_stage() {
            return self.sink.remove(entry.as_path());
        }
        for name in optional(self.sink.tree().names(entry.as_path()))?.unwrap_or_default() {
            let path = entry.as_path().child(&name).unwrap_or_default();
            self.sink.remove(path.as_path())?;
        }
        self.sink.remove(self.layout.link(planned.link).as_path())?;
        match self.layout.folder(&planned.cache_id) {
            Some(folder) => self.sink.remove(folder.as_path()),
            None => Ok(()),
        }
    }

    /// Writes the record of the layer's tar. That reads the tar to its end and so verifies it, and with
    /// it files that are its source.
    fn put_record(
        &self,
        step: &LayerStep,
        content: &dyn LayerContent,
        entry: &TreePathBuf,
        progress: &dyn Progress,
    ) -> Result<()> {
        let unfinished = child(entry, ".tranship-tar-split");
        let (mut apart, mut meter) = (Apart::default(), Meter::new(step, progress));
        // What is replaced later in the tar is known when it was read; then it is read once more.
        for _ in 0..2 {
            self.sink.remove(unfinished.as_path())?;
            let mut tar = content.tar()?;
            let from = Metered { tar: &mut tar, meter: &mut meter };
            let summary = self.take_apart(from, unfinished.as_path(), &apart)?;
            if summary.replaced.is_empty() {
                meter.end();
                let record = child(entry, "tar-split.json.gz");
                return self.sink.rename(unfinished.as_path(), record.as_path());
            }
            apart.extend(summary.replaced);
        }
        let place = self.sink.tree().place(entry.as_path());
        Err(Error::corrupt(place, "the layer's tar was another when it was read again"))
    }

    fn take_apart(&self, tar: impl Read, to: TreePath<'_>, apart: &Apart) -> Result<Summary> {
        let file = self.sink.create(to, &self.attributes(0o644))?;
        let mut out = tar_split::Writer::new(GzEncoder::new(file, Compression::default()));
        let summary = tar_split::disassemble(tar, &mut out, apart)
            .map_err(|error| from_io(error, || self.sink.tree().place(to)))?;
        let ended = out.into_inner().finish();
        ended.map_err(|error| sink_error(&*self.sink, to, error))?.finish()?;
        Ok(summary)
    }

    /// Makes the driver's folder and the short link to it; returns the layer's size as dockerd counts
    /// it.
    ///
    /// moby v28 daemon/graphdriver/overlay2/overlay.go create
    fn put_folder(
        &self,
        planned: &Planned,
        lower: &[Link],
        content: &dyn LayerContent,
    ) -> Result<u64> {
        let folder = self.layout.folder(&planned.cache_id).unwrap_or_default();
        self.sink.make_dir(folder.as_path(), 0o710)?;
        let is_base = planned.parent.is_none();
        let copied = self.put_files(content, child(&folder, "diff").as_path(), is_base)?;
        self.write_file(&child(&folder, "link"), 0o644, planned.link.as_bytes())?;
        if let Some(lower) = link::format_lower(lower) {
            self.write_file(&child(&folder, "lower"), 0o644, &lower)?;
            let work = child(&folder, "work");
            self.sink.make_dir(work.as_path(), 0o700)?;
            self.sink.finish_dir(work.as_path(), &self.attributes(0o700))?;
        }
        if planned.has_child {
            self.write_file(&child(&folder, "committed"), 0o600, b"")?;
        }
        let link = Special::Symlink(link::format_target(&planned.cache_id).into_bytes());
        let place = self.layout.link(planned.link);
        self.sink.put(place.as_path(), &link, &self.attributes(0o777))?;
        self.sink.finish_dir(folder.as_path(), &self.attributes(0o710))?;
        let mut state = self.state();
        state.written = state.written.saturating_add(copied.written);
        Ok(copied.apparent)
    }

    fn put_files(
        &self,
        content: &dyn LayerContent,
        diff: TreePath<'_>,
        is_base: bool,
    ) -> Result<Copied> {
        let Some((tree, from)) = content.files() else {
            return self.unpack(content, diff, is_base);
        };
        let copying = Copying {
            snapshots: self.writing.snapshots,
            skip: &|_: &Entry| false,
            // What the kernel noted for its own use while the folder was a container's, or BuildKit's,
            // means nothing elsewhere.
            skip_xattr: &|key: &[u8]| Mark::of(key).is_some_and(|(_, mark)| mark.is_private()),
        };
        copy(tree, from.as_path(), &*self.sink, diff, &copying)
    }

    /// Unpacks the layer's tar into the folder `diff`, which is yet to be made.
    fn unpack(
        &self,
        content: &dyn LayerContent,
        diff: TreePath<'_>,
        is_base: bool,
    ) -> Result<Copied> {
        let _ = (content, is_base);
        let place = self.sink.tree().place(diff);
        Err(Error::unsupported(place, "the layer is not unpacked in its store"))
    }
}

/// Returns what is called `name` in `folder`.
fn child(folder: &TreePathBuf, name: &str) -> TreePathBuf {
    folder.as_path().child(name.as_bytes()).unwrap_or_default()
}

/// A tar whose bytes are told of as they are read.
struct Metered<'a, 'p> {
    tar: &'a mut dyn BufRead,
    meter: &'a mut Meter<'p>,
}

impl Read for Metered<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tar.read(buffer)?;
        self.meter.advance(read as u64)?;
        Ok(read)
    }
}
