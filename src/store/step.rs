//! What a target is asked to put, and what could not be put.

use super::{Contents, Document, Writable};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::format::oci::Descriptor;
use crate::model::{Container, Image};

/// One layer to be put into a target: a tar, and the chains it is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerStep {
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// Bytes, as the source counts them.
    pub size: u64,
    /// Whether the target needs the tar as a blob.
    pub blob: bool,
    /// Whether that blob is only named: who is to have the target has the layer already.
    pub left_out: bool,
    /// Unpacked layers the target needs: each with the layer below it.
    pub chains: Vec<(ChainId, Option<ChainId>)>,
    /// A chain whose content gives the tar.
    pub from: ChainId,
}

/// What of a layer could not be put into a target, and why.
#[derive(Debug, Default)]
pub struct Damage {
    /// Whether no chain gave the tar, so that no image can have the layer.
    pub blob: bool,
    /// The chains that are damaged; others of the same layer may be sound.
    pub chains: Vec<(ChainId, Error)>,
}

impl Damage {
    /// Notes that a chain is damaged.
    ///
    /// # Errors
    /// The error itself if it is not one of the chain: a full or broken target, and a wish to stop.
    pub fn note(&mut self, chain_id: ChainId, error: Error) -> Result<()> {
        self.chains.push((chain_id, of_source(error)?));
        Ok(())
    }
}

/// Returns an error of what was read, which costs only what needed it; one of a full or broken target
/// and a wish to stop end everything.
pub(crate) fn of_source(error: Error) -> Result<Error> {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let stops =
        [StorageFull, QuotaExceeded, ReadOnlyFilesystem, PermissionDenied].map(Option::Some);
    if error.is_of_target()
        || error.kind() == ErrorKind::Refused
        || stops.contains(&error.io_kind())
    {
        return Err(error);
    }
    Ok(error)
}

/// One image to be put into a target.
#[derive(Clone, Debug)]
pub struct ImageStep {
    /// The image as the source has it.
    pub image: Image,
    /// Its ID in a classic store: the config of the platform that was chosen. None for what nothing can
    /// run.
    pub config: Option<ConfigId>,
    /// The canonical names it is to have; none makes it a dangling image.
    pub names: Vec<String>,
    /// The config of its parent, if that is or will be in the target.
    pub parent: Option<ConfigId>,
    /// Registry documents to carry along.
    pub originals: Vec<(BlobId, Document)>,
    /// What keeps its bytes, if the image comes as a whole; without it, the target makes a manifest of
    /// its own for config and layers.
    pub kept: Option<Contents>,
    /// Its layers in the form that registries have them, as far as that is known.
    pub packed: Vec<PackedLayer>,
}

/// A layer in the form that registries have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedLayer {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// The digest of its bytes, however compressed.
    pub blob: BlobId,
    /// The repositories it is known to be in, by their canonical names: `docker.io/library/alpine`.
    pub repositories: Vec<String>,
}

/// One container to be put into a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerStep {
    /// The container as the source has it.
    pub container: Container,
    /// Its folders in the source.
    pub writable: Writable,
    /// The layers of its image, base first.
    pub chain: Vec<ChainId>,
    /// Its image in the source, if that is still there.
    pub image: Option<Digest>,
    /// The config of the image's part that it runs, if that is known.
    pub config: Option<ConfigId>,
    /// Bytes of what it and its daemon put into its folders.
    pub size: u64,
}

/// Bytes that keep their digest on the way into a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobStep {
    /// What they are.
    pub blob: BlobId,
    /// How many, as the manifest says that names them.
    pub size: u64,
}

impl BlobStep {
    /// Returns the step that puts what `descriptor` describes, if it describes any bytes.
    #[must_use]
    pub fn of(descriptor: &Descriptor) -> Option<Self> {
        Some(Self { blob: descriptor.blob()?, size: descriptor.len()? })
    }
}

impl ImageStep {
    /// Stands in a name for the image's digest in the target, which is known only at the end.
    pub const OWN_DIGEST: &'static str = "<digest>";

    /// Returns the config of an image that a manifest is made for.
    ///
    /// # Errors
    /// Unsupported if nothing in the image can run.
    pub fn config(&self) -> Result<ConfigId> {
        self.config.ok_or_else(|| {
            let what = format!("nothing in image {} can run", self.image.id.short());
            Error::unsupported(crate::error::Place::default(), what)
        })
    }
}
