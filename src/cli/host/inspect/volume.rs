//! A volume as `docker volume inspect` shows it.

use serde_json::{Value, json};

use super::{files, origin};
use crate::error::{Error, Place, Result};
use crate::op::host::Host;
use crate::store::volumes::{Volume, volume};
use crate::tree::Tree;

pub(super) fn of(host: &Host, name: &str) -> Result<Value> {
    for root in &host.roots {
        let tree = files(root);
        let Some(found) = volume(&tree, name)? else { continue };
        let Volume { name, driver, labels, options, mounts, data } = found;
        let users = root.containers.iter().filter(|container| {
            let mut points = container.record.mount_points.values();
            points.any(|point| point.volume() == Some(&name))
        });
        let users: Vec<&str> = users.map(|container| container.name.as_str()).collect();
        let metadata = data.as_ref().and_then(|data| tree.stat(data.as_path()).ok());
        return Ok(json!({
            "CreatedAt": metadata.map(|folder| folder.mtime.to_string()),
            "Driver": driver,
            "Labels": labels,
            "Mountpoint": format!("{}/volumes/{name}/_data", origin(root)),
            "Name": name,
            "Options": options,
            "Scope": "local",
            "Tranship": {
                "Type": "volume",
                "Root": root.place,
                "Folder": data.map(|data| tree.place(data.as_path()).to_string()),
                "Mounts": mounts,
                "Containers": users,
            },
        }));
    }
    Err(Error::missing(Place::new(name, ""), "no volume has this name"))
}
