//! The one walk from an image's target down: a manifest, or an index with manifests for several
//! platforms, in any store that keeps them under their digests.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, Place, Result};
use crate::format::oci::{
    Descriptor, ImageConfig, Index, Manifest, Platform, Shape, media_type, shape,
};
use crate::format::raw::decode;
use crate::model::{Finding, PlatformImage, Role, Severity};
use crate::tree::{Tree, TreePath, read_within};

/// Indexes in indexes are legal; deeper ones than this were made to be slow.
pub(super) const DEEPEST: usize = 8;

/// More manifests and indexes than any real image has: Docker's own have a few dozen.
pub(super) const MOST_MANIFESTS: usize = 4096;

/// What the walk asks of a store.
pub(super) trait Keeper: Sync {
    /// Returns the length of a blob that is there.
    fn size(&self, blob: BlobId) -> Option<u64>;

    /// Reads a manifest, index or config that is there, verified.
    fn document(&self, blob: BlobId) -> Result<Vec<u8>>;

    /// Returns the bytes that all layers up to `top` take, if the store has them unpacked.
    fn unpacked(&self, top: ChainId) -> Option<u64>;

    /// Returns where a blob is, for messages.
    fn place(&self, blob: BlobId) -> Place;
}

/// Reads a manifest, index or config and checks that it is what its name says.
pub(super) fn document(tree: &dyn Tree, path: TreePath<'_>, blob: BlobId) -> Result<Vec<u8>> {
    /// containerd's own limit for what it reads whole is 8 MiB (core/content/helpers.go).
    const LIMIT: u64 = 32 << 20;
    let bytes = read_within(tree, path, LIMIT)?;
    let found = Digest::of(&bytes);
    if found != blob.0 {
        let what = format!("{} bytes hash to {found}, wanted {blob}", bytes.len());
        return Err(Error::corrupt(tree.place(path), what));
    }
    Ok(bytes)
}

/// Returns whether `descriptor` can be of a manifest or an index: old layouts leave out what it is.
pub(super) fn may_be_document(descriptor: &Descriptor) -> bool {
    let kind = descriptor.media_type.as_str();
    kind.is_empty() || media_type::is_index(kind) || media_type::is_manifest(kind)
}

/// Returns the finding that a blob which should be there cannot be read.
pub(super) fn unreadable(error: &Error) -> Finding {
    Finding::of("blob-unreadable", Severity::DataLost, error)
}

/// The manifests of one store.
pub(super) struct Manifests<'a> {
    keeper: &'a dyn Keeper,
    host: &'a Platform,
    /// The configs that were read: many manifests may have one.
    configs: Mutex<HashMap<BlobId, Arc<ImageConfig>>>,
    /// The blobs that are there, by the layers that they are in a manifest that was read.
    blobs: Mutex<HashMap<DiffId, BlobId>>,
}

impl<'a> Manifests<'a> {
    /// Returns a walk over the manifests of `keeper`. `host` is the platform that is shown first.
    pub(super) fn new(keeper: &'a dyn Keeper, host: &'a Platform) -> Self {
        Self { keeper, host, configs: Mutex::default(), blobs: Mutex::default() }
    }

    /// Returns the blobs that are there, by the layers that they are in the manifests that were walked.
    pub(super) fn into_blobs(self) -> HashMap<DiffId, BlobId> {
        self.blobs.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the manifests below `target`, which of them is shown first, and what is wrong.
    pub(super) fn of(
        &self,
        target: &Descriptor,
    ) -> (Vec<PlatformImage>, Option<usize>, Vec<Finding>) {
        let (mut found, mut findings) = (Vec::new(), Vec::new());
        let (mut todo, mut room) = (vec![(target.clone(), 0)], MOST_MANIFESTS);
        let mut indexes = HashSet::new();
        while let Some((descriptor, depth)) = todo.pop() {
            // An index that stands in another twice has nothing new to say.
            let is_index = media_type::is_index(&descriptor.media_type);
            if is_index && !indexes.insert(descriptor.digest.clone()) {
                continue;
            }
            match self.one(&descriptor) {
                Ok(Some(One::Index(mut children))) if depth < DEEPEST => {
                    if children.len() > room {
                        let what = format!("an image of more than {MOST_MANIFESTS} manifests");
                        findings.push(unreadable(&Error::corrupt(self.place(&descriptor), what)));
                        children.truncate(room);
                    }
                    room -= children.len();
                    todo.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
                }
                Ok(Some(One::Manifest(manifest))) => found.push(*manifest),
                Ok(_) => found.push(absent(&descriptor)),
                Err(error) => {
                    findings.push(unreadable(&error));
                    found.push(absent(&descriptor));
                }
            }
        }
        let best = best(&found, self.host);
        (found, best, findings)
    }

    fn place(&self, descriptor: &Descriptor) -> Place {
        descriptor.blob().map(|blob| self.keeper.place(blob)).unwrap_or_default()
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        descriptor.blob().is_some_and(|blob| self.keeper.size(blob).is_some())
    }

    /// Returns what `descriptor` describes; nothing if it is not there or is neither.
    fn one(&self, descriptor: &Descriptor) -> Result<Option<One>> {
        let Some(blob) = descriptor.blob().filter(|_| self.has(descriptor)) else {
            return Ok(None);
        };
        if !may_be_document(descriptor) {
            return Ok(None);
        }
        let bytes = self.keeper.document(blob)?;
        let place = || self.keeper.place(blob);
        match shape(&bytes).map_err(|error| error.at(place()))? {
            Some(Shape::Index) => {
                let index: Index = decode(&bytes).map_err(|error| error.at(place()))?;
                Ok(Some(One::Index(index.manifests)))
            }
            Some(Shape::Manifest) => {
                let manifest: Manifest = decode(&bytes).map_err(|error| error.at(place()))?;
                self.manifest(descriptor, &manifest).map(|one| Some(One::Manifest(Box::new(one))))
            }
            _ => Ok(None),
        }
    }

    fn manifest(&self, descriptor: &Descriptor, manifest: &Manifest) -> Result<PlatformImage> {
        let mut image = absent(descriptor);
        let blobs = std::iter::once(descriptor).chain(manifest.children());
        let sizes = blobs.filter_map(|descriptor| self.keeper.size(descriptor.blob()?));
        image.content_size = sizes.fold(0, u64::saturating_add);
        let layers_there = manifest.layers.iter().all(|layer| self.has(layer));
        if image.role == Role::Unknown || manifest.is_pseudo() {
            image.role = if image.role == Role::Image { Role::Unknown } else { image.role };
            image.present = self.has(&manifest.config) && layers_there;
            return Ok(image);
        }
        if matches!(image.role, Role::Attestation(_)) || !self.has(&manifest.config) {
            image.present = self.has(&manifest.config) && layers_there;
            return Ok(image);
        }
        let Some(config) = manifest.config.blob() else { return Ok(image) };
        let read = self.config(config)?;
        let place = || self.keeper.place(config);
        image.layers = read.diff_ids().map_err(|error| error.at(place()))?;
        self.note_blobs(&image.layers, &manifest.layers);
        if descriptor.platform.is_none() {
            image.platform = read.platform.clone();
        }
        let unpacked = image.chain().last().and_then(|top| self.keeper.unpacked(*top));
        image.unpacked_size = unpacked.unwrap_or(0);
        image.present = layers_there || unpacked.is_some();
        image.config = Some((ConfigId(config.0), read));
        Ok(image)
    }

    /// Of several blobs of one layer the one with the least digest is taken, whichever is seen first.
    fn note_blobs(&self, diff_ids: &[DiffId], layers: &[Descriptor]) {
        if diff_ids.len() != layers.len() {
            return;
        }
        let mut known = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        for (diff_id, layer) in diff_ids.iter().zip(layers) {
            if let Some(blob) = layer.blob().filter(|_| self.has(layer)) {
                let least = known.entry(*diff_id).or_insert(blob);
                *least = blob.min(*least);
            }
        }
    }

    fn config(&self, blob: BlobId) -> Result<Arc<ImageConfig>> {
        let known = || self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = known().get(&blob) {
            return Ok(Arc::clone(config));
        }
        let bytes = self.keeper.document(blob)?;
        let config = decode(&bytes)
            .map_err(|error| error.at(self.keeper.place(blob)))
            .map_err(|error: Error| error.within("an image config"))?;
        Ok(Arc::clone(known().entry(blob).or_insert_with(|| Arc::new(config))))
    }
}

enum One {
    Index(Vec<Descriptor>),
    Manifest(Box<PlatformImage>),
}

/// Returns what is known of a manifest by its descriptor alone.
fn absent(descriptor: &Descriptor) -> PlatformImage {
    let role = match descriptor.attests_to() {
        Some(subject) => Role::Attestation(subject.parse::<Digest>().ok()),
        None if descriptor.is_pseudo() => Role::Unknown,
        None => Role::Image,
    };
    PlatformImage {
        manifest: Some(descriptor.clone()),
        role,
        platform: descriptor.platform.clone().unwrap_or_default(),
        config: None,
        layers: Vec::new(),
        present: false,
        content_size: 0,
        unpacked_size: 0,
    }
}

/// Returns the manifest that Docker shows of an image with several: the host's platform, else the
/// first that is there.
fn best(manifests: &[PlatformImage], host: &Platform) -> Option<usize> {
    let usable = |m: &&PlatformImage| m.role == Role::Image && m.config.is_some();
    let is_host = |m: &PlatformImage| {
        m.platform.os == host.os && m.platform.architecture == host.architecture
    };
    let position = |wanted: &dyn Fn(&PlatformImage) -> bool| {
        manifests.iter().position(|m| usable(&m) && wanted(m))
    };
    position(&|m| m.present && is_host(m))
        .or_else(|| position(&|m| m.present))
        .or_else(|| position(&|_| true))
}
