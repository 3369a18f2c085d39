//! All that layerdb and the driver keep, used or not.

use std::collections::{BTreeMap, BTreeSet};

use super::super::layers::VALUE_LIMIT;
use super::super::layout::{Layout, WRITE_SET};
use super::super::mounts::{self, Mount};
use crate::digest::{ChainId, Digest};
use crate::error::Result;
use crate::format::docker::{layerdb, link};
use crate::tree::{Kind, Tree, TreePath, TreePathBuf, many, optional, read_within};

/// What the name of a layer's folder ends with while a daemon removes it (moby v28
/// daemon/internal/layer/filestore.go getLayers).
const REMOVING: &str = "-removing";

/// A folder of layerdb.
pub(super) struct Record {
    pub(super) path: TreePathBuf,
    /// The chain that it is called by; nothing for one that is being removed or added.
    pub(super) chain_id: Option<ChainId>,
    pub(super) parent: Option<ChainId>,
    /// The driver's folder.
    pub(super) cache_id: Option<String>,
    /// What the folder is called, for messages.
    pub(super) name: String,
}

/// All that is there.
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// Layers that were being added, and what of ours waits.
    pub(super) unfinished: Vec<Record>,
    /// Folders of containers, with what they say.
    pub(super) mounts: BTreeMap<String, Option<Mount>>,
    /// The driver's folders, with those that each stands on.
    pub(super) folders: BTreeMap<String, Vec<String>>,
    /// Short links, with the folders they lead to.
    pub(super) links: BTreeMap<Vec<u8>, Option<String>>,
    /// Folders of which it cannot be told what they stand on.
    pub(super) loose: BTreeSet<String>,
}

impl Found {
    /// Reads it all, without any layer's files.
    ///
    /// # Errors
    /// Where a folder cannot be read.
    pub(super) fn read(tree: &dyn Tree, layout: &Layout) -> Result<Self> {
        let records = records(tree, layout.layers().as_path())?;
        let unfinished = records_in(tree, layout.write_sets().as_path(), &|_| None)?;
        let links = links(tree, layout)?;
        let mut found = Self {
            records,
            unfinished,
            mounts: mounts_of(tree, layout)?,
            folders: BTreeMap::new(),
            links,
            loose: BTreeSet::new(),
        };
        found.read_folders(tree, layout)?;
        Ok(found)
    }

    fn read_folders(&mut self, tree: &dyn Tree, layout: &Layout) -> Result<()> {
        let folder = layout.links();
        let Some((driver, links)) = folder.as_path().split_last() else { return Ok(()) };
        let entries = optional(tree.list(driver))?.unwrap_or_default();
        let is_folder = |name: &[u8], kind| kind == Kind::Dir && name != links;
        let names: Vec<_> = entries
            .into_iter()
            .filter(|entry| is_folder(&entry.name, entry.metadata.kind))
            // What dockerd makes has a plain name; anything else is not ours to judge.
            .filter_map(|entry| String::from_utf8(entry.name).ok())
            .collect();
        let below = many(&names, |name| self.below(tree, layout, name));
        for (name, below) in names.into_iter().zip(below) {
            if below.is_none() {
                self.loose.insert(name.clone());
            }
            self.folders.insert(name, below.unwrap_or_default());
        }
        Ok(())
    }

    /// Returns the folders that one stands on; nothing if that cannot be told.
    fn below(&self, tree: &dyn Tree, layout: &Layout, name: &str) -> Option<Vec<String>> {
        let file = layout.folder(name)?.as_path().child(b"lower")?;
        let Ok(bytes) = optional(read_within(tree, file.as_path(), VALUE_LIMIT)) else {
            return None;
        };
        let Some(bytes) = bytes else { return Some(Vec::new()) };
        let links = link::parse_lower(&bytes).ok()?;
        let folder = |link: &link::Link| self.links.get(link.as_bytes())?.clone();
        links.iter().map(folder).collect()
    }
}

fn value(tree: &dyn Tree, folder: TreePath<'_>, key: &str) -> Option<Vec<u8>> {
    let file = folder.child(key.as_bytes())?;
    read_within(tree, file.as_path(), VALUE_LIMIT).ok()
}

/// Returns the folders of layerdb that are called by their chain, or were once.
fn records(tree: &dyn Tree, folder: TreePath<'_>) -> Result<Vec<Record>> {
    let chain = |name: &str| Digest::from_hex(name).ok().map(ChainId);
    let all = records_in(tree, folder, &chain)?;
    let is_one = |record: &Record| record.chain_id.is_some() || record.name.ends_with(REMOVING);
    Ok(all.into_iter().filter(is_one).collect())
}

fn records_in(
    tree: &dyn Tree,
    folder: TreePath<'_>,
    chain: &(dyn Fn(&str) -> Option<ChainId> + Sync),
) -> Result<Vec<Record>> {
    let names = optional(tree.names(folder))?.unwrap_or_default();
    let read = many(&names, |name| {
        let path = folder.child(name)?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        let parent = value(tree, path.as_path(), "parent");
        let cache_id = value(tree, path.as_path(), "cache-id");
        Some(Record {
            chain_id: chain(&name),
            parent: parent.and_then(|bytes| layerdb::parent(&bytes).ok()),
            cache_id: cache_id.and_then(|bytes| layerdb::cache_id(&bytes).ok()),
            name,
            path,
        })
    });
    Ok(read.into_iter().flatten().collect())
}

fn mounts_of(tree: &dyn Tree, layout: &Layout) -> Result<BTreeMap<String, Option<Mount>>> {
    let names = optional(tree.names(layout.mounts().as_path()))?.unwrap_or_default();
    let names: Vec<_> = names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect();
    let read = many(&names, |name| mounts::read(tree, layout, name).ok());
    Ok(names.into_iter().zip(read).collect())
}

/// Returns the short links with where they lead: `../<id>/diff`.
fn links(tree: &dyn Tree, layout: &Layout) -> Result<BTreeMap<Vec<u8>, Option<String>>> {
    let folder = layout.links();
    let names = optional(tree.names(folder.as_path()))?.unwrap_or_default();
    let read = many(&names, |name| {
        let target = tree.read_link(folder.as_path().child(name)?.as_path()).ok()?;
        let id = target.strip_prefix(b"../")?.strip_suffix(b"/diff")?;
        String::from_utf8(id.to_vec()).ok()
    });
    Ok(names.into_iter().zip(read).collect())
}

/// Returns whether an unfinished layer is one that a migration of ours was adding.
pub(super) fn is_ours(record: &Record) -> bool {
    record.name.starts_with(WRITE_SET)
}
