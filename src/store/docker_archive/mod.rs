//! Archives of `docker save` that are no image layouts: what Docker up to 24, podman, skopeo and crane
//! write.
//!
//! ```text
//! manifest.json               the images: config, names and layers, each a path in the archive
//! <hex>.json                  a config; crane calls it `sha256:<hex>`
//! <id>/layer.tar              a layer, or a link to another image's
//! <hex>.tar  <hex>.tar.gz     a layer as podman and skopeo, and as crane call it
//! repositories                the names as Docker before 1.10 looks for them
//! <id>/VERSION  <id>/json     each layer as an image of its own, for the same
//! ```
//!
//! moby v24 image/tarexport/save.go; containers/image v5 docker/internal/tarfile/writer.go

mod read;

pub use read::Archive;

use std::io::Read as _;

use crate::error::{Error, Result};
use crate::tree::{Kind, Tree, TreePath, optional, path};

/// Returns whether `tree` looks like such an archive.
///
/// # Errors
/// What the tree says of files that are there.
pub fn is_one(tree: &dyn Tree) -> Result<bool> {
    let is_file = |at: TreePath<'_>| {
        Ok::<_, Error>(optional(tree.stat(at))?.is_some_and(|found| found.kind == Kind::File))
    };
    if is_file(path(MANIFEST))? {
        // Others have a `manifest.json` too, but not with a list in it.
        let mut start = Vec::new();
        let read = tree.open(path(MANIFEST))?.take(64).read_to_end(&mut start);
        read.map_err(|error| Error::io(tree.place(path(MANIFEST)), error))?;
        return Ok(start.trim_ascii_start().first() == Some(&b'['));
    }
    // Before Docker 1.10 nothing but the folders of the layers tell.
    let is_layer = |name: &Vec<u8>| name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit);
    Ok(is_file(path(REPOSITORIES))? && tree.names(TreePath::ROOT)?.iter().any(is_layer))
}

const MANIFEST: &str = "manifest.json";
const REPOSITORIES: &str = "repositories";
