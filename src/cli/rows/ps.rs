//! The rows of `tranship ps`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreKind;

/// The containers of one or more data roots, newest first; of several roots, one after the other. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ContainerList(pub Vec<ContainerRow>);

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ContainerRow {
    /// The data root that it is in.
    pub root: String,
    /// The store that holds its writable layer; null if there is no such store any more.
    pub store: Option<StoreKind>,
    /// The graph driver or snapshotter that its record names.
    pub driver: String,
    /// Whether the daemon that uses this data root will not show it.
    pub hidden: bool,
    /// The ID.
    pub id: String,
    /// The name, without the slash before it.
    pub name: String,
    /// The image, as the user wrote it.
    pub image: String,
    /// The ID of the image.
    pub image_id: String,
    /// Whether the image is still there.
    pub image_present: bool,
    /// What it runs: the program and its arguments.
    pub command: Vec<String>,
    /// When it was made.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// What its daemon last knew of it.
    pub state: StateRow,
    /// Whether it ran when its daemon last wrote, and no daemon has the store open now: what it was
    /// writing may be torn.
    pub was_running: bool,
    /// The ports that are published on the machine.
    pub ports: Vec<PortRow>,
    /// The restart policy, such as `unless-stopped` or `on-failure:3`; null where it is not known.
    pub restart: Option<String>,
    /// The bytes of the files in its writable layer; null where that is not known or was not asked for.
    pub size: Option<u64>,
    /// The bytes these files and their folders take on disk.
    pub size_on_disk: Option<u64>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// What is mounted in it.
    pub mounts: Vec<MountRow>,
    /// The names of its networks.
    pub networks: Vec<String>,
}

/// What a daemon last knew of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StateRow {
    /// Docker's word: `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub status: String,
    /// How it ended.
    pub exit_code: i64,
    /// Whether the kernel ended it for want of memory.
    pub oom_killed: bool,
    /// What went wrong at its last start or stop.
    pub error: Option<String>,
    /// When it last started; null if it never did.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub started: Option<Timestamp>,
    /// When it last ended; null if it never did.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub finished: Option<Timestamp>,
    /// How often the daemon started it again.
    pub restarts: i64,
}

/// A port of a container on its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PortRow {
    /// The address on the machine; empty for all.
    pub ip: String,
    /// The port on the machine; null for any.
    pub public: Option<String>,
    /// The port in the container.
    pub private: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// Something mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MountRow {
    /// `volume`, `bind`, `tmpfs` or another.
    pub kind: String,
    /// The volume's name, else the path on the machine.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// Whether it can be written.
    pub writable: bool,
}
