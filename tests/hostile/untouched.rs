//! What only reads changes nothing: no byte, no owner, no time, not even that of the last reading.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};
use tranship::digest::Digest;

use crate::place::{Base, Place};
use crate::verbs::{READING, run};

const WHY: &str = "the test's own folder";

/// Long before anything was written: a file system that is mounted `relatime` notes the next reading.
const LONG_AGO: i64 = 1_000_000_000;

fn paths(root: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root).sort_by_file_name().into_iter();
    entries.map(|entry| entry.expect(WHY).into_path()).collect()
}

/// Says of each path that it was last read long ago.
fn forget(paths: &[PathBuf]) {
    let last_access = Timespec { tv_sec: LONG_AGO, tv_nsec: 0 };
    let last_modification = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access, last_modification };
    for path in paths {
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect(WHY);
    }
}

/// Returns all that can be known of each path without reading it; of a link, the kernel notes that it
/// was read whoever asks.
fn known(paths: &[PathBuf]) -> Vec<String> {
    let line = |path: &PathBuf| {
        let found = fs::symlink_metadata(path).expect("it is still there");
        let read = if found.is_symlink() { LONG_AGO } else { found.atime() };
        let changed = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
        let what = (found.mode(), found.uid(), found.gid(), found.len(), found.nlink());
        format!("{}: {what:?}, changed {changed:?}, read {read}", path.display())
    };
    paths.iter().map(line).collect()
}

fn contents(paths: &[PathBuf]) -> Vec<Digest> {
    let files = paths.iter().filter(|path| path.symlink_metadata().is_ok_and(|f| f.is_file()));
    files.map(|path| Digest::of(&fs::read(path).expect(WHY))).collect()
}

#[test]
fn every_reading_verb_leaves_no_trace() {
    for base in [Base::Classic, Base::Containerd] {
        let place = Place::of(base);
        let all = paths(&place.root());
        let bytes = contents(&all);
        forget(&all);
        let before = known(&all);
        for (verb, _) in READING {
            let output = run(&place, verb);
            assert!(matches!(output.status.code(), Some(0..=2)), "{base:?}, {verb}: {output:?}");
            let after = known(&all);
            let wrong = after.iter().zip(&before).filter(|(is, was)| is != was);
            let wrong: Vec<_> = wrong.take(5).collect();
            assert!(wrong.is_empty(), "{base:?}, {verb}: {wrong:#?}");
        }
        assert_eq!(paths(&place.root()), all, "{base:?}");
        assert!(contents(&all) == bytes, "{base:?}");
    }
}
