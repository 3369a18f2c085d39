//! One thing as a JSON document: Docker's own members where Docker has them, then what only the disk
//! tells, below `Tranship`.

mod container;
mod image;
mod layer;
mod volume;

use std::sync::Arc;

use serde_json::Value;

use crate::cli::ops::{InspectRequest, Kind};
use crate::error::{Error, Place, Result};
use crate::op::host::{DataRoot, Host};
use crate::tree::Sub;

/// Returns each thing that is named, or why it cannot be told of.
pub(super) fn documents(host: &Host, request: &InspectRequest) -> Vec<Result<Value>> {
    request.names.iter().map(|name| document(host, name, request)).collect()
}

fn document(host: &Host, name: &str, request: &InspectRequest) -> Result<Value> {
    for kind in Kind::ALL.into_iter().filter(|kind| request.kind.is_none_or(|only| only == *kind)) {
        let found = match kind {
            Kind::Container => host.container(name).and_then(|at| container::of(&at, request.size)),
            Kind::Image => host.image(name, None).and_then(|at| image::of(host, &at)),
            Kind::Layer => host.unpacked(name, true).map(|at| layer::of(&at)),
            Kind::Volume => volume::of(host, name),
            Kind::Snapshot => host.unpacked(name, false).map(|at| layer::of(&at)),
        };
        match found {
            Err(error) if error.is_missing() && request.kind.is_none() => {}
            found => return found,
        }
    }
    let what = "no container, image, layer, volume or snapshot is called so";
    Err(Error::missing(Place::new(name, ""), what)
        .hint("`tranship ps` and `tranship images -a` list what is here"))
}

fn files(root: &DataRoot) -> Sub {
    Sub::new(Arc::clone(&root.tree), root.path.as_path())
}

/// Returns where the data root was on its own machine, as far as its containers' records tell.
fn origin(root: &DataRoot) -> String {
    let of = |at: crate::op::host::ContainerAt<'_>| {
        let config = at.config().ok()?;
        let end = format!("/containers/{}/hosts", at.container.id);
        config.get("HostsPath")?.as_str()?.strip_suffix(&end).map(str::to_owned)
    };
    root.containers().find_map(of).unwrap_or_else(|| root.place.clone())
}

#[cfg(test)]
mod tests;
