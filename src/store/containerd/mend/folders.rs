//! Folders of snapshots, made anew of layers' tars.

use std::sync::Arc;

use super::Mender;
use super::make::{From, Unpacked};
use super::snapshots::{DEEPEST, Known, short};
use crate::digest::ChainId;
use crate::store::mend::Change;
use crate::tree::TreePathBuf;

pub(super) const MISSING: &str = "the layer's tar: its blob is not here either, or damaged; name a root, \
                                  layout or archive that has it with --from, or pull the image again";

impl Mender<'_> {
    /// Returns where the tar of a layer is: here, or elsewhere.
    pub(super) fn from(&self, key: &str) -> Option<From> {
        let id: ChainId = key.parse().ok()?;
        let chain = self.chains.get(&id);
        if let Some((chain, blob)) = chain.and_then(|chain| Some((chain, chain.blob?))) {
            return Some(From::Blob(Arc::clone(self.tree), blob, chain.diff_id));
        }
        let has = |source: &&Arc<dyn crate::store::Source>| {
            source.has_tar(id) && source.layer(id).is_ok_and(|layer| layer.tar().is_ok())
        };
        self.help.others.iter().find(has).map(|source| From::Layer(Arc::clone(source), id))
    }

    /// Returns the same, read to its end: what the records will name must be there.
    pub(super) fn sound(&self, key: &str) -> Option<From> {
        self.from(key).filter(|from| from.watch(&mut ()).is_ok())
    }

    /// Plans to unpack a layer into its folder.
    pub(super) fn unpack(&mut self, key: &str, folder: u64, parent: Option<&str>) {
        let at = self.places.snapshot(folder);
        let what = format!("the files of {} are not there", short(key));
        match self.sound(key) {
            Some(from) => {
                let how = "unpacked anew from its layer, verified".to_owned();
                self.put_unpacked("snapshot-folder-missing", from, (folder, parent), (what, how));
            }
            None => self.give_up("snapshot-folder-missing", &at, what, MISSING.to_owned()),
        }
    }

    pub(super) fn put_unpacked(
        &mut self,
        code: &'static str,
        from: From,
        (folder, parent): (u64, Option<&str>),
        said: (String, String),
    ) {
        let at = self.places.snapshot(folder);
        let size = match &from {
            From::Blob(_, blob, _) => self.disk.blobs.get(blob).copied().unwrap_or(0),
            From::Layer(source, chain) => {
                source.inventory().layers.get(chain).map_or(0, |layer| layer.size)
            }
        };
        let making = Unpacked { from, below: self.below(parent), size };
        let mut changes = Vec::new();
        if self.disk.names.is_empty() {
            // Not even the folder that holds it need be there; the first makes it for all.
            changes.push(Change::folder(self.places.snapshots(), 0o700));
            self.disk.names.push(folder.to_string().into_bytes());
        }
        self.disk.folders.insert(folder);
        changes.push(Change::made(at.clone(), making));
        self.mend(code, &at, said, changes);
    }

    /// Returns the folders of a snapshot and all that it stands on, the nearest first.
    pub(super) fn below(&self, parent: Option<&str>) -> Vec<TreePathBuf> {
        let above = |known: &Known| self.known_as(known.parent.as_deref()?);
        let first = parent.and_then(|key| self.known_as(key));
        let chain = std::iter::successors(first, above).take(DEEPEST);
        chain.filter_map(|known| self.folder(&known.name)).map(|id| self.places.files(id)).collect()
    }
}
