//! The rows of `tranship images`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreKind;

/// The images of one or more stores, newest first; of several roots, one after the other. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ImageList(pub Vec<ImageRow>);

/// One image of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageRow {
    /// The data root, layout or archive that it is in.
    #[serde(default)]
    pub root: String,
    /// The store that holds it.
    pub store: StoreKind,
    /// The graph driver or snapshotter, such as `overlay2` or `overlayfs`.
    pub driver: String,
    /// Whether the daemon that uses this data root will not show it.
    pub hidden: bool,
    /// The image ID as Docker shows it: the config's digest in the classic store, the manifest's or
    /// index's in the containerd store.
    pub id: String,
    /// Tagged names as Docker shows them, such as `busybox:latest`.
    pub names: Vec<String>,
    /// Names with a digest as Docker shows them, such as `busybox@sha256:…`.
    pub digests: Vec<String>,
    /// When it was built, if its config says so.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// The size Docker shows, in bytes; null where damage hides it.
    pub size: Option<u64>,
    /// The bytes it shares with other images of its store.
    pub shared_size: Option<u64>,
    /// The bytes no other image of its store uses.
    pub unique_size: Option<u64>,
    /// Whether no name refers to it.
    pub dangling: bool,
    /// The diff IDs of its layers, base first; for an index, those of this host's platform.
    pub layers: Vec<String>,
    /// Its platforms, in the order of the index.
    pub platforms: Vec<PlatformRow>,
    /// Its attestations, in the order of the index.
    #[serde(default)]
    pub attestations: Vec<AttestationRow>,
    /// The labels in its config.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The ID of the image it was built on by the classic builder.
    #[serde(default)]
    pub parent: Option<String>,
    /// Whether it is only a step in the build of another image.
    #[serde(default)]
    pub intermediate: bool,
    /// How many containers use it.
    #[serde(default)]
    pub containers: Option<u64>,
    /// When it was last tagged or pulled.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_tagged: Option<Timestamp>,
}

/// One platform of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlatformRow {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The architecture, such as `arm64`.
    pub architecture: String,
    /// The variant of the architecture, such as `v8`.
    pub variant: Option<String>,
    /// The digest of its manifest, where there is one.
    pub digest: Option<String>,
    /// Whether all its content is in the store.
    pub present: bool,
    /// The bytes it takes, packed and unpacked.
    #[serde(default)]
    pub size: Option<u64>,
}

/// One attestation: what a builder says of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AttestationRow {
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of the platform's manifest that it speaks of.
    pub subject: Option<String>,
    /// Whether all its content is in the store.
    pub present: bool,
    /// The bytes it takes.
    #[serde(default)]
    pub size: Option<u64>,
}
