//! Volumes of a live data root: out of it and into it.

use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;

impl Root {
    fn volumes(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
        command.arg("volumes").args(args).arg("--root").arg(self.path());
        command.output().expect("the command can be started")
    }

    fn data(&self, name: &str) -> PathBuf {
        self.path().join("volumes").join(name).join("_data")
    }

    /// Makes a folder of files as programs leave them in volumes.
    fn files(&self) -> PathBuf {
        let files = self.folder.path().join("files");
        fs::create_dir_all(files.join("folder")).expect(WHY);
        fs::write(files.join("file"), "text").expect(WHY);
        fs::hard_link(files.join("file"), files.join("folder/same")).expect(WHY);
        chown(files.join("file"), Some(1000), Some(1001)).expect(WHY);
        fs::set_permissions(files.join("file"), fs::Permissions::from_mode(0o4750)).expect(WHY);
        symlink("/etc/passwd", files.join("link")).expect(WHY);
        let sparse = File::create(files.join("sparse")).expect(WHY);
        sparse.set_len(8 << 20).expect(WHY);
        std::os::unix::net::UnixListener::bind(files.join("socket")).expect(WHY);
        fs::set_permissions(&files, fs::Permissions::from_mode(0o1777)).expect(WHY);
        files
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's path is UTF-8")
}

#[test]
#[ignore = "needs root rights"]
fn a_volume_goes_in_and_comes_out_as_it_was() {
    let root = Root::unpack();
    let files = root.files();
    let done = root.volumes(&["import", text(&files), "new", "--label", "k=v"]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert!(err(&done).contains("sockets-left-out"), "{}", err(&done));
    fs::remove_file(files.join("socket")).expect(WHY);
    let data = root.data("new");
    let same = |folder: &Path| -> BTreeSet<String> {
        let prefix = text(folder).to_owned();
        listing(folder).into_iter().map(|line| line.replace(&prefix, "")).collect()
    };
    let below = |lines: BTreeSet<String>| -> BTreeSet<String> {
        lines.into_iter().filter(|line| line.contains("/file") || line.contains("/l")).collect()
    };
    assert_eq!(below(same(&data)), below(same(&files)));
    let found = |path: PathBuf| fs::symlink_metadata(path).expect(WHY);
    assert_eq!(found(data.join("file")).ino(), found(data.join("folder/same")).ino());
    assert_eq!(found(data.clone()).mode() & 0o7777, 0o1777);
    assert_eq!(found(root.path().join("volumes/new")).mode() & 0o7777, 0o701);
    assert!(found(data.join("sparse")).blocks() < 100, "holes stay holes");
    assert!(!root.path().join("tranship").exists());

    let tar = root.folder.path().join("new.tar");
    let done = root.volumes(&["export", "new", "-o", text(&tar)]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let mut compare = Command::new("tar");
    compare.args(["--numeric-owner", "--compare", "-f"]).arg(&tar).arg("-C").arg(&data);
    let compared = compare.output().expect("tar can be started");
    assert!(compared.status.success(), "{compared:?}");
    let done = root.volumes(&["import", text(&tar), "again"]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert_eq!(below(same(&root.data("again"))), below(same(&data)));
}

#[test]
#[ignore = "needs root rights"]
fn nothing_is_removed_that_was_not_meant() {
    let root = Root::unpack();
    let files = root.files();
    let import = |more: &[&str]| {
        let done = root.volumes(&[&["import", text(&files), "vol1"], more].concat());
        (done.status.code(), err(&done))
    };
    let before = listing(&root.path());
    assert_eq!(import(&[]).0, Some(3), "it is not empty");
    assert_eq!(import(&["--replace", "--dry-run"]).0, Some(0));
    let database = File::open(root.path().join("volumes/metadata.db")).expect(WHY);
    rustix::fs::flock(&database, FlockOperation::LockExclusive).expect(WHY);
    let (code, said) = import(&["--replace"]);
    assert!(code == Some(3) && said.contains("a daemon is running"), "{said}");
    drop(database);
    assert_eq!(listing(&root.path()), before);
    // What a run left that was killed is in nobody's way.
    fs::create_dir_all(root.path().join("tranship/volume/_data/old")).expect(WHY);
    assert_eq!(import(&["--replace"]).0, Some(0));
    assert!(root.data("vol1").join("sparse").exists() && !root.data("vol1").join("v").exists());
    assert!(!root.path().join("tranship").exists());
}
