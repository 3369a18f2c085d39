//! The rows of `tranship volumes`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FindingRow;

/// The volumes of one or more data roots, by name; of several roots, one after the other. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct VolumeList(pub Vec<VolumeRow>);

/// One volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VolumeRow {
    /// The data root that it is in.
    pub root: String,
    /// Its name.
    pub name: String,
    /// The driver that keeps it.
    pub driver: String,
    /// Whether Docker made up its name.
    pub anonymous: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The options it was made with.
    pub options: BTreeMap<String, String>,
    /// The folder of its files; null if another driver keeps them.
    pub mountpoint: Option<String>,
    /// What is mounted on that folder while a container runs; the files are there.
    pub mount: Option<MountRow>,
    /// The most bytes it may take, if that is limited.
    pub quota: Option<u64>,
    /// The bytes of its files as Docker counts them; null where they are elsewhere or were not counted.
    pub size: Option<u64>,
    /// The bytes its files take on disk.
    pub allocated: Option<u64>,
    /// The containers that it is mounted in.
    pub used_by: Vec<UserRow>,
    /// Whether no container uses it.
    pub dangling: bool,
    /// Whether only containers use it that the daemon which starts next does not see, so that it takes
    /// the volume for unused.
    pub hidden: bool,
}

/// What a volume mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MountRow {
    /// The file system, such as `nfs`.
    pub kind: String,
    /// What is mounted.
    pub device: String,
}

/// A container that uses a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UserRow {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether the daemon that starts next does not see it.
    pub hidden: bool,
}

/// What became of an export or import of volumes. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VolumesCarried {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The volumes.
    pub volumes: Vec<CarriedRow>,
    /// What was found on the way.
    pub findings: Vec<FindingRow>,
}

/// A volume that was carried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CarriedRow {
    /// Its name.
    pub name: String,
    /// How many files and folders.
    pub files: u64,
    /// Their bytes when read.
    pub size: u64,
    /// Where it is now; null in an archive.
    pub mountpoint: Option<String>,
    /// Whether a volume of that name gave way.
    pub replaced: bool,
}
