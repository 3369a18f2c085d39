//! Layers taken out of a containerd root.

use std::io::{self, BufRead, BufReader, Read};

use super::layout;
use crate::digest::{BlobId, DiffId};
use crate::error::{Error, Place, Result};
use crate::format::compression::{Compression, SNIFF};
use crate::store::LayerContent;
use crate::store::blob::Verified;
use crate::tree::{Tree, TreePathBuf};

/// Where one layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayerAt {
    pub(super) diff_id: DiffId,
    /// A blob with its tar, as a manifest says that was read.
    pub(super) blob: Option<BlobId>,
    /// The folder of the snapshotter with its files.
    pub(super) folder: Option<u64>,
}

/// One layer of a containerd root.
pub(super) struct Content<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) snapshotter: &'a str,
    pub(super) at: &'a LayerAt,
}

impl LayerContent for Content<'_> {
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>> {
        let Some(blob) = self.at.blob else {
            let place = self.tree.place(layout::blobs().as_path());
            let what = format!("no blob of layer {} is here", self.at.diff_id);
            return Err(Error::missing(place, what).hint(
                "the image runs from its unpacked layers, and cannot leave this store; pull it \
                 again to have the blob back",
            ));
        };
        let path = layout::blob(blob);
        let place = self.tree.place(path.as_path());
        let fail = |error| Error::io(place.clone(), error);
        let mut packed = BufReader::new(self.tree.open(path.as_path())?);
        let start = packed.fill_buf().map_err(fail)?;
        let compression = Compression::sniff(start.get(..SNIFF).unwrap_or(start));
        // Every decoder reads on to the end of the blob to see whether more follows, so both digests
        // are known when the tar ends.
        let packed = Verified::new(packed, blob.0, place.clone());
        let tar = Unpacked { tar: compression.reader(packed).map_err(fail)?, compression, place };
        let place = tar.place.clone();
        Ok(Box::new(Verified::new(BufReader::new(tar), self.at.diff_id.0, place)))
    }

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        let files = layout::Snapshotter::new(self.snapshotter).files(self.at.folder?);
        Some((self.tree, files))
    }
}

/// A decoder that knows what it decodes.
struct Unpacked<'a> {
    tar: Box<dyn Read + Send + 'a>,
    compression: Compression,
    place: Place,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tar.read(buffer).map_err(|error| {
            // The disk's errors have a number, ours are inside; what is left are the decoder's.
            let is_ours = error.get_ref().is_some_and(|inner| inner.is::<Error>());
            if is_ours || error.raw_os_error().is_some() {
                return error;
            }
            let what = format!("the {} stream is damaged: {error}", self.compression.name());
            Error::corrupt(self.place.clone(), what).into()
        })
    }
}
