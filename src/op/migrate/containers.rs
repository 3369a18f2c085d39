//! The last step of a migration: the containers that arrived are bound to their new store.

use super::{Prepared, Request, open_target};
use crate::error::{Error, Result};
use crate::op::host::DataRoot;
use crate::op::transfer::{Containers, Outcome, Stay, bind};
use crate::os;
use crate::tree::LiveSink;

/// Returns an error if containers were named and cannot move, wherever they are.
pub(super) fn possible(request: &Request) -> Result<()> {
    let is_named = matches!(request.options.containers, Containers::Named(_));
    let in_place = request.into.is_none() && request.stream.is_none() && request.index.is_none();
    if is_named && !in_place {
        return Err(Error::refused("containers move only between the stores of one data root")
            .hint("leave out `--into`, or `--container`"));
    }
    Ok(())
}

/// Notes which containers have processes on this machine: with live-restore they go on without a daemon.
pub(super) fn note_alive(request: &mut Request, root: &DataRoot) {
    if let Some((live, inner)) = root.tree.live(root.path.as_path()) {
        let shims = os::shims(&super::place::dir(live, &inner));
        let known = root.containers.iter().map(|container| container.id.clone());
        request.options.alive = known.filter(|id| shims.contains(id)).collect();
    }
}

/// Returns what is to be said of containers that neither store has.
pub(super) fn foreign(request: &Request, root: &DataRoot) -> Vec<Stay> {
    if matches!(request.options.containers, Containers::Unseen | Containers::Named(_)) {
        return Vec::new();
    }
    let is_here = |driver: &str| root.stores.iter().any(|seen| seen.here.driver == driver);
    let others = root.containers.iter().filter(|one| {
        let target = crate::store::open::driver(request.to);
        !is_here(&one.driver) && one.driver != target
    });
    let stay = |one: &crate::model::Container| Stay {
        what: format!("container {}", one.name),
        why: format!("it is kept by `{}`, of which there is no store here", one.driver),
    };
    others.map(stay).collect()
}

impl Prepared {
    /// Binds the containers that arrived to the target, in the configs of the data root.
    pub(super) fn rebind(&self, outcome: &Outcome) -> Result<()> {
        if outcome.containers.is_empty() {
            return Ok(());
        }
        // What the target holds now: the images have their IDs only since they were written.
        let target = open_target(&self.request, self.destination.sink()?)?;
        bind(&self.plan, outcome, target.inventory(), &data_root(&self.root)?)
    }
}

/// Opens the data root, whose configs both stores share.
pub(super) fn data_root(root: &DataRoot) -> Result<LiveSink> {
    let place = || crate::error::Place::new(root.place.clone(), "");
    let live = root.tree.live(root.path.as_path());
    let (live, inner) =
        live.ok_or_else(|| Error::unsupported(place(), "an archive is only read"))?;
    LiveSink::open(&super::place::dir(live, &inner))
}
