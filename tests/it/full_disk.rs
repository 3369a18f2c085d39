//! A disk that really is full: a small ext4 in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tranship::store::Source as _;
use tranship::tree::{Live, LiveSink, Sink};

use crate::support::classic::Classic;
use crate::support::ext4::{self, Mounted};
use crate::support::seen::{leftovers, look};
use crate::support::source::Counting;
use crate::support::{Migration, open};

/// What is there before; then eight layers of 2 MB, each once as a blob and once unpacked.
fn stores() -> (String, String) {
    let old = "diff old\n  file old old\nimage old = old\n  name old:1\n".to_owned();
    let mut new = String::new();
    for n in 0..8 {
        new += &format!("diff d{n}\n  file f{n} layer-{n}*250000\n");
    }
    for n in 0..8 {
        new += &format!("image i{n} = d{n}\n  name i{n}:1\n");
    }
    (old, new)
}

/// A file system of 48 MB.
struct SmallDisk {
    /// Unmounted before its folder goes.
    _mounted: Mounted,
    folder: TempDir,
}

impl SmallDisk {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (image, root) = (folder.path().join("disk"), folder.path().join("root"));
        ext4::make(&image, 48 << 20);
        fs::create_dir(&root).expect("a free name");
        let mounted = Mounted::at(&image, &root);
        Self { _mounted: mounted, folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

fn ballast(at: &Path, size: usize) {
    fs::write(at, vec![b'b'; size]).expect("there is room for it");
}

#[test]
#[ignore = "needs root and loop devices"]
fn a_migration_that_fills_the_disk_goes_on_when_there_is_room() {
    let (old, new) = stores();
    let disk = SmallDisk::new();
    let sink = || -> Arc<dyn Sink> { Arc::new(LiveSink::open(&disk.root()).expect("mounted")) };
    let tree = || Live::open(&disk.root()).expect("mounted");
    Migration::default()
        .run(&open(&Arc::new(Classic::of(&old).tree())), &sink())
        .expect("there is room for it");
    let before = look(&tree()).expect("a sound target");

    ballast(&disk.root().join("ballast"), 24 << 20);
    let store = open(&Arc::new(Classic::of(&new).tree()));
    let error = Migration::default().run(&store, &sink()).expect_err("16 of 32 MB fit");
    assert_eq!(error.io_kind(), Some(std::io::ErrorKind::StorageFull), "{error}");
    let place = error.place().expect("it has one").to_string();
    assert!(place.contains("tranship/"), "it says what could not be written: {error}");
    assert_eq!(look(&tree()), Ok(before), "the target is what it was");

    fs::remove_file(disk.root().join("ballast")).expect("it is there");
    let source = Counting::new(&store);
    Migration::default().run(&source, &sink()).expect("there is room now");
    let seen = look(&tree()).expect("a sound target");
    assert_eq!(seen.records.len(), 9, "old and new: {:?}", seen.records.keys());
    let layers = store.inventory().layers.len();
    let read = source.all_opened();
    assert!(read < layers, "{read} of {layers} are read: what was done is not done again");
    let left = leftovers(&tree());
    assert_eq!(left, [""; 0]);
}
