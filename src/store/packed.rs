//! Layers that lie as files, compressed or not.

use std::io::{self, BufRead, BufReader, Read};

use super::LayerContent;
use super::blob::Verified;
use crate::digest::{BlobId, DiffId};
use crate::error::{Error, Place, Result};
use crate::format::compression::{self, Compression, SNIFF};
use crate::tree::{Kind, Tree, TreePathBuf};

/// The file that one layer is.
pub(super) struct Packed<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) path: TreePathBuf,
    /// What the file's bytes must be, where that is known.
    pub(super) blob: Option<BlobId>,
    pub(super) diff_id: DiffId,
}

impl<'a> Packed<'a> {
    /// Returns the uncompressed tar; reading it to its end verifies file and tar in one pass.
    pub(super) fn tar(&self) -> Result<Box<dyn BufRead + Send + 'a>> {
        let path = self.path.as_path();
        let place = self.tree.place(path);
        let fail = |error| Error::io(place.clone(), error);
        let metadata = self.tree.stat(path)?;
        if metadata.kind != Kind::File {
            return Err(Error::corrupt(place, "not a regular file"));
        }
        let mut packed = BufReader::new(self.tree.open(path)?);
        let start = packed.fill_buf().map_err(fail)?;
        let compression = Compression::sniff(start.get(..SNIFF).unwrap_or(start));
        // A file that is the tar is verified as that.
        //
        // Every decoder reads on to the end of the file to see whether more follows, so both digests
        // are known when the tar ends.
        let blob = self.blob.filter(|blob| blob.0 != self.diff_id.0);
        let tar = match blob {
            Some(blob) => compression.reader(Verified::new(packed, blob.0, place.clone())),
            None => compression.reader(packed),
        };
        let left = match compression {
            Compression::None => u64::MAX,
            _ => compression::most(metadata.size),
        };
        let tar = Unpacked { tar: tar.map_err(fail)?, compression, left, place: place.clone() };
        Ok(Box::new(Verified::new(BufReader::new(tar), self.diff_id.0, place)))
    }
}

impl LayerContent for Packed<'_> {
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>> {
        Packed::tar(self)
    }

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        None
    }
}

/// A decoder that knows what it decodes, and how much that can be.
struct Unpacked<'a> {
    tar: Box<dyn Read + Send + 'a>,
    compression: Compression,
    left: u64,
    place: Place,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let name = self.compression.name();
        let read = self.tar.read(buffer).map_err(|error| {
            // The disk's errors have a number, ours are inside; what is left are the decoder's.
            let is_ours = error.get_ref().is_some_and(|inner| inner.is::<Error>());
            if is_ours || error.raw_os_error().is_some() {
                return error;
            }
            let what = format!("the {name} stream is damaged: {error}");
            Error::corrupt(self.place.clone(), what).into()
        })?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let what = format!("grows to more than {} times its size", compression::RATIO);
                return Err(Error::unsupported(self.place.clone(), what)
                    .hint(format!("a layer that does is made to fill a disk; {name} gone wild?"))
                    .into());
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_without_end_is_stopped() {
        for (left, wanted) in [(1000, Some(1000)), (1001, Some(1000)), (999, None)] {
            let tar = Box::new(io::repeat(0).take(1000));
            let place = Place::new("layout", "blob");
            let mut tar = Unpacked { tar, compression: Compression::Zstd, left, place };
            match tar.read_to_end(&mut Vec::new()) {
                Ok(read) => assert_eq!(Some(read), wanted),
                Err(error) => {
                    let error = crate::error::from_io(error, || panic!("it has a place"));
                    assert!(wanted.is_none() && error.what().contains("1000 times"), "{error}");
                }
            }
        }
    }
}
