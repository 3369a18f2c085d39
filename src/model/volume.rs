//! Volumes.

use std::collections::BTreeMap;

use crate::tree::TreePathBuf;

/// A volume of a data root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The driver that keeps it; `local` for all that lie in the data root.
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The options it was made with.
    pub options: BTreeMap<String, String>,
    /// The folder of its files, in the data root; nothing if another driver keeps them.
    pub data: Option<TreePathBuf>,
    /// What is mounted on that folder while a container runs; the files are there, not here.
    pub mount: Option<Mount>,
    /// The most bytes it may take, if that is limited.
    pub quota: Option<u64>,
    /// Whether the daemon made up its name.
    pub anonymous: bool,
}

/// What a volume of the `local` driver mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// The file system, such as `nfs`; `none` with the option `bind` for a folder.
    pub kind: String,
    /// What is mounted.
    pub device: String,
    /// How.
    pub options: String,
}
