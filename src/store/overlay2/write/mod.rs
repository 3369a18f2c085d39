//! Writing into a classic store: layers first, then what is known of the images, then all their configs
//! at once.
//!
//! A layer lies where it stays, in `overlay2/<cache-id>`, from the start: no daemon knows it before
//! layerdb does. Its folder there is made aside and moved to its name by a checkpoint, when all of it is
//! durable. An image is there when its config is; a name of an image that is not there shows nowhere.
//! So names come before configs, and the configs of all images come in one step: `imagedb/content/sha256`
//! is exchanged for a folder with them and all others. Names that another image has are moved last.
//!
//! A store that is new is made so in a folder of its own, and moved to its place when all that is done.

mod beside;
mod commit;
mod container;
mod content;
mod discard;
mod layer;
mod names;
mod notes;
mod plan;
mod publish;
mod stage;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layers::Entry;
use super::layout::{Layout, MOUNT_SET};
use super::read::{Found, Overlay2};
use crate::digest::{ChainId, Digest};
use crate::error::{Error, Result};
use crate::model::Inventory;
use crate::store::{
    BlobStep, Committed, ContainerStep, Damage, ImageStep, LayerStep, Progress, Source, Target,
    Writing,
};
use crate::tree::{Attributes, Sink, Time, TreePath, TreePathBuf, optional, sink_error};
use beside::Stands;
use plan::Planned;

pub(in crate::store) use beside::left_beside;
pub(super) use plan::links;

/// A classic store being written.
pub struct Writer {
    /// The data root.
    root: Arc<dyn Sink>,
    /// What is written to: the data root, or what a new store is made in.
    sink: Arc<dyn Sink>,
    layout: Layout,
    writing: Writing,
    inventory: Inventory,
    /// The layers that were there before.
    layers: BTreeMap<ChainId, Entry>,
    /// The images that were there before.
    images: HashSet<Digest>,
    /// Owner of the files that belong to the store itself: whoever owns its root.
    owner: (u32, u32),
    state: Mutex<State>,
    /// One at a time moves layers to their places.
    publishing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The layers to be made, and what each is called.
    planned: Arc<BTreeMap<ChainId, Planned>>,
    /// The layers that are complete, and not in layerdb yet.
    done: BTreeSet<ChainId>,
    /// The layers of this run that are in layerdb.
    published: HashSet<ChainId>,
    /// The containers that layerdb does not name yet, with what they stand on.
    containers: Vec<(String, Option<ChainId>)>,
    /// Bytes of layers written by this run.
    written: u64,
    stands: Stands,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl Writer {
    /// Opens the store of the graph driver `driver` in the data root that `sink` is, empty or not.
    /// Nothing else may write there meanwhile.
    ///
    /// # Errors
    /// A store whose folders or names cannot be read is not written to.
    pub fn open(sink: Arc<dyn Sink>, driver: &str, writing: Writing) -> Result<Self> {
        let root = sink;
        let stands = Stands::of(&*root, &Layout::new(driver))?;
        let sink = stands.sink(&root);
        let Found { layout, layers, inventory, .. } = Overlay2::read(sink.tree(), driver)?;
        // A root that is yet to be made will be root's.
        let metadata = optional(root.tree().stat(TreePath::ROOT))?;
        let writer = Self {
            layout,
            writing,
            images: inventory.images.iter().map(|image| image.id).collect(),
            inventory,
            layers,
            owner: metadata.map_or((0, 0), |root| (root.uid, root.gid)),
            root,
            sink,
            state: Mutex::new(State { stands, ..State::default() }),
            publishing: Mutex::default(),
        };
        writer.names()?;
        Ok(writer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the store has the layer, from before or by now.
    fn has_layer(&self, chain_id: ChainId) -> bool {
        self.layers.contains_key(&chain_id) || self.state().published.contains(&chain_id)
    }

    fn is_there(&self, path: &TreePathBuf) -> Result<bool> {
        Ok(optional(self.sink.tree().stat(path.as_path()))?.is_some())
    }

    /// Makes a folder as it is to be, unless it is there.
    fn make_dir(&self, path: &TreePathBuf, mode: u16) -> Result<()> {
        if self.is_there(path)? {
            return Ok(());
        }
        self.sink.make_dir(path.as_path(), mode)?;
        self.sink.finish_dir(path.as_path(), &self.attributes(mode)).map(drop)
    }

    fn write_file(&self, path: &TreePathBuf, mode: u16, bytes: &[u8]) -> Result<()> {
        self.write_dated(path, mode, None, bytes)
    }

    fn write_dated(
        &self,
        path: &TreePathBuf,
        mode: u16,
        mtime: Option<Time>,
        bytes: &[u8],
    ) -> Result<()> {
        let path = path.as_path();
        let mut file = self.sink.create(path, &Attributes { mtime, ..self.attributes(mode) })?;
        file.write_all(bytes).map_err(|error| sink_error(&*self.sink, path, error))?;
        file.finish().map(drop)
    }

    fn attributes(&self, mode: u16) -> Attributes {
        let (uid, gid) = self.owner;
        Attributes { uid, gid, ..Attributes::root(mode) }
    }
}

impl Target for Writer {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The store keeps no blobs, and needs none.
    fn has_blob(&self, _: crate::digest::DiffId) -> bool {
        true
    }

    fn begin(&self, steps: &[LayerStep]) -> Result<()> {
        self.prepare(steps)
    }

    fn put_layer(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Damage> {
        self.layer(step, source, progress)
    }

    fn keeps_documents(&self) -> bool {
        false
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Option<Error>> {
        let _ = (step, source, progress);
        let place = self.sink.tree().place(TreePath::ROOT);
        Err(Error::unsupported(place, "a classic store keeps no blobs"))
    }

    fn put_container(&self, step: &ContainerStep, source: &dyn Source) -> Result<u64> {
        self.container(step, source)
    }

    fn written(&self) -> u64 {
        self.state().written
    }

    fn checkpoint(&self) -> Result<()> {
        self.publish_layers()
    }

    fn tidy(&self) -> Result<()> {
        self.tidied()
    }

    fn commit(&self, images: &[ImageStep], source: &dyn Source) -> Result<Vec<Committed>> {
        self.publish(images, source)
    }
}
