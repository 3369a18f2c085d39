//! What is written, entry by entry and file by file: Form::OciATS are containerd's, not ours to choose.

use std::collections::BTreeMap;
use std::sync::Arc;

use tranship::digest::{BlobId, Digest};
use tranship::format::bbolt::{Node, OwnedBucket};
use tranship::format::containerd::value;
use tranship::format::oci::{classic_save_manifest, media_type};
use tranship::store::Compression;
use tranship::tree::{Memory, Time, Tree, TreePathBuf, path, read};

use crate::support::classic::{ARRIVED, Classic, MTIME, owner};
use crate::support::moved::{Moved, moved};
use crate::support::seen::{BACKEND, BLOBS, FOLDERS, META, bolt, children, id, listing};
use crate::support::{Migration, NOW};

const TWO: &str = "
diff base
  dir  bin
  file bin/sh shell*900
  hard bin/ash bin/sh
  link bin/bash sh
  gone bin/old
  dir  var
  hide var
  attr .   trusted.overlay.impure y
  attr .   trusted.overlay.origin handle
  attr bin trusted.overlay.origin handle
  attr bin user.kept yes
diff top
  dir  bin
  gone bin/bash
  dir  var
  hide var
  attr var trusted.overlay.impure y
  attr .   trusted.overlay.uuid number
image base = base
  name base:1
  updated 2024-05-06T07:08:09.5+02:00
image top = base + top
  name top:1
  parent base
";

fn bucket<'b>(root: &'b OwnedBucket<'static>, path: &[&str]) -> &'b OwnedBucket<'static> {
    let keys: Vec<&[u8]> = path.iter().map(|name| name.as_bytes()).collect();
    root.at(&keys).unwrap_or_else(|| panic!("no bucket {path:?}"))
}

fn meta(moved: &Moved) -> OwnedBucket<'static> {
    bolt(&*moved.tree, META).expect("sound").expect("it is there")
}

fn backend(moved: &Moved) -> OwnedBucket<'static> {
    bolt(&*moved.tree, BACKEND).expect("sound").expect("it is there")
}

fn labels(of: &[(&str, String)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn keys(bucket: &OwnedBucket<'_>) -> Vec<String> {
    bucket.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
}

#[test]
fn a_new_meta_db_is_one_that_any_containerd_opens() {
    let meta = meta(&moved(TWO, &Migration::default()));
    assert_eq!(keys(&meta), ["v1"]);
    let v1 = bucket(&meta, &["v1"]);
    assert_eq!(keys(v1), ["moby", "version"]);
    assert_eq!(v1.get(b"version"), Some(&[6][..]), "3 as a varint");
    assert_eq!(keys(bucket(v1, &["moby"])), ["content", "images", "snapshots"]);
    assert_eq!(keys(bucket(v1, &["moby", "content"])), ["blob", "ingests"]);
}

#[test]
fn snapshots_have_names_numbers_and_links_in_both_files() {
    let (moved, classic) = (moved(TWO, &Migration::default()), Classic::of(TWO));
    let [base, top] =
        [&["base"][..], &["base", "top"]].map(|chain| classic.chain(chain).to_string());
    let (meta, backend) = (meta(&moved), backend(&moved));
    let all = bucket(&meta, &["v1", "moby", "snapshots", "overlayfs"]);
    assert_eq!(all.sequence, 4, "two numbers for each");
    let [name, top_name] = [(&base, 1), (&top, 3)].map(|(chain, n)| format!("moby/{n}/{chain}"));
    let (lower, upper) = (bucket(all, &[&base]), bucket(all, &[&top]));
    assert_eq!(keys(lower), ["children", "createdat", "name", "updatedat"]);
    assert_eq!(lower.get(b"name"), Some(name.as_bytes()));
    assert_eq!(keys(bucket(lower, &["children"])), [top.as_str()]);
    assert_eq!(bucket(lower, &["children"]).get(top.as_bytes()), Some(&b""[..]));
    assert_eq!(keys(upper), ["createdat", "name", "parent", "updatedat"]);
    assert_eq!(upper.get(b"name"), Some(top_name.as_bytes()));
    assert_eq!(upper.get(b"parent"), Some(base.as_bytes()));

    assert_eq!(keys(&backend), ["v1"]);
    assert_eq!(keys(bucket(&backend, &["v1"])), ["parents", "snapshots"]);
    let all = bucket(&backend, &["v1", "snapshots"]);
    assert_eq!(all.sequence, 2, "the last folder");
    let (lower, upper) = (bucket(all, &[&name]), bucket(all, &[&top_name]));
    assert_eq!(keys(lower), ["createdat", "id", "inodes", "kind", "size", "updatedat"]);
    assert_eq!((lower.get(b"id"), lower.get(b"kind")), (Some(&[1][..]), Some(&[3][..])));
    assert_eq!((upper.get(b"id"), upper.get(b"parent")), (Some(&[2][..]), Some(name.as_bytes())));
    assert_eq!(lower.get(b"createdat"), Some(&value::encode_time(NOW)[..]));
    // The folder itself, bin, bin/sh with its two names, bin/bash, var; old is a whiteout.
    assert_eq!(lower.get(b"inodes"), Some(&value::encode_varint(5)[..]));
    // Three folders and a file of two blocks; the link takes none.
    assert_eq!(lower.get(b"size"), Some(&value::encode_varint(5 * 4096)[..]));
    let links = bucket(&backend, &["v1", "parents"]);
    assert_eq!(links.iter().count(), 1);
    assert_eq!(links.get(&[1, 0, 2]), Some(top_name.as_bytes()));
}

#[test]
fn numbers_go_on_where_a_daemon_stopped() {
    let first = moved(TWO, &Migration::of(&["base:1"]));
    crate::support::daemon::edit(&first.tree, META, |meta| {
        meta.path_mut(&[b"v1", b"moby", b"snapshots", b"overlayfs"]).sequence = 40;
    });
    crate::support::daemon::edit(&first.tree, BACKEND, |backend| {
        backend.path_mut(&[b"v1", b"snapshots"]).sequence = 17;
    });
    let both = first.and(TWO, &Migration::default());
    let top = Classic::of(TWO).chain(&["base", "top"]).to_string();
    let all = meta(&both);
    let all = bucket(&all, &["v1", "moby", "snapshots", "overlayfs"]);
    assert_eq!(all.sequence, 42);
    assert_eq!(bucket(all, &[&top]).get(b"name"), Some(format!("moby/41/{top}").as_bytes()));
    let backend = backend(&both);
    let known = children(backend.at(&[b"v1", b"snapshots"]));
    let ids: Vec<_> = known.filter_map(|(_, snapshot)| id(snapshot).ok()).collect();
    assert_eq!(ids, [1, 18]);
    assert_eq!(bucket(&backend, &["v1", "snapshots"]).sequence, 18);
}

#[test]
fn labels_keep_from_the_collector_what_an_image_needs() {
    let (moved, classic) = (moved(TWO, &Migration::default()), Classic::of(TWO));
    let target = &moved.record("top:1").target;
    let [base, top] = ["base", "top"].map(|diff| classic.diff_id(diff).to_string());
    let config = classic.config("top").to_string();
    let of = |digest: &String| moved.seen.blobs[digest].labels.clone();
    assert_eq!(
        of(target),
        labels(&[
            ("containerd.io/gc.ref.content.config", config.clone()),
            ("containerd.io/gc.ref.content.l.0", base.clone()),
            ("containerd.io/gc.ref.content.l.1", top.clone()),
        ])
    );
    let chain = classic.chain(&["base", "top"]).to_string();
    assert_eq!(of(&config), labels(&[("containerd.io/gc.ref.snapshot.overlayfs", chain)]));
    assert_eq!(of(&base), labels(&[("containerd.io/uncompressed", base.clone())]));
}

#[test]
fn without_compression_the_manifest_is_that_of_docker_save() {
    let (moved, classic) = (moved(TWO, &Migration::default()), Classic::of(TWO));
    let layers = ["base", "top"].map(|diff| {
        let blob = BlobId(classic.diff_id(diff).0);
        (media_type::OCI_LAYER, blob, classic.tar(diff).len() as u64)
    });
    let config = classic.config_bytes("top");
    let wanted = classic_save_manifest((classic.config("top"), config.len() as u64), &layers);
    let record = moved.record("top:1");
    assert_eq!(record.target, Digest::of(&wanted).to_string());
    assert_eq!(record.media_type, "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(record.size, i64::try_from(wanted.len()).expect("small"));
    let blob = |hex: &str| read(&*moved.tree, path(&format!("{BLOBS}/{hex}"))).expect("there");
    assert!(blob(&classic.config("top").hex()) == config, "a config is kept to the byte");
    assert!(blob(&classic.diff_id("base").hex()) == classic.tar("base"));
    let found = moved.tree.stat(path(&format!("{BLOBS}/{}", classic.config("top").hex())));
    assert_eq!(found.expect("there").mode, 0o444);
}

#[test]
fn times_are_those_of_arrival_and_of_the_last_tag() {
    let moved = moved(TWO, &Migration::default());
    let arrived = Time { seconds: ARRIVED, nanos: 0 };
    let tagged = Time { seconds: 1_714_972_089, nanos: 500_000_000 };
    let times = |name: &str| (moved.record(name).created, moved.record(name).updated);
    assert_eq!(times("base:1"), (arrived, tagged));
    assert_eq!(times("top:1"), (arrived, arrived));
}

/// Returns the lines of a snapshot's files that begin with `name`.
fn file(moved: &Moved, chain: &[&str], name: &str) -> Vec<String> {
    let snapshot = &moved.seen.snapshots[&Classic::of(TWO).chain(chain).to_string()];
    let wanted = format!("{name} ");
    snapshot.files.iter().filter(|line| line.starts_with(&wanted)).cloned().collect()
}

#[test]
fn a_base_layer_has_no_marks_of_overlayfs() {
    let moved = moved(TWO, &Migration::default());
    let base = |name: &str| file(&moved, &["base"], name);
    assert_eq!(base("fs/bin/old"), [""; 0], "a whiteout hides nothing below a base layer");
    let (uid, gid) = owner();
    assert_eq!(base("fs/var"), [format!("fs/var Dir 755 {uid}:{gid} {MTIME} x1 (0, 0) []")]);
    let [bin] = base("fs/bin").try_into().expect("one folder");
    assert!(bin.ends_with("[(\"user.kept\", \"yes\")]"), "{bin}");
    let [root] = base("fs").try_into().expect("one folder");
    assert!(root.ends_with("[]"), "the kernel's own notes stay behind: {root}");
}

#[test]
fn an_upper_layer_keeps_what_it_hides() {
    let moved = moved(TWO, &Migration::default());
    let top = |name: &str| file(&moved, &["base", "top"], name);
    let (uid, gid) = owner();
    assert_eq!(
        top("fs/bin/bash"),
        [format!("fs/bin/bash Char 0 {uid}:{gid} {MTIME} x1 (0, 0) []")]
    );
    let [var] = top("fs/var").try_into().expect("one folder");
    assert!(var.ends_with("[(\"trusted.overlay.opaque\", \"y\")]"), "{var}");
    let [root] = top("fs").try_into().expect("one folder");
    assert!(root.ends_with("[]"), "{root}");
}

#[test]
fn files_are_what_they_were() {
    let (moved, classic) = (moved(TWO, &Migration::default()), Classic::of(TWO));
    let source = classic.tree();
    let from = TreePathBuf::new(classic.files(&["base"]).into_bytes()).expect("a path");
    let wanted: Vec<_> = listing(&source, from.as_path()).into_iter().skip(1).collect();
    let found = &moved.seen.snapshots[&classic.chain(&["base"]).to_string()].files;
    for name in ["bin/sh", "bin/ash", "bin/bash"] {
        let line = wanted.iter().find(|line| line.starts_with(&format!("{name} ")));
        let line = format!("fs/{}", line.expect("it is in the store"));
        assert!(found.contains(&line), "{line} is not in {found:#?}");
    }
    let ino = |name: &str| moved.tree.stat(path(&format!("{FOLDERS}/1/fs/bin/{name}")));
    let [sh, ash] = ["sh", "ash"].map(|name| ino(name).expect("it is there"));
    assert_eq!((sh.ino, sh.nlink), (ash.ino, 2), "one file with two names");
    let work = found.iter().find(|line| line.starts_with("work "));
    assert!(work.is_some_and(|line| line.starts_with("work Dir 711 0:0")), "{work:?}");
}

#[test]
fn other_namespaces_and_all_else_in_the_file_stay() {
    let first = moved(TWO, &Migration::of(&["base:1"]));
    crate::support::daemon::edit(&first.tree, META, |meta| {
        let v1 = meta.bucket_mut(b"v1");
        v1.put(b"version", value::encode_varint(4));
        v1.path_mut(&[b"other", b"images", b"x", b"target"]).put(b"digest", b"sha256:no");
        v1.path_mut(&[b"moby", b"leases", b"l", b"labels"]).put(b"a", b"b");
        v1.path_mut(&[b"moby", b"content", b"ingests"]).sequence = 3;
    });
    let others = crate::support::seen::look(&*first.tree).expect("sound").others;
    let both = first.and(TWO, &Migration::default());
    assert_eq!(both.seen.others, others);
    assert_eq!(bucket(&meta(&both), &["v1", "moby", "content", "ingests"]).sequence, 3);
}

#[test]
fn the_same_run_makes_the_same_bytes() {
    for compression in [Compression::None, Compression::Gzip(6), Compression::Zstd(3)] {
        let migration = Migration::all().compression(compression);
        let [one, two] = [(); 2].map(|()| moved(TWO, &migration));
        let root = tranship::tree::TreePath::ROOT;
        assert_eq!(listing(&*one.tree, root), listing(&*two.tree, root), "{compression:?}");
    }
}

#[test]
fn a_name_that_is_no_name_is_refused_before_anything_is_written() {
    use tranship::error::ErrorKind;
    use tranship::format::oci::Platform;
    use tranship::store::containerd::Writer;
    use tranship::store::{Form, Writing};
    use tranship::tree::{Sink, Snapshots};
    for (namespace, snapshotter) in
        [("moby", ""), ("moby", "a//b"), ("moby", "../x"), ("a/b", "overlayfs"), ("", "overlayfs")]
    {
        let target = Arc::new(Memory::new());
        let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
        let writing = Writing {
            compression: Compression::None,
            snapshots: Snapshots::Auto,
            form: Form::Oci,
            now: NOW,
        };
        let error = Writer::open(sink, namespace, snapshotter, &Platform::default(), writing);
        assert_eq!(error.expect_err("no name").kind(), ErrorKind::Refused);
    }
    let value = |node: &Node<'_>| matches!(node, Node::Value(_));
    let meta = meta(&moved(TWO, &Migration::default()));
    assert!(!meta.iter().any(|(_, node)| value(node)), "the root has buckets alone");
}
