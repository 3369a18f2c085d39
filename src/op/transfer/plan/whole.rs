//! What of an image moves: all of it, or one platform.

use super::Options;
use super::names::Repositories;
use super::planner::{Planner, counted};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::Result;
use crate::format::oci::{Descriptor, Platform, media_type};
use crate::model::{Image, PlatformImage, Role};
use crate::store::{BlobStep, Contents, Document, PackedLayer, Source, Target};

/// An image as it is to move.
pub(super) struct Chosen {
    /// As the source has it; what it shows is the platform that was chosen.
    pub(super) image: Image,
    pub(super) config: Option<ConfigId>,
    pub(super) kept: Option<Contents>,
    pub(super) packed: Vec<PackedLayer>,
    /// The repositories that it is known to have come from.
    pub(super) repositories: Vec<String>,
    /// The documents that a registry gave, for a store that keeps them beside the image.
    pub(super) originals: Vec<(BlobId, Document)>,
    /// What to tell if its layers are made anew.
    pub(super) made_anew: Option<String>,
}

/// Returns what of `image` moves, or why nothing of it can.
pub(super) fn choose(
    mut image: Image,
    source: &dyn Source,
    target: &dyn Target,
    options: &Options,
    names: &Repositories,
) -> Result<std::result::Result<Chosen, String>> {
    if let Some(wanted) = &options.platform {
        let is_it = |m: &PlatformImage| m.role == Role::Image && m.platform.is(wanted);
        image.best = shown_for(&image, options);
        if image.best.is_none() {
            let named = image.manifests.iter().any(is_it);
            return Ok(Err(match named {
                true => format!("its part for {wanted} was never fetched"),
                false => format!("it is not made for {wanted}"),
            }));
        }
    }
    let shown = image.shown();
    let config = shown.and_then(|shown| shown.config.as_ref()).map(|(config, _)| *config);
    let chain = shown.map(PlatformImage::chain).unwrap_or_default();
    let kept = match target.keeps_documents() {
        true => source.contents(&narrowed(&image, options))?,
        false => None,
    };
    if let Some(why) = lacks(&chain, kept.as_ref(), source, target) {
        return Ok(Err(why));
    }
    if kept.is_none() && config.is_none() {
        return Ok(Err("nothing in it can run".to_owned()));
    }
    let packed = match (target.keeps_documents(), shown) {
        (false, Some(shown)) => names.name(source.packed(shown)?),
        _ => Vec::new(),
    };
    let mut originals = match target.keeps_documents() {
        true => Vec::new(),
        false => originals(&image, source),
    };
    let repositories: Vec<_> =
        originals.iter().flat_map(|(_, document)| names.said_by(document)).collect();
    if repositories.is_empty() {
        originals.clear();
    }
    let made_anew = source.made_anew(&image).map(str::to_owned);
    Ok(Ok(Chosen { config, kept, packed, repositories, originals, made_anew, image }))
}

/// Returns the index and the manifest that an image has.
fn originals(image: &Image, source: &dyn Source) -> Vec<(BlobId, Document)> {
    let manifest = image.shown().and_then(|shown| shown.manifest.as_ref()?.blob());
    let Some(manifest) = manifest else { return Vec::new() };
    let mut blobs = vec![BlobId(image.id), manifest];
    blobs.dedup();
    let read = |blob: BlobId| Some((blob, source.document(blob).ok()?));
    blobs.into_iter().filter_map(read).collect()
}

/// Returns the position of the platform to take of an image.
pub(in crate::op::transfer) fn shown_for(image: &Image, options: &Options) -> Option<usize> {
    let Some(wanted) = &options.platform else { return image.best };
    let is_it = |m: &PlatformImage| m.role == Role::Image && m.platform.is(wanted);
    image.manifests.iter().position(|m| m.present && is_it(m))
}

/// Returns whether an image stays only because layers of it are here unpacked alone.
///
/// # Errors
/// A document that cannot be read.
pub(in crate::op::transfer) fn is_unpacked_alone(
    image: &Image,
    source: &dyn Source,
    target: &dyn Target,
    options: &Options,
) -> Result<bool> {
    let image = Image { best: shown_for(image, options), ..image.clone() };
    let Some(shown) = image.shown().filter(|shown| shown.config.is_some()) else {
        return Ok(false);
    };
    let (chain, unpacked) = (shown.chain(), &source.inventory().layers);
    let can_be_made = |id: &ChainId| source.has_tar(*id) || unpacked.contains_key(id);
    if chain.iter().all(|id| source.has_tar(*id)) || !chain.iter().all(can_be_made) {
        return Ok(false);
    }
    let kept = match target.keeps_documents() {
        true => source.contents(&narrowed(&image, options))?,
        false => None,
    };
    Ok(lacks(&chain, kept.as_ref(), source, target).is_some())
}

/// Returns what of the layers is neither in the source nor in the target.
fn lacks(
    chain: &[ChainId],
    kept: Option<&Contents>,
    source: &dyn Source,
    target: &dyn Target,
) -> Option<String> {
    let there = &target.inventory().layers;
    let gone: Vec<_> = chain.iter().filter(|id| !source.has_tar(**id)).collect();
    let absent = || kept.into_iter().flat_map(|kept| &kept.absent);
    let missing: Vec<String> = match kept {
        _ if gone.is_empty() => return None,
        None => gone.iter().filter(|id| !there.contains_key(**id)).map(|id| id.0.short()).collect(),
        Some(_) => {
            let layers = absent().filter(|blob| media_type::is_layer(&blob.media_type));
            let steps = layers.filter_map(BlobStep::of).filter(|step| !target.has_bytes(step));
            steps.map(|step| step.blob.0.short()).collect()
        }
    };
    let unpacked = gone.iter().any(|id| source.inventory().layers.contains_key(*id));
    match (missing.is_empty(), unpacked) {
        (true, _) => None,
        (false, true) => Some(
            "the blobs of its layers are gone, and it runs from its unpacked layers alone: pull it \
             again to have them back, or let it become a new image with `--rebuild-missing`"
                .to_owned(),
        ),
        (false, false) => Some(format!(
            "its layers {} are neither here nor in the target",
            missing.join(", ")
        )),
    }
}

/// Returns the image with the one platform that is wanted, under the digest of its own manifest.
fn narrowed(image: &Image, options: &Options) -> Image {
    let mut image = image.clone();
    if let Some(shown) = image.shown().filter(|_| options.platform.is_some()).cloned() {
        if let Some(blob) = shown.manifest.as_ref().and_then(|manifest| manifest.blob()) {
            image.id = blob.0;
        }
        (image.manifests, image.best) = (vec![shown], Some(0));
    }
    image
}

impl Chosen {
    /// Returns the digest that the image is to have in the target, if it is known.
    pub(super) fn kept_digest(&self) -> Option<Digest> {
        self.kept.as_ref()?.target.blob().map(|blob| blob.0)
    }

    /// Returns what does not come along of the platforms that the image has, or says that it has.
    pub(super) fn losses(&self, wanted: &Option<Platform>, keeps_documents: bool) -> Vec<String> {
        let best = self.image.best;
        let others = || self.image.manifests.iter().enumerate().filter(|(i, _)| Some(*i) != best);
        let images = |here: bool| {
            let others = others().map(|(_, other)| other);
            let others = others.filter(move |other| other.role == Role::Image);
            let names = others.filter(|o| o.present == here).map(|o| o.platform.to_string());
            names.collect::<Vec<_>>().join(", ")
        };
        let mut losses = Vec::new();
        if keeps_documents && wanted.is_none() && self.made_anew.is_none() {
            let absent = images(false);
            if !absent.is_empty() {
                losses.push(format!("its parts for {absent}: they were never fetched"));
            }
            return losses;
        }
        let present = images(true);
        if !present.is_empty() {
            losses.push(format!("its parts for {present}"));
        }
        let is_attestation = |other: &PlatformImage| matches!(other.role, Role::Attestation(_));
        let attestations = others().filter(|(_, o)| o.present && is_attestation(o)).count();
        if attestations > 0 {
            losses.push(format!("its {}", counted(attestations, "attestation")));
        }
        losses
    }
}

impl Planner<'_> {
    /// Returns the bytes of an image, kept whole, that the target lacks.
    pub(super) fn missing(&self, chosen: &Chosen) -> Vec<BlobStep> {
        let blobs = chosen.kept.iter().flat_map(|kept| &kept.blobs);
        let wanted = blobs.filter(|blob| !self.is_left_out(blob, chosen));
        wanted.filter_map(BlobStep::of).filter(|step| !self.target.has_bytes(step)).collect()
    }

    /// Returns how many layers of an image, kept whole, are left out that no other image left out before.
    pub(super) fn count_left_out(&mut self, chosen: &Chosen) -> usize {
        let blobs = chosen.kept.iter().flat_map(|kept| &kept.blobs);
        let left_out: Vec<_> =
            blobs.filter(|blob| self.is_left_out(blob, chosen)).filter_map(|b| b.blob()).collect();
        left_out.into_iter().filter(|blob| self.left_out.insert(*blob)).count()
    }

    /// Returns whether a blob is a layer that whoever is to have the image has already.
    fn is_left_out(&self, blob: &Descriptor, chosen: &Chosen) -> bool {
        let Some(id) = blob.blob().filter(|_| media_type::is_layer(&blob.media_type)) else {
            return false;
        };
        let without = &self.options.without;
        let shown = chosen.image.shown();
        let mut layers = shown.into_iter().flat_map(|s| s.layers.iter().zip(s.chain()));
        let is_it = |diff_id: &DiffId| self.from.blobs.get(diff_id).is_some_and(|l| l.blob == id);
        let as_layer = layers.any(|(diff_id, chain_id)| {
            is_it(diff_id)
                && (without.digests.contains(&diff_id.0) || without.chains.contains(&chain_id))
        });
        as_layer || without.digests.contains(&id.0)
    }
}
