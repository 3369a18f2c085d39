//! What takes room on a disk, and what holds it there.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What a line of the ledger is of. Every file is of exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// A layer of images, as the classic store has it.
    Layer,
    /// A layer of images, as the containerd store has it unpacked.
    Snapshot,
    /// Bytes under their digest: packed layers, configs, manifests.
    Blob,
    /// What a container changed, and its own files.
    Container,
    /// What a daemon puts into a container first.
    Init,
    /// What containers wrote to their logs.
    Logs,
    /// A volume.
    Volume,
    /// What the image builder keeps.
    BuildCache,
    /// A download that goes on, or did.
    Ingest,
    /// What only a lease holds.
    Lease,
    /// What nothing leads to.
    Orphan,
    /// What is left of work that was given up.
    Stale,
    /// What tranship put aside.
    Quarantine,
    /// The records of stores and daemons.
    Metadata,
    /// Plugins of Docker.
    Plugin,
    /// Docker's swarm.
    Swarm,
    /// Anything else.
    Unknown,
}

impl Use {
    /// Returns the word for it that tables and JSON use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Snapshot => "snapshot",
            Self::Blob => "blob",
            Self::Container => "container",
            Self::Init => "init",
            Self::Logs => "logs",
            Self::Volume => "volume",
            Self::BuildCache => "build-cache",
            Self::Ingest => "ingest",
            Self::Lease => "lease",
            Self::Orphan => "orphan",
            Self::Stale => "stale",
            Self::Quarantine => "quarantine",
            Self::Metadata => "metadata",
            Self::Plugin => "plugin",
            Self::Swarm => "swarm",
            Self::Unknown => "unknown",
        }
    }

    /// Returns whether nobody would miss it.
    #[must_use]
    pub fn is_waste(self) -> bool {
        matches!(self, Self::Orphan | Self::Stale)
    }
}

/// What holds something on disk: it goes when the last of these is removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// An image, by the ID that its store knows it by.
    Image(Digest),
    /// A container, by its ID.
    Container(String),
    /// A volume, by its name.
    Volume(String),
    /// The image builder.
    Build,
    /// A lease of containerd, by its ID.
    Lease(String),
    /// Something of another namespace of containerd, by that.
    Namespace(String),
}

/// One thing on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// What it is of.
    pub of: Use,
    /// What its store calls it: a chain ID, the digest of a blob, the ID of a container; else its path.
    pub id: String,
    /// What it is within that, such as `config`; may be empty.
    pub role: &'static str,
    /// What holds it, in order; nothing for records, and for what nobody would miss.
    pub held_by: Vec<Holder>,
    /// Why nobody would miss it; may be empty.
    pub proof: String,
}

impl Thing {
    /// Returns a thing that nothing holds.
    #[must_use]
    pub fn new(of: Use, id: impl Into<String>) -> Self {
        Self { of, id: id.into(), role: "", held_by: Vec::new(), proof: String::new() }
    }

    /// Returns it with what it is within its kind.
    #[must_use]
    pub fn with_role(self, role: &'static str) -> Self {
        Self { role, ..self }
    }

    /// Returns it with what holds it.
    #[must_use]
    pub fn with_holders(self, holders: impl IntoIterator<Item = Holder>) -> Self {
        let mut held_by: Vec<_> = holders.into_iter().collect();
        held_by.sort_unstable();
        held_by.dedup();
        Self { held_by, ..self }
    }
}
