//! The folders of snapshots.

use std::collections::HashSet;

use super::said::{Backend, Meta};
use super::snapshots::named;
use super::{Auditor, PULL, shown};
use crate::error::Result;
use crate::model::Severity;
use crate::store::containerd::layout::Snapshotter;
use crate::store::containerd::schema;
use crate::tree::{Kind, TreePathBuf, many, optional};

/// A folder that must be there.
struct Wanted<'a> {
    name: &'a [u8],
    id: u64,
    path: TreePathBuf,
}

impl Auditor<'_> {
    pub(super) fn check_folders(&mut self, meta: &Meta<'_>, backend: &Backend<'_>) -> Result<()> {
        let places = Snapshotter::new(&self.store.inventory.driver);
        let named = named(meta, &self.store.inventory.driver);
        let (mut wanted, mut known) = (Vec::new(), HashSet::new());
        for (name, said) in &backend.snapshots {
            let Some(id) = said.id else { continue };
            known.insert(id.to_string().into_bytes());
            if !named.contains(name) {
                continue;
            }
            wanted.push(Wanted { name, id, path: places.files(id) });
            // A mount that is written to needs it, and what is committed does not any more.
            if said.kind == Some(schema::ACTIVE) {
                let path = places.snapshot(id).as_path().child(b"work").unwrap_or_default();
                wanted.push(Wanted { name, id, path });
            }
        }
        wanted.sort_unstable_by_key(|one| (one.id, one.path.clone()));
        let tree = &*self.store.tree;
        let found = many(&wanted, |one| optional(tree.stat(one.path.as_path())));
        *self.audit.checked.entry("snapshot folders").or_default() += wanted.len() as u64;
        for (one, found) in wanted.iter().zip(found) {
            if found?.is_some_and(|found| found.kind == Kind::Dir)
                || !self.lost.folders.insert(one.id)
            {
                continue;
            }
            let what = format!("the folder of snapshot {} is gone", shown(one.name));
            let place = self.store.tree.place(one.path.as_path());
            self.note("snapshot-folder-missing", Severity::DataLost, place, what, PULL);
        }
        let folder = places.snapshots();
        for name in optional(self.store.tree.names(folder.as_path()))?.unwrap_or_default() {
            if !known.contains(&name) {
                let path = folder.as_path().child(&name).unwrap_or_default();
                let place = self.store.tree.place(path.as_path());
                let what = "a folder that no snapshot has";
                let remedy = "containerd removes it when it next removes a snapshot";
                self.note("snapshot-folder-orphan", Severity::Untidy, place, what, remedy);
            }
        }
        Ok(())
    }
}
