//! The configuration of a container's process, as `runc` has it (opencontainers/runtime-spec config.md).

use serde::Deserialize;

use crate::format::raw::decode;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bundle {
    root: Root,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Root {
    path: String,
}

/// Returns the folder that the container's files are merged in, as the daemon named it; nothing where that is
/// not to be told.
#[must_use]
pub fn root_path(config: &[u8]) -> Option<String> {
    let path = decode::<Bundle>(config).ok()?.root.path;
    (!path.is_empty()).then_some(path)
}
