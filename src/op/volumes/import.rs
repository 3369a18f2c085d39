//! A tar or a folder to a volume of a stopped data root.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::export::files_of;
use super::{Size, of_folder, of_root, tree};
use crate::error::{Error, Place, Result};
use crate::format::bbolt::{self, Db, Options, OwnedBucket};
use crate::format::docker::volume::{BUCKET, LOCAL, Record, is_name};
use crate::format::raw::decode;
use crate::model::{Finding, Volume};
use crate::op::host::{self, DataRoot, Stopped};
use crate::os;
use crate::store::{Progress, dockerd_locks, volumes};
use crate::tree::{
    Attributes, LiveSink, Sink, Sub, Tree, TreePath, TreePathBuf, optional, path, read, write,
};

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

/// Our own folder in the data root. dockerd takes every folder beside the volumes for one of them.
const STAGE: &str = "tranship/volume";

/// moby v28.5 volume/local/local.go Create; its umask is 0.
const FOLDER_MODE: u16 = 0o701;
const RECORDS_MODE: u16 = 0o600;

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
    imported.findings.extend(writer.stage(&source, progress)?);
    let labels = labels(there.as_ref(), &wanted.labels);
    writer.record(name, there.as_ref(), labels)?;
    writer.commit(name)?;
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

    /// Writes the folder of the volume aside and makes it durable; what a run before left is removed.
    fn stage(&self, source: &dyn Tree, progress: &dyn Progress) -> Result<Option<Finding>> {
        let stage = path(STAGE);
        self.sink.remove(stage)?;
        self.sink.make_dir(path("tranship"), 0o700)?;
        self.sink.make_dir(stage, FOLDER_MODE)?;
        self.sink.finish_dir(stage, &Attributes::root(FOLDER_MODE))?;
        let data = stage.join(path("_data"));
        let copied = files_of(source, TreePath::ROOT, &self.sink, data.as_path(), progress);
        let (_, finding) = match copied {
            Ok(copied) => copied,
            Err(error) => {
                self.sink.remove(stage)?;
                return Err(error);
            }
        };
        self.sink.sync()?;
        Ok(finding)
    }

    /// Writes the entry of the volume into `metadata.db`, which is written whole.
    fn record(
        &self,
        name: &str,
        there: Option<&Volume>,
        labels: Option<BTreeMap<String, String>>,
    ) -> Result<()> {
        let file = path(volumes::METADATA);
        self.sink.make_dir(path(volumes::FOLDER), FOLDER_MODE)?;
        let place = || self.sink.tree().place(file);
        let bytes = optional(read(self.sink.tree(), file))?.unwrap_or_default();
        let (mut root, mut how) = (OwnedBucket::new(), Options::default());
        if !bytes.is_empty() {
            let db = Db::open(&bytes).map_err(|error| error.at(place()))?;
            root = bbolt::load(&db).map_err(|error| error.at(place()))?;
            how = Options::replacing(&db);
        }
        let known = root.child(BUCKET).and_then(|bucket| bucket.get(name.as_bytes()));
        let known: Option<Record> = known.and_then(|value| decode(value).ok());
        let options = known.and_then(|record| record.options).filter(|_| there.is_some());
        let record = Record { name: name.to_owned(), driver: LOCAL.to_owned(), labels, options };
        root.bucket_mut(BUCKET).put(name.as_bytes().to_vec(), record.encode());
        let bytes = bbolt::write(&root, &how).map_err(|error| error.at(place()))?;
        bbolt::check(&bytes).map_err(|error| error.at(place()))?;
        let aside = path("tranship/volumes.db");
        self.sink.remove(aside)?;
        write(&self.sink, aside, RECORDS_MODE, &bytes)?;
        self.sink.sync()?;
        self.rename(aside, file)?;
        self.sink.sync()
    }

    /// Moves the volume to its place; one that is there is removed after that.
    fn commit(&self, name: &str) -> Result<()> {
        let stage = path(STAGE);
        let folder = volumes::folder(name.as_bytes()).unwrap_or_default();
        match optional(self.sink.tree().stat(folder.as_path()))? {
            Some(_) => self.sink.exchange(stage, folder.as_path())?,
            None => self.rename(stage, folder.as_path())?,
        }
        self.sink.sync()?;
        self.sink.remove(stage)?;
        let own = path("tranship");
        if self.sink.tree().names(own)?.is_empty() {
            self.sink.remove(own)?;
        }
        self.sink.sync()
    }

    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.sink.rename(from, to).map_err(|error| match error.io_kind() {
            Some(std::io::ErrorKind::CrossesDevices) => error.hint(
                "the volumes are on a file system of their own: unpack the archive there by hand",
            ),
            _ => error,
        })
    }
}
