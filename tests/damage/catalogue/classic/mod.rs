//! The classic store.

pub(crate) mod driver;
pub(crate) mod images;
pub(crate) mod layers;
pub(crate) mod mounts;

use std::sync::LazyLock;

use tranship::digest::{ChainId, Digest};
use tranship::op::host::{Host, Seen};

use crate::catalogue::scenery::{Root, host, root, text};

pub(crate) const ROOT: &str = "classic-28";

/// An image of two layers that no other image or container has a part in but its base.
pub(crate) const LEAF: &str = "weird:1";

/// Returns the root as it was recorded: what is to be damaged is looked up there, for it may be one of
/// several things.
pub(crate) fn sound() -> &'static Root {
    static SOUND: LazyLock<Root> = LazyLock::new(|| root(ROOT));
    &SOUND
}

fn read() -> &'static Host {
    static READ: LazyLock<Host> = LazyLock::new(|| host(sound()));
    &READ
}

/// Returns the ID of an image.
pub(crate) fn image(name: &str) -> Digest {
    read().image(name, None).expect("a recorded image").image.id
}

/// Returns the layers of an image, the base first.
pub(crate) fn chain(image: &str) -> Vec<ChainId> {
    let at = read().image(image, None).expect("a recorded image");
    at.image.shown().expect("it has a config").chain()
}

/// Returns the topmost layer of an image.
pub(crate) fn top(image: &str) -> ChainId {
    *chain(image).last().expect("it has layers")
}

/// Returns a file of a layer's folder.
pub(crate) fn layer(chain_id: ChainId, file: &str) -> String {
    format!("image/overlay2/layerdb/sha256/{}/{file}", chain_id.hex())
}

/// Returns a path in the driver's folder of a layer.
pub(crate) fn folder(chain_id: ChainId, rest: &str) -> String {
    format!("overlay2/{}/{rest}", text(sound(), &layer(chain_id, "cache-id")))
}

/// Returns a file of the mount of the first container of the store.
pub(crate) fn mount(file: &str) -> String {
    let is_classic = |seen: &&Seen| seen.here.driver == "overlay2";
    let store = read().roots[0].stores.iter().find(is_classic).expect("a classic store");
    let containers = &store.inventory().expect("it can be read").containers;
    let on_image = containers.iter().find(|one| one.image.is_some()).expect("a container");
    format!("image/overlay2/layerdb/mounts/{}/{file}", on_image.id)
}

/// Returns a path in the driver's folder of that container.
pub(crate) fn mounted(rest: &str) -> String {
    format!("overlay2/{}/{rest}", text(sound(), &mount("mount-id")))
}
