//! Images as registries and containerd know them: indexes, manifests and configs.
//!
//! All types are readings; what has a digest is kept beside them as bytes
//! ([`Raw`](crate::format::raw::Raw)). Texts are left as found, because one bad digest in an index is
//! no reason not to read the others.

mod bundle;
mod config;
pub mod media_type;
mod save;

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::bundle::root_path;
pub use self::config::{History, ImageConfig, RootFs};
pub use self::save::{classic_save_manifest, index_document};
use crate::digest::BlobId;
use crate::error::DecodeError;
use crate::format::raw::{decode, or_default};

/// Says on a descriptor what it is: only `attestation-manifest` is known.
pub const ANNOTATION_REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Says on a descriptor which image it attests to.
pub const ANNOTATION_REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// The name of an image in an OCI layout, in full.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// The tag of an image in an OCI layout.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Bytes by their digest, with what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    #[serde(deserialize_with = "or_default")]
    pub media_type: String,
    /// The digest as written; see [`Descriptor::blob`].
    #[serde(deserialize_with = "or_default")]
    pub digest: String,
    /// The length as written; see [`Descriptor::len`].
    #[serde(deserialize_with = "or_default")]
    pub size: i64,
    /// Where else the bytes can be had.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What else is said of the bytes.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The bytes themselves in base64, if they are few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What the image runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What an artifact is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Returns the digest if it is a SHA-256.
    #[must_use]
    pub fn blob(&self) -> Option<BlobId> {
        self.digest.parse().ok()
    }

    /// Returns the length if it can be one.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        u64::try_from(self.size).ok()
    }

    /// Returns whether this is known to describe no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Returns the digest of the image this attests to, if it is an attestation.
    #[must_use]
    pub fn attests_to(&self) -> Option<&str> {
        let kind = self.annotations.get(ANNOTATION_REFERENCE_TYPE)?;
        let subject = self.annotations.get(ANNOTATION_REFERENCE_DIGEST)?;
        (kind == "attestation-manifest").then_some(subject)
    }

    /// Returns whether the descriptor alone shows that nothing here can run.
    ///
    /// moby v29 daemon/containerd/image_manifest.go IsPseudoImage, the part before the manifest.
    #[must_use]
    pub fn is_pseudo(&self) -> bool {
        let kind = self.annotations.get(ANNOTATION_REFERENCE_TYPE);
        kind.is_some_and(|kind| kind == "attestation-manifest")
            || self.platform.as_ref().is_some_and(Platform::is_unknown)
    }
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// The processor, in Go's words: `amd64`.
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    /// The operating system: `linux`.
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    /// The version of the operating system; Windows has one.
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must have.
    #[serde(
        rename = "os.features",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The kind of the processor: `v7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Returns whether this is `unknown/unknown`, which marks what is no image.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Returns whether this is the platform that `wanted` names; one without a variant names all.
    #[must_use]
    pub fn is(&self, wanted: &Self) -> bool {
        (&self.os, &self.architecture) == (&wanted.os, &wanted.architecture)
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl std::str::FromStr for Platform {
    type Err = DecodeError;

    /// Reads `linux/arm64` or `linux/arm/v7`.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => ("", "", None),
        };
        let plain =
            |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !parts.iter().all(plain) || os.is_empty() {
            let what = format!("found `{text}`, wanted OS/ARCHITECTURE[/VARIANT]");
            return Err(DecodeError::new(0, what));
        }
        let (os, architecture) = (os.to_owned(), architecture.to_owned());
        Ok(Self { architecture, os, variant, ..Self::default() })
    }
}

/// One image for one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Manifest {
    /// What the manifest says it is; often nothing.
    pub media_type: Option<String>,
    /// What an artifact is.
    pub artifact_type: Option<String>,
    /// The image config.
    #[serde(deserialize_with = "or_default")]
    pub config: Descriptor,
    /// The layers, the base first.
    #[serde(deserialize_with = "or_default")]
    pub layers: Vec<Descriptor>,
    /// What this refers to.
    pub subject: Option<Descriptor>,
    /// What else is said of it.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Returns whether this has layers, but none that is a part of a file system.
    ///
    /// moby v29 daemon/containerd/image_manifest.go IsPseudoImage, the part about the manifest.
    #[must_use]
    pub fn is_pseudo(&self) -> bool {
        let is_layer = |layer: &Descriptor| media_type::is_layer(&layer.media_type);
        !self.layers.is_empty() && !self.layers.iter().any(is_layer)
    }

    /// Returns all that this refers to, the config first.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

/// Several images under one digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Index {
    /// What the index says it is; often nothing.
    pub media_type: Option<String>,
    /// What an artifact is.
    pub artifact_type: Option<String>,
    /// The manifests, or further indexes.
    #[serde(deserialize_with = "or_default")]
    pub manifests: Vec<Descriptor>,
    /// What this refers to.
    pub subject: Option<Descriptor>,
    /// What else is said of it.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

/// What a document is, whatever it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A manifest.
    Manifest,
    /// An index.
    Index,
    /// A manifest of schema 1.
    Schema1,
}

/// Returns what the document `bytes` is by what it holds; nothing if it is neither.
///
/// containerd refuses a document that is one thing and holds the other, lest the same bytes mean
/// two images (containerd v2 core/images/image.go validateMediaType); here it is nothing too.
///
/// # Errors
/// What is no JSON object.
pub fn shape(bytes: &[u8]) -> Result<Option<Shape>, DecodeError> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Document {
        media_type: Option<String>,
        config: Value,
        layers: Option<Vec<IgnoredAny>>,
        manifests: Option<Vec<IgnoredAny>>,
        fs_layers: Option<Vec<IgnoredAny>>,
    }
    let document: Document = decode(bytes)?;
    let holds = |list: &Option<Vec<IgnoredAny>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let says = document.media_type.as_deref().unwrap_or_default();
    let index = document.manifests.is_some() || media_type::is_index(says);
    // An image config has a member `config` too, but that is no descriptor.
    let refers = document.config.get("digest").is_some();
    let manifest = refers || holds(&document.layers) || media_type::is_manifest(says);
    Ok(match (holds(&document.fs_layers), manifest, index) {
        (true, false, false) => Some(Shape::Schema1),
        (false, true, false) => Some(Shape::Manifest),
        (false, false, true) => Some(Shape::Index),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::raw::Raw;

    /// As BuildKit writes it.
    const INDEX: &[u8] = br#"{
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.index.v1+json",
      "manifests": [
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "digest": "sha256:30d36f9adf7f04724de763c222ea3fc9c0e44b22d242d1e5e5c66466916b80f5",
          "size": 670,
          "platform": { "architecture": "arm", "os": "linux", "variant": "v7" }
        },
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "digest": "sha256:7b0c5d4a1bd0a9a1fd2e6e7ddf58ef7f3dd0b9ac4b3d3e0a7a6d1c2f10a1a2b3",
          "size": 566,
          "annotations": {
            "vnd.docker.reference.digest": "sha256:30d36f9adf7f04724de763c222ea3fc9c0e44b22d242d1e5e5c66466916b80f5",
            "vnd.docker.reference.type": "attestation-manifest"
          },
          "platform": { "architecture": "unknown", "os": "unknown" }
        },
        { "mediaType": "x", "digest": "sha512:short", "size": -1, "platform": null, "annotations": null }
      ]
    }"#;

    #[test]
    fn an_index_tells_images_from_attestations() {
        let index = Raw::<Index>::parse(INDEX).expect("sound");
        let [image, attestation, odd] = &index.manifests[..] else { panic!("three manifests") };
        assert_eq!(image.blob().map(|blob| blob.to_string()).as_ref(), Some(&image.digest));
        assert_eq!((image.len(), image.is_pseudo(), image.attests_to()), (Some(670), false, None));
        assert_eq!(image.platform.as_ref().and_then(|p| p.variant.as_deref()), Some("v7"));
        assert!(attestation.is_pseudo());
        assert_eq!(attestation.attests_to(), Some(image.digest.as_str()));
        assert_eq!((odd.blob(), odd.len(), odd.is_pseudo()), (None, None, false));
    }

    #[test]
    fn a_manifest_of_statements_is_no_image() {
        for (layers, pseudo) in [
            ("[]", false),
            ("null", false),
            (r#"[{"mediaType":"application/vnd.in-toto+json"}]"#, true),
            (
                r#"[{"mediaType":"application/vnd.in-toto+json"},{"mediaType":"application/vnd.oci.image.layer.v1.tar"}]"#,
                false,
            ),
        ] {
            let text = format!(r#"{{"config":{{"size":2}},"layers":{layers}}}"#);
            let manifest: Manifest = decode(text.as_bytes()).expect("sound");
            assert_eq!(manifest.is_pseudo(), pseudo, "{layers}");
            assert_eq!(manifest.children().count(), 1 + manifest.layers.len());
            assert_eq!(manifest.config.len(), Some(2));
        }
    }

    #[test]
    fn a_document_is_what_it_holds() {
        for (text, want) in [
            (r#"{"manifests":[{}]}"#, Some(Shape::Index)),
            (r#"{"manifests":[]}"#, Some(Shape::Index)),
            (r#"{"config":{"digest":"x"},"layers":[]}"#, Some(Shape::Manifest)),
            (r#"{"config":{"Cmd":["sh"]},"rootfs":{}}"#, None),
            (r#"{"layers":[{}]}"#, Some(Shape::Manifest)),
            (r#"{"fsLayers":[{}]}"#, Some(Shape::Schema1)),
            (r#"{"config":{"digest":"x"},"manifests":[{}]}"#, None),
            (r#"{"mediaType":"application/vnd.oci.image.index.v1+json","layers":[{}]}"#, None),
            (
                r#"{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#,
                Some(Shape::Manifest),
            ),
            ("{}", None),
        ] {
            assert_eq!(shape(text.as_bytes()), Ok(want), "{text}");
        }
        assert!(shape(b"[]").is_err() && shape(b"").is_err());
    }

    #[test]
    fn a_descriptor_prints_as_docker_prints_it() {
        let text = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:30d36f9adf7f04724de763c222ea3fc9c0e44b22d242d1e5e5c66466916b80f5","size":670,"platform":{"architecture":"amd64","os":"linux"}}"#;
        let descriptor: Descriptor = decode(text.as_bytes()).expect("sound");
        assert_eq!(crate::format::raw::go_json(&descriptor), text.as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = shape(&bytes);
            let _ = decode::<Manifest>(&bytes);
            let _ = decode::<Index>(&bytes);
            let _ = decode::<ImageConfig>(&bytes);
        }
    }
}
