//! Where every byte is: each file is of one line, and the lines are all there is.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tranship::model::{Holder, StoreKind, Use};
use tranship::op::host::Host;
use tranship::op::reclaim::{Request, plan};
use tranship::op::usage::{Amount, By, Ledger, Line, groups, ledger, removal, whois};
use tranship::tree::{Kind, Memory, Metadata, Sink, Tree, TreePath, path, walk};

use crate::moves::{INNER, put, root};
use crate::reclaim::{ORPHANS, both, only, recorded, surveyed};
use crate::support::NOW;
use crate::support::seen::{FOLDERS, META};

fn counted(host: &Host) -> Ledger {
    let ledger = ledger(host, NOW, &()).expect("it can be read");
    assert_eq!(ledger.findings, []);
    ledger
}

/// Counts as `du` does: every file once, however many names it has.
fn du(tree: &dyn Tree) -> Amount {
    let mut seen = HashSet::new();
    let mut total = Amount::default();
    let mut add = |found: &Metadata| {
        if found.kind == Kind::Dir || found.nlink < 2 || seen.insert(found.ino) {
            total.add(Amount { on_disk: found.allocated, apparent: found.size, files: 1 });
        }
    };
    add(&tree.stat(TreePath::ROOT).expect("a root"));
    walk(tree, TreePath::ROOT, &mut |_, entry| {
        add(&entry.metadata);
        Ok(true)
    })
    .expect("a sound tree");
    total
}

fn uses(ledger: &Ledger) -> BTreeSet<Use> {
    ledger.lines.iter().map(|line| line.thing.of).collect()
}

fn waste(ledger: &Ledger) -> BTreeMap<String, Use> {
    let lines = ledger.lines.iter().filter(|line| line.thing.of.is_waste());
    lines.map(|line| (line.thing.id.clone(), line.thing.of)).collect()
}

#[test]
fn the_sum_of_the_lines_is_what_du_says() {
    for host in [surveyed(&root()), surveyed(&both())] {
        assert_eq!(counted(&host).total(), du(&*host.tree));
    }
    for name in ["classic-28", "containerd-28", "hidden-28"] {
        let host = recorded(name);
        let ledger = counted(&host);
        assert_eq!(ledger.total(), du(&*host.tree), "{name}");
        let folders = ledger.directories.iter().map(|(_, amount)| amount.on_disk);
        assert_eq!(folders.sum::<u64>(), ledger.total().on_disk, "{name}");
        for by in [By::Kind, By::Directory] {
            let sum: u64 = groups(&ledger, by).iter().map(|group| group.all.on_disk).sum();
            assert_eq!(sum, ledger.total().on_disk, "{name}: {by:?}");
        }
        assert!(!uses(&ledger).contains(&Use::Unknown), "{name}: {:?}", ledger.lines);
    }
}

#[test]
fn what_docker_recorded_is_found_in_its_lines() {
    let ledger = counted(&recorded("hidden-28"));
    let of = |wanted: Use, store: Option<StoreKind>| -> BTreeSet<String> {
        let lines = ledger.lines.iter();
        let lines = lines.filter(|line| (line.thing.of, line.store) == (wanted, store));
        lines.flat_map(|line| line.names.clone()).collect()
    };
    let classic = Some(StoreKind::Classic);
    assert!(of(Use::Layer, classic).contains("tiny/base:1"));
    assert!(of(Use::Snapshot, Some(StoreKind::Containerd)).contains("after/switch:1"));
    let changed = of(Use::Container, classic);
    assert!(changed.contains("changed") && changed == of(Use::Init, classic), "{changed:?}");
    assert!(of(Use::Logs, None).is_superset(&BTreeSet::from(["logs-long".into(), "after".into()])));
    assert!(of(Use::BuildCache, classic).contains("build cache"));
    // What Docker does not show is hidden in both places: the store, and the data root.
    for line in &ledger.lines {
        let is_after = line.names == ["after"];
        let wanted = line.store == Some(StoreKind::Containerd) || is_after;
        assert_eq!(line.hidden, wanted, "{line:?}");
    }
}

#[test]
fn each_orphan_is_a_line_of_its_own_and_frees_what_reclaim_says() {
    let sound = counted(&surveyed(&both()));
    assert_eq!(waste(&sound), BTreeMap::new());
    for (what, add, codes) in ORPHANS {
        let root = both();
        add(&root);
        let host = surveyed(&root);
        let ledger = counted(&host);
        assert_eq!(ledger.total(), du(&*host.tree), "{what}");
        let request = Request { orphans: true, now: NOW, ..Request::default() };
        let plan = plan(only(&host), &request, &()).expect("a plan");
        let freed: u64 = plan.parts.iter().flat_map(|part| &part.room.each).sum();
        let reclaimable: u64 = ledger.lines.iter().map(|line| line.reclaimable).sum();
        assert_eq!(reclaimable, freed, "{what}: {:?}", waste(&ledger));
        let found: BTreeSet<Use> = waste(&ledger).into_values().collect();
        let of = |code: &&str| match *code {
            "lease" => None,
            "staging" | "temporary" | "download" => Some(Use::Stale),
            _ if what == "a layer that is being removed" => Some(Use::Stale),
            _ => Some(Use::Orphan),
        };
        assert_eq!(found, codes.iter().filter_map(of).collect(), "{what}");
    }
}

/// Gives a file of a classic layer a second name in the first folder of the other store.
fn link_a_layer(root: &Memory) {
    let is_content = |at: TreePath<'_>| at.names().any(|name| name == b"diff");
    let mut file = None;
    walk(root, path("overlay2"), &mut |at, entry| {
        if entry.metadata.allocated > 0 && entry.metadata.kind == Kind::File && is_content(at) {
            file = Some(at.to_owned());
        }
        Ok(true)
    })
    .expect("a sound tree");
    let folders = format!("{INNER}/{FOLDERS}");
    let first = root.names(path(&folders)).expect("snapshots").remove(0);
    let first = path(&folders).child(&first).expect("a name");
    let to = first.as_path().join(path("fs/linked"));
    root.link(file.expect("a layer with a file").as_path(), to.as_path()).expect("a free name");
}

/// A file that both stores have is counted in one, and is free only once it is gone from both.
#[test]
fn files_that_stores_share_are_free_with_the_last() {
    let root = both();
    link_a_layer(&root);
    let host = surveyed(&root);
    let ledger = counted(&host);
    assert_eq!(ledger.total(), du(&root));
    let shared = ledger.shared.iter().filter(|shared| shared.is_complete);
    let both: u64 = shared.map(|shared| shared.amount.on_disk).sum();
    assert!(both > 0, "a file has a name in each");
    let frees = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        removal(&host, &ledger, &names).expect("stores").frees.on_disk
    };
    let [classic, containerd] = ["store:classic", "store:containerd"].map(|one| frees(&[one]));
    assert_eq!(frees(&["store:classic", "store:containerd"]), classic + containerd + both);
    let of = |kind| ledger.sum(|line: &Line| line.store == Some(kind)).on_disk;
    assert_eq!(of(StoreKind::Classic) + of(StoreKind::Containerd), classic + containerd + both);
}

/// A name that leads out of the data root keeps the file.
#[test]
fn a_file_that_has_a_name_elsewhere_is_never_free() {
    let system = Memory::new();
    for folder in ["var", "var/lib"] {
        system.make_dir(path(folder), 0o755).expect("a free name");
    }
    put(&system, "var/lib/docker/engine-id", b"x");
    put(&system, "var/lib/docker/volumes/data/_data/file", &[7; 9000]);
    system.make_dir(path("var/lib/docker/containers"), 0o755).expect("a free name");
    system.link(path("var/lib/docker/volumes/data/_data/file"), path("kept")).expect("a free name");
    let host = surveyed(&system);
    let ledger = counted(&host);
    let file = system.stat(path("kept")).expect("it is there").allocated;
    let volume = ledger.lines.iter().find(|line| line.thing.of == Use::Volume).expect("a volume");
    assert_eq!(volume.amount.on_disk - volume.alone.on_disk, file);
    let found = removal(&host, &ledger, &["data".to_owned()]).expect("a volume");
    assert_eq!(found.frees, volume.alone);
}

#[test]
fn what_others_hold_stays_and_goes_with_the_last() {
    let host = recorded("classic-28");
    let ledger = counted(&host);
    let without = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        removal(&host, &ledger, &names).expect("things that are there")
    };
    let (image, container) = (without(&["weird:1"]), without(&["removed-image"]));
    assert!(image.stays.iter().any(|(_, by)| by.contains(&"container removed-image".to_owned())));
    let both = without(&["weird:1", "removed-image"]);
    assert!(both.frees.on_disk > image.frees.on_disk + container.frees.on_disk);
    // Lines go only if all that holds them is gone.
    let all = |line: &Line| {
        let is_gone = |holder: &Holder| match holder {
            Holder::Container(_) => line.names.contains(&"removed-image".to_owned()),
            Holder::Image(_) => line.names.contains(&"weird:1".to_owned()),
            _ => false,
        };
        !line.thing.held_by.is_empty()
            && line.thing.held_by.iter().all(is_gone)
            && line.names.iter().all(|name| ["weird:1", "removed-image"].contains(&name.as_str()))
    };
    assert_eq!(both.frees, ledger.freed(all));
    for name in ["nothing-is-called-so", "store:layout"] {
        assert!(removal(&host, &ledger, &[name.to_owned()]).is_err(), "{name}");
    }
}

/// What cannot be read takes room all the same.
#[test]
fn a_store_with_damaged_records_is_counted() {
    let root = both();
    let meta = format!("{INNER}/{META}");
    root.remove(path(&meta)).expect("it is there");
    put(&root, &meta, b"no database");
    let host = surveyed(&root);
    let ledger = ledger(&host, NOW, &()).expect("the rest can be read");
    assert_eq!(ledger.total(), du(&*host.tree));
    assert!(uses(&ledger).contains(&Use::Unknown));
}

#[test]
fn whose_a_path_is_is_told_and_what_somebody_has() {
    let host = recorded("classic-28");
    let asked = |query: &str| -> Vec<(Use, Vec<String>, Vec<String>)> {
        let (found, findings) = whois(&host, NOW, &[query.to_owned()]).expect("it can be read");
        assert_eq!(findings, []);
        let owned = found.into_iter().flat_map(|one| one.found);
        owned.map(|one| (one.line.thing.of, one.line.names, one.paths)).collect()
    };
    let image = host.image("tiny/base:1", Some(StoreKind::Classic)).expect("it is there").image;
    let top = *image.manifests[0].chain().last().expect("a layer");
    let record = format!("image/overlay2/layerdb/sha256/{}", top.0.hex());
    let cache_id = {
        let mut bytes = Vec::new();
        let at = format!("{record}/cache-id");
        host.tree.read(path(&at), 100, &mut bytes).expect("it is there");
        String::from_utf8(bytes).expect("text")
    };
    let link = {
        let mut bytes = Vec::new();
        let at = format!("overlay2/{cache_id}/link");
        host.tree.read(path(&at), 100, &mut bytes).expect("it is there");
        String::from_utf8(bytes).expect("text")
    };
    // All the ways to one layer.
    let folder = format!("overlay2/{cache_id}");
    let inside = format!("{folder}/diff");
    let short = top.0.short();
    for query in [&folder, &inside, &record, &cache_id, &link, &format!("overlay2/l/{link}")] {
        let found = asked(query);
        let [(of, names, paths)] = found.as_slice() else { panic!("{query}: {found:?}") };
        assert_eq!(*of, Use::Layer, "{query}");
        assert!(names.contains(&"tiny/base:1".to_owned()), "{query}: {names:?}");
        assert!(paths.iter().any(|path| path.ends_with(&folder)), "{query}: {paths:?}");
    }
    let by_start: BTreeSet<Use> = asked(&short).into_iter().map(|(of, ..)| of).collect();
    assert_eq!(by_start, BTreeSet::from([Use::Layer]));
    let ino = host.tree.stat(path(&format!("{folder}/link"))).expect("it is there").ino;
    assert_eq!(asked(&format!("inode:{ino}")).len(), 1);
    // The other way round.
    let has: BTreeSet<Use> = asked("tiny/base:1").into_iter().map(|(of, ..)| of).collect();
    assert!(has.is_superset(&BTreeSet::from([Use::Layer, Use::Metadata])));
    let has: BTreeSet<Use> = asked("changed").into_iter().map(|(of, ..)| of).collect();
    assert!(has.is_superset(&BTreeSet::from([Use::Container, Use::Init, Use::Logs])), "{has:?}");
    for unknown in ["overlay2/gone", "inode:0", "abc", "no/such:1", "../etc", ""] {
        assert_eq!(asked(unknown), [], "{unknown}");
    }
}
