//! Whose the files of a data root are.
//!
//! A claim is a path and the thing that all below it belongs to, unless another claim lies deeper. The data
//! root makes its own here; each store makes those of its folders.

use std::collections::BTreeSet;

use super::containers::FOLDER as CONTAINERS;
use super::logs;
use super::reclaim::Waste;
use super::volumes::{self, FOLDER as VOLUMES};
use crate::error::Result;
use crate::model::{Container, Holder, Thing, Use, Volume};
use crate::tree::{Kind, Tree, TreePath, TreePathBuf, optional, path};

/// Who has what of a tree.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The things; a path names one by its place here.
    pub things: Vec<Thing>,
    /// Paths, each with the thing that has all below it. The last one of a path holds.
    pub paths: Vec<(TreePathBuf, usize)>,
    /// Folders of which everything that nobody claims is a thing of its own, with what that is.
    pub each: Vec<(TreePathBuf, Use)>,
}

impl Claims {
    /// Adds a thing; returns its place.
    pub fn thing(&mut self, thing: Thing) -> usize {
        self.things.push(thing);
        self.things.len() - 1
    }

    /// Gives `path` to a thing.
    pub fn give(&mut self, path: TreePathBuf, thing: usize) {
        self.paths.push((path, thing));
    }

    /// Adds a thing that has `paths`.
    pub fn add(&mut self, thing: Thing, paths: impl IntoIterator<Item = TreePathBuf>) {
        let thing = self.thing(thing);
        self.paths.extend(paths.into_iter().map(|path| (path, thing)));
    }

    /// Makes everything in `folder` that nobody claims a thing of its own.
    pub fn each(&mut self, folder: TreePathBuf, of: Use) {
        self.each.push((folder, of));
    }

    /// Gives what can go to nobody.
    pub fn waste(&mut self, waste: Vec<Waste>) {
        for one in waste.into_iter().filter(|one| !one.paths.is_empty()) {
            let is_left = STALE.contains(&one.code) || one.what.contains(UNPACKING);
            let is_left = is_left || one.paths.iter().any(|path| has_end(path, REMOVING));
            let of = if is_left { Use::Stale } else { Use::Orphan };
            let thing = Thing { proof: one.proof, ..Thing::new(of, one.what) };
            self.add(thing, one.paths);
        }
    }
}

/// Codes of what is left of work that was given up.
const STALE: [&str; 3] = ["staging", "temporary", "download"];

/// What the keys of snapshots contain that a daemon is unpacking into (containerd v2
/// core/unpack/unpacker.go).
const UNPACKING: &str = "extract-";

/// moby v28 daemon/internal/layer/filestore.go
const REMOVING: &[u8] = b"-removing";

fn has_end(path: &TreePathBuf, end: &[u8]) -> bool {
    path.as_path().as_bytes().ends_with(end)
}

/// Folders of a data root with what their entries are, one by one.
const EACH: [(&str, Use); 5] = [
    ("", Use::Unknown),
    (VOLUMES, Use::Unknown),
    (CONTAINERS, Use::Unknown),
    ("buildkit", Use::BuildCache),
    ("plugins", Use::Plugin),
];

/// What else dockerd keeps in its data root (moby v28 daemon/daemon.go, cmd/dockerd/daemon.go).
const KNOWN: [(&str, Use); 16] = [
    (CONTAINERS, Use::Metadata),
    (VOLUMES, Use::Metadata),
    (volumes::METADATA, Use::Metadata),
    ("volumes/backingFsBlockDev", Use::Metadata),
    ("buildkit", Use::BuildCache),
    ("builder", Use::BuildCache),
    ("plugins", Use::Plugin),
    ("swarm", Use::Swarm),
    ("image", Use::Metadata),
    ("network", Use::Metadata),
    ("runtimes", Use::Metadata),
    // Where it mounts containers of the containerd store.
    ("rootfs", Use::Metadata),
    ("engine-id", Use::Metadata),
    ("trust", Use::Metadata),
    ("tmp", Use::Metadata),
    ("tranship", Use::Quarantine),
];

/// Returns who has what of the data root `tree` with these containers and volumes, without its stores.
///
/// # Errors
/// What the tree says of folders that are there.
pub fn of_root(tree: &dyn Tree, containers: &[Container], volumes: &[Volume]) -> Result<Claims> {
    let mut claims = Claims::default();
    claims.add(Thing::new(Use::Metadata, "the data root"), [TreePathBuf::default()]);
    for (folder, of) in EACH {
        claims.each(path(folder).to_owned(), of);
    }
    for (name, of) in KNOWN {
        claims.add(Thing::new(of, name), [path(name).to_owned()]);
    }
    claims.containers(tree, containers)?;
    for volume in volumes {
        claims.volume(volume, containers);
    }
    claims.waste(super::temporary::waste(tree)?);
    Ok(claims)
}

impl Claims {
    fn containers(&mut self, tree: &dyn Tree, containers: &[Container]) -> Result<()> {
        let known: BTreeSet<&str> = containers.iter().map(|one| one.id.as_str()).collect();
        let entries = optional(tree.list(path(CONTAINERS)))?.unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.metadata.kind == Kind::Dir) {
            let (Ok(id), Some(folder)) =
                (std::str::from_utf8(&entry.name), path(CONTAINERS).child(&entry.name))
            else {
                continue;
            };
            let holder = || [Holder::Container(id.to_owned())];
            let role = if known.contains(id) { "config" } else { "unreadable" };
            let own = Thing::new(Use::Container, id).with_role(role).with_holders(holder());
            self.add(own, [folder.clone()]);
            let names = optional(tree.names(folder.as_path()))?.unwrap_or_default();
            let logs = names.iter().filter(|name| logs::is_log(id, name));
            let logs: Vec<_> = logs.filter_map(|name| folder.as_path().child(name)).collect();
            if !logs.is_empty() {
                self.add(Thing::new(Use::Logs, id).with_holders(holder()), logs);
            }
        }
        Ok(())
    }

    fn volume(&mut self, volume: &Volume, containers: &[Container]) {
        let Some(folder) = volumes::folder(volume.name.as_bytes()) else { return };
        let is_used = containers.iter().any(|one| one.record.mounts_volume(&volume.name));
        let role = match (volume.anonymous, is_used) {
            (false, true) => "named",
            (true, true) => "anonymous",
            (false, false) => "named, unused",
            (true, false) => "anonymous, unused",
        };
        let holder = [Holder::Volume(volume.name.clone())];
        let thing = Thing::new(Use::Volume, volume.name.clone()).with_role(role);
        self.add(thing.with_holders(holder), [folder]);
    }
}

/// Returns who has what of a store that cannot be read.
#[must_use]
pub fn of_unread(what: &str, folders: &[TreePathBuf]) -> Claims {
    let mut claims = Claims::default();
    let thing = Thing::new(Use::Unknown, what).with_role("unreadable");
    claims.add(thing, folders.iter().cloned());
    claims
}

/// Returns who has what of a store for carrying images: each blob is one.
#[must_use]
pub fn of_carried(tree: TreePath<'_>) -> Claims {
    let mut claims = Claims::default();
    claims.add(Thing::new(Use::Metadata, "the layout"), [tree.to_owned()]);
    claims.each(tree.join(path("blobs/sha256")), Use::Blob);
    claims
}
