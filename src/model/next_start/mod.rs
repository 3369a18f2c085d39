//! Which of its image stores dockerd will show when it starts next, and why.
//!
//! The two stores may stand side by side; dockerd shows one and never mentions the other.

use std::fmt;

/// Graph drivers dockerd 28 and 29 have. moby v29 daemon/graphdriver/register
const REGISTERED: &[&str] = &["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs"];
/// Graph drivers it had. moby v29 daemon/graphdriver/driver.go checkRemoved
const REMOVED: &[&str] = &["aufs", "devicemapper", "overlay"];
/// Graph drivers no snapshotter is named after.
const NO_SNAPSHOTTERS: &[&str] = &["overlay2", "vfs", "aufs", "devicemapper", "overlay"];
/// What containerd takes where nothing is said; `native` where it cannot.
const DEFAULT_SNAPSHOTTER: &str = "overlayfs";

/// What decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `features.containerd-snapshotter` of daemon.json or the command line.
    pub feature: Option<bool>,
    /// `storage-driver`, which the environment's `DOCKER_DRIVER` overrides.
    pub storage_driver: Option<String>,
    /// Whether `userns-remap` is set.
    pub userns_remap: bool,
    /// The graph drivers but for vfs whose directory in the data root is not empty, whatever it
    /// holds.
    pub prior_drivers: Vec<String>,
    /// The classic stores with images.
    pub classic: Vec<ClassicStore>,
    /// The driver of each container.
    pub container_drivers: Vec<String>,
    /// How many images the containerd store has.
    pub containerd_images: u64,
    /// Whether the overlayfs snapshotter's `snapshots` directory has anything in it.
    pub snapshots: bool,
    /// The threshold of `features.containerd-migration` if that is on: 0 unless the environment's
    /// `DOCKER_MIGRATE_SNAPSHOTTER_THRESHOLD` says otherwise.
    pub migration: Option<u64>,
}

/// The images of one graph driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicStore {
    /// The graph driver.
    pub driver: String,
    /// How many images it has.
    pub images: u64,
    /// The sizes of all layers of each image, added up; shared layers count once for each.
    pub bytes: u64,
}

/// Who starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    /// dockerd 24 to 28.
    Docker28,
    /// dockerd 29 and later.
    Docker29,
    /// Rancher Desktop 1.22 and later with `containerEngine.mobyStorageDriver` on `auto`.
    RancherAuto {
        /// Whether WebAssembly is enabled in it.
        wasm: bool,
    },
}

/// What dockerd will show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// The classic store.
    Classic {
        /// Its graph driver.
        driver: String,
    },
    /// The containerd store.
    Containerd {
        /// Its snapshotter.
        snapshotter: String,
    },
    /// Nothing: it will not start.
    StartError,
}

/// What dockerd will do, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it will show.
    pub store: Store,
    /// The reason, in a sentence.
    pub why: String,
    /// What to change to see the other store, or for dockerd to start.
    pub change: Option<String>,
}

/// Returns what the next start will show.
#[must_use]
pub fn next_start(starter: Starter, facts: &Facts) -> Choice {
    match starter {
        Starter::Docker28 => docker_28(facts),
        Starter::Docker29 => docker_29(facts),
        Starter::RancherAuto { wasm } => rancher_auto(facts, wasm),
    }
}

const TURN_ON: &str = "Set features.containerd-snapshotter to true in daemon.json.";
const TURN_OFF: &str = "Set features.containerd-snapshotter to false in daemon.json.";
const TURN_ON_AND_REMOVE: &str =
    "Set features.containerd-snapshotter to true and remove storage-driver in daemon.json.";
const TURN_OFF_AND_REMOVE: &str =
    "Set features.containerd-snapshotter to false and remove storage-driver in daemon.json.";
const REMOVE: &str = "Remove storage-driver in daemon.json.";
const NO_REMAP: &str =
    "Remove userns-remap in daemon.json; what was made with it stays in its own data root.";

/// moby v28.5.2 daemon/daemon.go NewDaemon: the feature alone decides.
fn docker_28(facts: &Facts) -> Choice {
    if facts.feature != Some(true) {
        let why = match facts.feature {
            Some(_) => "features.containerd-snapshotter is false",
            None => "Docker up to 28 uses the classic store unless daemon.json says otherwise",
        };
        return classic(facts, why);
    }
    let driver = driver(facts);
    let snapshotter = driver.unwrap_or(DEFAULT_SNAPSHOTTER);
    let mut choice = containerd(facts, snapshotter, "features.containerd-snapshotter is true");
    if driver.is_some_and(|driver| NO_SNAPSHOTTERS.contains(&driver)) {
        choice.why = format!(
            "features.containerd-snapshotter is true, but storage-driver names {snapshotter:?}, \
             which is no snapshotter: images are listed, and none can be run."
        );
        choice.change = Some(REMOVE.to_owned());
    }
    choice
}

/// moby v29 daemon/image_store_choice.go determineImageStoreChoice, in the order since 29.1.0.
fn docker_29(facts: &Facts) -> Choice {
    let driver = driver(facts);
    let registered = driver.is_some_and(|driver| REGISTERED.contains(&driver));
    // daemon/command/daemon_linux.go
    let choice = match (facts.userns_remap, facts.feature) {
        (true, Some(true)) => {
            let why = "userns-remap and features.containerd-snapshotter cannot both be on";
            return refusal(why, "Remove one of the two in daemon.json.");
        }
        (true, _) => {
            let choice = classic(facts, "userns-remap is on, which the containerd store cannot do");
            match choice.store {
                Store::StartError => return choice,
                _ => Choice { change: Some(NO_REMAP.to_owned()), ..choice },
            }
        }
        (false, Some(false)) => classic(facts, "features.containerd-snapshotter is false"),
        (false, None) if !facts.prior_drivers.is_empty() => {
            let drivers = facts.prior_drivers.join(" and ");
            let why = format!("the data root's {drivers} directory is not empty");
            classic(facts, &why)
        }
        (false, None) if registered => classic(
            facts,
            &format!("storage-driver names the graph driver {:?}", driver.unwrap_or_default()),
        ),
        (false, feature) => return containerd_29(facts, driver, feature),
    };
    migrated(facts, choice)
}

fn containerd_29(facts: &Facts, driver: Option<&str>, feature: Option<bool>) -> Choice {
    if let Some(driver) = driver.filter(|driver| NO_SNAPSHOTTERS.contains(driver)) {
        let why =
            format!("storage-driver names {driver:?}, and there is no snapshotter of that name");
        return refusal(&why, REMOVE);
    }
    let why = match (feature, driver) {
        (Some(_), _) => "features.containerd-snapshotter is true".to_owned(),
        (None, Some(driver)) => format!("storage-driver names the snapshotter {driver:?}"),
        (None, None) => "Docker 29 uses the containerd store unless the data root holds a graph \
                         driver's data"
            .to_owned(),
    };
    let mut choice = containerd(facts, driver.unwrap_or(DEFAULT_SNAPSHOTTER), &why);
    // Data of vfs does not count as prior.
    if facts.classic.iter().any(|store| store.driver == "vfs" && store.images > 0)
        && driver.is_none()
    {
        choice.why.push_str(" Images kept by vfs do not count, and are not shown.");
        choice.change = Some("Set storage-driver to \"vfs\" in daemon.json.".to_owned());
    }
    choice
}

/// moby v29 daemon/daemon.go NewDaemon: dockerd may move from the classic store by itself.
fn migrated(facts: &Facts, choice: Choice) -> Choice {
    let (Some(threshold), Store::Classic { driver }) = (facts.migration, &choice.store) else {
        return choice;
    };
    let snapshotter = match driver.as_str() {
        "overlay2" => DEFAULT_SNAPSHOTTER,
        "vfs" => "native",
        _ => return choice,
    };
    let store = facts.classic.iter().find(|store| store.driver == *driver);
    let (images, bytes) = store.map_or((0, 0), |store| (store.images, store.bytes));
    if facts.container_drivers.contains(driver) || bytes > threshold {
        return choice;
    }
    let then = match (images, facts.containerd_images) {
        (0, _) => "there are no images to move".to_owned(),
        (_, 0) => format!("the {images} images of {driver} are copied"),
        _ => format!(
            "the containerd store has images already, so those of {driver} are not copied and not shown"
        ),
    };
    Choice {
        store: Store::Containerd { snapshotter: snapshotter.to_owned() },
        why: format!("features.containerd-migration is on and no container uses {driver}; {then}."),
        change: Some("Remove features.containerd-migration in daemon.json.".to_owned()),
    }
}

/// rancher-sandbox/rancher-desktop v1.24.0 pkg/rancher-desktop/backend/backendHelper.ts
/// configureMobyStorage, the same since 1.22: at each start it looks at both stores and writes the
/// feature into daemon.json. 1.21 left a feature that was true alone, and else turned it on for
/// WebAssembly or where there was no daemon.json yet; 1.20 for WebAssembly only.
fn rancher_auto(facts: &Facts, wasm: bool) -> Choice {
    let classic = facts.classic.iter().any(|store| store.driver == "overlay2" && store.images > 0);
    let (feature, why) = match (wasm, facts.snapshots, classic) {
        (true, _, _) => (true, "WebAssembly needs the containerd store"),
        (false, true, _) => (true, "the containerd store has data"),
        (false, false, false) => (true, "the classic store has no images"),
        (false, false, true) => (false, "only the classic store has images"),
    };
    let mut choice = docker_29(&Facts { feature: Some(feature), ..facts.clone() });
    let other = if feature { "classic" } else { "snapshotter" };
    if choice.store != Store::StartError {
        choice.why = format!("Rancher Desktop chooses by itself, and {why}.");
        choice.change = Some(match (wasm, feature) {
            (true, _) => "Turn off WebAssembly in Rancher Desktop.".to_owned(),
            (false, _) => {
                format!("Set containerEngine.mobyStorageDriver to {other} in Rancher Desktop.")
            }
        });
    }
    choice
}

fn driver(facts: &Facts) -> Option<&str> {
    facts.storage_driver.as_deref().filter(|driver| !driver.is_empty())
}

fn containerd(facts: &Facts, snapshotter: &str, why: &str) -> Choice {
    // The name of a snapshotter would stop the classic store from starting.
    let blocked = driver(facts).is_some_and(|driver| !REGISTERED.contains(&driver));
    Choice {
        store: Store::Containerd { snapshotter: snapshotter.to_owned() },
        why: sentence(why),
        change: Some(if blocked { TURN_OFF_AND_REMOVE } else { TURN_OFF }.to_owned()),
    }
}

/// moby v29 daemon/graphdriver/driver.go New, the same in v28.5.2: which graph driver it is.
fn classic(facts: &Facts, why: &str) -> Choice {
    let named = driver(facts);
    let driver = match (named, &facts.prior_drivers[..]) {
        (Some(name), _) if REMOVED.contains(&name) => {
            let why = format!("storage-driver names {name:?}, which Docker no longer has");
            return refusal(&why, REMOVE);
        }
        (Some(name), _) if !REGISTERED.contains(&name) => {
            let why = format!("{why}, and storage-driver names {name:?}, which is no graph driver");
            return refusal(&why, REMOVE);
        }
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, []) => "overlay2",
        (None, several) => {
            let why =
                format!("the data root has data of several graph drivers: {}", several.join(", "));
            return refusal(&why, "Name one of them as storage-driver in daemon.json.");
        }
    };
    let stays = named.is_none_or(|name| !NO_SNAPSHOTTERS.contains(&name));
    let change = if stays { TURN_ON } else { TURN_ON_AND_REMOVE };
    Choice {
        store: Store::Classic { driver: driver.to_owned() },
        why: sentence(why),
        change: Some(change.to_owned()),
    }
}

fn refusal(why: &str, change: &str) -> Choice {
    Choice { store: Store::StartError, why: sentence(why), change: Some(change.to_owned()) }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    // What begins with the name of an option keeps it as it is written.
    let option = text.split(' ').next().is_some_and(|word| word.contains(['.', '-']));
    match letters.next().filter(|_| !option) {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => format!("{text}."),
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classic { driver } => write!(f, "the classic store ({driver})"),
            Self::Containerd { snapshotter } => write!(f, "the containerd store ({snapshotter})"),
            Self::StartError => f.write_str("none: dockerd will not start"),
        }
    }
}

#[cfg(test)]
mod tests;
