//! How each store keeps what the model describes.
//!
//! A store sees a [`Tree`] to read and a [`Sink`](crate::tree::Sink) to write, nothing else, and names
//! no other store.

mod audit;
pub mod blob;
pub mod builds;
pub mod claims;
pub mod containerd;
pub mod containers;
mod contents;
pub mod docker_archive;
mod documents;
pub mod find;
mod given;
pub mod logs;
mod manifests;
pub mod mend;
mod names;
pub mod oci_layout;
pub mod open;
pub mod overlay2;
mod packed;
mod progress;
mod put;
pub mod reclaim;
pub mod retar;
pub mod shared;
mod stack;
mod step;
pub mod temporary;
pub mod unpack;
pub mod volumes;

use std::io::BufRead;

pub use audit::{Audit, Piece, Start};
use claims::Claims;
pub use progress::Progress;
use reclaim::{Known, Reclaim, Wanted};
use serde::{Deserialize, Serialize};
pub use stack::Writable;
pub(crate) use step::of_source;
pub use step::{BlobStep, ContainerStep, Damage, ImageStep, LayerStep, PackedLayer};

use crate::digest::{BlobId, ChainId, DiffId};
use crate::error::{Error, Place, Result};
use crate::format::oci::{Descriptor, media_type};
use crate::model::{Finding, Image, Inventory, PlatformImage, StoreKind};
use crate::tree::{Snapshots, Tree, TreePath, TreePathBuf, optional, path};
use unpack::Differences;

/// Returns the databases of a data root that dockerd holds open as long as it runs.
///
/// # Errors
/// What the tree says of a folder that is there.
pub fn dockerd_locks(tree: &dyn Tree) -> Result<Vec<TreePathBuf>> {
    let known = ["volumes/metadata.db", "network/files/local-kv.db"];
    let mut paths: Vec<_> = known.iter().map(|text| path(text).to_owned()).collect();
    let folder = path("buildkit");
    for name in optional(tree.names(folder))?.unwrap_or_default() {
        paths.extend(folder.child(&name).filter(|_| name.ends_with(b".db")));
    }
    Ok(paths)
}

/// A store to read from.
pub trait Source: Send + Sync {
    /// Returns all that the store holds.
    fn inventory(&self) -> &Inventory;

    /// Returns the content of a layer of the inventory.
    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>>;

    /// Returns a document that the store keeps under its digest, verified.
    fn document(&self, blob: BlobId) -> Result<Document>;

    /// Returns all that `image` consists of; nothing if the store keeps no manifests, as the classic
    /// one. It may be a part of an image: one manifest, under that manifest's own digest.
    ///
    /// # Errors
    /// A document that was there and cannot be read any more.
    fn contents(&self, image: &Image) -> Result<Option<Contents>> {
        let _ = image;
        Ok(None)
    }

    /// Returns whether the tar of a layer can be had; a store may have a layer unpacked alone.
    fn has_tar(&self, chain_id: ChainId) -> bool {
        let _ = chain_id;
        true
    }

    /// Returns the layers of `image` in the form that registries have them, as far as the store knows.
    ///
    /// # Errors
    /// A manifest that was there and cannot be read any more.
    fn packed(&self, image: &PlatformImage) -> Result<Vec<PackedLayer>> {
        let _ = image;
        Ok(Vec::new())
    }

    /// Returns what the store calls `image` where that is not enough for a name: a tag alone.
    fn bare_tag(&self, image: &Image) -> Option<&str> {
        let _ = image;
        None
    }

    /// Returns what to tell of `image` if its layers are made anew, so that it is not what its ID names.
    fn made_anew(&self, image: &Image) -> Option<&str> {
        let _ = image;
        None
    }

    /// Returns the folders that make the file system of an image whose topmost layer is `top`, the
    /// topmost first, in the store's tree.
    ///
    /// # Errors
    /// Missing if one of them is not unpacked here.
    fn stack(&self, top: ChainId) -> Result<Vec<TreePathBuf>> {
        let what = format!("layer {} is not unpacked in a {} store", top.0.short(), self.kind());
        Err(Error::missing(Place::default(), what))
    }

    /// Returns a shorter path to a folder of a [stack](Self::stack), through a link, where the store keeps
    /// one: all folders of a mount must be named in one page.
    ///
    /// # Errors
    /// What the tree says.
    fn short_name(&self, layer: TreePath<'_>) -> Result<Option<TreePathBuf>> {
        let _ = layer;
        Ok(None)
    }

    /// Returns the tree that [`stack`](Self::stack) and [`writable`](Self::writable) name folders of;
    /// nothing if the store keeps none.
    fn tree(&self) -> Option<&dyn Tree> {
        None
    }

    /// Returns what the store keeps of the container with the ID `container`.
    ///
    /// # Errors
    /// Missing if that is nothing.
    fn writable(&self, container: &str) -> Result<Writable> {
        let what = format!("a {} store keeps nothing of container {container}", self.kind());
        Err(Error::missing(Place::default(), what))
    }

    /// Holds what the store says of itself against itself and against what is there: all but content.
    ///
    /// # Errors
    /// Where not even the folders can be read. What is wrong is in the answer.
    fn audit(&self) -> Result<Audit> {
        Ok(Audit::default())
    }

    /// Returns what content there is to be held against its digests, each once.
    fn pieces(&self) -> Vec<Piece> {
        Vec::new()
    }

    /// Returns what of the store can go, of all that is `wanted`.
    ///
    /// # Errors
    /// Where the store cannot be read as far as that needs. What is in doubt stays, and is no error.
    fn reclaim(&self, wanted: &Wanted) -> Result<Reclaim> {
        let _ = wanted;
        Ok(Reclaim::default())
    }

    /// Returns who has what of the store's folders, in the store's tree.
    ///
    /// # Errors
    /// Where the store cannot be read as far as that needs.
    fn claims(&self, known: &Known) -> Result<Claims> {
        let _ = known;
        Ok(claims::of_carried(TreePath::ROOT))
    }

    /// Returns which kind of store it is.
    fn kind(&self) -> StoreKind {
        self.inventory().kind
    }

    /// Opens bytes that the store keeps under their digest. Reading them to their end verifies them, as
    /// with [`LayerContent::tar`].
    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>>;
}

/// All that an image consists of, from the document its ID names down: what is kept of it where
/// documents keep their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What the image's names point at: an index, a manifest, or something else that has a digest.
    pub target: Descriptor,
    /// The indexes and manifests that are there, each after all that refer to it, and each once.
    pub documents: Vec<Descriptor>,
    /// The configs, layers and all else that they name and that is there, each once.
    pub blobs: Vec<Descriptor>,
    /// What they name and is not there: manifests for other platforms, layers that were never fetched.
    pub absent: Vec<Descriptor>,
}

/// The content of one layer. One form is a duty; the others are there if the store has them.
pub trait LayerContent: Send + Sync {
    /// Returns the uncompressed tar, byte for byte what the diff ID names. Reading it to its end
    /// verifies it: the last read fails if the bytes are not those.
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>>;

    /// Returns the folder that holds the layer unpacked in overlayfs form, if there is one.
    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)>;

    /// Returns whether the tar is put together from those very files, so that verifying it verifies
    /// them. Elsewhere the folder may hold another thing than the tar.
    fn tar_is_of_files(&self) -> bool {
        false
    }

    /// Reads the tar to its end, which verifies it, and names the files beside it that are not what it
    /// unpacks to. `progress` is told of `planned` bytes.
    ///
    /// # Errors
    /// A tar that cannot be had or is not the one that is wanted. Files that differ are no error.
    fn compare(&self, planned: u64, progress: &dyn Progress) -> Result<Differences> {
        put::drain(self.tar()?, planned, progress)?;
        Ok(Differences::default())
    }
}

/// A manifest, index or config as its bytes, with what the store noted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The bytes that the digest names.
    pub bytes: Vec<u8>,
    /// The store's labels on them.
    pub labels: Vec<(String, String)>,
}

/// How layer tars are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip at this level.
    Gzip(u32),
    /// zstd at this level.
    Zstd(i32),
}

impl Compression {
    /// Returns the media type of a layer that is stored so.
    fn media_type(self) -> &'static str {
        match self {
            Self::None => media_type::OCI_LAYER,
            Self::Gzip(_) => media_type::OCI_LAYER_GZIP,
            Self::Zstd(_) => media_type::OCI_LAYER_ZSTD,
        }
    }
}

/// For whom a layout is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// For all who know OCI layouts.
    Oci,
    /// For every Docker too, as `docker save` has written it since Docker 25: with a `manifest.json`.
    Docker,
}

/// Choices of writing a store.
#[derive(Clone, Copy, Debug)]
pub struct Writing {
    /// How new layer blobs are compressed.
    pub compression: Compression,
    /// How unpacked layers are taken over.
    pub snapshots: Snapshots,
    /// For whom a layout is written.
    pub form: Form,
    /// The time to note where a store notes when it was written.
    pub now: crate::tree::Time,
}

/// A store to write to. Layers may be put from many threads at once; [`commit`](Target::commit) makes
/// all that was put visible in one step.
pub trait Target: Send + Sync {
    /// Returns what the store held when it was opened.
    fn inventory(&self) -> &Inventory;

    /// Returns whether the store has the layer as a blob that new images can use.
    fn has_blob(&self, diff_id: DiffId) -> bool;

    /// Gets ready for `steps`, in whose order names and numbers are handed out.
    fn begin(&self, steps: &[LayerStep]) -> Result<()>;

    /// Puts a layer, or finds that an interrupted run already has. What could not be read of it is
    /// returned, and is no error: only the images that need it are lost.
    fn put_layer(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Damage>;

    /// Returns whether the store keeps manifests and blobs under their digests, so that an image can come
    /// as a whole. One that does not has an image for one platform, by its config.
    fn keeps_documents(&self) -> bool;

    /// Returns whether the store has these bytes already.
    fn has_bytes(&self, step: &BlobStep) -> bool {
        let _ = step;
        false
    }

    /// Puts bytes that keep their digest, or finds that an interrupted run already has. Returns what was
    /// wrong with them, if it is that they cannot be read from the source.
    fn put_blob(
        &self,
        step: &BlobStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Option<Error>>;

    /// Puts what a container changed, beside what the store may have of it already. The next
    /// [`commit`](Target::commit) puts it in the place of that. Returns the bytes written.
    ///
    /// # Errors
    /// What tree and sink say. An error of the source costs only this container.
    fn put_container(&self, step: &ContainerStep, source: &dyn Source) -> Result<u64> {
        let (_, place) = (step, Place::new(source.kind().name(), ""));
        Err(Error::unsupported(place, "no container can be put into such a store"))
    }

    /// Returns the bytes of layers written so far, compressed or copied; not those that are shared.
    fn written(&self) -> u64;

    /// Makes durable the layers put so far, so that a later run finds them.
    fn checkpoint(&self) -> Result<()>;

    /// Removes what an interrupted run left, when there is nothing to go on with.
    fn tidy(&self) -> Result<()>;

    /// Makes the images of `source` and the containers that were put visible, all or none; returns what
    /// became of each image, in order.
    fn commit(&self, images: &[ImageStep], source: &dyn Source) -> Result<Vec<Committed>>;
}

/// What an image became in a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its ID there.
    pub id: crate::digest::Digest,
    /// What could not be kept or done.
    pub findings: Vec<Finding>,
}
