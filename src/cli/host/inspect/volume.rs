//! A volume as `docker volume inspect` shows it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{files, origin};
use crate::error::{Error, Place, Result};
use crate::model::Volume;
use crate::op::host::Host;
use crate::store::volumes;
use crate::tree::Tree;

pub(super) fn of(host: &Host, name: &str) -> Result<Value> {
    for root in &host.roots {
        let tree = files(root);
        let (all, _) = volumes::read_all(&tree)?;
        let Some(found) = all.into_iter().find(|volume| volume.name == name) else { continue };
        let Volume { name, driver, labels, options, mount, data, .. } = found;
        let some = |map: BTreeMap<String, String>| Some(map).filter(|map| !map.is_empty());
        let mount = mount.map(
            |mount| json!({"Type": mount.kind, "Device": mount.device, "Options": mount.options}),
        );
        let users =
            root.containers.iter().filter(|container| container.record.mounts_volume(&name));
        let users: Vec<&str> = users.map(|container| container.name.as_str()).collect();
        let metadata = data.as_ref().and_then(|data| tree.stat(data.as_path()).ok());
        return Ok(json!({
            "CreatedAt": metadata.map(|folder| folder.mtime.to_string()),
            "Driver": driver,
            "Labels": some(labels),
            "Mountpoint": format!("{}/volumes/{name}/_data", origin(root)),
            "Name": name,
            "Options": some(options),
            "Scope": "local",
            "Tranship": {
                "Type": "volume",
                "Root": root.place,
                "Folder": data.map(|data| tree.place(data.as_path()).to_string()),
                "Mount": mount,
                "Containers": users,
            },
        }));
    }
    Err(Error::missing(Place::new(name, ""), "no volume has this name"))
}
