//! What of it is needed, and by whom.

use std::collections::{BTreeMap, BTreeSet};

use super::super::images;
use super::super::layout::Layout;
use super::found::Found;
use crate::digest::{ChainId, Digest};
use crate::error::Result;
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::store::reclaim::{Known, Wanted};
use crate::tree::{Tree, many, optional};

/// What must stay.
#[derive(Default)]
pub(super) struct Needs {
    /// Images, by their configs.
    pub(super) images: BTreeSet<Digest>,
    pub(super) chains: BTreeSet<ChainId>,
    /// Containers.
    pub(super) mounts: BTreeSet<String>,
    /// The driver's folders.
    pub(super) folders: BTreeSet<String>,
    /// Folders that the image builder has.
    pub(super) built: BTreeSet<String>,
    /// Why a layer that nothing names may be needed all the same.
    pub(super) layers_in_doubt: Option<String>,
    /// Why a folder that nothing names may be needed all the same.
    pub(super) folders_in_doubt: Option<String>,
}

/// A store that is looked at.
pub(super) struct Looking<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) layout: &'a Layout,
    pub(super) driver: &'a str,
    pub(super) wanted: &'a Wanted,
    pub(super) found: &'a Found,
}

impl Looking<'_> {
    fn known(&self) -> &Known {
        &self.wanted.known
    }

    /// Returns what must stay: where the whole store goes, what other things than its images need.
    ///
    /// # Errors
    /// Where a folder cannot be read.
    pub(super) fn needs(&self) -> Result<Needs> {
        let mut needs = Needs::default();
        for (container, mount) in &self.found.mounts {
            // What the other store has by now goes only with the store: `migrate --undo` needs it.
            let is_used = match self.wanted.whole {
                true => self.known().may_use(container, self.driver),
                false => self.known().may_exist(container),
            };
            if is_used {
                needs.mounts.insert(container.clone());
                match mount {
                    Some(mount) => {
                        needs.chains.extend(mount.parent);
                        needs.folders.insert(mount.mount_id.clone());
                        needs.folders.extend(mount.init_id.clone());
                    }
                    None => needs.doubt_folders(format!(
                        "what layerdb keeps of container {container} cannot be read"
                    )),
                }
            }
        }
        self.add_images(&mut needs)?;
        if !(self.wanted.whole && self.wanted.build_cache) {
            self.add_builds(&mut needs);
        }
        self.close(&mut needs);
        self.doubt(&mut needs);
        Ok(needs)
    }

    /// Adds the images, or where the whole store goes those that its containers have; with their layers,
    /// also where one cannot be loaded.
    fn add_images(&self, needs: &mut Needs) -> Result<()> {
        let names = optional(self.tree.names(self.layout.contents().as_path()))?;
        let ids = names.unwrap_or_default();
        let ids =
            ids.iter().filter_map(|name| Digest::from_hex(std::str::from_utf8(name).ok()?).ok());
        let used: BTreeSet<Digest> = self
            .known()
            .containers
            .iter()
            .filter(|one| one.driver == self.driver)
            .filter_map(|one| one.image)
            .collect();
        let ids: Vec<_> = ids.filter(|id| !self.wanted.whole || used.contains(id)).collect();
        let read = many(&ids, |id| {
            let bytes = images::config(self.tree, self.layout, *id).ok()?;
            Some(ChainId::chain(&decode::<ImageConfig>(&bytes).ok()?.diff_ids().ok()?))
        });
        for (id, chain) in ids.into_iter().zip(read) {
            needs.images.insert(id);
            match chain {
                Some(chain) => needs.chains.extend(chain),
                None => {
                    let why = format!("the config of image {} cannot be read", id.short());
                    needs.layers_in_doubt.get_or_insert(why);
                }
            }
        }
        Ok(())
    }

    fn add_builds(&self, needs: &mut Needs) {
        let builds = &self.known().builds;
        if let Some(what) = &builds.unreadable {
            let why = format!("what the image builder keeps cannot be read: {what}");
            needs.doubt_folders(why.clone());
            needs.layers_in_doubt.get_or_insert(why);
        }
        let named = self.found.folders.keys().filter(|name| builds.mention(name));
        needs.built.extend(named.cloned());
        for record in &self.found.records {
            let Some(chain_id) = record.chain_id else { continue };
            if builds.mention(&chain_id.to_string()) {
                needs.chains.insert(chain_id);
                needs.built.extend(record.cache_id.clone());
            }
        }
        needs.folders.extend(needs.built.iter().cloned());
    }

    /// Adds what those stand on that are needed: layers on layers, folders on folders, and each layer has
    /// its folder.
    fn close(&self, needs: &mut Needs) {
        let records: BTreeMap<_, _> =
            self.found.records.iter().filter_map(|one| Some((one.chain_id?, one))).collect();
        let layers: BTreeMap<_, _> = records
            .values()
            .filter_map(|one| Some((one.cache_id.as_deref()?, one.chain_id?)))
            .collect();
        let mut chains: Vec<ChainId> = std::mem::take(&mut needs.chains).into_iter().collect();
        let mut folders: Vec<String> = std::mem::take(&mut needs.folders).into_iter().collect();
        while !(chains.is_empty() && folders.is_empty()) {
            for name in folders.drain(..) {
                if needs.folders.insert(name.clone()) {
                    chains.extend(layers.get(name.as_str()));
                }
            }
            let next: Vec<ChainId> = std::mem::take(&mut chains);
            for chain_id in next {
                let Some(record) = records.get(&chain_id) else { continue };
                if needs.chains.insert(chain_id) {
                    folders.extend(record.cache_id.clone());
                    chains.extend(record.parent);
                }
            }
            let stood_on = |name: &String| self.found.folders.get(name).cloned();
            let below = needs.folders.iter().filter_map(stood_on).flatten();
            folders.extend(below.filter(|name| !needs.folders.contains(name)));
        }
    }

    /// Notes why a folder that nothing names may be somebody's.
    fn doubt(&self, needs: &mut Needs) {
        for record in self.found.records.iter().filter(|_| !self.wanted.whole) {
            if record.cache_id.is_none() && record.chain_id.is_some() {
                let why = format!("layer {} does not say which folder is its own", record.name);
                needs.doubt_folders(why);
            }
        }
        for one in self.known().containers.iter().filter(|one| one.driver == self.driver) {
            if !self.found.mounts.contains_key(&one.id) {
                let why = format!("layerdb does not say which folder container {} has", one.name);
                needs.doubt_folders(why);
            }
        }
        for id in self.known().container_folders.iter().flatten() {
            let is_read = self.known().containers.iter().any(|one| one.id == *id);
            if !is_read && !self.found.mounts.contains_key(id) {
                needs.doubt_folders(format!("the config of container {id} cannot be read"));
            }
        }
        if let Some(name) = self.found.loose.iter().find(|name| needs.folders.contains(*name)) {
            needs.doubt_folders(format!("what folder {name} stands on cannot be read"));
        }
    }
}

impl Needs {
    fn doubt_folders(&mut self, why: String) {
        self.folders_in_doubt.get_or_insert(why);
    }

    /// Returns whether nothing but the store's own images needs any of it.
    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty()
            && self.chains.is_empty()
            && self.mounts.is_empty()
            && self.folders.is_empty()
            && self.folders_in_doubt.is_none()
    }
}
