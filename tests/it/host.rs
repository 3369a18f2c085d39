//! What is found where: data roots, their stores, and what hides them.

use std::sync::Arc;

use tranship::format::oci::Platform;
use tranship::model::StoreKind;
use tranship::model::next_start::Store;
use tranship::op::host::{DataRoot, Host, Known, Opened, survey};
use tranship::tree::{Memory, Sink, Tree, TreePath, path, write};

/// A tree with these files, each with its text; a path that ends with `/` is a folder.
fn tree(files: &[(&str, &str)]) -> Arc<dyn Tree> {
    let tree = Memory::new();
    for (file, text) in files {
        let plain = path(file.trim_end_matches('/'));
        let mut made = String::new();
        let folder = plain.split_last().map_or(TreePath::ROOT, |(folder, _)| folder);
        for name in folder.names() {
            made += &format!("{}/", String::from_utf8_lossy(name));
            tree.make_dir(path(made.trim_end_matches('/')), 0o755).expect("a folder");
        }
        match file.ends_with('/') {
            true => tree.make_dir(plain, 0o755).expect("a folder"),
            false => write(&tree, plain, 0o644, text.as_bytes()).expect("a free name"),
        }
    }
    Arc::new(tree)
}

fn look(files: &[(&str, &str)]) -> Host {
    let opened = Opened { tree: tree(files), only: None };
    survey(&opened, &Known { platform: Platform::default(), ..Known::default() })
        .unwrap_or_else(|error| panic!("{error}"))
}

fn paths(host: &Host) -> Vec<String> {
    host.roots.iter().map(|root| root.path.to_string()).collect()
}

fn drivers(root: &DataRoot) -> Vec<(StoreKind, &str, bool)> {
    let stores = root.stores.iter();
    stores
        .map(|seen| (seen.here.kind, seen.here.driver.as_str(), seen.inventory().is_some()))
        .collect()
}

const EMPTY_STORE: &str = "{\"Repositories\":{}}";

#[test]
fn data_roots_are_found_in_a_system_wherever_it_keeps_them() {
    let host = look(&[
        ("var/lib/docker/image/overlay2/repositories.json", EMPTY_STORE),
        ("var/lib/docker/overlay2/l/", ""),
        ("var/lib/docker/100000.100000/image/overlay2/repositories.json", EMPTY_STORE),
        ("var/lib/docker/100000.100000/overlay2/l/", ""),
        ("var/lib/docker/100000.100000/containers/", ""),
        ("home/ann/.local/share/docker/image/overlay2/repositories.json", EMPTY_STORE),
        ("home/ann/.local/share/docker/containers/", ""),
        ("home/bob/.local/share/docker/", ""),
        ("srv/images/image/overlay2/repositories.json", EMPTY_STORE),
        ("srv/images/volumes/", ""),
        ("etc/docker/daemon.json", "{\"data-root\": \"/srv/images\"}"),
    ]);
    assert_eq!(
        paths(&host),
        [
            "srv/images",
            "var/lib/docker",
            "var/lib/docker/100000.100000",
            "home/ann/.local/share/docker"
        ]
    );
}

#[test]
fn every_graph_driver_is_named_and_read_where_it_has_images() {
    let host = look(&[
        ("image/overlay2/repositories.json", EMPTY_STORE),
        ("overlay2/l/", ""),
        ("image/vfs/repositories.json", EMPTY_STORE),
        ("vfs/dir/", ""),
        ("btrfs/subvolumes/", ""),
        ("aufs/diff/", ""),
        ("zfs/graph/", ""),
        ("devicemapper/metadata/", ""),
        ("fuse-overlayfs/l/", ""),
    ]);
    let found = drivers(&host.roots[0]);
    let classic = StoreKind::Classic;
    let readable = ["overlay2", "vfs"];
    let named = ["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "aufs", "devicemapper"];
    assert_eq!(found, named.map(|name| (classic, name, readable.contains(&name))));
    let start = &host.roots[0].choices.as_ref().expect("a data root").docker_29;
    assert!(matches!(start.store, Store::StartError), "several prior drivers: {start:?}");
}

#[test]
fn the_configuration_of_the_system_decides_what_is_hidden() {
    let files = [
        ("var/lib/docker/image/overlay2/repositories.json", EMPTY_STORE),
        ("var/lib/docker/overlay2/l/", ""),
        ("etc/docker/daemon.json", "{\"features\": {\"containerd-snapshotter\": true}}"),
    ];
    let hidden = |files: &[(&str, &str)]| {
        look(files).roots[0].stores.iter().map(|seen| seen.hidden).collect::<Vec<_>>()
    };
    assert_eq!(hidden(&files), [true]);
    assert_eq!(hidden(&files[..2]), [false]);
}

#[test]
fn a_configuration_that_dockerd_could_not_read_is_an_error_with_its_place() {
    let opened = Opened {
        tree: tree(&[
            ("var/lib/docker/image/overlay2/repositories.json", EMPTY_STORE),
            ("var/lib/docker/overlay2/l/", ""),
            ("etc/docker/daemon.json", "{\"features\": "),
        ]),
        only: None,
    };
    let error = survey(&opened, &Known::default()).expect_err("half a file");
    assert!(error.to_string().contains("etc/docker/daemon.json"), "{error}");
}

#[test]
fn nothing_is_found_where_nothing_is() {
    assert!(look(&[("etc/passwd", "root"), ("containers/", "")]).roots.is_empty());
    assert!(look(&[]).roots.is_empty());
}
