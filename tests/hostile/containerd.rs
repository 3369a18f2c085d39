//! Harm done to the containerd store and its databases.

use std::fs;
use std::path::{Path, PathBuf};

use tranship::digest::Digest;
use tranship::format::bbolt::OwnedBucket;

use crate::place::{Base, Place, endless, fifo, link, socket, sparse};
use crate::{Harm, all_hold};

const WHY: &str = "the test's own folder";
const DAEMON: &str = "containerd/daemon";
const BLOBS: &str = "containerd/daemon/io.containerd.content.v1.content/blobs/sha256";
const SNAPSHOTS: &str = "containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots";
const META: &str = "containerd/daemon/io.containerd.metadata.v1.bolt/meta.db";
const BACKEND: &str = "containerd/daemon/io.containerd.snapshotter.v1.overlayfs/metadata.db";
const DATABASES: [&str; 3] = [META, BACKEND, "volumes/metadata.db"];

#[test]
fn files_of_the_store() {
    const CASES: &[(&str, Harm)] = &[
        ("blobs are links", |place| each_blob(place, link_out)),
        ("blobs are pipes", |place| each_blob(place, |_, path| fifo(path))),
        ("blobs are sockets", |place| each_blob(place, |_, path| socket(path))),
        ("blobs are devices", |place| each_blob(place, |_, path| endless(path))),
        ("blobs of 1 GiB", |place| each_blob(place, |_, path| sparse(path, 1 << 30))),
        ("blobs are of something else", |place| {
            each_blob(place, |_, path| fs::write(path, "{\"manifests\":[]}").expect(WHY));
        }),
        ("blobs name themselves", |place| each_blob(place, |_, path| names_itself(path))),
        ("snapshots are links", |place| {
            place.all_in(SNAPSHOTS).iter().for_each(|path| link(path, place.outside()));
        }),
        ("files of snapshots are links", |place| {
            let out = place.outside().join("diff");
            place.all_in(SNAPSHOTS).iter().for_each(|path| link(&path.join("fs"), &out));
        }),
        ("the store is a link", |place| {
            let moved = place.outside().join("moved");
            fs::rename(place.path(DAEMON), &moved).expect(WHY);
            link(&place.path(DAEMON), moved);
        }),
    ];
    all_hold(Base::Containerd, CASES);
}

#[test]
fn databases() {
    const CASES: &[(&str, Harm)] = &[
        ("databases are links", |place| {
            let secret = place.outside().join("shadow");
            DATABASES.iter().for_each(|file| link(&place.path(file), &secret));
        }),
        ("databases are pipes", |p| DATABASES.iter().for_each(|file| fifo(&p.path(file)))),
        ("databases of 1 TiB", |p| {
            DATABASES.iter().for_each(|file| sparse(&p.path(file), 1 << 40));
        }),
        ("databases have another name outside", hard_links),
        ("pages that name themselves", |place| each_page(place, page_that_names_itself)),
        ("pages with a count of all", |place| each_page(place, |page, _| page[10..12].fill(0xff))),
        ("pages that never end", |place| each_page(place, |page, _| page[12..16].fill(0xff))),
        ("keys that are elsewhere", |place| each_page(place, |page, _| page[16..64].fill(0xff))),
    ];
    all_hold(Base::Containerd, CASES);
}

#[test]
#[ignore = "long: minutes"]
fn long_what_the_databases_say() {
    const CASES: &[(&str, Harm)] = &[
        ("snapshots are their own parents", |place| parents(place, |names, n| names[n].clone())),
        ("snapshots are each other's parents", |place| {
            parents(place, |names, n| names[(n + 1) % names.len()].clone());
        }),
        ("numbers of snapshots climb", |place| {
            place.edit_bolt(BACKEND, |root| {
                each_snapshot(root, |_, one| drop(one.put(b"id".to_vec(), vec![0xff; 10])));
            });
        }),
        ("names of images are bad", |place| images(place, |_, _| ())),
        ("images lead to nothing", |place| {
            images(place, |target, _| drop(target.put(b"digest".to_vec(), b"../../x".to_vec())));
        }),
        ("images of all sizes", |place| {
            images(place, |target, n| drop(target.put(b"size".to_vec(), vec![0xff; n % 12])));
        }),
    ];
    all_hold(Base::Containerd, CASES);
}

fn each_blob(place: &Place, harm: impl Fn(&Place, &Path)) {
    // Some stay what they are, so that what leads to the others is found.
    for (number, blob) in place.all_in(BLOBS).iter().enumerate() {
        if number % 3 > 0 {
            harm(place, blob);
        }
    }
}

fn link_out(place: &Place, path: &Path) {
    link(path, place.outside().join("shadow"));
}

fn names_itself(path: &Path) {
    let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
    let own = format!(
        r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:{name}","size":9}}"#
    );
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{own},{own}]}}"#
    );
    fs::write(path, index).expect(WHY);
}

fn hard_links(place: &Place) {
    for (number, file) in DATABASES.iter().enumerate() {
        let outside = place.outside().join(format!("database-{number}"));
        fs::hard_link(place.path(file), outside).expect(WHY);
    }
}

/// Harms each page of the databases but their first two, which say where all else is.
fn each_page(place: &Place, harm: impl Fn(&mut [u8], u64)) {
    for file in DATABASES {
        let path: PathBuf = place.path(file);
        let mut bytes = fs::read(&path).expect("the recorded root has it");
        for (number, page) in bytes.chunks_exact_mut(4096).enumerate().skip(2) {
            harm(page, number as u64);
        }
        fs::write(path, bytes).expect(WHY);
    }
}

fn page_that_names_itself(page: &mut [u8], number: u64) {
    page[..8].copy_from_slice(&number.to_le_bytes());
    // A branch with one element: where its key is, how long that is, and the page below.
    page[8..16].copy_from_slice(&[1, 0, 1, 0, 0, 0, 0, 0]);
    page[16..24].copy_from_slice(&[16, 0, 0, 0, 1, 0, 0, 0]);
    page[24..32].copy_from_slice(&number.to_le_bytes());
}

fn keys(bucket: &OwnedBucket<'_>) -> Vec<Vec<u8>> {
    bucket.iter().map(|(key, _)| key.to_vec()).collect()
}

fn each_snapshot(
    root: &mut OwnedBucket<'static>,
    mut edit: impl FnMut(usize, &mut OwnedBucket<'static>),
) {
    let all = root.path_mut(&[b"v1", b"snapshots"]);
    for (number, key) in keys(all).into_iter().enumerate() {
        edit(number, all.child_mut(&key).expect("it was just listed"));
    }
}

fn parents(place: &Place, parent: impl Fn(&[Vec<u8>], usize) -> Vec<u8>) {
    place.edit_bolt(BACKEND, |root| {
        let names = keys(root.path_mut(&[b"v1", b"snapshots"]));
        each_snapshot(root, |n, one| drop(one.put(b"parent".to_vec(), parent(&names, n))));
    });
    place.edit_bolt(META, |root| {
        let all = root.path_mut(&[b"v1", b"moby", b"snapshots", b"overlayfs"]);
        let names = keys(all);
        for (number, name) in names.iter().enumerate() {
            let one = all.child_mut(name).expect("it was just listed");
            one.put(b"parent".to_vec(), parent(&names, number));
        }
    });
}

/// Gives every image a second record, with a name that no terminal should be shown.
fn images(place: &Place, edit: impl Fn(&mut OwnedBucket<'static>, usize)) {
    place.edit_bolt(META, |root| {
        let all = root.path_mut(&[b"v1", b"moby", b"images"]);
        for (number, name) in keys(all).into_iter().enumerate() {
            let mut copy = all.child(&name).expect("it was just listed").clone();
            edit(copy.bucket_mut(&b"target"[..]), number);
            let odd = Digest::of(&name).hex();
            let name = format!("docker.io/library/\u{1b}[31m{odd}\n:\u{7f}{number}");
            all.put_bucket(name.into_bytes(), copy);
            edit(all.child_mut(&name_of(&odd, all)).expect("a name").bucket_mut(&b"target"[..]), 3);
        }
    });
}

/// Returns any name but those that hold `part`.
fn name_of(part: &str, all: &OwnedBucket<'_>) -> Vec<u8> {
    let other = |key: &Vec<u8>| !String::from_utf8_lossy(key).contains(part);
    keys(all).into_iter().find(other).expect("there is more than one image")
}
