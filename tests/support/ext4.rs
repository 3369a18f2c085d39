//! A small ext4 in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes a file system in a new file.
pub(crate) fn make(image: &Path, size: u64) {
    File::create(image).and_then(|file| file.set_len(size)).expect("a sparse file");
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image));
}

/// A file system that is mounted until this is dropped.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    pub(crate) fn at(image: &Path, place: &Path) -> Self {
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(place));
        Self(place.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.0));
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("it is installed");
    assert!(status.success(), "{command:?}: {status}");
}
