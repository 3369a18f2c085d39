//! Labels in `meta.db`, and what the garbage collector makes of them.
//!
//! Source: containerd v2 core/metadata/gc.go, core/images/mediatypes.go ChildGCLabels

use std::collections::BTreeMap;

use crate::digest::ChainId;
use crate::format::oci::{Descriptor, media_type};

/// On a layer: the diff ID of what it holds.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// On a blob, with a registry's host after it: the repositories there that have it.
pub const DISTRIBUTION_SOURCE: &str = "containerd.io/distribution.source.";
/// On a snapshot: the chain ID it holds.
pub const SNAPSHOT_REF: &str = "containerd.io/snapshot.ref";
/// Before labels of snapshots that the snapshotter itself also keeps, as it keeps [`SNAPSHOT_REF`].
pub const SNAPSHOT_PREFIX: &str = "containerd.io/snapshot/";
/// On an image: the target of the image it was built on.
pub const IMAGE_PARENT: &str = "org.mobyproject.image.parent";
/// Before labels of manifests that BuildKit built.
pub const BUILD_REF: &str = "moby/build.ref.";
/// Keeps an object whatever refers to it.
pub const GC_ROOT: &str = "containerd.io/gc.root";
/// Until when an object is kept, in RFC 3339.
pub const GC_EXPIRE: &str = "containerd.io/gc.expire";
/// On a lease: only what it names itself is kept, not what that refers to.
pub const GC_FLAT: &str = "containerd.io/gc.flat";
/// On a manifest: its config.
pub const GC_REF_CONFIG: &str = "containerd.io/gc.ref.content.config";

/// Before labels that keep what an object refers to.
pub const GC_REF: &str = "containerd.io/gc.ref.";

const GC_REF_CONTENT: &str = "containerd.io/gc.ref.content";
const GC_REF_IMAGE: &str = "containerd.io/gc.ref.image";
const GC_REF_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot.";
const GC_BACK_CONTAINER: &str = "containerd.io/gc.bref.container";
const GC_BACK_CONTENT: &str = "containerd.io/gc.bref.content";
const GC_BACK_IMAGE: &str = "containerd.io/gc.bref.image";
const GC_BACK_SNAPSHOT: &str = "containerd.io/gc.bref.snapshot.";

/// Something a label names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node<'a> {
    /// A blob, by its digest.
    Content(&'a str),
    /// A snapshot, by its snapshotter and key.
    Snapshot {
        /// The snapshotter.
        snapshotter: &'a str,
        /// The key.
        key: &'a str,
    },
    /// An image, by its name (containerd 2.0 and later).
    Image(&'a str),
    /// A container, by its ID.
    Container(&'a str),
}

/// What a label of an object means to the garbage collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edge<'a> {
    /// As long as the object lives, so does this.
    To(Node<'a>),
    /// As long as this lives, so does the object (containerd 2.2 and later).
    From(Node<'a>),
    /// The object lives.
    Root,
}

impl<'a> Edge<'a> {
    /// Reads a label; nothing if the collector does not follow it.
    #[must_use]
    pub fn of(label: &'a str, value: &'a str) -> Option<Self> {
        if label.starts_with(GC_ROOT) {
            return Some(Self::Root);
        }
        // Nothing has an empty name.
        if value.is_empty() {
            return None;
        }
        let snapshot = |rest: &'a str| Node::Snapshot {
            // A name for the reference may follow the snapshotter's.
            snapshotter: rest.split('/').next().unwrap_or_default(),
            key: value,
        };
        let to = |node| Some(Self::To(node));
        let from = |node| Some(Self::From(node));
        match label {
            _ if named(label, GC_REF_CONTENT) => to(Node::Content(value)),
            _ if named(label, GC_REF_IMAGE) => to(Node::Image(value)),
            _ if named(label, GC_BACK_CONTAINER) => from(Node::Container(value)),
            _ if named(label, GC_BACK_CONTENT) => from(Node::Content(value)),
            _ if named(label, GC_BACK_IMAGE) => from(Node::Image(value)),
            _ => match label.strip_prefix(GC_REF_SNAPSHOT) {
                Some(rest) => to(snapshot(rest)),
                None => from(snapshot(label.strip_prefix(GC_BACK_SNAPSHOT)?)),
            },
        }
    }
}

/// A label may be the plain one, or the plain one with `.` or `/` and any name after it.
fn named(label: &str, plain: &str) -> bool {
    label.strip_prefix(plain).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
}

/// Returns the label of a config that keeps the unpacked image: `containerd.io/gc.ref.snapshot.overlayfs`.
#[must_use]
pub fn gc_ref_snapshot(snapshotter: &str) -> String {
    format!("{GC_REF_SNAPSHOT}{snapshotter}")
}

/// Returns the labels of a config whose image is unpacked as `chain_id`; an image without layers has
/// none.
#[must_use]
pub fn of_config(snapshotter: &str, chain_id: Option<ChainId>) -> BTreeMap<String, String> {
    chain_id
        .map(|chain_id| (gc_ref_snapshot(snapshotter), chain_id.to_string()))
        .into_iter()
        .collect()
}

/// Returns the labels with which a pull or a load keeps what a manifest or index refers to.
///
/// Each kind of child has its own count: `l.0`, `l.1`, `m.0`; the one config has none.
#[must_use]
pub fn of_children<'a>(
    children: impl IntoIterator<Item = &'a Descriptor>,
) -> BTreeMap<String, String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut labels = BTreeMap::new();
    for child in children {
        let suffix = match child.media_type.as_str() {
            kind if media_type::is_known_config(kind) => ".config",
            kind if media_type::is_manifest(kind) => ".m.",
            kind if media_type::is_layer(kind) => ".l.",
            _ => ".",
        };
        let count = counts.entry(suffix).or_default();
        let bare = *count == 0 && !suffix.ends_with('.');
        let number = if bare { String::new() } else { count.to_string() };
        *count = count.saturating_add(1);
        labels.insert(format!("{GC_REF_CONTENT}{suffix}{number}"), child.digest.clone());
    }
    labels
}

/// Returns the label of blobs from the registry `domain`, which it knows by the host alone.
#[must_use]
pub fn distribution_source(domain: &str) -> String {
    let port = domain.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = port.map_or(domain, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    format!("{DISTRIBUTION_SOURCE}{host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::oci::Manifest;
    use crate::format::raw::decode;

    #[test]
    fn the_collector_follows_these_and_no_others() {
        let d = "sha256:ab";
        let content = || Some(Edge::To(Node::Content(d)));
        let snapshot = |snapshotter| Node::Snapshot { snapshotter, key: d };
        for (label, want) in [
            ("containerd.io/gc.ref.content", content()),
            ("containerd.io/gc.ref.content.", content()),
            ("containerd.io/gc.ref.content.config", content()),
            ("containerd.io/gc.ref.content.l.0", content()),
            ("containerd.io/gc.ref.content/x", content()),
            ("containerd.io/gc.ref.content.moby/container.config", content()),
            ("containerd.io/gc.ref.contents", None),
            ("containerd.io/gc.ref.content-x", None),
            ("containerd.io/gc.ref.snapshot.overlayfs", Some(Edge::To(snapshot("overlayfs")))),
            ("containerd.io/gc.ref.snapshot.overlayfs/x/y", Some(Edge::To(snapshot("overlayfs")))),
            (
                "containerd.io/gc.ref.snapshot.fuse-overlayfs",
                Some(Edge::To(snapshot("fuse-overlayfs"))),
            ),
            ("containerd.io/gc.ref.snapshot", None),
            ("containerd.io/gc.ref.image", Some(Edge::To(Node::Image(d)))),
            ("containerd.io/gc.ref.image/x", Some(Edge::To(Node::Image(d)))),
            ("containerd.io/gc.bref.content.x", Some(Edge::From(Node::Content(d)))),
            ("containerd.io/gc.bref.image", Some(Edge::From(Node::Image(d)))),
            ("containerd.io/gc.bref.container", Some(Edge::From(Node::Container(d)))),
            ("containerd.io/gc.bref.snapshot.native/x", Some(Edge::From(snapshot("native")))),
            ("containerd.io/gc.root", Some(Edge::Root)),
            ("containerd.io/gc.root.x", Some(Edge::Root)),
            ("containerd.io/gc.flat", None),
            ("containerd.io/gc.expire", None),
            ("containerd.io/uncompressed", None),
            ("", None),
        ] {
            assert_eq!(Edge::of(label, d), want, "{label}");
        }
        assert_eq!(Edge::of("containerd.io/gc.ref.content", ""), None);
        assert_eq!(Edge::of("containerd.io/gc.root", ""), Some(Edge::Root));
    }

    /// As a pull by containerd 2.1 left them in a Docker 28.5 root.
    #[test]
    fn children_are_labelled_as_by_a_pull() {
        let manifest: Manifest = decode(
            br#"{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:2b"},
            "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:c9"},
            {"mediaType":"application/vnd.in-toto+json","digest":"sha256:dd"},
            {"mediaType":"application/vnd.docker.image.rootfs.diff.tar","digest":"sha256:42"}]}"#,
        )
        .expect("sound");
        let labels = of_children(manifest.children());
        let want = [
            ("containerd.io/gc.ref.content.0", "sha256:dd"),
            (GC_REF_CONFIG, "sha256:2b"),
            ("containerd.io/gc.ref.content.l.0", "sha256:c9"),
            ("containerd.io/gc.ref.content.l.1", "sha256:42"),
        ];
        assert!(labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(want));
        assert!(
            labels.iter().all(|(label, value)| matches!(Edge::of(label, value), Some(Edge::To(_))))
        );
    }

    #[test]
    fn a_config_keeps_its_snapshot() {
        let chain = ChainId(crate::digest::Digest::of(b"x"));
        let labels = of_config("overlayfs", Some(chain));
        let want = ("containerd.io/gc.ref.snapshot.overlayfs".to_owned(), chain.to_string());
        assert!(labels.into_iter().eq([want]));
        assert!(of_config("overlayfs", None).is_empty());
    }

    #[test]
    fn a_source_is_named_without_its_port() {
        for (domain, want) in [
            ("docker.io", "docker.io"),
            ("127.0.0.1:5000", "127.0.0.1"),
            ("localhost:5000", "localhost"),
            ("[::1]:5000", "::1"),
        ] {
            assert_eq!(distribution_source(domain), format!("{DISTRIBUTION_SOURCE}{want}"));
        }
    }
}
