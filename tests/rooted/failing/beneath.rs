//! A disk that fails beneath the kernel's own file system: an ext4 in a file that is on a failing disk.
//!
//! What was written is in the cache then, and that it is lost is told by the next sync at the earliest.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::io::Errno;
use tempfile::TempDir;

use super::scene::{MEMORY, Scene, copy, ends_well, run};
use super::verbs::VERBS;
use crate::disk::{Call, Cue, Disk, Failure};
use crate::ext4::{self, Mounted};
use crate::{WHY, err};

/// A folder with an ext4 that holds what a scene begins with, and a place for it.
struct Ext4 {
    folder: TempDir,
}

impl Ext4 {
    fn holding(scene: &Scene) -> Self {
        let ext4 = Self::new();
        ext4::make(&ext4.image(), 256 << 20);
        let mounted = Mounted::at(&ext4.image(), &ext4.place());
        copy(&scene.folder.path().join("."), &ext4.place());
        drop(mounted);
        ext4
    }

    fn new() -> Self {
        let ext4 = Self { folder: TempDir::new_in(MEMORY).expect(WHY) };
        for folder in [ext4.disk(), ext4.place()] {
            fs::create_dir(folder).expect(WHY);
        }
        ext4
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn image(&self) -> PathBuf {
        self.disk().join("image")
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("place")
    }

    fn copy(&self) -> Self {
        let other = Self::new();
        copy(&self.image(), &other.image());
        other
    }

    /// Runs the verb on a disk that fails; returns what was asked of it, and what is wrong with what came of it
    /// if it did fail.
    fn meets(&self, scene: &Scene, cue: Cue) -> (Vec<Call>, Option<Vec<String>>) {
        let ext4 = self.copy();
        let disk = Disk::over(&ext4.disk()).expect("FUSE can be mounted");
        let mounted = Mounted::at(&ext4.image(), &ext4.place());
        disk.fail(cue);
        let ended = run(&ext4.place(), scene.verb.words);
        drop(mounted);
        let (calls, has_failed) = disk.end();
        if !has_failed {
            return (calls, None);
        }
        // What a machine does when it starts again.
        let mut check = Command::new("e2fsck");
        let checked = check.args(["-f", "-y"]).arg(ext4.image()).output().expect("it is installed");
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
        let _mounted = Mounted::at(&ext4.image(), &ext4.place());
        let then = Failure::Once(Errno::IO);
        let checks = [
            ends_well(&ended, then),
            scene.is_whole(&ext4.place(), ended.status.code()),
            scene.goes_on(&ext4.place()),
        ];
        let told = |what| format!("{}: {what}; it said: {}", scene.verb.words, err(&ended));
        (calls, Some(checks.into_iter().filter_map(Result::err).map(told).collect()))
    }
}

fn all_hold(verbs: &[usize], moments: usize) {
    let mut wrong = Vec::new();
    for verb in verbs {
        let mut runs = 0;
        let scene = Scene::of(&VERBS[*verb]);
        let ext4 = Ext4::holding(&scene);
        let cue = |nth| Cue {
            when: |call| call == Call::Write,
            nth,
            then: Failure::FromThenOn(Errno::IO),
        };
        let (calls, _) = ext4.meets(&scene, cue(usize::MAX));
        let writes = calls.into_iter().filter(|call| *call == Call::Write).count();
        for moment in 1..=moments {
            let nth = (writes * moment / (moments + 1)).max(1);
            let (_, found) = ext4.meets(&scene, cue(nth));
            let Some(found) = found else { continue };
            wrong.extend(found.into_iter().map(|what| format!("write {nth} of {writes}: {what}")));
            runs += 1;
        }
        assert!(runs > 0, "{}: nothing failed", scene.verb.words);
    }
    assert!(wrong.is_empty(), "{} times:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
#[ignore = "needs root, FUSE and loop devices"]
fn a_cache_that_cannot_be_written_back_costs_nothing() {
    all_hold(&[0], 2);
}

#[test]
#[ignore = "long: needs root, FUSE and loop devices"]
fn long_a_cache_that_cannot_be_written_back_costs_nothing_of_any_verb() {
    all_hold(&Vec::from_iter(0..VERBS.len()), 4);
}
