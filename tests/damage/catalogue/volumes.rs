//! Volumes, and the databases that dockerd opens at its start.

use crate::catalogue::scenery::{bytes, edit_bolt, put, remove};
use crate::catalogue::{Case, Clean, Lost, case};

const ROOT: &str = "classic-28";

/// The one that a container has mounted.
const USED: &str = "volumes/vol1";
const METADATA: &str = "volumes/metadata.db";

pub(crate) const CASES: &[Case] = &[
    case(
        "a volume that a container counts on is gone",
        ROOT,
        |root| remove(root, USED),
        "container-without-volume",
        Lost("container-without-volume"),
    ),
    case(
        "a volume nobody uses is gone",
        ROOT,
        |root| remove(root, "volumes/empty1"),
        "volume-without-folder",
        Lost("volume-without-folder"),
    ),
    case(
        "a volume's options are no JSON",
        ROOT,
        |root| put(root, &format!("{USED}/opts.json"), b"{"),
        "volume-options-unreadable",
        Lost("volume-options-unreadable"),
    ),
    case(
        "a volume's files are gone and its options are not",
        ROOT,
        |root| {
            remove(root, &format!("{USED}/_data"));
            put(root, &format!("{USED}/opts.json"), b"{}");
        },
        "volume-without-data",
        Lost("volume-without-data"),
    ),
    case(
        "what is known of a volume is no JSON",
        ROOT,
        |root| {
            edit_bolt(root, METADATA, |all| {
                drop(all.bucket_mut(b"volumes").put(&b"vol1"[..], &b"{"[..]));
            });
        },
        "volume-record-unreadable",
        Lost("volume-record-unreadable"),
    ),
    case(
        "what is known of volumes is cut short",
        ROOT,
        |root| put(root, METADATA, &bytes(root, METADATA)[..9000]),
        "database-broken",
        Clean,
    ),
    case(
        "what is known of volumes is empty",
        ROOT,
        |root| put(root, METADATA, b""),
        "database-empty",
        Lost("database-empty"),
    )
    .also(&["volume-records-unreadable"]),
    case(
        "the networks' database has a flipped bit in both meta pages",
        ROOT,
        |root| {
            let file = "network/files/local-kv.db";
            let mut damaged = bytes(root, file);
            for page in [0, 4096] {
                damaged[page + 40] ^= 1;
            }
            put(root, file, &damaged);
        },
        "database-broken",
        Clean,
    ),
    case(
        "a page of the build cache's database is zeros",
        ROOT,
        |root| {
            let file = "buildkit/cache.db";
            let mut damaged = bytes(root, file);
            damaged[8192..].fill(0);
            put(root, file, &damaged);
        },
        "database-broken",
        Clean,
    ),
];
