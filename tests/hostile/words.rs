//! Words that a terminal would obey, or that mean something else than they say.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::place::{Base, Place};
use crate::{Harm, all_hold};

const WHY: &str = "the test's own folder";

/// Clears the screen, sets the title, rings, ends a line, ends a text in C, and says so in other bytes.
const BAD: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\r\n\u{0}\u{7f}\u{9b}31m\u{202e}x\t";

#[test]
fn nothing_is_obeyed() {
    const CASES: &[(&str, Harm)] = &[
        ("names of images", image_names),
        ("words of images", image_words),
        ("words of containers", container_words),
        ("words of machines", machine_words),
        ("names of files", file_names),
        ("names of folders of the store", store_names),
        ("words of volumes", volume_words),
        ("what a layer is said to be", layer_words),
    ];
    all_hold(Base::Classic, CASES);
}

fn image_names(place: &Place) {
    let file = place.path("image/overlay2/repositories.json");
    let text = fs::read_to_string(&file).expect("the recorded root has it");
    let mut names: Value = serde_json::from_str(&text).expect("it is sound");
    let images = place.all_in("image/overlay2/imagedb/content/sha256");
    let id = images[0].file_name().expect("it has one").to_string_lossy().into_owned();
    names["Repositories"][BAD] = json!({ BAD: format!("sha256:{id}"), "x:1": BAD });
    fs::write(file, names.to_string()).expect(WHY);
}

/// Gives the images other configs, which have other digests, and so are found to be damaged.
fn image_words(place: &Place) {
    let metadata = place.path("image/overlay2/imagedb/metadata/sha256");
    for (number, image) in place.all_in("image/overlay2/imagedb/content/sha256").iter().enumerate()
    {
        let mut config: Value =
            serde_json::from_slice(&fs::read(image).expect("it is there")).expect("it is sound");
        config["author"] = BAD.into();
        config["os"] = BAD.into();
        config["architecture"] = BAD.into();
        config["created"] = BAD.into();
        config["config"]["Labels"] = json!({ BAD: BAD });
        config["config"]["Env"] = json!([BAD, format!("A={BAD}")]);
        config["history"] = json!([{ "created_by": BAD, "comment": BAD, "author": BAD }]);
        let bytes = config.to_string().into_bytes();
        let id = tranship::digest::Digest::of(&bytes).hex();
        fs::write(image.with_file_name(&id), bytes).expect(WHY);
        let folder = metadata.join(&id);
        fs::create_dir_all(&folder).expect(WHY);
        fs::write(folder.join(["parent", "lastUpdated"][number % 2]), BAD).expect(WHY);
    }
}

/// Puts the words into every text of a document but the names that lead to it.
fn spoil(value: &mut Value, keep: &[&str]) {
    match value {
        Value::String(text) => text.push_str(BAD),
        Value::Array(all) => {
            all.push(BAD.into());
            all.iter_mut().for_each(|value| spoil(value, keep));
        }
        Value::Object(members) => {
            let kept = |key: &String| keep.contains(&key.as_str());
            let others = members.iter_mut().filter(|(key, _)| !kept(key));
            others.for_each(|(_, value)| spoil(value, keep));
            members.insert(BAD.to_owned(), BAD.into());
        }
        _ => {}
    }
}

fn container_words(place: &Place) {
    place.edit_containers("config.v2.json", |config| {
        spoil(config, &["ID", "Name", "Driver", "Image", "State", "Created", "NetworkSettings"]);
        config["NetworkSettings"]["Networks"][BAD] = json!({ "Aliases": [BAD], "IPAddress": BAD });
        config["State"]["Error"] = BAD.into();
        config["State"]["Health"] = json!({ "Status": BAD, "Log": [{ "Output": BAD }] });
        config["MountPoints"] = json!({ "/a": { "Name": "n", "Type": "volume", "Driver": BAD,
            "Source": BAD, "Destination": BAD }, "/b": { "Type": "bind", "Source": BAD,
            "Destination": BAD } });
    });
    let folder = place.container("never-ran");
    let config = fs::read_to_string(folder.join("config.v2.json")).expect("it is there");
    let bad = serde_json::to_string(&format!("/{BAD}")).expect("it is text");
    fs::write(folder.join("config.v2.json"), config.replace("\"/never-ran\"", &bad)).expect(WHY);
}

fn machine_words(place: &Place) {
    place.edit_containers("hostconfig.json", |config| {
        spoil(config, &["LogConfig", "RestartPolicy"]);
        config["Binds"] = json!([format!("/etc/{BAD}:/x{BAD}:ro")]);
        config["PortBindings"] = json!({ BAD: [{ "HostIp": BAD, "HostPort": BAD }] });
        config["LogConfig"]["Config"] = json!({ BAD: BAD });
        config["Ulimits"] = json!([{ "Name": BAD, "Hard": 1, "Soft": 2 }]);
    });
}

/// A file name may hold anything but a slash and the end of a text.
fn bad_name() -> Vec<u8> {
    let mut name: Vec<u8> = BAD.bytes().filter(|byte| *byte != 0).collect();
    name.extend(b"\xff\xfe");
    name
}

fn file_names(place: &Place) {
    let name = bad_name();
    let name = OsStr::from_bytes(&name);
    for layer in place.unpacked() {
        let diff = layer.join("diff");
        if diff.is_dir() {
            fs::write(diff.join(name), "text").expect(WHY);
            std::os::unix::fs::symlink(name, diff.join("to-bad")).expect(WHY);
        }
    }
    let volume = place.path("volumes/vol1/_data");
    fs::write(volume.join(name), "text").expect(WHY);
}

fn store_names(place: &Place) {
    let name = bad_name();
    let name = OsStr::from_bytes(&name);
    let folders = [
        "containers",
        "volumes",
        "overlay2",
        "overlay2/l",
        "image",
        "image/overlay2/layerdb/sha256",
        "image/overlay2/layerdb/mounts",
        "image/overlay2/imagedb/content/sha256",
        "image/overlay2/imagedb/metadata/sha256",
    ];
    for folder in folders {
        fs::create_dir(place.path(folder).join(name)).expect(WHY);
    }
}

fn volume_words(place: &Place) {
    place.edit_bolt("volumes/metadata.db", |root| {
        let volumes = root.bucket_mut(&b"volumes"[..]);
        let bad = serde_json::to_string(BAD).expect("it is text");
        let record = format!(r#"{{"Name":{bad},"Driver":{bad},"Labels":{{{bad}:{bad}}}}}"#);
        volumes.put(BAD.as_bytes().to_vec(), record.clone().into_bytes());
        volumes.put(b"vol1".to_vec(), record.into_bytes());
    });
    let options = json!({ "type": BAD, "o": BAD, "device": BAD }).to_string();
    fs::write(place.path("volumes/vol1/opts.json"), options).expect(WHY);
}

fn layer_words(place: &Place) {
    for (number, layer) in place.layers().iter().enumerate() {
        let key = ["diff", "size", "cache-id", "parent"][number % 4];
        fs::write(layer.join(key), BAD).expect(WHY);
    }
    for layer in place.unpacked() {
        fs::write(layer.join("link"), BAD).expect(WHY);
        fs::write(layer.join("lower"), format!("l/{BAD}")).expect(WHY);
    }
}
