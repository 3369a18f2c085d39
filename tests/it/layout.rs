//! Images written as an OCI layout.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tranship::digest::Digest;
use tranship::error::ErrorKind;
use tranship::format::oci::Platform;
use tranship::model::StoreKind;
use tranship::op::transfer::{self, Outcome};
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::store::{Compression, Form, Source, Writing, open};
use tranship::tree::{
    Entry, Kind, Memory, Sink, Snapshots, Tree, TreePath, path, read, walk, write,
};

use crate::bad_input::STORE;
use crate::support::classic::Classic;
use crate::support::{Migration, NOW, open as open_classic};

fn export(source: &dyn Source, form: Form, compression: Compression) -> (Arc<Memory>, Outcome) {
    let layout = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = layout.clone();
    let writing = Writing { compression, snapshots: Snapshots::None, form, now: NOW };
    let target = open::target(StoreKind::Layout, sink, &Platform::default(), writing)
        .expect("an empty folder");
    let migration = Migration { compression, snapshots: Snapshots::None, ..Migration::all() };
    let originals = std::collections::HashMap::new();
    let plan = transfer::plan(source, &*target, &originals, &migration.options());
    let plan = plan.expect("all images are there");
    let outcome = transfer::apply(&plan, source, &*target, 1, &()).expect("a sound store");
    assert!(outcome.findings.is_empty() && outcome.failed.is_empty());
    (layout, outcome)
}

/// Returns all files with what they hold.
fn files(tree: &Memory) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut visit = |place: TreePath<'_>, entry: &Entry| {
        if entry.metadata.kind == Kind::File {
            let name = String::from_utf8_lossy(place.as_bytes()).into_owned();
            found.insert(name, read(tree, place).expect("a file"));
        }
        Ok(true)
    };
    walk(tree, TreePath::ROOT, &mut visit).expect("a sound tree");
    found
}

fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(&files[name]).expect("JSON")
}

/// Returns the names in the index with the manifests they have.
fn named(index: &Value) -> BTreeMap<String, String> {
    let manifests = index["manifests"].as_array().expect("a list");
    let name = |one: &Value| {
        let name = one["annotations"]["io.containerd.image.name"].as_str().unwrap_or("-");
        (name.to_owned(), one["digest"].as_str().expect("a digest").to_owned())
    };
    manifests.iter().map(name).collect()
}

#[test]
fn a_layout_holds_the_images_under_their_names() {
    let classic = open_classic(&Arc::new(Classic::of(STORE).tree()));
    for compression in [Compression::None, Compression::Gzip(1), Compression::Zstd(1)] {
        let (layout, outcome) = export(&classic, Form::Docker, compression);
        let files = files(&layout);
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("blobs/")) {
            assert_eq!(*name, format!("blobs/sha256/{}", Digest::of(bytes).hex()));
        }
        assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index = json(&files, "index.json");
        let named = named(&index);
        let names: Vec<_> = named.keys().map(String::as_str).collect();
        let library = |name: &str| format!("docker.io/library/{name}");
        assert_eq!(names, ["app:1", "app:2", "base:1", "other:1"].map(library));
        assert_eq!(named[&library("app:1")], named[&library("app:2")]);
        for moved in &outcome.moved {
            assert!(named.values().any(|digest| *digest == moved.becomes.to_string()));
        }
        let saved = json(&files, "manifest.json");
        let saved = saved.as_array().expect("a list");
        assert_eq!(saved.len(), outcome.moved.len());
        for image in saved {
            let layers = image["Layers"].as_array().expect("a list");
            let config = json(&files, image["Config"].as_str().expect("a path"));
            let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("a list");
            assert_eq!(layers.len(), diff_ids.len());
            let all = layers.iter().all(|layer| files.contains_key(layer.as_str().unwrap_or("")));
            assert!(all, "every layer of {image} is there");
        }
    }
}

/// The manifest of an uncompressed layer is the one of `docker save`, which the containerd store is
/// known to be given.
#[test]
fn images_have_the_ids_that_docker_save_gives_them_from_either_store() {
    let classic = open_classic(&Arc::new(Classic::of(STORE).tree()));
    let root = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = root.clone();
    let moved = Migration::all().run(&classic, &sink).expect("a sound store").moved;
    let wanted: BTreeMap<_, _> = moved.iter().map(|one| (one.id, one.becomes)).collect();
    let (layout, outcome) = export(&classic, Form::Docker, Compression::None);
    let found: BTreeMap<_, _> = outcome.moved.iter().map(|one| (one.id, one.becomes)).collect();
    assert_eq!(found, wanted);

    let containerd = Containerd::open(root, NAMESPACE, SNAPSHOTTER, &Platform::default());
    let (other, _) = export(&containerd.expect("just written"), Form::Docker, Compression::None);
    let (files, other) = (files(&layout), files(&other));
    let blobs = |files: &BTreeMap<String, Vec<u8>>| {
        files.keys().filter(|name| name.starts_with("blobs/")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(blobs(&other), blobs(&files));
    assert_eq!(named(&json(&other, "index.json")), named(&json(&files, "index.json")));
}

#[test]
fn the_same_images_give_the_same_bytes() {
    let classic = open_classic(&Arc::new(Classic::of(STORE).tree()));
    for form in [Form::Oci, Form::Docker] {
        let first = files(&export(&classic, form, Compression::Zstd(3)).0);
        let second = files(&export(&classic, form, Compression::Zstd(3)).0);
        assert!(first == second, "{form:?}");
        assert_eq!(first.contains_key("manifest.json"), form == Form::Docker);
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = Arc::new(Memory::new());
    write(&*folder, path("letter"), 0o644, b"dear").expect("a free name");
    let (compression, snapshots) = (Compression::None, Snapshots::None);
    let writing = Writing { compression, snapshots, form: Form::Oci, now: NOW };
    let target = open::target(StoreKind::Layout, folder.clone(), &Platform::default(), writing);
    let error = target.err().expect("it is not empty");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(folder.names(TreePath::ROOT).expect("a folder"), [b"letter".to_vec()]);
}
