//! Where stores are in a tree.

use super::{docker_archive, oci_layout};
use crate::error::Result;
use crate::model::StoreKind;
use crate::tree::{Kind, Tree, TreePath, TreePathBuf, optional, path};

/// Every graph driver that Docker has or had, in the order in which it tries them.
pub const GRAPH_DRIVERS: [&str; 8] =
    ["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "aufs", "devicemapper", "overlay"];

/// What a data root holds at its top; any two of these make a folder one.
const MARKS: [&str; 11] = [
    "image",
    "overlay2",
    "containers",
    "containerd",
    "volumes",
    "network",
    "buildkit",
    "engine-id",
    "swarm",
    "plugins",
    "runtimes",
];

/// What every containerd root holds; one of them may be gone.
const CONTAINERD_MARKS: [&str; 2] =
    ["io.containerd.metadata.v1.bolt", "io.containerd.content.v1.content"];

/// Where a whole system keeps data roots, unless its configuration says otherwise.
const USUAL_ROOTS: [&str; 3] =
    ["var/lib/docker", "var/snap/docker/common/var-lib-docker", "root/.local/share/docker"];

/// Where dockerd keeps the containerd that it starts itself, in its data root.
pub const OWN_CONTAINERD: &str = "containerd/daemon";

/// Where a containerd that dockerd finds running keeps its own.
pub const SYSTEM_CONTAINERD: &str = "var/lib/containerd";

/// The data of one graph driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicFound {
    /// The graph driver.
    pub driver: String,
    /// Whether `image/<driver>` is there: names, configs and layers.
    pub has_images: bool,
    /// Whether `<driver>` is there and not empty: what makes Docker 29 stay with it.
    pub has_files: bool,
}

/// A data root, or a layout or archive that stands where one could.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootFound {
    /// Where it is in the tree.
    pub path: TreePathBuf,
    /// The stores of graph drivers.
    pub classic: Vec<ClassicFound>,
    /// The containerd roots that a daemon on this data root may use, the data root's own first.
    pub containerd: Vec<TreePathBuf>,
    /// The layout or archive of images that it is instead of a data root.
    pub carried: Option<StoreKind>,
}

/// Returns the data roots of `tree`: the tree itself, or those of the system that the tree is; or the
/// images for carrying that the tree is.
/// `named` is the data root that the system's configuration names.
///
/// # Errors
/// What the tree says of folders that are there.
pub fn roots(tree: &dyn Tree, named: Option<TreePath<'_>>) -> Result<Vec<RootFound>> {
    let mut found = Vec::new();
    if is_root(tree, TreePath::ROOT)? {
        add_with_remapped(tree, TreePath::ROOT, None, &mut found)?;
        return Ok(found);
    }
    if let Some(kind) = carried(tree)? {
        return Ok(vec![RootFound { carried: Some(kind), ..RootFound::default() }]);
    }
    let system = path(SYSTEM_CONTAINERD);
    let system = is_containerd(tree, system)?.then_some(system);
    let mut candidates: Vec<TreePathBuf> = named.map(TreePath::to_owned).into_iter().collect();
    candidates.extend(USUAL_ROOTS.iter().map(|text| path(text).to_owned()));
    for home in optional(tree.list(path("home")))?.unwrap_or_default() {
        let below = |home: TreePathBuf| home.as_path().join(path(".local/share/docker"));
        let is_dir = home.metadata.kind == Kind::Dir;
        candidates.extend(path("home").child(&home.name).filter(|_| is_dir).map(below));
    }
    candidates.dedup();
    for candidate in &candidates {
        if !found.iter().any(|root: &RootFound| root.path == *candidate)
            && is_root(tree, candidate.as_path())?
        {
            add_with_remapped(tree, candidate.as_path(), system, &mut found)?;
        }
    }
    if found.is_empty()
        && let Some(system) = system
    {
        let (path, containerd) = (system.to_owned(), vec![system.to_owned()]);
        found.push(RootFound { path, containerd, ..RootFound::default() });
    }
    Ok(found)
}

/// Returns what for carrying images `tree` is. What Docker 25 and later save is both, and a layout holds
/// more than the other.
fn carried(tree: &dyn Tree) -> Result<Option<StoreKind>> {
    if oci_layout::is_one(tree)? {
        return Ok(Some(StoreKind::Layout));
    }
    Ok(docker_archive::is_one(tree)?.then_some(StoreKind::Archive))
}

fn is_root(tree: &dyn Tree, dir: TreePath<'_>) -> Result<bool> {
    if is_containerd(tree, dir)? || is_containerd(tree, dir.join(path(OWN_CONTAINERD)).as_path())? {
        return Ok(true);
    }
    let names = answer(tree.names(dir))?.unwrap_or_default();
    let marks = MARKS.iter().filter(|mark| names.iter().any(|name| name == mark.as_bytes()));
    let enough = marks.count() >= 2;
    let driver = |driver: &str| {
        let text = format!("image/{driver}/imagedb");
        TreePathBuf::new(text.into_bytes())
            .is_some_and(|images| tree.stat(dir.join(images.as_path()).as_path()).is_ok())
    };
    Ok(enough || GRAPH_DRIVERS.iter().any(|name| driver(name)))
}

fn is_containerd(tree: &dyn Tree, dir: TreePath<'_>) -> Result<bool> {
    for mark in CONTAINERD_MARKS {
        if answer(tree.stat(dir.join(path(mark)).as_path()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A folder that is none, or that lies behind a link, is not the folder that was looked for.
fn answer<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotADirectory) => Ok(None),
        answer => optional(answer),
    }
}

/// With user namespaces remapped, dockerd's data root is a folder `<uid>.<gid>` in the one it was
/// given (moby v28 daemon/daemon_unix.go setupDaemonRoot).
fn add_with_remapped(
    tree: &dyn Tree,
    dir: TreePath<'_>,
    system: Option<TreePath<'_>>,
    found: &mut Vec<RootFound>,
) -> Result<()> {
    found.push(one(tree, dir, system)?);
    for name in tree.names(dir)? {
        let is_pair = name.split(|b| *b == b'.').count() == 2
            && name.iter().all(|b| b.is_ascii_digit() || *b == b'.');
        if let Some(inner) = dir.child(&name).filter(|_| is_pair)
            && is_root(tree, inner.as_path())?
        {
            found.push(one(tree, inner.as_path(), system)?);
        }
    }
    Ok(())
}

fn one(tree: &dyn Tree, dir: TreePath<'_>, system: Option<TreePath<'_>>) -> Result<RootFound> {
    let mut classic = Vec::new();
    for driver in GRAPH_DRIVERS {
        let images = dir.join(path("image")).as_path().join(path(driver));
        let has_images = answer(tree.stat(images.as_path()))?.is_some();
        let files = answer(tree.names(dir.join(path(driver)).as_path()))?;
        let has_files = files.is_some_and(|names| !names.is_empty());
        if has_images || has_files {
            classic.push(ClassicFound { driver: driver.to_owned(), has_images, has_files });
        }
    }
    let own = dir.join(path(OWN_CONTAINERD));
    let mut containerd = Vec::new();
    for candidate in [Some(dir), Some(own.as_path()), system].into_iter().flatten() {
        if is_containerd(tree, candidate)? {
            containerd.push(candidate.to_owned());
        }
    }
    Ok(RootFound { path: dir.to_owned(), classic, containerd, carried: None })
}
