//! Harm done to containers, their logs and the volumes.

use std::fs;

use serde_json::json;

use crate::place::{Base, Place, endless, fifo, link};
use crate::{Harm, all_hold};

const WHY: &str = "the test's own folder";

#[test]
#[ignore = "long: minutes"]
fn long_paths_of_containers_that_lead_out() {
    const CASES: &[(&str, Harm)] = &[
        ("logs are elsewhere", |place| paths(place, place.outside().join("shadow").to_str())),
        ("logs are in /etc", |place| paths(place, Some("/etc/shadow"))),
        ("logs climb", |place| paths(place, Some("../../../outside/shadow"))),
        ("logs are links", log_links),
        ("logs are pipes", |place| each_log(place, fifo)),
        ("logs never end", |place| each_log(place, endless)),
        ("mount IDs climb", |place| mounts(place, "../../../outside")),
        ("mount IDs are absolute", |place| mounts(place, "/etc")),
        ("mount IDs are nothing", |place| mounts(place, "")),
        ("mounts are links", mount_links),
        ("folders of containers are links", container_links),
        ("the folder of containers is a link", |place| outside(place, "containers")),
        ("IDs climb", |place| place.edit_containers("config.v2.json", |c| climb(c, "ID"))),
        ("drivers climb", |place| place.edit_containers("config.v2.json", |c| climb(c, "Driver"))),
        ("images climb", |place| place.edit_containers("config.v2.json", |c| climb(c, "Image"))),
        ("mounted volumes climb", mounted_volumes),
    ];
    all_hold(Base::Classic, CASES);
}

#[test]
fn volumes_that_lead_out() {
    const CASES: &[(&str, Harm)] = &[
        ("volumes that are called ..", volumes_called_parent),
        ("volumes are links", |place| link(&place.path("volumes/vol1"), place.outside())),
        ("data is a link", |place| link(&place.path("volumes/vol1/_data"), place.outside())),
        ("data is a pipe", |place| fifo(&place.path("volumes/vol1/_data"))),
        ("the folder of volumes is a link", |place| outside(place, "volumes")),
        ("options are a link", |place| {
            link(&place.path("volumes/vol1/opts.json"), place.outside().join("shadow"));
        }),
        ("devices are elsewhere", |place| {
            let device = place.outside();
            let options = json!({ "type": "none", "o": "bind", "device": device }).to_string();
            fs::write(place.path("volumes/vol1/opts.json"), options).expect(WHY);
        }),
        ("links in data", |place| {
            link(&place.path("volumes/vol1/_data/etc"), place.outside());
            link(&place.path("volumes/vol1/_data/loop"), "loop");
        }),
    ];
    all_hold(Base::Classic, CASES);
}

fn climb(config: &mut serde_json::Value, key: &str) {
    config[key] = "../../outside".into();
}

/// Moves a folder of the root out, and leaves a link.
fn outside(place: &Place, folder: &str) {
    let moved = place.outside().join("moved");
    fs::rename(place.path(folder), &moved).expect(WHY);
    link(&place.path(folder), moved);
}

fn paths(place: &Place, to: Option<&str>) {
    place.edit_containers("config.v2.json", |config| {
        for key in ["LogPath", "HostnamePath", "HostsPath", "ResolvConfPath", "ShmPath"] {
            config[key] = to.into();
        }
        config["SeccompProfile"] = to.into();
        config["Config"]["Hostname"] = to.into();
    });
}

fn each_log(place: &Place, harm: impl Fn(&std::path::Path)) {
    for folder in place.all_in("containers") {
        let id = folder.file_name().expect("it has one").to_string_lossy().into_owned();
        for name in [format!("{id}-json.log"), format!("{id}-json.log.1")] {
            harm(&folder.join(name));
        }
        fs::create_dir_all(folder.join("local-logs")).expect(WHY);
        harm(&folder.join("local-logs/container.log"));
        harm(&folder.join("local-logs/container.log.1.gz"));
    }
}

fn log_links(place: &Place) {
    let secret = place.outside().join("shadow");
    each_log(place, |path| link(path, &secret));
}

fn mounts(place: &Place, id: &str) {
    for folder in place.all_in("image/overlay2/layerdb/mounts") {
        for key in ["mount-id", "init-id"] {
            fs::write(folder.join(key), id).expect(WHY);
        }
    }
}

fn mount_links(place: &Place) {
    for folder in place.all_in("image/overlay2/layerdb/mounts") {
        link(&folder, place.outside());
    }
}

fn container_links(place: &Place) {
    for folder in place.all_in("containers") {
        link(&folder, place.outside());
    }
}

fn mounted_volumes(place: &Place) {
    place.edit_containers("config.v2.json", |config| {
        config["MountPoints"] = json!({
            "/a": { "Name": "../../outside", "Type": "volume", "Driver": "local",
                "Source": "/etc", "Destination": "/a", "RW": true },
            "/b": { "Name": "..", "Type": "volume", "Driver": "local", "Destination": "../../x" },
            "/c": { "Name": "/etc", "Type": "volume", "Driver": "local", "Destination": "" },
        });
    });
}

fn volumes_called_parent(place: &Place) {
    place.edit_bolt("volumes/metadata.db", |root| {
        let volumes = root.bucket_mut(&b"volumes"[..]);
        for name in ["..", ".", "/etc", "../outside", "a/b", "x\0y"] {
            let record = json!({ "Name": name, "Driver": "local" }).to_string();
            volumes.put(name.as_bytes().to_vec(), record.into_bytes());
        }
    });
}
