//! Image layouts and archives made by hand, sound or not.

use std::io::Write as _;
use std::sync::Arc;

use tranship::digest::{ChainId, Digest};
use tranship::error::Result;
use tranship::format::oci::Platform;
use tranship::model::{Image, Inventory};
use tranship::op::host::{Host, Known, Opened, survey};
use tranship::store::Source;
use tranship::tree::{Attributes, Memory, Sink, Snapshots, Special, Tree, TreePath, path};

use super::Migration;
use super::classic::{Classic, put};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub(crate) fn host() -> Platform {
    let (architecture, os) = ("amd64".to_owned(), "linux".to_owned());
    Platform { architecture, os, ..Platform::default() }
}

/// Puts a file, and the folders on the way to it.
pub(crate) fn file(tree: &Memory, name: &str, bytes: &[u8]) {
    folders(tree, name);
    put(tree, name, bytes);
}

/// Puts a symbolic link, and the folders on the way to it.
pub(crate) fn link(tree: &Memory, name: &str, to: &str) {
    folders(tree, name);
    tree.remove(path(name)).expect("below the root");
    let special = Special::Symlink(to.as_bytes().to_vec());
    tree.put(path(name), &special, &Attributes::root(0o777)).expect("a free name");
}

fn folders(tree: &Memory, name: &str) {
    for (slash, _) in name.match_indices('/') {
        tree.make_dir(path(&name[..slash]), 0o755).expect("a folder");
    }
}

pub(crate) fn descriptor(kind: &str, bytes: &[u8]) -> String {
    let (digest, size) = (Digest::of(bytes), bytes.len());
    format!("{{\"mediaType\":\"{kind}\",\"digest\":\"{digest}\",\"size\":{size}}}")
}

/// Returns a descriptor with one more member.
pub(crate) fn with(descriptor: &str, member: &str) -> String {
    format!("{},{member}}}", descriptor.strip_suffix('}').expect("an object"))
}

pub(crate) fn index(children: &[String]) -> Vec<u8> {
    format!("{{\"schemaVersion\":2,\"manifests\":[{}]}}", children.join(",")).into_bytes()
}

pub(crate) fn manifest(config: &str, layers: &[String]) -> Vec<u8> {
    format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[{}]}}", layers.join(","))
        .into_bytes()
}

pub(crate) fn blob_path(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("a vector takes every write");
    out.finish().expect("a vector takes every write")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("a vector takes every write")
}

/// A layout being made.
pub(crate) struct LayoutOf {
    pub(crate) classic: Classic,
    pub(crate) tree: Memory,
}

impl LayoutOf {
    pub(crate) fn of(text: &str) -> Self {
        let tree = Memory::new();
        file(&tree, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        tree.make_dir(path("blobs"), 0o755).expect("a free name");
        tree.make_dir(path("blobs/sha256"), 0o755).expect("a free name");
        Self { classic: Classic::of(text), tree }
    }

    /// Puts a blob and returns its descriptor.
    pub(crate) fn blob(&self, kind: &str, bytes: &[u8]) -> String {
        file(&self.tree, &blob_path(bytes), bytes);
        descriptor(kind, bytes)
    }

    /// Puts an image of the store with all it consists of; returns the descriptor of its manifest.
    pub(crate) fn image(
        &self,
        title: &str,
        diffs: &[&str],
        kind: &str,
        pack: fn(&[u8]) -> Vec<u8>,
    ) -> String {
        let config = self.blob(CONFIG, &self.classic.config_bytes(title));
        let layer = |diff: &&str| self.blob(kind, &pack(&self.classic.tar(diff)));
        let layers: Vec<_> = diffs.iter().map(layer).collect();
        self.blob(MANIFEST, &manifest(&config, &layers))
    }

    pub(crate) fn plain(&self, title: &str, diffs: &[&str]) -> String {
        self.image(title, diffs, LAYER, <[u8]>::to_vec)
    }

    /// Ends the layout with these images.
    pub(crate) fn end(self, images: &[String]) -> Arc<Memory> {
        file(&self.tree, "index.json", &index(images));
        Arc::new(self.tree)
    }
}

/// A migration of layers as they are, for what has no files of them.
pub(crate) fn packed_only() -> Migration {
    Migration { snapshots: Snapshots::None, ..Migration::default() }
}

/// Reads a layout or an archive as the command does.
pub(crate) fn read(tree: &Arc<Memory>) -> Result<Host> {
    survey_of(Arc::<Memory>::clone(tree))
}

/// Looks for data roots, layouts and archives as the command does.
pub(crate) fn survey_of(tree: Arc<dyn Tree>) -> Result<Host> {
    survey(&Opened { tree, only: None }, &Known { platform: host(), ..Known::default() })
}

pub(crate) fn source(host: &Host) -> &dyn Source {
    let [root] = host.roots.as_slice() else { panic!("one root: {:?}", host.roots) };
    assert!(root.choices.is_none() && root.path.as_path() == TreePath::ROOT);
    let [store] = root.stores.as_slice() else { panic!("one store: {:?}", root.stores) };
    assert!(!store.hidden);
    store.here.source.as_deref().expect("it can be read")
}

/// Returns the names of all images.
pub(crate) fn names(inventory: &Inventory) -> Vec<String> {
    inventory
        .images
        .iter()
        .flat_map(|image| image.names.iter().map(|name| name.familiar()))
        .collect()
}

/// Returns code and text of every finding.
pub(crate) fn findings(inventory: &Inventory) -> Vec<(&str, &str)> {
    inventory.findings.iter().map(|finding| (finding.code, finding.what.as_str())).collect()
}

/// Reads every layer of an image to its end.
pub(crate) fn read_layers(source: &dyn Source, image: &Image) -> Result<Vec<Vec<u8>>> {
    let shown = image.shown().expect("it can run");
    shown.chain().into_iter().map(|chain_id| read_layer(source, chain_id)).collect()
}

/// Reads a layer to its end.
pub(crate) fn read_layer(source: &dyn Source, chain_id: ChainId) -> Result<Vec<u8>> {
    let content = source.layer(chain_id)?;
    let (mut tar, mut bytes) = (content.tar()?, Vec::new());
    let place = || panic!("the error has its own place");
    std::io::Read::read_to_end(&mut tar, &mut bytes)
        .map_err(|error| tranship::error::from_io(error, place))?;
    Ok(bytes)
}
