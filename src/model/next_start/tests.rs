use super::*;

const D28: Starter = Starter::Docker28;
const D29: Starter = Starter::Docker29;
const RANCHER: Starter = Starter::RancherAuto { wasm: false };
const WASM: Starter = Starter::RancherAuto { wasm: true };

fn facts() -> Facts {
    Facts::default()
}

fn feature(on: bool) -> Facts {
    Facts { feature: Some(on), ..facts() }
}

fn driver(name: &str) -> Facts {
    Facts { storage_driver: Some(name.to_owned()), ..facts() }
}

fn prior(names: &[&str]) -> Facts {
    Facts { prior_drivers: names.iter().map(|name| (*name).to_owned()).collect(), ..facts() }
}

fn images(driver: &str, images: u64, bytes: u64) -> Vec<ClassicStore> {
    vec![ClassicStore { driver: driver.to_owned(), images, bytes }]
}

fn migration(threshold: u64) -> Facts {
    Facts {
        migration: Some(threshold),
        classic: images("overlay2", 2, 100),
        ..prior(&["overlay2"])
    }
}

/// Returns `overlay2`, `c:overlayfs` or `error`.
fn shown(choice: &Choice) -> String {
    match &choice.store {
        Store::Classic { driver } => driver.clone(),
        Store::Containerd { snapshotter } => format!("c:{snapshotter}"),
        Store::StartError => "error".to_owned(),
    }
}

fn check(rows: Vec<(Starter, Facts, &str, &str, &str)>) {
    for (starter, facts, store, why, change) in rows {
        let choice = next_start(starter, &facts);
        assert_eq!(shown(&choice), store, "{starter:?} {facts:#?}\n{choice:?}");
        assert!(choice.why.contains(why), "{choice:?} should say {why:?}");
        let told = choice.change.as_deref().unwrap_or_default();
        assert!(told.contains(change), "{choice:?} should advise {change:?}");
        for text in [&choice.why, told] {
            assert!(text.ends_with('.') && !text.contains(".."), "{text:?} is no sentence");
        }
    }
}

#[rustfmt::skip]
#[test]
fn docker_28_goes_by_the_feature_alone() {
    check(vec![
        (D28, facts(), "overlay2", "Docker up to 28", TURN_ON),
        (D28, feature(false), "overlay2", "is false", TURN_ON),
        (D28, feature(true), "c:overlayfs", "is true", TURN_OFF),
        (D28, Facts { feature: Some(true), ..prior(&["overlay2"]) }, "c:overlayfs", "is true", TURN_OFF),
        (D28, Facts { feature: Some(true), ..driver("native") }, "c:native", "is true", TURN_OFF_AND_REMOVE),
        (D28, Facts { feature: Some(true), ..driver("btrfs") }, "c:btrfs", "is true", TURN_OFF),
        (D28, Facts { feature: Some(true), ..driver("overlay2") }, "c:overlay2", "no snapshotter", REMOVE),
        (D28, Facts { feature: Some(true), userns_remap: true, ..facts() }, "c:overlayfs", "is true", TURN_OFF),
        (D28, Facts { userns_remap: true, ..facts() }, "overlay2", "Docker up to 28", TURN_ON),
        (D28, Facts { snapshots: true, containerd_images: 9, ..facts() }, "overlay2", "Docker up to 28", TURN_ON),
    ]);
}

#[rustfmt::skip]
#[test]
fn the_graph_driver_is_found_as_docker_finds_it() {
    check(vec![
        (D28, prior(&["btrfs"]), "btrfs", "Docker up to 28", TURN_ON),
        (D28, prior(&["btrfs", "overlay2"]), "error", "btrfs, overlay2", "Name one"),
        (D28, Facts { storage_driver: Some("overlay2".into()), ..prior(&["btrfs", "overlay2"]) }, "overlay2", "", TURN_ON_AND_REMOVE),
        (D28, driver("vfs"), "vfs", "", TURN_ON_AND_REMOVE),
        (D28, driver("zfs"), "zfs", "", TURN_ON),
        (D28, driver("aufs"), "error", "no longer has", REMOVE),
        (D28, driver("overlayfs"), "error", "no graph driver", REMOVE),
        (D28, driver(""), "overlay2", "", TURN_ON),
    ]);
}

#[rustfmt::skip]
#[test]
fn docker_29_prefers_containerd_but_keeps_what_is_there() {
    let vfs_left = Facts { classic: images("vfs", 3, 1), ..facts() };
    check(vec![
        (D29, facts(), "c:overlayfs", "Docker 29", TURN_OFF),
        (D29, feature(true), "c:overlayfs", "is true", TURN_OFF),
        (D29, Facts { feature: Some(true), ..prior(&["overlay2"]) }, "c:overlayfs", "is true", TURN_OFF),
        (D29, feature(false), "overlay2", "is false", TURN_ON),
        (D29, prior(&["overlay2"]), "overlay2", "overlay2 directory is not empty", TURN_ON),
        (D29, prior(&["overlay2", "zfs"]), "error", "overlay2, zfs", "Name one"),
        (D29, Facts { feature: Some(false), ..prior(&["zfs"]) }, "zfs", "is false", TURN_ON),
        (D29, vfs_left, "c:overlayfs", "vfs do not count", "\"vfs\""),
    ]);
}

#[rustfmt::skip]
#[test]
fn docker_29_reads_storage_driver_either_way() {
    let with = |name: &str, rest: Facts| Facts { storage_driver: Some(name.into()), ..rest };
    check(vec![
        (D29, driver("overlay2"), "overlay2", "graph driver \"overlay2\"", TURN_ON_AND_REMOVE),
        (D29, driver("btrfs"), "btrfs", "graph driver", TURN_ON),
        (D29, driver("native"), "c:native", "snapshotter \"native\"", TURN_OFF_AND_REMOVE),
        (D29, driver("aufs"), "error", "no snapshotter of that name", REMOVE),
        (D29, with("overlay2", feature(true)), "error", "no snapshotter of that name", REMOVE),
        (D29, with("native", feature(true)), "c:native", "is true", TURN_OFF_AND_REMOVE),
        (D29, with("native", feature(false)), "error", "no graph driver", REMOVE),
        (D29, with("vfs", feature(false)), "vfs", "is false", TURN_ON_AND_REMOVE),
        // The prior driver is looked at before storage-driver, which then must be a graph driver.
        (D29, with("vfs", prior(&["overlay2"])), "vfs", "not empty", TURN_ON_AND_REMOVE),
        (D29, with("overlayfs", prior(&["overlay2"])), "error", "no graph driver", REMOVE),
        (D29, with("aufs", prior(&["overlay2"])), "error", "no longer has", REMOVE),
    ]);
}

#[rustfmt::skip]
#[test]
fn docker_29_with_userns_remap_is_classic() {
    let remap = |rest: Facts| Facts { userns_remap: true, ..rest };
    check(vec![
        (D29, remap(facts()), "overlay2", "userns-remap is on", "Remove userns-remap"),
        (D29, remap(feature(false)), "overlay2", "userns-remap is on", "Remove userns-remap"),
        (D29, remap(feature(true)), "error", "cannot both be on", "Remove one"),
        (D29, remap(driver("native")), "error", "no graph driver", REMOVE),
    ]);
}

#[rustfmt::skip]
#[test]
fn docker_29_may_move_by_itself() {
    let used = Facts { container_drivers: vec!["overlay2".into()], ..migration(100) };
    let elsewhere = Facts { container_drivers: vec!["overlayfs".into()], ..migration(100) };
    let vfs = Facts { migration: Some(0), ..driver("vfs") };
    let btrfs = Facts { migration: Some(0), ..prior(&["btrfs"]) };
    check(vec![
        (D29, migration(100), "c:overlayfs", "the 2 images of overlay2 are copied", "containerd-migration"),
        (D29, migration(99), "overlay2", "not empty", TURN_ON),
        (D29, migration(0), "overlay2", "not empty", TURN_ON),
        (D29, used, "overlay2", "not empty", TURN_ON),
        (D29, elsewhere, "c:overlayfs", "no container uses overlay2", "containerd-migration"),
        (D29, Facts { classic: vec![], ..migration(0) }, "c:overlayfs", "no images to move", "containerd-migration"),
        (D29, Facts { containerd_images: 1, ..migration(100) }, "c:overlayfs", "not shown", "containerd-migration"),
        (D29, vfs, "c:native", "no container uses vfs", "containerd-migration"),
        (D29, btrfs, "btrfs", "not empty", TURN_ON),
        (D28, migration(100), "overlay2", "Docker up to 28", TURN_ON),
    ]);
}

#[rustfmt::skip]
#[test]
fn rancher_desktop_looks_at_both_stores() {
    let classic = Facts { classic: images("overlay2", 1, 1), ..prior(&["overlay2"]) };
    let both = Facts { snapshots: true, ..classic.clone() };
    let blocked = Facts { storage_driver: Some("overlay2".into()), ..both.clone() };
    check(vec![
        (RANCHER, facts(), "c:overlayfs", "no images", "mobyStorageDriver to classic"),
        (RANCHER, prior(&["overlay2"]), "c:overlayfs", "no images", "mobyStorageDriver to classic"),
        (RANCHER, classic.clone(), "overlay2", "only the classic store", "mobyStorageDriver to snapshotter"),
        (RANCHER, Facts { feature: Some(true), ..classic.clone() }, "overlay2", "only the classic", "snapshotter"),
        (RANCHER, both.clone(), "c:overlayfs", "containerd store has data", "mobyStorageDriver to classic"),
        (RANCHER, Facts { feature: Some(false), ..both }, "c:overlayfs", "has data", "classic"),
        (WASM, classic, "c:overlayfs", "WebAssembly", "Turn off WebAssembly"),
        (RANCHER, blocked, "error", "no snapshotter of that name", REMOVE),
    ]);
}
