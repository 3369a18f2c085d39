//! The manifest that gives an image of the classic store its digest when it leaves that store.

use serde::Serialize;

use super::Descriptor;
use super::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use crate::digest::{BlobId, ConfigId};
use crate::format::raw::go_json;

/// Returns the manifest that `docker save` 25 and later write for an image of the classic store.
///
/// Its digest is the ID of the image in the containerd store once the archive is loaded there, so
/// every byte counts. `layers` are media type, digest and length, the base first; `docker save`
/// itself gives uncompressed tars ([`OCI_LAYER`](super::media_type::OCI_LAYER)).
///
/// moby v28.5.2 image/tarexport/save.go. It refuses images without layers; for those this returns
/// what its code would have written: an empty list, not `null`.
#[must_use]
pub fn classic_save_manifest(config: (ConfigId, u64), layers: &[(&str, BlobId, u64)]) -> Vec<u8> {
    let part = |media_type, digest: String, size| Part { media_type, digest, size };
    go_json(&Manifest {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        config: part(OCI_CONFIG, config.0.to_string(), config.1),
        layers: layers.iter().map(|(kind, id, size)| part(kind, id.to_string(), *size)).collect(),
    })
}

/// Returns an index over `manifests`, as Docker writes one.
#[must_use]
pub fn index_document(manifests: &[Descriptor]) -> Vec<u8> {
    go_json(&Index { schema_version: 2, media_type: OCI_INDEX, manifests })
}

/// Members in the order Go writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

/// Members in the order Go writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Part<'a>,
    layers: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    media_type: &'a str,
    digest: String,
    size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::format::oci::media_type::OCI_LAYER;
    use crate::format::oci::{Manifest, Shape, shape};
    use crate::format::raw::decode;

    const CONFIG: &str = "sha256:6770731b59275c89777c5385a7a7d0d99c6cc713235854abdce8a331d43c0ba4";
    const LAYER: &str = "sha256:c90f0aa7df78c921d98891a6e4bdbe532c07311f9a259baa097c5c78680cef6e";

    fn config() -> ConfigId {
        CONFIG.parse().expect("a digest")
    }

    /// The digest is that of what Go's encoder makes of image-spec's own structs (v1.1.1, as in moby
    /// v28.5.2) with these values.
    #[test]
    fn the_manifest_is_dockers_to_the_byte() {
        let layer = LAYER.parse().expect("a digest");
        let bytes = classic_save_manifest((config(), 842), &[(OCI_LAYER, layer, 1536)]);
        let want = format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":842}},"#,
                r#""layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":1536}}]}}"#,
            ),
            CONFIG, LAYER
        );
        assert_eq!(String::from_utf8_lossy(&bytes), want);
        assert_eq!(
            Digest::of(&bytes).to_string(),
            "sha256:6a5691a8bbc309cfa52d0b78511fdae52804076b05ccdfc8cd8322d73f72f073"
        );
        let read: Manifest = decode(&bytes).expect("sound");
        assert_eq!((read.config.len(), read.layers[0].blob()), (Some(842), Some(layer)));
    }

    #[test]
    fn no_layers_are_an_empty_list() {
        let bytes = classic_save_manifest((config(), 2), &[]);
        assert!(bytes.ends_with(br#""layers":[]}"#));
        assert_eq!(
            Digest::of(&bytes).to_string(),
            "sha256:bdc33467d29e36551ce3453e721944ad35fe83f5421d19c5b6c62a14e684f084"
        );
        assert_eq!(shape(&bytes), Ok(Some(Shape::Manifest)));
    }
}
