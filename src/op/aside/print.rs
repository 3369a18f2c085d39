//! How to know a thing again: enough to tell whether somebody has changed it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Result;
use crate::tree::{Entry, Kind, Metadata, Tree, TreePath, optional, read_within};

/// Files up to this size are known by their bytes, larger ones by size and time.
const READ: u64 = 4 << 20;

/// A thing, as it was. Of a folder it is what is directly in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    pub(super) kind: Sort,
    seen: Digest,
}

/// What a thing is, as far as it matters for changing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sort {
    /// A folder that was put empty, for others to come into: whatever is in it now.
    Empty,
    /// A folder.
    Folder,
    /// All else: what a rename replaces in one step.
    File,
}

impl Print {
    /// Returns the print of a folder for others to come into.
    pub(super) fn empty() -> Self {
        Self { kind: Sort::Empty, seen: Digest::of(b"") }
    }

    /// Returns the print of what is at `path`, if there is anything.
    pub(super) fn of(tree: &dyn Tree, path: TreePath<'_>) -> Result<Option<Self>> {
        let Some(found) = optional(tree.stat(path))? else { return Ok(None) };
        let (kind, mut seen) = match found.kind {
            Kind::Dir => {
                let entries = tree.list(path)?;
                (Sort::Folder, entries.iter().flat_map(inside).collect())
            }
            Kind::File if found.size <= READ => (Sort::File, read_within(tree, path, READ)?),
            Kind::File => (Sort::File, time(&found)),
            Kind::Symlink => (Sort::File, tree.read_link(path)?),
            _ => (Sort::File, format!("{:?}", found.rdev).into_bytes()),
        };
        seen.extend(what(&found));
        Ok(Some(Self { kind, seen: Digest::of(&seen) }))
    }

    /// Returns whether what is at `path` is still this.
    pub(super) fn is_at(&self, tree: &dyn Tree, path: TreePath<'_>) -> Result<bool> {
        match (self.kind, Self::of(tree, path)?) {
            (Sort::Empty, Some(found)) => Ok(found.kind == Sort::Folder),
            (_, found) => Ok(found.as_ref() == Some(self)),
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        self.kind != Sort::File
    }
}

fn what(found: &Metadata) -> Vec<u8> {
    let Metadata { kind, mode, uid, gid, .. } = found;
    let size = if *kind == Kind::Dir { 0 } else { found.size };
    format!("\0{kind:?} {mode:o} {uid} {gid} {size}").into_bytes()
}

fn time(found: &Metadata) -> Vec<u8> {
    found.mtime.to_string().into_bytes()
}

fn inside(entry: &Entry) -> Vec<u8> {
    let found = &entry.metadata;
    // What is deeper shows in the time of the folder that it is in.
    [&entry.name, b"\0".as_slice(), &what(found), &time(found), b"\0"].concat()
}
