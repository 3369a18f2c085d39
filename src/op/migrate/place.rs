//! Where the target is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Request, SharedSink, share_files};
use crate::error::{Error, Place, Result};
use crate::model::StoreKind;
use crate::op::host::{self, DataRoot, Known, Stopped};
use crate::os;
use crate::store::find::OWN_CONTAINERD;
use crate::store::open::StoreHere;
use crate::tree::{Live, LiveSink, Memory, SubSink, TarSink, Tree, TreePath, TreePathBuf, path};

/// containerd 1.x makes its root so; 2.x narrows it at its start.
const ROOT_MODE: u16 = 0o711;

/// What a stream is called in a message.
const STREAM: &str = "stdout";

/// Where a target is, or will be.
pub(super) enum Destination {
    /// A directory that is there.
    Live { path: PathBuf, lock_files: Vec<TreePathBuf>, is_apart: bool },
    /// A directory that is yet to be made.
    New(PathBuf),
    /// A tar that is yet to be made, with the target in a folder of it.
    Tar { path: PathBuf, folder: TreePathBuf, sink: Mutex<Option<Arc<TarSink>>> },
    /// A tar that goes to a stream.
    Stream { to: Mutex<Option<Stream>>, sink: Mutex<Option<Arc<TarSink>>> },
}

/// Bytes that go out of the process.
pub(super) type Stream = Box<dyn std::io::Write + Send>;

pub(super) fn destination(
    request: &mut Request,
    root: &DataRoot,
    source: &StoreHere,
) -> Result<Destination> {
    if let Some(stream) = request.stream.take() {
        let to = Mutex::new(Some(stream));
        return Ok(Destination::Stream { to, sink: Mutex::default() });
    }
    let is_apart = request.into.is_some();
    let at = |path: PathBuf| match os::is_dir(&path) {
        true => {
            let lock_files = lock_files(request.to, &path, is_apart)?;
            Ok(Destination::Live { path, lock_files, is_apart })
        }
        false => Ok(Destination::New(path)),
    };
    if let Some(into) = &request.into {
        let is_tar = into.extension().is_some_and(|extension| extension == "tar");
        if is_tar && !os::is_dir(into) {
            if into.exists() {
                let place = Place::new(into.display().to_string(), "");
                return Err(Error::refused(format!("{place} is there already")));
            }
            let folder = match request.to {
                StoreKind::Containerd => path(OWN_CONTAINERD).to_owned(),
                _ => TreePathBuf::default(),
            };
            let path = into.clone();
            return Ok(Destination::Tar { path, folder, sink: Mutex::default() });
        }
        return at(in_root(request, into)?);
    }
    if let Some(path) = request.containerd_root.as_ref().filter(|_| in_containerd(request.to)) {
        return at(path.clone());
    }
    let live = source
        .tree
        .live(TreePath::ROOT)
        .filter(|_| request.is_addition() || !source.kind.is_carried());
    let Some((live, inner)) = live else {
        let place = Place::new(source.place.clone(), "");
        return Err(Error::unsupported(place, "an archive is only read")
            .hint("write the new store elsewhere: `--into DIR` or `--into FILE.tar`"));
    };
    // A containerd that is elsewhere is the source's place, not the data root's.
    let data_root = root.tree.live(root.path.as_path()).map(|(live, inner)| dir(live, &inner));
    let data_root = data_root.unwrap_or_else(|| dir(live, &inner));
    match request.to {
        _ if request.is_addition() => at(dir(live, &inner)),
        StoreKind::Containerd => {
            let existing = existing(request.to, root)?;
            at(existing.unwrap_or_else(|| data_root.join(OWN_CONTAINERD)))
        }
        _ => at(data_root),
    }
}

pub(super) fn dir(live: &os::Root, inner: &TreePathBuf) -> PathBuf {
    if inner.as_path().is_root() {
        return live.path().to_owned();
    }
    live.path().join(os::path_of(inner.as_path().as_bytes()))
}

fn in_containerd(to: StoreKind) -> bool {
    to == StoreKind::Containerd
}

/// Returns where a store of the wanted kind belongs in the data root `into`, there or not: a containerd
/// root that belongs to it may be elsewhere in the system.
fn in_root(request: &Request, into: &Path) -> Result<PathBuf> {
    let is_containerd = os::is_dir(&into.join("io.containerd.metadata.v1.bolt"));
    if !in_containerd(request.to) || is_containerd {
        return Ok(into.to_owned());
    }
    if let Some(path) = &request.containerd_root {
        return Ok(path.clone());
    }
    if os::is_dir(into) {
        let known = Known { platform: request.platform.clone(), ..Known::default() };
        let host = host::survey(&host::open(Some(into))?, &known)?;
        for root in &host.roots {
            if let Some(path) = existing(request.to, root)? {
                return Ok(path);
            }
        }
    }
    Ok(into.join(OWN_CONTAINERD))
}

/// Returns the databases that show whether a daemon uses the store that `path` is. Beside the source
/// its containerd's are taken already.
fn lock_files(to: StoreKind, path: &Path, is_apart: bool) -> Result<Vec<TreePathBuf>> {
    match to {
        StoreKind::Classic => {
            let mut files = crate::store::dockerd_locks(&Live::open(path)?)?;
            let own = crate::tree::path(OWN_CONTAINERD);
            let mut inner = crate::store::open::lock_files(StoreKind::Containerd);
            inner.retain(|_| is_apart);
            files.extend(inner.iter().map(|file| own.join(file.as_path())));
            Ok(files)
        }
        to => Ok(crate::store::open::lock_files(to)),
    }
}

/// Returns the directory of the store that a daemon on this data root uses already.
fn existing(to: StoreKind, root: &DataRoot) -> Result<Option<PathBuf>> {
    let stores: Vec<_> = root.stores.iter().filter(|seen| seen.here.kind == to).collect();
    let used: Vec<_> = stores
        .iter()
        .filter(|seen| seen.inventory().is_some_and(|found| !found.images.is_empty()))
        .collect();
    let chosen = match (stores.as_slice(), used.as_slice()) {
        ([], _) => return Ok(None),
        ([one], _) => one,
        (_, [one]) => one,
        // dockerd prefers a containerd that runs already to starting its own.
        ([.., last], []) => last,
        _ => {
            let names: Vec<_> = used.iter().map(|seen| seen.here.place.clone()).collect();
            let what = format!("images are in more than one {to} store: {}", names.join(", "));
            return Err(
                Error::refused(what).hint("name the one that is meant: `--containerd-root`")
            );
        }
    };
    let Some((live, inner)) = chosen.here.tree.live(TreePath::ROOT) else { return Ok(None) };
    Ok(Some(dir(live, &inner)))
}

impl Destination {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Live { path, .. } | Self::New(path) | Self::Tar { path, .. } => {
                crate::error::printable(path.as_os_str().as_encoded_bytes()).into_owned()
            }
            Self::Stream { .. } => STREAM.to_owned(),
        }
    }

    /// Keeps daemons away from the target too.
    pub(super) fn lock(&self, stopped: Stopped) -> Result<Stopped> {
        match self {
            Self::Live { path, lock_files, .. } => stopped.and(&Live::open(path)?, lock_files),
            Self::New(_) | Self::Tar { .. } | Self::Stream { .. } => Ok(stopped),
        }
    }

    /// Returns what is there now, to be planned against; nothing is written by this.
    pub(super) fn sink(&self) -> Result<SharedSink> {
        match self {
            Self::Live { path, .. } => Ok(Arc::new(LiveSink::open(path)?)),
            Self::New(_) | Self::Tar { .. } | Self::Stream { .. } => Ok(Arc::new(Memory::new())),
        }
    }

    /// Makes what is not there yet, and returns it.
    pub(super) fn make(&self) -> Result<Option<SharedSink>> {
        match self {
            Self::Live { .. } => Ok(None),
            Self::New(at) => {
                os::make_dirs(at).map_err(|error| Error::io(Place::new(self.name(), ""), error))?;
                Ok(Some(Arc::new(LiveSink::open(at)?)))
            }
            Self::Tar { path: at, folder, sink } => {
                let tar = Arc::new(TarSink::create(at)?);
                *sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&tar));
                if folder.as_path().is_root() {
                    return Ok(Some(tar));
                }
                Ok(Some(Arc::new(SubSink::make(tar, folder.as_path(), ROOT_MODE)?)))
            }
            Self::Stream { to, sink } => {
                let taken = to.lock().unwrap_or_else(PoisonError::into_inner).take();
                let to = taken.ok_or_else(|| Error::refused("the stream is taken already"))?;
                let tar = Arc::new(TarSink::stream(to, STREAM));
                *sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&tar));
                Ok(Some(tar))
            }
        }
    }

    /// Returns where the containerd of a new data root is, to be written to.
    pub(super) fn beside(&self) -> Result<Option<SharedSink>> {
        let root: SharedSink = match self {
            Self::Live { path, is_apart: true, .. } | Self::New(path) => {
                Arc::new(LiveSink::open(path)?)
            }
            Self::Tar { sink, .. } => {
                match sink.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                    Some(tar) => Arc::clone(tar) as SharedSink,
                    None => return Ok(None),
                }
            }
            Self::Live { .. } | Self::Stream { .. } => return Ok(None),
        };
        Ok(Some(Arc::new(SubSink::make(root, path(OWN_CONTAINERD), ROOT_MODE)?)))
    }

    /// Ends a tar; everything else is where it belongs already.
    pub(super) fn close(&self) -> Result<()> {
        let (Self::Tar { sink, .. } | Self::Stream { sink, .. }) = self else { return Ok(()) };
        let tar = sink.lock().unwrap_or_else(PoisonError::into_inner).take();
        match tar.and_then(Arc::into_inner) {
            Some(tar) => tar.close(),
            None => Ok(()),
        }
    }

    /// Returns whether the order of writing shows in the result, so that it must not depend on chance.
    pub(super) fn is_ordered(&self) -> bool {
        matches!(self, Self::Tar { .. } | Self::Stream { .. })
    }

    pub(super) fn free(&self) -> Result<Option<u64>> {
        let Some(dir) = self.nearest() else { return Ok(None) };
        let live = Live::open(dir)?;
        let free = live.root().free();
        free.map(Some).map_err(|error| Error::io(live.place(TreePath::ROOT), error))
    }

    pub(super) fn shares_files_with(&self, tree: &dyn Tree) -> bool {
        match self {
            Self::Tar { .. } | Self::Stream { .. } => false,
            _ => self
                .nearest()
                .and_then(|dir| Live::open(dir).ok())
                .is_some_and(|live| share_files(&live, tree)),
        }
    }

    /// Returns the innermost directory on the way to the target that is there.
    fn nearest(&self) -> Option<&Path> {
        let (Self::Live { path, .. } | Self::New(path) | Self::Tar { path, .. }) = self else {
            return None;
        };
        let here = Path::new(".");
        let dirs = path.ancestors().map(|dir| if dir.as_os_str().is_empty() { here } else { dir });
        dirs.into_iter().find(|dir| os::is_dir(dir))
    }
}
