//! A store that has one image more: what a container would become.

use std::io::{BufRead, BufReader, Cursor};
use std::sync::Arc;

use super::Commit;
use super::config::Making;
use super::layer::{Layer, Made};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, Place, Result};
use crate::format::oci::{ImageConfig, Platform};
use crate::format::raw::decode;
use crate::format::reference::Reference;
use crate::format::time::Timestamp;
use crate::model::{self, Container, Image, Inventory, Name, PlatformImage, Role};
use crate::store::blob::Verified;
use crate::store::{Contents, Document, LayerContent, PackedLayer, Source, Writable};
use crate::tree::{Tree, TreePathBuf};

/// A store whose only image is one that a container of it becomes.
pub struct Committed {
    source: Box<dyn Source>,
    inventory: Inventory,
    layer: Option<(ChainId, Layer)>,
    config: (BlobId, Vec<u8>),
    told: Option<String>,
}

impl std::fmt::Debug for Committed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committed").field("config", &self.config.0).finish_non_exhaustive()
    }
}

/// The layers that a container stands on, and the image they are known from.
struct Base<'a> {
    layers: Vec<DiffId>,
    image: Option<&'a PlatformImage>,
}

impl Committed {
    /// Makes an image of a container of `source`, whose tree is `tree`.
    ///
    /// # Errors
    /// A name that is none, a container that may be torn, one whose layers are not all known, and what
    /// the trees say.
    pub fn new(
        source: Box<dyn Source>,
        tree: &Arc<dyn Tree>,
        container: &Container,
        commit: &Commit,
        (platform, now): (&Platform, Timestamp),
    ) -> Result<Self> {
        let name = reference(&commit.name)?;
        refuse_if_torn(container, commit.force)?;
        let mut inventory = source.inventory().clone();
        let kind = inventory.kind;
        let writable = source.writable(&container.id)?;
        let base = Base::of(&inventory, container, &writable)?;
        let base_config = base.image.and_then(|image| image.config.as_ref()).map(|(id, _)| *id);
        let document = base_config.map(|id| source.document(BlobId(id.0))).transpose()?;
        let parsed = document.map(|document| serde_json::from_slice(&document.bytes)).transpose();
        let parsed = parsed.map_err(|error| {
            Error::corrupt(Place::default(), format!("the config of its image is no JSON: {error}"))
        })?;
        let layer = Layer::of(tree, &writable, kind, &container.name)?;
        let mut layers = base.layers.clone();
        layers.extend(layer.as_ref().map(|layer| layer.diff_id));
        let platform = container
            .record
            .image_platform
            .as_ref()
            .filter(|p| !p.os.is_empty())
            .unwrap_or(platform);
        let making = Making {
            commit,
            container,
            base: parsed.unwrap_or_default(),
            platform,
            layers: &layers,
            is_empty: layer.is_none(),
            kind,
            now,
        };
        let bytes = making.bytes()?;
        let told = base_config.is_none().then(|| {
            "the image of its container is gone: the layers are there, and how they were made is not"
                .to_owned()
        });
        let chain = ChainId::chain(&layers).pop();
        let layer = chain.zip(layer);
        if let Some((chain_id, layer)) = &layer {
            let known =
                model::Layer { diff_id: layer.diff_id, parent: writable.parent, size: layer.size };
            inventory.layers.entry(*chain_id).or_insert(known);
        }
        let parent = base_config.filter(|_| commit.in_place).map(|id| id.0);
        let sizes = ChainId::chain(&layers).into_iter().filter_map(|id| inventory.layers.get(&id));
        let size = sizes.fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
        let image = image(name, &bytes, (layers, size), parent)?;
        let config = (BlobId(image.id), bytes);
        inventory.images = vec![image];
        Ok(Self { source, inventory, layer, config, told })
    }

    fn made(&self, chain_id: ChainId) -> Option<&Layer> {
        self.layer.as_ref().filter(|(id, _)| *id == chain_id).map(|(_, layer)| layer)
    }
}

impl<'a> Base<'a> {
    fn of(inventory: &'a Inventory, container: &Container, on: &Writable) -> Result<Self> {
        let is_it = |image: &&PlatformImage| {
            image.role == Role::Image
                && image.config.is_some()
                && image.chain().last().copied() == on.parent
        };
        let of = |image: &'a Image| image.manifests.iter().find(is_it);
        let own = inventory.images.iter().filter(|image| Some(image.id) == container.image);
        if let Some(image) = own.filter_map(of).next() {
            return Ok(Self { layers: image.layers.clone(), image: Some(image) });
        }
        // Any image of these layers knows what they are, though not what became of this one's config.
        let others = inventory.images.iter().flat_map(|image| &image.manifests);
        let same = others.into_iter().find(|image| image.chain().last().copied() == on.parent);
        if let Some(image) = same {
            return Ok(Self { layers: image.layers.clone(), image: None });
        }
        let (mut layers, mut next) = (Vec::new(), on.parent);
        while let Some(chain_id) = next {
            let layer =
                inventory.layers.get(&chain_id).filter(|_| layers.len() <= inventory.layers.len());
            let layer = layer.ok_or_else(|| unknown(container, chain_id))?;
            layers.push(layer.diff_id);
            next = layer.parent;
        }
        layers.reverse();
        Ok(Self { layers, image: None })
    }
}

fn unknown(container: &Container, chain_id: ChainId) -> Error {
    let what = format!(
        "layer {} below container {} belongs to no image any more, so that its digest is not known",
        chain_id.0.short(),
        container.name
    );
    Error::missing(Place::default(), what)
        .hint("have its image back first, by `docker pull`, then commit the container")
}

fn reference(name: &str) -> Result<Reference> {
    let parsed = Reference::parse_normalized(name).ok().filter(|name| name.digest().is_none());
    let parsed =
        parsed.ok_or_else(|| Error::refused(format!("`{name}` is no name for an image")))?;
    Ok(parsed.tag_name_only())
}

/// moby daemon/commit.go refuses the dead ones too.
fn refuse_if_torn(container: &Container, force: bool) -> Result<()> {
    let (state, name) = (&container.record.state, &container.name);
    if state.dead || state.removal_in_progress {
        return Err(Error::refused(format!("container {name} is half removed")));
    }
    if container.running && !force {
        let what = format!(
            "container {name} was running when its daemon last wrote: what it was writing may be torn"
        );
        return Err(Error::refused(what)
            .hint("start Docker and stop the container, or take it as it is: `--force`"));
    }
    Ok(())
}

fn image(
    name: Reference,
    bytes: &[u8],
    (layers, unpacked_size): (Vec<DiffId>, u64),
    parent: Option<Digest>,
) -> Result<Image> {
    let config: ImageConfig = decode(bytes).map_err(|error| error.at(Place::default()))?;
    let id = ConfigId(Digest::of(bytes));
    let platform = config.platform.clone();
    Ok(Image {
        id: id.0,
        names: vec![Name::Reference(name)],
        manifests: vec![PlatformImage {
            manifest: None,
            role: Role::Image,
            platform,
            config: Some((id, Arc::new(config))),
            layers,
            present: true,
            content_size: 0,
            unpacked_size,
        }],
        best: Some(0),
        parent,
        last_tagged: None,
        arrived: None,
        intermediate: false,
        originals: Vec::new(),
    })
}

impl Source for Committed {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        match self.made(chain_id) {
            Some(layer) => Ok(Box::new(MadeLayer { made: &layer.made, diff_id: layer.diff_id })),
            None => self.source.layer(chain_id),
        }
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        match self.config.0 == blob {
            true => Ok(Document { bytes: self.config.1.clone(), labels: Vec::new() }),
            false => self.source.document(blob),
        }
    }

    fn contents(&self, _: &Image) -> Result<Option<Contents>> {
        Ok(None)
    }

    fn has_tar(&self, chain_id: ChainId) -> bool {
        self.made(chain_id).is_some() || self.source.has_tar(chain_id)
    }

    fn packed(&self, image: &PlatformImage) -> Result<Vec<PackedLayer>> {
        self.source.packed(image)
    }

    fn made_anew(&self, _: &Image) -> Option<&str> {
        self.told.as_deref()
    }

    fn stack(&self, top: ChainId) -> Result<Vec<TreePathBuf>> {
        self.source.stack(top)
    }

    fn writable(&self, container: &str) -> Result<Writable> {
        self.source.writable(container)
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        match self.config.0 == blob {
            true => Ok(Box::new(Cursor::new(&*self.config.1))),
            false => self.source.blob(blob),
        }
    }
}

/// The layer of what the container changed. Its files are not shared: the container goes on to write them.
struct MadeLayer<'a> {
    made: &'a Made,
    diff_id: DiffId,
}

impl LayerContent for MadeLayer<'_> {
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>> {
        let tar = BufReader::new(self.made.tar()?);
        Ok(Box::new(Verified::new(tar, self.diff_id.0, self.made.place())))
    }

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        None
    }
}
