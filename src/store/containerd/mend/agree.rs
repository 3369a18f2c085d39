//! What the snapshotter says of a snapshot, made to agree with what `meta.db` says, and with the folder.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schema;
use super::super::write::meta::Usage;
use super::snapshots::short;
use super::{Bucket, Mender};
use crate::digest::ChainId;
use crate::error::Result;
use crate::format::containerd::value;
use crate::store::mend::Change;

impl Mender<'_> {
    /// Gives snapshots that share a folder back what the links between parents and children say.
    pub(super) fn part_folders(&mut self) {
        let mut names: BTreeMap<u64, Vec<(String, String)>> = BTreeMap::new();
        for (key, known) in self.known() {
            if let Some(folder) = self.folder(&known.name) {
                names.entry(folder).or_default().push((key, known.name));
            }
        }
        for (folder, sharing) in names.into_iter().filter(|(_, sharing)| sharing.len() > 1) {
            let mut left = sharing.len();
            for (key, name) in sharing {
                let own = self.linked(&name).filter(|own| *own != folder);
                let is_free =
                    |own: &u64| self.disk.folders.contains(own) && !self.used().contains(own);
                if let Some(own) = own.filter(is_free) {
                    self.entry(&name).put(schema::ID, value::encode_uvarint(own));
                    let (what, how) = ("give a snapshot the folder of another", "give it its own");
                    self.note(what, how, short(&key));
                    left -= 1;
                }
            }
            if left > 1 {
                let what = format!("{left} snapshots have one folder, {folder}");
                let missing = "what says which of them it belongs to".to_owned();
                let at = self.places.snapshot(folder);
                self.give_up("snapshot-folder-shared", &at, what, missing);
            }
        }
    }

    /// Corrects what snapshots are, what they stand on and how large they are, and makes the folders that
    /// containers need to be mounted.
    pub(super) fn agree(&mut self) -> Result<()> {
        let missing: BTreeSet<u64> = self
            .known()
            .values()
            .filter_map(|known| self.folder(&known.name))
            .filter(|folder| !self.disk.folders.contains(folder))
            .collect();
        for (key, known) in self.known() {
            let Some(folder) = self.folder(&known.name) else { continue };
            let parent = known.parent.as_deref().map(|parent| self.known_as(parent));
            // What stands on something that is lost stays as it is.
            if let None | Some(Some(_)) = parent {
                self.stand_on(&key, &known.name, parent.flatten().map(|parent| parent.name));
            }
            if self.container(&key).is_some() {
                self.be_active(&key, &known.name);
                if !missing.contains(&folder) {
                    self.make_work(&key, folder);
                }
            } else if key.parse::<ChainId>().is_ok() && !missing.contains(&folder) {
                self.be_committed(&key, &known.name, folder)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str) -> &mut Bucket {
        self.backend.changed = true;
        self.backend.root.path_mut(&[schema::V1, schema::SNAPSHOTS, name.as_bytes()])
    }

    fn said(&self, name: &str, key: &[u8]) -> Option<&[u8]> {
        self.backend.root.at(&[schema::V1, schema::SNAPSHOTS, name.as_bytes()])?.get(key)
    }

    fn stand_on(&mut self, key: &str, name: &str, parent: Option<String>) {
        let wanted = parent.as_deref().map(str::as_bytes);
        if self.said(name, schema::PARENT) == wanted {
            return;
        }
        let entry = self.entry(name);
        match parent {
            Some(parent) => _ = entry.put(schema::PARENT, parent.into_bytes()),
            None => _ = entry.remove(schema::PARENT),
        }
        let (what, how) = ("say two things of what a snapshot stands on", "agree");
        self.note(what, how, short(key));
    }

    /// What a container writes to is not committed, and has no size.
    fn be_active(&mut self, key: &str, name: &str) {
        if self.said(name, schema::KIND) == Some(&[schema::ACTIVE]) {
            return;
        }
        let entry = self.entry(name);
        entry.put(schema::KIND, vec![schema::ACTIVE]);
        entry.remove(schema::INODES);
        entry.remove(schema::SIZE);
        self.note("say of snapshots that they are what they cannot be", "say it", short(key));
    }

    fn be_committed(&mut self, key: &str, name: &str, folder: u64) -> Result<()> {
        let number = |key| value::varint(self.said(name, key)?).ok();
        let is_sized = number(schema::INODES).is_some_and(|inodes| inodes > 0)
            && number(schema::SIZE).is_some_and(|size| size >= 0);
        let is_kind = self.said(name, schema::KIND) == Some(&[schema::COMMITTED]);
        if is_sized && is_kind {
            return Ok(());
        }
        if let Usage::Committed { inodes, size } = self.usage(folder)? {
            let number =
                |number: u64| value::encode_varint(i64::try_from(number).unwrap_or(i64::MAX));
            let entry = self.entry(name);
            entry.put(schema::KIND, vec![schema::COMMITTED]);
            entry.put(schema::INODES, number(inodes));
            entry.put(schema::SIZE, number(size));
        }
        let (what, how) = match is_kind {
            true => ("do not say how large snapshots are", "say it"),
            false => ("say of snapshots that they are what they cannot be", "say it"),
        };
        self.note(what, how, short(key));
        Ok(())
    }

    /// overlayfs needs a folder beside that of the files to mount them for writing.
    fn make_work(&mut self, key: &str, folder: u64) {
        let snapshot = self.places.snapshot(folder);
        let work = snapshot.as_path().child(b"work").unwrap_or_default();
        if self.tree.stat(work.as_path()).is_ok() {
            return;
        }
        let said = (
            format!("{} has no folder to be mounted with", short(key)),
            "made; it is empty".to_owned(),
        );
        self.mend(
            "snapshot-folder-missing",
            &work.clone(),
            said,
            vec![Change::folder(work, 0o711)],
        );
    }
}
