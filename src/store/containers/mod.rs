//! The containers of a data root; both stores' lie in one folder.
//!
//! ```text
//! containers/<64 hex digits>/config.v2.json
//! ```
//!
//! moby v28 daemon/container/container.go

mod rebind;

use std::sync::Arc;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::format::docker::container;
use crate::format::raw::decode;
use crate::model::{Container, Finding, Severity};
use crate::tree::{Tree, TreePath, TreePathBuf, optional, path, read};

pub use rebind::{End, Rebound, Undone, rebind, undo};

/// Returns the containers of the data root `tree`, and what is wrong with others.
///
/// # Errors
/// Where the folder cannot be read.
pub fn read_all(tree: &dyn Tree) -> Result<(Vec<Container>, Vec<Finding>)> {
    let folder = path("containers");
    let names = optional(tree.names(folder))?.unwrap_or_default();
    let read: Vec<_> =
        names.par_iter().filter(|name| is_id(name)).map(|id| one(tree, folder, id)).collect();
    let (mut containers, mut findings) = (Vec::new(), Vec::new());
    for container in read {
        match container {
            Ok(container) => containers.push(container),
            Err(error) => {
                let code = "container-unreadable";
                findings.push(Finding::of(code, Severity::WouldNotLoad, &error));
            }
        }
    }
    Ok((containers, findings))
}

fn is_id(name: &[u8]) -> bool {
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}

/// Returns the config of the container with the ID `id`, of 64 hex digits.
fn config_file(id: &[u8]) -> TreePathBuf {
    TreePathBuf::new([b"containers", id, b"config.v2.json"].join(&b'/')).unwrap_or_default()
}

/// Returns what `hostconfig.json` says of removal; old daemons wrote none.
fn removes_itself(tree: &dyn Tree, folder: TreePath<'_>, id: &[u8]) -> Result<bool> {
    let file = [folder.as_bytes(), id, b"hostconfig.json"].join(&b'/');
    let file = TreePathBuf::new(file).unwrap_or_default();
    let Some(bytes) = optional(read(tree, file.as_path()))? else { return Ok(false) };
    let read: container::HostConfig =
        decode(&bytes).map_err(|error| error.at(tree.place(file.as_path())))?;
    Ok(read.auto_remove)
}

fn one(tree: &dyn Tree, folder: TreePath<'_>, id: &[u8]) -> Result<Container> {
    let file = config_file(id);
    let place = || tree.place(file.as_path());
    let bytes = read(tree, file.as_path())?;
    let read: container::Container = decode(&bytes).map_err(|error| error.at(place()))?;
    if read.id.as_bytes() != id {
        let what = format!("found the ID `{}`, wanted the folder's name", read.id);
        return Err(Error::corrupt(place(), what));
    }
    Ok(Container {
        name: read.name().to_owned(),
        image: read.image.parse().ok(),
        image_name: read.config.image.clone(),
        running: read.state.is_live(),
        driver: read.driver.clone(),
        removes_itself: removes_itself(tree, folder, id)?,
        id: read.id.clone(),
        record: Arc::new(read),
    })
}
