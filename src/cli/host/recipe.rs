//! Recipes of containers.

use crate::cli::ops::{RecipeRequest, Where};
use crate::error::Result;
use crate::format::docker::container::MountPoint;
use crate::op::host::{ContainerAt, Host};
use crate::op::recipe::{Facts, Recipe};

pub(super) fn recipes(host: &Host, request: &RecipeRequest) -> Result<Vec<Recipe>> {
    let one = |name: &String| recipe(&host.container(name)?, request);
    request.containers.iter().map(one).collect()
}

fn recipe(at: &ContainerAt<'_>, request: &RecipeRequest) -> Result<Recipe> {
    let record = &at.container.record;
    let (runs, image, machine) = (at.runs(), at.image_runs()?, at.machine()?);
    let mounts: Vec<MountPoint> = record.mount_points.values().cloned().collect();
    let here = super::this_platform();
    let is_other = |platform: &&_| {
        let platform: &crate::format::oci::Platform = platform;
        !platform.architecture.is_empty() && platform.architecture != here.architecture
    };
    Ok(Recipe::of(&Facts {
        id: &at.container.id,
        name: &at.container.name,
        is_started: record.state.started().is_some(),
        runs: &runs,
        image: image.as_ref(),
        machine: machine.as_ref(),
        networks: &at.networks(),
        mounts: &mounts,
        platform: record.image_platform.as_ref().filter(is_other),
        show_secrets: request.show_secrets,
    }))
}

/// Returns the names of the containers at `at`, for completion; none if they cannot be read.
pub(crate) fn container_names(at: &Where) -> Vec<String> {
    let host = super::survey(at).ok();
    let roots = host.iter().flat_map(|host| &host.roots);
    roots.flat_map(|root| &root.containers).map(|container| container.name.clone()).collect()
}
