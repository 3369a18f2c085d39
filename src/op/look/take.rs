//! Taking files out of an image or container.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::View;
use super::stand_in::StandIn;
use crate::error::{Error, Place, Result};
use crate::os;
use crate::store::Progress;
use crate::tree::{
    Copied, Copying, Entry, Kind, LiveSink, Metadata, Sink, Snapshots, Tree, TreePath, TreePathBuf,
    copy, copy_inside, copy_one, optional,
};

/// How files are taken out.
#[derive(Clone, Copy)]
pub struct Taking<'a> {
    /// To whom all will belong: a user who may not give files away. None for root, who keeps owners.
    pub owner: Option<(u32, u32)>,
    /// Hears how far it is.
    pub progress: &'a dyn Progress,
}

impl std::fmt::Debug for Taking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taking").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// What was written.
    pub copied: Copied,
    /// What was not.
    pub left_out: LeftOut,
}

/// What could not be taken along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Whether the owners are not kept.
    pub owners: bool,
    /// Sockets, which a tar cannot hold.
    pub sockets: u64,
    /// Devices, which root alone can make.
    pub devices: u64,
    /// Extended attributes that root alone can set, each counted once for each file.
    pub xattrs: u64,
}

/// Counts what is left out while files are copied.
#[derive(Default)]
struct Counts {
    sockets: AtomicU64,
    devices: AtomicU64,
    xattrs: AtomicU64,
}

/// Copies what is at `from` to `to` in the sink, where nothing is called so: a folder with all that is in
/// it. `to` may be the sink's root; then what is in the folder comes there.
///
/// # Errors
/// What the layers and the sink say, and an interruption.
pub fn to_sink(
    view: &View<'_>,
    from: TreePath<'_>,
    sink: &dyn Sink,
    to: TreePath<'_>,
    taking: Taking<'_>,
) -> Result<Taken> {
    taken(view, from, taking, sink.can_stage(), &|tree, copying| match (
        tree.stat(from)?.kind,
        sink.can_stage(),
    ) {
        (Kind::Dir, true) if to.is_root() => copy_inside(tree, from, sink, to, copying),
        (Kind::Dir, _) => copy(tree, from, sink, to, copying),
        _ => copy_one(tree, from, sink, to, copying),
    })
}

/// Copies what is at `from` to `dest` on this machine, whose name is read as `docker cp` reads it: in a
/// folder that is there it is called `own`, or without a name what is in it comes there; and what is not
/// there yet is made. A file takes the place of a file, and nothing else is replaced.
///
/// # Errors
/// Refused if something is in the way; what the layers and the operating system say, and an interruption.
pub fn to_disk(
    view: &View<'_>,
    from: TreePath<'_>,
    own: TreePath<'_>,
    dest: &Path,
    taking: Taking<'_>,
) -> Result<Taken> {
    let metadata = view.tree.stat(from)?;
    if os::is_dir(dest) && metadata.kind == Kind::Dir && own.is_root() {
        return inside(view, from, &LiveSink::open(dest)?, taking);
    }
    let (folder, name) = target(own, &metadata, dest)?;
    let sink = LiveSink::open(&folder)?;
    let is_file = metadata.kind != Kind::Dir;
    let there = optional(sink.tree().stat(name.as_path()))?;
    if there.is_some_and(|there| !is_file || there.kind == Kind::Dir) {
        return Err(in_the_way(&sink.tree().place(name.as_path()).to_string()));
    }
    let staged = free_name(&sink)?;
    let made = to_sink(view, from, &sink, staged.as_path(), taking).and_then(|taken| {
        sink.rename(staged.as_path(), name.as_path())?;
        Ok(taken)
    });
    if made.is_err() {
        sink.remove(staged.as_path())?;
    }
    made
}

/// Returns the folder that gets something new, and the name of that.
fn target(
    own: TreePath<'_>,
    metadata: &Metadata,
    dest: &Path,
) -> Result<(std::path::PathBuf, TreePathBuf)> {
    let shown = || crate::error::printable(dest.as_os_str().as_bytes()).into_owned();
    let no_name = || Error::refused(format!("`{}` is no name for what is copied", shown()));
    if os::is_dir(dest) {
        return Ok((
            dest.to_owned(),
            Some(own).filter(|own| !own.is_root()).ok_or_else(no_name)?.to_owned(),
        ));
    }
    if metadata.kind != Kind::Dir && dest.as_os_str().as_bytes().ends_with(b"/") {
        return Err(Error::missing(Place::new(shown(), ""), "the folder to copy to is not there")
            .hint("make it first, or leave out the slash at the end"));
    }
    let name = dest.file_name().ok_or_else(no_name)?.as_bytes().to_vec();
    let folder = match dest.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok((folder.to_owned(), TreePathBuf::new(name).ok_or_else(no_name)?))
}

/// Copies what is in the folder `from` into the root of `sink`.
fn inside(
    view: &View<'_>,
    from: TreePath<'_>,
    sink: &LiveSink,
    taking: Taking<'_>,
) -> Result<Taken> {
    for name in view.tree.names(from)? {
        let path = TreePathBuf::new(name).unwrap_or_default();
        if optional(sink.tree().stat(path.as_path()))?.is_some() {
            return Err(in_the_way(&sink.tree().place(path.as_path()).to_string()));
        }
    }
    to_sink(view, from, sink, TreePath::ROOT, taking)
}

fn in_the_way(place: &str) -> Error {
    Error::refused(format!("{place} is there already"))
        .hint("name another place, or remove it first")
}

/// Returns a name that nothing has, for what is not whole yet.
fn free_name(sink: &LiveSink) -> Result<TreePathBuf> {
    for number in 0..1000 {
        let name = TreePathBuf::new(format!(".tranship-cp-{number}").into_bytes());
        let name = name.unwrap_or_default();
        if optional(sink.tree().stat(name.as_path()))?.is_none() {
            return Ok(name);
        }
    }
    let place = sink.tree().place(TreePath::ROOT);
    Err(Error::refused(format!("{place} is full of copies that were not finished"))
        .hint("remove what is called .tranship-cp-… there"))
}

/// Does `work` with what is taken along, and counts the rest.
fn taken(
    view: &View<'_>,
    from: TreePath<'_>,
    taking: Taking<'_>,
    to_disk: bool,
    work: &dyn Fn(&dyn Tree, &Copying<'_>) -> Result<Copied>,
) -> Result<Taken> {
    let (owner, progress) = (taking.owner.filter(|_| to_disk), taking.progress);
    let counts = Counts::default();
    let one_more = |count: &AtomicU64| {
        count.fetch_add(1, Ordering::Relaxed);
        true
    };
    let skip = |entry: &Entry| {
        progress.advance(entry.metadata.size);
        match entry.metadata.kind {
            Kind::Socket if !to_disk => one_more(&counts.sockets),
            Kind::Char | Kind::Block if owner.is_some() => one_more(&counts.devices),
            _ => false,
        }
    };
    let skip_xattr = |name: &[u8]| owner.is_some() && is_roots(name) && one_more(&counts.xattrs);
    let tree = StandIn { tree: &view.tree, owner, progress };
    let metadata = view.tree.stat(from)?;
    if skip(&Entry { name: Vec::new(), metadata }) {
        let what = "this kind of file cannot be copied to there";
        return Err(Error::unsupported(view.tree.place(from), what)
            .hint("run it as root for devices; a tar can hold no sockets"));
    }
    // What a layer has is never linked to: its files are not ours.
    let copying = Copying { snapshots: Snapshots::Copy, skip: &skip, skip_xattr: &skip_xattr };
    let copied = work(&tree, &copying)?;
    let left_out = LeftOut {
        owners: owner.is_some(),
        sockets: counts.sockets.into_inner(),
        devices: counts.devices.into_inner(),
        xattrs: counts.xattrs.into_inner(),
    };
    Ok(Taken { copied, left_out })
}

/// Says whether root alone can set an extended attribute. A user's own tree may refuse others too.
fn is_roots(name: &[u8]) -> bool {
    !name.starts_with(b"user.")
}
