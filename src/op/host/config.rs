//! The daemon's configuration.

use std::path::Path;

use crate::error::{Place, Result};
use crate::format::docker::daemon_config::{self, DaemonConfig};
use crate::tree::{Live, Tree, TreePath, TreePathBuf, optional, path, read_within};

pub(super) const SNAPSHOTTER: &str = daemon_config::FEATURE_SNAPSHOTTER;
pub(super) const MIGRATION: &str = daemon_config::FEATURE_MIGRATION;

/// Where dockerd reads its configuration unless told otherwise.
pub const DAEMON_CONFIG: &str = "etc/docker/daemon.json";

/// Where else a system may keep it: Docker's snap.
const OTHERS: [&str; 1] = ["var/snap/docker/current/config/daemon.json"];

/// A `daemon.json` that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub place: Place,
    /// What it says.
    pub read: DaemonConfig,
}

impl ConfigFile {
    /// Reads `bytes`, found at `place`.
    ///
    /// # Errors
    /// What dockerd could not read either.
    pub fn parse(bytes: &[u8], place: Place) -> Result<Self> {
        let read = DaemonConfig::parse(bytes).map_err(|error| {
            error.at(place.clone()).hint("dockerd would not start with this file either")
        })?;
        Ok(Self { place, read })
    }

    /// Returns the data root that it names, as a path in the tree of the whole system.
    #[must_use]
    pub fn data_root(&self) -> Option<TreePathBuf> {
        crate::tree::clean(self.read.root()?.as_bytes())
    }
}

/// Reads the configuration that a user names; nothing if there is no such file yet.
///
/// # Errors
/// What the operating system says, and what dockerd could not read either.
pub fn read_config(file: &Path) -> Result<Option<ConfigFile>> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let live = Live::open(folder.unwrap_or_else(|| Path::new(".")))?;
    let name = file.file_name().map(|name| name.as_encoded_bytes().to_vec());
    let name = name.and_then(TreePathBuf::new).unwrap_or_default();
    match optional(read_within(&live, name.as_path(), LIMIT))? {
        Some(bytes) => ConfigFile::parse(&bytes, live.place(name.as_path())).map(Some),
        None => Ok(None),
    }
}

const LIMIT: u64 = 1 << 20;

/// Reads the configuration of the system that `tree` is, if it has one.
pub(super) fn of_tree(tree: &dyn Tree) -> Result<Option<ConfigFile>> {
    let read = |at: TreePath<'_>| optional(read_within(tree, at, LIMIT));
    for at in std::iter::once(DAEMON_CONFIG).chain(OTHERS).map(path) {
        if let Some(bytes) = read(at)? {
            return ConfigFile::parse(&bytes, tree.place(at)).map(Some);
        }
    }
    Ok(None)
}
