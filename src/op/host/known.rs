//! What a data root says that one of its stores does not know.

use std::sync::Arc;

use super::DataRoot;
use crate::digest::ConfigId;
use crate::error::Result;
use crate::model::{Severity, StoreKind};
use crate::store::builds::Builds;
use crate::store::reclaim::Known;
use crate::tree::Tree as _;
use crate::tree::{Sub, Time, optional, path};

impl DataRoot {
    /// Returns what stores ask for who judge what of them can go.
    ///
    /// # Errors
    /// Where the folder of containers cannot be read.
    pub fn known(&self, now: Time) -> Result<Known> {
        let tree = Sub::new(Arc::clone(&self.tree), self.path.as_path());
        // dockerd makes this folder at its first start: without it, this is no data root.
        let folders = optional(tree.names(path("containers")))?;
        let folders = folders.map(|names| {
            names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()
        });
        let classic = || self.stores.iter().filter(|seen| seen.here.kind == StoreKind::Classic);
        let is_whole = classic().all(|seen| {
            let inventory = seen.inventory();
            let wrong = |finding: &crate::model::Finding| finding.severity > Severity::Untidy;
            inventory.is_some_and(|found| !found.findings.iter().any(wrong))
        });
        let images = classic().filter_map(|seen| seen.inventory()).flat_map(|found| &found.images);
        let images = images.map(|image| ConfigId(image.id)).collect();
        Ok(Known {
            now,
            containers: self.containers.clone(),
            classic_images: Some(images).filter(|_| is_whole && folders.is_some()),
            container_folders: folders,
            builds: Builds::read(&tree),
        })
    }
}
