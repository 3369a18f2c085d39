//! All bytes, held against their digests.

use super::make::verify;
use super::snapshots::short;
use super::{Mender, make};
use crate::digest::{BlobId, ChainId};
use crate::error::Result;
use crate::store::unpack::{Compare, Differences, Rules, folder_below};
use crate::tree::{Tree, TreePath, many};

impl Mender<'_> {
    /// Reads every blob, and holds every unpacked layer against its tar.
    pub(super) fn content(&mut self) -> Result<()> {
        let sizes = &self.disk.blobs;
        let recorded = self.recorded();
        let whole = recorded.iter().filter(|(blob, size)| sizes.get(blob).copied() == *size);
        let blobs: Vec<BlobId> = whole.map(|(blob, _)| *blob).collect();
        let tree = &**self.tree;
        let sound = many(&blobs, |blob| verify(tree, *blob).is_ok());
        let damaged = blobs.iter().zip(sound).filter(|(_, sound)| !sound).map(|(blob, _)| *blob);
        let damaged: Vec<BlobId> = damaged.collect();
        for blob in &damaged {
            self.damaged(*blob);
        }
        self.forget(&damaged);
        self.files()
    }

    /// What is damaged is no help to anything else.
    fn forget(&mut self, damaged: &[BlobId]) {
        for chain in self.chains.values_mut() {
            chain.blob = chain.blob.filter(|blob| !damaged.contains(blob));
        }
    }

    fn files(&mut self) -> Result<()> {
        let known = self.known();
        let layers: Vec<_> = known
            .iter()
            .filter(|(key, _)| key.parse::<ChainId>().is_ok())
            .filter_map(|(key, known)| {
                Some((key, self.folder(&known.name)?, known.parent.as_deref()))
            })
            .filter(|(_, folder, _)| self.disk.folders.contains(folder))
            .filter_map(|(key, folder, parent)| Some((key, folder, parent, self.from(key)?)))
            .collect();
        let same =
            many(&layers, |(_, folder, parent, from)| self.differences(*folder, *parent, from));
        for ((key, folder, parent, from), same) in layers.into_iter().zip(same) {
            // A tar that cannot be read tells nothing of the files.
            let Some(first) = same.ok().and_then(|found| found.named.into_iter().next()) else {
                continue;
            };
            // What is only noted in another way is no loss, and Docker itself does so at times.
            if !first.differs.is_lost() {
                let what = format!("the files of {}: {first}", short(key));
                let missing =
                    "nothing is lost; remove the image and pull it again to have all as it was";
                let at = self.places.files(folder);
                self.give_up("files-differ", &at, what, missing.to_owned());
                continue;
            }
            let what = format!("the files of {} are not those of its layer", short(key));
            let how = "unpacked anew from the layer, verified; the files as they are go aside";
            self.put_unpacked("files-damaged", from, (folder, parent), (what, how.to_owned()));
        }
        Ok(())
    }

    /// Returns what differs, the losses first.
    fn differences(
        &self,
        folder: u64,
        parent: Option<&str>,
        from: &make::From,
    ) -> Result<Differences> {
        let tree: &dyn Tree = &**self.tree;
        let below = self.below(parent);
        let lower = |folder: TreePath<'_>| {
            folder_below(below.iter().map(|below| Ok((tree, below.clone()))), folder)
        };
        let rules = match parent {
            None => Rules::containerd_base(),
            Some(_) => Rules::containerd(&lower),
        };
        let files = self.places.files(folder);
        let mut compare = Compare::new(tree, files.as_path(), rules);
        from.watch(&mut compare)?;
        let mut found = compare.finish()?;
        found.named.sort_by_key(|one| !one.differs.is_lost());
        Ok(found)
    }
}
