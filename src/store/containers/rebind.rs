//! Binding containers to another store: their configs name the store that has their files.
//!
//! Both stores of a root share the configs, so that this is no part of either's commit. It comes last,
//! when all folders are durable: whichever store a config names has the container whole. What the
//! configs said is kept in a journal, durable before the first of them changes, so that it can be put
//! back.

use serde::{Deserialize, Serialize};

use super::config_file;
use crate::error::{DecodeError, Error, Result};
use crate::format::docker::container::{self, Binding};
use crate::format::oci::Descriptor;
use crate::format::raw::decode;
use crate::tree::{
    Attributes, Sink, Time, Tree, TreePath, TreePathBuf, optional, path, read, read_within,
    sink_error,
};

/// A folder of our own in the data root.
const FOLDER: &str = "tranship";
const JOURNAL: &str = "tranship/containers.json";
const NEW_JOURNAL: &str = "tranship/containers.new";

/// Returns what a config is called until it is durable; dockerd looks at no such name.
fn new_config(id: &str) -> TreePathBuf {
    TreePathBuf::new(format!("containers/{id}/.tranship-config").into_bytes()).unwrap_or_default()
}

/// Configs of very many containers, each twice.
const LIMIT: u64 = 1 << 30;

/// What a container is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebound {
    /// Its ID.
    pub id: String,
    /// The graph driver or snapshotter.
    pub driver: String,
    /// The image, as its store names it.
    pub image: String,
    /// The manifest of the image's platform, in a store that has such.
    pub image_manifest: Option<Descriptor>,
}

/// A container of the last migration, after that was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Its ID.
    pub id: String,
    /// The graph driver or snapshotter that it came from.
    pub driver: String,
    /// How it ended.
    pub end: End,
}

/// How undoing ended for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is as it was before.
    AsBefore,
    /// It is in its old store again, as it was there; but a daemon has used it since, and what it did then
    /// is in the other.
    UsedSince,
    /// Its old store does not have it any more: it stays where it is.
    Gone,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Journal {
    /// The driver that the containers were bound to.
    to: String,
    containers: Vec<Change>,
}

/// A config as it was, and as it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    id: String,
    old: String,
    new: String,
}

/// Binds containers of the data root `sink` to the store whose driver is `to`. A run that dies on the
/// way leaves some bound and others not.
///
/// # Errors
/// A config that is not there or no JSON, and what the sink says.
pub fn rebind(sink: &dyn Sink, to: &str, containers: &[Rebound]) -> Result<()> {
    if containers.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::new();
    for one in containers {
        let at = config_file(one.id.as_bytes());
        let (bytes, _) = config(sink, &at)?;
        let binding = Binding {
            driver: &one.driver,
            image: &one.image,
            image_manifest: one.image_manifest.as_ref(),
            image_platform: None,
        };
        let wrong = |error: DecodeError| error.at(sink.tree().place(at.as_path()));
        let new = container::rebind(&bytes, &binding).map_err(wrong)?;
        let [old, new] = [bytes, new].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        changes.push(Change { id: one.id.clone(), old, new });
    }
    let kept = kept(sink, to, &changes)?;
    let containers = kept.into_iter().chain(changes.iter().cloned()).collect();
    write_journal(sink, &Journal { to: to.to_owned(), containers })?;
    let texts = changes.iter().map(|change| (change.id.as_str(), change.new.as_bytes()));
    replace(sink, &texts.collect::<Vec<_>>())
}

/// Returns what an earlier run changed that is still so: one that was interrupted is gone on with, and
/// undone together with this one.
fn kept(sink: &dyn Sink, to: &str, changes: &[Change]) -> Result<Vec<Change>> {
    let Some(mut journal) = journal(sink.tree())?.filter(|journal| journal.to == to) else {
        return Ok(Vec::new());
    };
    journal.containers.retain(|old| changes.iter().all(|new| new.id != old.id));
    let mut kept = Vec::new();
    for change in journal.containers {
        if is_bound(sink, &change.id, to)? {
            kept.push(change);
        }
    }
    Ok(kept)
}

fn is_bound(sink: &dyn Sink, id: &str, driver: &str) -> Result<bool> {
    let at = config_file(id.as_bytes());
    let Some(bytes) = optional(read(sink.tree(), at.as_path()))? else { return Ok(false) };
    Ok(decode::<container::Container>(&bytes).is_ok_and(|found| found.driver == driver))
}

/// Binds the containers of the last migration of the data root `sink` to their old store again: the
/// configs as they were, or where a daemon has written one since, what binds it. `has` says whether the
/// store of a driver still has a container. Returns nothing if there is nothing to undo.
///
/// # Errors
/// A journal that cannot be read, and what `has` and the sink say; nothing has changed then but what the
/// next run finds done.
pub fn undo(
    sink: &dyn Sink,
    has: &dyn Fn(&str, &str) -> Result<bool>,
) -> Result<Option<Vec<Undone>>> {
    let Some(journal) = journal(sink.tree())? else { return Ok(None) };
    let (mut undone, mut texts) = (Vec::new(), Vec::new());
    for change in &journal.containers {
        if !is_bound(sink, &change.id, &journal.to)? {
            continue;
        }
        let at = config_file(change.id.as_bytes());
        let wrong = |error: DecodeError| error.at(sink.tree().place(at.as_path()));
        let old: container::Container = decode(change.old.as_bytes()).map_err(wrong)?;
        let (now, _) = config(sink, &at)?;
        let end = match has(&change.id, &old.driver)? {
            false => End::Gone,
            true if now == change.new.as_bytes() => End::AsBefore,
            true => End::UsedSince,
        };
        match end {
            End::Gone => {}
            End::AsBefore => texts.push((change.id.as_str(), change.old.clone().into_bytes())),
            End::UsedSince => {
                texts.push((change.id.as_str(), bound_as(&old, &now).map_err(wrong)?));
            }
        }
        undone.push(Undone { id: change.id.clone(), driver: old.driver, end });
    }
    let texts: Vec<_> = texts.iter().map(|(id, text)| (*id, text.as_slice())).collect();
    replace(sink, &texts)?;
    sink.remove(path(JOURNAL))?;
    if sink.tree().names(path(FOLDER))?.is_empty() {
        sink.remove(path(FOLDER))?;
    }
    sink.sync()?;
    Ok(Some(undone))
}

/// The containers that the last migration of a data root bound to another store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The driver that they were bound to.
    pub to: String,
    /// Their IDs.
    pub containers: Vec<String>,
    /// When they were.
    pub at: Time,
}

/// Returns which containers [`undo`] would bind to their old store again; nothing if there is nothing to
/// undo.
///
/// # Errors
/// A journal that cannot be read.
pub fn moved(tree: &dyn Tree) -> Result<Option<Moved>> {
    let Some(journal) = journal(tree)? else { return Ok(None) };
    let at = tree.stat(path(JOURNAL))?.mtime;
    let containers = journal.containers.into_iter().map(|change| change.id).collect();
    Ok(Some(Moved { to: journal.to, containers, at }))
}

/// Returns a config bound as another one is.
fn bound_as(old: &container::Container, now: &[u8]) -> std::result::Result<Vec<u8>, DecodeError> {
    let binding = Binding {
        driver: &old.driver,
        image: &old.image,
        image_manifest: old.image_manifest.as_ref(),
        image_platform: old.image_platform.as_ref(),
    };
    container::rebind(now, &binding)
}

/// Puts new configs in the place of old ones: first all are durable, then each gets its name.
fn replace(sink: &dyn Sink, texts: &[(&str, &[u8])]) -> Result<()> {
    let mut staged = Vec::new();
    for (id, text) in texts {
        let at = config_file(id.as_bytes());
        let (_, attributes) = config(sink, &at)?;
        let new = new_config(id);
        sink.remove(new.as_path())?;
        write_file(sink, new.as_path(), &attributes, text)?;
        staged.push((new, at));
    }
    sink.sync()?;
    for (new, at) in &staged {
        sink.rename(new.as_path(), at.as_path())?;
    }
    sink.sync()
}

/// Returns a config, and the owner and mode that its file has.
fn config(sink: &dyn Sink, at: &TreePathBuf) -> Result<(Vec<u8>, Attributes)> {
    let found = sink.tree().stat(at.as_path())?;
    let (mode, uid, gid) = (found.mode, found.uid, found.gid);
    let bytes = read(sink.tree(), at.as_path())?;
    Ok((bytes, Attributes { mode, uid, gid, ..Attributes::default() }))
}

fn journal(tree: &dyn Tree) -> Result<Option<Journal>> {
    let Some(bytes) = optional(read_within(tree, path(JOURNAL), LIMIT))? else {
        return Ok(None);
    };
    let place = || tree.place(path(JOURNAL));
    let journal: Journal = serde_json::from_slice(&bytes).map_err(|error| {
        Error::corrupt(place(), format!("no journal of ours: {error}"))
            .hint("move it away, if the containers are in the store they are to be in")
    })?;
    match journal.containers.iter().find(|change| !super::is_id(change.id.as_bytes())) {
        Some(_) => Err(Error::corrupt(place(), "what it names is no container")),
        None => Ok(Some(journal)),
    }
}

fn write_journal(sink: &dyn Sink, journal: &Journal) -> Result<()> {
    let root = optional(sink.tree().stat(TreePath::ROOT))?;
    let (uid, gid) = root.map_or((0, 0), |root| (root.uid, root.gid));
    let own = |mode| Attributes { uid, gid, ..Attributes::root(mode) };
    if optional(sink.tree().stat(path(FOLDER)))?.is_none() {
        sink.make_dir(path(FOLDER), 0o700)?;
        sink.finish_dir(path(FOLDER), &own(0o700))?;
    }
    sink.remove(path(NEW_JOURNAL))?;
    let bytes = serde_json::to_vec(journal).unwrap_or_default();
    write_file(sink, path(NEW_JOURNAL), &own(0o600), &bytes)?;
    sink.sync()?;
    sink.rename(path(NEW_JOURNAL), path(JOURNAL))?;
    sink.sync()
}

fn write_file(sink: &dyn Sink, at: TreePath<'_>, to: &Attributes, bytes: &[u8]) -> Result<()> {
    let mut file = sink.create(at, to)?;
    file.write_all(bytes).map_err(|error| sink_error(sink, at, error))?;
    file.finish().map(drop)
}
