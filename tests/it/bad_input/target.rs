//! Damaged and hostile containerd roots.

use std::sync::Arc;

use rayon::prelude::*;
use tranship::digest::Digest;
use tranship::error::{ErrorKind, Result};
use tranship::format::bbolt::{self, Db, Options};
use tranship::format::containerd::value;
use tranship::format::oci::{Descriptor, Platform};
use tranship::model::{Finding, Inventory, Severity};
use tranship::store::Source;
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::tree::{Memory, Sink, Special, Tree, path, read};

use super::instead;
use crate::support::classic::put;
use crate::support::moved::{Moved, moved};
use crate::support::seen::{BACKEND, BLOBS, META};
use crate::support::{Migration, NOW, daemon, nothing_is, open as open_classic};

const SMALL: &str = "
diff a
  file a a
diff b
  file b b
image one = a
  name one:1
image two = a + b
  name two:1
  parent one
";

fn open(tree: Memory) -> Result<Inventory> {
    let tree: Arc<dyn Tree> = Arc::new(tree);
    let host = Platform { architecture: "amd64".to_owned(), ..Platform::default() };
    Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &host).map(|store| store.inventory().clone())
}

/// Returns the bytes of a bolt file written with small pages, so that it has many and is short.
fn small_pages(tree: &Memory, file: &str) -> Vec<u8> {
    let bytes = read(tree, path(file)).expect("it is there");
    let db = Db::open(&bytes).expect("sound");
    let options = Options { page_size: 512, ..Options::replacing(&db) };
    bbolt::write(&bbolt::load(&db).expect("sound"), &options).expect("small")
}

/// Reading answers or errs, and names the file; so does a migration into such a target, which leaves
/// the file as it is unless all is sound.
fn survives(
    tree: &Memory,
    file: &str,
    bytes: &[u8],
    migrated: Option<&dyn Source>,
) -> std::result::Result<(), String> {
    let tree = tree.clone();
    put(&tree, file, bytes);
    if let Err(error) = open(tree.clone()) {
        let place = error.place().map(|place| place.path.clone()).unwrap_or_default();
        if error.kind() != ErrorKind::Corrupt || place != file.as_bytes() {
            return Err(format!("{error}"));
        }
    }
    if let Some(store) = migrated {
        let target = Arc::new(tree);
        let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
        let moved = Migration::default().run(store, &sink);
        let now = read(&*target, path(file)).map_err(|error| error.to_string())?;
        match moved {
            Err(_) if now == bytes => {}
            Ok(_) if bbolt::check(&now).is_ok() => {}
            other => return Err(format!("{other:?}, and the file is another")),
        }
    }
    Ok(())
}

/// Tries every one of `harms` on both files, and now and then a migration too.
fn all_survive(harms: impl Fn(&[u8]) -> Vec<(String, Vec<u8>)>) {
    let target = moved("diff a\n  file a a\nimage x = a\n  name x:1", &Migration::default()).tree;
    let store = open_classic(&Arc::new(super::Classic::of(SMALL).tree()));
    for file in [META, BACKEND] {
        let sound = small_pages(&target, file);
        let harmed = harms(&sound);
        assert!(!harmed.is_empty());
        let wrong: Vec<String> = harmed
            .into_par_iter()
            .enumerate()
            .filter_map(|(i, (name, bytes))| {
                let migrated = i.is_multiple_of(32).then_some(&store as &dyn Source);
                let result = survives(&target, file, &bytes, migrated);
                Some(format!("{file}, {name}: {}", result.err()?))
            })
            .collect();
        nothing_is(&wrong);
    }
}

#[test]
fn bolt_files_that_are_cut_off() {
    all_survive(|sound| {
        let ends = (0..sound.len()).step_by(61);
        ends.map(|end| (format!("to {end}"), sound[..end].to_vec())).collect()
    });
}

#[test]
fn bolt_files_with_any_byte_wrong() {
    all_survive(|sound| {
        let flipped = |i: usize| {
            let mut bytes = sound.to_vec();
            bytes[i] ^= if i.is_multiple_of(2) { 0xff } else { 1 << (i % 8) };
            (format!("byte {i}"), bytes)
        };
        (0..sound.len()).map(flipped).collect()
    });
}

/// Every page is put in the place of every other, so branches and buckets lead in circles.
#[test]
fn bolt_files_whose_pages_lead_anywhere() {
    all_survive(|sound| {
        let pages = sound.len() / 512;
        let mut harmed = Vec::new();
        for at in 16..sound.len() - 8 {
            let word = u64::from_le_bytes(sound[at..at + 8].try_into().expect("8 bytes"));
            if word < 2 || word >= pages as u64 {
                continue;
            }
            for page in 0..=pages as u64 {
                let mut bytes = sound.to_vec();
                bytes[at..at + 8].copy_from_slice(&page.to_le_bytes());
                harmed.push((format!("{page} at {at}"), bytes));
            }
        }
        harmed
    });
}

/// A target to which documents are added by hand.
struct Crafted(Memory);

impl Crafted {
    fn new() -> Self {
        Self((*moved(SMALL, &Migration::default()).tree).clone())
    }

    /// Adds blobs; returns the descriptor of each.
    fn blobs(&self, blobs: &[(&str, &[u8])]) -> Vec<String> {
        daemon::edit(&self.0, META, |meta| {
            for (_, bytes) in blobs {
                let digest = Digest::of(bytes);
                let key = digest.to_string().into_bytes();
                let all = meta.path_mut(&[b"v1", b"moby", b"content", b"blob"]);
                let size = i64::try_from(bytes.len()).expect("small");
                all.bucket_mut(key).put(b"size", value::encode_varint(size));
                put(&self.0, &format!("{BLOBS}/{}", digest.hex()), bytes);
            }
        });
        blobs.iter().map(|(kind, bytes)| descriptor(kind, bytes)).collect()
    }

    /// Gives what a document describes a name.
    fn name(&self, name: &str, kind: &str, bytes: &[u8]) {
        daemon::edit(&self.0, META, |meta| {
            let key = format!("docker.io/library/{name}").into_bytes();
            let record = meta.path_mut(&[b"v1", b"moby", b"images"]).bucket_mut(key);
            record.put(b"createdat", value::encode_time(NOW).to_vec());
            let target = record.bucket_mut(b"target");
            target.put(b"digest", Digest::of(bytes).to_string().into_bytes());
            target.put(b"mediatype", kind.as_bytes().to_vec());
            target.put(b"size", value::encode_varint(i64::try_from(bytes.len()).expect("small")));
        });
    }
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn descriptor(kind: &str, bytes: &[u8]) -> String {
    let (digest, size) = (Digest::of(bytes), bytes.len());
    format!("{{\"mediaType\":\"{kind}\",\"digest\":\"{digest}\",\"size\":{size}}}")
}

fn index(children: &[String]) -> Vec<u8> {
    let children = children.join(",");
    format!("{{\"schemaVersion\":2,\"manifests\":[{children}]}}").into_bytes()
}

#[test]
fn indexes_that_are_nested_without_end() {
    let crafted = Crafted::new();
    let mut documents = vec![index(&[])];
    for _ in 0..10_000 {
        let below = documents.last().expect("there is a first");
        documents.push(index(&[descriptor(INDEX, below)]));
    }
    let blobs: Vec<(&str, &[u8])> = documents.iter().map(|bytes| (INDEX, &bytes[..])).collect();
    crafted.blobs(&blobs);
    crafted.name("deep:1", INDEX, documents.last().expect("there is a first"));
    let inventory = open(crafted.0).expect("both files are sound");
    assert_eq!(inventory.images.len(), 3);
}

#[test]
fn an_index_of_a_hundred_thousand() {
    let crafted = Crafted::new();
    let children: Vec<String> =
        (0..100_000u32).map(|n| descriptor(MANIFEST, &n.to_le_bytes())).collect();
    let wide = index(&children);
    crafted.blobs(&[(INDEX, &wide)]);
    crafted.name("wide:1", INDEX, &wide);
    let inventory = open(crafted.0).expect("both files are sound");
    let images = inventory.images.iter();
    let found = images.map(|image| image.manifests.len()).max();
    assert_eq!(found, Some(4096), "no more are looked at");
    assert!(inventory.findings.iter().any(|finding| finding.what.contains("more than 4096")));
}

/// Eight levels of four thousand each would be more than there are atoms to count them with.
#[test]
fn indexes_that_multiply() {
    let crafted = Crafted::new();
    let mut bomb = index(&[]);
    for level in 0..7 {
        let mut children = vec![descriptor(INDEX, &bomb); 4000];
        children.push(descriptor(INDEX, format!("{level}").as_bytes()));
        let above = index(&children);
        crafted.blobs(&[(INDEX, &bomb)]);
        bomb = above;
    }
    crafted.blobs(&[(INDEX, &bomb)]);
    crafted.name("bomb:1", INDEX, &bomb);
    let inventory = open(crafted.0).expect("both files are sound");
    assert_eq!(inventory.images.len(), 3);
}

/// Adds a label to the blob that `digest` names.
fn label(tree: &Memory, digest: &str, key: &str, value: &str) {
    daemon::edit(tree, META, |meta| {
        let blob: [&[u8]; 5] = [b"v1", b"moby", b"content", b"blob", digest.as_bytes()];
        let labels = meta.path_mut(&blob).bucket_mut(b"labels");
        labels.put(key.as_bytes().to_vec(), value.as_bytes().to_vec());
    });
}

#[test]
fn an_image_is_listed_with_all_it_consists_of() {
    let sound = moved(SMALL, &Migration::default());
    let tree = (*sound.tree).clone();
    let classic = super::Classic::of(SMALL);
    let layer = classic.diff_id("a").to_string();
    const SOURCE: &str = "containerd.io/distribution.source.";
    label(&tree, &layer, &format!("{SOURCE}docker.io"), "library/one,team/one");
    label(&tree, &layer, &format!("{SOURCE}registry.example.com"), "x");
    let target = sound.record("two:1").target.clone();
    label(&tree, &target, "moby/build.ref.x", "{}");
    let tree: Arc<dyn Tree> = Arc::new(tree);
    let host = Platform { architecture: "amd64".to_owned(), ..Platform::default() };
    let store = Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &host).expect("sound");
    let images = &store.inventory().images;
    let image = images.iter().find(|image| image.id.to_string() == target).expect("two:1");
    let contents = store.contents(image).expect("sound").expect("it keeps manifests");
    let digests = |found: &[Descriptor]| -> Vec<String> {
        found.iter().map(|one| one.digest.clone()).collect()
    };
    assert_eq!(digests(&contents.documents), std::slice::from_ref(&target));
    let config = classic.config("two").to_string();
    let upper = classic.diff_id("b").to_string();
    assert_eq!(digests(&contents.blobs), [config, layer.clone(), upper]);
    assert!(contents.absent.is_empty());
    let document = store.document(image.id.to_string().parse().expect("a digest"));
    let labels = document.expect("sound").labels;
    assert_eq!(labels, [("moby/build.ref.x".to_owned(), "{}".to_owned())]);
    let packed = store.packed(image.shown().expect("it can run")).expect("sound");
    assert_eq!(packed.len(), 2);
    assert_eq!((packed[0].blob.to_string(), packed[0].diff_id), (layer, classic.diff_id("a")));
    let repositories = ["docker.io/library/one", "docker.io/team/one", "registry.example.com/x"];
    assert_eq!(packed[0].repositories, repositories);
    assert!(packed[1].repositories.is_empty());
}

/// What is done to the blob of a document, and what is said of it.
type Harm = (&'static str, fn(&Memory, &str), &'static str);

#[test]
fn documents_that_are_damaged() {
    let harms: [Harm; 6] = [
        ("missing", |tree, file| tree.remove(path(file)).expect("below the root"), "not found"),
        ("cut off", |tree, file| put(tree, file, b"{"), "1 bytes hash to"),
        ("a pipe", |tree, file| instead(tree, file, &Special::Fifo), "not a regular file"),
        (
            "a link",
            |tree, file| instead(tree, file, &Special::Symlink(b"/etc/passwd".to_vec())),
            "not a regular file",
        ),
        (
            "a folder",
            |tree, file| {
                tree.remove(path(file)).expect("below the root");
                tree.make_dir(path(file), 0o755).expect("a free name");
            },
            "not a regular file",
        ),
        ("huge", |tree, file| put(tree, file, &vec![b' '; 40 << 20]), "more than 33554432 bytes"),
    ];
    let sound = moved(SMALL, &Migration::default());
    let config = super::Classic::of(SMALL).config("two").to_string();
    let manifest = sound.record("two:1").target.clone();
    for (name, harm, what) in harms {
        for digest in [&manifest, &config] {
            let tree = (*sound.tree).clone();
            let file = format!("{BLOBS}/{}", &digest["sha256:".len()..]);
            harm(&tree, &file);
            let inventory = open(tree.clone()).expect("both files are sound");
            assert_eq!(inventory.images.len(), 2, "{name}: both are listed");
            let [finding] = inventory.findings.as_slice() else {
                panic!("{name}: {:?}", inventory.findings)
            };
            let Finding { code, severity, place, .. } = finding;
            assert_eq!((*code, *severity), ("blob-unreadable", Severity::DataLost), "{name}");
            assert_eq!(place.path, file.as_bytes(), "{name}");
            assert!(finding.what.contains(what), "{name}: {}", finding.what);
            mended(tree, &sound, name);
        }
    }
}

/// The image comes again, and this time with all its documents.
fn mended(tree: Memory, sound: &Moved, name: &str) {
    // What stands where a document is to be and is no file is not ours to remove.
    let target = Arc::new(tree);
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let store = open_classic(&Arc::new(super::Classic::of(SMALL).tree()));
    match Migration::default().run(&store, &sink) {
        Ok(_) => {
            let seen = crate::support::seen::look(&*target).expect(name);
            assert_eq!(
                seen.records.keys().collect::<Vec<_>>(),
                sound.seen.records.keys().collect::<Vec<_>>(),
                "{name}"
            );
        }
        Err(error) => assert_eq!(name, "a folder", "{error}"),
    }
}
