//! Layers taken out of a containerd root: what comes is what the diff ID names, or nothing.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tranship::digest::{ChainId, DiffId, Digest};
use tranship::error::ErrorKind;
use tranship::format::oci::Platform;
use tranship::model::StoreKind;
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::store::{Compression, Source};
use tranship::tree::{Kind, Memory, Sink, Sub, TarTree, Tree, path, read, write};

use crate::bad_input::STORE;
use crate::support::classic::Classic;
use crate::support::{Migration, open};

pub(crate) fn containerd(tree: Arc<dyn Tree>) -> Containerd {
    Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &Platform::default()).expect("a sound store")
}

/// Returns every layer of every image that is there, once for each chain.
fn layers(source: &dyn Source) -> Vec<(ChainId, DiffId)> {
    let manifests = source.inventory().images.iter().flat_map(|image| &image.manifests);
    let chains = manifests
        .filter(|manifest| manifest.present)
        .flat_map(|manifest| manifest.chain().into_iter().zip(manifest.layers.clone()));
    let mut layers: Vec<_> = chains.collect();
    layers.sort_unstable();
    layers.dedup();
    layers
}

pub(crate) fn tar(source: &dyn Source, chain_id: ChainId) -> tranship::error::Result<Vec<u8>> {
    let content = source.layer(chain_id)?;
    let mut bytes = Vec::new();
    let read = content.tar()?.read_to_end(&mut bytes);
    let place = || tranship::error::Place::new("the test", "");
    read.map_err(|error| tranship::error::from_io(error, place)).map(|_| bytes)
}

#[test]
fn every_layer_of_the_recorded_root_is_what_its_diff_id_says() {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots/containerd-28.tar.zst");
    let root: Arc<dyn Tree> = Arc::new(TarTree::open(&fixture).expect("the recorded root"));
    let source = containerd(Arc::new(Sub::new(root, path("containerd/daemon"))));
    let layers = layers(&source);
    assert!(layers.len() >= 10, "{} layers", layers.len());
    let mut unpacked = 0;
    for (chain_id, diff_id) in layers {
        let tar = tar(&source, chain_id).unwrap_or_else(|error| panic!("{chain_id}: {error}"));
        assert_eq!(DiffId(Digest::of(&tar)), diff_id, "{chain_id}");
        let content = source.layer(chain_id).expect("it was there");
        let Some((tree, folder)) = content.files() else { continue };
        let dir = tree.stat(folder.as_path()).expect("the snapshot's folder");
        assert_eq!(dir.kind, Kind::Dir, "{chain_id}");
        unpacked += 1;
    }
    assert_eq!(unpacked, source.inventory().layers.len(), "each unpacked layer has its files");
}

/// Migrates the store of the tests and returns the containerd root with the classic source.
pub(crate) fn moved(compression: Compression) -> (Arc<Memory>, impl Source) {
    let classic = open(&Arc::new(Classic::of(STORE).tree()));
    let root = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = root.clone();
    Migration::all().compression(compression).run(&classic, &sink).expect("a sound store");
    (root, classic)
}

#[test]
fn a_layer_comes_back_as_it_went_in_however_it_was_compressed() {
    for compression in [Compression::None, Compression::Gzip(6), Compression::Zstd(1)] {
        let (root, classic) = moved(compression);
        let source = containerd(root);
        assert_eq!(source.inventory().kind, StoreKind::Containerd);
        let layers = layers(&classic);
        assert!(!layers.is_empty());
        for (chain_id, _) in layers {
            let wanted = tar(&classic, chain_id).expect("a sound layer");
            let found = tar(&source, chain_id).expect("a sound layer");
            assert!(found == wanted, "{compression:?}: {chain_id}");
        }
    }
}

#[test]
fn a_blob_that_is_not_what_it_is_called_is_named() {
    for compression in [Compression::None, Compression::Gzip(6), Compression::Zstd(1)] {
        for harm in ["flipped", "cut", "longer", "gone"] {
            let (root, _) = moved(compression);
            let source = containerd(root.clone());
            let (chain_id, diff_id) = layers(&source)[0];
            let blob = source.inventory().blobs[&diff_id].blob;
            let name = format!("io.containerd.content.v1.content/blobs/sha256/{}", blob.hex());
            let mut bytes = read(&*root, path(&name)).expect("it was written");
            let middle = bytes.len() / 2;
            match harm {
                "flipped" => bytes[middle] ^= 1,
                "cut" => bytes.truncate(middle),
                _ => bytes.extend(b"more"),
            }
            root.remove(path(&name)).expect("it is there");
            if harm != "gone" {
                write(&*root, path(&name), 0o444, &bytes).expect("a free name");
            }
            let error = tar(&source, chain_id).expect_err(harm);
            assert!(error.to_string().contains(&blob.hex()), "{compression:?} {harm}: {error}");
            let wanted = if harm == "gone" { ErrorKind::Missing } else { ErrorKind::Corrupt };
            assert_eq!(error.kind(), wanted, "{compression:?} {harm}: {error}");
        }
    }
}
