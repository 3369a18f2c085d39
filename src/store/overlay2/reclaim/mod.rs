//! What of a classic store can go.
//!
//! A daemon loads what layerdb names and never looks for more: a folder of the driver without a layer, a
//! layer without an image stay forever (moby v28 daemon/internal/layer/layer_store.go,
//! daemon/graphdriver/overlay2/overlay.go). The image builder has folders of the driver too, and names
//! them in a file of its own.

mod claims;
mod found;
mod needs;

use std::collections::{BTreeMap, BTreeSet};

use super::read::Overlay2;
use crate::digest::{ChainId, ConfigId, Digest};
use crate::error::Result;
use crate::format::docker::repositories;
use crate::model::StoreKind;
use crate::store::reclaim::{Put, Reclaim, Wanted};
use crate::store::{Source as _, builds};
use crate::tree::{Tree, TreePathBuf, optional, path, read};
use found::{Found, Record, is_ours};
use needs::{Looking, Needs};

impl Overlay2 {
    /// Returns what can go of what is wanted; see [`Source::reclaim`](crate::store::Source::reclaim).
    pub(super) fn waste(&self, wanted: &Wanted) -> Result<Reclaim> {
        let driver = self.inventory().driver.as_str();
        let mut plan = Reclaim::default();
        if !(wanted.whole || wanted.orphans) {
            return Ok(plan);
        }
        if driver != super::DRIVER {
            plan.stay(format!("the store of {driver}"), "only that of overlay2 is understood here");
            return Ok(plan);
        }
        let (tree, layout) = (self.files(), self.layout());
        let found = Found::read(tree, layout)?;
        let looking = Looking { tree, layout, driver, wanted, found: &found };
        let needs = looking.needs()?;
        if wanted.whole && wanted.build_cache {
            plan.waste.extend(builds::waste(tree, StoreKind::Classic)?);
        }
        match wanted.whole && needs.is_empty() {
            true => looking.all(&mut plan),
            false => looking.each(&needs, &mut plan)?,
        }
        looking.tell(&needs, &mut plan);
        Ok(plan)
    }
}

/// No driver takes so many; a loop of parents has no end.
const DEEPEST: usize = 500;

const MOVED: &str = "the store goes as a whole";

impl Looking<'_> {
    /// Everything goes: the first folder has all that a daemon reads, so that it sees the store or none.
    fn all(&self, plan: &mut Reclaim) {
        let images = path("image").child(self.driver.as_bytes()).unwrap_or_default();
        for (code, what, folder) in [
            ("store-records", "names, configs and records of layers", images),
            ("store-layers", "the layers' files", path(self.driver).to_owned()),
        ] {
            if self.tree.stat(folder.as_path()).is_ok() {
                plan.add(code, what, MOVED, vec![folder]);
            }
        }
    }

    /// Everything goes that is not needed.
    fn each(&self, needs: &Needs, plan: &mut Reclaim) -> Result<()> {
        if self.wanted.whole {
            self.images(needs, plan)?;
        }
        for container in self.found.mounts.keys() {
            let Some(folder) = self.layout.mounts().as_path().child(container.as_bytes()) else {
                continue;
            };
            if needs.mounts.contains(container) || self.known_build(container) {
                continue;
            }
            let proof = match self.wanted.known.may_exist(container) {
                true => "its config names the other store, which has all of it",
                false => "there is no such container",
            };
            plan.add("container", format!("container {container}"), proof, vec![folder]);
        }
        self.layers(needs, plan);
        self.folders(needs, plan);
        self.links(plan);
        Ok(())
    }

    fn known_build(&self, name: &str) -> bool {
        !(self.wanted.whole && self.wanted.build_cache) && self.wanted.known.builds.mention(name)
    }

    /// Images and their names, names first: one that leads nowhere is never shown.
    fn images(&self, needs: &Needs, plan: &mut Reclaim) -> Result<()> {
        let file = self.layout.repositories();
        if let Some(bytes) = optional(read(self.tree, file.as_path()))? {
            let place = || self.tree.place(file.as_path());
            let all = repositories::read(&bytes).map_err(|error| error.at(place()))?;
            let read = all.into_iter().filter_map(|entry| entry.reading.ok());
            let kept: Vec<_> = read.filter(|(_, id)| needs.images.contains(&id.0)).collect();
            let bytes = repositories::write(kept.iter().map(|(name, id)| (name, *id)));
            plan.puts.push(Put { path: file, bytes });
        }
        let names = optional(self.tree.names(self.layout.contents().as_path()))?;
        for name in names.unwrap_or_default() {
            let id = std::str::from_utf8(&name).ok().and_then(|hex| Digest::from_hex(hex).ok());
            let Some(id) = id.filter(|id| !needs.images.contains(id)) else { continue };
            let paths = vec![self.layout.content(id), self.layout.metadata_folder(ConfigId(id))];
            plan.add("image", format!("image {}", id.short()), MOVED, there(self.tree, paths));
        }
        Ok(())
    }

    fn layers(&self, needs: &Needs, plan: &mut Reclaim) {
        let is_waste = |record: &&Record| match record.chain_id {
            Some(chain_id) => !needs.chains.contains(&chain_id),
            None => true,
        };
        let depths = self.depths();
        let depth = |record: &Record| record.chain_id.and_then(|id| depths.get(&id).copied());
        let mut waste: Vec<&Record> = self.found.records.iter().filter(is_waste).collect();
        // A layer goes before the one that it stands on, without which a daemon would not load it.
        waste.sort_by_key(|record| (std::cmp::Reverse(depth(record)), record.name.clone()));
        for record in waste {
            let what = format!("the record of layer {}", record.name);
            let proof = match (record.chain_id, &needs.layers_in_doubt) {
                (None, _) => "a daemon began to remove it, and does so itself only when it stops",
                (Some(_), _) if self.wanted.whole => MOVED,
                (Some(_), Some(why)) => {
                    plan.stay(what, why.clone());
                    continue;
                }
                (Some(_), None) => "no image, no container and no build stands on it",
            };
            plan.add("layer", what, proof, vec![record.path.clone()]);
        }
        for record in &self.found.unfinished {
            let proof = match is_ours(record) {
                true => "a migration that did not end left it; the next one begins anew",
                false => "a daemon was adding it, and begins anew each time",
            };
            let what = format!("an unfinished layer, {}", record.name);
            plan.add("staging", what, proof, vec![record.path.clone()]);
        }
        let staging = self.layout.staging(None);
        if self.tree.stat(staging.as_path()).is_ok() {
            let proof = "a migration that did not end left it";
            plan.add("staging", "names and notes on their way", proof, vec![staging]);
        }
    }

    /// Returns how many layers each layer stands on.
    fn depths(&self) -> BTreeMap<ChainId, usize> {
        let records = self.found.records.iter();
        let parents: BTreeMap<ChainId, Option<ChainId>> =
            records.filter_map(|one| Some((one.chain_id?, one.parent))).collect();
        let below = |id: &ChainId| parents.get(id).copied().flatten();
        let depth = |id: &ChainId| std::iter::successors(below(id), below).take(DEEPEST).count();
        parents.keys().map(|id| (*id, depth(id))).collect()
    }

    fn folders(&self, needs: &Needs, plan: &mut Reclaim) {
        let (gone, links) = (gone(plan), self.links_by_folder());
        let (dropped, kept): (Vec<&Record>, Vec<&Record>) = self
            .found
            .records
            .iter()
            .chain(&self.found.unfinished)
            .partition(|record| gone.contains(&record.path));
        let names = |records: Vec<&'_ Record>| -> BTreeSet<String> {
            records.into_iter().filter_map(|record| record.cache_id.clone()).collect()
        };
        // A layer that stays for some doubt keeps its folder.
        let (dropped, kept) = (names(dropped), names(kept));
        for name in self.found.folders.keys() {
            let Some(folder) = self.layout.folder(name) else { continue };
            if needs.folders.contains(name) || kept.contains(name) {
                continue;
            }
            let what = format!("{}/{name}", self.driver);
            let proof = match (&needs.folders_in_doubt, dropped.contains(name)) {
                (_, true) => "it is the folder of a layer that goes",
                (Some(why), false) => {
                    plan.stay(what, why.clone());
                    continue;
                }
                (None, false) if self.wanted.whole => MOVED,
                (None, false) => "no layer, no container and no build names it",
            };
            let links = links.get(name.as_str()).into_iter().flatten().cloned();
            plan.add("folder", what, proof, std::iter::once(folder).chain(links).collect());
        }
    }

    /// Returns the short links by the folders that they lead to.
    pub(super) fn links_by_folder(&self) -> BTreeMap<&str, Vec<TreePathBuf>> {
        let mut links: BTreeMap<&str, Vec<TreePathBuf>> = BTreeMap::new();
        for (link, name) in &self.found.links {
            let Some(name) = name else { continue };
            let path = self.layout.links().as_path().child(link);
            links.entry(name).or_default().extend(path);
        }
        links
    }

    /// Short links to folders that are gone.
    fn links(&self, plan: &mut Reclaim) {
        for (name, paths) in self.links_by_folder() {
            if !self.found.folders.contains_key(name) {
                let what = format!("what leads to {}/{name}", self.driver);
                plan.add("link", what, "that folder is gone", paths);
            }
        }
    }

    /// Says what stays of a store that goes.
    fn tell(&self, needs: &Needs, plan: &mut Reclaim) {
        if !self.wanted.whole {
            return;
        }
        for container in &needs.mounts {
            let found = self.wanted.known.containers.iter().find(|one| one.id == *container);
            let name = found.map_or(container, |one| &one.name);
            let why = "it is bound to this store: what it needs stays with it";
            plan.stay(format!("container {name}"), why);
        }
        if !needs.built.is_empty() {
            let what = format!("{} layers of the build cache", needs.built.len());
            plan.stay(what, "`--build-cache` lets it go too");
        }
    }
}

fn gone(plan: &Reclaim) -> BTreeSet<TreePathBuf> {
    plan.waste.iter().flat_map(|waste| &waste.paths).cloned().collect()
}

fn there(tree: &dyn Tree, mut paths: Vec<TreePathBuf>) -> Vec<TreePathBuf> {
    paths.retain(|path| tree.stat(path.as_path()).is_ok());
    paths
}
