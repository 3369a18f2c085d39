//! Media types of OCI and Docker, and what containerd and Docker take each for.
//!
//! Source of the rules: containerd v2 core/images/mediatypes.go

/// An OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI index: manifests for several platforms.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An OCI layer, uncompressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// An OCI layer in gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// An OCI layer in zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// An OCI layer that may not be handed on.
pub const OCI_LAYER_FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// A manifest of Docker's registry, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A manifest of schema 1, which no store keeps as an image any more.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Docker's image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's layer, whose compression must be sniffed.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker's layer in gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's layer in zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// Docker's layer that may not be handed on; its compression must be sniffed.
pub const DOCKER_LAYER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
/// Docker's layer in gzip that may not be handed on.
pub const DOCKER_LAYER_FOREIGN_GZIP: &str =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// A layer as an EROFS image instead of a tar.
pub const EROFS_LAYER: &str = "application/vnd.erofs.layer.v1";
/// A statement about an image, in an attestation manifest.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

const CHECKPOINT: &str = "application/vnd.containerd.container.criu.checkpoint.criu.tar";
const CHECKPOINT_CONFIG: &str = "application/vnd.containerd.container.checkpoint.config.v1+proto";

/// Returns whether `media_type` is that of an index.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

/// Returns whether `media_type` is that of a manifest (schema 1 is not one).
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Returns whether `media_type` is that of an image config.
#[must_use]
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

/// Returns whether containerd labels a reference to `media_type` as one to a config.
#[must_use]
pub fn is_known_config(media_type: &str) -> bool {
    is_config(media_type) || matches!(media_type, CHECKPOINT | CHECKPOINT_CONFIG)
}

/// Returns whether `media_type` is that of a layer, however compressed or wrapped.
#[must_use]
pub fn is_layer(media_type: &str) -> bool {
    let (base, _) = split(media_type);
    media_type.starts_with("application/vnd.oci.image.layer.")
        || base == EROFS_LAYER
        || docker_layer(base).is_some()
}

/// Returns whether a layer of `media_type` may not be handed on, so its bytes are often absent.
#[must_use]
pub fn is_foreign(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// How the bytes of a layer are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// The media type leaves it open; the first bytes tell.
    Sniff,
}

/// Returns how a layer of `media_type` is compressed; nothing if it is no tar.
#[must_use]
pub fn compression(media_type: &str) -> Option<Compression> {
    let (base, suffixes) = split(media_type);
    match docker_layer(base) {
        // Wrapped, in encryption say: what is inside cannot be known.
        Some(_) if !suffixes.is_empty() => Some(Compression::None),
        Some(compression) => Some(compression),
        None if matches!(base, OCI_LAYER | OCI_LAYER_FOREIGN) => {
            // containerd sorts the suffixes and looks at the last.
            Some(match suffixes.split('+').max() {
                Some("gzip") => Compression::Gzip,
                Some("zstd") => Compression::Zstd,
                _ => Compression::None,
            })
        }
        None => None,
    }
}

fn docker_layer(base: &str) -> Option<Compression> {
    match base {
        DOCKER_LAYER | DOCKER_LAYER_FOREIGN => Some(Compression::Sniff),
        DOCKER_LAYER_GZIP | DOCKER_LAYER_FOREIGN_GZIP => Some(Compression::Gzip),
        DOCKER_LAYER_ZSTD => Some(Compression::Zstd),
        _ => None,
    }
}

fn split(media_type: &str) -> (&str, &str) {
    media_type.split_once('+').unwrap_or((media_type, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_tells_its_compression() {
        use Compression::{Gzip, None as Plain, Sniff, Zstd};
        for (media_type, layer, want) in [
            (OCI_LAYER, true, Some(Plain)),
            (OCI_LAYER_GZIP, true, Some(Gzip)),
            (OCI_LAYER_ZSTD, true, Some(Zstd)),
            (OCI_LAYER_FOREIGN, true, Some(Plain)),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", true, Some(Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", true, Some(Gzip)),
            ("application/vnd.oci.image.layer.v9.new", true, None),
            (DOCKER_LAYER, true, Some(Sniff)),
            (DOCKER_LAYER_GZIP, true, Some(Gzip)),
            (DOCKER_LAYER_ZSTD, true, Some(Zstd)),
            (DOCKER_LAYER_FOREIGN, true, Some(Sniff)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip+encrypted", true, Some(Plain)),
            (EROFS_LAYER, true, None),
            (IN_TOTO, false, None),
            (OCI_MANIFEST, false, None),
            ("", false, None),
        ] {
            assert_eq!(is_layer(media_type), layer, "{media_type}");
            assert_eq!(compression(media_type), want, "{media_type}");
        }
    }

    #[test]
    fn documents_are_told_apart() {
        for media_type in [OCI_MANIFEST, DOCKER_MANIFEST] {
            assert!(is_manifest(media_type) && !is_index(media_type));
        }
        for media_type in [OCI_INDEX, DOCKER_INDEX] {
            assert!(is_index(media_type) && !is_manifest(media_type));
        }
        assert!(!is_manifest(DOCKER_SCHEMA1) && !is_index(DOCKER_SCHEMA1));
        assert!(is_config(OCI_CONFIG) && is_known_config(DOCKER_CONFIG));
        assert!(is_known_config(CHECKPOINT) && !is_config(CHECKPOINT));
        assert!(is_foreign(OCI_LAYER_FOREIGN) && is_foreign(DOCKER_LAYER_FOREIGN_GZIP));
        assert!(!is_foreign(OCI_LAYER));
    }
}
