//! Images in rows.

use std::collections::HashMap;

use jiff::Timestamp;

use super::finding;
use crate::cli::ops::Images;
use crate::cli::rows::images::{AttestationRow, ImageRow, PlatformRow};
use crate::format::time;
use crate::model::{Image, Inventory, Name, PlatformImage, Role, Sizes, sizes};
use crate::op::host::{Host, Seen};

pub(super) fn rows(host: &Host) -> Images {
    let mut images = Images::default();
    for root in &host.roots {
        images.findings.extend(root.findings.iter().map(finding));
        for seen in &root.stores {
            let Some(inventory) = seen.inventory() else { continue };
            images.findings.extend(inventory.findings.iter().map(finding));
            images.rows.extend(store(&root.place, seen, inventory));
        }
    }
    images
}

fn store<'a>(
    root: &'a str,
    seen: &'a Seen,
    inventory: &'a Inventory,
) -> impl Iterator<Item = ImageRow> + 'a {
    let mut users: HashMap<_, u64> = HashMap::new();
    for image in inventory.containers.iter().filter_map(|container| container.image) {
        *users.entry(image).or_default() += 1;
    }
    let rows = inventory.images.iter().zip(sizes(inventory));
    rows.map(move |(image, size)| {
        row(root, seen, image, size, users.get(&image.id).copied().unwrap_or(0))
    })
}

fn row(root: &str, seen: &Seen, image: &Image, size: Sizes, containers: u64) -> ImageRow {
    let shown = image.shown();
    let config = shown.and_then(|manifest| manifest.config.as_ref()).map(|(_, config)| config);
    let labels = config.map(|config| config.labels()).unwrap_or_default();
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let is_image = |manifest: &&PlatformImage| manifest.role == Role::Image;
    ImageRow {
        root: root.to_owned(),
        store: seen.here.kind,
        driver: seen.here.driver.clone(),
        hidden: seen.hidden,
        id: image.id.to_string(),
        names: image.tags().map(Name::familiar).collect(),
        digests: digests(seen, image),
        created: config.and_then(|config| config.created()).and_then(timestamp),
        size: Some(size.total),
        shared_size: Some(size.shared),
        unique_size: Some(size.unique),
        dangling: image.is_dangling(),
        layers: shown
            .map(|manifest| manifest.layers.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        platforms: image.manifests.iter().filter(is_image).map(platform).collect(),
        attestations: image.manifests.iter().filter_map(attestation).collect(),
        labels: labels.into_iter().map(owned).collect(),
        parent: image.parent.map(|parent| parent.to_string()),
        intermediate: image.intermediate,
        containers: Some(containers),
        last_tagged: image.last_tagged.and_then(timestamp),
    }
}

/// A classic store keeps digests as names; a containerd store has one for each repository, the
/// image's own (moby v28 daemon/containerd/image_inspect.go collectRepoTagsAndDigests).
pub(super) fn digests(seen: &Seen, image: &Image) -> Vec<String> {
    let kept = image.names.iter().filter(|name| name.is_digest()).map(Name::familiar);
    let mut digests: Vec<String> = kept.collect();
    if seen.here.kind == crate::model::StoreKind::Containerd {
        let tags = image.tags().filter_map(Name::reference);
        let own = tags.map(|tag| format!("{}@{}", tag.familiar_name(), image.id));
        digests.extend(own);
    }
    digests.sort_unstable();
    digests.dedup();
    digests
}

fn platform(manifest: &PlatformImage) -> PlatformRow {
    PlatformRow {
        os: manifest.platform.os.clone(),
        architecture: manifest.platform.architecture.clone(),
        variant: manifest.platform.variant.clone(),
        digest: manifest.manifest.as_ref().map(|manifest| manifest.digest.clone()),
        present: manifest.present,
        size: Some(manifest.content_size.saturating_add(manifest.unpacked_size)),
    }
}

fn attestation(manifest: &PlatformImage) -> Option<AttestationRow> {
    let Role::Attestation(subject) = manifest.role else { return None };
    Some(AttestationRow {
        digest: manifest.manifest.as_ref()?.digest.clone(),
        subject: subject.map(|subject| subject.to_string()),
        present: manifest.present,
        size: Some(manifest.content_size),
    })
}

/// Docker's zero time means that nobody knows.
pub(super) fn timestamp(time: time::Timestamp) -> Option<Timestamp> {
    let known = !time.is_go_zero();
    let nanos = i32::try_from(time.nanos).unwrap_or_default();
    Timestamp::new(time.seconds, nanos).ok().filter(|_| known)
}
