//! A root to be harmed, and what lies outside of it.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tranship::format::bbolt::{self, OwnedBucket};

const WHY: &str = "the test's own folder";

/// What nobody may read.
pub(crate) const SECRET: &str = "none-of-anybodys-business";

/// The recorded root that is harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Classic,
    Containerd,
}

impl Base {
    /// Returns the root, unpacked once for all.
    fn unpacked(self) -> &'static Path {
        static CLASSIC: OnceLock<TempDir> = OnceLock::new();
        static CONTAINERD: OnceLock<TempDir> = OnceLock::new();
        let (folder, name) = match self {
            Self::Classic => (&CLASSIC, "classic-28"),
            Self::Containerd => (&CONTAINERD, "containerd-28"),
        };
        let unpack = || {
            let folder = TempDir::new().expect(WHY);
            let roots = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots");
            let mut tar = Command::new("tar");
            tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=none"]);
            tar.arg("-xpf").arg(roots.join(format!("{name}.tar.zst")));
            let done = tar.arg("-C").arg(folder.path()).output().expect("tar can be started");
            let is_root = rustix::process::geteuid().is_root();
            assert!(done.status.success() || !is_root, "{done:?}");
            folder
        };
        folder.get_or_init(unpack).path()
    }
}

/// A folder with the root and its surroundings.
pub(crate) struct Place {
    pub(crate) base: Base,
    folder: TempDir,
}

impl Place {
    pub(crate) fn of(base: Base) -> Self {
        let folder = TempDir::new().expect(WHY);
        let root = folder.path().join("root");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(base.unpacked()).arg(&root);
        assert!(copy.status().expect("cp can be started").success());
        let place = Self { base, folder };
        fs::create_dir_all(place.outside().join("diff/etc")).expect(WHY);
        for name in ["shadow", "diff/etc/shadow", "config.v2.json", "link"] {
            fs::write(place.outside().join(name), format!("{{\"x\":\"{SECRET}\"}}")).expect(WHY);
        }
        place
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Returns what lies beside the root.
    pub(crate) fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    /// Returns a name for something new beside the root.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Returns the paths of all entries of a folder of the root, in order.
    pub(crate) fn all_in(&self, dir: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(dir)).expect("the recorded root has it");
        let mut all: Vec<_> = entries.map(|entry| entry.expect(WHY).path()).collect();
        all.sort();
        all
    }

    /// Returns the folders of layerdb.
    pub(crate) fn layers(&self) -> Vec<PathBuf> {
        self.all_in("image/overlay2/layerdb/sha256")
    }

    /// Returns the folders of the unpacked layers and containers.
    pub(crate) fn unpacked(&self) -> Vec<PathBuf> {
        let all = self.all_in("overlay2").into_iter();
        all.filter(|path| path.file_name().is_some_and(|name| name.len() >= 64)).collect()
    }

    /// Returns the folder of the container with this name, in its root.
    pub(crate) fn container(&self, name: &str) -> PathBuf {
        let wanted = format!("\"Name\":\"/{name}\"");
        let is = |folder: &PathBuf| {
            let config = fs::read_to_string(folder.join("config.v2.json")).unwrap_or_default();
            config.contains(&wanted)
        };
        self.all_in("containers").into_iter().find(is).expect("the recorded root has it")
    }

    /// Changes the JSON of every container's file of this name.
    pub(crate) fn edit_containers(&self, file: &str, edit: impl Fn(&mut serde_json::Value)) {
        for folder in self.all_in("containers") {
            let path = folder.join(file);
            let bytes = fs::read(&path).expect("each container has it");
            let mut value = serde_json::from_slice(&bytes).expect("the recorded root is sound");
            edit(&mut value);
            fs::write(&path, serde_json::to_vec(&value).expect("it is JSON")).expect(WHY);
        }
    }

    /// Changes what a bolt file of the root says.
    pub(crate) fn edit_bolt(&self, file: &str, edit: impl FnOnce(&mut OwnedBucket<'static>)) {
        let bytes = fs::read(self.path(file)).expect("the recorded root has it");
        let db = bbolt::Db::open(&bytes).expect("the recorded root is sound");
        let mut root = bbolt::load(&db).expect("the recorded root is sound").into_owned();
        edit(&mut root);
        let new = bbolt::write(&root, &bbolt::Options::replacing(&db)).expect("it is small");
        fs::write(self.path(file), new).expect(WHY);
    }
}

/// Removes whatever is there.
pub(crate) fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).expect(WHY),
        Ok(_) => fs::remove_file(path).expect(WHY),
        Err(_) => {}
    }
}

/// Puts a symbolic link in the place of what is there.
pub(crate) fn link(path: &Path, to: impl AsRef<Path>) {
    remove(path);
    symlink(to, path).expect(WHY);
}

/// Puts a file of this length without content in the place of what is there.
pub(crate) fn sparse(path: &Path, length: u64) {
    remove(path);
    File::create(path).and_then(|file| file.set_len(length)).expect("a sparse file");
}

pub(crate) fn fifo(path: &Path) {
    remove(path);
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).expect(WHY);
}

pub(crate) fn socket(path: &Path) {
    remove(path);
    mknodat(CWD, path, FileType::Socket, Mode::RWXU, 0).expect(WHY);
}

/// Puts the device that never ends in the place of what is there, as far as that may be done.
pub(crate) fn endless(path: &Path) {
    remove(path);
    let zero = rustix::fs::makedev(1, 5);
    let _ = mknodat(CWD, path, FileType::CharacterDevice, Mode::RWXU, zero);
}

/// Everything below `folder`: name, type, mode, owner, size, times and target.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name();
    let line = |entry: walkdir::DirEntry| {
        let found = entry.metadata().ok()?;
        let link = fs::read_link(entry.path()).unwrap_or_default();
        let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
        let (mode, owner, size) = (found.mode(), (found.uid(), found.gid()), found.len());
        Some(format!("{:?} {mode:o} {owner:?} {size} {times:?} {link:?}", entry.path()))
    };
    entries.into_iter().filter_map(|entry| line(entry.ok()?)).collect()
}
