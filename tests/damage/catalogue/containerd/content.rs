//! Blobs and what `meta.db` says of them.

use super::{BASE, CONTENT, LAYER, MANIFEST, META, ROOT, TOP, blob, file, folder, meta, name_of};
use super::{SNAPSHOTTER, backend};
use crate::catalogue::scenery::{bytes, put, remove, root};
use crate::catalogue::{Case, Clean, Left, Lost, Same, case};
use tranship::tree::{Attributes, Sink as _};

pub(crate) const CASES: &[Case] = &[
    case(
        "a layer's blob is gone",
        ROOT,
        |root| remove(root, &file(LAYER)),
        "blob-missing",
        Lost("blob-missing"),
    ),
    case(
        "a layer's blob is cut short",
        ROOT,
        |root| {
            let half = bytes(root, &file(LAYER));
            put(root, &file(LAYER), &half[..half.len() / 2]);
        },
        "blob-size-differs",
        Lost("blob-damaged"),
    ),
    case(
        "a bit of a layer's blob is flipped",
        ROOT,
        |root| {
            let mut flipped = bytes(root, &file(LAYER));
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            put(root, &file(LAYER), &flipped);
        },
        "layer-damaged",
        Lost("blob-damaged"),
    ),
    case(
        "a manifest's blob is gone",
        ROOT,
        |root| remove(root, &file(MANIFEST)),
        "blob-unreadable",
        Lost("blob-missing"),
    ),
    case(
        "nothing says how long a blob is",
        ROOT,
        |root| blob(root, LAYER, |said| drop(said.remove(b"size"))),
        "blob-without-size",
        Clean,
    ),
    case(
        "a label says that a layer unpacks to nothing known",
        ROOT,
        |root| {
            blob(root, LAYER, |said| {
                said.bucket_mut(b"labels").put(b"containerd.io/uncompressed", b"sha256:zz");
            });
        },
        "label-unusable",
        Clean,
    ),
    case(
        "a blob that no record names",
        ROOT,
        |root| put(root, &format!("{CONTENT}/blobs/sha256/{}", "ab".repeat(32)), b"x"),
        "blob-orphan",
        Left,
    ),
    case(
        "a download that did not end",
        ROOT,
        |root| put(root, &format!("{CONTENT}/ingest/left"), b"x"),
        "ingest-stale",
        Same,
    ),
    case(
        "an interrupted run of tranship",
        ROOT,
        |root| put(root, "containerd/daemon/tranship", b""),
        "staging-left",
        Left,
    ),
    case(
        "no number of the schema",
        ROOT,
        |root| {
            crate::catalogue::scenery::edit_bolt(root, META, |all| {
                drop(all.bucket_mut(b"v1").remove(b"version"))
            })
        },
        "schema-unknown",
        Clean,
    ),
    case(
        "a value among the images",
        ROOT,
        |root| meta(root, |all| drop(all.bucket_mut(b"images").put(b"x:1", b"value"))),
        "record-misplaced",
        Clean,
    ),
    case(
        "both meta pages of meta.db are flipped",
        ROOT,
        |root| {
            let mut all = bytes(root, META);
            all[16 + 20] ^= 1;
            all[4096 + 16 + 20] ^= 1;
            put(root, META, &all);
        },
        "store-unreadable",
        Lost("snapshot-without-backend"),
    ),
    case("meta.db is gone", ROOT, |root| remove(root, META), "store-unreadable", Clean).round(3),
    case(
        "meta.db is gone with its folder",
        ROOT,
        |root| remove(root, META.trim_end_matches("/meta.db")),
        "store-unreadable",
        Clean,
    )
    .round(4),
    case(
        "the half of meta.db is gone",
        ROOT,
        |root| put(root, META, &bytes(root, META)[..20 * 4096]),
        "store-unreadable",
        Clean,
    )
    .round(5),
    case(
        "a page in use is listed as free",
        ROOT,
        |root| {
            let file = format!("{SNAPSHOTTER}/metadata.db");
            let mut all = bytes(root, &file);
            let is_list = |page: &[u8]| page[8] == 0x10;
            let at = all.chunks(4096).position(is_list).expect("a freelist") * 4096;
            all[at + 10] = 1;
            all[at + 16..at + 24].copy_from_slice(&2_u64.to_le_bytes());
            put(root, &file, &all);
        },
        "bolt-damaged",
        Clean,
    )
    .round(3),
    case(
        "a file of a snapshot has no bytes any more",
        ROOT,
        |root| {
            let folder = format!("{}/fs", folder(TOP));
            let name = first_file(&folder);
            crate::catalogue::scenery::empty(root, &name);
        },
        "files-damaged",
        Same,
    ),
    case(
        "a file of a snapshot is gone",
        ROOT,
        |root| {
            let name = first_file(&format!("{}/fs", folder(BASE)));
            remove(root, &name);
        },
        "files-damaged",
        Same,
    ),
    case(
        "a file of a snapshot is another's",
        ROOT,
        |root| {
            let name = first_file(&format!("{}/fs", folder(BASE)));
            let at = tranship::tree::path(&name);
            let owner = Attributes { uid: 4242, ..Attributes::root(0o644) };
            root.set_attributes(at, &owner).expect("a file");
        },
        "files-differ",
        Lost("files-differ"),
    ),
    case(
        "an empty lease",
        ROOT,
        |root| {
            meta(root, |all| {
                let lease = all.path_mut(&[b"leases", b"idle"]);
                lease.put(b"createdat", b"\x01\0\0\0\x0e\xdd#\xf7\x80\0\0\0\0\xff\xff");
            });
        },
        "lease-idle",
        Left,
    ),
    case(
        "a lease on what is not there",
        ROOT,
        |root| {
            meta(root, |all| {
                let gone = format!("sha256:{}", "ab".repeat(32)).into_bytes();
                all.path_mut(&[b"leases", b"idle", b"content"]).put(gone, b"");
            });
        },
        "lease-idle",
        Left,
    ),
    case(
        "a snapshot that no namespace has",
        ROOT,
        |root| {
            backend(root, |v1| {
                let name = name_of(v1, BASE);
                let said = v1.path_mut(&[b"snapshots", &name]).clone();
                let all = v1.bucket_mut(b"snapshots");
                let id = all.next_sequence();
                all.put_bucket(b"moby/999/left", said);
                all.bucket_mut(b"moby/999/left").put(b"id", vec![u8::try_from(id).expect("few")]);
            });
        },
        "snapshot-unnamed",
        Left,
    ),
];

/// Returns the first file with bytes below a folder.
fn first_file(folder: &str) -> String {
    use tranship::tree::{Kind, path, walk};
    let mut found = None;
    walk(&*root(ROOT), path(folder), &mut |at, entry| {
        let file = entry.metadata;
        if found.is_none() && file.kind == Kind::File && file.size > 0 && file.nlink == 1 {
            found = Some(at.to_string());
        }
        Ok(true)
    })
    .expect("a folder");
    found.expect("a file with bytes")
}
