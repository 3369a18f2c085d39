//! Containerd roots that were damaged, and are mended: the recorded root as it was is the judge.

mod crash;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use tranship::digest::BlobId;
use tranship::format::bbolt::{self, Node, Options, OwnedBucket};
use tranship::format::containerd::value;
use tranship::format::oci::Platform;
use tranship::op::aside::{self, About, End};
use tranship::store::Source;
use tranship::store::containerd::{self, Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::store::mend::{Help, Mending};
use tranship::tree::{
    Copying, Memory, Sink, Snapshots, TarTree, Tree, TreePath, TreePathBuf, copy, path, read, write,
};

use crate::support::NOW;
use crate::support::seen::{BACKEND, BLOBS, FOLDERS, META, bolt, children, id, listing};

/// The containerd root of the recorded root, and the containers beside it.
struct Recorded {
    root: Memory,
    containers: Vec<tranship::model::Container>,
}

fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let file = format!("{}/fixtures/roots/containerd-28.tar.zst", env!("CARGO_MANIFEST_DIR"));
        let tar = TarTree::open(file.as_ref()).expect("the recorded root");
        let root = Memory::new();
        let copying =
            Copying { snapshots: Snapshots::Copy, skip: &|_| false, skip_xattr: &|_| false };
        for name in tar.names(path("containerd/daemon")).expect("its folders") {
            let to = TreePathBuf::new(name.clone()).expect("a name");
            let from = path("containerd/daemon").child(&name).expect("a name");
            copy(&tar, from.as_path(), &root, to.as_path(), &copying).expect("memory");
        }
        let (containers, _) = tranship::store::containers::read_all(&tar).expect("sound");
        Recorded { root, containers }
    })
}

/// What the mends have to stand on.
fn plan(tree: &Arc<Memory>, others: Vec<Arc<dyn Source>>, content: bool) -> Mending {
    plan_of(Arc::<Memory>::clone(tree), others, content)
}

fn plan_of(tree: Arc<dyn Tree>, others: Vec<Arc<dyn Source>>, content: bool) -> Mending {
    let host = Platform::default();
    let help = Help {
        others,
        containers: &recorded().containers,
        root: &Memory::new(),
        content,
        platform: &host,
        now: NOW,
    };
    containerd::mends(&tree, NAMESPACE, SNAPSHOTTER, &help).expect("folders that can be read")
}

/// Carries a plan out; what is planned after it is nothing.
fn mend(tree: &Arc<Memory>, others: &[Arc<dyn Source>], content: bool) -> Mending {
    let mending = plan(tree, others.to_vec(), content);
    let about = About { verb: "repair", at: NOW, number: 1, keep: true };
    let ends = aside::apply(&**tree, &about, &mending.mends, &()).expect("memory");
    assert!(ends.iter().all(|end| matches!(end, End::Done)), "{ends:?}");
    let again = plan(tree, others.to_vec(), content);
    assert_eq!(codes(&again), Vec::<&str>::new(), "{:?}", again.mends);
    mending
}

fn codes(mending: &Mending) -> Vec<&'static str> {
    mending.mends.iter().map(|mend| mend.code).collect()
}

fn damaged() -> Arc<Memory> {
    Arc::new(recorded().root.clone())
}

fn other() -> Arc<dyn Source> {
    let tree: Arc<dyn Tree> = damaged();
    Arc::new(Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &Platform::default()).expect("sound"))
}

/// The size of a blob as the store writes it, and its labels.
type BlobKept = (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>);

/// The parent of a snapshot, its children, the number of its folder, and its kind.
type SnapshotKept = (Option<Vec<u8>>, BTreeSet<Vec<u8>>, u64, Vec<u8>);

/// All that the records say, but for times.
#[derive(Debug, Default, PartialEq)]
struct State {
    images: BTreeMap<String, String>,
    blobs: BTreeMap<String, BlobKept>,
    snapshots: BTreeMap<String, SnapshotKept>,
    leases: BTreeSet<String>,
    sequences: [u64; 2],
}

/// Fails with the first that differs.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<String, T>,
    wanted: &BTreeMap<String, T>,
    what: &str,
) {
    let keys: BTreeSet<_> = found.keys().chain(wanted.keys()).collect();
    for key in keys {
        assert_eq!(found.get(key), wanted.get(key), "{what}: {key}");
    }
}

fn values(bucket: Option<&OwnedBucket<'static>>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let entries = bucket.into_iter().flat_map(OwnedBucket::iter);
    let read = entries.filter_map(|(key, node)| match node {
        Node::Value(value) => Some((key.to_vec(), value.to_vec())),
        Node::Bucket(_) => None,
    });
    read.collect()
}

fn state(tree: &dyn Tree) -> State {
    let meta = bolt(tree, META).expect("sound").expect("it is there");
    let backend = bolt(tree, BACKEND).expect("sound").expect("it is there");
    let own = meta.at(&[b"v1", b"moby"]).expect("the namespace");
    let mut state = State::default();
    for (name, image) in children(own.child(b"images")) {
        let target = image.child(b"target").and_then(|target| target.get(b"digest"));
        let target = String::from_utf8_lossy(target.expect("a target")).into_owned();
        state.images.insert(name, target);
    }
    for (digest, blob) in children(own.at(&[b"content", b"blob"])) {
        let size = blob.get(b"size").expect("a size").to_vec();
        state.blobs.insert(digest, (size, values(blob.child(b"labels"))));
    }
    let all = backend.at(&[b"v1", b"snapshots"]).expect("snapshots");
    let known = own.at(&[b"snapshots", b"overlayfs"]).expect("snapshots");
    for (key, snapshot) in children(Some(known)) {
        // What cannot be mended stays as it is.
        let Some(there) = all.child(snapshot.get(b"name").expect("a name")) else { continue };
        let parent = snapshot.get(b"parent").map(<[u8]>::to_vec);
        let children = values(snapshot.child(b"children")).into_keys().collect();
        let kind = there.get(b"kind").expect("a kind").to_vec();
        let folder = id(there).expect("a folder");
        state.snapshots.insert(key, (parent, children, folder, kind));
    }
    state.leases = children(own.child(b"leases")).map(|(id, _)| id).collect();
    state.sequences = [known.sequence, all.sequence];
    state
}

fn change(tree: &Memory, file: &str, edit: impl FnOnce(&mut OwnedBucket<'static>)) {
    let mut root = bolt(tree, file).expect("sound").expect("it is there");
    edit(&mut root);
    let freelist = file == BACKEND;
    let options = Options { freelist, ..Options::default() };
    overwrite(tree, file, &bbolt::write(&root, &options).expect("it fits"));
}

fn overwrite(tree: &Memory, file: &str, bytes: &[u8]) {
    tree.remove(path(file)).expect("it is there");
    write(tree, path(file), 0o644, bytes).expect("a free name");
}

fn remove(tree: &Memory, file: &str) {
    tree.remove(path(file)).expect("it is there");
}

#[test]
fn a_sound_root_is_left_alone() {
    for content in [false, true] {
        let mending = plan(&damaged(), vec![other()], content);
        assert_eq!(codes(&mending), Vec::<&str>::new(), "{:?}", mending.mends);
        assert_eq!(mending.unmendable, []);
    }
}

/// What a snapshot holds; when its topmost folder changed is not in the tar.
fn files(tree: &dyn Tree, folder: u64) -> Vec<String> {
    listing(tree, path(&format!("{FOLDERS}/{folder}/fs"))).into_iter().skip(1).collect()
}

type Damage = fn(&Memory, &State);

fn own<'b>(root: &'b mut OwnedBucket<'static>, keys: &[&[u8]]) -> &'b mut OwnedBucket<'static> {
    root.path_mut(&[&[&b"v1"[..], b"moby"], keys].concat())
}

/// A layer's key that others stand on, and one that none stands on.
fn layers(state: &State) -> (String, String) {
    let holds = |key: &&Vec<u8>| key.starts_with(b"sha256:");
    let layers = || state.snapshots.iter().filter(|(key, _)| key.starts_with("sha256:"));
    let inner = layers().find(|(_, one)| one.1.iter().any(|key| holds(&key)));
    let top = layers().find(|(_, one)| !one.1.iter().any(|key| holds(&key)));
    let (inner, top) = (inner.expect("a layer below others"), top.expect("a topmost layer"));
    (inner.0.clone(), top.0.clone())
}

/// Damage that leaves nothing behind once it is mended, and the codes it is mended by.
const CASES: &[(&str, &[&str], Damage)] = &[
    ("a blob without record", &["records-wrong"], |tree, state| {
        let layer = state.blobs.iter().find(|(_, blob)| blob.1.is_empty());
        let digest = layer.map_or_else(|| state.blobs.keys().next(), |(digest, _)| Some(digest));
        let digest = digest.expect("a blob").clone();
        change(tree, META, |root| {
            own(root, &[b"content", b"blob"]).remove(digest.as_bytes());
        });
    }),
    ("labels of a manifest", &["records-wrong"], |tree, state| {
        let is_manifest = |labels: &BTreeMap<Vec<u8>, Vec<u8>>| {
            let config = labels.contains_key(&b"containerd.io/gc.ref.content.config"[..]);
            config
                && labels.len()
                    == labels
                        .keys()
                        .filter(|key| key.starts_with(b"containerd.io/gc.ref.content"))
                        .count()
        };
        let manifest = state.blobs.iter().find(|(_, blob)| is_manifest(&blob.1));
        let digest = manifest.expect("a manifest").0.clone();
        change(tree, META, |root| {
            own(root, &[b"content", b"blob", digest.as_bytes()]).remove(b"labels");
        });
    }),
    ("the label of a config", &["records-wrong"], |tree, state| {
        let label = &b"containerd.io/gc.ref.snapshot.overlayfs"[..];
        let config = state.blobs.iter().find(|(_, blob)| blob.1.contains_key(label));
        let digest = config.expect("a config").0.clone();
        change(tree, META, |root| {
            own(root, &[b"content", b"blob", digest.as_bytes(), b"labels"]).remove(label);
        });
    }),
    ("a wrong length", &["records-wrong"], |tree, state| {
        let digest = state.blobs.keys().next().expect("a blob").clone();
        change(tree, META, |root| {
            let blob = own(root, &[b"content", b"blob", digest.as_bytes()]);
            blob.put(b"size", value::encode_varint(7));
        });
    }),
    ("children", &["records-wrong"], |tree, state| {
        let key = layers(state).0;
        change(tree, META, |root| {
            own(root, &[b"snapshots", b"overlayfs", key.as_bytes()]).remove(b"children");
        });
    }),
    ("links", &["records-wrong"], |tree, _| {
        change(tree, BACKEND, |root| {
            root.bucket_mut(b"v1").remove(b"parents");
        });
    }),
    ("a name", &["records-wrong"], |tree, state| {
        let key = layers(state).0;
        change(tree, META, |root| {
            let entry = own(root, &[b"snapshots", b"overlayfs", key.as_bytes()]);
            entry.put(b"name", format!("moby/1/{key}").into_bytes());
        });
    }),
    ("a record of the snapshotter", &["records-wrong"], |tree, state| {
        let key = layers(state).0;
        change(tree, BACKEND, |root| {
            let all = root.path_mut(&[b"v1", b"snapshots"]);
            let name = children(Some(all)).map(|(name, _)| name).find(|name| name.ends_with(&key));
            all.remove(name.expect("it is there").as_bytes());
        });
    }),
    ("a container's record of the snapshotter", &["records-wrong"], |tree, _| {
        let container = &recorded().containers[0].id;
        change(tree, BACKEND, |root| {
            let all = root.path_mut(&[b"v1", b"snapshots"]);
            let names = children(Some(all)).map(|(name, _)| name);
            let names: Vec<_> = names.filter(|name| name.ends_with(container.as_str())).collect();
            all.remove(names[0].as_bytes());
        });
    }),
    ("a download", &["ingest-stale"], |tree, _| {
        let folder = "io.containerd.content.v1.content/ingest/aa";
        let _ = tree.make_dir(path("io.containerd.content.v1.content/ingest"), 0o755);
        tree.make_dir(path(folder), 0o755).expect("a free name");
        write(tree, path(&format!("{folder}/data")), 0o644, b"half").expect("a free name");
    }),
    ("a folder of nobody", &["snapshot-folder-orphan"], |tree, _| {
        tree.make_dir(path(&format!("{FOLDERS}/9999")), 0o700).expect("a free name");
        tree.make_dir(path(&format!("{FOLDERS}/9999/fs")), 0o755).expect("a free name");
    }),
    ("a layer's folder", &["snapshot-folder-missing"], |tree, state| {
        let folder = state.snapshots[&layers(state).1].2;
        remove(tree, &format!("{FOLDERS}/{folder}"));
    }),
    ("a layer's files", &["snapshot-folder-missing"], |tree, state| {
        let folder = state.snapshots[&layers(state).0].2;
        remove(tree, &format!("{FOLDERS}/{folder}/fs"));
    }),
];

#[test]
fn what_was_damaged_is_as_it_was() {
    let sound = state(&recorded().root);
    for (what, wanted, damage) in CASES {
        let tree = damaged();
        damage(&tree, &sound);
        let mending = mend(&tree, &[], false);
        assert_eq!(
            (codes(&mending), &mending.unmendable[..]),
            (wanted.to_vec(), &[][..]),
            "{what}"
        );
        let found = state(&*tree);
        assert_eq!(found.images, sound.images, "{what}");
        same(&found.blobs, &sound.blobs, what);
        same(&found.snapshots, &sound.snapshots, what);
        for folder in sound.snapshots.values().map(|snapshot| snapshot.2) {
            assert_eq!(files(&*tree, folder), files(&recorded().root, folder), "{what}: {folder}");
        }
        aside::undo(&*tree, 1).expect("nothing was changed since");
        let again = plan(&tree, Vec::new(), false);
        assert_eq!(codes(&again), *wanted, "{what}: the damage is back");
    }
}

/// Whichever page of a bolt file is gone, no image, blob or container is lost.
#[test]
fn a_broken_bolt_file_costs_nothing_that_is_on_disk() {
    let sound = state(&recorded().root);
    for file in [META, BACKEND] {
        let bytes = read(&recorded().root, path(file)).expect("it is there");
        let used = bbolt::check(&bytes).expect("sound").pages as usize;
        let mut harmed: Vec<(String, Vec<u8>)> = (2..used)
            .map(|page| {
                let mut bytes = bytes.clone();
                bytes[page * 4096..][..4096].fill(0);
                (format!("{file}: page {page}"), bytes)
            })
            .filter(|(_, bytes)| bbolt::check(bytes).is_err())
            .collect();
        let step = (harmed.len() / 24).max(1);
        harmed = harmed.into_iter().step_by(step).collect();
        let mut headless = bytes.clone();
        headless[..8192].fill(0);
        harmed.push((format!("{file}: both metas"), headless));
        harmed.push((format!("{file}: cut"), bytes[..used * 4096 / 2].to_vec()));
        harmed.push((format!("{file}: empty"), Vec::new()));
        for (what, bytes) in harmed {
            let tree = damaged();
            overwrite(&tree, file, &bytes);
            let mending = mend(&tree, &[], false);
            assert!(codes(&mending).contains(&"bolt-damaged"), "{what}");
            let found = state(&*tree);
            let ids = |state: &State| state.images.values().cloned().collect::<BTreeSet<_>>();
            assert!(ids(&found).is_superset(&ids(&sound)), "{what}");
            let blobs = |state: &State| state.blobs.keys().cloned().collect::<BTreeSet<_>>();
            assert!(blobs(&found).is_superset(&blobs(&sound)), "{what}");
            if mending.unmendable.is_empty() {
                let keys = |state: &State| state.snapshots.keys().cloned().collect::<BTreeSet<_>>();
                assert!(keys(&found).is_superset(&keys(&sound)), "{what}");
            }
            let source = Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &Platform::default());
            assert!(source.is_ok(), "{what}");
        }
    }
}

#[test]
fn what_is_damaged_in_content_comes_from_elsewhere() {
    let sound = state(&recorded().root);
    let first = sound.blobs.keys().next_back().expect("a blob").strip_prefix("sha256:");
    let blob = format!("{BLOBS}/{}", first.expect("a digest"));
    // Gone, changed, and shorter than its record says.
    type Harm = fn(&mut Vec<u8>);
    let harms: [(&str, Harm); 2] =
        [("blob-damaged", |bytes| bytes[0] ^= 1), ("blob-damaged", |bytes| bytes.truncate(3))];
    for (code, harm) in harms {
        let tree = damaged();
        let mut bytes = read(&*tree, path(&blob)).expect("it is there");
        harm(&mut bytes);
        overwrite(&tree, &blob, &bytes);
        let alone = plan(&tree, Vec::new(), true);
        assert_eq!(alone.unmendable.iter().map(|one| one.code).collect::<Vec<_>>(), [code]);
        let mending = mend(&tree, &[other()], true);
        assert_eq!(codes(&mending), [code]);
        assert_eq!(read(&*tree, path(&blob)).ok(), read(&recorded().root, path(&blob)).ok());
        assert_eq!(state(&*tree), sound);
    }
    let tree = damaged();
    remove(&tree, &blob);
    assert_eq!(codes(&mend(&tree, &[other()], false)), ["blob-missing"]);
    assert_eq!(state(&*tree), sound);
    let tree = damaged();
    remove(&tree, &blob);
    assert_eq!(codes(&mend(&tree, &[], false)), ["records-wrong"], "nobody has it");
    let digest: BlobId = format!("sha256:{}", first.expect("a digest")).parse().expect("a digest");
    assert!(!state(&*tree).blobs.contains_key(&digest.to_string()));
}

#[test]
fn a_file_of_no_bytes_is_unpacked_again() {
    let sound = state(&recorded().root);
    let tree = damaged();
    let folder = sound.snapshots[&layers(&sound).0].2;
    let files = format!("{FOLDERS}/{folder}/fs");
    let mut victim = None;
    tranship::tree::walk(&*tree, path(&files), &mut |at, entry| {
        let is_file = entry.metadata.kind == tranship::tree::Kind::File;
        if is_file && entry.metadata.size > 0 && entry.metadata.nlink == 1 {
            victim = Some((at.to_owned(), entry.metadata));
        }
        Ok(true)
    })
    .expect("memory");
    let (victim, metadata) = victim.expect("a file");
    let at: TreePath<'_> = victim.as_path();
    tree.remove(at).expect("it is there");
    let to = tranship::tree::Attributes {
        mode: metadata.mode,
        uid: metadata.uid,
        gid: metadata.gid,
        mtime: Some(metadata.mtime),
        ..Default::default()
    };
    tree.create(at, &to).expect("a free name").finish().expect("no bytes");
    assert_eq!(codes(&plan(&tree, Vec::new(), false)), Vec::<&str>::new(), "it takes reading");
    assert_eq!(codes(&mend(&tree, &[], true)), ["files-damaged"]);
    assert_eq!(self::files(&*tree, folder), self::files(&recorded().root, folder));
    assert_eq!(state(&*tree), sound);
}
