//! Packed layers that are unpacked too: what runs needs the unpacked ones alone. What is only shown needs
//! all (moby v28 daemon/containerd/image_list.go multiPlatformSummary).
//!
//! moby v28 daemon/containerd/image_snapshot.go getImageSnapshot; what is collected is told by labels,
//! which may name what is not there (containerd v2 core/metadata/gc.go).

use std::collections::{BTreeMap, HashSet};

use super::Work;
use super::books::Things;
use super::reach::referred_elsewhere;
use crate::digest::ChainId;
use crate::error::Result;
use crate::format::oci::Descriptor;
use crate::model::{PlatformImage, Role};
use crate::store::Source as _;

/// What no image can do any more whose packed layers are gone.
const LOSSES: [&str; 4] = [
    "docker images of Docker 26 does not list these images, that of Docker 28 those alone that have a \
     name; docker inspect tells nothing of them: they run all the same, by name or ID",
    "docker save and docker push of these images fail: they need the packed layers",
    "a build FROM one of them may fail, and what it makes cannot be pushed or saved",
    "docker pull does not bring the layers back: remove the image first, or move it with \
     `tranship migrate --rebuild-missing`, under another ID",
];

impl Work<'_, '_> {
    pub(super) fn blobs(&mut self) -> Result<()> {
        let candidates = self.candidates()?;
        let documents = self.documents();
        let Some(space) = self.books.space() else { return Ok(()) };
        let (users, elsewhere) = (referred_elsewhere(space, &documents), self.books.elsewhere());
        let mut things = Things::default();
        for (digest, found) in &candidates {
            let other =
                elsewhere.get(digest.as_str()).map(|space| format!("namespace {space} has it too"));
            let why =
                found.needed.clone().or(other).or_else(|| users.get(digest.as_str()).cloned());
            match why {
                Some(why) => self.plan.stay(format!("blob {digest}"), why),
                None => {
                    things.blobs.insert(digest.clone());
                    self.plan.relied_on.extend(&found.chains);
                }
            }
        }
        if !things.blobs.is_empty() {
            self.plan.losses.extend(LOSSES.map(str::to_owned));
        }
        self.dropped.clone_from(&things.blobs);
        self.books.drop_things(&things);
        Ok(())
    }

    /// Returns the packed layers of all images that are here.
    fn candidates(&self) -> Result<BTreeMap<String, Candidate>> {
        let mut found: BTreeMap<String, Candidate> = BTreeMap::new();
        for image in &self.source.inventory().images {
            let name = image.tags().next().map_or_else(|| image.id.short(), |name| name.familiar());
            for one in image.manifests.iter().filter(|one| one.role == Role::Image) {
                let packed = match one.config {
                    Some(_) => self.source.packed(one)?,
                    None => Vec::new(),
                };
                let needed = self.needs_blobs(one).map(|why| format!("{name}: {why}"));
                for (layer, chain_id) in packed.iter().zip(one.chain()) {
                    if self.source.blob_size(layer.blob).is_none() {
                        continue;
                    }
                    let candidate = found.entry(layer.blob.to_string()).or_default();
                    candidate.chains.push(chain_id);
                    candidate.needed = candidate.needed.take().or_else(|| needed.clone());
                }
            }
        }
        Ok(found)
    }

    /// Returns why the packed layers of an image are needed; nothing if they are not.
    fn needs_blobs(&self, image: &PlatformImage) -> Option<String> {
        let chain = image.chain();
        let damaged = |id: &&ChainId| self.wanted.damaged.contains(*id);
        if let Some(id) = chain.iter().find(damaged) {
            return Some(format!("the unpacked layer {} is not what is packed", id.0.short()));
        }
        let top = *chain.last()?;
        let is_there = |path: &crate::tree::TreePathBuf| self.tree.stat(path.as_path()).is_ok();
        match self.source.stack(top) {
            Ok(stack) if stack.len() >= chain.len() && stack.iter().all(is_there) => None,
            _ => Some("it is not unpacked".to_owned()),
        }
    }

    /// Returns the documents of all images: they refer to layers only to have them.
    fn documents(&self) -> HashSet<String> {
        let images = self.source.inventory().images.iter();
        let manifests = images.flat_map(|image| &image.manifests);
        let documents = manifests.filter_map(|one| one.manifest.as_ref());
        documents.filter_map(Descriptor::blob).map(|blob| blob.to_string()).collect()
    }
}

/// A packed layer.
#[derive(Default)]
struct Candidate {
    /// The chains that it is the topmost layer of.
    chains: Vec<ChainId>,
    needed: Option<String>,
}
