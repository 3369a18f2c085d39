//! What is of no use in a data root as soon as nobody works on it.

use super::overlay2::left_beside;
use super::reclaim::Waste;
use crate::error::Result;
use crate::tree::{Kind, Tree, TreePathBuf, optional, path};

/// dockerd renames the first to the second at its start, and deletes that (moby v28 daemon/daemon.go
/// prepareTempDir).
const FOLDERS: [&str; 2] = ["tmp", "tmp-old"];

/// Where files of ours wait until they are whole.
const STAGED: [&str; 2] = ["tranship/volume", "tranship/containers.new"];

/// What a config is called until it is durable.
const CONFIG: &[u8] = b".tranship-config";

/// Returns what of the data root `tree` is left of work that was given up.
///
/// # Errors
/// What the tree says of folders that are there.
pub fn waste(tree: &dyn Tree) -> Result<Vec<Waste>> {
    let mut found = Vec::new();
    let mut add = |code, path: TreePathBuf, proof: &str| {
        let what = path.to_string();
        found.push(Waste { code, what, proof: proof.to_owned(), paths: vec![path] });
    };
    for folder in FOLDERS.map(path) {
        for name in optional(tree.names(folder))?.unwrap_or_default() {
            if let Some(inner) = folder.child(&name) {
                add("temporary", inner, "dockerd deletes it when it next starts");
            }
        }
    }
    for staged in STAGED.map(path) {
        if optional(tree.stat(staged))?.is_some() {
            add("staging", staged.to_owned(), "a run of tranship that did not end left it");
        }
    }
    if let Some(stage) = left_beside(tree)? {
        add("staging", stage, "a run of tranship that did not end left it");
    }
    for entry in optional(tree.list(path("containers")))?.unwrap_or_default() {
        let folder = path("containers").child(&entry.name);
        let file = folder.and_then(|folder| folder.as_path().child(CONFIG));
        let Some(file) = file.filter(|_| entry.metadata.kind == Kind::Dir) else { continue };
        if optional(tree.stat(file.as_path()))?.is_some() {
            add("staging", file, "a run of tranship that did not end left it");
        }
    }
    Ok(found)
}
