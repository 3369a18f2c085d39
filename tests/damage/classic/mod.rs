//! The classic store.

pub(crate) mod driver;
pub(crate) mod images;
pub(crate) mod layers;
pub(crate) mod mounts;

use tranship::digest::ChainId;
use tranship::op::host::Seen;

use crate::scenery::{Root, host, text};

pub(crate) const ROOT: &str = "classic-28";

/// An image of two layers that no other image or container has a part in but its base.
pub(crate) const LEAF: &str = "weird:1";

/// Returns the layers of an image, the base first.
pub(crate) fn chain(root: &Root, image: &str) -> Vec<ChainId> {
    let host = host(root);
    let at = host.image(image, None).expect("a recorded image");
    at.image.shown().expect("it has a config").chain()
}

/// Returns the topmost layer of an image.
pub(crate) fn top(root: &Root, image: &str) -> ChainId {
    *chain(root, image).last().expect("it has layers")
}

/// Returns a file of a layer's folder.
pub(crate) fn layer(chain_id: ChainId, file: &str) -> String {
    format!("image/overlay2/layerdb/sha256/{}/{file}", chain_id.hex())
}

/// Returns a path in the driver's folder of a layer.
pub(crate) fn folder(root: &Root, chain_id: ChainId, rest: &str) -> String {
    format!("overlay2/{}/{rest}", text(root, &layer(chain_id, "cache-id")))
}

/// Returns the ID of the first container of the store, and the file of its mount.
pub(crate) fn mount(root: &Root, file: &str) -> String {
    let host = host(root);
    let is_classic = |seen: &&Seen| seen.here.driver == "overlay2";
    let store = host.roots[0].stores.iter().find(is_classic).expect("a classic store");
    let containers = &store.inventory().expect("it can be read").containers;
    let on_image = containers.iter().find(|one| one.image.is_some()).expect("a container");
    format!("image/overlay2/layerdb/mounts/{}/{file}", on_image.id)
}

/// Returns a path in the driver's folder of that container.
pub(crate) fn mounted(root: &Root, rest: &str) -> String {
    format!("overlay2/{}/{rest}", text(root, &mount(root, "mount-id")))
}
