//! Both bolt files while entries are taken out of them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{layout, records, schema};
use super::reach::{Reached, children, given_up, keys, text};
use crate::error::Result;
use crate::format::bbolt::{self, Db, Options, OwnedBucket};
use crate::format::containerd::key::{self, BackendKey};
use crate::format::containerd::value;
use crate::format::time::Timestamp;
use crate::store::reclaim::Put;
use crate::tree::{Tree, TreePathBuf, optional, read_within};

/// The bytes of both files.
pub(super) struct Files {
    meta: Vec<u8>,
    backend: Option<Vec<u8>>,
    places: layout::Snapshotter,
}

impl Files {
    /// # Errors
    /// Missing if there is no `meta.db`.
    pub(super) fn read(tree: &dyn Tree, snapshotter: &str) -> Result<Self> {
        let places = layout::Snapshotter::new(snapshotter);
        let read = |path: &TreePathBuf| read_within(tree, path.as_path(), records::BOLT_LIMIT);
        let meta = read(&meta_path())?;
        let backend = optional(read(&places.metadata_db()))?;
        Ok(Self { meta, backend, places })
    }

    /// Opens both.
    ///
    /// # Errors
    /// What is wrong with either: what cannot be read whole is not written anew.
    pub(super) fn open<'f>(
        &'f self,
        tree: &dyn Tree,
        namespace: &str,
        snapshotter: &str,
    ) -> Result<Books<'f>> {
        let load = |bytes: &'f [u8], path: TreePathBuf| {
            let loaded = Db::open(bytes).and_then(|db| bbolt::load(&db));
            loaded.map_err(|error| error.at(tree.place(path.as_path())))
        };
        let backend = match &self.backend {
            Some(bytes) => load(bytes, self.places.metadata_db())?,
            None => OwnedBucket::new(),
        };
        Ok(Books {
            meta: load(&self.meta, meta_path())?,
            backend,
            namespace: namespace.to_owned(),
            snapshotter: snapshotter.to_owned(),
            gone: Gone::default(),
        })
    }

    /// Returns the files as they are to be, `meta.db` first: what it does not name any more is gone for
    /// the daemon, and an entry of the other that nothing names harms nothing.
    ///
    /// # Errors
    /// What our own reader would not read again.
    pub(super) fn puts(&self, tree: &dyn Tree, books: &Books<'_>) -> Result<Vec<Put>> {
        let mut puts = Vec::new();
        if books.gone.in_meta {
            puts.push(put(tree, meta_path(), &self.meta, &books.meta)?);
        }
        if let Some(bytes) = self.backend.as_ref().filter(|_| books.gone.in_backend) {
            puts.push(put(tree, self.places.metadata_db(), bytes, &books.backend)?);
        }
        Ok(puts)
    }
}

fn meta_path() -> TreePathBuf {
    layout::at(layout::META_DB.to_owned())
}

fn put(tree: &dyn Tree, path: TreePathBuf, old: &[u8], new: &OwnedBucket<'_>) -> Result<Put> {
    let place = || tree.place(path.as_path());
    let options = Options::replacing(&Db::open(old).map_err(|error| error.at(place()))?);
    let bytes = bbolt::write(new, &options).map_err(|error| error.at(place()))?;
    // A malformed tree kills containerd at its start.
    bbolt::check(&bytes).map_err(|error| error.at(place()))?;
    Ok(Put { path, bytes })
}

/// What was taken out.
#[derive(Default)]
pub(super) struct Gone {
    in_meta: bool,
    in_backend: bool,
    /// Digests of blobs that the namespace had.
    pub(super) blobs: BTreeSet<String>,
    /// Numbers of folders, with what the snapshots were called.
    pub(super) folders: BTreeMap<u64, String>,
}

/// Both files as values.
pub(super) struct Books<'f> {
    meta: OwnedBucket<'f>,
    backend: OwnedBucket<'f>,
    namespace: String,
    snapshotter: String,
    pub(super) gone: Gone,
}

/// Blobs and snapshots of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Things {
    pub(super) blobs: BTreeSet<String>,
    pub(super) snapshots: BTreeSet<String>,
}

impl<'f> Books<'f> {
    pub(super) fn space(&self) -> Option<&OwnedBucket<'f>> {
        self.meta.at(&[schema::V1, self.namespace.as_bytes()])
    }

    fn space_mut(&mut self) -> Option<&mut OwnedBucket<'f>> {
        self.meta.child_mut(schema::V1)?.child_mut(self.namespace.as_bytes())
    }

    /// Returns all namespaces with their names.
    pub(super) fn spaces(&self) -> impl Iterator<Item = (&str, &OwnedBucket<'f>)> {
        children(self.meta.child(schema::V1))
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Removes what is called `name` from the bucket `kind` of the namespace.
    pub(super) fn remove(&mut self, kind: &[u8], name: &str) {
        let bucket = self.space_mut().and_then(|space| space.child_mut(kind));
        if bucket.and_then(|bucket| bucket.remove(name.as_bytes())).is_some() {
            self.gone.in_meta = true;
        }
    }

    /// Returns what nothing reaches.
    pub(super) fn unreached(&self, now: Timestamp) -> Things {
        let mut things = Things::default();
        let Some(space) = self.space() else { return things };
        let reached = Reached::of(space, now);
        let blobs = keys(space.at(&[schema::CONTENT, schema::BLOB]));
        things.blobs = blobs.filter(|one| !reached.has_blob(one)).map(str::to_owned).collect();
        let of = [schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        let snapshots = keys(space.at(&of));
        let is_free = |key: &&str| !reached.has_snapshot(&self.snapshotter, key);
        things.snapshots = snapshots.filter(is_free).map(str::to_owned).collect();
        things
    }

    /// Removes the records of blobs, and of snapshots in both files.
    pub(super) fn drop_things(&mut self, things: &Things) {
        for digest in &things.blobs {
            let content = self.space_mut().and_then(|space| space.child_mut(schema::CONTENT));
            let blobs = content.and_then(|content| content.child_mut(schema::BLOB));
            if blobs.and_then(|blobs| blobs.remove(digest.as_bytes())).is_some() {
                self.gone.in_meta = true;
                self.gone.blobs.insert(digest.clone());
            }
        }
        let mut names = BTreeSet::new();
        for key in &things.snapshots {
            names.extend(self.drop_snapshot(key));
        }
        self.drop_backend(&names);
    }

    /// Removes a snapshot from `meta.db`; returns its name in the other file.
    fn drop_snapshot(&mut self, key: &str) -> Option<String> {
        let snapshotter = self.snapshotter.clone();
        let space = self.space_mut()?;
        let all = space.child_mut(schema::SNAPSHOTS)?.child_mut(snapshotter.as_bytes())?;
        let (name, parent) = {
            let one = all.child(key.as_bytes())?;
            (text(one, schema::NAME)?.to_owned(), text(one, schema::PARENT).map(str::to_owned))
        };
        all.remove(key.as_bytes());
        let parent = parent.and_then(|parent| all.child_mut(parent.as_bytes()));
        if let Some(parent) = parent {
            let mut is_empty = false;
            if let Some(children) = parent.child_mut(schema::CHILDREN) {
                children.remove(key.as_bytes());
                is_empty = children.is_empty();
            }
            if is_empty {
                parent.remove(schema::CHILDREN);
            }
        }
        self.gone.in_meta = true;
        Some(name)
    }

    /// Removes snapshots from the snapshotter's file.
    fn drop_backend(&mut self, names: &BTreeSet<String>) {
        let mut folders = BTreeMap::new();
        let Some(v1) = self.backend.child_mut(schema::V1) else { return };
        let Some(all) = v1.child_mut(schema::SNAPSHOTS) else { return };
        for name in names {
            let Some(one) = all.child(name.as_bytes()) else { continue };
            let folder = one.get(schema::ID).and_then(|id| value::uvarint(id).ok());
            all.remove(name.as_bytes());
            self.gone.in_backend = true;
            folders.extend(folder.map(|folder| (folder, name.clone())));
        }
        if let Some(links) = v1.child_mut(schema::PARENTS) {
            let is_gone = |link: &[u8]| {
                key::parent_link(link).is_ok_and(|(_, child)| folders.contains_key(&child))
            };
            let old = links.iter().map(|(link, _)| link.to_vec());
            let old: Vec<_> = old.filter(|link| is_gone(link)).collect();
            old.iter().for_each(|link| drop(links.remove(link)));
        }
        self.gone.folders.extend(folders);
    }

    /// Removes what the snapshotter's file has of this namespace and `meta.db` does not name, unless
    /// something that is named stands on it; returns the names.
    pub(super) fn drop_unnamed(&mut self) -> BTreeSet<String> {
        let unnamed = self.unnamed();
        self.drop_backend(&unnamed);
        unnamed
    }

    fn unnamed(&self) -> BTreeSet<String> {
        let Some(all) = self.backend.at(&[schema::V1, schema::SNAPSHOTS]) else {
            return BTreeSet::new();
        };
        let mut left: Vec<&str> = Vec::new();
        for (_, space) in self.spaces() {
            let snapshots = children(space.at(&[schema::SNAPSHOTS, self.snapshotter.as_bytes()]));
            left.extend(snapshots.filter_map(|(_, one)| text(one, schema::NAME)));
        }
        let is_own = |name: &&str| {
            BackendKey::parse(name.as_bytes()).is_ok_and(|key| key.namespace == self.namespace)
        };
        left.extend(keys(Some(all)).filter(|name| !is_own(name)));
        let mut named = BTreeSet::new();
        while let Some(name) = left.pop() {
            if named.insert(name) {
                let one = all.child(name.as_bytes());
                left.extend(one.and_then(|one| text(one, schema::PARENT)));
            }
        }
        keys(Some(all)).filter(|name| !named.contains(name)).map(str::to_owned).collect()
    }

    /// Returns the digests that any namespace has a record of.
    pub(super) fn recorded(&self) -> BTreeSet<&str> {
        let blobs = |space| keys(OwnedBucket::at(space, &[schema::CONTENT, schema::BLOB]));
        self.spaces().flat_map(|(_, space)| blobs(space)).collect()
    }

    /// Returns the digests that another namespace has a record of, with its name.
    pub(super) fn elsewhere(&self) -> BTreeMap<&str, &str> {
        let others = self.spaces().filter(|(name, _)| *name != self.namespace);
        let blobs = |(name, space)| {
            let all = keys(OwnedBucket::at(space, &[schema::CONTENT, schema::BLOB]));
            all.map(move |digest| (digest, name))
        };
        others.flat_map(blobs).collect()
    }

    /// Returns the numbers of all folders that the snapshotter's file names.
    pub(super) fn folders(&self) -> BTreeSet<u64> {
        let all = children(self.backend.at(&[schema::V1, schema::SNAPSHOTS]));
        all.filter_map(|(_, one)| value::uvarint(one.get(schema::ID)?).ok()).collect()
    }

    /// Returns the names of all snapshots in the snapshotter's file, with the numbers of their folders and
    /// whether they are committed.
    pub(super) fn all_folders(&self) -> impl Iterator<Item = (&str, u64, bool)> {
        let all = children(self.backend.at(&[schema::V1, schema::SNAPSHOTS]));
        all.filter_map(|(name, one)| {
            let folder = value::uvarint(one.get(schema::ID)?).ok()?;
            let is_committed =
                one.get(schema::KIND).is_some_and(|kind| kind == [schema::COMMITTED]);
            Some((name, folder, is_committed))
        })
    }

    /// Removes the records of downloads that were given up; returns when each was.
    pub(super) fn drop_downloads(&mut self, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let Some(space) = self.space() else { return BTreeMap::new() };
        let all = children(space.at(&[schema::CONTENT, schema::INGESTS]));
        let ended = |(name, one): (&str, _)| Some((name.to_owned(), given_up(one, now)?));
        let old: BTreeMap<_, _> = all.filter_map(ended).collect();
        let content = self.space_mut().and_then(|space| space.child_mut(schema::CONTENT));
        if let Some(ingests) = content.and_then(|content| content.child_mut(schema::INGESTS)) {
            old.keys().for_each(|name| drop(ingests.remove(name.as_bytes())));
            self.gone.in_meta |= !old.is_empty();
        }
        old
    }

    /// Returns what all namespaces call their downloads.
    pub(super) fn downloads(&self) -> BTreeSet<String> {
        let of = |space| children(OwnedBucket::at(space, &[schema::CONTENT, schema::INGESTS]));
        let all = self.spaces().flat_map(|(_, space)| of(space));
        all.filter_map(|(_, one)| text(one, b"ref")).map(str::to_owned).collect()
    }
}
