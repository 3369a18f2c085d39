//! Whether an export is there already.

use std::collections::HashSet;
use std::path::Path;

use super::{Request, prepare};
use crate::error::Result;
use crate::format::oci::Platform;
use crate::model::{Image, Inventory, Name, PlatformImage, StoreKind};
use crate::op::host::{self, Known};
use crate::store::ImageStep;

/// Returns whether all that `request` would write, and nothing else, is at its place already. An export
/// that was interrupted is not: what names its images is written last.
///
/// # Errors
/// As [`prepare`] for a plan.
pub fn is_exported(mut request: Request) -> Result<bool> {
    let Some(into) = request.into.take().filter(|_| request.to == StoreKind::Layout) else {
        return Ok(false);
    };
    let Some(found) = read(&into, &request.platform) else { return Ok(false) };
    // Planned against nothing, all is to be written.
    request.dry_run = true;
    request.stream = Some(Box::new(std::io::sink()));
    let steps = prepare(request)?.plan.images;
    let is_there = |step: &ImageStep| found.images.iter().any(|image| is_of(image, step));
    Ok(steps.len() == found.images.len() && steps.iter().all(is_there))
}

/// Returns what is in the layout at `path`; what is no layout is for the export itself to refuse.
fn read(path: &Path, platform: &Platform) -> Option<Inventory> {
    if !path.exists() {
        return None;
    }
    let known = Known { platform: platform.clone(), ..Known::default() };
    let host = host::survey(&host::open(Some(path)).ok()?, &known).ok()?;
    let stores = host.roots.iter().flat_map(|root| &root.stores);
    let layout = stores.into_iter().find(|seen| seen.here.kind == StoreKind::Layout)?;
    layout.inventory().cloned()
}

/// Returns whether `image` is what `step` would write.
fn is_of(image: &Image, step: &ImageStep) -> bool {
    let id = step.kept.as_ref().and_then(|kept| kept.target.blob());
    let config = |image: &Image| {
        let shown = image.shown().filter(|shown| shown.present)?;
        shown.config.as_ref().map(|(config, _)| *config)
    };
    let same = match id {
        Some(id) => image.id == id.0 && present(image) == present(&step.image),
        None => step.config.is_some() && config(image) == step.config,
    };
    same && tags(image) == wanted_tags(step)
}

fn present(image: &Image) -> usize {
    image.manifests.iter().filter(|manifest: &&PlatformImage| manifest.present).count()
}

fn tags(image: &Image) -> HashSet<String> {
    let canonical = |name: &Name| match name {
        Name::Reference(reference) => reference.to_string(),
        Name::Other(text) => text.clone(),
    };
    image.tags().map(canonical).collect()
}

/// Names with a digest are known only when the image is written.
fn wanted_tags(step: &ImageStep) -> HashSet<String> {
    step.names.iter().filter(|name| !name.contains('@')).cloned().collect()
}
