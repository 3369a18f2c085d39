//! Writing a volume, whatever becomes of it on the way.

use std::collections::BTreeMap;

use super::export::files_of;
use crate::error::Result;
use crate::format::bbolt::{self, Db, Options, OwnedBucket};
use crate::format::docker::volume::{BUCKET, LOCAL, Record};
use crate::format::raw::decode;
use crate::model::Finding;
use crate::store::{Progress, volumes};
use crate::tree::{Attributes, Sink, Tree, TreePath, optional, path, read, write};

/// Our own folder in the data root. dockerd takes every folder beside the volumes for one of them.
const STAGE: &str = "tranship/volume";

/// moby v28.5 volume/local/local.go Create; its umask is 0.
const FOLDER_MODE: u16 = 0o701;
const RECORDS_MODE: u16 = 0o600;

/// A volume of the driver `local` to be put into a data root, in the place of one that is there.
#[derive(Clone, Debug)]
pub struct Put<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Its labels, if it has any.
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether the options that the data root has of this name stay.
    pub keeps_options: bool,
}

impl Put<'_> {
    /// Puts all of `source` into the volume of the data root `sink`, whose daemon is stopped; returns what
    /// was left out.
    ///
    /// The files are durable aside before anything of the volume shows. Then its entry is written, which
    /// dockerd drops if there is no volume; the rename of the folder is the commit.
    ///
    /// # Errors
    /// What tree and sink say; a database that is no bolt file.
    pub fn from(
        &self,
        source: &dyn Tree,
        sink: &dyn Sink,
        progress: &dyn Progress,
    ) -> Result<Option<Finding>> {
        let finding = stage(source, sink, progress)?;
        self.record(sink)?;
        self.commit(sink)?;
        Ok(finding)
    }

    /// Writes the entry of the volume into `metadata.db`, which is written whole.
    fn record(&self, sink: &dyn Sink) -> Result<()> {
        let name = self.name;
        let file = path(volumes::METADATA);
        sink.make_dir(path(volumes::FOLDER), FOLDER_MODE)?;
        let place = || sink.tree().place(file);
        let bytes = optional(read(sink.tree(), file))?.unwrap_or_default();
        let (mut root, mut how) = (OwnedBucket::new(), Options::default());
        if !bytes.is_empty() {
            let db = Db::open(&bytes).map_err(|error| error.at(place()))?;
            root = bbolt::load(&db).map_err(|error| error.at(place()))?;
            how = Options::replacing(&db);
        }
        let known = root.child(BUCKET).and_then(|bucket| bucket.get(name.as_bytes()));
        let known: Option<Record> = known.and_then(|value| decode(value).ok());
        let options = known.and_then(|record| record.options).filter(|_| self.keeps_options);
        let (labels, driver) = (self.labels.clone(), LOCAL.to_owned());
        let record = Record { name: name.to_owned(), driver, labels, options };
        root.bucket_mut(BUCKET).put(name.as_bytes().to_vec(), record.encode());
        let bytes = bbolt::write(&root, &how).map_err(|error| error.at(place()))?;
        bbolt::check(&bytes).map_err(|error| error.at(place()))?;
        let aside = path("tranship/volumes.db");
        sink.remove(aside)?;
        write(sink, aside, RECORDS_MODE, &bytes)?;
        sink.sync()?;
        rename(sink, aside, file)?;
        sink.sync()
    }

    /// Moves the volume to its place; one that is there is removed after that.
    fn commit(&self, sink: &dyn Sink) -> Result<()> {
        let stage = path(STAGE);
        let folder = volumes::folder(self.name.as_bytes()).unwrap_or_default();
        match optional(sink.tree().stat(folder.as_path()))? {
            Some(_) => sink.exchange(stage, folder.as_path())?,
            None => rename(sink, stage, folder.as_path())?,
        }
        sink.sync()?;
        sink.remove(stage)?;
        let own = path("tranship");
        if sink.tree().names(own)?.is_empty() {
            sink.remove(own)?;
        }
        sink.sync()
    }
}

/// Writes the folder of the volume aside and makes it durable; what a run before left is removed.
fn stage(source: &dyn Tree, sink: &dyn Sink, progress: &dyn Progress) -> Result<Option<Finding>> {
    let stage = path(STAGE);
    sink.remove(stage)?;
    sink.make_dir(path("tranship"), 0o700)?;
    sink.make_dir(stage, FOLDER_MODE)?;
    sink.finish_dir(stage, &Attributes::root(FOLDER_MODE))?;
    let data = stage.join(path("_data"));
    let copied = files_of(source, TreePath::ROOT, sink, data.as_path(), progress);
    let (_, finding) = match copied {
        Ok(copied) => copied,
        Err(error) => {
            sink.remove(stage)?;
            return Err(error);
        }
    };
    sink.sync()?;
    Ok(finding)
}

fn rename(sink: &dyn Sink, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
    sink.rename(from, to).map_err(|error| match error.io_kind() {
        Some(std::io::ErrorKind::CrossesDevices) => error.hint(
            "the volumes are on a file system of their own: unpack the archive there by hand",
        ),
        _ => error,
    })
}
