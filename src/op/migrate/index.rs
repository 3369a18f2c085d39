//! One image for several platforms, made of images for one each.

use std::collections::BTreeMap;
use std::io::{BufRead, Cursor};

use crate::digest::{BlobId, ChainId, Digest};
use crate::error::{Error, Place, Result};
use crate::format::oci::{Descriptor, index_document, media_type};
use crate::format::reference::Reference;
use crate::model::{Image, Inventory, Name, PlatformImage, Role};
use crate::op::transfer::Selection;
use crate::store::{Contents, Document, LayerContent, PackedLayer, Source, Writable};
use crate::tree::{Tree, TreePathBuf};

/// A store that holds one image more: an index over images that it has.
pub struct Indexed {
    source: Box<dyn Source>,
    inventory: Inventory,
    index: (BlobId, Vec<u8>),
    /// What the images that it was made of consist of.
    contents: Contents,
}

impl std::fmt::Debug for Indexed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexed").field("index", &self.index.0).finish_non_exhaustive()
    }
}

impl Indexed {
    /// Makes an index called `name` of `images` of `source`.
    ///
    /// # Errors
    /// A name that is none, images that are not there, and two for one platform.
    pub fn new(source: Box<dyn Source>, name: &str, images: &[String]) -> Result<Self> {
        let name = Reference::parse_normalized(name)
            .ok()
            .filter(|reference| reference.digest().is_none())
            .ok_or_else(|| Error::refused(format!("`{name}` is no name for an image")))?;
        let mut inventory = source.inventory().clone();
        let selection = Selection { images: images.to_vec(), ..Selection::default() };
        let chosen = selection.of(&inventory)?;
        let (mut parts, mut all) = (Vec::new(), Vec::new());
        for image in chosen.iter().map(|i| &inventory.images[*i]) {
            parts.extend(parts_of(image));
            all.extend(source.contents(image)?);
        }
        one_for_each_platform(&parts)?;
        let manifests: Vec<_> = parts.iter().filter_map(descriptor).collect();
        let bytes = index_document(&manifests);
        let blob = BlobId(Digest::of(&bytes));
        let target = Descriptor {
            media_type: media_type::OCI_INDEX.to_owned(),
            digest: blob.to_string(),
            size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            ..Descriptor::default()
        };
        let contents = joined(target, &manifests, all);
        let best = inventory.images[chosen[0]].best.map(|_| 0);
        inventory.images = vec![Image {
            id: blob.0,
            names: vec![Name::Reference(name.tag_name_only())],
            best,
            manifests: parts,
            parent: None,
            last_tagged: None,
            arrived: None,
            intermediate: false,
            originals: Vec::new(),
        }];
        Ok(Self { source, inventory, index: (blob, bytes), contents })
    }
}

/// Returns the manifests of an image that are there, with what attests to them.
fn parts_of(image: &Image) -> Vec<PlatformImage> {
    let is_here = |m: &&PlatformImage| m.present && m.role == Role::Image && m.config.is_some();
    let here: Vec<_> = image.manifests.iter().filter(is_here).cloned().collect();
    let attests = |m: &&PlatformImage| match m.role {
        Role::Attestation(Some(subject)) => {
            let is_it = |part: &PlatformImage| digest(part) == Some(subject);
            m.present && here.iter().any(is_it)
        }
        _ => false,
    };
    let attestations: Vec<_> = image.manifests.iter().filter(attests).cloned().collect();
    here.into_iter().chain(attestations).collect()
}

fn digest(part: &PlatformImage) -> Option<Digest> {
    part.manifest.as_ref()?.blob().map(|blob| blob.0)
}

/// Returns the descriptor of a part, with the platform that its config says.
fn descriptor(part: &PlatformImage) -> Option<Descriptor> {
    let mut descriptor = part.manifest.clone()?;
    descriptor.platform.get_or_insert_with(|| part.platform.clone());
    Some(descriptor)
}

fn one_for_each_platform(parts: &[PlatformImage]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for part in parts.iter().filter(|part| part.role == Role::Image) {
        let id = digest(part).map(|id| id.short()).unwrap_or_default();
        if let Some(other) = seen.insert(part.platform.clone(), id.clone()) {
            let what = format!("{other} and {id} are both for {}", part.platform);
            return Err(Error::refused(what).hint("name one image for each platform"));
        }
    }
    if seen.is_empty() {
        return Err(Error::missing(Place::default(), "none of these images is here to be run"));
    }
    Ok(())
}

/// Returns what the index consists of: of the old images, all but what led to their manifests.
fn joined(target: Descriptor, manifests: &[Descriptor], all: Vec<Contents>) -> Contents {
    let mut contents =
        Contents { documents: vec![target.clone()], target, blobs: Vec::new(), absent: Vec::new() };
    contents.documents.extend(manifests.iter().cloned());
    for blob in all.into_iter().flat_map(|one| one.blobs) {
        if !contents.blobs.iter().any(|known| known.digest == blob.digest) {
            contents.blobs.push(blob);
        }
    }
    contents
}

impl Source for Indexed {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        self.source.layer(chain_id)
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        match self.index.0 == blob {
            true => Ok(Document { bytes: self.index.1.clone(), labels: Vec::new() }),
            false => self.source.document(blob),
        }
    }

    fn contents(&self, image: &Image) -> Result<Option<Contents>> {
        match self.index.0.0 == image.id {
            true => Ok(Some(self.contents.clone())),
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
        self.source.has_tar(chain_id)
    }

    fn packed(&self, image: &PlatformImage) -> Result<Vec<PackedLayer>> {
        self.source.packed(image)
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        match self.index.0 == blob {
            true => Ok(Box::new(Cursor::new(&*self.index.1))),
            false => self.source.blob(blob),
        }
    }
}
