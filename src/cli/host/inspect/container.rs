//! A container as `docker inspect` shows it.
//!
//! moby v28 daemon/inspect.go, daemon/inspect_linux.go

use serde_json::{Map, Value, json};

use super::origin;
use crate::error::Result;
use crate::model::StoreKind;
use crate::op::host::ContainerAt;
use crate::store::Writable;
use crate::tree::TreePathBuf;

type Members = Map<String, Value>;

/// What Docker shows of the record as it is, by both names.
const AS_RECORDED: [(&str, &str); 17] = [
    ("Id", "ID"),
    ("Created", "Created"),
    ("Path", "Path"),
    ("Args", "Args"),
    ("Image", "Image"),
    ("ResolvConfPath", "ResolvConfPath"),
    ("HostnamePath", "HostnamePath"),
    ("HostsPath", "HostsPath"),
    ("LogPath", "LogPath"),
    ("Name", "Name"),
    ("RestartCount", "RestartCount"),
    ("Driver", "Driver"),
    ("Platform", "OS"),
    ("MountLabel", "MountLabel"),
    ("ProcessLabel", "ProcessLabel"),
    ("AppArmorProfile", "AppArmorProfile"),
    ("Config", "Config"),
];

/// What Docker shows of the default bridge a second time.
const OF_BRIDGE: [&str; 8] = [
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
];

pub(super) fn of(at: &ContainerAt<'_>, with_size: bool) -> Result<Value> {
    let mut config = at.config()?;
    let machine = at.host_config()?;
    let writable = at.source().and_then(|source| source.writable(&at.container.id));
    let mut shown = Members::new();
    for (name, recorded) in AS_RECORDED {
        shown.insert(name.to_owned(), config.remove(recorded).unwrap_or_default());
    }
    shown.insert("State".to_owned(), state(at, config.remove("State").unwrap_or_default()));
    shown.insert("ExecIDs".to_owned(), Value::Null);
    shown.insert("HostConfig".to_owned(), machine.map(Value::Object).unwrap_or_default());
    let driver = graph_driver(at, writable.as_ref().ok());
    shown.insert("GraphDriver".to_owned(), driver);
    let mounts = config.remove("MountPoints").unwrap_or_default();
    shown.insert("Mounts".to_owned(), mounts_of(at, &mounts));
    let networks = config.remove("NetworkSettings").unwrap_or_default();
    shown.insert("NetworkSettings".to_owned(), network_settings(networks));
    match config.remove("ImageManifest") {
        Some(mut manifest) if !manifest.is_null() => {
            let platform = config.get("ImagePlatform").cloned().unwrap_or_default();
            if manifest.get("platform").is_none() {
                manifest["platform"] = platform;
            }
            shown.insert("ImageManifestDescriptor".to_owned(), manifest);
        }
        _ => {}
    }
    let size = if with_size { Some(at.size()?) } else { None };
    if let Some(size) = size {
        let bytes = match at.seen.map(|seen| seen.here.kind) {
            Some(StoreKind::Containerd) => size.on_disk,
            _ => size.bytes,
        };
        shown.insert("SizeRw".to_owned(), bytes.into());
    }
    // What Docker keeps to itself.
    config.remove("StreamConfig");
    shown.insert("Tranship".to_owned(), own(at, writable.ok(), config));
    Ok(Value::Object(shown))
}

fn state(at: &ContainerAt<'_>, recorded: Value) -> Value {
    let mut state = Members::new();
    state.insert("Status".to_owned(), at.container.record.state.word().into());
    let Value::Object(recorded) = recorded else { return Value::Object(state) };
    state.extend(recorded);
    if let Some(log) = state.get_mut("Health").and_then(|health| health.get_mut("Log"))
        && log.is_null()
    {
        *log = json!([]);
    }
    Value::Object(state)
}

fn mounts_of(at: &ContainerAt<'_>, points: &Value) -> Value {
    let one = |point: &Value| {
        let mut mount = Members::new();
        for (name, recorded, may_lack) in [
            ("Type", "Type", true),
            ("Name", "Name", true),
            ("Source", "Source", false),
            ("Destination", "Destination", false),
            ("Driver", "Driver", true),
            ("Mode", "Relabel", false),
            ("RW", "RW", false),
            ("Propagation", "Propagation", false),
        ] {
            let value = point.get(recorded).cloned().unwrap_or_else(|| "".into());
            if !(may_lack && value == "") {
                mount.insert(name.to_owned(), value);
            }
        }
        // Docker asks the driver of a volume that it made unasked where that is.
        if mount.get("Source").is_some_and(|source| source == "")
            && let Some(name) = mount.get("Name").and_then(Value::as_str)
        {
            let source = format!("{}/volumes/{name}/_data", origin(at.root));
            mount.insert("Source".to_owned(), source.into());
        }
        Value::Object(mount)
    };
    points.as_object().map(|points| points.values().map(one).collect()).unwrap_or_else(|| json!([]))
}

fn network_settings(recorded: Value) -> Value {
    let Value::Object(mut shown) = recorded else { return recorded };
    shown.remove("Service");
    shown.remove("HasSwarmEndpoint");
    if shown.get("Ports").is_none_or(Value::is_null) {
        shown.insert("Ports".to_owned(), json!({}));
    }
    let bridge = shown.get("Networks").and_then(|networks| networks.get("bridge")).cloned();
    for name in OF_BRIDGE {
        let none = || if name.ends_with("Len") { json!(0) } else { json!("") };
        let value = bridge.as_ref().and_then(|bridge| bridge.get(name)).cloned();
        shown.insert(name.to_owned(), value.unwrap_or_else(none));
    }
    let networks = shown.get_mut("Networks").and_then(Value::as_object_mut);
    for network in networks.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        network.remove("IPAMOperational");
        network.remove("DesiredMacAddress");
    }
    Value::Object(shown)
}

fn graph_driver(at: &ContainerAt<'_>, writable: Option<&Writable>) -> Value {
    let name = &at.container.driver;
    let kind = at.seen.map(|seen| seen.here.kind);
    let (Some(writable), Some(StoreKind::Classic)) = (writable, kind) else {
        return json!({"Data": null, "Name": name});
    };
    let root = origin(at.root);
    let path = |folder: &TreePathBuf| format!("{root}/{folder}");
    let below: Vec<String> = writable.stack().iter().skip(1).map(path).collect();
    let upper = path(&writable.upper);
    let own = upper.strip_suffix("/diff").unwrap_or(&upper);
    json!({
        "Data": {
            "ID": at.container.id,
            "LowerDir": below.join(":"),
            "MergedDir": format!("{own}/merged"),
            "UpperDir": upper,
            "WorkDir": format!("{own}/work"),
        },
        "Name": name,
    })
}

/// Returns what only the disk tells, and the rest of the record.
fn own(at: &ContainerAt<'_>, writable: Option<Writable>, rest: Members) -> Value {
    let open = at.seen.is_some_and(|seen| seen.open_by_daemon == Some(true));
    let place = |folder: TreePathBuf| {
        at.seen.map(|seen| seen.here.tree.place(folder.as_path()).to_string())
    };
    let folders =
        |folders: Vec<TreePathBuf>| folders.into_iter().filter_map(place).collect::<Vec<String>>();
    let (upper, init, layers) = match writable {
        Some(Writable { upper, init, below, .. }) => {
            (place(upper), init.and_then(place), Some(folders(below)))
        }
        None => (None, None, None),
    };
    json!({
        "Type": "container",
        "Root": at.root.place,
        "Store": at.seen.map(|seen| seen.here.kind),
        "Hidden": at.seen.is_none_or(|seen| seen.hidden),
        "WasRunning": at.container.running && !open,
        "ImagePresent": at.image().is_some(),
        "Upper": upper,
        "Init": init,
        "Layers": layers,
        "Record": rest,
    })
}
