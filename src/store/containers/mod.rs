//! The containers of a data root; both stores' lie in one folder.
//!
//! ```text
//! containers/<64 hex digits>/
//!   config.v2.json   what it is, and what became of it
//!   hostconfig.json  what it has of its machine; may be missing
//! ```
//!
//! moby v28 daemon/container/container.go

mod rebind;

use std::sync::Arc;

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::format::docker::container;
use crate::format::docker::host_config::HostConfig;
use crate::format::raw::decode;
use crate::model::{Container, Finding, Severity};
use crate::tree::{Tree, TreePathBuf, optional, path, read};

pub use rebind::{End, Moved, Rebound, Undone, moved, rebind, undo};

/// Where they all are.
pub(super) const FOLDER: &str = "containers";

/// Returns the containers of the data root `tree`, and what is wrong with others.
///
/// # Errors
/// Where the folder cannot be read.
pub fn read_all(tree: &dyn Tree) -> Result<(Vec<Container>, Vec<Finding>)> {
    let folder = path(FOLDER);
    let names = optional(tree.names(folder))?.unwrap_or_default();
    let read: Vec<_> =
        names.par_iter().filter(|name| is_id(name)).map(|id| one(tree, id)).collect();
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

/// Returns what Docker wrote of the container `id` in the data root `tree`: `config.v2.json`.
///
/// # Errors
/// A file that is missing or damaged.
pub fn config(tree: &dyn Tree, id: &str) -> Result<Map<String, Value>> {
    document(tree, id, CONFIG)
}

/// Returns what the container `id` has of its machine, as written: `hostconfig.json`. dockerd goes on
/// without one (moby v28 daemon/container/container.go readHostConfig).
///
/// # Errors
/// A file that is damaged.
pub fn host_config(tree: &dyn Tree, id: &str) -> Result<Option<Map<String, Value>>> {
    optional(document(tree, id, HOST_CONFIG))
}

/// Returns what the container `id` has of its machine, in the members that are known.
///
/// # Errors
/// As [`host_config`].
pub fn read_host_config(tree: &dyn Tree, id: &str) -> Result<Option<HostConfig>> {
    optional(document(tree, id, HOST_CONFIG))
}

const CONFIG: &[u8] = b"config.v2.json";
const HOST_CONFIG: &[u8] = b"hostconfig.json";

fn document<T: DeserializeOwned>(tree: &dyn Tree, id: &str, name: &[u8]) -> Result<T> {
    let file = path("containers").child(id.as_bytes());
    let file = file.and_then(|folder| folder.as_path().child(name)).unwrap_or_default();
    let bytes = read(tree, file.as_path())?;
    decode(&bytes).map_err(|error| error.at(tree.place(file.as_path())))
}

fn is_id(name: &[u8]) -> bool {
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}

/// Returns the config of the container with the ID `id`, of 64 hex digits.
pub(super) fn config_file(id: &[u8]) -> TreePathBuf {
    TreePathBuf::new([b"containers", id, b"config.v2.json"].join(&b'/')).unwrap_or_default()
}

/// Returns the file of what the container `id` has of its machine.
pub(super) fn host_config_file(id: &str) -> TreePathBuf {
    TreePathBuf::new([b"containers", id.as_bytes(), HOST_CONFIG].join(&b'/')).unwrap_or_default()
}

fn one(tree: &dyn Tree, id: &[u8]) -> Result<Container> {
    let file = config_file(id);
    let place = || tree.place(file.as_path());
    let bytes = read(tree, file.as_path())?;
    let read: container::Container = decode(&bytes).map_err(|error| error.at(place()))?;
    if read.id.as_bytes() != id {
        let what = format!("found the ID `{}`, wanted the folder's name", read.id);
        return Err(Error::corrupt(place(), what));
    }
    let host = read_host_config(tree, &read.id);
    Ok(Container {
        name: read.name().to_owned(),
        image: read.image.parse().ok(),
        image_name: read.config.image.clone(),
        running: read.state.is_live(),
        driver: read.driver.clone(),
        // One that is damaged is told of where a container is shown.
        removes_itself: host.is_ok_and(|host| host.is_some_and(|host| host.auto_remove)),
        id: read.id.clone(),
        record: Arc::new(read),
    })
}
