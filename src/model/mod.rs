//! What a Docker host holds, whatever keeps it.

mod container;
mod finding;
mod image;
mod inventory;
mod ledger;
pub mod next_start;
mod size;
mod volume;

pub use container::{Container, called};
pub use finding::{Finding, Severity};
pub use image::{Image, Name, PlatformImage, Role};
pub use inventory::{Inventory, Layer, LayerBlob};
pub use ledger::{Holder, Thing, Use};
pub use size::{Sizes, sizes};
pub use volume::{Mount, Volume};

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which way of keeping images a store is: one of Docker's two, or one for carrying them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The graph drivers' store: `image/<driver>` and `<driver>` in the data root.
    Classic,
    /// The containerd image store.
    Containerd,
    /// An OCI image layout.
    Layout,
    /// An archive of `docker save` that is no image layout.
    Archive,
}

impl StoreKind {
    /// Returns whether it is for carrying images: no daemon works on it.
    #[must_use]
    pub fn is_carried(self) -> bool {
        matches!(self, Self::Layout | Self::Archive)
    }

    /// Returns the word for it that arguments, messages and JSON use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Containerd => "containerd",
            Self::Layout => "layout",
            Self::Archive => "archive",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
