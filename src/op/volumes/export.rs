//! Volumes to a tar or a folder.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Size, find, of_folder, tree};
use crate::error::{Error, Place, Result};
use crate::model::{Finding, Severity, Volume};
use crate::op::host::DataRoot;
use crate::os;
use crate::store::Progress;
use crate::tree::{
    Copied, Copying, Entry, Kind, Live, LiveSink, Sink, Snapshots, TarSink, Tree, TreePath,
    TreePathBuf, copy,
};

/// Where an export goes.
pub enum Destination {
    /// A new tar.
    Tar(PathBuf),
    /// A new or empty folder.
    Folder(PathBuf),
    /// A tar that goes to a stream while it is written.
    Stream(Box<dyn Write + Send>),
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tar(path) => f.debug_tuple("Tar").field(path).finish(),
            Self::Folder(path) => f.debug_tuple("Folder").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// What became of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The volumes, and what of each was written.
    pub volumes: Vec<(String, Copied)>,
    /// What was left out.
    pub findings: Vec<Finding>,
}

/// Writes the files of the volumes called `names`: of one as they are, of several in a folder each.
///
/// # Errors
/// A volume that is not there or whose files are elsewhere, what is in the way at the destination, and
/// what tree and sink say.
pub fn export(
    roots: &[DataRoot],
    names: &[String],
    to: Destination,
    progress: &dyn Progress,
) -> Result<Carried> {
    let mut sources = Vec::new();
    for name in names {
        let (root, volume) = find(roots, name)?;
        let data = files(root, &volume)?;
        sources.push((volume, tree(root), data));
    }
    let mut total = Size::default();
    for (_, tree, data) in &sources {
        let size = of_folder(tree, data.as_path())?;
        total.apparent = total.apparent.saturating_add(size.apparent);
    }
    progress.start(total.apparent, sources.len());
    let mut carried = Carried::default();
    let out = Out::open(to)?;
    for (volume, tree, data) in &sources {
        progress.phase(&volume.name);
        let folder = match sources.len() {
            1 => TreePathBuf::default(),
            _ => TreePathBuf::new(volume.name.clone().into_bytes()).unwrap_or_default(),
        };
        let (copied, left_out) =
            files_of(tree, data.as_path(), out.sink(), folder.as_path(), progress)?;
        carried.findings.extend(left_out);
        carried.volumes.push((volume.name.clone(), copied));
        progress.layer_done();
    }
    out.close()?;
    Ok(carried)
}

/// Returns the folder of the files of `volume`, if they are in the data root.
fn files(root: &DataRoot, volume: &Volume) -> Result<TreePathBuf> {
    let place = || Place::new(root.place.clone(), "");
    let name = &volume.name;
    if let Some(mount) = &volume.mount {
        let what = format!(
            "the files of volume {name} are not here but in {} ({})",
            mount.device, mount.kind
        );
        return Err(Error::unsupported(place(), what));
    }
    volume.data.clone().ok_or_else(|| {
        let what = format!("the files of volume {name} are kept by the driver {}", volume.driver);
        Error::unsupported(place(), what)
    })
}

/// Copies what is in the folder `from` to `to`, and says what cannot be copied.
pub(super) fn files_of(
    tree: &dyn Tree,
    from: TreePath<'_>,
    sink: &dyn Sink,
    to: TreePath<'_>,
    progress: &dyn Progress,
) -> Result<(Copied, Option<Finding>)> {
    let sockets = AtomicU64::new(0);
    // A socket is nothing without the process that listens; a tar cannot hold one.
    let skip = |entry: &Entry| {
        let is_socket = entry.metadata.kind == Kind::Socket;
        sockets.fetch_add(u64::from(is_socket), Ordering::Relaxed);
        if entry.metadata.kind == Kind::File {
            progress.advance(entry.metadata.size / u64::from(entry.metadata.nlink.max(1)));
        }
        is_socket || progress.cancelled()
    };
    let copying = Copying { snapshots: Snapshots::Copy, skip: &skip, skip_xattr: &|_| false };
    let copied = copy(tree, from, sink, to, &copying)?;
    if progress.cancelled() {
        return Err(Error::refused("interrupted; nothing was put in its place"));
    }
    let left_out = sockets.into_inner();
    let finding = (left_out > 0).then(|| Finding {
        code: "sockets-left-out",
        severity: Severity::Untidy,
        place: tree.place(from),
        what: format!("sockets left out: {left_out}; their programs make them anew"),
        remedy: String::new(),
    });
    Ok((copied, finding))
}

enum Out {
    Tar(Arc<TarSink>),
    Folder(LiveSink),
}

impl Out {
    fn open(to: Destination) -> Result<Self> {
        Ok(match to {
            Destination::Tar(path) => Self::Tar(Arc::new(TarSink::create(&path)?)),
            Destination::Stream(stream) => Self::Tar(Arc::new(TarSink::stream(stream, "stdout"))),
            Destination::Folder(path) => Self::Folder(folder(&path)?),
        })
    }

    fn sink(&self) -> &dyn Sink {
        match self {
            Self::Tar(tar) => &**tar,
            Self::Folder(folder) => folder,
        }
    }

    fn close(self) -> Result<()> {
        match self {
            Self::Tar(tar) => Arc::into_inner(tar).map_or(Ok(()), TarSink::close),
            Self::Folder(folder) => folder.sync(),
        }
    }
}

fn folder(path: &Path) -> Result<LiveSink> {
    let place = || Place::new(path.display().to_string(), "");
    if path.exists() && !(os::is_dir(path) && Live::open(path)?.names(TreePath::ROOT)?.is_empty()) {
        return Err(Error::refused(format!("{} is there already, and not empty", place())));
    }
    os::make_dirs(path).map_err(|error| Error::io(place(), error))?;
    LiveSink::open(path)
}
