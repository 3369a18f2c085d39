//! What layerdb keeps of containers.
//!
//! moby v28 daemon/internal/layer/filestore.go, mounted_layer.go

use super::layers::VALUE_LIMIT;
use super::layout::Layout;
use crate::digest::ChainId;
use crate::error::{DecodeError, Error, Result};
use crate::format::docker::layerdb;
use crate::tree::{Tree, TreePathBuf, optional, read_within};

/// A folder of `layerdb/mounts`.
pub(super) struct Mount {
    /// The driver's folder of what the container changed.
    pub(super) mount_id: String,
    /// The driver's folder of what its daemon put there first.
    pub(super) init_id: Option<String>,
    /// The topmost layer of its image.
    pub(super) parent: Option<ChainId>,
}

/// Reads what there is of the container with the ID `container`.
///
/// # Errors
/// Missing if there is nothing, corrupt if a daemon could not read it either.
pub(super) fn read(tree: &dyn Tree, layout: &Layout, container: &str) -> Result<Mount> {
    let at = |key: &str| {
        layout.mount(container, key).ok_or_else(|| {
            let place = tree.place(layout.mounts().as_path());
            Error::missing(place, format!("`{container}` cannot be the ID of a container"))
        })
    };
    let file =
        |key: &str| -> Result<Vec<u8>> { read_within(tree, at(key)?.as_path(), VALUE_LIMIT) };
    let wrong = |path: TreePathBuf| move |error: DecodeError| error.at(tree.place(path.as_path()));
    let mount_id = layerdb::mount_id(&file("mount-id")?).map_err(wrong(at("mount-id")?))?;
    let init_id = match optional(file("init-id"))? {
        Some(bytes) => Some(layerdb::mount_id(&bytes).map_err(wrong(at("init-id")?))?),
        None => None,
    };
    let parent = match optional(file("parent"))? {
        Some(bytes) => Some(layerdb::parent(&bytes).map_err(wrong(at("parent")?))?),
        None => None,
    };
    Ok(Mount { mount_id, init_id, parent })
}
