//! The layers of a classic store, as its daemon loads them at start.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::layout::Layout;
use crate::digest::{ChainId, DiffId, Digest};
use crate::error::{DecodeError, Error, ErrorKind, Result};
use crate::format::docker::layerdb;
use crate::model::{Finding, Severity};
use crate::tree::{Tree, many, optional, read_within};

/// One folder of layerdb.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) diff_id: DiffId,
    pub(super) parent: Option<ChainId>,
    pub(super) size: u64,
    pub(super) cache_id: String,
}

/// The files of a folder of layerdb hold one value each.
pub(super) const VALUE_LIMIT: u64 = 4096;

/// Returns the layers that a daemon would load, and what is wrong with the others.
///
/// Any file that cannot be read makes the daemon pass over the layer and all that stand on it (moby v28
/// layer/layer_store.go loadLayer).
pub(super) fn load(
    tree: &dyn Tree,
    layout: &Layout,
) -> Result<(BTreeMap<ChainId, Entry>, Vec<Finding>)> {
    let names = optional(tree.names(layout.layers().as_path()))?.unwrap_or_default();
    let is_layer = |name: &Vec<u8>| Digest::from_hex(std::str::from_utf8(name).ok()?).ok();
    let chain_ids: Vec<_> = names.iter().filter_map(is_layer).map(ChainId).collect();
    let read = many(&chain_ids, |chain_id| entry(tree, layout, *chain_id));
    let (mut entries, mut findings) = (HashMap::new(), Vec::new());
    for (chain_id, entry) in chain_ids.into_iter().zip(read) {
        match entry {
            Ok(entry) => _ = entries.insert(chain_id, entry),
            Err(error) => {
                findings.push(Finding::of("layer-unreadable", Severity::WouldNotLoad, &error));
            }
        }
    }
    let mut loaded = BTreeMap::new();
    let mut order: Vec<_> = entries.keys().copied().collect();
    order.sort_unstable();
    for chain_id in order {
        add_with_parents(chain_id, &entries, &mut loaded);
    }
    for chain_id in entries.keys().filter(|chain_id| !loaded.contains_key(*chain_id)) {
        let place = tree.place(layout.layer(*chain_id, "parent").as_path());
        let error = Error::corrupt(place, "a layer below this one is missing, damaged or above it");
        findings.push(Finding::of("layer-without-parent", Severity::WouldNotLoad, &error));
    }
    findings.sort_by(|a, b| a.place.path.cmp(&b.place.path));
    Ok((loaded, findings))
}

/// Moves `chain_id` and the layers below it to `loaded`, if all of them are there and end.
fn add_with_parents(
    chain_id: ChainId,
    entries: &HashMap<ChainId, Entry>,
    loaded: &mut BTreeMap<ChainId, Entry>,
) {
    let mut below = Vec::new();
    let mut next = Some(chain_id);
    while let Some(chain_id) = next.filter(|chain_id| !loaded.contains_key(chain_id)) {
        let Some(entry) = entries.get(&chain_id) else { return };
        if below.len() > entries.len() {
            return;
        }
        below.push((chain_id, entry));
        next = entry.parent;
    }
    loaded.extend(below.into_iter().map(|(chain_id, entry)| (chain_id, entry.clone())));
}

/// Returns why `chain_id` is not among the layers that were `loaded`: it or one below it is missing, damaged,
/// or could not be read then, which is an error of the disk though it can be read by now.
pub(super) fn why_not_loaded(
    tree: &dyn Tree,
    layout: &Layout,
    loaded: &BTreeMap<ChainId, Entry>,
    chain_id: ChainId,
) -> Error {
    let (mut last, mut next) = (chain_id, Some(chain_id));
    // Chain IDs are digests of those below, so that this ends.
    while let Some(chain_id) = next.filter(|chain_id| !loaded.contains_key(chain_id)) {
        match entry(tree, layout, chain_id) {
            Ok(entry) => (last, next) = (chain_id, entry.parent),
            Err(error) if error.kind() == ErrorKind::Io => return error,
            Err(_) => {
                let place = tree.place(layout.layer(chain_id, "cache-id").as_path());
                return Error::missing(place, format!("no layer {chain_id}"));
            }
        }
    }
    readable_now(tree, layout, last)
}

/// Returns what is wrong with a disk that gives a layer now, and did not before.
pub(super) fn readable_now(tree: &dyn Tree, layout: &Layout, chain_id: ChainId) -> Error {
    let place = tree.place(layout.entry(chain_id).as_path());
    let what = "the layer can be read now, and could not before";
    Error::io(place, io::Error::other(what)).hint("look after the disk, and run again")
}

/// Returns what the folder of a layer says, if that is the layer it is called by.
pub(super) fn entry(tree: &dyn Tree, layout: &Layout, chain_id: ChainId) -> Result<Entry> {
    let entry = as_written(tree, layout, chain_id)?;
    // The daemon believes the folder's name. Bytes that hash to the diff ID but stand in another
    // chain's folder would be given to the wrong images.
    let meant = ChainId::child(entry.parent, entry.diff_id);
    if meant != chain_id {
        let place = tree.place(layout.layer(chain_id, "diff").as_path());
        let what = format!("found diff ID and parent of chain {meant}, wanted {chain_id}");
        return Err(Error::corrupt(place, what));
    }
    Ok(entry)
}

/// Returns what the folder of a layer says, as the daemon takes it: at its word.
pub(super) fn as_written(tree: &dyn Tree, layout: &Layout, chain_id: ChainId) -> Result<Entry> {
    let file = |key: &str| read_within(tree, layout.layer(chain_id, key).as_path(), VALUE_LIMIT);
    let at = |key: &'static str| {
        move |error: DecodeError| error.at(tree.place(layout.layer(chain_id, key).as_path()))
    };
    let diff_id = layerdb::diff_id(&file("diff")?).map_err(at("diff"))?;
    let size = layerdb::size(&file("size")?).map_err(at("size"))?;
    let cache_id = layerdb::cache_id(&file("cache-id")?).map_err(at("cache-id"))?;
    let parent = match optional(file("parent"))? {
        Some(bytes) => Some(layerdb::parent(&bytes).map_err(at("parent"))?),
        None => None,
    };
    Ok(Entry { diff_id, parent, size: u64::try_from(size).unwrap_or(0), cache_id })
}
