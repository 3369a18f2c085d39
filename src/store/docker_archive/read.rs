//! Reading an archive of `docker save`.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use super::MANIFEST;
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::format::docker::archive::{SavedImage, digits_of, saved_images};
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::model::{Finding, Image, Inventory, Layer, PlatformImage, Role, Severity, StoreKind};
use crate::store::blob::Verified;
use crate::store::names::Names;
use crate::store::packed::Packed;
use crate::store::{Document, LayerContent, Source};
use crate::tree::{Kind, Tree, TreePath, TreePathBuf, path, read, read_within, resolve};

/// The largest config; containerd reads no document of more than 8 MiB (core/content/helpers.go).
const CONFIG_LIMIT: u64 = 32 << 20;

/// An archive of `docker save`, or the folder it was unpacked to.
pub struct Archive {
    tree: Arc<dyn Tree>,
    inventory: Inventory,
    configs: HashMap<ConfigId, TreePathBuf>,
    layers: HashMap<ChainId, LayerAt>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("tree", &self.tree.origin()).finish_non_exhaustive()
    }
}

/// Where one layer is; its file with its length, if there is one.
#[derive(Clone, Debug)]
struct LayerAt {
    diff_id: DiffId,
    file: Option<(TreePathBuf, u64)>,
}

impl Archive {
    /// Reads the archive `tree`.
    ///
    /// # Errors
    /// A `manifest.json` that cannot be read, and archives of Docker before 1.10, which have none.
    /// Damage beyond that is in the inventory's findings.
    pub fn open(tree: Arc<dyn Tree>) -> Result<Self> {
        let at = path(MANIFEST);
        let bytes = read(&*tree, at).map_err(|error| match error.kind() {
            ErrorKind::Missing => Error::unsupported(
                tree.place(at),
                "not there: this is how Docker before 1.10 saved images",
            )
            .hint("load the archive into a Docker before 26, and save the images again"),
            _ => error,
        })?;
        let saved = saved_images(&bytes).map_err(|error| error.at(tree.place(at)))?;
        let inventory = Inventory::new(StoreKind::Archive, "docker");
        let (configs, layers) = (HashMap::new(), HashMap::new());
        let names = Names::new(tree.place(at));
        let mut archive = Self { tree, inventory, configs, layers };
        archive.add_all(&saved, names);
        Ok(archive)
    }

    fn add_all(&mut self, saved: &[SavedImage], mut names: Names) {
        let mut images = BTreeMap::new();
        for one in saved {
            match self.add(one) {
                Ok(manifest) => {
                    let Some(id) = manifest.config.as_ref().map(|config| config.0.0) else {
                        continue;
                    };
                    let claimed = one.repo_tags.iter().filter_map(|tag| names.claim(tag, id));
                    let claimed: Vec<_> = claimed.collect();
                    let image = images.entry(id).or_insert_with(|| image(id, manifest));
                    image.names.extend(claimed);
                }
                Err(error) => {
                    let (code, severity) = ("image-unloadable", Severity::WouldNotLoad);
                    self.inventory.findings.push(Finding::of(code, severity, &error));
                }
            }
        }
        self.inventory.findings.append(&mut names.findings);
        self.inventory.images = images.into_values().collect();
    }

    /// Adds an image with its layers.
    fn add(&mut self, saved: &SavedImage) -> Result<PlatformImage> {
        let file = resolve(&*self.tree, TreePath::ROOT, saved.config.as_bytes())?;
        let place = || self.tree.place(file.as_path());
        let bytes = read_within(&*self.tree, file.as_path(), CONFIG_LIMIT)?;
        let id = Digest::of(&bytes);
        if let Some(digits) = digits_of(&saved.config).filter(|digits| *digits != id.hex()) {
            let what = format!("{} bytes hash to {id}, wanted sha256:{digits}", bytes.len());
            return Err(Error::corrupt(place(), what));
        }
        let config: ImageConfig = decode(&bytes)
            .map_err(|error| error.at(place()))
            .map_err(|error| error.within("an image config"))?;
        let diff_ids = config.diff_ids().map_err(|error| error.at(place()))?;
        if diff_ids.len() != saved.layers.len() {
            let (found, wanted) = (saved.layers.len(), diff_ids.len());
            let what = format!("{found} layers are listed for it, and it has {wanted}");
            return Err(Error::corrupt(place(), what));
        }
        self.configs.insert(ConfigId(id), file);
        let (layers_size, present) = self.add_layers(saved, &diff_ids);
        Ok(PlatformImage {
            manifest: None,
            role: Role::Image,
            platform: config.platform.clone(),
            config: Some((ConfigId(id), Arc::new(config))),
            layers: diff_ids,
            present,
            content_size: layers_size.saturating_add(bytes.len() as u64),
            unpacked_size: 0,
        })
    }

    /// Adds the layers of an image; returns their size together, and whether all are there.
    fn add_layers(&mut self, saved: &SavedImage, diff_ids: &[DiffId]) -> (u64, bool) {
        let (mut total, mut present, mut parent) = (0u64, true, None);
        for (name, (diff_id, chain_id)) in
            saved.layers.iter().zip(diff_ids.iter().zip(ChainId::chain(diff_ids)))
        {
            let file = match self.file(name) {
                Ok(file) => Some(file),
                Err(error) => {
                    let error = error.within(format_args!("layer {diff_id}"));
                    let (code, severity) = ("layer-missing", Severity::DataLost);
                    self.inventory.findings.push(Finding::of(code, severity, &error));
                    None
                }
            };
            present &= file.is_some();
            let size = file.as_ref().map_or(0, |(_, size)| *size);
            total = total.saturating_add(size);
            let diff_id = *diff_id;
            let known = self
                .layers
                .entry(chain_id)
                .or_insert_with(|| LayerAt { diff_id, file: file.clone() });
            known.file = known.file.take().or(file);
            let layer = || Layer { diff_id, parent, size };
            self.inventory.layers.entry(chain_id).or_insert_with(layer);
            parent = Some(chain_id);
        }
        (total, present)
    }

    /// Returns the file that a name in `manifest.json` leads to, inside the archive, and its length.
    fn file(&self, name: &str) -> Result<(TreePathBuf, u64)> {
        let file = resolve(&*self.tree, TreePath::ROOT, name.as_bytes())?;
        let metadata = self.tree.stat(file.as_path())?;
        if metadata.kind != Kind::File {
            return Err(Error::corrupt(self.tree.place(file.as_path()), "not a regular file"));
        }
        Ok((file, metadata.size))
    }

    fn config(&self, blob: BlobId) -> Result<TreePath<'_>> {
        let file = self.configs.get(&ConfigId(blob.0)).map(TreePathBuf::as_path);
        file.ok_or_else(|| {
            let what = format!("no image has the config {blob}, and there are no manifests");
            Error::missing(self.tree.place(path(MANIFEST)), what)
        })
    }
}

fn image(id: Digest, manifest: PlatformImage) -> Image {
    Image {
        id,
        names: Vec::new(),
        manifests: vec![manifest],
        best: Some(0),
        parent: None,
        last_tagged: None,
        arrived: None,
        intermediate: false,
        originals: Vec::new(),
    }
}

impl Source for Archive {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        let missing = || {
            let what = format!("no file of a layer {chain_id} is here");
            Error::missing(self.tree.place(path(MANIFEST)), what)
                .hint("save the image again; the archive is not whole")
        };
        let at = self.layers.get(&chain_id).ok_or_else(missing)?;
        let (file, _) = at.file.as_ref().ok_or_else(missing)?;
        let (path, diff_id) = (file.clone(), at.diff_id);
        Ok(Box::new(Packed { tree: &*self.tree, path, blob: None, diff_id }))
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        let file = self.config(blob)?;
        let bytes = crate::store::manifests::document(&*self.tree, file, blob)?;
        Ok(Document { bytes, labels: Vec::new() })
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        let file = self.config(blob)?;
        let opened = BufReader::new(self.tree.open(file)?);
        Ok(Box::new(Verified::new(opened, blob.0, self.tree.place(file))))
    }
}
