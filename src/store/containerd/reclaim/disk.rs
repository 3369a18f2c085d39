//! What lies in a containerd root and no record names.

use std::collections::BTreeSet;

use super::Work;
use crate::digest::Digest;
use crate::error::Result;
use crate::store::containerd::layout;
use crate::tree::{TreePath, optional};

impl Work<'_, '_> {
    /// Downloads that nobody goes on with.
    pub(super) fn downloads(&mut self) -> Result<()> {
        let ended = self.books.drop_downloads(self.wanted.known.now);
        for (name, end) in ended {
            self.plan.add(
                "download",
                format!("download {name}"),
                format!("given up at {end}"),
                vec![],
            );
        }
        let known = self.books.downloads();
        let known: BTreeSet<String> =
            known.iter().map(|name| Digest::of(name.as_bytes()).hex()).collect();
        let folder = layout::ingests();
        for name in self.names(folder.as_path())? {
            let path = folder.as_path().child(&name);
            let text = String::from_utf8_lossy(&name).into_owned();
            if let Some(path) = path.filter(|_| !known.contains(&text)) {
                let proof = "no namespace has a download of this name";
                self.plan.add(
                    "download",
                    format!("what came of download {text}"),
                    proof,
                    vec![path],
                );
            }
        }
        Ok(())
    }

    pub(super) fn disk(&mut self) -> Result<()> {
        self.blob_files()?;
        self.snapshot_folders()?;
        let staging = layout::staging();
        let names = self.names(staging.as_path())?;
        let own = names.iter().filter(|name| name.as_slice() != layout::QUARANTINE.as_bytes());
        let mut paths: Vec<_> = own.filter_map(|name| staging.as_path().child(name)).collect();
        if !paths.is_empty() {
            // What is half removed must not be taken for done.
            paths.sort_by_key(|path| *path != layout::journal());
            if paths.len() == names.len() {
                paths.truncate(1);
                paths.push(staging);
            }
            let proof = "a migration that did not end left it; the next one begins anew";
            self.plan.add("staging", "layers on their way", proof, paths);
        }
        Ok(())
    }

    fn blob_files(&mut self) -> Result<()> {
        let folder = layout::blob_folder();
        let mut found = Vec::new();
        for algorithm in self.names(folder.as_path())? {
            let Some(files) = folder.as_path().child(&algorithm) else { continue };
            for name in self.names(files.as_path())? {
                let digest = [algorithm.as_slice(), name.as_slice()].join(&b':');
                let path = files.as_path().child(&name);
                found
                    .extend(path.map(|path| (String::from_utf8_lossy(&digest).into_owned(), path)));
            }
        }
        let recorded = self.books.recorded();
        let gone = &self.books.gone.blobs;
        found.retain(|(digest, _)| !recorded.contains(digest.as_str()) && !gone.contains(digest));
        for (digest, path) in found {
            let proof = "no namespace has a record of it";
            self.plan.add("blob", format!("blob {digest}"), proof, vec![path]);
        }
        Ok(())
    }

    fn snapshot_folders(&mut self) -> Result<()> {
        let folder = layout::Snapshotter::new(self.driver).snapshots();
        let known = self.books.folders();
        for name in self.names(folder.as_path())? {
            let text = String::from_utf8_lossy(&name).into_owned();
            let number = text.parse().ok();
            let is_known = number.is_some_and(|number| {
                known.contains(&number) || self.books.gone.folders.contains_key(&number)
            });
            if let Some(path) = folder.as_path().child(&name).filter(|_| !is_known) {
                let proof = "the snapshotter's records have no such folder";
                self.plan.add("snapshot", format!("snapshot folder {text}"), proof, vec![path]);
            }
        }
        Ok(())
    }

    fn names(&self, folder: TreePath<'_>) -> Result<Vec<Vec<u8>>> {
        Ok(optional(self.tree.names(folder))?.unwrap_or_default())
    }
}
