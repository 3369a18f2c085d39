//! Images of which a store has layers unpacked alone, as new images: the layers are made anew of their
//! files. Other bytes have other digests, so such an image gets another config and another ID.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Cursor};
use std::sync::Arc;

use super::Options;
use super::plan::whole::{is_unpacked_alone, shown_for};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, Result, from_io};
use crate::format::edit;
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::model::{Finding, Image, Inventory, Layer, PlatformImage, Severity};
use crate::store::blob::{self, Verified};
use crate::store::retar::{Keeping, Retar};
use crate::store::{
    Compression, Contents, Document, LayerContent, PackedLayer, Source, Target, Writable,
};
use crate::tree::{Tree, TreePathBuf};

/// A store, some of whose images are new ones under their old names and IDs.
pub struct Rebuilt {
    source: Box<dyn Source>,
    inventory: Inventory,
    /// What the layers of the source become whose tars are gone.
    made: HashMap<ChainId, DiffId>,
    /// Where the content of a new layer comes from.
    layers: HashMap<ChainId, Origin>,
    configs: HashMap<BlobId, Vec<u8>>,
    /// What there is to tell of each new image.
    told: HashMap<Digest, String>,
}

/// A layer of the source.
#[derive(Clone, Copy)]
struct Origin {
    chain_id: ChainId,
    /// The tar that is made of its files, if its own is gone.
    made: Option<DiffId>,
}

impl std::fmt::Debug for Rebuilt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rebuilt").field("made", &self.made).finish_non_exhaustive()
    }
}

impl Rebuilt {
    /// Makes new those selected images of `source` that could not move to `target` otherwise. Reads
    /// their files once to know the new digests. An image that cannot be made anew stays as it is, and
    /// why is a finding.
    ///
    /// # Errors
    /// A selection that matches nothing.
    pub fn new(source: Box<dyn Source>, target: &dyn Target, options: &Options) -> Result<Self> {
        let inventory = source.inventory().clone();
        let selected = options.selection.of(&inventory)?;
        let mut rebuilt = Self {
            source,
            inventory,
            made: HashMap::new(),
            layers: HashMap::new(),
            configs: HashMap::new(),
            told: HashMap::new(),
        };
        for position in selected {
            let image = rebuilt.inventory.images[position].clone();
            // What cannot be read is the plan's to tell.
            let is_alone = is_unpacked_alone(&image, &*rebuilt.source, target, options);
            if !is_alone.unwrap_or(false) {
                continue;
            }
            match rebuilt.image(&image, shown_for(&image, options)) {
                Ok(Some(new)) => rebuilt.inventory.images[position] = new,
                Ok(None) => {}
                Err(error) => {
                    let error = error.within(format_args!("image {}", image.id.short()));
                    let finding = Finding::of("image-not-rebuilt", Severity::WouldNotLoad, &error);
                    rebuilt.inventory.findings.push(finding);
                }
            }
        }
        Ok(rebuilt)
    }

    /// Returns what `image` becomes, which is the platform at `position` alone.
    fn image(&mut self, image: &Image, position: Option<usize>) -> Result<Option<Image>> {
        let Some(position) = position else { return Ok(None) };
        let Some(shown) = image.manifests.get(position) else { return Ok(None) };
        let Some((old, _)) = shown.config else { return Ok(None) };
        let mut layers = Vec::new();
        for (diff_id, chain_id) in shown.layers.iter().zip(shown.chain()) {
            layers.push(match self.source.has_tar(chain_id) {
                true => *diff_id,
                false => self.make(chain_id)?,
            });
        }
        let bytes = self.source.document(BlobId(old.0))?.bytes;
        let (bytes, config) = with_layers(&bytes, &layers)
            .map_err(|error| error.within(format_args!("its config {old}")))?;
        let id = ConfigId(Digest::of(&bytes));
        self.configs.insert(BlobId(id.0), bytes);
        self.told.insert(image.id, told(image, shown, &layers, (old, id)));
        self.add_layers(shown, &layers);
        let mut new = image.clone();
        new.best = Some(position);
        new.manifests[position] = PlatformImage {
            manifest: None,
            config: Some((id, Arc::new(config))),
            layers,
            ..shown.clone()
        };
        Ok(Some(new))
    }

    /// Returns the digest of the tar that is made of a layer's files.
    fn make(&mut self, chain_id: ChainId) -> Result<DiffId> {
        if let Some(made) = self.made.get(&chain_id) {
            return Ok(*made);
        }
        let content = self.source.layer(chain_id)?;
        let (tree, folder) = files(&*content, chain_id)?;
        let mut tar = BufReader::new(Retar::new(tree, folder.as_path(), Keeping::All)?);
        let hashed = blob::compress(&mut tar, &mut io::sink(), Compression::None, &mut |_| Ok(()));
        let (blob, _) = hashed.map_err(|error| from_io(error, || tree.place(folder.as_path())))?;
        let made = DiffId(blob.0);
        self.made.insert(chain_id, made);
        Ok(made)
    }

    /// Notes where the layers of a new image come from, and what an inventory tells of them.
    fn add_layers(&mut self, old: &PlatformImage, layers: &[DiffId]) {
        let mut parent = None;
        let chains = old.chain().into_iter().zip(ChainId::chain(layers));
        for (diff_id, (chain_id, new)) in layers.iter().zip(chains) {
            let made = self.made.get(&chain_id).copied();
            if new != chain_id {
                self.layers.insert(new, Origin { chain_id, made });
            }
            if let Some(size) = self.inventory.layers.get(&chain_id).map(|layer| layer.size) {
                let layer = || Layer { diff_id: *diff_id, parent, size };
                self.inventory.layers.entry(new).or_insert_with(layer);
            }
            parent = Some(new);
        }
    }
}

/// Returns a config with other layers and all other bytes the same.
fn with_layers(bytes: &[u8], layers: &[DiffId]) -> Result<(Vec<u8>, ImageConfig)> {
    let place = crate::error::Place::default;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::corrupt(place(), format!("not UTF-8: {error}")))?;
    let texts: Vec<String> = layers.iter().map(|layer| format!("\"{layer}\"")).collect();
    let list = format!("[{}]", texts.join(","));
    let new = edit::set(text, &["rootfs", "diff_ids"], &list).map_err(|error| error.at(place()))?;
    let config: ImageConfig = decode(new.as_bytes()).map_err(|error| error.at(place()))?;
    // A member that Docker reads under another spelling would still have the old layers.
    match config.diff_ids() {
        Ok(found) if found == layers => Ok((new.into_bytes(), config)),
        _ => Err(Error::corrupt(place(), "its layers cannot be replaced")),
    }
}

fn files<'a>(
    content: &'a (dyn LayerContent + 'a),
    chain_id: ChainId,
) -> Result<(&'a dyn Tree, TreePathBuf)> {
    content.files().ok_or_else(|| {
        let what = format!("the files of layer {chain_id} are not here any more");
        Error::missing(crate::error::Place::default(), what)
    })
}

/// Returns what to tell of an image that becomes another.
fn told(
    image: &Image,
    old: &PlatformImage,
    new: &[DiffId],
    (from, to): (ConfigId, ConfigId),
) -> String {
    let made = old.layers.iter().zip(new).filter(|(old, new)| old != new).count();
    format!(
        "{made} of its {} layers are re-made from unpacked files, for their blobs are gone: image {} \
         becomes another, with the config {to} instead of {from}; what only the blobs held is lost, \
         such as the order of files and the names of their owners",
        new.len(),
        image.id,
    )
}

impl Source for Rebuilt {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        let Some(origin) = self.layers.get(&chain_id) else { return self.source.layer(chain_id) };
        let content = self.source.layer(origin.chain_id)?;
        Ok(match origin.made {
            Some(diff_id) => Box::new(Made { content, diff_id, chain_id: origin.chain_id }),
            None => content,
        })
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        match self.configs.get(&blob) {
            Some(bytes) => Ok(Document { bytes: bytes.clone(), labels: Vec::new() }),
            None => self.source.document(blob),
        }
    }

    fn contents(&self, image: &Image) -> Result<Option<Contents>> {
        match self.told.contains_key(&image.id) {
            true => Ok(None),
            false => self.source.contents(image),
        }
    }

    fn stack(&self, top: ChainId) -> Result<Vec<TreePathBuf>> {
        self.source.stack(top)
    }

    fn tree(&self) -> Option<&dyn Tree> {
        self.source.tree()
    }

    fn writable(&self, container: &str) -> Result<Writable> {
        self.source.writable(container)
    }

    fn has_tar(&self, chain_id: ChainId) -> bool {
        match self.layers.get(&chain_id) {
            Some(Origin { made: None, chain_id }) => self.source.has_tar(*chain_id),
            Some(_) => true,
            None => self.source.has_tar(chain_id),
        }
    }

    fn packed(&self, image: &PlatformImage) -> Result<Vec<PackedLayer>> {
        self.source.packed(image)
    }

    fn bare_tag(&self, image: &Image) -> Option<&str> {
        self.source.bare_tag(image)
    }

    fn made_anew(&self, image: &Image) -> Option<&str> {
        self.told.get(&image.id).map(String::as_str)
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        match self.configs.get(&blob) {
            Some(bytes) => Ok(Box::new(Cursor::new(&**bytes))),
            None => self.source.blob(blob),
        }
    }
}

/// A layer whose tar is made of its files.
struct Made<'a> {
    content: Box<dyn LayerContent + 'a>,
    diff_id: DiffId,
    /// The layer in the source.
    chain_id: ChainId,
}

impl LayerContent for Made<'_> {
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>> {
        let (tree, folder) = files(&*self.content, self.chain_id)?;
        let tar = BufReader::new(Retar::new(tree, folder.as_path(), Keeping::All)?);
        Ok(Box::new(Verified::new(tar, self.diff_id.0, tree.place(folder.as_path()))))
    }

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        self.content.files()
    }

    fn tar_is_of_files(&self) -> bool {
        true
    }
}
