//! What is kept of one container beside its record.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::ContainerAt;
use crate::error::Result;
use crate::format::docker::host_config::HostConfig;
use crate::format::docker::network::NetworkSettings;
use crate::format::docker::run_config::{ImageRuns, RunConfig};
use crate::format::raw::decode;
use crate::model::{Image, PlatformImage};
use crate::store::containers;
use crate::tree::{Kind, Sub, Tree, TreePath, walk};

/// What a container's own changes take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WritableSize {
    /// The bytes of its files when they are read, each once: what the classic store's daemon shows
    /// (moby v28 daemon/internal/directory/directory_unix.go).
    pub bytes: u64,
    /// The bytes they and their folders take on disk: what the containerd store's daemon shows
    /// (containerd v2 core/fs/du_unix.go of continuity). An estimate in a tar.
    pub on_disk: u64,
}

impl<'a> ContainerAt<'a> {
    fn files(&self) -> Sub {
        Sub::new(Arc::clone(&self.root.tree), self.root.path.as_path())
    }

    /// Returns all that its daemon wrote of it.
    ///
    /// # Errors
    /// A file that cannot be read any more.
    pub fn config(&self) -> Result<Map<String, Value>> {
        containers::config(&self.files(), &self.container.id)
    }

    /// Returns what it has of its machine, as written; nothing if that was not written.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn host_config(&self) -> Result<Option<Map<String, Value>>> {
        containers::host_config(&self.files(), &self.container.id)
    }

    /// Returns what it has of its machine; nothing if that was not written.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn machine(&self) -> Result<Option<HostConfig>> {
        containers::read_host_config(&self.files(), &self.container.id)
    }

    /// Returns its networks, and the ports it had when it last ran.
    #[must_use]
    pub fn networks(&self) -> NetworkSettings {
        NetworkSettings::of(&self.container.record.network_settings)
    }

    /// Returns what it runs; what cannot be read of that is left out.
    #[must_use]
    pub fn runs(&self) -> RunConfig {
        let config = &self.container.record.config;
        let mut runs =
            RunConfig::deserialize(Value::Object(config.rest.clone())).unwrap_or_default();
        runs.image.clone_from(&config.image);
        runs.labels.clone_from(&config.labels);
        runs
    }

    /// Returns its image, and which of that it runs; nothing if the image is gone.
    #[must_use]
    pub fn image(&self) -> Option<(&'a Image, Option<&'a PlatformImage>)> {
        let id = self.container.image?;
        let inventory = self.seen?.inventory()?;
        let image = inventory.images.iter().find(|image| image.id == id)?;
        let wanted = self.container.record.image_manifest.as_ref().map(|manifest| &manifest.digest);
        let is_it = |one: &&PlatformImage| {
            wanted.is_some() && one.manifest.as_ref().map(|manifest| &manifest.digest) == wanted
        };
        Some((image, image.manifests.iter().find(is_it).or_else(|| image.shown())))
    }

    /// Returns what its image alone would run; nothing if the image is gone.
    ///
    /// # Errors
    /// A config that was there and cannot be read any more.
    pub fn image_runs(&self) -> Result<Option<RunConfig>> {
        let config = self.image().and_then(|(_, platform)| platform?.config.as_ref());
        let Some((id, _)) = config else { return Ok(None) };
        let document = self.source()?.document(crate::digest::BlobId(id.0))?;
        let place = crate::error::Place::new(self.root.place.clone(), "");
        let runs: ImageRuns = decode(&document.bytes).map_err(|error| error.at(place))?;
        Ok(Some(runs.config))
    }

    /// Returns how much it changed: every file is looked at.
    ///
    /// # Errors
    /// Missing if its writable layer is gone.
    pub fn size(&self) -> Result<WritableSize> {
        let writable = self.source()?.writable(&self.container.id)?;
        let tree = self.seen.map(|seen| &*seen.here.tree);
        tree.map_or(Ok(WritableSize::default()), |tree| size(tree, writable.upper.as_path()))
    }
}

fn size(tree: &dyn Tree, folder: TreePath<'_>) -> Result<WritableSize> {
    let mut total = WritableSize { bytes: 0, on_disk: tree.stat(folder)?.allocated };
    let mut linked = HashSet::new();
    walk(tree, folder, &mut |_, entry| {
        let file = &entry.metadata;
        if file.kind == Kind::Dir || file.nlink < 2 || linked.insert(file.ino) {
            let bytes = if file.kind == Kind::Dir { 0 } else { file.size };
            total.bytes = total.bytes.saturating_add(bytes);
            total.on_disk = total.on_disk.saturating_add(file.allocated);
        }
        Ok(true)
    })?;
    Ok(total)
}
