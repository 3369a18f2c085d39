//! Reading the classic store.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::audit::{self, Here};
use super::images::{self, Images};
use super::layers::{self, Entry, Loaded};
use super::layout::Layout;
use super::mounts::{self, Mount};
use super::tarball::Tarball;
use crate::digest::{BlobId, ChainId, ConfigId};
use crate::error::{Error, Result, from_io};
use crate::format::docker::link::Link;
use crate::format::tar;
use crate::format::tar_split::Entries;
use crate::model::{Inventory, Layer, StoreKind};
use crate::store::blob::Verified;
use crate::store::claims::Claims;
use crate::store::put::{Metered, drain};
use crate::store::reclaim::{Known, Reclaim, Wanted};
use crate::store::unpack::{Compare, Differences, Rules};
use crate::store::{Audit, Document, LayerContent, Piece, Progress, Source, Writable};
use crate::tree::{Tree, TreePath, TreePathBuf, optional, read_within};

/// The classic store of one graph driver, its inventory read.
///
/// What lies in `image/<driver>` is the same for every driver; the layers' files are read for
/// overlay2 alone.
pub struct Overlay2 {
    tree: Arc<dyn Tree>,
    layout: Layout,
    layers: BTreeMap<ChainId, Entry>,
    without_record: BTreeSet<ChainId>,
    inventory: Inventory,
}

/// All that was read of a data root.
pub(super) struct Found {
    pub(super) layout: Layout,
    pub(super) layers: BTreeMap<ChainId, Entry>,
    without_record: BTreeSet<ChainId>,
    pub(super) inventory: Inventory,
}

impl std::fmt::Debug for Overlay2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay2").field("origin", &self.tree.origin()).finish_non_exhaustive()
    }
}

impl Overlay2 {
    /// Reads the store of the graph driver `driver` in the data root `tree`.
    ///
    /// # Errors
    /// Where not even the folders can be read. Damage is in the inventory's findings.
    pub fn open(tree: Arc<dyn Tree>, driver: &str) -> Result<Self> {
        let Found { layout, layers, without_record, inventory } = Self::read(&*tree, driver)?;
        Ok(Self { tree, layout, layers, without_record, inventory })
    }

    /// Reads what [`open`](Self::open) reads, and keeps no hold of the tree.
    pub(super) fn read(tree: &dyn Tree, driver: &str) -> Result<Found> {
        let layout = Layout::new(driver);
        let Loaded { layers, without_record, findings } = layers::load(tree, &layout)?;
        let mut inventory = Inventory::new(StoreKind::Classic, driver);
        inventory.findings = findings;
        let layer = |(id, entry): (&ChainId, &Entry)| {
            let Entry { diff_id, parent, size, .. } = *entry;
            (*id, Layer { diff_id, parent, size })
        };
        inventory.layers = layers.iter().map(layer).collect();
        Images { tree, layout: &layout, layers: &layers }.add_to(&mut inventory)?;
        Ok(Found { layout, layers, without_record, inventory })
    }

    fn here(&self) -> Here<'_> {
        Here {
            tree: &*self.tree,
            layout: &self.layout,
            layers: &self.layers,
            without_record: &self.without_record,
            inventory: &self.inventory,
        }
    }

    /// Adds containers, which the data root knows and the store does not.
    pub fn add_containers(
        &mut self,
        containers: impl IntoIterator<Item = crate::model::Container>,
    ) {
        self.inventory.containers.extend(containers);
    }

    pub(super) fn files(&self) -> &dyn Tree {
        &*self.tree
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Notes which registry documents were kept for the images; the store itself does not know.
    pub fn add_originals(&mut self, originals: &BTreeMap<ConfigId, Vec<BlobId>>) {
        for image in &mut self.inventory.images {
            if let Some(blobs) = originals.get(&ConfigId(image.id)) {
                image.originals.clone_from(blobs);
            }
        }
    }
}

impl Source for Overlay2 {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        let folder = self.layout.layer(chain_id, "cache-id");
        let place = || self.tree.place(folder.as_path());
        let entry = self.layers.get(&chain_id).ok_or_else(|| {
            layers::why_not_loaded(&*self.tree, &self.layout, &self.layers, chain_id)
        })?;
        let files = self.layout.files(&entry.cache_id).ok_or_else(|| {
            let id = &entry.cache_id;
            Error::corrupt(place(), format!("found `{id}`, wanted the name of a folder"))
        })?;
        Ok(Box::new(Content { store: self, chain_id, entry, files }))
    }

    fn stack(&self, top: ChainId) -> Result<Vec<TreePathBuf>> {
        let (mut folders, mut next) = (Vec::new(), Some(top));
        // Loading has made sure that this ends.
        while let Some(chain_id) = next {
            let content = self.layer(chain_id)?;
            folders.extend(content.files().map(|(_, folder)| folder));
            next = self.layers.get(&chain_id).and_then(|entry| entry.parent);
        }
        Ok(folders)
    }

    fn short_name(&self, layer: TreePath<'_>) -> Result<Option<TreePathBuf>> {
        let Some((folder, name)) = layer.split_last() else { return Ok(None) };
        let Some((_, id)) = folder.split_last() else { return Ok(None) };
        let Some(file) = folder.child(b"link") else { return Ok(None) };
        let Some(bytes) = optional(read_within(&*self.tree, file.as_path(), 64))? else {
            return Ok(None);
        };
        let Ok(link) = Link::parse(&bytes) else { return Ok(None) };
        let link = self.layout.link(link);
        let target = optional(self.tree.read_link(link.as_path()))?;
        Ok(target.filter(|target| *target == [b"../", id, b"/", name].concat()).map(|_| link))
    }

    fn tree(&self) -> Option<&dyn Tree> {
        Some(&*self.tree)
    }

    fn writable(&self, container: &str) -> Result<Writable> {
        let Mount { mount_id, init_id, parent } =
            mounts::read(&*self.tree, &self.layout, container)?;
        let below = parent.map(|top| self.stack(top)).transpose()?.unwrap_or_default();
        let files = |id: &str| self.layout.files(id).unwrap_or_default();
        let (upper, init) = (files(&mount_id), init_id.as_deref().map(files));
        Ok(Writable { upper, init, below, parent })
    }

    fn audit(&self) -> Result<Audit> {
        audit::audit(&self.here())
    }

    fn pieces(&self) -> Vec<Piece> {
        audit::pieces(&self.here())
    }

    fn reclaim(&self, wanted: &Wanted) -> Result<Reclaim> {
        self.waste(wanted)
    }

    fn claims(&self, known: &Known) -> Result<Claims> {
        self.claimed(known)
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        Ok(Document {
            bytes: images::config(&*self.tree, &self.layout, blob.0)?,
            labels: Vec::new(),
        })
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        Ok(Box::new(std::io::Cursor::new(images::config(&*self.tree, &self.layout, blob.0)?)))
    }
}

struct Content<'a> {
    store: &'a Overlay2,
    chain_id: ChainId,
    entry: &'a Entry,
    files: TreePathBuf,
}

impl LayerContent for Content<'_> {
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>> {
        let record = self.store.layout.layer(self.chain_id, layers::RECORD);
        let file = self.store.tree.open(record.as_path()).map_err(|error| {
            error
                .within("the record of the layer's tar")
                .hint("images with this layer still run in their store, but cannot leave it")
        })?;
        let entries = Entries::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))));
        let place = self.store.tree.place(self.files.as_path());
        let tarball = Tarball::new(&self.store.tree, self.files.clone(), record, entries);
        Ok(Box::new(Verified::new(tarball, self.entry.diff_id.0, place)))
    }

    fn tar_is_of_files(&self) -> bool {
        true
    }

    /// The tar tells whether files have their bytes. What has none, as folders, links and empty files,
    /// is looked for by its name.
    fn compare(&self, planned: u64, progress: &dyn Progress) -> Result<Differences> {
        let (tree, files) = (&*self.store.tree, self.files.as_path());
        // With user namespaces owners are others, and there are no devices.
        if tree.stat(files)?.uid != 0 {
            return drain(self.tar()?, planned, progress).map(|()| Differences::default());
        }
        let mut compare = Compare::new(tree, files, Rules::docker()).without_content();
        tar::watch(Metered::new(self.tar()?, planned, progress), &mut compare)
            .map_err(|error| from_io(error, || tree.place(files)))?;
        let mut differences = compare.finish()?;
        // Modes and times are as the driver of those days made them.
        differences.named.retain(|one| one.differs.is_lost());
        differences.more = 0;
        Ok(differences)
    }

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        Some((&*self.store.tree, self.files.clone()))
    }
}
