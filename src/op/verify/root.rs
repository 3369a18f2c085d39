//! What belongs to a data root and to none of its stores.

use std::collections::BTreeMap;

use super::{StartAt, Verified};
use crate::error::Result;
use crate::model::{Finding, Severity};
use crate::op::host::{ContainerAt, DataRoot, Seen};
use crate::store::{Start, shared};
use crate::tree::{Sub, Tree};

/// Checks containers, volumes and databases of `root`. What is found of a container's start here
/// overrules what its store said.
pub(super) fn check(root: &DataRoot, all: &mut Verified, starts: &mut Vec<StartAt>) -> Result<()> {
    let tree = Sub::new(root.tree.clone(), root.path.as_path());
    let drivers: Vec<&str> = root.stores.iter().map(|seen| seen.here.driver.as_str()).collect();
    let mut audit = shared::audit(&tree, &root.containers, &drivers)?;
    overrule(root, std::mem::take(&mut audit.starts), starts);
    all.take(audit);
    all.findings.extend(root.containers().filter_map(|at| without_image(&at, &tree)));
    Ok(())
}

fn overrule(root: &DataRoot, ours: Vec<Start>, starts: &mut Vec<StartAt>) {
    let ours = ours.into_iter().map(|start| (start.id.clone(), start));
    let mut ours: BTreeMap<String, Start> = ours.collect();
    for at in starts.iter_mut().filter(|at| at.start.container) {
        if let Some(start) = ours.remove(&at.start.id) {
            at.start = start;
        }
    }
    for start in ours.into_values() {
        let seen: Option<&Seen> =
            root.containers().find(|at| at.container.id == start.id).and_then(|at| at.seen);
        starts.push(StartAt::of(root, seen, &start));
    }
}

/// A container goes on without its image, as `docker rmi -f` leaves it.
fn without_image(at: &ContainerAt<'_>, tree: &Sub) -> Option<Finding> {
    let (one, image) = (at.container, at.container.image?);
    let inventory = at.seen?.inventory()?;
    if inventory.images.iter().any(|known| known.id == image) {
        return None;
    }
    Some(Finding {
        code: "container-without-image",
        severity: Severity::Untidy,
        place: tree.place(shared::container(&one.id).as_path()),
        what: format!("image {} of container {} is not there", image.short(), one.name),
        remedy: "the container still runs; only making it anew takes the image".to_owned(),
    })
}
