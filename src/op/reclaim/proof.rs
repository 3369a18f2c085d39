//! Whether all that a store holds is in the other one.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::digest::{BlobId, ChainId, ConfigId};
use crate::error::{Error, Place, Result};
use crate::format::oci::Descriptor;
use crate::format::reference::Reference;
use crate::model::{Image, Name, PlatformImage, Role};
use crate::store::reclaim::Known;
use crate::store::{Progress, Source};

/// Something that would be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven {
    /// What.
    pub what: String,
    /// Why it is not known to be elsewhere.
    pub why: String,
}

/// What proving came to.
#[derive(Debug, Default)]
pub(super) struct Proven {
    /// What would be lost.
    pub(super) missing: Vec<Unproven>,
    /// What will not work any more, though nothing is lost.
    pub(super) losses: Vec<String>,
}

/// Layers of another store, with what is wrong with them.
type Read = BTreeMap<(usize, ChainId), Option<String>>;

/// Returns what of the images of `from` is not in `others`, whose layers are read to their ends.
///
/// # Errors
/// Refused if the user wishes to stop.
pub(super) fn images(
    from: &dyn Source,
    others: &[&dyn Source],
    known: &Known,
    progress: &dyn Progress,
) -> Result<Proven> {
    let driver = &from.inventory().driver;
    let bound = known.containers.iter().filter(|one| one.driver == *driver);
    let bound: BTreeSet<_> = bound.filter_map(|one| one.image).collect();
    let images = from.inventory().images.iter().filter(|image| !bound.contains(&image.id));
    let images: Vec<&Image> = images.collect();
    let proving = Proving { others, read: read(&images, others, progress)? };
    let mut proven = Proven::default();
    images.iter().for_each(|image| proving.image(image, &mut proven));
    Ok(proven)
}

/// Returns those of `chains` whose unpacked layer is not what is packed.
///
/// # Errors
/// Refused if the user wishes to stop.
pub(super) fn damaged(
    source: &dyn Source,
    chains: &BTreeSet<ChainId>,
    progress: &dyn Progress,
) -> Result<BTreeSet<ChainId>> {
    let layers: Vec<_> = chains.iter().map(|chain_id| (0, *chain_id)).collect();
    let read = read_layers(&layers, &[source], progress)?;
    Ok(read.into_iter().filter(|(_, wrong)| wrong.is_some()).map(|((_, id), _)| id).collect())
}

/// Reads every layer of the other stores that `images` have there.
fn read(images: &[&Image], others: &[&dyn Source], progress: &dyn Progress) -> Result<Read> {
    let mut layers = BTreeSet::new();
    for manifest in images.iter().flat_map(|image| &image.manifests) {
        let Some((config, _)) = &manifest.config else { continue };
        for (n, other) in others.iter().enumerate() {
            if find(*other, *config).is_some() {
                layers.extend(manifest.chain().into_iter().map(|chain_id| (n, chain_id)));
            }
        }
    }
    read_layers(&layers.into_iter().collect::<Vec<_>>(), others, progress)
}

fn read_layers(
    layers: &[(usize, ChainId)],
    others: &[&dyn Source],
    progress: &dyn Progress,
) -> Result<Read> {
    let size = |(n, id): &(usize, ChainId)| {
        let layer = others.get(*n).and_then(|other| other.inventory().layers.get(id));
        layer.map_or(0, |layer| layer.size)
    };
    progress.start(layers.iter().map(size).fold(0, u64::saturating_add), layers.len());
    progress.phase("verifying");
    let read = layers.par_iter().map(|(n, id)| {
        if progress.cancelled() {
            return Err(Error::refused("stopped before anything was changed"));
        }
        let Some(other) = others.get(*n) else { return Ok(((*n, *id), None)) };
        let wrong = whole(*other, *id, progress).err().map(|error| error.to_string());
        progress.layer_done();
        Ok(((*n, *id), wrong))
    });
    read.collect()
}

/// Reads a layer to its end: its tar, and the files beside it that should be the same.
fn whole(source: &dyn Source, chain_id: ChainId, progress: &dyn Progress) -> Result<()> {
    let size = source.inventory().layers.get(&chain_id).map_or(0, |layer| layer.size);
    let place = Place::new(source.kind().name(), "");
    let found = source.layer(chain_id)?.compare(size, progress)?;
    let what = format!("layer {}", chain_id.0.short());
    if let Some(first) = found.named.first() {
        let count = found.len();
        let what = format!("{what} has {count} files that are not what its tar holds: {first}");
        return Err(Error::corrupt(place, what));
    }
    match found.incomplete {
        Some(why) => Err(Error::unsupported(place, format!("{what} cannot be compared: {why}"))),
        None => Ok(()),
    }
}

/// Returns what a store has of the image with this config, whole.
fn find(store: &dyn Source, config: ConfigId) -> Option<(&Image, &PlatformImage)> {
    let all = store.inventory().images.iter();
    let mut all = all.flat_map(|image| image.manifests.iter().map(move |one| (image, one)));
    all.find(|(_, one)| one.present && one.config.as_ref().is_some_and(|(id, _)| *id == config))
}

struct Proving<'a> {
    others: &'a [&'a dyn Source],
    read: Read,
}

impl Proving<'_> {
    /// Adds what of an image is not elsewhere.
    fn image(&self, image: &Image, proven: &mut Proven) {
        let label = label(image);
        let mut missing = Vec::new();
        let mut add = |what: String, why: String| missing.push(Unproven { what, why });
        for one in &image.manifests {
            if let Err(why) = self.manifest(one) {
                let platform = one.platform.to_string();
                let what = match (one.role, platform.is_empty()) {
                    (Role::Image, true) => label.clone(),
                    (Role::Image, false) => format!("{label} for {platform}"),
                    (Role::Attestation(_), _) => format!("{label}: what was attested of it"),
                    (Role::Unknown, _) => format!("{label}: a part of unknown use"),
                };
                add(what, why);
            }
        }
        if missing.is_empty() {
            self.names(image, &label, proven);
        }
        proven.missing.append(&mut missing);
    }

    /// Adds the names that lead to an image in this store alone. One with a registry's digest is not lost
    /// with the store: no store can keep it but under that very manifest.
    fn names(&self, image: &Image, label: &str, proven: &mut Proven) {
        for name in &image.names {
            if self.has_name(image, &|other| leads(other, name)) {
                continue;
            }
            match name.is_digest() && self.has_name(image, &|other| shares_repository(other, name))
            {
                true => proven.losses.push(format!("{name} does not lead to its image any more")),
                false => proven.missing.push(Unproven {
                    what: label.to_owned(),
                    why: format!("its name {name} leads to it in this store alone"),
                }),
            }
        }
    }

    /// Returns why a part of an image is not known to be elsewhere.
    fn manifest(&self, one: &PlatformImage) -> std::result::Result<(), String> {
        // What was never fetched, or only its manifest, is nothing that could be lost.
        if one.content_size == 0 && one.config.is_none() {
            return Ok(());
        }
        if one.role != Role::Image {
            return self.document(one);
        }
        let Some((config, _)) = &one.config else {
            return Err("not all of it is here; what is here is nowhere else".to_owned());
        };
        let mut why = "it is not in the other store".to_owned();
        for (n, other) in self.others.iter().enumerate() {
            if find(*other, *config).is_none() {
                continue;
            }
            match self.in_store(n, *other, one, *config) {
                Ok(()) => return Ok(()),
                Err(wrong) => why = format!("its copy is not whole: {wrong}"),
            }
        }
        Err(why)
    }

    fn in_store(
        &self,
        n: usize,
        other: &dyn Source,
        one: &PlatformImage,
        config: ConfigId,
    ) -> std::result::Result<(), String> {
        other.document(BlobId(config.0)).map_err(|error| error.to_string())?;
        for chain_id in one.chain() {
            if let Some(Some(wrong)) = self.read.get(&(n, chain_id)) {
                return Err(wrong.clone());
            }
        }
        Ok(())
    }

    /// Returns why a document that is no image is not known to be elsewhere.
    fn document(&self, one: &PlatformImage) -> std::result::Result<(), String> {
        let blob = one.manifest.as_ref().and_then(Descriptor::blob);
        let has = |other: &&dyn Source| {
            blob.is_none_or(|blob| other.document(blob).is_ok_and(|found| !found.bytes.is_empty()))
        };
        match self.others.iter().any(has) {
            true => Ok(()),
            false => Err("the other store does not keep it".to_owned()),
        }
    }

    /// Returns whether the same image elsewhere has such a name.
    fn has_name(&self, image: &Image, has: &dyn Fn(&Image) -> bool) -> bool {
        let configs = image.manifests.iter().filter_map(|one| one.config.as_ref());
        let configs: Vec<ConfigId> = configs.map(|(id, _)| *id).collect();
        let is_same = |other: &&Image| {
            let mut all = other.manifests.iter().filter_map(|one| one.config.as_ref());
            all.any(|(id, _)| configs.contains(id))
        };
        let images = self.others.iter().flat_map(|other| &other.inventory().images);
        images.filter(is_same).any(has)
    }
}

/// Returns whether `name` is a name of `image`; one with a digest is, if the digest is the image's own and
/// another name is of the same repository.
fn leads(image: &Image, name: &Name) -> bool {
    if image.names.contains(name) {
        return true;
    }
    let Some(reference) = name.reference() else { return false };
    let own = reference.digest().is_some_and(|digest| digest == image.id.to_string());
    own && shares_repository(image, name)
}

/// Returns whether `image` has another name of the same repository.
fn shares_repository(image: &Image, name: &Name) -> bool {
    let Some(wanted) = name.reference().map(Reference::name) else { return false };
    let mut names = image.names.iter().filter_map(Name::reference).map(Reference::name);
    names.any(|known| known == wanted)
}

/// Returns what to call an image in a message.
fn label(image: &Image) -> String {
    let name = image.tags().next().or_else(|| image.names.first());
    name.map_or_else(|| image.id.short(), Name::familiar)
}
