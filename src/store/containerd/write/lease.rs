//! Registry documents of images that a classic store keeps, under the leases by which its daemon finds
//! them.
//!
//! moby v28 distribution/manifest.go, daemon/images/store.go

use super::Writer;
use super::meta::{Labels, Namespace};
use crate::error::Result;
use crate::store::containerd::{layout, records::LEASE_PREFIX};
use crate::store::{ImageStep, Target as _};

impl Writer {
    /// Keeps the originals of `images`: no image here names them, and what no lease names either is
    /// gone at containerd's next start. An interrupted run leaves the old state or the new one.
    ///
    /// # Errors
    /// What the sink says.
    pub fn lease_originals(&self, images: &[ImageStep]) -> Result<()> {
        self.prepare(&[])?;
        let originals = || images.iter().flat_map(|image| &image.originals);
        for (blob, document) in originals() {
            self.put_document(*blob, &document.bytes)?;
        }
        let file = self.meta_file()?;
        let mut meta = self.load(&file)?;
        let mut namespace = Namespace::of(&mut meta, &self.namespace, self.writing.now);
        for (blob, document) in originals() {
            let labels: Labels = document.labels.iter().cloned().collect();
            namespace.add_blob(*blob, document.bytes.len() as u64, &labels);
        }
        for image in images.iter().filter(|image| !image.originals.is_empty()) {
            let Some(config) = image.config else { continue };
            let id = [LEASE_PREFIX, config.to_string().as_bytes()].concat();
            namespace.add_lease(id, image.originals.iter().map(|(blob, _)| *blob));
        }
        let staged = self.stage_bolt(&file, &meta)?;
        self.checkpoint()?;
        if self.stage.apart {
            for (blob, _) in originals() {
                let (staged, place) = (layout::staged_blob(*blob), layout::blob(*blob));
                if self.is_there(&staged)? || !self.is_there(&place)? {
                    self.sink.rename(staged.as_path(), place.as_path())?;
                }
            }
            self.sink.sync()?;
        }
        self.replace(&staged)?;
        self.discard()
    }
}
