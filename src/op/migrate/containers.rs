//! The last step of a migration: the containers that arrived are bound to their new store.

use super::{Prepared, Request, open_target};
use crate::digest::ConfigId;
use crate::error::{Error, Result};
use crate::model::{Inventory, PlatformImage, StoreKind};
use crate::op::host::DataRoot;
use crate::op::transfer::{Containers, Outcome, Stay};
use crate::os;
use crate::store::ContainerStep;
use crate::store::containers::{self as configs, Rebound};
use crate::tree::{LiveSink, TreePath};

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
    if root.tree.live(TreePath::ROOT).is_some() {
        let shims = os::shims();
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
        let target = driver(request.to);
        !is_here(&one.driver) && one.driver != target
    });
    let stay = |one: &crate::model::Container| Stay {
        what: format!("container {}", one.name),
        why: format!("it is kept by `{}`, of which there is no store here", one.driver),
    };
    others.map(stay).collect()
}

fn driver(kind: StoreKind) -> &'static str {
    crate::store::open::driver(kind)
}

impl Prepared {
    /// Binds the containers that arrived to the target, in the configs of the data root.
    pub(super) fn rebind(&self, outcome: &Outcome) -> Result<()> {
        if outcome.containers.is_empty() {
            return Ok(());
        }
        // What the target holds now: the images have their IDs only since they were written.
        let target = open_target(&self.request, self.destination.sink()?)?;
        let arrived = |step: &&ContainerStep| outcome.containers.contains(&step.container.id);
        let steps = self.plan.containers.iter().filter(arrived);
        let bound = steps.map(|step| self.bound(step, outcome, target.inventory()));
        let bound: Vec<_> = bound.collect();
        let sink = data_root(&self.root)?;
        configs::rebind(&sink, driver(self.request.to), &bound)
    }

    fn bound(&self, step: &ContainerStep, outcome: &Outcome, there: &Inventory) -> Rebound {
        let moved = outcome.moved.iter().find(|moved| Some(moved.id) == step.image);
        let present = self.plan.present.iter().find(|present| Some(present.id) == step.image);
        let becomes = moved.map(|m| m.becomes).or(present.map(|present| present.becomes));
        let image = becomes.and_then(|id| there.images.iter().find(|image| image.id == id));
        let runs = |part: &&PlatformImage| is_of(part, step.config);
        let part = image.and_then(|image| image.manifests.iter().find(runs));
        let has_documents = there.kind == StoreKind::Containerd;
        Rebound {
            id: step.container.id.clone(),
            driver: driver(self.request.to).to_owned(),
            // An image that is gone keeps the ID it had: nothing has it any more.
            image: becomes.map_or_else(|| step.container.record.image.clone(), |id| id.to_string()),
            image_manifest: part.and_then(|p| p.manifest.clone()).filter(|_| has_documents),
        }
    }
}

fn is_of(part: &PlatformImage, config: Option<ConfigId>) -> bool {
    config.is_some() && part.config.as_ref().map(|(id, _)| *id) == config
}

/// Opens the data root, whose configs both stores share.
pub(super) fn data_root(root: &DataRoot) -> Result<LiveSink> {
    let place = || crate::error::Place::new(root.place.clone(), "");
    let live = root.tree.live(root.path.as_path());
    let (live, inner) =
        live.ok_or_else(|| Error::unsupported(place(), "an archive is only read"))?;
    LiveSink::open(&super::place::dir(live, &inner))
}
