//! What a daemon would see of a classic store, and whether it all holds together. Read by dockerd's own
//! rules, not by the store under test; only tars are put together by that.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use tranship::digest::{ChainId, DiffId, Digest};
use tranship::store::Source as _;
use tranship::store::overlay2::Overlay2;
use tranship::tree::{Kind, Time, Tree, TreePath, path, read, walk};

use crate::support::open;
use crate::support::seen::listing;

pub(crate) const IMAGES: &str = "image/overlay2/imagedb/content/sha256";
pub(crate) const NOTES: &str = "image/overlay2/imagedb/metadata/sha256";
pub(crate) const LAYERS: &str = "image/overlay2/layerdb/sha256";
pub(crate) const NAMES: &str = "image/overlay2/repositories.json";

/// Where a store is made that is yet to be.
pub(crate) const STAGE: &str = "tranship/classic";

/// The images that a daemon would list, by their IDs.
pub(crate) type Seen = BTreeMap<String, Shown>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) names: BTreeSet<String>,
    pub(crate) parent: Option<String>,
    pub(crate) tagged: Option<String>,
    pub(crate) arrived: Time,
    /// Each layer's size and files, the base layer's first.
    pub(crate) layers: Vec<(String, Vec<String>)>,
}

/// One folder of layerdb and the driver's folder it names.
struct Layer {
    parent: Option<String>,
    size: String,
    folder: String,
    link: String,
}

/// Returns what a daemon would see, or the first thing that does not hold.
pub(crate) fn look<T: Tree + 'static>(tree: &Arc<T>) -> Result<Seen, String> {
    let read_back = open(tree);
    let odd = |code: &str| code != "name-without-image";
    if let Some(odd) = read_back.inventory().findings.iter().find(|f| odd(f.code)) {
        return Err(format!("{}: {}", odd.place, odd.what));
    }
    let layers = layers(&**tree, &read_back)?;
    let mut seen = Seen::new();
    for hex in names(&**tree, IMAGES) {
        let bytes = read(&**tree, path(&format!("{IMAGES}/{hex}"))).map_err(|e| e.to_string())?;
        if Digest::of(&bytes).hex() != hex {
            return Err(format!("image {hex} is not what its name says"));
        }
        seen.insert(format!("sha256:{hex}"), shown(&**tree, &hex, &bytes, &layers)?);
    }
    for (name, image) in all_names(&**tree)? {
        if let Some(shown) = seen.get_mut(&image) {
            shown.names.insert(name);
        }
    }
    Ok(seen)
}

fn shown(
    tree: &dyn Tree,
    hex: &str,
    config: &[u8],
    layers: &BTreeMap<String, Layer>,
) -> Result<Shown, String> {
    let config: serde_json::Value = serde_json::from_slice(config).map_err(|e| e.to_string())?;
    let diff_ids: Vec<DiffId> = serde_json::from_value(config["rootfs"]["diff_ids"].clone())
        .map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for chain_id in ChainId::chain(&diff_ids) {
        let layer = layers.get(&chain_id.hex()).ok_or_else(|| format!("{hex}: no {chain_id}"))?;
        let files = listing(tree, path(&format!("{}/diff", layer.folder)));
        found.push((layer.size.clone(), files));
    }
    let note = |key: &str| text(tree, &format!("{NOTES}/{hex}/{key}")).ok();
    let file = tree.stat(path(&format!("{IMAGES}/{hex}"))).map_err(|error| error.to_string())?;
    Ok(Shown {
        names: BTreeSet::new(),
        parent: note("parent"),
        tagged: note("lastUpdated"),
        arrived: file.mtime,
        layers: found,
    })
}

/// Returns all names with the images they lead to.
pub(crate) fn all_names(tree: &dyn Tree) -> Result<Vec<(String, String)>, String> {
    let Ok(bytes) = read(tree, path(NAMES)) else { return Ok(Vec::new()) };
    let file: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    let repositories = file["Repositories"].as_object().ok_or("no repositories")?;
    let names = repositories.values().filter_map(|names| names.as_object()).flatten();
    let image = |image: &serde_json::Value| image.as_str().unwrap_or_default().to_owned();
    Ok(names.map(|(name, id)| (name.clone(), image(id))).collect())
}

/// Returns all layers, whether an image stands on them or not; every one must hold.
fn layers(tree: &dyn Tree, source: &Overlay2) -> Result<BTreeMap<String, Layer>, String> {
    let mut layers = BTreeMap::new();
    for hex in names(tree, LAYERS) {
        let value = |key: &str| text(tree, &format!("{LAYERS}/{hex}/{key}"));
        let folder = format!("overlay2/{}", value("cache-id")?);
        let parent = value("parent").ok();
        let parent = parent.map(|id| id.strip_prefix("sha256:").unwrap_or_default().to_owned());
        let link = text(tree, &format!("{folder}/link"))?;
        let size = value("size")?;
        layers.insert(hex, Layer { parent, size, folder, link });
    }
    for (hex, layer) in &layers {
        folder_holds(tree, layer, &layers).map_err(|what| format!("layer {hex}: {what}"))?;
        tar_holds(source, hex).map_err(|what| format!("layer {hex}: {what}"))?;
    }
    Ok(layers)
}

fn folder_holds(
    tree: &dyn Tree,
    layer: &Layer,
    layers: &BTreeMap<String, Layer>,
) -> Result<(), String> {
    let is = |path: &str, kind| {
        tree.stat(TreePath::new(path.as_bytes()).expect("plain")).is_ok_and(|f| f.kind == kind)
    };
    let folder = &layer.folder;
    let target = tree.read_link(path(&format!("overlay2/l/{}", layer.link)));
    let target = String::from_utf8(target.map_err(|error| error.to_string())?).expect("UTF-8");
    if target != format!("../{}/diff", folder.strip_prefix("overlay2/").expect("its folder")) {
        return Err(format!("its link leads to {target}"));
    }
    let (mut lower, mut next) = (Vec::new(), layer.parent.as_ref());
    while let Some(parent) = next {
        let below = layers.get(parent).ok_or_else(|| format!("no parent {parent}"))?;
        lower.push(format!("l/{}", below.link));
        next = below.parent.as_ref();
        if lower.len() == 1 && !is(&format!("{}/committed", below.folder), Kind::File) {
            return Err(format!("its parent {parent} is not marked"));
        }
    }
    let found = text(tree, &format!("{folder}/lower")).unwrap_or_default();
    if found != lower.join(":") {
        return Err(format!("its lower is {found:?} instead of {lower:?}"));
    }
    let has_work = is(&format!("{folder}/work"), Kind::Dir);
    if !is(&format!("{folder}/diff"), Kind::Dir) || has_work == lower.is_empty() {
        return Err("no files, or not the folders of its kind".to_owned());
    }
    Ok(())
}

/// Reading a tar to its end verifies it.
fn tar_holds(source: &Overlay2, hex: &str) -> Result<(), String> {
    let chain_id = ChainId(Digest::from_hex(hex).map_err(|_| "not a chain")?);
    let content = source.layer(chain_id).map_err(|error| error.to_string())?;
    let mut tar = content.tar().map_err(|error| error.to_string())?;
    tar.read_to_end(&mut Vec::new()).map(drop).map_err(|error| error.to_string())
}

/// Returns what no daemon uses and nobody should leave behind.
pub(crate) fn leftovers(tree: &dyn Tree) -> Vec<String> {
    let mut left = Vec::new();
    walk(tree, TreePath::ROOT, &mut |path, entry| {
        let is_own =
            [&b".tranship"[..], b"write-set"].iter().any(|own| entry.name.starts_with(own));
        if is_own || path.to_string() == STAGE {
            left.push(path.to_string());
        }
        Ok(true)
    })
    .expect("a tree that can be read");
    let cache_id = |hex: &String| text(tree, &format!("{LAYERS}/{hex}/cache-id")).ok();
    let known: BTreeSet<String> = names(tree, LAYERS).iter().filter_map(cache_id).collect();
    let folders = names(tree, "overlay2").into_iter().filter(|name| name != "l");
    left.extend(folders.filter(|name| !known.contains(name)).map(|name| format!("folder {name}")));
    for link in names(tree, "overlay2/l") {
        let target = tree.read_link(path(&format!("overlay2/l/{link}"))).expect("a link");
        let target = String::from_utf8(target).expect("UTF-8");
        let id = target.trim_start_matches("../").trim_end_matches("/diff").to_owned();
        if !known.contains(&id) || text(tree, &format!("overlay2/{id}/link")).ok() != Some(link) {
            left.push(format!("link to {target}"));
        }
    }
    left
}

pub(crate) fn names(tree: &dyn Tree, folder: &str) -> Vec<String> {
    let names = tree.names(path(folder)).unwrap_or_default();
    names.into_iter().map(|name| String::from_utf8(name).expect("UTF-8")).collect()
}

pub(crate) fn text(tree: &dyn Tree, file: &str) -> Result<String, String> {
    let bytes = read(tree, path(file)).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
