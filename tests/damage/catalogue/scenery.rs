//! Recorded roots in memory, and the tools to damage them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::Value;
use tranship::format::bbolt::{self, Db, Options, OwnedBucket};
use tranship::format::oci::Platform;
use tranship::op::host::{Host, Known, Opened, survey};
use tranship::op::verify::{Verified, Wanted, verify};
use tranship::tree::{
    self, Copying, LiveSink, Memory, Sink, Snapshots, TarTree, Tree, TreePath, path,
};

/// A data root in memory.
pub(crate) type Root = Arc<Memory>;

/// Returns the recorded root `name`, to be damaged at will.
pub(crate) fn root(name: &'static str) -> Root {
    static ROOTS: LazyLock<Mutex<HashMap<&str, Memory>>> = LazyLock::new(Mutex::default);
    let mut roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::new(roots.entry(name).or_insert_with(|| recorded(name)).clone())
}

fn recorded(name: &str) -> Memory {
    let fixture = format!("fixtures/roots/{name}.tar.zst");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    let (tar, memory) = (TarTree::open(&file).expect("a recorded root"), Memory::new());
    copy_all(&tar, &memory);
    memory
}

/// Writes a root to a folder of this machine, with all that its files have.
#[allow(dead_code, reason = "for real daemons alone")]
pub(crate) fn write_to(root: &Root, folder: &Path) {
    std::fs::create_dir(folder).expect("a free name");
    copy_all(&**root, &LiveSink::open(folder).expect("a folder"));
}

fn copy_all(from: &dyn Tree, to: &dyn Sink) {
    let copying = Copying { snapshots: Snapshots::Copy, skip: &|_| false, skip_xattr: &|_| false };
    for entry in from.list(TreePath::ROOT).expect("a folder") {
        let at = TreePath::ROOT.child(&entry.name).expect("a name");
        match entry.metadata.kind {
            tree::Kind::Dir => tree::copy(from, at.as_path(), to, at.as_path(), &copying).map(drop),
            _ => tree::copy_one(from, at.as_path(), to, at.as_path(), &copying).map(drop),
        }
        .expect("it takes all");
    }
}

/// Returns what is in a root.
pub(crate) fn host(root: &Root) -> Host {
    let platform = Platform {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        ..Platform::default()
    };
    let opened = Opened { tree: Arc::<Memory>::clone(root), only: None };
    survey(&opened, &Known { platform, ..Known::default() }).expect("folders can be read")
}

/// Verifies a root.
pub(crate) fn verified(root: &Root, quick: bool) -> Verified {
    verify(&host(root), &Wanted { quick, jobs: 2 }, &()).expect("folders can be read")
}

/// Returns the names in a folder, in their order.
pub(crate) fn names(root: &Root, folder: &str) -> Vec<String> {
    let names = root.names(path(folder)).expect("a folder");
    names.into_iter().map(|name| String::from_utf8(name).expect("plain names")).collect()
}

/// Returns the bytes of a file.
pub(crate) fn bytes(root: &Root, file: &str) -> Vec<u8> {
    tree::read(&**root, path(file)).expect("a file")
}

/// Returns the text of a file without space around it.
pub(crate) fn text(root: &Root, file: &str) -> String {
    String::from_utf8(bytes(root, file)).expect("text").trim().to_owned()
}

/// Puts a file in the place of what was there.
pub(crate) fn put(root: &Root, file: &str, bytes: &[u8]) {
    remove(root, file);
    tree::write(&**root, path(file), 0o644, bytes).expect("its folder is there");
}

/// Removes a file or folder.
pub(crate) fn remove(root: &Root, at: &str) {
    root.remove(path(at)).expect("below the root");
}

/// Changes JSON in its file.
pub(crate) fn edit_json(root: &Root, file: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&bytes(root, file)).expect("JSON");
    change(&mut value);
    put(root, file, value.to_string().as_bytes());
}

/// Changes a bolt file.
pub(crate) fn edit_bolt(root: &Root, file: &str, change: impl FnOnce(&mut OwnedBucket<'static>)) {
    let old = bytes(root, file);
    let db = Db::open(&old).expect("sound");
    let mut all = bbolt::load(&db).expect("sound").into_owned();
    change(&mut all);
    put(root, file, &bbolt::write(&all, &Options::replacing(&db)).expect("small"));
}

/// Takes the bytes of a file, and nothing else of it.
pub(crate) fn empty(root: &Root, file: &str) {
    let found = root.stat(path(file)).expect("a file");
    let attributes = tree::Attributes {
        mode: found.mode,
        uid: found.uid,
        gid: found.gid,
        mtime: Some(found.mtime),
        xattrs: root.xattrs(path(file)).expect("a file"),
    };
    remove(root, file);
    root.create(path(file), &attributes)
        .and_then(tree::FileSink::finish)
        .expect("memory takes all");
}
