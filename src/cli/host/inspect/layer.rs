//! An unpacked layer, or what a container writes to.

use serde_json::{Value, json};

use crate::digest::ChainId;
use crate::model::Image;
use crate::op::host::{UnpackedAt, UnpackedOf};

pub(super) fn of(at: &UnpackedAt<'_>) -> Value {
    let here = &at.seen.here;
    let inventory = at.seen.inventory();
    let folder = at.files.as_ref().map(|files| here.tree.place(files.as_path()).to_string());
    let (kind, layer, container) = match at.of {
        UnpackedOf::Layer(chain_id, layer) => ("layer", Some((chain_id, layer)), None),
        UnpackedOf::Upper(container) => ("container", None, Some(container)),
        UnpackedOf::Init(container) => ("init", None, Some(container)),
    };
    let images = inventory.map(|inventory| inventory.images.as_slice()).unwrap_or_default();
    let users = layer.map(|(chain_id, _)| {
        let users = images.iter().filter(|image| stands_on(image, chain_id));
        users.map(name).collect::<Vec<_>>()
    });
    let source = here.source.as_deref();
    json!({
        "Id": at.key(),
        "Name": at.name,
        "ChainId": layer.map(|(chain_id, _)| chain_id.to_string()),
        "DiffId": layer.map(|(_, layer)| layer.diff_id.to_string()),
        "Parent": layer.and_then(|(_, layer)| layer.parent).map(|parent| parent.to_string()),
        "Size": layer.map(|(_, layer)| layer.size),
        "Folder": folder,
        "Images": users,
        "Container": container.map(|container| container.name.as_str()),
        "Tranship": {
            "Type": kind,
            "Root": at.root.place,
            "Store": here.kind,
            "Driver": here.driver,
            "Hidden": at.seen.hidden,
            "HasTar": layer.zip(source).map(|((chain_id, _), source)| source.has_tar(chain_id)),
        },
    })
}

fn stands_on(image: &Image, layer: ChainId) -> bool {
    image.manifests.iter().any(|manifest| manifest.chain().contains(&layer))
}

fn name(image: &Image) -> String {
    image.names.first().map_or_else(|| image.id.to_string(), crate::model::Name::familiar)
}
