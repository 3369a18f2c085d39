//! What is made when a mend is carried out.

use std::io::{self, BufReader};
use std::sync::Arc;

use super::super::layout;
use crate::digest::{BlobId, ChainId, DiffId};
use crate::error::{Result, from_io};
use crate::format::tar;
use crate::store::blob::{Verified, drain};
use crate::store::mend::Making;
use crate::store::packed::Packed;
use crate::store::unpack::{Rules, Unpacker, folder_below};
use crate::store::{LayerContent, Progress, Source};
use crate::tree::{Attributes, Sink, Tree, TreePath, TreePathBuf, sink_error};

/// Reads a blob to its end.
pub(super) fn verify(tree: &dyn Tree, blob: BlobId) -> Result<()> {
    let path = layout::blob(blob);
    let place = || tree.place(path.as_path());
    let file = BufReader::with_capacity(1 << 16, tree.open(path.as_path())?);
    drain(&mut Verified::new(file, blob.0, place()), &mut |_| Ok(()))
        .map_err(|error| from_io(error, place))
}

/// Returns what a new thing of the store has: the owner is the root's.
fn attributes(sink: &dyn Sink, mode: u16) -> Result<Attributes> {
    let root = sink.tree().stat(TreePath::ROOT)?;
    Ok(Attributes { uid: root.uid, gid: root.gid, ..Attributes::root(mode) })
}

/// A blob as another store has it.
pub(super) struct BlobOf {
    pub(super) source: Arc<dyn Source>,
    pub(super) blob: BlobId,
    /// For the plan; what comes is told by the digest.
    pub(super) size: u64,
}

impl Making for BlobOf {
    fn size(&self) -> u64 {
        self.size
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, progress: &dyn Progress) -> Result<()> {
        let mut from = self.source.blob(self.blob)?;
        let mut file = sink.create(at, &attributes(sink, 0o444)?)?;
        let copied = io::copy(&mut from, &mut file);
        copied.map_err(|error| sink_error(sink, at, error))?;
        file.finish()?;
        progress.advance(self.size);
        Ok(())
    }
}

/// Where a layer's tar comes from.
#[derive(Clone)]
pub(super) enum From {
    /// A blob of the store itself.
    Blob(Arc<dyn Tree>, BlobId, DiffId),
    /// Another store.
    Layer(Arc<dyn Source>, ChainId),
}

impl From {
    /// Reads the tar to its end, which verifies it.
    pub(super) fn watch(&self, watch: &mut dyn tar::Watch) -> Result<()> {
        let mut read = |tar: Box<dyn io::BufRead + Send + '_>| {
            tar::watch(tar, watch).map(drop).map_err(|error| from_io(error, Default::default))
        };
        match self {
            Self::Blob(tree, blob, diff_id) => {
                let (path, blob) = (layout::blob(*blob), Some(*blob));
                read(Packed { tree: &**tree, path, blob, diff_id: *diff_id }.tar()?)
            }
            Self::Layer(source, chain) => {
                let layer: Box<dyn LayerContent + '_> = source.layer(*chain)?;
                read(layer.tar()?)
            }
        }
    }
}

/// A snapshot, unpacked from a layer's tar.
pub(super) struct Unpacked {
    pub(super) from: From,
    /// The folders of the layers below, the nearest first.
    pub(super) below: Vec<TreePathBuf>,
    pub(super) size: u64,
}

impl Making for Unpacked {
    fn size(&self) -> u64 {
        self.size
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, progress: &dyn Progress) -> Result<()> {
        sink.make_dir(at, 0o700)?;
        let [files, work] = [&b"fs"[..], b"work"].map(|name| at.child(name).unwrap_or_default());
        let below = self.below.iter().map(|folder| Ok((sink.tree(), folder.clone())));
        let lower = |folder: TreePath<'_>| folder_below(below.clone(), folder);
        let rules = match self.below.is_empty() {
            true => Rules::containerd_base(),
            false => Rules::containerd(&lower),
        };
        let mut unpacker = Unpacker::new(sink, files.as_path(), rules)?;
        self.from.watch(&mut unpacker)?;
        unpacker.finish()?;
        sink.make_dir(work.as_path(), 0o711)?;
        sink.finish_dir(work.as_path(), &attributes(sink, 0o711)?)?;
        sink.finish_dir(at, &attributes(sink, 0o700)?)?;
        progress.advance(self.size);
        Ok(())
    }
}
