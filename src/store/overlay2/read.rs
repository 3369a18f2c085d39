//! Reading the classic store.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::layers::{self, Entry};
use super::layout::Layout;
use super::tarball::Tarball;
use crate::digest::{BlobId, ChainId, ConfigId, Digest};
use crate::error::{Error, Result};
use crate::format::docker::repositories;
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::format::tar_split::Entries;
use crate::format::time::Timestamp;
use crate::model::{
    Finding, Image, Inventory, Layer, Name, PlatformImage, Role, Severity, StoreKind,
};
use crate::store::blob::Verified;
use crate::store::{Document, LayerContent, Source};
use crate::tree::{Tree, TreePathBuf, many, optional, read, read_within};

/// The classic store of one graph driver, its inventory read.
///
/// What lies in `image/<driver>` is the same for every driver; the layers' files are read for
/// overlay2 alone.
pub struct Overlay2 {
    tree: Arc<dyn Tree>,
    layout: Layout,
    layers: BTreeMap<ChainId, Entry>,
    inventory: Inventory,
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
        let layout = Layout::new(driver);
        let (layers, findings) = layers::load(&*tree, &layout)?;
        let mut inventory = Inventory::new(StoreKind::Classic, driver);
        inventory.findings = findings;
        let layer = |(id, entry): (&ChainId, &Entry)| {
            let Entry { diff_id, parent, size, .. } = *entry;
            (*id, Layer { diff_id, parent, size })
        };
        inventory.layers = layers.iter().map(layer).collect();
        let mut store = Self { tree, layout, layers, inventory };
        store.read_images()?;
        Ok(store)
    }

    /// Adds containers, which the data root knows and the store does not.
    pub fn add_containers(
        &mut self,
        containers: impl IntoIterator<Item = crate::model::Container>,
    ) {
        self.inventory.containers.extend(containers);
    }

    /// Notes which registry documents were kept for the images; the store itself does not know.
    pub fn add_originals(&mut self, originals: &BTreeMap<ConfigId, Vec<BlobId>>) {
        for image in &mut self.inventory.images {
            if let Some(blobs) = originals.get(&ConfigId(image.id)) {
                image.originals.clone_from(blobs);
            }
        }
    }

    fn read_images(&mut self) -> Result<()> {
        let names =
            optional(self.tree.names(self.layout.contents().as_path()))?.unwrap_or_default();
        let known = optional(self.tree.names(self.layout.all_metadata().as_path()))?;
        let known: HashSet<Vec<u8>> = known.unwrap_or_default().into_iter().collect();
        let id = |name: &Vec<u8>| Digest::from_hex(std::str::from_utf8(name).ok()?).ok();
        let ids: Vec<_> = names.iter().filter_map(id).collect();
        let read = many(&ids, |id| self.image(*id, known.contains(id.hex().as_bytes())));
        let mut unloadable = HashSet::new();
        for (id, image) in ids.into_iter().zip(read) {
            match image {
                Ok(image) => self.inventory.images.push(image),
                Err(error) => {
                    unloadable.insert(id);
                    let finding = Finding::of("image-unloadable", Severity::WouldNotLoad, &error);
                    self.inventory.findings.push(finding);
                }
            }
        }
        self.add_names(&unloadable);
        let parents: HashSet<_> = self.inventory.images.iter().filter_map(|i| i.parent).collect();
        for image in &mut self.inventory.images {
            image.intermediate = image.names.is_empty() && parents.contains(&image.id);
        }
        Ok(())
    }

    /// Reads one image as the daemon does at start (moby v28 image/store.go restore).
    fn image(&self, id: Digest, has_metadata: bool) -> Result<Image> {
        let path = self.layout.content(id);
        let place = || self.tree.place(path.as_path());
        let config: ImageConfig = decode(&self.config(id)?).map_err(|error| error.at(place()))?;
        if config.rootfs.is_none() {
            return Err(Error::corrupt(place(), "an image config without `rootfs`"));
        }
        let diff_ids = config.diff_ids().map_err(|error| error.at(place()))?;
        let chain = ChainId::chain(&diff_ids);
        if let Some(missing) = chain.iter().find(|chain_id| !self.layers.contains_key(*chain_id)) {
            let what = format!("the image's layer {missing} is missing or damaged");
            return Err(Error::missing(place(), what));
        }
        let arrived = self.tree.stat(path.as_path())?.mtime;
        let unpacked = chain.iter().filter_map(|id| self.layers.get(id)).map(|layer| layer.size);
        let manifest = PlatformImage {
            manifest: None,
            role: Role::Image,
            platform: config.platform.clone(),
            layers: diff_ids,
            present: true,
            content_size: 0,
            unpacked_size: unpacked.fold(0, u64::saturating_add),
            config: Some((ConfigId(id), Arc::new(config))),
        };
        let note = |key| if has_metadata { self.note(id, key) } else { Ok(None) };
        Ok(Image {
            id,
            names: Vec::new(),
            manifests: vec![manifest],
            best: Some(0),
            parent: note("parent")?.and_then(|text| text.parse().ok()),
            last_tagged: note("lastUpdated")?.and_then(|text| Timestamp::parse(&text).ok()),
            arrived: Some(arrived),
            intermediate: false,
            originals: Vec::new(),
        })
    }

    /// Reads the config of an image: all that this store keeps under its digest.
    fn config(&self, id: Digest) -> Result<Vec<u8>> {
        let path = self.layout.content(id);
        let bytes = read(&*self.tree, path.as_path())?;
        let found = Digest::of(&bytes);
        if found != id {
            let what = format!("{} bytes hash to {found}, wanted {id}", bytes.len());
            return Err(Error::corrupt(self.tree.place(path.as_path()), what));
        }
        Ok(bytes)
    }

    fn note(&self, image: Digest, key: &str) -> Result<Option<String>> {
        let path = self.layout.metadata(image, key);
        let bytes = optional(read_within(&*self.tree, path.as_path(), 4096))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// Gives the images their names. A file that cannot be read costs the names, not the images.
    fn add_names(&mut self, unloadable: &HashSet<Digest>) {
        let path = self.layout.repositories();
        let place = || self.tree.place(path.as_path());
        let entries = optional(read(&*self.tree, path.as_path())).and_then(|bytes| {
            let bytes = bytes.ok_or_else(|| Error::missing(place(), "no names are kept"))?;
            repositories::read(&bytes).map_err(|error| error.at(place()))
        });
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) if error.is_missing() && self.inventory.images.is_empty() => return,
            Err(error) => {
                let error = error.hint("the images are listed by their IDs");
                let code = "names-unreadable";
                self.inventory.findings.push(Finding::of(code, Severity::WouldNotLoad, &error));
                return;
            }
        };
        let mut names: BTreeMap<Digest, Vec<Name>> = BTreeMap::new();
        for entry in entries {
            match entry.reading {
                Ok((reference, config)) => {
                    names.entry(config.0).or_default().push(Name::Reference(reference));
                }
                Err(oddity) => {
                    let what = format!("the name `{}`: {}", entry.name, oddity.what());
                    let error = Error::corrupt(place(), what);
                    let finding = Finding::of("name-unusable", Severity::WrongMetadata, &error);
                    self.inventory.findings.push(finding);
                }
            }
        }
        for image in &mut self.inventory.images {
            image.names = names.remove(&image.id).unwrap_or_default();
            image.names.sort_unstable();
        }
        for (image, names) in names {
            let names: Vec<_> = names.iter().map(Name::familiar).collect();
            let why = if unloadable.contains(&image) { "cannot be loaded" } else { "is not there" };
            let what = format!("{} of image {image}, which {why}", names.join(", "));
            let error = Error::missing(place(), what);
            let finding = Finding::of("name-without-image", Severity::WrongMetadata, &error);
            self.inventory.findings.push(finding);
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
        let entry = self
            .layers
            .get(&chain_id)
            .ok_or_else(|| Error::missing(place(), format!("no layer {chain_id}")))?;
        let files = self.layout.files(&entry.cache_id).ok_or_else(|| {
            let id = &entry.cache_id;
            Error::corrupt(place(), format!("found `{id}`, wanted the name of a folder"))
        })?;
        Ok(Box::new(Content { store: self, chain_id, entry, files }))
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        Ok(Document { bytes: self.config(blob.0)?, labels: Vec::new() })
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        Ok(Box::new(std::io::Cursor::new(self.config(blob.0)?)))
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
        let record = self.store.layout.layer(self.chain_id, "tar-split.json.gz");
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

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        Some((&*self.store.tree, self.files.clone()))
    }
}
