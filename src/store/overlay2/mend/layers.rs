//! `layerdb/sha256`: diff ID and parent follow from the chain ID, the folder from what stands on it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, BufReader};

use flate2::bufread::MultiGzDecoder;

use super::Mender;
use crate::digest::{ChainId, DiffId, Digest};
use crate::error::Result;
use crate::format::docker::layerdb;
use crate::format::tar_split::Entries;
use crate::store::blob::Verified;
use crate::store::mend::{Change, CopyOf, FolderOf};
use crate::store::overlay2::layers::{Entry, RECORD, VALUE_LIMIT};
use crate::store::overlay2::tarball::Tarball;
use crate::tree::{Attributes, Kind, Snapshots, TreePath, TreePathBuf, optional, walk};

/// A folder of layerdb, as far as it can be read.
#[derive(Default)]
struct Values {
    diff: Option<DiffId>,
    size: Option<u64>,
    cache_id: Option<String>,
    /// Whether there is one that can be read; nothing if what is there cannot.
    parent: Option<Option<ChainId>>,
}

impl Mender<'_> {
    pub(super) fn mend_layers(&mut self) -> Result<()> {
        let names = optional(self.tree.names(self.layout.layers().as_path()))?.unwrap_or_default();
        let id = |name: &Vec<u8>| Digest::from_hex(std::str::from_utf8(name).ok()?).ok();
        let there: BTreeSet<ChainId> = names.iter().filter_map(id).map(ChainId).collect();
        let mut open: BTreeMap<ChainId, Values> = BTreeMap::new();
        let diffs: HashSet<DiffId> = self.known.values().map(|(diff_id, _)| *diff_id).collect();
        for chain_id in &there {
            let values = self.values(*chain_id);
            match values.whole(*chain_id) {
                Some(entry) => _ = self.entries.insert(*chain_id, entry),
                None => _ = open.insert(*chain_id, values),
            }
        }
        let needed = self.needed();
        for chain_id in needed.iter().filter(|id| !there.contains(*id)) {
            open.insert(*chain_id, Values::default());
        }
        // What stands on a layer tells its folder: the uppermost first.
        let mut parts: Vec<(ChainId, Values)> = open.into_iter().collect();
        let depth = |chain_id: &ChainId| self.depth(*chain_id);
        parts.sort_by_key(|(chain_id, _)| std::cmp::Reverse(depth(chain_id)));
        for (chain_id, values) in parts {
            let is_there = there.contains(&chain_id);
            self.layer(chain_id, &values, is_there, &diffs, &there)?;
        }
        Ok(())
    }

    fn values(&self, chain_id: ChainId) -> Values {
        let value = |key| self.value(&self.layout.layer(chain_id, key), VALUE_LIMIT);
        let parent = self.layout.layer(chain_id, "parent");
        let has_parent = self.tree.stat(parent.as_path()).is_ok();
        let read = value("parent").and_then(|bytes| layerdb::parent(&bytes).ok());
        Values {
            diff: value("diff").and_then(|bytes| layerdb::diff_id(&bytes).ok()),
            size: value("size")
                .and_then(|bytes| layerdb::size(&bytes).ok())
                .map(|size| u64::try_from(size).unwrap_or(0)),
            cache_id: value("cache-id").and_then(|bytes| layerdb::cache_id(&bytes).ok()),
            parent: if has_parent { read.map(Some) } else { Some(None) },
        }
    }

    /// Returns the layers of all images here, and those that containers stand on.
    fn needed(&self) -> BTreeSet<ChainId> {
        let tops = self.images.values().flatten().copied();
        tops.collect()
    }

    fn depth(&self, chain_id: ChainId) -> usize {
        let (mut depth, mut next) = (0, Some(chain_id));
        while let Some(here) = next.filter(|_| depth < 256) {
            depth += 1;
            next = self.known.get(&here).and_then(|(_, parent)| *parent);
        }
        depth
    }

    fn layer(
        &mut self,
        chain_id: ChainId,
        values: &Values,
        is_there: bool,
        diffs: &HashSet<DiffId>,
        there: &BTreeSet<ChainId>,
    ) -> Result<()> {
        let folder = self.layout.entry(chain_id);
        let short = chain_id.0.short();
        let code = if is_there { "layer-unreadable" } else { "layer-missing" };
        let what = match is_there {
            true => format!("layer {short}: not all that layerdb has of it can be read"),
            false => format!("layer {short}: layerdb does not have it, and an image needs it"),
        };
        let Some((diff_id, parent)) = self.made_of(chain_id, values, diffs, there) else {
            let missing = "an image with this layer, here or elsewhere, to tell its diff ID";
            self.cannot(code, folder.as_path(), what, missing);
            return Ok(());
        };
        let Some(cache_id) = self.cache_id(chain_id, diff_id, parent, values)? else {
            let missing = "the folder of its files: nothing that stands on it names one, and none of \
                           those that belong to nothing holds its files";
            self.cannot(code, folder.as_path(), what, missing);
            return Ok(());
        };
        let size = match values.size {
            Some(size) => size,
            None => self.size_of(&cache_id)?,
        };
        let entry = Entry { diff_id, parent, size, cache_id };
        let (changes, how) = match is_there {
            true => self.rewritten(chain_id, values, &entry),
            false => self.made_anew(chain_id, &entry)?,
        };
        self.entries.insert(chain_id, entry);
        if !is_there {
            let record = self.layout.layer(chain_id, RECORD);
            let what = format!("layer {short} has no record of its tar");
            let missing = "a second run, with the layer's tar elsewhere: name a root, layout or archive \
                           that has it with --from; until then the image runs and cannot be pushed";
            self.cannot("tar-split-missing", record.as_path(), what, missing);
        }
        self.mend(code, folder.as_path(), what, how, changes);
        Ok(())
    }

    /// Returns what a chain is made of: what images say, or what hashes to its ID.
    fn made_of(
        &self,
        chain_id: ChainId,
        values: &Values,
        diffs: &HashSet<DiffId>,
        there: &BTreeSet<ChainId>,
    ) -> Option<(DiffId, Option<ChainId>)> {
        if let Some(known) = self.known.get(&chain_id) {
            return Some(*known);
        }
        let fits = |diff: DiffId, parent| ChainId::child(parent, diff) == chain_id;
        let parents = || std::iter::once(None).chain(there.iter().copied().map(Some));
        if let Some(diff) = values.diff
            && let Some(parent) = parents().find(|parent| fits(diff, *parent))
        {
            return Some((diff, parent));
        }
        let parent = values.parent?;
        let diff = diffs.iter().copied().find(|diff| fits(*diff, parent))?;
        Some((diff, parent))
    }

    /// Returns the driver's folder of a layer: the one it names, the one that others stand on as on this
    /// layer, or the only one of nobody whose files are this layer's.
    fn cache_id(
        &self,
        chain_id: ChainId,
        diff_id: DiffId,
        parent: Option<ChainId>,
        values: &Values,
    ) -> Result<Option<String>> {
        if values.cache_id.is_some() {
            return Ok(values.cache_id.clone());
        }
        let claimed = self.claimed();
        let is_free = |id: &&str| !claimed.contains(*id);
        let above = self.entries.values().filter(|entry| entry.parent == Some(chain_id));
        let mut above = above.filter_map(|entry| self.below(&entry.cache_id));
        if let Some(id) = above.find(is_free) {
            return Ok(Some(id.to_owned()));
        }
        if let Some(id) = self.below_containers(chain_id).filter(|id| is_free(&id.as_str())) {
            return Ok(Some(id));
        }
        let on = parent.and_then(|parent| self.entries.get(&parent));
        let on = on.map(|entry| entry.cache_id.as_str());
        let stands = |id: &str| match (self.below(id), on) {
            (Some(below), Some(on)) => below == on,
            (None, Some(_)) => false,
            (found, None) => found.is_none() || parent.is_some(),
        };
        let free = self.folders.iter().filter(|(_, folder)| folder.has_files);
        let free = free.map(|(id, _)| id.as_str()).filter(is_free);
        for id in free.filter(|id| !id.ends_with("-init") && stands(id)) {
            if self.holds(chain_id, diff_id, id) {
                return Ok(Some(id.to_owned()));
            }
        }
        Ok(None)
    }

    /// Returns the folder that a container stands on, as its mount says on this layer.
    fn below_containers(&self, chain_id: ChainId) -> Option<String> {
        let here = self.help.containers.iter().filter(|one| one.driver == self.driver);
        let mut stands = here.filter_map(|one| {
            let parent = layerdb::parent(&self.mount_value(&one.id, "parent")?).ok()?;
            let first = self.mount_value(&one.id, "init-id");
            let first = first.or_else(|| self.mount_value(&one.id, "mount-id"))?;
            let first = layerdb::mount_id(&first).ok()?;
            (parent == chain_id).then(|| self.below(&first).map(str::to_owned))?
        });
        stands.next()
    }

    /// Returns whether a folder has the files of a layer: whether its tar can be made of them.
    fn holds(&self, chain_id: ChainId, diff_id: DiffId, cache_id: &str) -> bool {
        let record = self.layout.layer(chain_id, RECORD);
        let (Ok(file), Some(files)) =
            (self.tree.open(record.as_path()), self.layout.files(cache_id))
        else {
            return false;
        };
        let entries = Entries::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))));
        let place = self.tree.place(files.as_path());
        let tar = Tarball::new(self.tree, files, record, entries);
        let mut tar = Verified::new(tar, diff_id.0, place);
        io::copy(&mut tar, &mut io::sink()).is_ok()
    }

    /// moby v28 daemon/internal/directory/directory_unix.go: all but folders, each file once.
    fn size_of(&self, cache_id: &str) -> Result<u64> {
        let files = self.layout.files(cache_id).unwrap_or_default();
        let (mut size, mut seen) = (0_u64, HashSet::new());
        walk(&**self.tree, files.as_path(), &mut |_, entry| {
            let found = &entry.metadata;
            if found.kind != Kind::Dir && (found.nlink < 2 || seen.insert(found.ino)) {
                size = size.saturating_add(found.size);
            }
            Ok(true)
        })?;
        Ok(size)
    }

    fn rewritten(
        &self,
        chain_id: ChainId,
        values: &Values,
        entry: &Entry,
    ) -> (Vec<Change>, String) {
        let (mut changes, mut told) = (Vec::new(), Vec::new());
        let mut put = |key: &'static str, is_sound: bool, text: String| {
            if !is_sound {
                let at = self.layout.layer(chain_id, key);
                changes.push(Change::file(at, 0o644, text.into_bytes()));
                told.push(key);
            }
        };
        put("diff", values.diff == Some(entry.diff_id), entry.diff_id.to_string());
        put("size", values.size.is_some(), entry.size.to_string());
        put("cache-id", values.cache_id.is_some(), entry.cache_id.clone());
        if let Some(parent) = entry.parent {
            put("parent", values.parent == Some(Some(parent)), parent.to_string());
        } else if values.parent != Some(None) {
            changes.push(Change::remove(self.layout.layer(chain_id, "parent")));
            told.push("parent");
        }
        (changes, format!("write {} anew", told.join(", ")))
    }

    /// Returns what makes a folder of layerdb: the one that a daemon had begun to remove, if it is left,
    /// or one without the record of the layer's tar.
    fn made_anew(&self, chain_id: ChainId, entry: &Entry) -> Result<(Vec<Change>, String)> {
        let at = self.layout.entry(chain_id);
        let folder = self.layout.layers();
        let removing = |name: &&Vec<u8>| {
            name.starts_with(chain_id.hex().as_bytes()) && name.ends_with(b"-removing")
        };
        let names = optional(self.tree.names(folder.as_path()))?.unwrap_or_default();
        if let Some(left) = names.iter().find(removing)
            && let Some(from) = folder.as_path().child(left)
        {
            let copy = CopyOf {
                tree: self.tree.clone(),
                from: from.clone(),
                snapshots: Snapshots::Copy,
                size: 0,
            };
            let changes = vec![Change::made(at, copy), Change::remove(from)];
            return Ok((changes, "take it back: its removal was not ended".to_owned()));
        }
        let (uid, gid) = self.owner(folder.as_path());
        let attributes = Attributes { uid, gid, ..Attributes::root(0o700) };
        let file = |key: &str, text: String| (key.as_bytes().to_vec(), 0o644, text.into_bytes());
        let mut files = vec![
            file("diff", entry.diff_id.to_string()),
            file("size", entry.size.to_string()),
            file("cache-id", entry.cache_id.clone()),
        ];
        files.extend(entry.parent.map(|parent| file("parent", parent.to_string())));
        let how = "make its folder anew; the record of its tar stays missing: its images run, and cannot \
                   be saved or pushed";
        Ok((vec![Change::made(at, FolderOf { attributes, files })], how.to_owned()))
    }

    pub(super) fn owner(&self, at: TreePath<'_>) -> (u32, u32) {
        let found = self.tree.stat(at).ok();
        found.map_or((0, 0), |found| (found.uid, found.gid))
    }
}

impl Values {
    /// Returns the layer, if it is as a daemon loads it and as its ID says.
    fn whole(&self, chain_id: ChainId) -> Option<Entry> {
        let (diff_id, parent, size) = (self.diff?, self.parent?, self.size?);
        let cache_id = self.cache_id.clone()?;
        let is_meant = ChainId::child(parent, diff_id) == chain_id;
        is_meant.then_some(Entry { diff_id, parent, size, cache_id })
    }
}

/// Returns the path of a folder's child.
pub(super) fn child(folder: &TreePathBuf, name: &[u8]) -> TreePathBuf {
    folder.as_path().child(name).unwrap_or_default()
}
