//! The layers of a classic store, as its daemon loads them at start.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

use super::layout::Layout;
use crate::digest::{ChainId, DiffId, Digest};
use crate::error::{DecodeError, Error, ErrorKind, Result};
use crate::format::docker::layerdb;
use crate::model::{Finding, Severity};
use crate::tree::{Kind, Tree, many, optional, read_within};

/// One folder of layerdb.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) diff_id: DiffId,
    pub(super) parent: Option<ChainId>,
    pub(super) size: u64,
    pub(super) cache_id: String,
}

/// What a daemon would load.
pub(super) struct Loaded {
    pub(super) layers: BTreeMap<ChainId, Entry>,
    /// Those without the record of their tar: they run, and cannot leave the store.
    pub(super) without_record: BTreeSet<ChainId>,
    /// What is wrong with the others.
    pub(super) findings: Vec<Finding>,
}

/// The files of a folder of layerdb hold one value each.
pub(super) const VALUE_LIMIT: u64 = 4096;

/// The record of a layer's tar.
pub(super) const RECORD: &str = "tar-split.json.gz";

/// Returns the layers that a daemon would load, and what is wrong with the others.
///
/// Any file that cannot be read makes the daemon pass over the layer and all that stand on it (moby v28
/// layer/layer_store.go loadLayer).
pub(super) fn load(tree: &dyn Tree, layout: &Layout) -> Result<Loaded> {
    let names = optional(tree.names(layout.layers().as_path()))?.unwrap_or_default();
    let is_layer = |name: &Vec<u8>| Digest::from_hex(std::str::from_utf8(name).ok()?).ok();
    let chain_ids: Vec<_> = names.iter().filter_map(is_layer).map(ChainId).collect();
    // All of a folder at once: it is not looked for again.
    let read = many(&chain_ids, |id| (entry(tree, layout, *id), has_record(tree, layout, *id)));
    let (mut layers, mut without_record) = (BTreeMap::new(), BTreeSet::new());
    let mut findings = Vec::new();
    for (chain_id, (entry, has_record)) in chain_ids.into_iter().zip(read) {
        match entry {
            Ok(entry) => {
                layers.insert(chain_id, entry);
                without_record.extend((!has_record).then_some(chain_id));
            }
            Err(error) => {
                findings.push(Finding::of("layer-unreadable", Severity::WouldNotLoad, &error));
            }
        }
    }
    let grounded = grounded(&layers);
    layers.retain(|chain_id, _| {
        let is_loaded = grounded.contains(chain_id);
        if !is_loaded {
            let place = tree.place(layout.layer(*chain_id, "parent").as_path());
            let what = "a layer below this one is missing, damaged or above it";
            let error = Error::corrupt(place, what);
            findings.push(Finding::of("layer-without-parent", Severity::WouldNotLoad, &error));
        }
        is_loaded
    });
    without_record.retain(|chain_id| grounded.contains(chain_id));
    findings.sort_by(|a, b| a.place.path.cmp(&b.place.path));
    Ok(Loaded { layers, without_record, findings })
}

/// Returns the layers below which all are there, and end.
fn grounded(entries: &BTreeMap<ChainId, Entry>) -> HashSet<ChainId> {
    // Each layer is passed once, however many stand on it.
    let mut known: HashMap<ChainId, bool> = HashMap::with_capacity(entries.len());
    for chain_id in entries.keys() {
        let (mut above, mut next) = (Vec::new(), Some(*chain_id));
        let is_grounded = loop {
            let Some(chain_id) = next else { break true };
            if let Some(is_grounded) = known.get(&chain_id) {
                break *is_grounded;
            }
            let entry = entries.get(&chain_id).filter(|_| above.len() <= entries.len());
            let Some(entry) = entry else { break false };
            above.push(chain_id);
            next = entry.parent;
        };
        known.extend(above.into_iter().map(|chain_id| (chain_id, is_grounded)));
    }
    known.into_iter().filter_map(|(id, is_grounded)| is_grounded.then_some(id)).collect()
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

fn has_record(tree: &dyn Tree, layout: &Layout, chain_id: ChainId) -> bool {
    let found = tree.stat(layout.layer(chain_id, RECORD).as_path());
    found.is_ok_and(|found| found.kind == Kind::File && found.size > 0)
}
