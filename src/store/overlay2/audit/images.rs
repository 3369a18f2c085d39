//! `imagedb`: what is noted of images beside their configs, which were checked when they were read.

use std::collections::HashSet;

use super::{Auditor, MEND, TIDY};
use crate::digest::Digest;
use crate::error::Result;
use crate::format::time::Timestamp;
use crate::model::Severity;
use crate::tree::{many, optional, read_within};

/// A note is one digest or one time.
const NOTE_LIMIT: u64 = 4096;

impl Auditor<'_> {
    pub(super) fn list_images(&mut self) -> Result<()> {
        let contents = self.here.layout.contents();
        self.configs = self.digests(&contents, "image-stray", "no image can have this name")?;
        self.audit.count("images", self.configs.len());
        Ok(())
    }

    pub(super) fn check_images(&mut self) -> Result<()> {
        let notes = self.here.layout.all_metadata();
        let noted = self.digests(&notes, "image-stray", "no image can have this name")?;
        let there: HashSet<Digest> = self.configs.iter().copied().collect();
        let here = self.here;
        let note = |id: &Digest, key| {
            let file = here.layout.metadata(*id, key);
            optional(read_within(here.tree, file.as_path(), NOTE_LIMIT)).ok().flatten()
        };
        let read = many(&noted, |id| [note(id, "parent"), note(id, "lastUpdated")]);
        for (id, [parent, time]) in noted.iter().zip(read) {
            if !there.contains(id) {
                let folder = here.layout.metadata_folder(crate::digest::ConfigId(*id));
                let what = format!("notes on image {}, which is not there", id.short());
                let code = ("image-notes-unused", Severity::Untidy);
                self.note(code, folder.as_path(), what, TIDY);
                continue;
            }
            self.check_parent(*id, parent.as_deref(), &there);
            self.check_time(*id, time.as_deref());
        }
        self.check_systems();
        self.temporary()
    }

    /// dockerd passes over a parent that is not there. moby v28.5 image/store.go restore
    fn check_parent(&mut self, id: Digest, parent: Option<&[u8]>, there: &HashSet<Digest>) {
        let Some(bytes) = parent else { return };
        let text = String::from_utf8_lossy(bytes);
        let why = match text.trim().parse::<Digest>() {
            Ok(parent) if parent == id => "is itself".to_owned(),
            Ok(parent) if there.contains(&parent) => return,
            Ok(parent) => format!("{} is not there", parent.short()),
            Err(error) => format!("`{}` is {error}", crate::error::printable(bytes)),
        };
        let what = format!("the parent of image {} {why}", id.short());
        let file = self.here.layout.metadata(id, "parent");
        self.note(("image-parent-wrong", Severity::WrongMetadata), file.as_path(), what, MEND);
    }

    /// A time that cannot be read makes `docker inspect` fail.
    fn check_time(&mut self, id: Digest, time: Option<&[u8]>) {
        let text = time.map(String::from_utf8_lossy);
        let Some(Err(error)) = text.map(|text| Timestamp::parse(text.trim())) else { return };
        let what = format!("when image {} was tagged: {}", id.short(), error.what);
        let file = self.here.layout.metadata(id, "lastUpdated");
        self.note(("image-time-wrong", Severity::WrongMetadata), file.as_path(), what, MEND);
    }

    /// dockerd passes over what is not for its own system. moby v28.5 image/store.go restore
    fn check_systems(&mut self) {
        let images = self.here.inventory.images.iter();
        let foreign = images.filter_map(|image| Some((image, super::starts::foreign(image)?)));
        for (image, os) in foreign {
            let what = format!("image {} is for {os}", image.id.short());
            let file = self.here.layout.content(image.id);
            let code = ("image-of-other-system", Severity::WouldNotLoad);
            self.note(code, file.as_path(), what, "only a daemon on that system lists it");
        }
    }

    /// Tells of names that were being written.
    fn temporary(&mut self) -> Result<()> {
        let file = self.here.layout.repositories();
        let Some((folder, _)) = file.as_path().split_last() else { return Ok(()) };
        let folder = folder.to_owned();
        for name in optional(self.here.tree.names(folder.as_path()))?.unwrap_or_default() {
            if name.starts_with(b".tmp-") {
                self.stray(&folder, &name, "temporary-file", "");
            }
        }
        Ok(())
    }
}
