//! Images, their names and their platforms.

use std::fmt;
use std::sync::Arc;

use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::format::oci::{Descriptor, ImageConfig, Platform};
use crate::format::reference::Reference;
use crate::tree::Time;

/// A name of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A name that Docker can parse.
    Reference(Reference),
    /// Any other text a store has as a name; containerd accepts all.
    Other(String),
}

impl Name {
    /// Returns the name as Docker shows it: `alpine:3.20`.
    #[must_use]
    pub fn familiar(&self) -> String {
        match self {
            Self::Reference(reference) => reference.familiar(),
            Self::Other(text) => text.clone(),
        }
    }

    /// Returns the reference, if Docker can parse the name.
    #[must_use]
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Reference(reference) => Some(reference),
            Self::Other(_) => None,
        }
    }

    /// Returns whether the name points at a digest instead of a tag.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.reference().is_some_and(|reference| reference.digest().is_some())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar())
    }
}

/// What a manifest in an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It can be run on its platform.
    Image,
    /// It states something about the manifest with this digest.
    Attestation(Option<Digest>),
    /// Neither, as far as can be told.
    Unknown,
}

/// One manifest of an image: the image for one platform, or an attestation.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// The manifest; a classic store has none.
    pub manifest: Option<Descriptor>,
    /// What it is for.
    pub role: Role,
    /// The platform it says it is for.
    pub platform: Platform,
    /// The config with its digest, where it is there and can be read.
    pub config: Option<(ConfigId, Arc<ImageConfig>)>,
    /// The layers, base first.
    pub layers: Vec<DiffId>,
    /// Whether all that is needed to run it is there.
    pub present: bool,
    /// Bytes of its blobs that are there.
    pub content_size: u64,
    /// Bytes of its unpacked layers, as the store counts them.
    pub unpacked_size: u64,
}

impl PlatformImage {
    /// Returns the chain IDs of the layers, base first.
    #[must_use]
    pub fn chain(&self) -> Vec<ChainId> {
        ChainId::chain(&self.layers)
    }
}

/// An image as one store has it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The ID that Docker shows for it: the config's digest in a classic store, the manifest's or
    /// index's in a containerd store.
    pub id: Digest,
    /// All its names, tags and digests.
    pub names: Vec<Name>,
    /// Its platforms and attestations; exactly one in a classic store.
    pub manifests: Vec<PlatformImage>,
    /// Which of them Docker shows: the host's platform, else the first that is there.
    pub best: Option<usize>,
    /// The image it was built from, if the store remembers.
    pub parent: Option<Digest>,
    /// When it was last tagged, if the store remembers.
    pub last_tagged: Option<Time>,
    /// When it came into the store.
    pub arrived: Option<Time>,
    /// Whether it only stands between two others that were built: Docker shows it with `-a` alone.
    pub intermediate: bool,
    /// The registry's manifests and indexes that the store kept for it.
    pub originals: Vec<BlobId>,
}

impl Image {
    /// Returns the manifest that Docker shows.
    #[must_use]
    pub fn shown(&self) -> Option<&PlatformImage> {
        self.manifests.get(self.best?)
    }

    /// Returns the descriptor of the manifest that the image's ID names, if that is one of its manifests.
    #[must_use]
    pub fn own_manifest(&self) -> Option<&Descriptor> {
        let descriptors = self.manifests.iter().filter_map(|manifest| manifest.manifest.as_ref());
        descriptors.into_iter().find(|descriptor| descriptor.blob().is_some_and(|d| d.0 == self.id))
    }

    /// Returns the names that are tags, and names that Docker cannot parse.
    pub fn tags(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().filter(|name| !name.is_digest())
    }

    /// Returns whether nothing but its ID leads to it.
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        self.names.is_empty()
    }
}
