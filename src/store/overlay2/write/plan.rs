//! What new layers are called: the same in every run, so that a run finds what an earlier one left.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::Writer;
use crate::digest::{ChainId, Digest};
use crate::error::{Error, Result};
use crate::format::docker::link::{self, Link};
use crate::store::LayerStep;
use crate::tree::{optional, read_within};

/// The most layers of an image that dockerd accepts (moby v28 layer/layer_store.go maxLayerDepth).
const MOST_LAYERS: usize = 125;

/// How many names of a kind a layer may have, one of which is free. A second is needed where the
/// first is another's, which takes a damaged store.
pub(super) const TRIES: usize = 4;

/// `link` is 26 bytes; `lower` has 29 for each layer below.
const VALUE_LIMIT: u64 = 4096;

/// A layer to be made.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// The driver's folder.
    pub(super) cache_id: String,
    pub(super) link: Link,
    pub(super) parent: Option<ChainId>,
    /// Whether another layer is to stand on it.
    pub(super) has_child: bool,
}

/// Returns whether dockerd would not choose an ID.
///
/// moby v28 daemon/internal/stringid: those whose first 12 characters are all digits are avoided.
pub(super) fn is_number(id: &str) -> bool {
    id.bytes().take(12).all(|b| b.is_ascii_digit())
}

/// Returns the names that the driver's folder of a layer of ours may have.
pub(super) fn cache_ids(chain_id: ChainId) -> impl Iterator<Item = String> {
    let id = move |n| Digest::of(format!("tranship layer {chain_id} {n}").as_bytes()).hex();
    (0..).map(id).filter(move |id| !is_number(id)).take(TRIES)
}

/// Returns the short links that a layer of ours may have.
pub(in crate::store::overlay2) fn links(cache_id: &str) -> impl Iterator<Item = Link> {
    let bits = move |n| {
        let digest = Digest::of(format!("tranship link {cache_id} {n}").as_bytes());
        digest.as_bytes().first_chunk().copied().unwrap_or_default()
    };
    (0..TRIES).map(bits).map(Link::from_bits)
}

impl Writer {
    /// Makes the folders that layers are put into, and settles what each layer is called.
    pub(super) fn prepare(&self, steps: &[LayerStep]) -> Result<()> {
        self.take_up()?;
        for (folder, mode) in self.layout.folders() {
            self.make_dir(&folder, mode)?;
        }
        let names = optional(self.sink.tree().names(self.layout.links().as_path()))?;
        let mut taken: BTreeSet<Vec<u8>> = names.unwrap_or_default().into_iter().collect();
        let chains = steps.iter().flat_map(|step| &step.chains);
        let parents: HashSet<ChainId> = chains.clone().filter_map(|(_, parent)| *parent).collect();
        let mut planned = BTreeMap::new();
        for (chain_id, parent) in chains {
            let cache_id = self.cache_id(*chain_id)?;
            let link = self.link(&cache_id, &mut taken)?;
            let has_child = parents.contains(chain_id);
            planned.insert(*chain_id, Planned { cache_id, link, parent: *parent, has_child });
        }
        self.note_children(parents.iter().filter(|parent| !planned.contains_key(*parent)))?;
        self.make_write_sets(&planned)?;
        self.state().planned = Arc::new(planned);
        Ok(())
    }

    /// Returns the name of the driver's folder of a new layer. One that layerdb has already names the
    /// folder of a layer that dockerd cannot load: that one is left alone.
    fn cache_id(&self, chain_id: ChainId) -> Result<String> {
        let path = self.layout.layer(chain_id, "cache-id");
        let known = read_within(self.sink.tree(), path.as_path(), VALUE_LIMIT).unwrap_or_default();
        let is_free = |id: &String| id.as_bytes() != known.trim_ascii();
        cache_ids(chain_id).find(is_free).ok_or_else(|| {
            Error::corrupt(self.sink.tree().place(path.as_path()), "all names are taken")
        })
    }

    /// Returns a short link that no other layer has.
    pub(super) fn link(&self, cache_id: &str, taken: &mut BTreeSet<Vec<u8>>) -> Result<Link> {
        let free = links(cache_id)
            .find(|link| taken.insert(link.as_bytes().to_vec()) || self.leads_to(*link, cache_id));
        free.ok_or_else(|| {
            let place = self.sink.tree().place(self.layout.links().as_path());
            Error::corrupt(place, format!("all links for the layer {cache_id} are taken"))
        })
    }

    /// Returns whether a short link that is there leads to the files of a layer.
    pub(super) fn leads_to(&self, link: Link, cache_id: &str) -> bool {
        let target = self.sink.tree().read_link(self.layout.link(link).as_path());
        target.is_ok_and(|target| target == link::format_target(cache_id).as_bytes())
    }

    /// Marks layers that were there before: others stand on them now (moby v28
    /// daemon/graphdriver/overlay2/overlay.go create).
    pub(super) fn note_children<'a>(
        &self,
        parents: impl Iterator<Item = &'a ChainId>,
    ) -> Result<()> {
        for entry in parents.filter_map(|parent| self.layers.get(parent)) {
            let Some(folder) = self.layout.folder(&entry.cache_id) else { continue };
            let mark = folder.as_path().child(b"committed").unwrap_or_default();
            if self.is_there(&folder)? && !self.is_there(&mark)? {
                self.write_file(&mark, 0o600, b"")?;
            }
        }
        Ok(())
    }

    /// Makes a folder in layerdb for each layer before any other of its parts: what an interrupted run
    /// leaves is known by that.
    fn make_write_sets(&self, planned: &BTreeMap<ChainId, Planned>) -> Result<()> {
        if !self.sink.can_stage() || planned.is_empty() {
            return Ok(());
        }
        for chain_id in planned.keys() {
            self.make_dir(&self.layout.write_set(*chain_id), 0o700)?;
        }
        self.sink.sync()
    }

    /// Returns the links of the layers below a layer, the nearest first.
    pub(super) fn lower(&self, parent: Option<ChainId>) -> Result<Vec<Link>> {
        let planned = Arc::clone(&self.state().planned);
        let (mut links, mut next) = (Vec::new(), parent);
        while let Some(chain_id) = next.filter(|_| links.len() < MOST_LAYERS) {
            let Some(below) = planned.get(&chain_id) else {
                let below = self.links_of(chain_id).map_err(|error| {
                    error.hint("the layer below is damaged: `docker rmi` what stands on it first")
                })?;
                links.extend(below);
                break;
            };
            links.push(below.link);
            next = below.parent;
        }
        if links.len() < MOST_LAYERS {
            return Ok(links);
        }
        let place = self.sink.tree().place(self.layout.links().as_path());
        let what =
            format!("more than {MOST_LAYERS} layers above each other, which dockerd refuses");
        Err(Error::unsupported(place, what).hint("build the image again with fewer layers"))
    }

    /// Returns the link of a layer that was there before, and those of the layers below it.
    fn links_of(&self, chain_id: ChainId) -> Result<Vec<Link>> {
        let tree = self.sink.tree();
        let entry = self.layers.get(&chain_id);
        let folder =
            entry.and_then(|entry| self.layout.folder(&entry.cache_id)).ok_or_else(|| {
                let place = tree.place(self.layout.entry(chain_id).as_path());
                Error::missing(place, format!("the layer below, {chain_id}, is not there"))
            })?;
        let [own, lower] = ["link", "lower"].map(|name| {
            let path = folder.as_path().child(name.as_bytes()).unwrap_or_default();
            (optional(read_within(tree, path.as_path(), VALUE_LIMIT)), tree.place(path.as_path()))
        });
        let missing = Error::missing(own.1.clone(), "the layer below has no short link");
        let own = Link::parse(&own.0?.ok_or(missing)?).map_err(|error| error.at(own.1))?;
        let mut links = vec![own];
        if let Some(bytes) = lower.0? {
            links.extend(link::parse_lower(&bytes).map_err(|error| error.at(lower.1))?);
        }
        Ok(links)
    }
}
