//! What the images of a layout are called.

use std::collections::HashMap;

use super::layout;
use crate::digest::{BlobId, Digest};
use crate::error::Result;
use crate::format::docker::archive::{digits_of, saved_images};
use crate::format::oci::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor};
use crate::format::reference::Reference;
use crate::model::{Finding, Image, Name, Severity};
use crate::store::names::Names;
use crate::tree::{Tree, optional, read};

/// The names of the images of one layout.
pub(super) struct Called {
    pub(super) names: HashMap<Digest, Vec<Name>>,
    /// What is called only by a tag.
    pub(super) tags: HashMap<Digest, String>,
    pub(super) findings: Vec<Finding>,
}

/// Returns what the images that `descriptors` of `index.json` point at are called.
pub(super) fn called(tree: &dyn Tree, descriptors: &[Descriptor], images: &[Image]) -> Called {
    let mut claims = Names::new(tree.place(layout::index()));
    let (mut names, mut tags) = (HashMap::<Digest, Vec<Name>>::new(), HashMap::new());
    for descriptor in descriptors {
        let Some(BlobId(id)) = descriptor.blob() else { continue };
        let annotation = |name: &str| descriptor.annotations.get(name).map(String::as_str);
        let reference = annotation(ANNOTATION_REF_NAME);
        let full = annotation(ANNOTATION_IMAGE_NAME).or(reference.filter(|text| is_full(text)));
        if let Some(full) = full {
            names.entry(id).or_default().extend(claims.claim(full, id));
        } else if let Some(tag) = reference {
            tags.entry(id).or_insert_with(|| tag.to_owned());
        }
    }
    let mut findings = Vec::new();
    match saved_tags(tree) {
        Ok(saved) => {
            let unnamed = by_config(images, |id| names.get(&id).is_none_or(Vec::is_empty));
            for (config, tag) in saved {
                if let Some(id) = unnamed.get(&config) {
                    names.entry(*id).or_default().extend(claims.claim(&tag, *id));
                }
            }
        }
        Err(error) => {
            findings.push(Finding::of("names-unreadable", Severity::WrongMetadata, &error));
        }
    }
    findings.append(&mut claims.findings);
    tags.retain(|id, _| names.get(id).is_none_or(Vec::is_empty));
    Called { names, tags, findings }
}

/// Returns whether the name of a reference is one in full, as podman writes it, and not a tag alone, as
/// the specification means it.
fn is_full(text: &str) -> bool {
    text.contains(['/', ':']) && Reference::parse_normalized(text).is_ok()
}

/// Returns the tags that a `manifest.json` beside the index gives to configs.
fn saved_tags(tree: &dyn Tree) -> Result<Vec<(Digest, String)>> {
    let at = layout::manifest();
    let Some(bytes) = optional(read(tree, at))? else { return Ok(Vec::new()) };
    let saved = saved_images(&bytes).map_err(|error| error.at(tree.place(at)))?;
    let mut tags = Vec::new();
    for image in saved {
        if let Some(config) = digits_of(&image.config).and_then(|hex| Digest::from_hex(hex).ok()) {
            tags.extend(image.repo_tags.into_iter().map(|tag| (config, tag)));
        }
    }
    Ok(tags)
}

/// Returns the first of the wanted images with each config.
fn by_config(images: &[Image], wanted: impl Fn(Digest) -> bool) -> HashMap<Digest, Digest> {
    let mut found = HashMap::new();
    for image in images.iter().filter(|image| wanted(image.id)) {
        for (config, _) in image.manifests.iter().filter_map(|manifest| manifest.config.as_ref()) {
            found.entry(config.0).or_insert(image.id);
        }
    }
    found
}
