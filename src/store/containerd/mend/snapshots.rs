//! Snapshots: the record of `meta.db`, that of the snapshotter, and the folder.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schema;
use super::super::write::meta::{self, Namespace, Snapshot, Usage};
use super::disk::number;
use super::folders::MISSING;
use super::{Bucket, Mender};
use crate::digest::ChainId;
use crate::error::Result;
use crate::format::bbolt::Node;
use crate::format::containerd::{key, value};
use crate::model::Container;
use crate::tree::{Kind, walk};

/// What `meta.db` says of a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) parent: Option<String>,
}

/// overlayfs takes 500 layers at most.
pub(super) const DEEPEST: usize = 500;

impl Mender<'_> {
    /// Returns the snapshots of `meta.db`, by their keys.
    pub(super) fn known(&self) -> BTreeMap<String, Known> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let path = [schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        let all = self.bucket().and_then(|own| own.at(&path));
        let entries = all.into_iter().flat_map(Bucket::iter);
        let buckets = entries.filter(|(_, node)| matches!(node, Node::Bucket(_)));
        let read = buckets.filter_map(|(key, _)| {
            let key = text(key);
            Some((key.clone(), self.known_as(&key)?))
        });
        read.collect()
    }

    pub(super) fn known_as(&self, key: &str) -> Option<Known> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entry = self.snapshot(key)?;
        let name = text(entry.get(schema::NAME).unwrap_or_default());
        Some(Known { name, parent: entry.get(schema::PARENT).map(text) })
    }

    pub(super) fn snapshot(&self, key: &str) -> Option<&Bucket> {
        let path = [schema::SNAPSHOTS, self.snapshotter.as_bytes(), key.as_bytes()];
        self.bucket()?.at(&path)
    }

    /// Returns the folder that the snapshotter has for a name.
    pub(super) fn folder(&self, name: &str) -> Option<u64> {
        let path = [schema::V1, schema::SNAPSHOTS, name.as_bytes()];
        let id = self.backend.root.at(&path)?.get(schema::ID)?;
        value::uvarint(id).ok()
    }

    /// Holds the records of snapshots against each other and against the folders.
    pub(super) fn snapshots(&mut self) -> Result<()> {
        self.take_up_snapshots();
        self.part_folders();
        self.stand()?;
        // What is below comes first: what stands on it needs its name.
        for key in self.bottom_up() {
            let Some(known) = self.known_as(&key) else { continue };
            if self.folder(&known.name).is_none() && !self.find(&key, &known)? {
                self.remake(&key, known.parent.as_deref())?;
            }
        }
        let missing: Vec<_> = self
            .known()
            .into_iter()
            .filter_map(|(key, known)| Some((key, self.folder(&known.name)?, known.parent)))
            .filter(|(_, folder, _)| !self.disk.folders.contains(folder))
            .collect();
        for (key, folder, parent) in missing {
            self.unpack(&key, folder, parent.as_deref());
        }
        self.agree()
    }

    /// Makes the layers anew that a snapshot stands on and that no record knows any more.
    fn stand(&mut self) -> Result<()> {
        let known = self.known();
        let parents = known.values().filter_map(|known| known.parent.as_ref());
        let lost: BTreeSet<&String> = parents.filter(|key| !known.contains_key(*key)).collect();
        for key in lost {
            let (mut layers, mut next) = (Vec::new(), key.parse::<ChainId>().ok());
            while let Some(id) = next.filter(|id| self.snapshot(&id.to_string()).is_none()) {
                next = self.chains.get(&id).and_then(|chain| chain.parent);
                layers.push((id.to_string(), next.map(|parent| parent.to_string())));
                if layers.len() > DEEPEST {
                    break;
                }
            }
            for (key, parent) in layers.into_iter().rev() {
                self.remake(&key, parent.as_deref())?;
            }
        }
        Ok(())
    }

    fn bottom_up(&self) -> Vec<String> {
        let known = self.known();
        let depth = |key: &String| {
            let above = |key: &String| known.get(key)?.parent.clone();
            std::iter::successors(Some(key.clone()), above).take(DEEPEST).count()
        };
        let mut keys: Vec<_> = known.keys().map(|key| (depth(key), key.clone())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Makes records in `meta.db` for snapshots that only the snapshotter knows: of containers, and of what
    /// known ones stand on; where records were lost, of all.
    fn take_up_snapshots(&mut self) {
        while self.take_up_wanted() {}
        self.lease_containers();
    }

    fn take_up_wanted(&mut self) -> bool {
        let own = self.namespace.as_bytes().to_vec();
        let path = [schema::V1, &own, schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        let is_all = self.meta.may_lack(&path);
        let known = self.known();
        let parents: BTreeSet<&str> =
            known.values().filter_map(|known| known.parent.as_deref()).collect();
        let is_wanted = |key: &str| {
            let of_container = key.strip_suffix("-init").unwrap_or(key);
            is_all || parents.contains(key) || self.container(of_container).is_some()
        };
        let all = self.backend.root.at(&[schema::V1, schema::SNAPSHOTS]);
        let (mut lost, mut any) = (Vec::new(), false);
        for (name, node) in all.into_iter().flat_map(Bucket::iter) {
            let (Ok(parsed), Node::Bucket(entry)) = (key::BackendKey::parse(name), node) else {
                continue;
            };
            // What was being unpacked is of no use.
            let is_own = parsed.namespace == self.namespace && !parsed.key.starts_with("extract-");
            if is_own && is_wanted(&parsed.key) && !known.contains_key(&parsed.key) {
                let parent = entry.get(schema::PARENT);
                let parent = parent.and_then(|name| key::BackendKey::parse(name).ok());
                lost.push((parsed, parent.map(|parent| parent.key)));
            }
        }
        for (name, parent) in lost {
            self.put_known(&name.key.clone(), &name.to_string(), parent.as_deref());
            let (what, how) = ("are missing for snapshots that are there", "are made anew");
            self.note(what, how, short(&name.key));
            any = true;
        }
        any
    }

    /// Returns the container of this snapshotter with an ID.
    pub(super) fn container(&self, id: &str) -> Option<&Container> {
        let mut all = self.help.containers.iter();
        all.find(|one| one.id == id && one.driver == self.snapshotter)
    }

    /// Keeps containers' snapshots, as their daemon does.
    fn lease_containers(&mut self) {
        let known = self.known();
        for container in self.help.containers {
            let keys = [container.id.clone(), format!("{}-init", container.id)];
            let keys: Vec<_> = keys.into_iter().filter(|key| known.contains_key(key)).collect();
            let lease = [schema::LEASES, container.id.as_bytes()];
            if keys.is_empty() || self.bucket().is_some_and(|own| own.at(&lease).is_some()) {
                continue;
            }
            let mut own = Namespace::of(&mut self.meta.root, self.namespace, self.help.now);
            own.add_snapshot_lease(&container.id, self.snapshotter, &keys);
            self.meta.changed = true;
            let (what, how) = ("lack leases that keep containers' files", "get them");
            self.note(what, how, short(&container.id));
        }
    }

    fn put_known(&mut self, key: &str, name: &str, parent: Option<&str>) {
        let now = value::encode_time(self.help.now).to_vec();
        let own = self.namespace.as_bytes();
        let path = [schema::V1, own, schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        let entry = self.meta.root.path_mut(&path).bucket_mut(key.as_bytes().to_vec());
        entry.put(schema::NAME, name.as_bytes().to_vec());
        for stamp in [schema::CREATED_AT, schema::UPDATED_AT] {
            if entry.get(stamp).is_none() {
                entry.put(stamp, now.clone());
            }
        }
        if let Some(parent) = parent {
            entry.put(schema::PARENT, parent.as_bytes().to_vec());
        }
        self.meta.changed = true;
    }

    /// Looks for the folder of a snapshot that the snapshotter does not know by its name: under another
    /// number of the same key, or by the links between parents and children, which have both.
    fn find(&mut self, key: &str, known: &Known) -> Result<bool> {
        let all = self.backend.root.at(&[schema::V1, schema::SNAPSHOTS]);
        let names: Vec<String> = all
            .into_iter()
            .flat_map(Bucket::iter)
            .filter_map(|(name, _)| key::BackendKey::parse(name).ok())
            .filter(|name| name.namespace == self.namespace && name.key == key)
            .map(|name| name.to_string())
            .collect();
        let taken: BTreeSet<String> = self.known().into_values().map(|known| known.name).collect();
        if let Some(name) = names.iter().find(|name| !taken.contains(*name)) {
            self.put_known(key, name, known.parent.as_deref());
            self.note("call snapshots by wrong names", "get the right ones", short(key));
            return Ok(true);
        }
        let linked = self.linked(&known.name).filter(|id| self.disk.folders.contains(id));
        let Some(folder) = linked.filter(|id| !self.used().contains(id)) else { return Ok(false) };
        let usage = match key.parse::<ChainId>().is_ok() || key.ends_with("-init") {
            true => self.usage(folder)?,
            false => Usage::Active,
        };
        self.put_backend(&known.name, known.parent.as_deref(), folder, usage);
        let (what, how) = ("do not say which folder a snapshot has", "are made anew");
        self.note(what, how, short(key));
        Ok(true)
    }

    /// Returns the folder that the links say a name has.
    pub(super) fn linked(&self, name: &str) -> Option<u64> {
        let links = self.backend.root.at(&[schema::V1, schema::PARENTS])?;
        let pairs = |wanted: &str| {
            links.iter().find_map(|(link, node)| match node {
                Node::Value(child) if **child == *wanted.as_bytes() => key::parent_link(link).ok(),
                _ => None,
            })
        };
        if let Some((_, child)) = pairs(name) {
            return Some(child);
        }
        let known = self.known();
        let key = known.iter().find(|(_, known)| known.name == name).map(|(key, _)| key)?;
        let mut children = known.values().filter(|known| known.parent.as_ref() == Some(key));
        children.find_map(|child| pairs(&child.name)).map(|(parent, _)| parent)
    }

    /// Returns the folders that the snapshotter knows.
    pub(super) fn used(&self) -> BTreeSet<u64> {
        meta::folders(&self.backend.root).0.into_iter().collect()
    }

    pub(super) fn usage(&self, folder: u64) -> Result<Usage> {
        let (mut inodes, mut size) = (1, 0_u64);
        let mut linked = BTreeSet::new();
        walk(&**self.tree, self.places.files(folder).as_path(), &mut |_, entry| {
            let found = &entry.metadata;
            if found.kind == Kind::Dir || found.nlink <= 1 || linked.insert(found.ino) {
                inodes += 1;
                size = size.saturating_add(found.allocated);
            }
            Ok(true)
        })?;
        Ok(Usage::Committed { inodes, size })
    }

    fn put_backend(&mut self, name: &str, parent: Option<&str>, folder: u64, usage: Usage) {
        let parent = parent.and_then(|key| self.known_as(key)).map(|known| known.name);
        let snapshot = Snapshot {
            name: name.as_bytes().to_vec(),
            parent: parent.map(String::into_bytes),
            folder,
            usage,
            now: self.help.now,
        };
        meta::add_to_backend(&mut self.backend.root, &snapshot);
        self.backend.changed = true;
    }

    /// Gives a snapshot that has no folder a new one, or forgets it.
    fn remake(&mut self, key: &str, parent: Option<&str>) -> Result<()> {
        let own = self.namespace.as_bytes().to_vec();
        let path = [schema::V1, &own, schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        let is_layer = key.parse::<ChainId>().is_ok();
        let has_children = self.known().values().any(|known| known.parent.as_deref() == Some(key));
        let from = self.sound(key);
        if from.is_none() && (!is_layer || has_children) {
            let (what, missing) = match is_layer {
                true => ("nothing says which folder a layer has", MISSING),
                false => ("nothing says which folder a container has", "the snapshotter's record"),
            };
            let what = format!("{what}: {}", short(key));
            self.give_up(
                "snapshot-without-backend",
                &self.meta.path.clone(),
                what,
                missing.to_owned(),
            );
            return Ok(());
        }
        let all = self.meta.root.path_mut(&path);
        all.remove(key.as_bytes());
        let below = parent.and_then(|parent| all.child_mut(parent.as_bytes()));
        if let Some(children) = below.and_then(|below| below.child_mut(schema::CHILDREN)) {
            children.remove(key.as_bytes());
        }
        self.meta.changed = true;
        let (what, how) = ("name snapshots that are not there", "are removed or made anew");
        self.note(what, how, short(key));
        if from.is_none() {
            return Ok(());
        }
        let on_disk = self.disk.names.iter().filter_map(|name| number(name));
        let (named, sequence) = meta::folders(&self.backend.root);
        let last = on_disk.chain(named).max().unwrap_or(0).max(sequence);
        let folder = last.saturating_add(1);
        let mut own = Namespace::of(&mut self.meta.root, self.namespace, self.help.now);
        let name = own.add_snapshot(self.snapshotter, key, parent, &self.backend.root);
        // What it takes is known when it is unpacked; Docker only shows it.
        let usage = Usage::Committed { inodes: 1, size: 0 };
        self.put_backend(&name, parent, folder, usage);
        self.unpack(key, folder, parent);
        Ok(())
    }
}

/// Returns a key short enough to be read.
pub(super) fn short(key: &str) -> String {
    let chain = key.parse::<ChainId>().ok();
    chain.map_or_else(|| key.chars().take(17).collect(), |chain| chain.0.short())
}
