//! What the containerd store tells of itself: of roots that are sound, and what the next start of the
//! daemon would make of others.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tranship::digest::{ChainId, DiffId};
use tranship::format::bbolt::{self, OwnedBucket};
use tranship::format::oci::Platform;
use tranship::model::{Container, Finding, Severity};
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::store::containers::read_all;
use tranship::store::{Audit, Compression, Piece, Source};
use tranship::tree::{Memory, Sink, Sub, TarTree, Tree, path, read};

use crate::support::daemon::edit;
use crate::support::moved::{Moved, moved};
use crate::support::scene::{BEFORE, STORE};
use crate::support::{Migration, nothing_is};

const META: &str = "io.containerd.metadata.v1.bolt/meta.db";

fn host() -> Platform {
    let text = |text: &str| text.to_owned();
    Platform { architecture: text("amd64"), os: text("linux"), ..Platform::default() }
}

fn open(tree: Arc<dyn Tree>) -> Containerd {
    Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &host()).expect("a store that can be read")
}

/// Returns all above untidy that is wrong, content included.
fn wrong(source: &dyn Source, audit: &Audit) -> Vec<String> {
    let findings = source.inventory().findings.iter().chain(&audit.findings);
    let matter = findings.filter(|finding| finding.severity > Severity::Untidy);
    let told = |finding: &Finding| format!("{} {}: {}", finding.code, finding.place, finding.what);
    let mut wrong: Vec<_> = matter.map(told).collect();
    for piece in source.pieces() {
        let differences = match piece {
            Piece::Blob { blob, .. } => {
                let read = source.blob(blob).map(|mut bytes| {
                    std::io::copy(&mut bytes, &mut std::io::sink())
                        .map_err(|error| error.to_string())
                });
                wrong.extend(read.expect("its file is there").err());
                continue;
            }
            Piece::Layer { chain_id, size } => {
                source.layer(chain_id).and_then(|layer| layer.compare(size, &()))
            }
        };
        match differences {
            Ok(differences) => wrong.extend(differences.named.iter().map(ToString::to_string)),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    let fails = audit.starts.iter().filter(|start| start.fails.is_some());
    wrong.extend(fails.map(|start| format!("{start:?}")));
    wrong
}

#[test]
fn a_root_that_was_migrated_is_sound() {
    for compression in [Compression::None, Compression::Gzip(1), Compression::Zstd(1)] {
        let target = moved(STORE, &Migration::all().compression(compression));
        let both = target.and(BEFORE, &Migration::all());
        for Moved { tree, .. } in [target, both] {
            let source = open(tree);
            let audit = source.audit().expect("folders can be read");
            nothing_is(&wrong(&source, &audit));
            assert!(audit.checked["blobs"] > 5 && audit.checked["snapshots"] > 2, "{audit:?}");
            assert!(audit.starts.len() >= 4, "{:?}", audit.starts);
        }
    }
}

fn recorded() -> Memory {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots/containerd-28.tar.zst");
    let tar: Arc<dyn Tree> = Arc::new(TarTree::open(&file).expect("the recorded root"));
    let (root, memory) = (Sub::new(tar, path("containerd/daemon")), Memory::new());
    let copying = tranship::tree::Copying {
        snapshots: tranship::tree::Snapshots::Copy,
        skip: &|_| false,
        skip_xattr: &|_| false,
    };
    for name in ["io.containerd.metadata.v1.bolt", "io.containerd.content.v1.content"] {
        tranship::tree::copy(&root, path(name), &memory, path(name), &copying).expect("memory");
    }
    let snapshotter = path("io.containerd.snapshotter.v1.overlayfs");
    tranship::tree::copy(&root, snapshotter, &memory, snapshotter, &copying).expect("memory");
    memory
}

/// A blob is read once, however it is found.
#[test]
fn every_blob_is_one_piece() {
    let tree = recorded();
    let files = path("io.containerd.content.v1.content/blobs/sha256");
    let files = tree.names(files).expect("a folder").len();
    let source = open(Arc::new(tree));
    let (mut blobs, mut layers) = (0, Vec::new());
    for piece in source.pieces() {
        match piece {
            Piece::Blob { .. } => blobs += 1,
            Piece::Layer { chain_id, .. } => layers.push(chain_id),
        }
    }
    let unpacked = layers.iter().filter(|id| source.inventory().layers.contains_key(id)).count();
    assert!(unpacked > 20, "{unpacked} of {}", layers.len());
    let packed: BTreeSet<_> = layers.iter().map(|id| diff_id(&source, *id)).collect();
    assert_eq!(blobs + packed.len(), files, "{blobs} and {}", packed.len());
}

fn diff_id(source: &dyn Source, chain_id: ChainId) -> DiffId {
    let manifests = source.inventory().images.iter().flat_map(|image| &image.manifests);
    let layers = manifests.flat_map(|one| one.chain().into_iter().zip(one.layers.clone()));
    layers.into_iter().find(|(id, _)| *id == chain_id).expect("a layer of an image").1
}

/// What is done to a store, and the reason why the image with this name cannot be used then.
type Row = (&'static str, fn(&Memory), &'static str, &'static str);

fn all_of(tree: &Memory, change: impl FnOnce(&mut OwnedBucket<'static>)) {
    edit(tree, META, |all| change(all.path_mut(&[b"v1", b"moby"])));
}

#[test]
fn what_cannot_be_used_is_told_with_the_reason() {
    const INDEX: &str = "127.0.0.1:5000/lib/index:1";
    const CONFIG: &str = "2bbd7b055fb96b591043bace2abb5639c2c2f9a4dc19734d08423885c00dfcad";
    let rows: [Row; 4] = [
        (
            "its config",
            |tree| {
                let file = format!("io.containerd.content.v1.content/blobs/sha256/{CONFIG}");
                tree.remove(path(&file)).expect("below the root");
            },
            INDEX,
            "config",
        ),
        (
            "its folders",
            |tree| {
                let folder = "io.containerd.snapshotter.v1.overlayfs/snapshots";
                for name in tree.names(path(folder)).expect("folders") {
                    let name = path(folder).child(&name).expect("a name");
                    tree.remove(name.as_path()).expect("below the root");
                }
            },
            INDEX,
            "unpacked layers are gone",
        ),
        (
            "another's target",
            |tree| {
                all_of(tree, |all| {
                    all.path_mut(&[b"images", b"docker.io/tiny/base:1"]).remove(b"target");
                })
            },
            INDEX,
            "cannot list",
        ),
        (
            "the record of its manifest",
            |tree| {
                all_of(tree, |all| {
                    let digest =
                        b"sha256:0026df568b8d7f230c4894b06ab5fb29fb2a525f54b9492d0c6ca3267b2b4532";
                    all.path_mut(&[b"content", b"blob"]).remove(digest);
                })
            },
            INDEX,
            "manifest is not here",
        ),
    ];
    let sound = recorded();
    for (what, damage, image, reason) in rows {
        let tree = sound.clone();
        damage(&tree);
        let source = open(Arc::new(tree));
        let audit = source.audit().expect("folders can be read");
        let start = audit.starts.iter().find(|start| start.names.iter().any(|name| name == image));
        let fails = start.expect("it is listed").fails.clone().unwrap_or_default();
        assert!(fails.contains(reason), "{what}: {fails:?}");
    }
    let fine = open(Arc::new(sound)).audit().expect("folders can be read");
    assert!(fine.starts.iter().all(|start| start.fails.is_none()), "{:?}", fine.starts);
}

/// Docker 28.5 leaves such a container out of every list.
#[test]
fn a_container_whose_snapshot_or_lease_is_gone_is_passed_over() {
    const ID: &str = "2137aa4b252c6aac801458ab193b368c3223474360b2eb0125a69ae658561f69";
    let paths: [&[&[u8]]; 2] = [&[b"leases"], &[b"snapshots", b"overlayfs"]];
    for path in paths {
        let tree = recorded();
        all_of(&tree, |all| drop(all.path_mut(path).remove(ID.as_bytes())));
        let mut source = open(Arc::new(tree));
        source.add_containers(containers().into_iter().filter(|one| one.driver == SNAPSHOTTER));
        let audit = source.audit().expect("folders can be read");
        let starts: Vec<_> = audit.starts.iter().filter(|start| start.container).collect();
        assert!(starts.len() >= 5, "{starts:?}");
        for start in starts {
            let is_gone = start.id == ID;
            assert_eq!((start.silently, start.fails.is_some()), (is_gone, is_gone), "{start:?}");
        }
    }
}

fn containers() -> Vec<Container> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots/containerd-28.tar.zst");
    let tar = TarTree::open(&file).expect("the recorded root");
    read_all(&tar).expect("containers").0
}

/// Whatever the two files say, an audit ends and says something or nothing.
#[test]
fn no_file_is_too_odd_to_be_audited() {
    let sound = recorded();
    for file in [META, "io.containerd.snapshotter.v1.overlayfs/metadata.db"] {
        let whole = read(&sound, path(file)).expect("a file");
        let all =
            bbolt::load(&bbolt::Db::open(&whole).expect("sound")).expect("sound").into_owned();
        for odd in 0..4 {
            let tree = sound.clone();
            edit(&tree, file, |root| {
                *root = all.clone();
                scramble(root, odd);
            });
            let Ok(source) =
                Containerd::open(Arc::new(tree), NAMESPACE, SNAPSHOTTER, &Platform::default())
            else {
                continue;
            };
            source.audit().expect("folders can be read");
        }
    }
}

/// Replaces every fourth value with something else.
fn scramble(bucket: &mut OwnedBucket<'static>, odd: usize) {
    let keys: Vec<_> = bucket.iter().map(|(key, _)| key.to_vec()).collect();
    for (n, key) in keys.into_iter().enumerate() {
        match bucket.child_mut(&key) {
            Some(child) => scramble(child, odd),
            None if n % 4 == odd => {
                let odd: [&[u8]; 4] = [b"", b"\xff\xff", b"sha256:", &[0x80; 300]];
                bucket.put(key, odd[n % odd.len()].to_vec());
            }
            None => {}
        }
    }
}
