//! What a plan depends on, as digests: whether a plan that was kept still holds.

use super::Prepared;
use crate::digest::Digest;
use crate::error::Result;
use crate::model::{Container, Image, Inventory, PlatformImage, Role};
use crate::op::transfer::Plan;
use crate::store::ImageStep;

/// What a plan depends on. Times and sizes are no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// What the source holds.
    pub source: Digest,
    /// What the target holds.
    pub target: Digest,
    /// What is to be done.
    pub plan: Digest,
}

impl Prepared {
    /// Returns what this plan depends on.
    ///
    /// # Errors
    /// None in practice: only a store that can be read is chosen.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        Ok(Fingerprint {
            source: of_inventory(self.source()?),
            target: of_inventory(self.target.inventory()),
            plan: of_plan(&self.plan),
        })
    }
}

/// Returns a digest over the names and digests of all images, layers and blobs of a store.
#[must_use]
pub fn of_inventory(inventory: &Inventory) -> Digest {
    let mut records = Records::default();
    records.add("store", [inventory.kind.name().to_owned(), inventory.driver.clone()]);
    for (chain_id, layer) in &inventory.layers {
        let parent = optional(layer.parent);
        records.add("layer", [chain_id.to_string(), layer.diff_id.to_string(), parent]);
    }
    for (diff_id, packed) in &inventory.blobs {
        records.add("blob", [diff_id.to_string(), packed.blob.to_string()]);
    }
    for image in &inventory.images {
        records.add_image(image);
    }
    for container in &inventory.containers {
        records.add("container", of_container(container));
    }
    records.digest()
}

fn of_plan(plan: &Plan) -> Digest {
    let mut records = Records::default();
    for step in &plan.images {
        records.add_step(step);
    }
    for step in &plan.layers {
        let own = [step.diff_id.to_string(), step.blob.to_string(), step.from.to_string()];
        let chains = step.chains.iter().flat_map(|(id, below)| [id.to_string(), optional(*below)]);
        records.add("layer", own.into_iter().chain(chains));
    }
    for step in &plan.blobs {
        records.add("blob", [step.blob.to_string()]);
    }
    for step in &plan.containers {
        let chain = step.chain.iter().map(ToString::to_string);
        let own = [step.container.id.clone(), optional(step.image), optional(step.config)];
        records.add("container", own.into_iter().chain(chain));
    }
    for present in &plan.present {
        records.add("present", [present.id.to_string(), present.becomes.to_string()]);
    }
    records.digest()
}

/// What a container did since the plan was made does not matter: its folders are copied as they are then.
fn of_container(container: &Container) -> [String; 5] {
    [
        container.id.clone(),
        container.name.clone(),
        container.record.image.clone(),
        container.record.state.word().to_owned(),
        container.removes_itself.to_string(),
    ]
}

/// Records of texts, whose order does not matter.
#[derive(Default)]
struct Records(Vec<Vec<u8>>);

impl Records {
    fn add(&mut self, kind: &str, fields: impl IntoIterator<Item = String>) {
        let mut record = Vec::new();
        for field in std::iter::once(kind.to_owned()).chain(fields) {
            append(&mut record, field.as_bytes());
        }
        self.0.push(record);
    }

    fn add_image(&mut self, image: &Image) {
        let id = || image.id.to_string();
        self.add("image", [id(), optional(image.parent), image.intermediate.to_string()]);
        for name in &image.names {
            self.add("name", [id(), name.familiar()]);
        }
        for original in &image.originals {
            self.add("original", [id(), original.to_string()]);
        }
        for manifest in &image.manifests {
            let config = manifest.config.as_ref().map(|(config, _)| *config);
            let digest = manifest.manifest.as_ref().map(|descriptor| descriptor.digest.clone());
            let own = [
                id(),
                role(manifest),
                manifest.platform.to_string(),
                digest.unwrap_or_default(),
                optional(config),
                manifest.present.to_string(),
            ];
            let layers = manifest.layers.iter().map(ToString::to_string);
            self.add("manifest", own.into_iter().chain(layers));
        }
    }

    fn add_step(&mut self, step: &ImageStep) {
        let kept = step.kept.as_ref().map(|kept| kept.target.digest.clone());
        let own = [
            step.image.id.to_string(),
            optional(step.config),
            optional(step.parent),
            kept.unwrap_or_default(),
        ];
        self.add("image", own.into_iter().chain(step.names.iter().cloned()));
    }

    fn digest(mut self) -> Digest {
        self.0.sort_unstable();
        let mut all = Vec::new();
        for record in &self.0 {
            append(&mut all, record);
        }
        Digest::of(&all)
    }
}

/// Lengths part what could hold any separator.
fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as u64).to_le_bytes());
    to.extend(bytes);
}

fn optional(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn role(manifest: &PlatformImage) -> String {
    match manifest.role {
        Role::Image => "image".to_owned(),
        Role::Attestation(subject) => format!("attestation {}", optional(subject)),
        Role::Unknown => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{BlobId, ChainId, DiffId};
    use crate::model::{Layer, LayerBlob, Name, StoreKind};
    use crate::tree::Time;

    fn digest(of: u8) -> Digest {
        Digest::of(&[of])
    }

    fn image(id: u8, names: &[&str]) -> Image {
        Image {
            id: digest(id),
            names: names.iter().map(|name| Name::Other((*name).to_owned())).collect(),
            manifests: Vec::new(),
            best: None,
            parent: None,
            last_tagged: None,
            arrived: None,
            intermediate: false,
            originals: Vec::new(),
        }
    }

    fn inventory() -> Inventory {
        let mut inventory = Inventory::new(StoreKind::Classic, "overlay2");
        let layer = Layer { diff_id: DiffId(digest(1)), parent: None, size: 7 };
        inventory.layers.insert(ChainId(digest(1)), layer);
        let packed = LayerBlob { blob: BlobId(digest(2)), size: 5 };
        inventory.blobs.insert(DiffId(digest(1)), packed);
        inventory.images = vec![image(3, &["a:1", "b:1"]), image(4, &[])];
        inventory
    }

    #[test]
    fn times_sizes_and_order_do_not_matter() {
        let mut other = inventory();
        other.images.reverse();
        other.images[1].names.reverse();
        other.images[0].last_tagged = Some(Time { seconds: 1, nanos: 0 });
        for layer in other.layers.values_mut() {
            layer.size += 1;
        }
        assert_eq!(of_inventory(&inventory()), of_inventory(&other));
    }

    #[test]
    fn whatever_is_moved_matters() {
        let changes: [fn(&mut Inventory); 8] = [
            |i| i.layers.clear(),
            |i| i.blobs.clear(),
            |i| i.blobs.values_mut().for_each(|packed| packed.blob = BlobId(digest(9))),
            |i| i.images.truncate(1),
            |i| i.images[1].id = digest(9),
            |i| i.images[0].names.truncate(1),
            |i| i.images[0].names = vec![Name::Other("a:1b:1".to_owned())],
            |i| i.driver = "vfs".to_owned(),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = inventory();
            change(&mut other);
            assert_ne!(of_inventory(&inventory()), of_inventory(&other), "change {number}");
        }
    }
}
