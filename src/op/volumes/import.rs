//! A tar or a folder to a volume of a stopped data root.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::write::Put;
use super::{Size, of_folder, of_root, tree};
use crate::error::{Error, Place, Result};
use crate::format::docker::volume::{LOCAL, is_name};
use crate::model::{Finding, Volume};
use crate::op::host::{self, DataRoot, Stopped};
use crate::os;
use crate::store::{Progress, dockerd_locks, volumes};
use crate::tree::{LiveSink, Sink, Sub, Tree, TreePath, TreePathBuf, optional};

/// What to import, and where.
#[derive(Clone, Debug, Default)]
pub struct Importing {
    /// The tar, or the folder.
    pub from: PathBuf,
    /// The folder of it that is meant; nothing for all.
    pub folder: Option<TreePathBuf>,
    /// What the volume is to be called.
    pub name: String,
    /// Labels it is to have.
    pub labels: BTreeMap<String, String>,
    /// Whether it may take the place of one that is there.
    pub replace: bool,
    /// Whether only to look.
    pub dry_run: bool,
}

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What is in the volume.
    pub size: Size,
    /// Where its files are.
    pub place: Place,
    /// Whether one that was there gave way.
    pub replaced: bool,
    /// What was left out.
    pub findings: Vec<Finding>,
}

/// Puts files into a new volume of the data root.
///
/// The files are durable aside before anything of the volume shows. Then its entry is written, which
/// dockerd drops if there is no volume; the rename of the folder is the commit.
///
/// # Errors
/// Refused while a daemon runs, for a name that is none, and if a volume is there that is not to be
/// replaced; and what tree and sink say.
pub fn import(root: &DataRoot, wanted: &Importing, progress: &dyn Progress) -> Result<Imported> {
    let name = wanted.name.as_str();
    if !is_name(name) {
        let shown = crate::error::printable(name.as_bytes()).into_owned();
        return Err(Error::refused(format!("`{shown}` is no name of a volume"))
            .hint("letters and digits, then these and `_`, `.`, `-` too; at least two"));
    }
    let writer = Writer::open(root)?;
    // What a daemon changed until now is seen, and nothing changes from here on.
    let stopped = match wanted.dry_run {
        true => Stopped::default(),
        false => writer.stopped()?,
    };
    let (there, _) = of_root(root)?;
    let there = there.into_iter().find(|volume| volume.name == name);
    let here = tree(root);
    let replaced = match &there {
        Some(volume) => may_replace(&here, volume, wanted.replace)?,
        None => false,
    };
    let opened = host::open(Some(&wanted.from))?;
    let source =
        Sub::new(opened.tree, wanted.folder.as_ref().map_or(TreePath::ROOT, |f| f.as_path()));
    let size = of_folder(&source, TreePath::ROOT)?;
    let data = volumes::data(name.as_bytes()).unwrap_or_default();
    let place = here.place(data.as_path());
    let mut imported = Imported { size, place, replaced, findings: Vec::new() };
    writer.refuse_if_too_little_room(size)?;
    if wanted.dry_run {
        return Ok(imported);
    }
    progress.start(size.apparent, 1);
    progress.phase(name);
    let labels = labels(there.as_ref(), &wanted.labels);
    let put = Put { name, labels, keeps_options: there.is_some() };
    imported.findings.extend(put.from(&source, &writer.sink, progress)?);
    stopped.release()?;
    Ok(imported)
}

/// Labels stay unless others are given.
fn labels(
    there: Option<&Volume>,
    given: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let kept = there.map(|volume| volume.labels.clone()).unwrap_or_default();
    let all = if given.is_empty() { kept } else { given.clone() };
    Some(all).filter(|labels| !labels.is_empty())
}

/// Returns whether there is something in `volume` that will be gone.
fn may_replace(tree: &dyn Tree, volume: &Volume, replace: bool) -> Result<bool> {
    let name = &volume.name;
    if volume.mount.is_some() || volume.driver != LOCAL {
        let what = format!("the volume {name} is there, and keeps its files elsewhere");
        return Err(Error::refused(what).hint("choose another name"));
    }
    let names = volume.data.as_ref().map(|data| optional(tree.names(data.as_path())));
    let is_empty = names.transpose()?.flatten().is_none_or(|names| names.is_empty());
    if is_empty || replace {
        return Ok(!is_empty);
    }
    Err(Error::refused(format!("the volume {name} is there already, and not empty"))
        .hint("choose another name, or let it give way: `--replace` removes what is in it"))
}

struct Writer {
    sink: LiveSink,
}

impl Writer {
    fn open(root: &DataRoot) -> Result<Self> {
        let Some((live, inner)) = root.tree.live(root.path.as_path()) else {
            let place = Place::new(root.place.clone(), "");
            return Err(Error::unsupported(place, "an archive is only read")
                .hint("unpack it as root, or name a data root of this machine"));
        };
        let folder = live.path().join(os::path_of(inner.as_path().as_bytes()));
        Ok(Self { sink: LiveSink::open(&folder)? })
    }

    fn stopped(&self) -> Result<Stopped> {
        let tree = self.sink.tree();
        Stopped::default().and(tree, &dockerd_locks(tree)?)
    }

    fn refuse_if_too_little_room(&self, size: Size) -> Result<()> {
        match self.sink.free()? {
            Some(free) if free < size.allocated => {
                let place = self.sink.tree().place(TreePath::ROOT);
                let needed = size.allocated;
                let what = format!("{needed} bytes are needed in {place}, and {free} are free");
                Err(Error::refused(what).hint("make room first"))
            }
            _ => Ok(()),
        }
    }
}
