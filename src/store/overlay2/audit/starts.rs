//! What dockerd makes of images and containers when it starts.
//!
//! moby v28.5 image/store.go restore, layer/layer_store.go loadLayer, daemon/daemon.go restore

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Auditor, Mount};
use crate::digest::{ChainId, Digest};
use crate::format::docker::repositories;
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::model::{Container, Image, Name};
use crate::store::Start;
use crate::store::overlay2::images;
use crate::store::overlay2::layers::Entry;
use crate::tree::read;

/// Returns the system that an image is for, if that is not the daemon's and it has layers: one without
/// is loaded all the same.
pub(super) fn foreign(image: &Image) -> Option<&str> {
    let shown = image.shown()?;
    let os = shown.config.as_ref()?.1.os();
    let is_other = !os.eq_ignore_ascii_case("linux") && !shown.layers.is_empty();
    is_other.then_some(os)
}

impl Auditor<'_> {
    /// Returns whether dockerd loads a layer: it takes each folder at its word.
    pub(super) fn loads(&self, chain_id: ChainId) -> bool {
        let most = self.here.layers.len().saturating_add(self.odd_layers.len());
        let mut next = Some(chain_id);
        for _ in 0..=most {
            let Some(chain_id) = next else { return true };
            if self.here.layers.contains_key(&chain_id) {
                return true;
            }
            let Some(entry) = self.odd_layers.get(&chain_id) else { return false };
            next = entry.parent;
        }
        false
    }

    /// Says what becomes of every image and container.
    pub(super) fn act_out(&mut self) {
        let mut starts = self.images();
        starts.extend(self.containers());
        // dockerd does not start without its names. moby v28.5 reference/store.go NewReferenceStore
        let is_broken = self.here.inventory.findings.iter().any(|f| f.code == "names-unreadable");
        if is_broken && self.names().is_none() {
            for start in &mut starts {
                let why = "dockerd does not start: it cannot read repositories.json";
                (start.fails, start.silently) = (Some(why.to_owned()), false);
            }
        }
        self.audit.starts.extend(starts);
    }

    /// Returns the names of images, if the file is there and can be read.
    fn names(&self) -> Option<BTreeMap<Digest, Vec<String>>> {
        let mut names = BTreeMap::<Digest, Vec<String>>::new();
        let file = self.here.layout.repositories();
        let bytes = match read(self.here.tree, file.as_path()) {
            Ok(bytes) => bytes,
            Err(error) => return error.is_missing().then_some(names),
        };
        for entry in repositories::read(&bytes).ok()? {
            if let Ok((_, config)) = entry.reading {
                names.entry(config.0).or_default().push(entry.name);
            }
        }
        Some(names)
    }

    fn images(&self) -> Vec<Start> {
        let images = &self.here.inventory.images;
        let known: HashSet<Digest> = images.iter().map(|image| image.id).collect();
        let mut starts: Vec<_> = images.iter().map(|image| self.image(image)).collect();
        let mut names = self.names().unwrap_or_default();
        for id in &self.configs {
            let names = names.remove(id).unwrap_or_default();
            if known.contains(id) {
                continue;
            }
            let fails = self.why_not(*id);
            let (id, silently) = (id.to_string(), fails.is_some());
            starts.push(Start { container: false, id, names, fails, silently });
        }
        for (id, names) in names {
            let fails = Some("its config is not there".to_owned());
            let id = id.to_string();
            starts.push(Start { container: false, id, names, fails, silently: true });
        }
        starts.sort_by(|a, b| a.id.cmp(&b.id));
        starts
    }

    /// An image that is loaded, and may still be of no use.
    fn image(&self, image: &Image) -> Start {
        let silently = foreign(image).is_some();
        let fails = match foreign(image) {
            Some(os) => Some(format!("it is for {os}")),
            None => image.shown().and_then(|shown| self.unusable(shown.chain().last().copied())),
        };
        let names = image.names.iter().map(Name::familiar).collect();
        Start { container: false, id: image.id.to_string(), names, fails, silently }
    }

    /// Returns why nothing can be mounted on a layer, if that is so.
    fn unusable(&self, top: Option<ChainId>) -> Option<String> {
        let own = self.entry(top?).and_then(|top| self.flaws.for_itself.get(&top.cache_id));
        own.cloned().or_else(|| self.broken_below(top))
    }

    /// Returns what is wrong with `top` or a layer below it, so that none above can be mounted.
    fn broken_below(&self, top: Option<ChainId>) -> Option<String> {
        if self.flaws.for_all.is_empty() {
            return None;
        }
        let most = self.here.layers.len().saturating_add(self.odd_layers.len());
        let top = self.entry(top?);
        let mut chain = std::iter::successors(top, |entry| self.entry(entry.parent?)).take(most);
        chain.find_map(|entry| self.flaws.for_all.get(&entry.cache_id).cloned())
    }

    fn entry(&self, chain_id: ChainId) -> Option<&Entry> {
        self.here.layers.get(&chain_id).or_else(|| self.odd_layers.get(&chain_id))
    }

    /// Returns why dockerd does not load an image. One that it loads may be of layers that are not what
    /// they should be.
    fn why_not(&self, id: Digest) -> Option<String> {
        let bytes = match images::config(self.here.tree, self.here.layout, id) {
            Ok(bytes) => bytes,
            Err(error) => return Some(error.what().to_owned()),
        };
        let config = decode::<ImageConfig>(&bytes);
        let diff_ids = match config.and_then(|config| config.diff_ids()) {
            Ok(diff_ids) => diff_ids,
            Err(error) => return Some(error.what),
        };
        let top = ChainId::chain(&diff_ids).last().copied();
        let top = top.filter(|top| !self.loads(*top))?;
        Some(format!("its layer {} or one below it cannot be loaded", top.0.short()))
    }

    fn containers(&self) -> Vec<Start> {
        let mounts: HashMap<&str, _> =
            self.mounts.iter().map(|here| (here.container.as_str(), &here.mount)).collect();
        let start = |one: &Container| {
            let (fails, silently) = match mounts.get(one.id.as_str()) {
                None => (Some("nothing says where its files are".to_owned()), true),
                Some(Err(why)) => (Some(why.clone()), true),
                Some(Ok(mount)) => (self.unmountable(mount), false),
            };
            let (id, names) = (one.id.clone(), vec![one.name.clone()]);
            Start { container: true, id, names, fails, silently }
        };
        self.here.inventory.containers.iter().map(start).collect()
    }

    /// Returns why a container that is listed cannot be started, if that is so.
    fn unmountable(&self, mount: &Mount) -> Option<String> {
        let flaws = &self.flaws;
        let own = flaws.for_itself.get(&mount.mount_id);
        let own = own.or_else(|| flaws.for_all.get(&mount.mount_id));
        let init = mount.init_id.as_ref().and_then(|init| flaws.for_all.get(init));
        own.or(init).cloned().or_else(|| self.broken_below(mount.parent))
    }
}
