//! Harm done to the classic store.

use std::fs;
use std::path::{Path, PathBuf};

use crate::place::{Base, Place, endless, fifo, link, remove, socket};
use crate::{Harm, all_hold};

const WHY: &str = "the test's own folder";

const KEYS: [&str; 5] = ["diff", "size", "cache-id", "parent", "tar-split.json.gz"];

#[test]
fn links_and_names_that_lead_out() {
    all_hold(
        Base::Classic,
        &[
            ("layer folders are links", layer_folders_are_links),
            ("diff folders are links", diff_folders_are_links),
            ("folders inside layers are links", folders_inside_layers_are_links),
            ("l leads out", l_leads_out),
            ("the links of l lead out", links_of_l_lead_out),
            ("cache IDs climb", cache_ids_climb),
            ("cache IDs are absolute", cache_ids_are_absolute),
            ("lower names climb", lower_names_climb),
            ("the image folder is a link", image_folder_is_a_link),
            ("records are links", records_are_links),
        ],
    );
}

#[test]
fn what_is_no_file_where_one_belongs() {
    const CASES: &[(&str, Harm)] = &[
        ("pipes in layerdb", pipes_in_layerdb),
        ("pipes for all other files", |place| each_file(place, fifo)),
        ("sockets for all other files", |place| each_file(place, socket)),
        ("devices for all other files", |place| each_file(place, endless)),
        ("folders for all other files", |place| each_file(place, folder)),
        ("the store is a file", |place| file(&place.path("image/overlay2"))),
        ("overlay2 is a file", |place| file(&place.path("overlay2"))),
        ("layerdb is a file", |place| file(&place.path("image/overlay2/layerdb"))),
        ("l is a file", |place| file(&place.path("overlay2/l"))),
        ("diff folders are pipes", |place| each_diff(place, fifo)),
        ("diff folders are loops", |place| each_diff(place, |path| link(path, path))),
    ];
    all_hold(Base::Classic, CASES);
}

#[test]
fn what_names_itself() {
    const CASES: &[(&str, Harm)] = &[
        ("images are their own parents", |place| image_parents(place, |ids, n| ids[n].clone())),
        ("images are each other's parents", |place| {
            image_parents(place, |ids, n| ids[(n + 1) % ids.len()].clone());
        }),
        ("layers are their own parents", |place| {
            for layer in place.layers() {
                fs::write(layer.join("parent"), format!("sha256:{}", name(&layer))).expect(WHY);
            }
        }),
        ("layers are their own lower", |place| {
            for layer in place.unpacked() {
                let own = fs::read_to_string(layer.join("link")).unwrap_or_default();
                fs::write(layer.join("lower"), format!("l/{own}")).expect(WHY);
            }
        }),
        ("every layer has the same files", |place| {
            let first = fs::read(place.layers()[0].join("cache-id")).expect("it is there");
            for layer in place.layers() {
                fs::write(layer.join("cache-id"), &first).expect(WHY);
            }
        }),
    ];
    all_hold(Base::Classic, CASES);
}

fn name(path: &Path) -> String {
    path.file_name().expect("it has one").to_str().expect("text").to_owned()
}

fn folder(path: &Path) {
    remove(path);
    fs::create_dir(path).expect(WHY);
}

fn file(path: &Path) {
    remove(path);
    fs::write(path, "text").expect(WHY);
}

fn layer_folders_are_links(place: &Place) {
    place.unpacked().iter().for_each(|layer| link(layer, "../../outside"));
}

fn each_diff(place: &Place, harm: impl Fn(&Path)) {
    place.unpacked().iter().for_each(|layer| harm(&layer.join("diff")));
}

fn diff_folders_are_links(place: &Place) {
    each_diff(place, |diff| link(diff, place.outside().join("diff")));
}

fn folders_inside_layers_are_links(place: &Place) {
    for layer in place.unpacked() {
        link(&layer.join("diff/etc"), place.outside());
        link(&layer.join("diff/bin"), "../../../../outside");
    }
}

fn l_leads_out(place: &Place) {
    link(&place.path("overlay2/l"), place.outside());
}

fn links_of_l_lead_out(place: &Place) {
    for (number, one) in place.all_in("overlay2/l").iter().enumerate() {
        let to = ["../../../outside/diff", "/etc", "../../../outside"][number % 3];
        link(one, to);
    }
}

fn each_cache_id(place: &Place, id: &str) {
    place.layers().iter().for_each(|l| fs::write(l.join("cache-id"), id).expect(WHY));
}

fn cache_ids_climb(place: &Place) {
    each_cache_id(place, "../../outside");
}

fn cache_ids_are_absolute(place: &Place) {
    each_cache_id(place, place.outside().to_str().expect("text"));
}

fn lower_names_climb(place: &Place) {
    for layer in place.unpacked() {
        fs::write(layer.join("lower"), "../../outside:l/../../../outside:/etc").expect(WHY);
        fs::write(layer.join("link"), "../../../outside/link").expect(WHY);
    }
}

fn image_folder_is_a_link(place: &Place) {
    let (image, moved) = (place.path("image"), place.outside().join("image"));
    fs::rename(&image, &moved).expect(WHY);
    link(&image, moved);
}

fn records_are_links(place: &Place) {
    let secret = place.outside().join("shadow");
    each_file(place, |path| link(path, &secret));
    for layer in place.layers() {
        KEYS.iter().for_each(|key| link(&layer.join(key), &secret));
    }
}

fn pipes_in_layerdb(place: &Place) {
    for (number, layer) in place.layers().iter().enumerate() {
        fifo(&layer.join(KEYS[number % KEYS.len()]));
    }
}

/// Harms files that dockerd keeps, but for those of layerdb.
fn each_file(place: &Place, harm: impl Fn(&Path)) {
    let mut files = place.all_in("image/overlay2/imagedb/content/sha256");
    files.truncate(8);
    files.push(place.path("image/overlay2/repositories.json"));
    files.push(place.path("volumes/metadata.db"));
    for (number, folder) in place.all_in("containers").iter().enumerate() {
        let file = ["config.v2.json", "hostconfig.json"][number % 2];
        files.push(folder.join(file));
    }
    for (number, folder) in place.all_in("image/overlay2/layerdb/mounts").iter().enumerate() {
        files.push(folder.join(["mount-id", "init-id", "parent"][number % 3]));
    }
    for layer in place.unpacked().iter().take(3) {
        files.extend(["link", "lower"].map(|name| layer.join(name)));
    }
    files.iter().for_each(|file| harm(file));
}

fn image_parents(place: &Place, parent: impl Fn(&[String], usize) -> String) {
    let images: Vec<PathBuf> = place.all_in("image/overlay2/imagedb/content/sha256");
    let ids: Vec<String> = images.iter().map(|path| name(path)).collect();
    for (number, id) in ids.iter().enumerate() {
        let folder = place.path("image/overlay2/imagedb/metadata/sha256").join(id);
        fs::create_dir_all(&folder).expect(WHY);
        fs::write(folder.join("parent"), format!("sha256:{}", parent(&ids, number))).expect(WHY);
    }
}
