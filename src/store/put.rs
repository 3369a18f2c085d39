//! A layer's tar becomes a blob of a target: the one loop that all targets have.

use std::io;

use super::{
    BlobStep, Compression, Damage, LayerContent, LayerStep, Progress, Source, blob, of_source,
};
use crate::digest::{BlobId, ChainId, Digest};
use crate::error::{Error, Place, Result, from_io};
use crate::tree::{Attributes, FileSink, Sink, TreePath, TreePathBuf, sink_error};

/// How blobs are put into a target.
pub(super) struct Blobs<'a> {
    pub(super) sink: &'a dyn Sink,
    /// What the file of a blob is to be.
    pub(super) attributes: Attributes,
    pub(super) compression: Compression,
    pub(super) progress: &'a dyn Progress,
    /// Where the blob is written before its digest is known.
    pub(super) unfinished: TreePathBuf,
    /// Where it belongs then.
    pub(super) place: &'a dyn Fn(BlobId) -> TreePathBuf,
}

impl Blobs<'_> {
    /// Puts the blob, from the first chain of the layer that is sound; returns that, and the blob with
    /// its length.
    pub(super) fn put_any(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        damage: &mut Damage,
    ) -> Result<Option<(ChainId, BlobId, u64)>> {
        let others = step.chains.iter().map(|chain| chain.0).filter(|chain| *chain != step.from);
        for chain_id in std::iter::once(step.from).chain(others) {
            let content = source.layer(chain_id);
            match content.and_then(|content| self.put(step, &*content)) {
                Ok((blob, size)) => return Ok(Some((chain_id, blob, size))),
                Err(error) => damage.note(chain_id, error)?,
            }
        }
        damage.blob = true;
        Ok(None)
    }

    /// Puts bytes that keep their digest; returns what is wrong with them, if that is why they cannot
    /// be put.
    pub(super) fn keep(&self, step: &BlobStep, source: &dyn Source) -> Result<Option<Error>> {
        // As they are: the compression is that of layers that have no packed form yet.
        let (verified, compression) = (step.blob.0, Compression::None);
        let packing = Packing { planned: step.size, verified, compression };
        let kept = source.blob(step.blob).and_then(|mut bytes| match self.sink.is_stream() {
            true => self.stream(packing, &mut *bytes, (step.blob, step.size)),
            false => self.finish(packing, &mut *bytes),
        });
        kept.map_or_else(|error| of_source(error).map(Some), |_| Ok(None))
    }

    fn put(&self, step: &LayerStep, content: &dyn LayerContent) -> Result<(BlobId, u64)> {
        if step.left_out {
            let (planned, compression) = (step.size, Compression::None);
            return self.name(Packing { planned, compression, verified: step.diff_id.0 }, content);
        }
        let (verified, compression) = (step.diff_id.0, self.compression);
        let packing = Packing { planned: step.size, verified, compression };
        if !self.sink.is_stream() {
            return self.finish(packing, &mut *content.tar()?);
        }
        // Name and length come before the bytes: the layer is packed once to know them.
        let known = self.name(Packing { planned: 0, ..packing }, content)?;
        self.stream(packing, &mut *content.tar()?, known)
    }

    /// Returns digest and length of the blob that the layer packs to, and writes nothing.
    fn name(&self, packing: Packing, content: &dyn LayerContent) -> Result<(BlobId, u64)> {
        self.pack(packing, &mut *content.tar()?, &mut io::sink(), self.unfinished.as_path())
    }

    /// Writes a blob whose digest and length are known where it belongs.
    fn stream(
        &self,
        packing: Packing,
        from: &mut dyn io::BufRead,
        known: (BlobId, u64),
    ) -> Result<(BlobId, u64)> {
        let path = (self.place)(known.0);
        let file = self.sink.create_sized(path.as_path(), &self.attributes, known.1)?;
        // Half a blob cannot be taken back: whatever is wrong with it from here on ends everything.
        let stopped = |error: Error| Error::refused(format!("the stream was cut off: {error}"));
        self.write(packing, from, file, path.as_path()).map_err(stopped)
    }

    fn finish(&self, packing: Packing, from: &mut dyn io::BufRead) -> Result<(BlobId, u64)> {
        let unfinished = self.unfinished.as_path();
        self.sink.remove(unfinished)?;
        let file = self.sink.create(unfinished, &self.attributes)?;
        // What cannot be finished does not keep the room of what can.
        let (blob, size) = self
            .write(packing, from, file, unfinished)
            .inspect_err(|_| drop(self.sink.remove(unfinished)))?;
        self.sink.rename(unfinished, (self.place)(blob).as_path())?;
        Ok((blob, size))
    }

    fn write(
        &self,
        packing: Packing,
        from: &mut dyn io::BufRead,
        mut file: Box<dyn FileSink + '_>,
        path: TreePath<'_>,
    ) -> Result<(BlobId, u64)> {
        let done = self.pack(packing, from, &mut file, path)?;
        file.finish()?;
        Ok(done)
    }

    fn pack(
        &self,
        packing: Packing,
        from: &mut dyn io::BufRead,
        to: &mut dyn io::Write,
        path: TreePath<'_>,
    ) -> Result<(BlobId, u64)> {
        let Packing { planned, verified, compression } = packing;
        let mut meter = Meter { progress: self.progress, left: planned };
        let done = blob::pack(from, verified, to, compression, &mut |n| meter.advance(n))
            .map_err(|error| sink_error(self.sink, path, error))?;
        meter.end();
        Ok(done)
    }
}

/// What becomes of the bytes of one reader.
#[derive(Clone, Copy)]
struct Packing {
    /// The bytes of it that progress is told of.
    planned: u64,
    /// What they hash to when they are read to their end.
    verified: Digest,
    compression: Compression,
}

/// Reads the tar of a layer to its end and nothing else: files that are linked or copied as they are
/// must be known to be sound first. `sink` gives the place of an error that has none.
pub(super) fn verify(
    step: &LayerStep,
    content: &dyn LayerContent,
    sink: &dyn Sink,
    progress: &dyn Progress,
) -> Result<()> {
    let mut tar = content.tar()?;
    let mut meter = Meter::new(step, progress);
    blob::drain(&mut tar, &mut |read| meter.advance(read))
        .map_err(|error| from_io(error, || sink.tree().place(TreePath::ROOT)))?;
    meter.end();
    Ok(())
}

/// Reads a tar to its end, which verifies it, and nothing else.
pub(super) fn drain(
    mut tar: Box<dyn io::BufRead + Send + '_>,
    planned: u64,
    progress: &dyn Progress,
) -> Result<()> {
    let mut meter = Meter { progress, left: planned };
    blob::drain(&mut tar, &mut |read| meter.advance(read))
        .map_err(|error| from_io(error, Place::default))?;
    meter.end();
    Ok(())
}

/// Tells of a layer's bytes exactly as many as were planned for it.
pub(super) struct Meter<'a> {
    progress: &'a dyn Progress,
    left: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(step: &LayerStep, progress: &'a dyn Progress) -> Self {
        Self { progress, left: step.size }
    }

    pub(super) fn advance(&mut self, read: u64) -> io::Result<()> {
        if self.progress.cancelled() {
            let stopped = Error::refused("stopped before the end")
                .hint("run the same command again: it goes on from here");
            return Err(stopped.into());
        }
        let step = read.min(self.left);
        self.left -= step;
        self.progress.advance(step);
        Ok(())
    }

    pub(super) fn end(&mut self) {
        self.progress.advance(std::mem::take(&mut self.left));
    }
}

/// A tar whose bytes are told of as they are read.
pub(super) struct Metered<'a> {
    tar: Box<dyn io::BufRead + Send + 'a>,
    meter: Meter<'a>,
}

impl<'a> Metered<'a> {
    /// Returns a reader of `tar` that tells of `planned` bytes in all.
    pub(super) fn new(
        tar: Box<dyn io::BufRead + Send + 'a>,
        planned: u64,
        progress: &'a dyn Progress,
    ) -> Self {
        Self { tar, meter: Meter { progress, left: planned } }
    }
}

impl io::Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tar.read(buffer)?;
        match read {
            0 if !buffer.is_empty() => self.meter.end(),
            _ => self.meter.advance(read as u64)?,
        }
        Ok(read)
    }
}
