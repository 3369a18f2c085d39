//! What people call images, containers and volumes.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::model::{Holder, Image, Thing, Volume};
use crate::op::host::DataRoot;
use crate::op::volumes;

/// What people call what holds things.
#[derive(Default)]
pub(super) struct Names<'a> {
    images: HashMap<Digest, &'a Image>,
    /// Names of containers by their IDs, and whether each is hidden.
    containers: HashMap<&'a str, (&'a str, bool)>,
    /// Volumes that only hidden containers have.
    hidden: Vec<String>,
}

impl<'a> Names<'a> {
    /// Returns the names in a data root that has these volumes.
    pub(super) fn of(root: &'a DataRoot, volumes: &[Volume]) -> Self {
        let inventories = root.stores.iter().filter_map(|seen| seen.inventory());
        let images = inventories.flat_map(|found| &found.images).map(|image| (image.id, image));
        let hidden: Vec<_> = root.stores.iter().filter(|seen| seen.hidden).collect();
        let is_hidden = |driver: &str| hidden.iter().any(|seen| seen.here.driver == driver);
        let containers = root.containers.iter();
        let containers = containers
            .map(|one| (one.id.as_str(), (one.name.as_str(), is_hidden(&one.driver))))
            .collect();
        let mut names = Self { images: images.collect(), containers, hidden: Vec::new() };
        for volume in volumes {
            let mut users = volumes::users(root, volume).peekable();
            if users.peek().is_some() && users.all(|at| volumes::is_hidden(&at)) {
                names.hidden.push(volume.name.clone());
            }
        }
        names
    }

    pub(super) fn image(&self, id: &Digest) -> Option<&'a Image> {
        self.images.get(id).copied()
    }

    pub(super) fn container(&self, id: &str) -> Option<&'a str> {
        self.containers.get(id).map(|(name, _)| *name)
    }

    /// Returns what the holders of a thing are called, and whether none of those that have a place of their
    /// own is shown.
    pub(super) fn of_thing(&self, thing: &Thing) -> (Vec<String>, bool) {
        let (mut names, mut hidden) = (Vec::new(), Vec::new());
        for holder in &thing.held_by {
            match holder {
                Holder::Image(id) => match self.image(id) {
                    Some(image) if image.names.is_empty() => names.push(id.short()),
                    Some(image) => names.extend(image.names.iter().map(|name| name.familiar())),
                    None => names.push(id.short()),
                },
                Holder::Container(id) => {
                    let known = self.containers.get(id.as_str());
                    let short = id.get(..12).unwrap_or(id);
                    names.push(known.map_or(short, |(name, _)| name).to_owned());
                    hidden.push(known.is_some_and(|(_, hidden)| *hidden));
                }
                Holder::Volume(name) => {
                    names.push(name.clone());
                    hidden.push(self.hidden.contains(name));
                }
                Holder::Build => names.push("build cache".to_owned()),
                Holder::Lease(id) => names.push(format!("lease {id}")),
                Holder::Namespace(space) => names.push(format!("namespace {space}")),
            }
        }
        (names, !hidden.is_empty() && hidden.iter().all(|hidden| *hidden))
    }
}
