//! Snapshots: that `meta.db` and the snapshotter's own file agree, and each with itself.

use std::collections::{HashMap, HashSet};

use super::said::{Backend, BackendSaid, Meta, SnapshotSaid, Space};
use super::{Auditor, PULL, shown};
use crate::digest::ChainId;
use crate::format::containerd::key::{BackendKey, encode_parent_link, parent_link};
use crate::model::Severity;
use crate::store::containerd::schema;

/// A snapshot that is mounted to be read, and goes afterwards (containerd v2 core/snapshots KindView).
const VIEW: u8 = 1;

const ANEW: &str = "containerd makes the same names again from here on, and fails where they are \
                    taken; set the number to the largest in use";

impl Auditor<'_> {
    pub(super) fn check_snapshots(&mut self, meta: &Meta<'_>, backend: &Backend<'_>) {
        if backend.lacks_bucket {
            let what = "there is no bucket `parents`".to_owned();
            let remedy = "the snapshotter fails at the next snapshot; make the bucket anew";
            self.note_backend("bucket-missing", Severity::WouldNotLoad, what, remedy);
        }
        for space in &meta.spaces {
            self.check_space(space, backend);
        }
        self.check_loops(backend);
        let named = named(meta, &self.store.inventory.driver);
        self.check_backend(backend, &named);
        if !backend.lacks_bucket {
            self.check_links(backend);
        }
    }

    fn check_space(&mut self, space: &Space<'_>, backend: &Backend<'_>) {
        let driver = self.store.inventory.driver.clone();
        let here = space.snapshots.iter().filter(|((name, _), _)| *name == driver.as_bytes());
        let all: HashMap<&[u8], _> = here.map(|((_, key), said)| (*key, said)).collect();
        let mut keys: Vec<_> = all.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let Some(said) = all.get(key) else { continue };
            self.check_one(key, said, &all, backend);
        }
        let numbers = all.values().filter_map(|said| BackendKey::parse(said.name?).ok());
        let last = numbers.map(|name| name.number).max().unwrap_or(0);
        let sequence = space.sequences.get(driver.as_bytes()).copied().unwrap_or(0);
        if last > sequence {
            let what = format!("the last number handed out is {sequence}, and {last} is in use");
            self.note_meta("sequence-behind", Severity::WrongMetadata, what, ANEW);
        }
    }

    fn check_one(
        &mut self,
        key: &[u8],
        said: &SnapshotSaid<'_>,
        all: &HashMap<&[u8], &SnapshotSaid<'_>>,
        backend: &Backend<'_>,
    ) {
        let own = said.name.and_then(|name| backend.snapshots.get(name));
        let Some(own) = own else {
            let what = format!("snapshot {} is not in the snapshotter's own file", shown(key));
            return self.note_meta("snapshot-without-backend", Severity::WouldNotLoad, what, PULL);
        };
        self.check_kind(key, own);
        let parent = said.parent.map(|parent| (parent, all.get(parent)));
        match parent {
            Some((parent, None)) => {
                let what = format!(
                    "snapshot {} stands on {}, which is not there",
                    shown(key),
                    shown(parent)
                );
                return self.note_meta(
                    "snapshot-without-parent",
                    Severity::WouldNotLoad,
                    what,
                    PULL,
                );
            }
            Some((parent, Some(found))) if found.children.binary_search(&key).is_err() => {
                let what =
                    format!("{} stands on {}, which does not say so", shown(key), shown(parent));
                let remedy = "containerd lets what lies below be removed; add the child";
                self.note_meta("snapshot-children-differ", Severity::WrongMetadata, what, remedy);
            }
            _ => {}
        }
        let wanted = parent.and_then(|(_, found)| found?.name);
        if own.parent != wanted {
            let (key, found) = (shown(key), own.parent.map_or("nothing".to_owned(), shown));
            let wanted = wanted.map_or("nothing".to_owned(), shown);
            let what =
                format!("{key} stands on {found} in the snapshotter's own file, wanted {wanted}");
            self.note_backend("snapshot-parent-differs", Severity::WrongMetadata, what, PULL);
        }
        for child in &said.children {
            match all.get(child) {
                Some(found) if found.parent == Some(key) => {}
                Some(_) => {
                    let what = format!("{} says that {} stands on it", shown(key), shown(child));
                    let remedy = "containerd refuses to remove it; remove the child's name there";
                    self.note_meta(
                        "snapshot-children-differ",
                        Severity::WrongMetadata,
                        what,
                        remedy,
                    );
                }
                // The garbage collector leaves these (containerd v2 core/metadata/gc.go remove).
                None => {
                    let what =
                        format!("{} is said to stand on {}, and is gone", shown(child), shown(key));
                    self.note_meta("snapshot-child-gone", Severity::Untidy, what, "");
                }
            }
        }
    }

    /// Docker looks for a layer only among what is committed, and lets containers write only to what is
    /// not (moby v28 daemon/containerd/image_snapshot.go).
    fn check_kind(&mut self, key: &[u8], own: &BackendSaid<'_>) {
        let text = String::from_utf8_lossy(key);
        let is_layer = text.parse::<ChainId>().is_ok();
        let of_container = self.store.inventory.containers.iter().any(|one| one.id == text);
        let wanted = match own.kind {
            Some(schema::ACTIVE) if is_layer => "committed",
            Some(schema::COMMITTED | VIEW) if of_container => "active",
            Some(VIEW) if is_layer => "committed",
            Some(VIEW | schema::ACTIVE | schema::COMMITTED) => return,
            _ => "a known kind",
        };
        let found = own.kind.map_or("none".to_owned(), |kind| kind.to_string());
        let what = format!("snapshot {} has kind {found}, wanted {wanted}", shown(key));
        self.note_backend("snapshot-kind", Severity::WouldNotLoad, what, PULL);
    }

    /// Each snapshot ends at one that stands on nothing.
    fn check_loops(&mut self, backend: &Backend<'_>) {
        let mut sound: HashSet<&[u8]> = HashSet::new();
        let mut names: Vec<_> = backend.snapshots.keys().copied().collect();
        names.sort_unstable();
        for name in names {
            let (mut path, mut next) = (Vec::new(), Some(name));
            let mut on_path = HashSet::new();
            while let Some(here) = next.filter(|here| !sound.contains(here)) {
                if !on_path.insert(here) {
                    let what = format!("snapshot {} stands on itself", shown(here));
                    self.note_backend("snapshot-loop", Severity::WouldNotLoad, what, PULL);
                    break;
                }
                path.push(here);
                next = backend.snapshots.get(here).and_then(|said| said.parent);
            }
            sound.extend(path);
        }
    }

    fn check_backend(&mut self, backend: &Backend<'_>, named: &HashSet<&[u8]>) {
        let mut ids: HashMap<u64, &[u8]> = HashMap::new();
        let mut all: Vec<_> = backend.snapshots.iter().collect();
        all.sort_unstable_by_key(|(name, _)| **name);
        for (name, said) in all {
            if !named.contains(name) {
                let what = format!("snapshot {} that no namespace has", shown(name));
                let remedy = "containerd removes it when it next removes a snapshot";
                self.note_backend("snapshot-unnamed", Severity::Untidy, what, remedy);
            }
            let Some(id) = said.id else {
                let what = format!("snapshot {} has no number of a folder", shown(name));
                self.note_backend("snapshot-kind", Severity::WouldNotLoad, what, PULL);
                continue;
            };
            if let Some(other) = ids.insert(id, name) {
                let what = format!("{} and {} have one folder, {id}", shown(other), shown(name));
                self.note_backend("snapshot-folder-shared", Severity::WrongMetadata, what, PULL);
            }
            let is_lost = |parent: &&[u8]| !backend.snapshots.contains_key(parent);
            if let Some(parent) = said.parent.filter(is_lost).filter(|one| !named.contains(one)) {
                let what =
                    format!("{} stands on {}, which is not there", shown(name), shown(parent));
                self.note_backend("snapshot-without-parent", Severity::WouldNotLoad, what, PULL);
            }
            let is_sane = |number: Option<i64>, least| number.is_some_and(|number| number >= least);
            if said.kind == Some(schema::COMMITTED)
                && !(is_sane(said.inodes, 1) && is_sane(said.size, 0))
            {
                let what = format!("snapshot {} has no sound size", shown(name));
                let remedy = "Docker shows a wrong size of its images, and no more is wrong";
                self.note_backend("snapshot-size", Severity::WrongMetadata, what, remedy);
            }
        }
        let last = ids.keys().copied().max().unwrap_or(0);
        if last > backend.sequence {
            let sequence = backend.sequence;
            let what = format!("the last number handed out is {sequence}, and {last} is in use");
            self.note_backend("sequence-behind", Severity::WrongMetadata, what, ANEW);
        }
    }

    /// The snapshotter removes what nothing stands on by these links.
    fn check_links(&mut self, backend: &Backend<'_>) {
        let mut wanted: HashMap<Vec<u8>, &[u8]> = HashMap::new();
        for (name, said) in &backend.snapshots {
            let parent = said.parent.and_then(|parent| backend.snapshots.get(parent)?.id);
            if let (Some(parent), Some(id)) = (parent, said.id) {
                wanted.insert(encode_parent_link(parent, id), name);
            }
        }
        let mut wrong = Vec::new();
        for (link, name) in &backend.links {
            if wanted.remove(*link) != Some(*name) {
                let link = parent_link(link).map_or_else(
                    |_| "a key that is no link".to_owned(),
                    |(parent, child)| format!("folder {child} on folder {parent}"),
                );
                wrong.push(format!("{link}, {}: no snapshot stands so", shown(name)));
            }
        }
        wrong.extend(wanted.into_values().map(|name| format!("no link for {}", shown(name))));
        wrong.sort_unstable();
        for what in wrong {
            let remedy = "the snapshotter removes, or refuses to remove, the wrong snapshots";
            self.note_backend("snapshot-link", Severity::WrongMetadata, what, remedy);
        }
    }
}

/// Returns the names in the snapshotter's own file that some namespace has.
pub(super) fn named<'a>(meta: &Meta<'a>, driver: &str) -> HashSet<&'a [u8]> {
    let all = meta.spaces.iter().flat_map(|space| &space.snapshots);
    let here = all.filter(|((snapshotter, _), _)| *snapshotter == driver.as_bytes());
    here.filter_map(|(_, said)| said.name).collect()
}
