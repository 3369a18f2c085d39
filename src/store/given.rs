//! Which names people gave to images, as the builder and the containers remember it: help where a store
//! has lost the names.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::builds;
use super::mend::Help;
use crate::digest::{BlobId, Digest};
use crate::format::reference::Reference;

/// A name, and the image that it was last seen on.
pub(super) struct Given {
    pub(super) reference: Reference,
    /// The digests that the image may be known by.
    pub(super) images: BTreeSet<Digest>,
    /// Who remembers it.
    pub(super) from: &'static str,
}

/// Returns the last word on every name that a container on `driver` was made by, or that a build was to
/// have. A name moves: what came before says nothing, even where that image is gone.
pub(super) fn given(
    help: &Help<'_>,
    driver: &str,
    log: &dyn Fn(BlobId) -> Option<Vec<u8>>,
) -> Vec<Given> {
    let mut all = Vec::new();
    for one in help.containers.iter().filter(|one| one.driver == driver) {
        let Some(image) = one.image else { continue };
        let is_id = image.hex().starts_with(&one.image_name) || image.to_string() == one.image_name;
        if let (Ok(reference), false) = (Reference::parse_normalized(&one.image_name), is_id) {
            let given = Given { reference, images: [image].into(), from: "containers" };
            all.push((one.record.created().unwrap_or_default(), given));
        }
    }
    for build in builds::history(help.root, log).into_iter().filter(|b| !b.results.is_empty()) {
        let references =
            build.names.iter().filter_map(|name| Reference::parse_normalized(name).ok());
        all.extend(references.map(|reference| {
            let images = build.results.clone();
            (build.completed, Given { reference, images, from: "the history of builds" })
        }));
    }
    all.sort_by_key(|(when, _)| Reverse(*when));
    let mut last = BTreeMap::new();
    for (_, mut given) in all {
        given.reference = given.reference.tag_name_only();
        last.entry(given.reference.to_string()).or_insert(given);
    }
    last.into_values().collect()
}
