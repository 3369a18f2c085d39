//! Walking a tree of many files, and linking it, each beside what the standard tools take.

#![expect(clippy::disallowed_methods, reason = "it makes real files and runs cp")]

use std::fs;
use std::path::Path;
use std::process::Command;

use divan::counter::ItemsCount;
use tempfile::TempDir;
use tranship::tree::{Copying, Live, LiveSink, Snapshots, TreePath, copy, path, walk};

const FOLDERS: usize = 200;
const FILES: usize = 100;

fn main() {
    divan::main();
}

fn tree() -> TempDir {
    let root = TempDir::new().expect("room for small files");
    for folder in 0..FOLDERS {
        let folder = root.path().join(format!("tree/{folder}"));
        fs::create_dir_all(&folder).expect("my own folder");
        for file in 0..FILES {
            fs::write(folder.join(file.to_string()), b"small").expect("my own folder");
        }
    }
    root
}

#[divan::bench]
fn ours(bencher: divan::Bencher<'_, '_>) {
    let root = tree();
    let live = Live::open(root.path()).expect("my own folder");
    bencher.counter(ItemsCount::new(FOLDERS * FILES)).bench(|| {
        let mut found = 0;
        let count = &mut |_: TreePath<'_>, _: &_| {
            found += 1;
            Ok(true)
        };
        walk(&live, path("tree"), count).expect("a sound tree");
        assert_eq!(found, FOLDERS * (FILES + 1));
    });
}

#[divan::bench]
fn walkdir(bencher: divan::Bencher<'_, '_>) {
    let root = tree();
    bencher.counter(ItemsCount::new(FOLDERS * FILES)).bench(|| {
        let entries = walkdir::WalkDir::new(root.path().join("tree")).min_depth(1);
        let sizes =
            entries.into_iter().map(|entry| entry.expect("sound").metadata().expect("sound").len());
        sizes.sum::<u64>()
    });
}

fn next(root: &Path, number: &mut usize) -> String {
    *number += 1;
    let _ = fs::remove_dir_all(root.join(format!("copy-{}", *number - 1)));
    format!("copy-{number}")
}

#[divan::bench(sample_count = 10)]
fn link(bencher: divan::Bencher<'_, '_>) {
    let root = tree();
    let live = Live::open(root.path()).expect("my own folder");
    let sink = LiveSink::open(root.path()).expect("my own folder");
    let copying = Copying { snapshots: Snapshots::Link, skip: &|_| false, skip_xattr: &|_| false };
    let mut number = 0;
    bencher.counter(ItemsCount::new(FOLDERS * FILES)).bench_local(|| {
        let to = next(root.path(), &mut number);
        copy(&live, path("tree"), &sink, path(&to), &copying).expect("one file system")
    });
}

#[divan::bench(sample_count = 10)]
fn cp_al(bencher: divan::Bencher<'_, '_>) {
    let root = tree();
    let mut number = 0;
    bencher.counter(ItemsCount::new(FOLDERS * FILES)).bench_local(|| {
        let to = root.path().join(next(root.path(), &mut number));
        let done = Command::new("cp").arg("-al").arg(root.path().join("tree")).arg(to).status();
        assert!(done.expect("cp can be started").success());
    });
}
