//! What is made of a layer's tar when it is healed.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::digest::{ChainId, DiffId};
use crate::error::{Error, Place, Result, from_io};
use crate::format::tar::{self, Watch};
use crate::format::tar_split::{self, Apart};
use crate::store::blob::Verified;
use crate::store::mend::Making;
use crate::store::unpack::{Rules, Unpacker};
use crate::store::{Progress, Source};
use crate::tree::{Attributes, Sink, TreePath, sink_error};

/// The tar of a layer in another store.
#[derive(Clone)]
pub(super) struct Tar {
    pub(super) source: Arc<dyn Source>,
    pub(super) chain: ChainId,
    /// What it is to hash to, whatever the other store says.
    pub(super) diff_id: DiffId,
}

impl Tar {
    /// Reads the tar to its end, which verifies it.
    pub(super) fn watch(&self, watch: &mut dyn Watch) -> Result<()> {
        self.read(|tar| tar::watch(tar, watch).map(drop))
    }

    fn read<T>(&self, read: impl FnOnce(&mut dyn BufRead) -> std::io::Result<T>) -> Result<T> {
        let place = Place::new(self.source.kind().name(), self.chain.to_string());
        let layer = self.source.layer(self.chain)?;
        let mut tar = Verified::new(BufReader::new(layer.tar()?), self.diff_id.0, place.clone());
        read(&mut tar).map_err(|error| from_io(error, || place))
    }
}

/// The files of a layer, unpacked from its tar.
pub(super) struct Files {
    pub(super) tar: Tar,
    pub(super) size: u64,
}

impl Making for Files {
    fn size(&self) -> u64 {
        self.size
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, progress: &dyn Progress) -> Result<()> {
        let mut unpacker = Unpacker::new(sink, at, Rules::docker())?;
        self.tar.watch(&mut unpacker)?;
        unpacker.finish()?;
        progress.advance(self.size);
        Ok(())
    }
}

/// The record of a layer's tar.
pub(super) struct Record {
    pub(super) tar: Tar,
    /// Whether the record is to keep all data where names lead through links and are said twice: what
    /// data is where cannot be told then.
    pub(super) everything: bool,
}

impl Making for Record {
    fn size(&self) -> u64 {
        0
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, _: &dyn Progress) -> Result<()> {
        let mut apart = Apart::default();
        // What is replaced later in the tar is known when it was read; then it is read once more.
        for _ in 0..2 {
            sink.remove(at)?;
            let root = sink.tree().stat(TreePath::ROOT)?;
            let to = Attributes { uid: root.uid, gid: root.gid, ..Attributes::root(0o644) };
            let mut out = tar_split::Writer::new(GzEncoder::new(
                sink.create(at, &to)?,
                Compression::default(),
            ));
            let apart_now = &apart;
            let summary =
                self.tar.read(|tar| tar_split::disassemble(tar, &mut out, apart_now, &mut ()))?;
            let ended = out.into_inner().finish();
            ended.map_err(|error| sink_error(sink, at, error))?.finish()?;
            if summary.replaced.is_empty() {
                return Ok(());
            }
            match self.everything {
                true => apart = Apart::everything(),
                false => apart.extend(summary.replaced),
            }
        }
        Err(Error::corrupt(sink.tree().place(at), "the tar was another when it was read again"))
    }
}
