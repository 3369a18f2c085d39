//! Every seed of the fuzzers, and all that ever made one fail, through the same functions.

#[path = "../../fuzz/targets.rs"]
#[expect(unreachable_pub, reason = "the fuzzers are crates of their own")]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::support::nothing_is;

/// Returns the files of a target, in order.
fn inputs(target: &str) -> Vec<PathBuf> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let folders = ["seeds", "crashes"].map(|kind| fuzz.join(kind).join(target));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut files: Vec<_> = files.map(|file| file.expect("it can be listed").path()).collect();
    files.sort();
    files
}

#[test]
fn what_the_fuzzers_begin_with_and_what_they_found() {
    let mut wrong = Vec::new();
    for (name, target) in targets::ALL {
        let files = inputs(name);
        assert!(!files.is_empty(), "{name} has no seeds: fuzz/make-seeds");
        for file in files {
            let bytes = fs::read(&file).expect("it was just listed");
            if catch_unwind(|| target(&bytes)).is_err() {
                wrong.push(file.display().to_string());
            }
        }
    }
    nothing_is(&wrong);
}

/// Where each byte of a seed is another, cut off or doubled, it is still no more than an error.
#[test]
fn seeds_with_something_wrong() {
    let mut wrong = Vec::new();
    for (name, target) in targets::ALL.iter().filter(|(name, _)| *name != "archive") {
        for file in inputs(name) {
            let bytes = fs::read(&file).expect("it was just listed");
            let step = (bytes.len() / 200).max(1);
            for at in (0..bytes.len()).step_by(step) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                let doubled = [&bytes[..at], &bytes[at / 2..]].concat();
                for (how, bytes) in
                    [("cut", &bytes[..at]), ("flipped", &flipped), ("doubled", &doubled)]
                {
                    if catch_unwind(|| target(bytes)).is_err() {
                        wrong.push(format!("{} {how} at {at}", file.display()));
                    }
                }
            }
        }
    }
    nothing_is(&wrong);
}

#[test]
fn each_target_is_a_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("it is there");
    for (name, _) in targets::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no binary");
        assert!(folder.join(format!("fuzz_targets/{name}.rs")).exists(), "{name} has no file");
    }
    let files = fs::read_dir(folder.join("fuzz_targets")).expect("it is there").count();
    assert_eq!(files, targets::ALL.len());
}
