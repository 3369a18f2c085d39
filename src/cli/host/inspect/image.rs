//! An image as `docker inspect` shows it.
//!
//! moby v28 daemon/images/image_inspect.go, daemon/containerd/image_inspect.go

use serde_json::{Map, Value, json};

use super::super::images;
use super::origin;
use crate::digest::BlobId;
use crate::error::Result;
use crate::format::raw::decode;
use crate::model::{Name, PlatformImage, StoreKind, sizes};
use crate::op::host::{Host, ImageAt};
use crate::tree::TreePathBuf;

/// What Docker shows of a config that does not have it.
const DEFAULTS: [&str; 6] = ["Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes"];

pub(super) fn of(host: &Host, at: &ImageAt<'_>) -> Result<Value> {
    let (image, is_classic) = (at.image, at.seen.here.kind == StoreKind::Classic);
    let shown = image.shown();
    let config = document(at, shown)?;
    let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default();
    let inventory = at.seen.inventory();
    let all = inventory.map(sizes).unwrap_or_default();
    let images = inventory.map(|inventory| inventory.images.as_slice()).unwrap_or_default();
    let size = images.iter().position(|one| one.id == image.id).and_then(|at| all.get(at));
    let layers = shown.map(|shown| shown.layers.clone()).unwrap_or_default();
    let contents = at.source()?.contents(image)?;
    // A containerd store shows names of both sorts as tags.
    let tags = image.names.iter().filter(|name| !(is_classic && name.is_digest()));
    let tags: Vec<String> = tags.map(Name::familiar).collect();
    let size = match &contents {
        // Docker shows what is packed of the one platform here, and the list of all.
        Some(contents) => {
            let list = if image.own_manifest().is_some() { 0 } else { contents.target.size };
            let list = u64::try_from(list).unwrap_or(0);
            shown.map(|shown| shown.content_size.saturating_add(list))
        }
        None => size.map(|size| size.total),
    };
    let tagged = image.last_tagged.map(|time| time.to_string());
    let mut members = json!({
        "Id": image.id.to_string(),
        "RepoTags": tags,
        "RepoDigests": images::digests(at.seen, image),
        "Parent": image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        "Comment": comment(&config),
        "Created": config.get("created"),
        "DockerVersion": text("docker_version"),
        "Author": text("author"),
        "Config": run_config(config.get("config")),
        "Architecture": text("architecture"),
        "Os": text("os"),
        "Size": size,
        "GraphDriver": graph_driver(at, shown, is_classic),
        "RootFS": {"Type": "layers", "Layers": layers},
        "Metadata": {"LastTagTime": tagged.unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())},
    });
    for (name, key) in [("Variant", "variant"), ("OsVersion", "os.version")] {
        if !text(key).is_empty() {
            members[name] = text(key).into();
        }
    }
    if let Some(contents) = contents {
        members["Descriptor"] = json!(contents.target);
    }
    members["Tranship"] = own(host, at, config);
    Ok(members)
}

fn document(at: &ImageAt<'_>, shown: Option<&PlatformImage>) -> Result<Map<String, Value>> {
    let Some((id, _)) = shown.and_then(|shown| shown.config.as_ref()) else {
        return Ok(Map::new());
    };
    let document = at.source()?.document(BlobId(id.0))?;
    let place = crate::error::Place::new(at.seen.here.place.clone(), "");
    decode(&document.bytes).map_err(|error| error.at(place))
}

/// The last step's comment, where the image has none of its own.
fn comment(config: &Map<String, Value>) -> Value {
    let own = config.get("comment").and_then(Value::as_str).filter(|own| !own.is_empty());
    let last = || config.get("history")?.as_array()?.last()?.get("comment")?.as_str();
    own.or_else(last).unwrap_or_default().into()
}

fn run_config(recorded: Option<&Value>) -> Value {
    let mut config = recorded.and_then(Value::as_object).cloned().unwrap_or_default();
    for name in DEFAULTS {
        config.entry(name).or_insert(Value::Null);
    }
    for name in ["User", "WorkingDir"] {
        config.entry(name).or_insert_with(|| "".into());
    }
    Value::Object(config)
}

fn folders(at: &ImageAt<'_>, shown: Option<&PlatformImage>) -> Vec<TreePathBuf> {
    let top = shown.and_then(|shown| shown.chain().pop());
    let source = at.seen.here.source.as_deref();
    top.zip(source).and_then(|(top, source)| source.stack(top).ok()).unwrap_or_default()
}

fn graph_driver(at: &ImageAt<'_>, shown: Option<&PlatformImage>, is_classic: bool) -> Value {
    let (name, folders) = (&at.seen.here.driver, folders(at, shown));
    let Some((top, below)) = folders.split_first().filter(|_| is_classic) else {
        return json!({"Data": null, "Name": name});
    };
    let root = origin(at.root);
    let path = |folder: &TreePathBuf| format!("{root}/{folder}");
    let upper = path(top);
    let own = upper.strip_suffix("/diff").unwrap_or(&upper).to_owned();
    let mut data = Map::new();
    if !below.is_empty() {
        let below: Vec<String> = below.iter().map(path).collect();
        data.insert("LowerDir".to_owned(), below.join(":").into());
    }
    data.insert("MergedDir".to_owned(), format!("{own}/merged").into());
    data.insert("UpperDir".to_owned(), upper.into());
    data.insert("WorkDir".to_owned(), format!("{own}/work").into());
    json!({"Data": data, "Name": name})
}

/// Returns what only the disk tells, and the config as it is.
fn own(host: &Host, at: &ImageAt<'_>, config: Map<String, Value>) -> Value {
    let is_user = |of: &crate::op::host::ContainerAt<'_>| {
        of.container.image == Some(at.image.id) && of.container.driver == at.seen.here.driver
    };
    let containers = host.roots.iter().flat_map(|root| root.containers()).filter(is_user);
    let containers: Vec<&str> = containers.map(|of| of.container.name.as_str()).collect();
    let layer = |folder: TreePathBuf| at.seen.here.tree.place(folder.as_path()).to_string();
    let platforms = at.image.manifests.iter().map(|one| {
        json!({
            "Platform": one.platform.to_string(),
            "Manifest": one.manifest,
            "ConfigDigest": one.config.as_ref().map(|(id, _)| id.to_string()),
            "ChainIds": one.chain().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "Present": one.present,
        })
    });
    json!({
        "Type": "image",
        "Root": at.root.place,
        "Store": at.seen.here.kind,
        "Hidden": at.seen.hidden,
        "Intermediate": at.image.intermediate,
        "Containers": containers,
        "Layers": folders(at, at.image.shown()).into_iter().map(layer).collect::<Vec<_>>(),
        "Manifests": platforms.collect::<Vec<_>>(),
        "ConfigDocument": config,
    })
}
