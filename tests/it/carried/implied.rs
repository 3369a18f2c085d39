//! Folders that a layer's tar has things in and says nothing of: containerd gives them what they have in the layers
//! below, so a layer must wait for those, whoever unpacks them.

use std::sync::Arc;

use tranship::digest::Digest;
use tranship::tree::{Memory, Sink, Snapshots};

use crate::support::Migration;
use crate::support::carried::{read, source};
use crate::support::odd::{Odd, OddImage, Tar};
use crate::support::seen::look;

/// A tar whose `etc` has `mode`, beside a file that takes a while.
fn base(mode: u32) -> Vec<u8> {
    let long = vec![7; 4 << 20];
    let dir = |header: &mut tar::Header| header.set_mode(mode);
    let etc = Tar::default().add(tar::EntryType::Directory, b"etc/", b"", dir);
    etc.file(b"long", &long).end(2)
}

fn image(title: &'static str, layers: &[usize]) -> OddImage {
    OddImage { title, layers: layers.to_vec(), names: &[] }
}

/// Images that have one layer on two others, and on each other's.
fn images() -> Odd {
    let word = |name: &[u8]| Tar::default().file(name, b"word").end(2);
    let layers = vec![
        ("one base", base(0o700)),
        ("another", base(0o711)),
        ("a file", word(b"etc/a")),
        ("a file too", word(b"etc/b")),
    ];
    let images = vec![
        image("a, b", &[0, 2, 3]),
        image("b, a", &[1, 3, 2]),
        image("a", &[1, 2]),
        image("on nothing", &[2, 0]),
    ];
    Odd { layers, images }
}

/// Returns the mode of `etc` in each snapshot, by the layers it is of.
fn modes(jobs: usize) -> Vec<(Vec<usize>, String)> {
    let odd = images();
    let host = read(&odd.archive()).expect("an archive");
    let target = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let migration = Migration { jobs, snapshots: Snapshots::Copy, ..Migration::default() };
    let outcome = migration.run(source(&host), &sink).expect("sound");
    assert_eq!((outcome.moved.len(), outcome.findings.len()), (odd.images.len(), 0));
    let seen = look(&*target).expect("sound");
    let mut modes = Vec::new();
    for image in &odd.images {
        for length in 1..=image.layers.len() {
            let layers = &image.layers[..length];
            let chain = chain(layers.iter().map(|layer| odd.diff_id(*layer).0));
            let files = &seen.snapshots[&chain.to_string()].files;
            let mode = files.iter().find_map(|line| line.strip_prefix("fs/etc Dir "));
            let mode = mode.and_then(|line| line.split(' ').next()).expect("all have it");
            modes.push((layers.to_vec(), mode.to_owned()));
        }
    }
    modes
}

/// OCI image spec config.md, "Layer ChainID".
fn chain(diff_ids: impl Iterator<Item = Digest>) -> Digest {
    let below = |chain: Digest, diff_id| Digest::of(format!("{chain} {diff_id}").as_bytes());
    diff_ids.reduce(below).expect("a layer")
}

#[test]
fn folders_that_are_not_told_of_are_as_they_are_below() {
    let wanted: [(&[usize], &str); 10] = [
        (&[0], "700"),
        (&[0, 2], "700"),
        (&[0, 2, 3], "700"),
        (&[1], "711"),
        (&[1, 3], "711"),
        (&[1, 3, 2], "711"),
        (&[1], "711"),
        (&[1, 2], "711"),
        (&[2], "755"),
        (&[2, 0], "700"),
    ];
    let wanted = wanted.map(|(layers, mode)| (layers.to_vec(), mode.to_owned()));
    for jobs in [1, 2, 4, 9] {
        assert_eq!(modes(jobs), wanted, "{jobs} at once");
    }
}
