//! The classic store held against itself and against what is there.
//!
//! What the store itself found while it was read comes first; each file here looks at one part:
//!
//! ```text
//! layers     layerdb/sha256: what each layer needs, and whether anything needs the layer
//! mounts     layerdb/mounts: what containers changed
//! folders    the driver's folders: files, short names, what each stands on
//! images     imagedb: notes on images
//! registry   distribution: what blobs unpack to
//! starts     what dockerd makes of all that
//! ```

mod builds;
mod folders;
mod images;
mod layers;
mod mounts;
mod registry;
mod starts;
mod unused;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::DRIVER;
use super::layers::Entry;
use super::layout::Layout;
use super::mounts::Mount;
use crate::digest::{ChainId, Digest};
use crate::error::{Place, Result};
use crate::model::{Inventory, Severity};
use crate::store::{Audit, Piece};
use crate::tree::{Tree, TreePath, TreePathBuf, many, optional};

/// What puts right what the store says, where what it should say is known.
const MEND: &str = "`tranship repair` puts it right";
/// What brings bytes back.
const HEAL: &str =
    "heal it with `tranship repair --from …`, or remove its images and pull them again";
/// What makes room.
const TIDY: &str = "`tranship reclaim` removes it";

/// A store that was read.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) layout: &'a Layout,
    pub(super) layers: &'a BTreeMap<ChainId, Entry>,
    pub(super) without_record: &'a BTreeSet<ChainId>,
    pub(super) inventory: &'a Inventory,
}

/// What is looked at, and what came of it so far.
struct Auditor<'a> {
    here: Here<'a>,
    audit: Audit,
    /// The configs in imagedb, loaded or not.
    configs: Vec<Digest>,
    /// Layers that cannot be believed, as far as they can be read: a daemon believes them.
    odd_layers: BTreeMap<ChainId, Entry>,
    mounts: Vec<MountHere>,
    /// What the builder keeps; nothing if that cannot be told.
    builds: Option<builds::Builds>,
    flaws: Flaws,
}

/// A folder of `layerdb/mounts`.
struct MountHere {
    container: String,
    /// What it says, or why dockerd drops it.
    mount: std::result::Result<Mount, String>,
}

/// What is wrong with folders of the driver, by their names.
#[derive(Default)]
struct Flaws {
    /// No layer that stands on it can be mounted.
    for_all: HashMap<String, String>,
    /// It cannot be mounted itself.
    for_itself: HashMap<String, String>,
}

/// Looks at all but content.
pub(super) fn audit(here: &Here<'_>) -> Result<Audit> {
    let mut auditor = Auditor {
        here: *here,
        audit: Audit { findings: here.inventory.findings.clone(), ..Audit::default() },
        configs: Vec::new(),
        odd_layers: BTreeMap::new(),
        mounts: Vec::new(),
        builds: builds::read(here.tree),
        flaws: Flaws::default(),
    };
    auditor.list_images()?;
    auditor.read_odd_layers()?;
    auditor.check_mounts()?;
    auditor.check_layers()?;
    if here.inventory.driver == DRIVER {
        auditor.check_folders()?;
    }
    auditor.check_images()?;
    auditor.check_registry()?;
    auditor.act_out();
    Ok(auditor.audit)
}

/// Returns the layers that have both files and a record. What the others lack, the audit tells.
pub(super) fn pieces(here: &Here<'_>) -> Vec<Piece> {
    if here.inventory.driver != DRIVER {
        return Vec::new();
    }
    let layers: Vec<_> = here.layers.iter().collect();
    let is_whole = many(&layers, |(chain_id, entry)| {
        !here.without_record.contains(chain_id) && layers::has_files(here, entry)
    });
    let layers = layers.into_iter().zip(is_whole).filter(|(_, is_whole)| *is_whole);
    let piece = |(chain_id, entry): (&ChainId, &Entry)| Piece::Layer {
        chain_id: *chain_id,
        size: entry.size,
    };
    layers.map(|(layer, _)| piece(layer)).collect()
}

impl Auditor<'_> {
    fn place(&self, path: TreePath<'_>) -> Place {
        self.here.tree.place(path)
    }

    fn note(
        &mut self,
        code: (&'static str, Severity),
        path: TreePath<'_>,
        what: impl Into<String>,
        remedy: &str,
    ) {
        let place = self.place(path);
        self.audit.note(code, place, what, remedy);
    }

    /// Tells of what lies about in a folder whose names are digests; returns the digests.
    fn digests(
        &mut self,
        folder: &TreePathBuf,
        code: &'static str,
        what: &str,
    ) -> Result<Vec<Digest>> {
        let names = optional(self.here.tree.names(folder.as_path()))?.unwrap_or_default();
        let mut digests = Vec::new();
        for name in names {
            match std::str::from_utf8(&name).ok().and_then(|name| Digest::from_hex(name).ok()) {
                Some(digest) => digests.push(digest),
                None => self.stray(folder, &name, code, what),
            }
        }
        Ok(digests)
    }

    fn stray(&mut self, folder: &TreePathBuf, name: &[u8], code: &'static str, what: &str) {
        let Some(path) = folder.as_path().child(name) else { return };
        // moby vendor/github.com/moby/sys/atomicwriter
        if name.starts_with(b".tmp-") {
            let what = "a daemon died while it wrote this file";
            self.note(("temporary-file", Severity::Untidy), path.as_path(), what, TIDY);
        } else if name.ends_with(b"-removing") {
            let what = "a daemon died while it removed this layer";
            self.note(("layer-half-removed", Severity::Untidy), path.as_path(), what, TIDY);
        } else {
            self.note((code, Severity::Untidy), path.as_path(), what, "");
        }
    }
}
