//! The commit: from layers to images.

use std::collections::{BTreeMap, HashSet};

use super::Writer;
use super::names::NewNames;
use crate::digest::{BlobId, ConfigId};
use crate::error::{Error, Result};
use crate::format::oci::ImageConfig;
use crate::format::raw::decode;
use crate::model::{Finding, Severity};
use crate::store::{Committed, ImageStep, Source};
use crate::tree::{Kind, Time, TreePathBuf};

/// The config of an image that is not there yet.
struct NewConfig {
    bytes: Vec<u8>,
    arrived: Time,
}

impl Writer {
    /// Makes the images visible, each step durable before the next.
    pub(super) fn publish(
        &self,
        images: &[ImageStep],
        source: &dyn Source,
    ) -> Result<Vec<Committed>> {
        let ids = images.iter().map(ImageStep::config).collect::<Result<Vec<_>>>()?;
        let all: Vec<(ConfigId, &ImageStep)> = ids.into_iter().zip(images).collect();
        let new: Vec<_> =
            all.iter().copied().filter(|(id, _)| !self.images.contains(&id.0)).collect();
        let configs = self.configs(&new, source)?;
        let (mut names, mut new_names) = (self.names()?, NewNames::default());
        let mut committed = Vec::new();
        for (id, image) in &all {
            let mut findings = self.part_names(*id, image, &names, &mut new_names);
            findings.extend(configs.get(id).and_then(|config| self.hidden(*id, config)));
            committed.push(Committed { id: id.0, findings });
        }
        self.publish_layers()?;
        self.check_layers(images)?;
        self.begin_staging()?;
        self.put_notes(&new, images.iter().flat_map(|image| &image.packed))?;
        self.put_names(&mut names, &new_names.unseen)?;
        self.show(&configs)?;
        if !new_names.seen.is_empty() {
            self.put_names(&mut names, &new_names.seen)?;
        }
        self.publish_containers()?;
        self.sink.sync()?;
        let cleaned = self.discard().and_then(|()| self.sink.sync());
        self.settle()?;
        // The images are there. What could not be cleaned up is no reason to say that they are not.
        let cleaned = cleaned.and(self.clear_stage());
        if let (Err(error), Some(first)) = (cleaned, committed.first_mut()) {
            let error = error.hint("the next run removes it");
            first.findings.push(Finding::of("staging-left", Severity::Untidy, &error));
        }
        Ok(committed)
    }

    fn configs(
        &self,
        new: &[(ConfigId, &ImageStep)],
        source: &dyn Source,
    ) -> Result<BTreeMap<ConfigId, NewConfig>> {
        let config = |(id, image): &(ConfigId, &ImageStep)| {
            let bytes = source.document(BlobId(id.0))?.bytes;
            let arrived = image.image.arrived.unwrap_or(self.writing.now);
            Ok((*id, NewConfig { bytes, arrived }))
        };
        new.iter().map(config).collect()
    }

    /// Returns what keeps dockerd on Linux from showing an image (moby v28 image/store.go restore).
    fn hidden(&self, id: ConfigId, config: &NewConfig) -> Option<Finding> {
        let config = decode::<ImageConfig>(&config.bytes).ok();
        let os = config.as_ref().map_or("", ImageConfig::os);
        if config.is_some() && os.eq_ignore_ascii_case("linux") {
            return None;
        }
        let place = self.sink.tree().place(self.layout.content(id.0).as_path());
        let os = crate::error::printable(os.as_bytes()).into_owned();
        let what = format!("the image is for `{os}`; Docker on Linux does not show it");
        let error = Error::unsupported(place, what);
        Some(Finding::of("image-hidden", Severity::WouldNotLoad, &error))
    }

    /// An image without its layers would not only be hidden: a later `docker pull` of it would find the
    /// config and fetch nothing.
    fn check_layers(&self, images: &[ImageStep]) -> Result<()> {
        let chains = images.iter().filter_map(|image| image.image.shown()).flat_map(|m| m.chain());
        for chain_id in chains {
            if !self.has_layer(chain_id) {
                let place = self.sink.tree().place(self.layout.entry(chain_id).as_path());
                return Err(Error::missing(place, format!("layer {chain_id} was not put")));
            }
        }
        Ok(())
    }

    fn begin_staging(&self) -> Result<()> {
        if !self.sink.can_stage() {
            return Ok(());
        }
        let staging = self.layout.staging(None);
        self.sink.remove(staging.as_path())?;
        self.make_dir(&staging, 0o700)
    }

    /// Puts all configs where dockerd looks for them, in one step.
    fn show(&self, configs: &BTreeMap<ConfigId, NewConfig>) -> Result<()> {
        let place = self.layout.contents();
        if configs.is_empty() {
            return Ok(());
        }
        if !self.sink.can_stage() {
            return self.put_configs(&place, configs);
        }
        let next = self.layout.staging(Some("content"));
        self.make_dir(&next, 0o700)?;
        self.put_configs(&next, configs)?;
        let new: HashSet<Vec<u8>> = configs.keys().map(|id| id.hex().into_bytes()).collect();
        for entry in self.sink.tree().list(place.as_path())? {
            let [from, to] =
                [&place, &next].map(|at| at.as_path().child(&entry.name).unwrap_or_default());
            if entry.metadata.kind == Kind::Dir {
                let place = self.sink.tree().place(from.as_path());
                return Err(Error::corrupt(place, "found a folder, wanted the config of an image")
                    .hint("move it away: dockerd has no use for it"));
            }
            if !new.contains(&entry.name) {
                self.sink.link(from.as_path(), to.as_path())?;
            }
        }
        self.sink.sync()?;
        self.sink.exchange(next.as_path(), place.as_path())?;
        self.sink.sync()
    }

    fn put_configs(
        &self,
        folder: &TreePathBuf,
        configs: &BTreeMap<ConfigId, NewConfig>,
    ) -> Result<()> {
        for (id, config) in configs {
            let path = folder.as_path().child(id.hex().as_bytes()).unwrap_or_default();
            self.write_dated(&path, 0o600, Some(config.arrived), &config.bytes)?;
        }
        Ok(())
    }
}
