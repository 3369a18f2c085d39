//! The images of a classic store and their names, as its daemon loads them at start.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::layers::Entry;
use super::layout::Layout;
use crate::digest::{ChainId, ConfigId, Digest};
use crate::error::{Error, Result};
use crate::format::docker::repositories;
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::format::time::Timestamp;
use crate::model::{Finding, Image, Inventory, Name, PlatformImage, Role, Severity};
use crate::tree::{Tree, many, optional, read, read_within};

/// Where images are read from, and the layers that they can stand on.
pub(super) struct Images<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) layout: &'a Layout,
    pub(super) layers: &'a BTreeMap<ChainId, Entry>,
}

impl Images<'_> {
    /// Adds the images and their names.
    ///
    /// # Errors
    /// Where not even the folders can be read.
    pub(super) fn add_to(&self, inventory: &mut Inventory) -> Result<()> {
        let names =
            optional(self.tree.names(self.layout.contents().as_path()))?.unwrap_or_default();
        let known = optional(self.tree.names(self.layout.all_metadata().as_path()))?;
        let known: HashSet<Vec<u8>> = known.unwrap_or_default().into_iter().collect();
        let id = |name: &Vec<u8>| Digest::from_hex(std::str::from_utf8(name).ok()?).ok();
        let ids: Vec<_> = names.iter().filter_map(id).collect();
        let read = many(&ids, |id| self.image(*id, known.contains(id.hex().as_bytes())));
        let mut unloadable = HashSet::new();
        for (id, image) in ids.into_iter().zip(read) {
            match image {
                Ok(image) => inventory.images.push(image),
                Err(error) => {
                    unloadable.insert(id);
                    let finding = Finding::of("image-unloadable", Severity::WouldNotLoad, &error);
                    inventory.findings.push(finding);
                }
            }
        }
        self.add_names(inventory, &unloadable);
        let parents: HashSet<_> = inventory.images.iter().filter_map(|i| i.parent).collect();
        for image in &mut inventory.images {
            image.intermediate = image.names.is_empty() && parents.contains(&image.id);
        }
        Ok(())
    }

    /// Reads one image as the daemon does at start (moby v28 image/store.go restore).
    fn image(&self, id: Digest, has_metadata: bool) -> Result<Image> {
        let path = self.layout.content(id);
        let place = || self.tree.place(path.as_path());
        let config: ImageConfig =
            decode(&config(self.tree, self.layout, id)?).map_err(|error| error.at(place()))?;
        if config.rootfs.is_none() {
            return Err(Error::corrupt(place(), "an image config without `rootfs`"));
        }
        let diff_ids = config.diff_ids().map_err(|error| error.at(place()))?;
        let chain = ChainId::chain(&diff_ids);
        if let Some(missing) = chain.iter().find(|chain_id| !self.layers.contains_key(*chain_id)) {
            let what = format!("the image's layer {missing} is missing or damaged");
            return Err(Error::missing(place(), what));
        }
        let arrived = self.tree.stat(path.as_path())?.mtime;
        let unpacked = chain.iter().filter_map(|id| self.layers.get(id)).map(|layer| layer.size);
        let manifest = PlatformImage {
            manifest: None,
            role: Role::Image,
            platform: config.platform.clone(),
            layers: diff_ids,
            present: true,
            content_size: 0,
            unpacked_size: unpacked.fold(0, u64::saturating_add),
            config: Some((ConfigId(id), Arc::new(config))),
        };
        let note = |key| if has_metadata { self.note(id, key) } else { Ok(None) };
        Ok(Image {
            id,
            names: Vec::new(),
            manifests: vec![manifest],
            best: Some(0),
            parent: note("parent")?.and_then(|text| text.parse().ok()),
            last_tagged: note("lastUpdated")?.and_then(|text| Timestamp::parse(&text).ok()),
            arrived: Some(arrived),
            intermediate: false,
            originals: Vec::new(),
        })
    }

    fn note(&self, image: Digest, key: &str) -> Result<Option<String>> {
        let path = self.layout.metadata(image, key);
        let bytes = optional(read_within(self.tree, path.as_path(), 4096))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// Gives the images their names. A file that cannot be read costs the names, not the images.
    fn add_names(&self, inventory: &mut Inventory, unloadable: &HashSet<Digest>) {
        let path = self.layout.repositories();
        let place = || self.tree.place(path.as_path());
        let entries = optional(read(self.tree, path.as_path())).and_then(|bytes| {
            let bytes = bytes.ok_or_else(|| Error::missing(place(), "no names are kept"))?;
            repositories::read(&bytes).map_err(|error| error.at(place()))
        });
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) if error.is_missing() && inventory.images.is_empty() => return,
            Err(error) => {
                let error = error.hint("the images are listed by their IDs");
                let code = "names-unreadable";
                inventory.findings.push(Finding::of(code, Severity::WouldNotLoad, &error));
                return;
            }
        };
        let mut names: BTreeMap<Digest, Vec<Name>> = BTreeMap::new();
        for entry in entries {
            match entry.reading {
                Ok((reference, config)) => {
                    names.entry(config.0).or_default().push(Name::Reference(reference));
                }
                Err(oddity) => {
                    let what = format!("the name `{}`: {}", entry.name, oddity.what());
                    let error = Error::corrupt(place(), what);
                    let finding = Finding::of("name-unusable", Severity::WrongMetadata, &error);
                    inventory.findings.push(finding);
                }
            }
        }
        for image in &mut inventory.images {
            image.names = names.remove(&image.id).unwrap_or_default();
            image.names.sort_unstable();
        }
        for (image, names) in names {
            let names: Vec<_> = names.iter().map(Name::familiar).collect();
            let why = if unloadable.contains(&image) { "cannot be loaded" } else { "is not there" };
            let what = format!("{} of image {image}, which {why}", names.join(", "));
            let error = Error::missing(place(), what);
            let finding = Finding::of("name-without-image", Severity::WrongMetadata, &error);
            inventory.findings.push(finding);
        }
    }
}

/// Reads the config of an image: all that this store keeps under its digest.
///
/// # Errors
/// What the tree says, and corrupt for other bytes than the digest names.
pub(super) fn config(tree: &dyn Tree, layout: &Layout, id: Digest) -> Result<Vec<u8>> {
    let path = layout.content(id);
    let bytes = read(tree, path.as_path())?;
    let found = Digest::of(&bytes);
    if found != id {
        let what = format!("{} bytes hash to {found}, wanted {id}", bytes.len());
        return Err(Error::corrupt(tree.place(path.as_path()), what));
    }
    Ok(bytes)
}
