//! `imagedb`: configs are known by their digests, whoever has them; notes that cannot be read are put
//! aside, which a daemon does without.

use std::collections::{BTreeMap, BTreeSet};

use super::Mender;
use crate::digest::{BlobId, Digest};
use crate::error::Result;
use crate::format::docker::{layerdb, repositories};
use crate::format::time::Timestamp;
use crate::store::mend::{Change, Content};
use crate::store::overlay2::images;
use crate::tree::{Time, optional, read};

const NOTE_LIMIT: u64 = 4096;

impl Mender<'_> {
    pub(super) fn mend_images(&mut self) -> Result<()> {
        let names =
            optional(self.tree.names(self.layout.contents().as_path()))?.unwrap_or_default();
        let id = |name: &Vec<u8>| Digest::from_hex(std::str::from_utf8(name).ok()?).ok();
        let there: BTreeSet<Digest> = names.iter().filter_map(id).collect();
        let mut wanted = self.wanted();
        for id in &there {
            match images::config(&**self.tree, &self.layout, *id) {
                Ok(bytes) => {
                    wanted.remove(id);
                    self.add_image(*id, &bytes);
                }
                Err(error) => _ = wanted.insert(*id, error.what().to_owned()),
            }
        }
        for (id, why) in wanted {
            self.fetch(id, why, there.contains(&id));
        }
        self.mend_notes()
    }

    /// Returns the images that something names, and why they are missed.
    fn wanted(&self) -> BTreeMap<Digest, String> {
        let mut wanted = BTreeMap::new();
        let file = self.layout.repositories();
        let entries =
            read(&**self.tree, file.as_path()).ok().and_then(|b| repositories::read(&b).ok());
        for entry in entries.unwrap_or_default() {
            if let Ok((_, config)) = entry.reading {
                wanted.insert(config.0, format!("its config is gone; {} is its name", entry.name));
            }
        }
        for one in self.help.containers.iter().filter(|one| one.driver == self.driver) {
            if let Some(id) = one.image {
                wanted.entry(id).or_insert_with(|| {
                    format!("its config is gone; container {} was made of it", one.name)
                });
            }
        }
        wanted
    }

    /// Takes the config of an image from whoever has it.
    fn fetch(&mut self, id: Digest, why: String, is_there: bool) {
        let at = self.layout.content(id);
        let others = self.help.others.clone();
        let found = others.iter().find_map(|other| {
            let bytes = other.document(BlobId(id)).ok()?.bytes;
            (Digest::of(&bytes) == id).then_some((bytes, self.arrived(id, &**other)))
        });
        let code = if is_there { "image-unloadable" } else { "name-without-image" };
        let what = format!("image {}: {why}", id.short());
        let Some((bytes, arrived)) = found else {
            let missing = "the config: no other store that was asked has it";
            self.cannot(code, at.as_path(), what, missing);
            return;
        };
        self.add_image(id, &bytes);
        let content = Content::Bytes(bytes);
        let change = Change::Put { at: at.clone(), content, mode: 0o600, mtime: arrived };
        let how = "take the config from another store";
        self.mend(code, at.as_path(), what, how, vec![change]);
    }

    /// Returns when an image came, which the time of its config tells.
    fn arrived(&self, id: Digest, other: &dyn crate::store::Source) -> Option<Time> {
        let has = |image: &&crate::model::Image| {
            let mut configs = image.manifests.iter().filter_map(|one| one.config.as_ref());
            configs.any(|(config, _)| config.0 == id)
        };
        other.inventory().images.iter().find(has)?.arrived
    }

    fn mend_notes(&mut self) -> Result<()> {
        let folder = self.layout.all_metadata();
        for name in optional(self.tree.names(folder.as_path()))?.unwrap_or_default() {
            let id = std::str::from_utf8(&name).ok().and_then(|hex| Digest::from_hex(hex).ok());
            let Some(id) = id.filter(|id| self.images.contains_key(id)) else { continue };
            let [parent, time] = ["parent", "lastUpdated"].map(|key| self.layout.metadata(id, key));
            if let Some(bytes) = self.value(&parent, NOTE_LIMIT) {
                let known = layerdb::parent(&bytes).ok().map(|parent| parent.0);
                if !known.is_some_and(|parent| self.images.contains_key(&parent)) {
                    let what =
                        format!("image {}: the image it was built of is not here", id.short());
                    let changes = vec![Change::remove(parent.clone())];
                    let how = "put the note aside";
                    self.mend("image-parent-wrong", parent.as_path(), what, how, changes);
                }
            }
            if let Some(bytes) = self.value(&time, NOTE_LIMIT)
                && Timestamp::parse(String::from_utf8_lossy(&bytes).trim()).is_err()
            {
                let what = format!("image {}: when it was tagged cannot be read", id.short());
                let changes = vec![Change::remove(time.clone())];
                self.mend("image-time-wrong", time.as_path(), what, "put the note aside", changes);
            }
        }
        Ok(())
    }
}
