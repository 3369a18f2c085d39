//! What a host keeps: its data roots, their stores, and which of them a daemon will show.

mod bytes;
mod config;
mod container;
mod known;
mod locks;
mod named;
mod open;
mod unpacked;

use std::sync::Arc;

use crate::error::Result;
use crate::format::oci::Platform;
use crate::model::next_start::{self, Choice, ClassicStore, Facts, Starter};
use crate::model::{Container, Finding, Image, Inventory, StoreKind};
use crate::store::find::{self, RootFound};
use crate::store::open::{self as stores, StoreHere};
use crate::tree::{Sub, Tree, TreePathBuf, optional, path};

pub use bytes::{Room, room};
pub use config::{ConfigFile, DAEMON_CONFIG, read_config};
pub use container::WritableSize;
pub use locks::Stopped;
pub use named::{ContainerAt, ImageAt};
pub use open::{Opened, open};
pub use unpacked::{UnpackedAt, UnpackedOf};

/// A store, and how a daemon sees it.
#[derive(Debug)]
pub struct Seen {
    /// The store.
    pub here: StoreHere,
    /// Whether a daemon has it open now; `None` where that cannot be asked.
    pub open_by_daemon: Option<bool>,
    /// Whether no daemon of any version will show it at its next start.
    pub hidden: bool,
}

impl Seen {
    /// Returns what the store holds; nothing where it cannot be read.
    #[must_use]
    pub fn inventory(&self) -> Option<&Inventory> {
        self.here.inventory()
    }
}

/// What each daemon will show at its next start.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Docker 24 to 28.
    pub docker_28: Choice,
    /// Docker 29 and later.
    pub docker_29: Choice,
    /// Rancher Desktop, left to itself.
    pub rancher_auto: Choice,
}

impl Choices {
    fn of(facts: &Facts) -> Self {
        Self {
            docker_28: next_start::next_start(Starter::Docker28, facts),
            docker_29: next_start::next_start(Starter::Docker29, facts),
            rancher_auto: next_start::next_start(Starter::RancherAuto { wasm: false }, facts),
        }
    }

    fn hide(&self, store: &StoreHere) -> bool {
        !shows(&self.docker_28, store) && !shows(&self.docker_29, store)
    }
}

/// A data root and its stores; or a layout or archive of images, which is one store alone.
pub struct DataRoot {
    /// The tree it is in.
    pub tree: Arc<dyn Tree>,
    /// Where it is in the tree.
    pub path: TreePathBuf,
    /// Where that is, for messages.
    pub place: String,
    /// Its stores.
    pub stores: Vec<Seen>,
    /// Its containers, whichever store they are in, and if that store is gone.
    pub containers: Vec<Container>,
    /// What will be shown; nothing for a layout or an archive, on which no daemon starts.
    pub choices: Option<Choices>,
    /// What is wrong with the root itself; the stores' inventories have more.
    pub findings: Vec<Finding>,
    /// The configuration that was taken into account.
    pub config: Option<ConfigFile>,
}

impl std::fmt::Debug for DataRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataRoot").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A host's data roots.
pub struct Host {
    /// The tree that all paths are in.
    pub tree: Arc<dyn Tree>,
    /// Its data roots.
    pub roots: Vec<DataRoot>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// What is known of a host besides its tree.
#[derive(Default)]
pub struct Known {
    /// The root of a containerd that is not in the usual place.
    pub containerd_root: Option<Arc<dyn Tree>>,
    /// The daemon's configuration, if it is not the tree's own.
    pub config: Option<ConfigFile>,
    /// The platform that is shown first of an image with several.
    pub platform: Platform,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads every data root of what was opened, and every store of each.
///
/// # Errors
/// Where the tree cannot be read at all, or a configuration cannot be understood.
pub fn survey(opened: &Opened, known: &Known) -> Result<Host> {
    let tree = Arc::clone(&opened.tree);
    let config = match &known.config {
        Some(config) => Some(config.clone()),
        None => config::of_tree(&*tree)?,
    };
    let named = config.as_ref().and_then(ConfigFile::data_root);
    let mut found = find::roots(&*tree, named.as_ref().map(TreePathBuf::as_path))?;
    if let Some(only) = &opened.only {
        found.retain(|root| root.path.as_path().below(only.as_path()).is_some());
    }
    let root = |found: RootFound| data_root(&tree, found, config.clone(), known);
    let roots = found.into_iter().map(root).collect::<Result<Vec<_>>>()?;
    Ok(Host { tree, roots })
}

fn data_root(
    tree: &Arc<dyn Tree>,
    found: RootFound,
    config: Option<ConfigFile>,
    known: &Known,
) -> Result<DataRoot> {
    let all = stores::stores(tree, &found, known.containerd_root.as_ref(), &known.platform)?;
    let root = Sub::new(Arc::clone(tree), found.path.as_path());
    let choices = match found.carried {
        Some(_) => None,
        None => {
            let facts = facts(&root, &found, &all.stores, &all.containers, config.as_ref())?;
            Some(Choices::of(&facts))
        }
    };
    let seen = |here: StoreHere| Seen {
        open_by_daemon: locks::is_held(&*here.tree, &here.lock_files),
        hidden: choices.as_ref().is_some_and(|choices| choices.hide(&here)),
        here,
    };
    let stores = all.stores.into_iter().map(seen).collect();
    let place = tree.place(found.path.as_path()).to_string();
    let (tree, path, findings) = (Arc::clone(tree), found.path, all.findings);
    let containers = all.containers;
    Ok(DataRoot { tree, path, place, stores, containers, choices, findings, config })
}

fn shows(choice: &Choice, store: &StoreHere) -> bool {
    match &choice.store {
        next_start::Store::Classic { driver } => {
            store.kind == StoreKind::Classic && store.driver == *driver
        }
        next_start::Store::Containerd { .. } => store.kind == StoreKind::Containerd,
        next_start::Store::StartError => false,
    }
}

fn facts(
    root: &dyn Tree,
    found: &RootFound,
    stores: &[StoreHere],
    containers: &[Container],
    config: Option<&ConfigFile>,
) -> Result<Facts> {
    let snapshots = path("containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots");
    let prior = found.classic.iter().filter(|c| c.has_files && c.driver != "vfs");
    let prior = prior.filter(|classic| REGISTERED.contains(&classic.driver.as_str()));
    let classic = |store: &StoreHere| {
        let inventory = store.inventory().filter(|_| store.kind == StoreKind::Classic)?;
        let bytes = inventory.images.iter().map(Image::size).fold(0, u64::saturating_add);
        let (driver, images) = (store.driver.clone(), inventory.images.len() as u64);
        Some(ClassicStore { driver, images, bytes })
    };
    let containerd = stores.iter().filter(|store| store.kind == StoreKind::Containerd);
    let images = |store: &StoreHere| store.inventory().map_or(0, |i| i.images.len() as u64);
    Ok(Facts {
        feature: config.and_then(|config| config.read.feature(config::SNAPSHOTTER)),
        storage_driver: config.and_then(|c| c.read.storage_driver().map(str::to_owned)),
        userns_remap: config.is_some_and(|config| config.read.userns_remap().is_some()),
        prior_drivers: prior.map(|classic| classic.driver.clone()).collect(),
        classic: stores.iter().filter_map(classic).collect(),
        container_drivers: containers.iter().map(|c| c.driver.clone()).collect(),
        containerd_images: containerd.map(images).sum(),
        snapshots: optional(root.names(snapshots))?.is_some_and(|names| !names.is_empty()),
        migration: config
            .and_then(|config| config.read.feature(config::MIGRATION))
            .and_then(|on| on.then_some(0)),
    })
}

/// Graph drivers that Docker 29 has; folders of others are not looked at (moby v29
/// daemon/graphdriver/driver.go scanPriorDrivers).
const REGISTERED: [&str; 4] = ["overlay2", "fuse-overlayfs", "btrfs", "zfs"];
