//! What of a store can go, each with the proof that a person can check.
//!
//! A plan is made by reading alone. What a daemon sees changes first, and at once: the files of
//! [`Reclaim::puts`] take the place of those they replace, each durable before the next. What nothing
//! names any more goes after that, in the order of [`Reclaim::waste`].

use std::collections::BTreeSet;

use super::builds::Builds;
use crate::digest::{ChainId, ConfigId};
use crate::model::Container;
use crate::tree::{Time, TreePathBuf};

/// What of a store is to go.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The whole store, but for what is used by others than its own images.
    pub whole: bool,
    /// What nothing mentions.
    pub orphans: bool,
    /// Packed layers that are unpacked too.
    pub blobs: bool,
    /// Leases of images that are gone.
    pub leases: bool,
    /// Unpacked layers that are not what is packed, as far as that was looked at.
    pub damaged: BTreeSet<ChainId>,
    /// What the image builder keeps, too.
    pub build_cache: bool,
    /// What else is known of the data root.
    pub known: Known,
}

/// What a data root says that one of its stores does not know.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The time: leases and downloads end at one.
    pub now: Time,
    /// The containers, whichever store has them.
    pub containers: Vec<Container>,
    /// The names of all folders of containers, also of those that cannot be read; nothing where it is
    /// not known which data root the store belongs to.
    pub container_folders: Option<BTreeSet<String>>,
    /// The images of the classic stores; nothing where not all of those could be read.
    pub classic_images: Option<BTreeSet<ConfigId>>,
    /// What the classic store's image builder mentions.
    pub builds: Builds,
}

impl Known {
    /// Returns whether there is a container of this ID, or may be one.
    #[must_use]
    pub fn may_exist(&self, container: &str) -> bool {
        self.container_folders.as_ref().is_none_or(|all| all.contains(container))
    }

    /// Returns whether a container may need what a store of `driver` has of it: it is bound to that
    /// store, or its config cannot be read.
    #[must_use]
    pub fn may_use(&self, container: &str, driver: &str) -> bool {
        let found = self.containers.iter().find(|one| one.id == container);
        self.may_exist(container) && found.is_none_or(|one| one.driver == driver)
    }
}

/// What can go.
#[derive(Clone, Debug, Default)]
pub struct Reclaim {
    /// Files that are written anew, in this order.
    pub puts: Vec<Put>,
    /// What goes after that, in this order.
    pub waste: Vec<Waste>,
    /// What could be thought to be of no use, and stays.
    pub stays: Vec<Stay>,
    /// Unpacked layers that are all that will be left of themselves.
    pub relied_on: BTreeSet<ChainId>,
    /// What will not work any more.
    pub losses: Vec<String>,
}

/// A file that takes the place of one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Where, in the store's tree.
    pub path: TreePathBuf,
    /// All it is to hold.
    pub bytes: Vec<u8>,
}

/// Something that can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waste {
    /// A stable name for the sort of thing, such as `blob`.
    pub code: &'static str,
    /// What it is.
    pub what: String,
    /// Why nobody misses it.
    pub proof: String,
    /// The files and folders that go, in the store's tree; none for a mere record.
    pub paths: Vec<TreePathBuf>,
}

/// Something that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Reclaim {
    /// Adds something that goes.
    pub(super) fn add(
        &mut self,
        code: &'static str,
        what: impl Into<String>,
        proof: impl Into<String>,
        paths: Vec<TreePathBuf>,
    ) {
        self.waste.push(Waste { code, what: what.into(), proof: proof.into(), paths });
    }

    /// Adds something that stays.
    pub(super) fn stay(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.stays.push(Stay { what: what.into(), why: why.into() });
    }

    /// Returns whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.waste.is_empty()
    }
}
