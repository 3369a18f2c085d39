//! The last step of moving containers: their configs name the store that has them now.

use super::{Outcome, Plan};
use crate::digest::ConfigId;
use crate::error::Result;
use crate::model::{Inventory, PlatformImage, StoreKind};
use crate::store::ContainerStep;
use crate::store::containers::{Rebound, rebind};
use crate::tree::Sink;

/// Binds the containers that arrived to their new store, which holds `there` by now, in the configs of the
/// data root.
///
/// # Errors
/// A config that cannot be read, and what the sink says. What is bound by then stays so, and the next run
/// goes on from there.
pub fn bind(plan: &Plan, outcome: &Outcome, there: &Inventory, data_root: &dyn Sink) -> Result<()> {
    let arrived = |step: &&ContainerStep| outcome.containers.contains(&step.container.id);
    let steps = plan.containers.iter().filter(arrived);
    let bound: Vec<_> = steps.map(|step| bound(plan, step, outcome, there)).collect();
    rebind(data_root, &there.driver, &bound)
}

fn bound(plan: &Plan, step: &ContainerStep, outcome: &Outcome, there: &Inventory) -> Rebound {
    let moved = outcome.moved.iter().find(|moved| Some(moved.id) == step.image);
    let present = plan.present.iter().find(|present| Some(present.id) == step.image);
    let becomes = moved.map(|m| m.becomes).or(present.map(|present| present.becomes));
    let image = becomes.and_then(|id| there.images.iter().find(|image| image.id == id));
    let runs = |part: &&PlatformImage| is_of(part, step.config);
    let part = image.and_then(|image| image.manifests.iter().find(runs));
    let has_documents = there.kind == StoreKind::Containerd;
    Rebound {
        id: step.container.id.clone(),
        driver: there.driver.clone(),
        // An image that is gone keeps the ID it had: nothing has it any more.
        image: becomes.map_or_else(|| step.container.record.image.clone(), |id| id.to_string()),
        image_manifest: part.and_then(|part| part.manifest.clone()).filter(|_| has_documents),
    }
}

fn is_of(part: &PlatformImage, config: Option<ConfigId>) -> bool {
    config.is_some() && part.config.as_ref().map(|(id, _)| *id) == config
}
