//! Layers of a classic store that are healed with their tars from elsewhere: the other store of the root,
//! another root, a layout, an archive.
//!
//! A layer here is its files and the record that makes its tar of them. The record can be made again of
//! the tar if the files are those of the tar; if they are not, both are.

mod make;

use std::sync::Arc;

use super::layers::{self, Entry};
use super::layout::Layout;
use crate::digest::{ChainId, DiffId};
use crate::error::Result;
use crate::store::mend::{Change, Help, Mend, Mending, Unmendable};
use crate::store::unpack::{Compare, Rules};
use crate::store::{Source, blob};
use crate::tree::{Kind, Tree, TreePathBuf, many};
use make::{Files, Record, Tar};

/// The files of a layer are not those of its tar, which its record can make all the same: what has no
/// bytes stands in the record alone.
const FILES: &str = "files-damaged";

/// Returns what can be healed in the store of the graph driver `driver` in the data root `tree`, which
/// `own` reads: layers without a record of their tar; and where all content is to be read, layers whose
/// files are not those of their tar.
///
/// # Errors
/// Where not even the folders can be read.
pub fn heals(
    tree: &Arc<dyn Tree>,
    driver: &str,
    own: &Arc<dyn Source>,
    help: &Help<'_>,
) -> Result<Mending> {
    let layout = Layout::new(driver);
    let entries = layers::load(&**tree, &layout)?.layers;
    let store = Store { tree: &**tree, layout: &layout, own, help };
    let entries: Vec<_> = entries.into_iter().collect();
    let sick = many(&entries, |(chain, entry)| store.sickness(*chain, entry));
    let mut mending = Mending::default();
    for ((chain, entry), sickness) in entries.iter().zip(sick) {
        if let Some(sickness) = sickness {
            store.heal(*chain, entry, sickness, &mut mending);
        }
    }
    Ok(mending)
}

/// What is wrong with a layer.
struct Sickness {
    code: &'static str,
    at: TreePathBuf,
    what: String,
}

struct Store<'s> {
    tree: &'s dyn Tree,
    layout: &'s Layout,
    own: &'s Arc<dyn Source>,
    help: &'s Help<'s>,
}

impl Store<'_> {
    fn sickness(&self, chain: ChainId, entry: &Entry) -> Option<Sickness> {
        let record = self.record(chain);
        let short = chain.0.short();
        let there = self.tree.stat(record.as_path());
        if !there.is_ok_and(|record| record.kind == Kind::File && record.size > 0) {
            let what = format!("layer {short} has no record of its tar");
            return Some(Sickness { code: "tar-split-missing", at: record, what });
        }
        if !self.help.content {
            return None;
        }
        let read = self.own.layer(chain).and_then(|layer| {
            blob::drain(&mut *layer.tar()?, &mut |_| Ok(()))
                .map_err(|error| crate::error::from_io(error, Default::default))?;
            layer.compare(0, &())
        });
        let at = self.layout.files(&entry.cache_id).unwrap_or_default();
        match read {
            Ok(differs) => {
                let what = format!("layer {short}: {}", differs.named.first()?);
                Some(Sickness { code: FILES, at, what })
            }
            Err(error) => {
                let what = format!("layer {short} is not what its diff ID names: {error}");
                Some(Sickness { code: "layer-damaged", at, what })
            }
        }
    }

    fn record(&self, chain: ChainId) -> TreePathBuf {
        self.layout.layer(chain, layers::RECORD)
    }

    fn heal(&self, chain: ChainId, entry: &Entry, sick: Sickness, mending: &mut Mending) {
        let place = self.tree.place(sick.at.as_path());
        if sick.code == FILES {
            let tar = Tar { source: Arc::clone(self.own), chain, diff_id: entry.diff_id };
            let how = "made anew of the layer's own tar, verified".to_owned();
            let changes = vec![Change::made(sick.at, Files { tar, size: entry.size })];
            mending.mends.push(Mend { code: FILES, place, what: sick.what, how, changes });
            return;
        }
        let Some(tar) = self.tar(chain, entry.diff_id) else {
            let missing = "the layer's tar, which is nowhere else: name a root, layout or archive \
                           that has it with --from, or pull the image again";
            let (code, what, missing) = (sick.code, sick.what, missing.to_owned());
            mending.unmendable.push(Unmendable { code, place, what, missing });
            return;
        };
        let Some(files) = self.layout.files(&entry.cache_id) else { return };
        let kind = tar.source.kind();
        let mut changes = Vec::new();
        let how = match self.are_same(&tar, &files) {
            Ok(true) => format!("made anew of the tar that the {kind} store has, verified"),
            Ok(false) => {
                let files_of = Files { tar: tar.clone(), size: entry.size };
                changes.push(Change::made(files, files_of));
                format!(
                    "files and record are made anew of the tar that the {kind} store has, verified"
                )
            }
            Err(error) => {
                let missing = format!("a sound tar: {error}");
                let (code, what) = (sick.code, sick.what);
                mending.unmendable.push(Unmendable { code, place, what, missing });
                return;
            }
        };
        let everything = !changes.is_empty();
        changes.push(Change::made(self.record(chain), Record { tar, everything }));
        mending.mends.push(Mend { code: sick.code, place, what: sick.what, how, changes });
    }

    /// Returns where the tar of a layer is: under the same chain, or under another that has it too.
    fn tar(&self, chain: ChainId, diff_id: DiffId) -> Option<Tar> {
        let has = |source: &Arc<dyn Source>, chain: ChainId| {
            source.has_tar(chain) && source.layer(chain).is_ok_and(|layer| layer.tar().is_ok())
        };
        self.help.others.iter().find_map(|source| {
            let layers = source.inventory().layers.iter();
            let equal = layers.filter(|(_, layer)| layer.diff_id == diff_id).map(|(id, _)| *id);
            let chain = std::iter::once(chain).chain(equal).find(|chain| has(source, *chain))?;
            Some(Tar { source: Arc::clone(source), chain, diff_id })
        })
    }

    /// Returns whether the files are those of the tar.
    fn are_same(&self, tar: &Tar, files: &TreePathBuf) -> Result<bool> {
        let mut compare = Compare::new(self.tree, files.as_path(), Rules::docker());
        tar.watch(&mut compare)?;
        let found = compare.finish()?;
        Ok(!found.named.iter().any(|found| found.differs.is_lost()))
    }
}
