//! Unpacks a layer's tar as one of the two daemons does, tells whether a folder holds it already, and
//! names what differs.
//!
//! [`Unpacker`], [`Same`] and [`Compare`] are each a [`Watch`](crate::format::tar::Watch), so one reading
//! of a tar can unpack it and do something else besides: verify it, or take it apart for a tar-split.
//! Who has a layer and not its rules asks [`LayerContent::compare`](super::LayerContent::compare) for
//! the [`Differences`].

mod attributes;
mod body;
mod compare;
mod dirs;
mod name;
mod write;

pub use compare::{Compare, Difference, Differences, Differs, NAMED, Same};
pub use write::Unpacker;

use crate::error::Result;
use crate::tree::{Attributes, Metadata, Tree, TreePath, TreePathBuf, optional, resolve_folder};

/// Looks a folder of a layer up in the layers below it; nothing if the nearest that has the name has no
/// folder there.
pub type Lower<'a> = dyn Fn(TreePath<'_>) -> Result<Option<Attributes>> + Sync + 'a;

/// What the daemons do in different ways.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Whether deleted names and opaque folders are marked for overlayfs. Where not, they only take
    /// away what the same layer had there before.
    marks: bool,
    /// Whether the tar's `trusted.` attributes are set.
    trusted: bool,
    /// Whether names that lead out of the layer are turned inside, and not refused.
    turns_inside: bool,
    /// Where folders that the tar leaves out get their attributes from.
    lower: Option<&'a Lower<'a>>,
}

impl std::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("marks", &self.marks).finish_non_exhaustive()
    }
}

impl<'a> Rules<'a> {
    /// Returns how dockerd unpacks a layer for overlay2, whatever is below it.
    ///
    /// moby v28 vendor/github.com/moby/go-archive/archive.go Unpack
    #[must_use]
    pub fn docker() -> Self {
        Self { marks: true, trusted: true, turns_inside: false, lower: None }
    }

    /// Returns how containerd unpacks a layer that stands on others.
    ///
    /// containerd v2 pkg/archive/tar.go applyNaive, tar_opts_linux.go
    #[must_use]
    pub fn containerd(lower: &'a Lower<'a>) -> Self {
        Self { marks: true, trusted: false, turns_inside: true, lower: Some(lower) }
    }

    /// Returns how containerd unpacks a layer that stands on nothing: without overlayfs, where a
    /// whiteout removes and leaves nothing.
    ///
    /// containerd v2 core/diff/apply/apply_linux.go
    #[must_use]
    pub fn containerd_base() -> Self {
        Self { marks: false, trusted: false, turns_inside: true, lower: None }
    }
}

/// What unpacking made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, folders and all else, each counted once however many names it has.
    pub inodes: u64,
    /// Bytes they take on disk.
    pub allocated: u64,
    /// Bytes of files that were written, those that were removed again among them.
    pub written: u64,
    /// Bytes of all that is no folder when read: what dockerd notes as the layer's `size` (moby v28
    /// daemon/internal/directory/directory_unix.go).
    pub apparent: u64,
    /// Whether something was replaced in a layer whose names lead through links. What data is where
    /// cannot be told by the names in the tar then, so a tar-split must keep all of it itself.
    pub ambiguous: bool,
}

/// Returns the attributes that containerd gives a folder which the tar leaves out: those it has in the
/// nearest of `layers`, if that has a folder of the name.
///
/// containerd v2 pkg/archive/tar.go mkparent
///
/// # Errors
/// What the trees say, and those of a layer that is asked for.
pub fn folder_below<'a>(
    layers: impl Iterator<Item = Result<(&'a dyn Tree, TreePathBuf)>>,
    folder: TreePath<'_>,
) -> Result<Option<Attributes>> {
    for layer in layers {
        let (tree, root) = layer?;
        let Some(found) = resolve_folder(tree, root.as_path(), folder.as_bytes())? else {
            return Ok(None);
        };
        if let Some(metadata) = optional(tree.stat(found.as_path()))? {
            let Metadata { mode, uid, gid, mtime, .. } = metadata;
            let mut xattrs = tree.xattrs(found.as_path())?;
            xattrs.retain(|key, _| !key.starts_with(attributes::TRUSTED));
            return Ok(Some(Attributes { mode, uid, gid, mtime: Some(mtime), xattrs }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
