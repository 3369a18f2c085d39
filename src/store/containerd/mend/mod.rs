//! What is wrong in a containerd root and can be set right.
//!
//! Both bolt files are read, or what is left of them; what they say is held against the blobs and
//! folders that are there, and set right as values. If anything was wrong, both are written anew, in one
//! [`Mend`]: they speak of each other. What else is wrong is a mend of its own.

mod agree;
mod blobs;
mod bolt;
mod content;
mod disk;
mod folders;
mod images;
mod labels;
mod links;
mod make;
mod records;
mod snapshots;
mod sweep;

use std::collections::HashMap;
use std::sync::Arc;

use super::layout::{self, Snapshotter};
use crate::digest::{BlobId, ChainId, DiffId};
use crate::error::Result;
use crate::format::bbolt::OwnedBucket;
use crate::store::mend::{Change, Help, Mend, Mending, Unmendable};
use crate::tree::{Tree, TreePathBuf};
use bolt::Bolt;
use disk::Disk;

/// Looks for what is wrong in the containerd root `tree`, and plans how to set it right; reads alone.
///
/// # Errors
/// Where not even the folders can be read.
pub fn mends(
    tree: &Arc<dyn Tree>,
    namespace: &str,
    snapshotter: &str,
    help: &Help<'_>,
) -> Result<Mending> {
    let mut mender = Mender::read(tree, namespace, snapshotter, help)?;
    let is_empty = mender.disk.blobs.is_empty() && mender.disk.names.is_empty();
    if !mender.meta.is_there && is_empty {
        return Ok(Mending::default());
    }
    mender.damage();
    mender.misplaced();
    mender.blobs()?;
    mender.learn_chains();
    mender.snapshots()?;
    mender.link_snapshots();
    mender.images();
    mender.labels();
    mender.sweep()?;
    if help.content {
        mender.content()?;
    }
    mender.records()
}

/// How a layer can be had that is unpacked nowhere.
#[derive(Clone, Copy, Debug)]
struct Chain {
    diff_id: DiffId,
    parent: Option<ChainId>,
    blob: Option<BlobId>,
}

/// A root that is looked at.
struct Mender<'a> {
    tree: &'a Arc<dyn Tree>,
    help: &'a Help<'a>,
    namespace: &'a str,
    snapshotter: &'a str,
    places: Snapshotter,
    disk: Disk,
    meta: Bolt,
    backend: Bolt,
    /// The layers of all manifests and configs that are here.
    chains: HashMap<ChainId, Chain>,
    /// What is wrong with the records, and what they will say.
    wrong: Vec<Wrong>,
    out: Mending,
}

/// One sort of thing that is wrong with the records.
struct Wrong {
    what: &'static str,
    how: &'static str,
    which: Vec<String>,
}

type Bucket = OwnedBucket<'static>;

impl<'a> Mender<'a> {
    fn read(
        tree: &'a Arc<dyn Tree>,
        namespace: &'a str,
        snapshotter: &'a str,
        help: &'a Help<'a>,
    ) -> Result<Self> {
        let places = Snapshotter::new(snapshotter);
        let meta = layout::at(layout::META_DB.to_owned());
        let home = bolt::home_of_meta(namespace, snapshotter);
        Ok(Self {
            tree,
            help,
            namespace,
            snapshotter,
            disk: Disk::read(&**tree, &places)?,
            meta: Bolt::read(&**tree, meta, (false, 0o644), &home)?,
            backend: Bolt::read(
                &**tree,
                places.metadata_db(),
                (true, 0o600),
                &bolt::home_of_backend,
            )?,
            places,
            chains: HashMap::new(),
            wrong: Vec::new(),
            out: Mending::default(),
        })
    }

    /// Notes that a record is wrong, and what will be done about all that are wrong alike.
    fn note(&mut self, what: &'static str, how: &'static str, which: impl Into<String>) {
        let which = which.into();
        match self.wrong.iter_mut().find(|wrong| wrong.what == what) {
            Some(wrong) => wrong.which.push(which),
            None => self.wrong.push(Wrong { what, how, which: vec![which] }),
        }
    }

    fn mend(
        &mut self,
        code: &'static str,
        at: &TreePathBuf,
        (what, how): (String, String),
        changes: Vec<Change>,
    ) {
        let place = self.tree.place(at.as_path());
        self.out.mends.push(Mend { code, place, what, how, changes });
    }

    fn give_up(&mut self, code: &'static str, at: &TreePathBuf, what: String, missing: String) {
        let place = self.tree.place(at.as_path());
        self.out.unmendable.push(Unmendable { code, place, what, missing });
    }
}
