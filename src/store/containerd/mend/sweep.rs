//! What nothing names any more, and what containerd would remove itself one day.

use std::collections::BTreeSet;

use super::super::{layout, schema};
use super::disk::number;
use super::{Bucket, Mender};
use crate::digest::Digest;
use crate::error::Result;
use crate::format::bbolt::Node;
use crate::store::mend::Change;
use crate::tree::{Kind, TreePathBuf, optional};

impl Mender<'_> {
    /// Puts aside downloads that no record knows, and folders of no snapshot.
    pub(super) fn sweep(&mut self) -> Result<()> {
        self.ingests()?;
        self.folders()
    }

    fn ingests(&mut self) -> Result<()> {
        let folder = layout::at(format!("{}/ingest", layout::CONTENT));
        let known = self.known_ingests();
        let names = optional(self.tree.names(folder.as_path()))?.unwrap_or_default();
        // Without records it cannot be told which are known.
        if !self.meta.lost.is_empty() {
            return Ok(());
        }
        for name in names.iter().filter(|name| !known.contains(*name)) {
            let Some(at) = folder.as_path().child(name) else { continue };
            let said = (
                "a download that no record knows".to_owned(),
                "put aside; it begins anew when it is asked for".to_owned(),
            );
            self.mend("ingest-stale", &at.clone(), said, vec![Change::remove(at)]);
        }
        Ok(())
    }

    /// Returns the folders of the downloads that any namespace knows: digests of their names
    /// (containerd v2 plugins/content/local/store.go ingestRoot).
    fn known_ingests(&self) -> BTreeSet<Vec<u8>> {
        let v1 = self.meta.root.child(schema::V1);
        let namespaces = v1.into_iter().flat_map(Bucket::iter).filter_map(|(_, node)| match node {
            Node::Bucket(namespace) => namespace.at(&[schema::CONTENT, schema::INGESTS]),
            Node::Value(_) => None,
        });
        let refs = namespaces.flat_map(Bucket::iter).filter_map(|(_, node)| match node {
            Node::Bucket(ingest) => ingest.get(b"ref"),
            Node::Value(_) => None,
        });
        refs.map(|text| Digest::of(text).hex().into_bytes()).collect()
    }

    fn folders(&mut self) -> Result<()> {
        let used = self.used();
        let names = self.disk.names.clone();
        let orphans = names.iter().filter(|name| number(name).is_none_or(|id| !used.contains(&id)));
        for name in orphans {
            let Some(at) = self.places.snapshots().as_path().child(name) else { continue };
            // containerd removes what it does not know, so to leave it would be to lose it.
            let (what, how) = match (self.is_empty(&at)?, self.backend.lost.is_empty()) {
                (true, _) => ("an empty folder that no snapshot has", "put aside"),
                (false, true) => (
                    "a folder with files that no snapshot has",
                    "put aside, with all that is in it; containerd would remove it",
                ),
                (false, false) => (
                    "a folder with files whose record is lost; a container may have written them",
                    "put aside, with all that is in it, where containerd does not remove it",
                ),
            };
            let said = (what.to_owned(), how.to_owned());
            self.mend("snapshot-folder-orphan", &at.clone(), said, vec![Change::remove(at)]);
        }
        Ok(())
    }

    fn is_empty(&self, folder: &TreePathBuf) -> Result<bool> {
        if self.tree.stat(folder.as_path())?.kind != Kind::Dir {
            return Ok(true);
        }
        let files = folder.as_path().child(b"fs").unwrap_or_default();
        Ok(optional(self.tree.names(files.as_path()))?.unwrap_or_default().is_empty())
    }
}
