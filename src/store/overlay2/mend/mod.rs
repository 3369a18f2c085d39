//! What can be set right in a classic store: what it keeps twice, and what follows from the rest.
//!
//! ```text
//! layers   layerdb/sha256: values that follow from the configs of images and from the driver's folders
//! mounts   layerdb/mounts: the same of containers
//! folders  the driver's folders: short names, and what each stands on
//! images   imagedb: configs that others have, notes that nobody can read
//! names    repositories.json: names that are left of it, or that others know
//! stale    what daemons had begun when they died
//! ```
//!
//! Each file reads what it mends as if the parts before it were mended already.

mod folders;
mod images;
mod layers;
mod mounts;
mod names;
mod stale;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::DRIVER;
use super::layers::Entry;
use super::layout::Layout;
use super::mounts::Mount;
use crate::digest::{ChainId, DiffId, Digest};
use crate::error::Result;
use crate::format::docker::link::{Link, parse_lower, parse_target};
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::store::Source;
use crate::store::mend::{Change, Help, Mend, Mending, Unmendable};
use crate::tree::{Kind, Tree, TreePath, TreePathBuf, optional, read_within};

/// A link takes 28 bytes, and there are at most 128.
const LOWER_LIMIT: u64 = 8192;

/// A store that is being looked at, as it will be after what was found so far is mended.
struct Mender<'a> {
    tree: &'a Arc<dyn Tree>,
    layout: Layout,
    driver: &'a str,
    own: Option<&'a Arc<dyn Source>>,
    help: &'a Help<'a>,
    /// The layers of each image, the base first: of configs that are here, and that will be.
    images: BTreeMap<Digest, Vec<ChainId>>,
    /// What every chain that an image has is made of.
    known: BTreeMap<ChainId, (DiffId, Option<ChainId>)>,
    entries: BTreeMap<ChainId, Entry>,
    mounts: BTreeMap<String, Mount>,
    folders: BTreeMap<String, Folder>,
    /// Which folder each short name leads to.
    links: BTreeMap<Link, String>,
    found: Mending,
}

/// A folder of the driver, as it is.
struct Folder {
    has_files: bool,
    link: Option<Link>,
    /// What it says that it stands on; nothing if that cannot be read.
    lower: Option<Vec<Link>>,
}

/// Returns what can be set right in the store of the graph driver `driver` in the data root `tree`.
///
/// # Errors
/// Where not even the folders can be read.
pub fn mends(
    tree: &Arc<dyn Tree>,
    driver: &str,
    own: Option<&Arc<dyn Source>>,
    help: &Help<'_>,
) -> Result<Mending> {
    let mut mender = Mender {
        tree,
        layout: Layout::new(driver),
        driver,
        own,
        help,
        images: BTreeMap::new(),
        known: BTreeMap::new(),
        entries: BTreeMap::new(),
        mounts: BTreeMap::new(),
        folders: BTreeMap::new(),
        links: BTreeMap::new(),
        found: Mending::default(),
    };
    mender.mend_images()?;
    mender.learn();
    if driver == DRIVER {
        mender.look_at_folders()?;
        mender.mend_layers()?;
        mender.mend_mounts()?;
        mender.mend_folders()?;
    }
    mender.mend_names()?;
    mender.stale()?;
    mender.make_ground();
    Ok(mender.found)
}

impl Mender<'_> {
    fn mend(
        &mut self,
        code: &'static str,
        at: TreePath<'_>,
        what: impl Into<String>,
        how: impl Into<String>,
        changes: Vec<Change>,
    ) {
        let (place, what, how) = (self.tree.place(at), what.into(), how.into());
        self.found.mends.push(Mend { code, place, what, how, changes });
    }

    fn cannot(
        &mut self,
        code: &'static str,
        at: TreePath<'_>,
        what: impl Into<String>,
        missing: impl Into<String>,
    ) {
        let (place, what, missing) = (self.tree.place(at), what.into(), missing.into());
        self.found.unmendable.push(Unmendable { code, place, what, missing });
    }

    /// Makes the folders first that something is to be put into and that are gone too.
    fn make_ground(&mut self) {
        let changes = || self.found.mends.iter().flat_map(|mend| &mend.changes);
        let removed = |change: &&Change| matches!(change, Change::Remove { .. });
        let all: BTreeSet<TreePathBuf> =
            changes().filter_map(Change::at).map(TreePath::to_owned).collect();
        let mut missing = BTreeSet::new();
        for change in changes().filter(|change| !removed(change)) {
            let mut next = change.at().and_then(TreePath::split_last);
            while let Some((folder, _)) = next.filter(|(folder, _)| !folder.is_root()) {
                if self.tree.stat(folder).is_err() && !all.contains(&folder.to_owned()) {
                    missing.insert(folder.to_owned());
                }
                next = folder.split_last();
            }
        }
        let known = self.layout.folders();
        for folder in missing.into_iter().rev() {
            let mode = known.iter().find(|(known, _)| *known == folder).map_or(0o755, |(_, m)| *m);
            let what = "a folder that every store has is gone".to_owned();
            self.found.mends.insert(
                0,
                Mend {
                    code: "folder-missing",
                    place: self.tree.place(folder.as_path()),
                    what,
                    how: "make the folder".to_owned(),
                    changes: vec![Change::folder(folder, mode)],
                },
            );
        }
    }

    /// Notes the layers of an image.
    fn add_image(&mut self, id: Digest, config: &[u8]) {
        let config = decode::<ImageConfig>(config).ok();
        let Some(diff_ids) = config.and_then(|config| config.diff_ids().ok()) else { return };
        let chain = self.add_chain(&diff_ids);
        self.images.insert(id, chain);
    }

    fn add_chain(&mut self, diff_ids: &[DiffId]) -> Vec<ChainId> {
        let chain = ChainId::chain(diff_ids);
        let parents = std::iter::once(None).chain(chain.iter().copied().map(Some));
        for ((chain_id, diff_id), parent) in chain.iter().zip(diff_ids).zip(parents) {
            self.known.insert(*chain_id, (*diff_id, parent));
        }
        chain
    }

    /// Notes the layers that other stores know of.
    fn learn(&mut self) {
        let others = self.help.others.clone();
        for other in &others {
            for manifest in other.inventory().images.iter().flat_map(|image| &image.manifests) {
                self.add_chain(&manifest.layers);
            }
        }
    }

    /// Reads the driver's folders and short names, as far as they can be read.
    fn look_at_folders(&mut self) -> Result<()> {
        let Some(driver) = TreePath::new(self.driver.as_bytes()) else { return Ok(()) };
        for name in optional(self.tree.names(driver))?.unwrap_or_default() {
            let Ok(id) = String::from_utf8(name) else { continue };
            let folder = self.layout.folder(&id).unwrap_or_default();
            let is_folder =
                self.tree.stat(folder.as_path()).is_ok_and(|found| found.kind == Kind::Dir);
            if id == "l" || !is_folder {
                continue;
            }
            let link = self.value(&self.in_folder(&id, "link"), 64);
            let lower = self.value(&self.in_folder(&id, "lower"), LOWER_LIMIT);
            let files = self.in_folder(&id, "diff");
            let found = self.tree.stat(files.as_path());
            let here = Folder {
                has_files: found.is_ok_and(|found| found.kind == Kind::Dir),
                link: link.and_then(|bytes| Link::parse(&bytes).ok()),
                lower: lower.and_then(|bytes| parse_lower(&bytes).ok()),
            };
            self.folders.insert(id, here);
        }
        for (id, folder) in &self.folders {
            self.links.extend(folder.link.map(|link| (link, id.clone())));
        }
        for name in optional(self.tree.names(self.layout.links().as_path()))?.unwrap_or_default() {
            let Ok(link) = Link::parse(&name) else { continue };
            let target = self.tree.read_link(self.layout.link(link).as_path());
            let id = target.ok().and_then(|target| {
                Some(std::str::from_utf8(parse_target(&target).ok()?).ok()?.to_owned())
            });
            if let Some(id) = id.filter(|id| self.folders.contains_key(id)) {
                self.links.entry(link).or_insert(id);
            }
        }
        Ok(())
    }

    fn in_folder(&self, id: &str, name: &str) -> TreePathBuf {
        let folder = self.layout.folder(id).unwrap_or_default();
        folder.as_path().child(name.as_bytes()).unwrap_or_default()
    }

    /// Returns a small file, if it can be read.
    fn value(&self, file: &TreePathBuf, limit: u64) -> Option<Vec<u8>> {
        read_within(&**self.tree, file.as_path(), limit).ok()
    }

    /// Returns the folder that a folder says it stands on.
    fn below(&self, id: &str) -> Option<&str> {
        let nearest = self.folders.get(id)?.lower.as_ref()?.first()?;
        self.links.get(nearest).map(String::as_str)
    }

    /// Returns the folders that something is known to have.
    fn claimed(&self) -> BTreeSet<String> {
        let layers = self.entries.values().map(|entry| entry.cache_id.clone());
        let mounts = self
            .mounts
            .values()
            .flat_map(|mount| std::iter::once(mount.mount_id.clone()).chain(mount.init_id.clone()));
        layers.chain(mounts).collect()
    }
}
