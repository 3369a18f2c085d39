//! Opening the stores that were found, whatever their kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::containerd::{self, Containerd, Writer};
use super::docker_archive::Archive;
use super::find::{ClassicFound, RootFound};
use super::mend::{Help, Mending};
use super::oci_layout::{Layout, LayoutWriter};
use super::overlay2::{self, Overlay2};
use super::{ImageStep, Source, Target, Writing, containers};
use crate::digest::{BlobId, ConfigId};
use crate::error::Result;
use crate::format::oci::Platform;
use crate::model::{Container, Finding, Inventory, Severity, StoreKind};
use crate::tree::{Sink, Sub, Tree, TreePathBuf, path};

/// A store and what it holds.
pub struct StoreHere {
    /// Which kind it is.
    pub kind: StoreKind,
    /// The graph driver or snapshotter.
    pub driver: String,
    /// The tree that the store's root is.
    pub tree: Arc<dyn Tree>,
    /// Where that is in the tree of the host; nothing if it is not in there.
    pub inside: Option<TreePathBuf>,
    /// Where that is, for messages.
    pub place: String,
    /// The store, if it can be read: a driver's folder without `image/<driver>` cannot.
    pub source: Option<Box<dyn Source>>,
    /// The folders that it takes room in, in its tree.
    pub folders: Vec<TreePathBuf>,
    /// The databases that a running daemon holds, in its tree.
    pub lock_files: Vec<TreePathBuf>,
}

impl std::fmt::Debug for StoreHere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreHere").field("kind", &self.kind).field("place", &self.place).finish()
    }
}

impl StoreHere {
    /// Returns what the store holds; nothing where it cannot be read.
    #[must_use]
    pub fn inventory(&self) -> Option<&Inventory> {
        self.source.as_ref().map(|source| source.inventory())
    }
}

/// What was found in one data root.
#[derive(Debug, Default)]
pub struct Stores {
    /// The stores, the classic ones first.
    pub stores: Vec<StoreHere>,
    /// All containers of the root, whichever store they are in.
    pub containers: Vec<Container>,
    /// What is wrong outside the stores that could be read.
    pub findings: Vec<Finding>,
}

/// What follows from a bolt file that cannot be read, and what to do.
const UNREADABLE: &str = "containerd does not start with it, and no image or container of this store \
                          loads; `tranship repair` saves what can be read of it into a new file";

type Originals = BTreeMap<ConfigId, Vec<BlobId>>;

/// Opens all stores of a data root, and a containerd root that is elsewhere.
///
/// # Errors
/// Where folders that are there cannot be read. A store that cannot be read is a finding; a layout or
/// archive is all there is, and what is wrong with it an error.
pub fn stores(
    tree: &Arc<dyn Tree>,
    found: &RootFound,
    elsewhere: Option<&Arc<dyn Tree>>,
    platform: &Platform,
) -> Result<Stores> {
    let root: Arc<dyn Tree> = Arc::new(Sub::new(Arc::clone(tree), found.path.as_path()));
    let mut all = Stores::default();
    if let Some(kind) = found.carried {
        all.stores.extend(carried(kind, root, found, platform)?);
        return Ok(all);
    }
    (all.containers, all.findings) = containers::read_all(&*root)?;
    let mut originals = Originals::new();
    for inner in &found.containerd {
        let sub: Arc<dyn Tree> = Arc::new(Sub::new(Arc::clone(tree), inner.as_path()));
        all.add_containerd(sub, Some(inner.clone()), platform, &mut originals);
    }
    if let Some(elsewhere) = elsewhere {
        all.add_containerd(Arc::clone(elsewhere), None, platform, &mut originals);
    }
    for classic in &found.classic {
        all.add_classic(&root, found, classic, &originals)?;
    }
    all.stores.sort_by_key(|store| store.kind);
    Ok(all)
}

/// Opens a layout or an archive.
fn carried(
    kind: StoreKind,
    tree: Arc<dyn Tree>,
    found: &RootFound,
    host: &Platform,
) -> Result<Option<StoreHere>> {
    let source: Box<dyn Source> = match kind {
        StoreKind::Layout => Box::new(Layout::open(Arc::clone(&tree), host)?),
        StoreKind::Archive => Box::new(Archive::open(Arc::clone(&tree))?),
        StoreKind::Classic | StoreKind::Containerd => return Ok(None),
    };
    Ok(Some(StoreHere {
        kind,
        driver: source.inventory().driver.clone(),
        inside: Some(found.path.clone()),
        place: tree.origin().to_owned(),
        tree,
        source: Some(source),
        folders: vec![TreePathBuf::default()],
        lock_files: Vec::new(),
    }))
}

impl Stores {
    fn containers_of(&self, driver: &str) -> Vec<Container> {
        self.containers.iter().filter(|one| one.driver == driver).cloned().collect()
    }

    fn add_containerd(
        &mut self,
        tree: Arc<dyn Tree>,
        inside: Option<TreePathBuf>,
        host: &Platform,
        originals: &mut Originals,
    ) {
        let driver = containerd::SNAPSHOTTER;
        let read = Containerd::open(Arc::clone(&tree), containerd::NAMESPACE, driver, host);
        let source: Option<Box<dyn Source>> = match read {
            Ok(mut read) => {
                read.add_containers(self.containers_of(driver));
                originals.extend(read.originals().clone());
                Some(Box::new(read))
            }
            Err(error) if error.is_missing() => return,
            Err(error) => {
                let code = "store-unreadable";
                let mut finding = Finding::of(code, Severity::WouldNotLoad, &error);
                if finding.remedy.is_empty() {
                    finding.remedy = UNREADABLE.to_owned();
                }
                self.findings.push(finding);
                None
            }
        };
        self.stores.push(StoreHere {
            kind: StoreKind::Containerd,
            driver: driver.to_owned(),
            inside,
            place: tree.origin().to_owned(),
            tree,
            source,
            folders: vec![TreePathBuf::default()],
            lock_files: containerd::lock_files(driver),
        });
    }

    fn add_classic(
        &mut self,
        root: &Arc<dyn Tree>,
        found: &RootFound,
        classic: &ClassicFound,
        originals: &Originals,
    ) -> Result<()> {
        let (driver, mut source) = (classic.driver.as_str(), None);
        if classic.has_images {
            let mut read = Overlay2::open(Arc::clone(root), driver)?;
            read.add_containers(self.containers_of(driver));
            read.add_originals(originals);
            source = Some(Box::new(read) as Box<dyn Source>);
        }
        let images = path("image").child(driver.as_bytes()).unwrap_or_default();
        self.stores.push(StoreHere {
            kind: StoreKind::Classic,
            driver: driver.to_owned(),
            tree: Arc::clone(root),
            inside: Some(found.path.clone()),
            place: root.origin().to_owned(),
            source,
            folders: vec![images, path(driver).to_owned()],
            lock_files: super::dockerd_locks(&**root)?,
        });
        Ok(())
    }
}

/// Returns what can be set right in a store, and what cannot. `own` is the store, if it can be read;
/// it may have been taken out of `store`.
///
/// # Errors
/// Where not even the folders can be read.
pub fn mends(store: &StoreHere, own: Option<&Arc<dyn Source>>, help: &Help<'_>) -> Result<Mending> {
    let mut all = match store.kind {
        StoreKind::Classic => {
            let mut found = overlay2::mends(&store.tree, &store.driver, own, help)?;
            if let Some(own) = own {
                found.add(overlay2::heals(&store.tree, &store.driver, own, help)?);
            }
            found
        }
        StoreKind::Containerd => {
            containerd::mends(&store.tree, containerd::NAMESPACE, &store.driver, help)?
        }
        StoreKind::Layout | StoreKind::Archive => Mending::default(),
    };
    if let Some(own) = own {
        let findings = own.audit()?.findings.into_iter();
        let findings = findings.chain(own.inventory().findings.iter().cloned());
        all.tell(findings.filter(|finding| UNMENDED.contains(&finding.code)));
    }
    Ok(all)
}

/// What is for nobody but people to decide.
const UNMENDED: [&str; 4] =
    ["folder-shared", "image-of-other-system", "name-unusable", "registry-notes-disagree"];

/// Returns the databases that a daemon which uses a store of `kind` holds in the store's own root.
#[must_use]
pub fn lock_files(kind: StoreKind) -> Vec<TreePathBuf> {
    match kind {
        StoreKind::Containerd => containerd::lock_files(containerd::SNAPSHOTTER),
        StoreKind::Classic | StoreKind::Layout | StoreKind::Archive => Vec::new(),
    }
}

/// Returns the graph driver or snapshotter of the stores of `kind` that are written.
#[must_use]
pub fn driver(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Classic => overlay2::DRIVER,
        StoreKind::Containerd => containerd::SNAPSHOTTER,
        StoreKind::Layout | StoreKind::Archive => "",
    }
}

/// Opens the root of a store of `kind`, empty or not, for writing.
///
/// # Errors
/// A store that is there and cannot be read is not written to; archives of the old form are only read.
pub fn target(
    kind: StoreKind,
    sink: Arc<dyn Sink>,
    platform: &Platform,
    writing: Writing,
) -> Result<Box<dyn Target>> {
    match kind {
        StoreKind::Containerd => {
            let (namespace, driver) = (containerd::NAMESPACE, containerd::SNAPSHOTTER);
            Ok(Box::new(Writer::open(sink, namespace, driver, platform, writing)?))
        }
        StoreKind::Classic => {
            Ok(Box::new(overlay2::Writer::open(sink, overlay2::DRIVER, writing)?))
        }
        StoreKind::Layout => Ok(Box::new(LayoutWriter::new(sink, writing)?)),
        StoreKind::Archive => {
            let place = sink.tree().place(crate::tree::TreePath::ROOT);
            Err(crate::error::Error::unsupported(place, "archives of the old form are only read"))
        }
    }
}

/// Opens the store of `kind` that `sink` is, to be added to.
///
/// # Errors
/// As [`target`].
pub fn addition(
    kind: StoreKind,
    sink: Arc<dyn Sink>,
    platform: &Platform,
    writing: Writing,
) -> Result<Box<dyn Target>> {
    match kind {
        StoreKind::Layout => Ok(Box::new(LayoutWriter::add_to(sink, writing)?)),
        kind => target(kind, sink, platform, writing),
    }
}

/// Keeps the registry documents of images that went to the classic store of a data root, as its daemon
/// keeps them: in the containerd root `sink` that it has beside.
///
/// # Errors
/// As [`target`].
pub fn lease_originals(
    sink: Arc<dyn Sink>,
    platform: &Platform,
    writing: Writing,
    images: &[ImageStep],
) -> Result<()> {
    let (namespace, driver) = (containerd::NAMESPACE, containerd::SNAPSHOTTER);
    Writer::open(sink, namespace, driver, platform, writing)?.lease_originals(images)
}
