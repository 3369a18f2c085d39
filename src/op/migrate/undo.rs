//! Binding containers to the store they came from again.

use std::path::PathBuf;

use super::containers::data_root;
use super::source_of;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::format::oci::Platform;
use crate::model::StoreKind;
use crate::op::host::{self, DataRoot, Known, Stopped};
use crate::store::Source;
use crate::store::containers::{self as configs, Undone};
use crate::store::{dockerd_locks, open};
use crate::tree::Sink;

/// Where containers are to be bound to their old store again.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    /// The data root, or the system; nothing for this host.
    pub at: Option<PathBuf>,
    /// The root of a containerd that is not in the usual place.
    pub containerd_root: Option<PathBuf>,
    /// The daemon's configuration, if it is not the system's own.
    pub daemon_config: Option<PathBuf>,
    /// The platform of this host.
    pub platform: Platform,
}

/// A container that was bound to its old store again, or could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundBack {
    /// Its name; its ID if it has none.
    pub name: String,
    /// What became of it.
    pub undone: Undone,
}

/// Takes the daemons' locks, and binds the containers of the last migration of a data root to the store
/// that they came from. That still has them as they were then; what the other store has stays there.
///
/// # Errors
/// Missing if there is nothing to undo, refused while a daemon runs or if several roots could be meant.
pub fn undo(undo: &Undo) -> Result<Vec<BoundBack>> {
    let elsewhere = undo.containerd_root.as_ref().map(|root| host::open(Some(root))).transpose()?;
    let config = undo.daemon_config.as_deref().map(host::read_config).transpose()?.flatten();
    let containerd_root = elsewhere.map(|opened| opened.tree);
    let known = Known { containerd_root, config, platform: undo.platform.clone() };
    let host = host::survey(&host::open(undo.at.as_deref())?, &known)?;
    let roots: Vec<_> = host.roots.iter().filter(|root| root.choices.is_some()).collect();
    let [root] = roots.as_slice() else {
        let places: Vec<_> = roots.iter().map(|root| root.place.as_str()).collect();
        return Err(Error::refused(match places.as_slice() {
            [] => "no data root is here".to_owned(),
            several => format!("several data roots are here: {}", several.join(", ")),
        })
        .hint("name the one that is meant"));
    };
    undo_in(root, &data_root(root)?)
}

/// Does what [`undo`] does in the data root `root`, which was read through whatever tree it is in, and is
/// written through `sink`.
///
/// # Errors
/// As [`undo`].
pub fn undo_in(root: &DataRoot, sink: &dyn Sink) -> Result<Vec<BoundBack>> {
    let tree = sink.tree();
    let mut stopped = Stopped::default().and(tree, &dockerd_locks(tree)?)?;
    for seen in &root.stores {
        if seen.here.kind == StoreKind::Containerd {
            stopped = stopped.and(&*seen.here.tree, &seen.here.lock_files)?;
        }
    }
    let has = |id: &str, driver: &str| has(root, id, driver);
    let undone = configs::undo(sink, &has)?.ok_or_else(|| {
        Error::missing(Place::new(root.place.clone(), ""), "no migration of containers is to undo")
            .hint("`tranship migrate --to STORE` moves them")
    })?;
    stopped.release()?;
    let name = |id: &str| {
        let found = root.containers.iter().find(|one| one.id == id);
        found.map_or_else(|| id.to_owned(), |one| one.name.clone())
    };
    Ok(undone.into_iter().map(|undone| BoundBack { name: name(&undone.id), undone }).collect())
}

/// Returns whether a store of the driver has a container. It is gone only if all that could have it were read:
/// with the journal goes the only way back.
fn has(root: &DataRoot, id: &str, driver: &str) -> Result<bool> {
    let stores: Vec<_> = root.stores.iter().filter(|seen| seen.here.driver == driver).collect();
    let mut unread = None;
    for seen in &stores {
        match source_of(seen).and_then(|source| holds(source, id)) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => _ = unread.get_or_insert(error.hint(READ_IT)),
        }
    }
    // A data root has its graph drivers itself; a containerd may be anywhere.
    if stores.is_empty() && driver == open::driver(StoreKind::Containerd) {
        let place = Place::new(root.place.clone(), "");
        unread = Some(Error::missing(place, "no containerd store is found").hint(NAME_IT));
    }
    let Some(error) = unread else { return Ok(false) };
    Err(error.within(format_args!("container {id} may still be in its old store")))
}

const READ_IT: &str = "nothing was changed: undo it again when that store can be read";
const NAME_IT: &str = "name it: `--containerd-root DIR`; nothing was changed, and if that store is gone for \
                       good, move `tranship/containers.json` away";

/// Returns whether a store has a container. One whose records are damaged has not; of one that cannot be
/// read now it is not known.
fn holds(source: &dyn Source, id: &str) -> Result<bool> {
    let found = source.writable(id).and_then(|writable| match source.tree() {
        Some(tree) => tree.stat(writable.upper.as_path()).map(|_| true),
        None => Ok(false),
    });
    match found {
        Err(error) if error.kind() != ErrorKind::Io => Ok(false),
        answer => answer,
    }
}
