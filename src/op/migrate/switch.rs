//! Making the daemon show the target: one setting in its configuration.

use std::path::{Path, PathBuf};

use super::Request;
use crate::error::{Error, Place, Result};
use crate::format::docker::daemon_config::{self, Change};
use crate::model::StoreKind;
use crate::op::host::{self, DataRoot};
use crate::os;
use crate::tree::{
    Attributes, LiveSink, Sink, TreePath, TreePathBuf, optional, read_within, sink_error,
};

/// What was changed in the daemon's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// The file.
    pub file: String,
    /// The changes, in words; none if it said so already.
    pub changes: Vec<String>,
    /// Where the file as it was is kept.
    pub kept: Option<String>,
}

/// The file as it was, beside the new one.
const KEPT: &[u8] = b".before-tranship";

const LIMIT: u64 = 1 << 20;

/// Returns whether there is a configuration to change; asked before anything is written.
///
/// # Errors
/// Refused if it is not known which file the daemon reads.
pub(super) fn possible(request: &Request, root: &DataRoot) -> Result<()> {
    file(request, root).map(drop)
}

/// Returns the file that the daemon reads.
fn file(request: &Request, root: &DataRoot) -> Result<PathBuf> {
    if let Some(path) = &request.daemon_config {
        return Ok(path.clone());
    }
    let opened = host::open(request.at.as_deref())?;
    let system = opened.tree.live(TreePath::ROOT).map(|(root, _)| root.path().to_owned());
    let at = root.config.as_ref().map(|config| config.place.path.clone());
    // A data root that is found below the tree's own root is found in a system.
    match (system, at, !root.path.as_path().is_root()) {
        (Some(system), Some(at), _) => Ok(system.join(os::path_of(&at))),
        (Some(system), None, true) => Ok(system.join(host::DAEMON_CONFIG)),
        _ => Err(Error::refused("it is not known which configuration the daemon reads")
            .hint("name it: `--daemon-config FILE`")),
    }
}

/// Changes the configuration so that the daemon shows the target.
///
/// # Errors
/// A file that dockerd could not read either, and what the operating system says.
pub(super) fn switch(request: &Request, root: &DataRoot) -> Result<Switched> {
    let file = file(request, root)?;
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let name = file.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
    let shown =
        |path: &Path| crate::error::printable(path.as_os_str().as_encoded_bytes()).into_owned();
    let place = || Place::new(shown(&file), "");
    os::make_dirs(folder).map_err(|error| Error::io(place(), error))?;
    let sink = LiveSink::open(folder)?;
    let at =
        TreePathBuf::new(name).ok_or_else(|| Error::corrupt(place(), "not the name of a file"))?;
    let changed = switch_file(&sink, at.as_path(), request.to)?;
    let kept = changed.kept.map(|kept| shown(&folder.join(os::path_of(kept.as_path().as_bytes()))));
    Ok(Switched { file: shown(&file), changes: changed.changes, kept })
}

/// What was changed in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The changes, in words; none if it said so already.
    pub changes: Vec<String>,
    /// The file as it was, if there was one.
    pub kept: Option<TreePathBuf>,
}

/// Changes the daemon's configuration `at` so that it shows the store `to`. The file is the old one or the
/// new one at any time, and the old one is durable aside before.
///
/// # Errors
/// A file that dockerd could not read either, and what the sink says.
pub fn switch_file(sink: &dyn Sink, at: TreePath<'_>, to: StoreKind) -> Result<Changed> {
    let place = || sink.tree().place(at);
    let old = optional(read_within(sink.tree(), at, LIMIT))?;
    let old_bytes = old.as_deref().unwrap_or_default();
    let edited = match to {
        StoreKind::Classic => daemon_config::switch_to_classic(old_bytes),
        _ => daemon_config::switch_to_containerd(old_bytes),
    };
    let edited = edited.map_err(|error| error.at(place()))?;
    let changes: Vec<String> = edited.changes.iter().map(Change::to_string).collect();
    if changes.is_empty() {
        return Ok(Changed::default());
    }
    let attributes = match optional(sink.tree().stat(at))? {
        Some(found) => {
            let (mode, uid, gid) = (found.mode, found.uid, found.gid);
            Attributes { mode, uid, gid, ..Attributes::default() }
        }
        None => Attributes::root(0o644),
    };
    let mut kept = None;
    if let Some(old) = &old {
        let name = TreePathBuf::new([at.as_bytes(), KEPT].concat()).unwrap_or_default();
        replace(sink, name.as_path(), &attributes, old)?;
        kept = Some(name);
    }
    replace(sink, at, &attributes, &edited.bytes)?;
    Ok(Changed { changes, kept })
}

/// Writes a file whole beside its name, then gives it the name.
fn replace(sink: &dyn Sink, at: TreePath<'_>, to: &Attributes, bytes: &[u8]) -> Result<()> {
    let new = TreePathBuf::new([b".tranship-", at.as_bytes()].concat());
    let new = new.unwrap_or_default();
    sink.remove(new.as_path())?;
    let mut file = sink.create(new.as_path(), to)?;
    file.write_all(bytes).map_err(|error| sink_error(sink, new.as_path(), error))?;
    file.finish()?;
    sink.sync()?;
    sink.rename(new.as_path(), at)?;
    sink.sync()
}
