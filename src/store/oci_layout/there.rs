//! What a layout that is added to holds already.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::layout;
use crate::error::Result;
use crate::format::docker::archive;
use crate::format::oci::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Index};
use crate::format::raw::decode;
use crate::tree::{Tree, optional, read};

/// The documents of a layout that say what is in it.
#[derive(Default)]
pub(super) struct There {
    manifests: Vec<Descriptor>,
    /// The entries of `manifest.json`, if there is one.
    saved: Option<Vec<Value>>,
    is_layout: bool,
}

impl There {
    pub(super) fn read(tree: &dyn Tree) -> Result<Self> {
        let bytes = read(tree, layout::index())?;
        let index: Index = decode(&bytes).map_err(|error| error.at(tree.place(layout::index())))?;
        let saved = optional(read(tree, layout::manifest()))?;
        let saved = saved.map(|bytes| archive::saved(&bytes)).transpose();
        let saved = saved.map_err(|error| error.at(tree.place(layout::manifest())))?;
        Ok(Self { manifests: index.manifests, saved, is_layout: true })
    }

    /// Returns whether there is no layout yet.
    pub(super) fn is_new(&self) -> bool {
        !self.is_layout
    }

    /// Returns whether the layout is one for Docker before 25 too.
    pub(super) fn has_saved(&self) -> bool {
        self.saved.is_some()
    }

    /// Returns what the index is to hold with the `new` manifests. A name goes to the last that has it;
    /// what loses its name stays without one, as after `docker tag`.
    pub(super) fn index_with(&self, new: impl Iterator<Item = Descriptor>) -> Vec<Descriptor> {
        let new: Vec<_> = new.collect();
        let names: HashSet<_> = new.iter().filter_map(name).collect();
        let mut all = self.manifests.clone();
        for old in &mut all {
            if name(old).is_some_and(|name| names.contains(name)) {
                old.annotations.remove(ANNOTATION_IMAGE_NAME);
                old.annotations.remove(ANNOTATION_REF_NAME);
            }
        }
        all.extend(new);
        all
    }

    /// Returns what `manifest.json` is to hold with the `new` images. A run that died may have put them
    /// there already.
    pub(super) fn saved_with(&self, new: &[impl Serialize]) -> Vec<Value> {
        let new = new.iter().filter_map(|image| serde_json::to_value(image).ok());
        let new: Vec<_> = new.collect();
        let old = self.saved.iter().flatten().filter(|image| !new.contains(image)).cloned();
        old.chain(new.iter().cloned()).collect()
    }
}

fn name(descriptor: &Descriptor) -> Option<&String> {
    descriptor.annotations.get(ANNOTATION_IMAGE_NAME)
}
