//! Parts of stores: what nothing names, what is there twice, and what a switch left.

use tranship::digest::Digest;
use tranship::format::containerd::value;
use tranship::model::StoreKind;
use tranship::op::reclaim::{Request, plan};
use tranship::tree::{Attributes, Memory, Sink, Special, Tree, path};

use super::{codes, images, only, orphans, planned, recorded, removed};
use crate::moves::{INNER, look, moved, put, root};
use crate::support::NOW;
use crate::support::daemon::edit;
use crate::support::seen::{BACKEND, BLOBS, FOLDERS, META};

pub(crate) fn both() -> Memory {
    moved(&root(), StoreKind::Classic).0
}

#[test]
fn nothing_of_a_sound_root_is_an_orphan() {
    for root in [root(), both()] {
        let found = planned(&root, &orphans());
        assert_eq!(codes(&found), [].into(), "{:?}", found.parts);
    }
    for name in ["classic-28", "containerd-28", "hidden-28"] {
        let host = recorded(name);
        let found = plan(only(&host), &orphans(), &()).expect("a plan");
        let waste: Vec<_> = found.parts.iter().flat_map(|part| &part.waste).collect();
        for one in waste {
            assert!(
                one.code == "temporary" || one.proof.contains("containerd collects"),
                "{name}: {one:?}"
            );
        }
    }
}

/// What is put into a root, and what becomes of it.
pub(crate) type Row = (&'static str, fn(&Memory), &'static [&'static str]);

const LAYERDB: &str = "image/overlay2/layerdb";

pub(crate) const ORPHANS: [Row; 13] = [
    ("a folder of no layer", |root| put(root, "overlay2/lost/diff/x", b"x"), &["folder"]),
    (
        "a link that leads nowhere",
        |root| {
            let link = Special::Symlink(b"../gone/diff".to_vec());
            root.make_dir(path("overlay2/l"), 0o700).expect("a folder");
            let at = path("overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ");
            root.put(at, &link, &Attributes::root(0o777)).expect("a free name");
        },
        &["link"],
    ),
    ("a layer of no image", layer_of_no_image, &["folder", "layer"]),
    (
        "a layer that is being removed",
        |root| put(root, &format!("{LAYERDB}/sha256/{}-00-removing/cache-id", hex("a")), b"lost2"),
        &["layer"],
    ),
    (
        "an unfinished layer",
        |root| put(root, &format!("{LAYERDB}/tmp/write-set-1/diff"), b"x"),
        &["staging"],
    ),
    (
        "what a container left",
        |root| put(root, &format!("{LAYERDB}/mounts/{}/parent", hex("b")), b"x"),
        &["container"],
    ),
    ("a temporary file", |root| put(root, "tmp/GetImageBlob1", b"x"), &["temporary"]),
    (
        "a blob without a record",
        |root| put(root, &format!("{INNER}/{BLOBS}/{}", hex("c")), b"c"),
        &["blob"],
    ),
    (
        "a snapshot folder without a record",
        |root| put(root, &format!("{INNER}/{FOLDERS}/99/fs/x"), b"x"),
        &["snapshot"],
    ),
    (
        "a snapshot that was never finished",
        |root| put(root, &format!("{INNER}/{FOLDERS}/new-12/fs/x"), b"x"),
        &["snapshot"],
    ),
    (
        "a download that nobody knows",
        |root| {
            let at = format!("{INNER}/io.containerd.content.v1.content/ingest/{}/ref", hex("d"));
            put(root, &at, b"moby/1/layer");
        },
        &["download"],
    ),
    (
        "what a migration left",
        |root| put(root, &format!("{INNER}/tranship/blobs/x"), b"x"),
        &["staging"],
    ),
    ("a lease that has ended", ended_lease, &["lease"]),
];

#[test]
fn each_orphan_is_found_and_goes_alone() {
    for (what, add, wanted) in ORPHANS {
        let root = both();
        let before = look(&root).expect("sound");
        add(&root);
        let found = planned(&root, &orphans());
        let names: Vec<_> = codes(&found).into_keys().collect();
        assert_eq!(names, wanted, "{what}: {:?}", found.parts);
        let (after, done) = removed(&root, &orphans());
        assert_eq!(look(&after).expect(what), before, "{what}");
        assert_eq!(images(&after), images(&both()), "{what}");
        assert_eq!(codes(&planned(&after, &orphans())), [].into(), "{what}");
        assert!(done.freed > 0 || wanted == ["lease"], "{what}");
    }
}

pub(super) fn hex(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()
}

fn layer_of_no_image(root: &Memory) {
    let diff = Digest::of(b"nobody's");
    let at = format!("{LAYERDB}/sha256/{}", diff.hex());
    put(root, &format!("{at}/diff"), diff.to_string().as_bytes());
    put(root, &format!("{at}/size"), b"1");
    put(root, &format!("{at}/cache-id"), b"lost");
    put(root, "overlay2/lost/diff/x", b"x");
}

pub(super) fn lease(root: &Memory, id: &str, label: Option<(&str, &str)>) {
    let tree = root.clone();
    let file = format!("{INNER}/{META}");
    edit(&tree, &file, |meta| {
        let lease = meta.path_mut(&[b"v1", b"moby", b"leases", id.as_bytes()]);
        lease.put(b"createdat", value::encode_time(NOW).to_vec());
        if let Some((key, value)) = label {
            lease.bucket_mut(b"labels").put(key.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
    });
    // `edit` works on what it is given: its bytes are what counts.
    let bytes = tranship::tree::read(&tree, path(&file)).expect("it was written");
    put(root, &file, &bytes);
}

fn ended_lease(root: &Memory) {
    lease(root, "pull", Some(("containerd.io/gc.expire", "2001-01-01T00:00:00Z")));
}

#[test]
fn in_doubt_a_folder_stays() {
    let root = both();
    put(&root, "overlay2/lost/diff/x", b"x");
    let diff = Digest::of(b"silent");
    put(&root, &format!("{LAYERDB}/sha256/{}/diff", diff.hex()), diff.to_string().as_bytes());
    let found = planned(&root, &orphans());
    let codes = codes(&found);
    assert!(!codes.contains_key("folder"), "{codes:?}");
    let stay = found.stays.iter().find(|stay| stay.what == "overlay2/lost");
    assert!(stay.is_some_and(|stay| stay.why.contains("does not say which folder")), "{stay:?}");
    let root = both();
    put(&root, "overlay2/lost/diff/x", b"x");
    put(&root, "buildkit/snapshots.db", b"no database");
    let found = planned(&root, &orphans());
    assert!(found.stays.iter().any(|stay| stay.why.contains("image builder")), "{:?}", found.stays);
}

#[test]
fn packed_layers_go_where_they_are_unpacked_and_whole() {
    let root = both();
    let request = Request { blobs: true, now: NOW, ..Request::default() };
    let found = planned(&root, &request);
    assert_eq!(codes(&found), [("blob", 2)].into(), "{:?}", found.parts);
    assert_eq!(found.losses.len(), 4);
    let (after, done) = removed(&root, &request);
    assert_eq!(look(&after).expect("sound"), look(&root).expect("sound"));
    assert!(done.freed > 0);
    let names = after.names(path(&format!("{INNER}/{BLOBS}"))).expect("blobs").len();
    assert_eq!(names, root.names(path(&format!("{INNER}/{BLOBS}"))).expect("blobs").len() - 2);
    assert_eq!(codes(&planned(&after, &orphans())), [].into(), "nothing else is lost by it");
    assert_eq!(codes(&planned(&after, &request)), [].into());

    let folder = root.names(path(&format!("{INNER}/{FOLDERS}"))).expect("snapshots");
    let first = String::from_utf8(folder[0].clone()).expect("a number");
    put(&root, &format!("{INNER}/{FOLDERS}/{first}/fs/bin/sh"), b"");
    let found = planned(&root, &request);
    assert_eq!(codes(&found), [].into(), "{:?}", found.parts);
    let why = "is not what is packed";
    assert!(found.stays.iter().all(|stay| stay.why.contains(why)), "{:?}", found.stays);
}

#[test]
fn leases_of_images_that_are_gone_go() {
    let root = both();
    let (there, gone) = (classic_image(), Digest::of(b"gone"));
    lease(&root, &format!("moby-image-{there}"), None);
    lease(&root, &format!("moby-image-{gone}"), None);
    lease(&root, &hex("a container"), None);
    let request = Request { leases: true, now: NOW, ..Request::default() };
    let found = planned(&root, &request);
    let names: Vec<_> =
        found.parts.iter().flat_map(|part| &part.waste).map(|waste| waste.what.clone()).collect();
    let mut wanted = [format!("lease moby-image-{gone}"), format!("lease {}", hex("a container"))];
    let mut names = names;
    names.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    let (after, _) = removed(&root, &request);
    assert_eq!(look(&after).expect("sound"), look(&root).expect("sound"));
    assert_eq!(codes(&planned(&after, &request)), [].into());
}

fn classic_image() -> String {
    let host = super::surveyed(&root());
    let store = &only(&host).stores[0];
    store.inventory().expect("a store").images[0].id.to_string()
}

#[test]
fn another_namespace_keeps_what_it_has() {
    let root = both();
    let tree = root.clone();
    let file = format!("{INNER}/{META}");
    edit(&tree, &file, |meta| {
        let mine = meta.at(&[b"v1", b"moby", b"content"]).cloned().expect("content");
        meta.path_mut(&[b"v1", b"k8s.io"]).put_bucket(b"content".to_vec(), mine);
    });
    let bytes = tranship::tree::read(&tree, path(&file)).expect("it was written");
    put(&root, &file, &bytes);
    let request = Request { blobs: true, now: NOW, ..Request::default() };
    let found = planned(&root, &request);
    assert_eq!(codes(&found), [].into());
    assert!(found.stays.iter().all(|stay| stay.why.contains("k8s.io")), "{:?}", found.stays);
    assert!(tree.stat(path(&format!("{INNER}/{BACKEND}"))).is_ok());
}
