//! The driver's folders: all but the files follows from layerdb.
//!
//! moby v28 daemon/graphdriver/overlay2/overlay.go create

use std::collections::{BTreeMap, BTreeSet};

use super::Mender;
use crate::error::Result;
use crate::format::docker::link::{Link, format_lower, format_target};
use crate::store::mend::Change;
use crate::store::overlay2::write::links;
use crate::tree::{Kind, optional};

/// Folders, and the one that each stands on.
type Nodes = BTreeMap<String, Option<String>>;

impl Mender<'_> {
    pub(super) fn mend_folders(&mut self) -> Result<()> {
        let nodes = self.nodes();
        self.mend_links(&nodes)?;
        let parents: BTreeSet<&String> = nodes.values().flatten().collect();
        for id in nodes.keys() {
            if !self.folders.contains_key(id) {
                continue;
            }
            self.mend_lower(id, &nodes)?;
            self.mend_rest(id, parents.contains(id), nodes.get(id).is_some_and(Option::is_some))?;
        }
        Ok(())
    }

    /// Returns the folders of all layers and containers whose ground is known.
    fn nodes(&mut self) -> Nodes {
        let mut nodes = Nodes::new();
        let folder = |parent| self.entries.get(&parent).map(|entry| entry.cache_id.clone());
        for entry in self.entries.values() {
            match entry.parent {
                None => _ = nodes.insert(entry.cache_id.clone(), None),
                Some(parent) => {
                    let below = folder(parent);
                    nodes.extend(below.map(|below| (entry.cache_id.clone(), Some(below))));
                }
            }
        }
        for mount in self.mounts.values() {
            let ground = match mount.parent {
                None => None,
                Some(parent) => match folder(parent) {
                    None => continue,
                    below => below,
                },
            };
            let on = mount.init_id.clone().or_else(|| ground.clone());
            nodes.extend(mount.init_id.clone().map(|init| (init, ground)));
            nodes.insert(mount.mount_id.clone(), on);
        }
        let gone: Vec<_> = nodes.keys().filter(|id| !self.has_files(id)).cloned().collect();
        for id in gone {
            let files = self.in_folder(&id, "diff");
            let what = "the files of a layer or container are gone";
            let missing = "its files: `--from` a root, layout or archive that has the layer";
            self.cannot("layer-without-files", files.as_path(), what, missing);
        }
        nodes
    }

    fn has_files(&self, id: &str) -> bool {
        self.folders.get(id).is_some_and(|folder| folder.has_files)
    }

    fn mend_links(&mut self, nodes: &Nodes) -> Result<()> {
        let mut taken: BTreeSet<Link> = self.links.keys().copied().collect();
        // Folders of nobody may be the builder's, and have short names too.
        let there: Vec<String> = self.folders.keys().cloned().collect();
        for id in there {
            let file = self.in_folder(&id, "link");
            let own = self.folders.get(&id).and_then(|folder| folder.link);
            if own.is_none() && !nodes.contains_key(&id) {
                continue;
            }
            let link = own
                .or_else(|| self.named_by_others(&id, nodes))
                .or_else(|| links(&id).find(|link| !taken.contains(link)));
            let Some(link) = link else { continue };
            taken.insert(link);
            let at = self.layout.link(link);
            let target = format_target(&id).into_bytes();
            let leads = optional(self.tree.read_link(at.as_path())).ok().flatten();
            let mut changes = Vec::new();
            if own.is_none() {
                changes.push(Change::file(file.clone(), 0o644, link.as_bytes()));
            }
            let (code, what) = match (own, &leads) {
                (Some(_), Some(found)) if *found == target => continue,
                (None, _) => ("link-unreadable", "its short name cannot be read"),
                (Some(_), None) => ("link-missing", "its short name leads nowhere"),
                (Some(_), Some(_)) if !nodes.contains_key(&id) => continue,
                (Some(_), Some(_)) => ("link-misled", "its short name leads elsewhere"),
            };
            if leads.as_ref() != Some(&target) {
                changes.push(Change::link(at.clone(), target));
            }
            let what = format!("folder {}: {what}", short(&id));
            let how = format!("give it the short name {link}");
            let place = if own.is_none() { &file } else { &at };
            self.mend(code, place.as_path(), what, how, changes);
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.link = Some(link);
            }
            self.links.insert(link, id);
        }
        Ok(())
    }

    /// Returns the short name that a folder has in `l`, or that those which stand on it know it by.
    fn named_by_others(&self, id: &str, nodes: &Nodes) -> Option<Link> {
        let above = nodes.iter().filter(|(_, below)| below.as_deref() == Some(id));
        let known = above
            .filter_map(|(above, _)| self.folders.get(above)?.lower.as_ref()?.first().copied());
        let is_free = |link: &Link| self.links.get(link).is_none_or(|found| found == id);
        let mut known: Vec<Link> = known.filter(is_free).collect();
        known.extend(self.links.iter().filter(|(_, found)| *found == id).map(|(link, _)| *link));
        known.first().copied()
    }

    /// What a folder stands on is written down with short names, the nearest first.
    fn mend_lower(&mut self, id: &str, nodes: &Nodes) -> Result<()> {
        let (mut wanted, mut next) = (Vec::new(), nodes.get(id).cloned().flatten());
        while let Some(below) = next {
            let link = self.folders.get(&below).and_then(|folder| folder.link);
            let Some(link) = link.filter(|_| wanted.len() <= nodes.len()) else { return Ok(()) };
            wanted.push(link);
            let Some(ground) = nodes.get(&below) else { return Ok(()) };
            next = ground.clone();
        }
        let file = self.in_folder(id, "lower");
        let is_there = optional(self.tree.stat(file.as_path()))?.is_some();
        let found = self.folders.get(id).and_then(|folder| folder.lower.clone());
        let (code, change, how) = match format_lower(&wanted) {
            Some(bytes) if found.as_ref() != Some(&wanted) => {
                let code = if is_there { "lower-wrong" } else { "lower-missing" };
                let how = format!("name the {} layers it stands on", wanted.len());
                (code, Change::file(file.clone(), 0o644, bytes), how)
            }
            None if is_there => {
                let how = "remove the list: nothing is below it".to_owned();
                ("lower-wrong", Change::remove(file.clone()), how)
            }
            _ => return Ok(()),
        };
        let what = format!("folder {}: it does not name the layers it stands on", short(id));
        self.mend(code, file.as_path(), what, how, vec![change]);
        Ok(())
    }

    fn mend_rest(&mut self, id: &str, has_child: bool, has_parent: bool) -> Result<()> {
        let [committed, work] = ["committed", "work"].map(|name| self.in_folder(id, name));
        let is_committed = optional(self.tree.stat(committed.as_path()))?.is_some();
        if has_child && !is_committed {
            let what = format!("folder {}: others stand on it, and it is not marked so", short(id));
            let change = Change::file(committed.clone(), 0o600, Vec::new());
            self.mend("committed-missing", committed.as_path(), what, "mark it", vec![change]);
        }
        let found = optional(self.tree.stat(work.as_path()))?;
        let has_work = found.is_some_and(|found| found.kind == Kind::Dir);
        if has_parent && !has_child && !is_committed && !has_work {
            let what = format!("folder {}: overlayfs has nowhere to work", short(id));
            let change = Change::folder(work.clone(), 0o700);
            self.mend("work-missing", work.as_path(), what, "make the folder", vec![change]);
        }
        Ok(())
    }
}

fn short(id: &str) -> String {
    let end = if id.ends_with("-init") { "-init" } else { "" };
    id.chars().take(12).collect::<String>() + end
}
