//! Whole stores.

use tranship::model::StoreKind;
use tranship::tree::{Memory, Sink, Tree, path, read};

use super::{codes, images, only, planned, removed, store, surveyed};
use crate::moves::{INNER, add, container_id, look, moved, put, root, there_and_back};
use crate::support::classic::Classic;

fn both() -> Memory {
    moved(&root(), StoreKind::Classic).0
}

fn unproven(root: &Memory, kind: StoreKind) -> Vec<(String, String)> {
    let plan = planned(root, &store(kind));
    plan.unproven.into_iter().map(|one| (one.what, one.why)).collect()
}

#[test]
fn the_classic_store_goes_once_all_of_it_is_in_the_other() {
    let both = both();
    let (_, containers) = look(&both).expect("sound");
    let plan = planned(&both, &store(StoreKind::Classic));
    assert_eq!((plan.unproven.as_slice(), plan.stays.as_slice()), (&[][..], &[][..]));
    assert_eq!(codes(&plan), [("store-layers", 1), ("store-records", 1)].into());
    let (after, done) = removed(&both, &store(StoreKind::Classic));
    assert!(after.stat(path("image/overlay2")).is_err() && after.stat(path("overlay2")).is_err());
    assert_eq!(after.names(path("tranship")).unwrap_or_default(), [b"containers.json".to_vec()]);
    assert_eq!(look(&after).expect("sound").1, containers);
    assert_eq!(images(&after), Ok([(StoreKind::Containerd, 2)].into()));
    assert_eq!(done.freed, super::bytes(&both) - super::bytes(&after));
    assert!(done.freed > 0 && done.number.is_none());
}

#[test]
fn the_containerd_store_goes_once_all_of_it_is_in_the_other() {
    let both = there_and_back(StoreKind::Classic);
    let (both, _, _) = moved(&both, StoreKind::Containerd);
    let (_, containers) = look(&both).expect("sound");
    let plan = planned(&both, &store(StoreKind::Containerd));
    assert_eq!(plan.unproven, []);
    let (after, done) = removed(&both, &store(StoreKind::Containerd));
    assert_eq!(look(&after).expect("sound").1, containers);
    let wanted = [(StoreKind::Classic, 2), (StoreKind::Containerd, 0)];
    assert_eq!(images(&after), Ok(wanted.into()));
    for folder in [crate::support::seen::BLOBS, crate::support::seen::FOLDERS] {
        let names = after.names(path(&format!("{INNER}/{folder}"))).expect("a folder");
        assert_eq!(names, [] as [Vec<u8>; 0], "{folder}");
    }
    assert!(done.freed > 0);
}

#[test]
fn nothing_goes_that_is_not_elsewhere() {
    let alone = root();
    put(&alone, &format!("{INNER}/x"), b"no store yet");
    let missing = unproven(&alone, StoreKind::Classic);
    assert!(missing.is_empty() || missing.iter().all(|(_, why)| why.contains("not in the other")));

    let both = both();
    let source = Classic::of("diff base\n  file x new\nimage new = base\n  name new:1\n").tree();
    for folder in ["image/overlay2", "overlay2"] {
        merge(&source, &both, folder);
    }
    let names = br#"{"Repositories":{}}"#;
    put(&both, "image/overlay2/repositories.json", names);
    let missing = unproven(&both, StoreKind::Classic);
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].1.contains("not in the other store"), "{missing:?}");
}

fn merge(from: &Memory, to: &Memory, folder: &str) {
    tranship::tree::walk(from, path(folder), &mut |at, entry| {
        let name = at.to_string();
        if entry.metadata.kind == tranship::tree::Kind::File && to.stat(at).is_err() {
            put(to, &name, &read(from, at)?);
        }
        Ok(true)
    })
    .expect("memory can be read");
}

#[test]
fn a_damaged_copy_is_no_copy() {
    let both = both();
    let blobs = format!("{INNER}/{}", crate::support::seen::BLOBS);
    let largest = both.list(path(&blobs)).expect("blobs");
    let largest = largest.iter().max_by_key(|entry| entry.metadata.size).expect("blobs");
    let file = format!("{blobs}/{}", String::from_utf8_lossy(&largest.name));
    let mut bytes = read(&both, path(&file)).expect("a blob");
    bytes[600] ^= 1;
    put(&both, &file, &bytes);
    let missing = unproven(&both, StoreKind::Classic);
    assert!(missing.iter().any(|(_, why)| why.contains("its copy is not whole")), "{missing:?}");
}

#[test]
fn a_name_that_leads_nowhere_else_is_missed() {
    let both = both();
    let file = "image/overlay2/repositories.json";
    let text = String::from_utf8(read(&both, path(file)).expect("names")).expect("text");
    let id = Classic::of("diff base\n  dir  bin\n  file bin/sh shell*30\nimage base = base\n");
    let more = format!(r#""other":{{"other:1":"{}"}},"#, id.config("base"));
    let text = text.replace(r#"{"Repositories":{"#, &format!(r#"{{"Repositories":{{{more}"#));
    put(&both, file, text.as_bytes());
    let missing = unproven(&both, StoreKind::Classic);
    assert!(missing.iter().any(|(_, why)| why.contains("other:1")), "{missing:?}");
}

#[test]
fn a_copy_of_a_container_may_be_older_and_not_newer() {
    let both = both();
    let host = surveyed(&both);
    let inner = only(&host);
    let writable = |kind: StoreKind| {
        let seen = inner.stores.iter().find(|seen| seen.here.kind == kind).expect("a store");
        let source = seen.here.source.as_deref().expect("it can be read");
        source.writable(&container_id("web")).expect("whole").upper.to_string()
    };
    let (old, new) = (writable(StoreKind::Classic), writable(StoreKind::Containerd));
    let later = |file: &str, seconds: i64| {
        let tree = both.clone();
        put(&tree, file, b"something");
        let mtime = Some(tranship::tree::Time { seconds, nanos: 0 });
        let to = tranship::tree::Attributes { mtime, ..tranship::tree::Attributes::root(0o644) };
        tree.set_attributes(path(file), &to).expect("it is there");
        tree
    };
    let used = later(&format!("{INNER}/{new}/later"), 4_000_000_000);
    assert_eq!(unproven(&used, StoreKind::Classic), []);
    let newer = later(&format!("{old}/later"), 4_000_000_000);
    let missing = unproven(&newer, StoreKind::Classic);
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].0 == "container web" && missing[0].1.contains("not the same"));
}

#[test]
fn a_container_that_is_bound_to_it_keeps_all_it_needs() {
    let both = both();
    let id = add(&both, "late", "app", &["base", "code"], "");
    let plan = planned(&both, &store(StoreKind::Classic));
    assert_eq!(plan.unproven, []);
    assert!(plan.stays.iter().any(|stay| stay.what == "container late"), "{:?}", plan.stays);
    let (after, done) = removed(&both, &store(StoreKind::Classic));
    let (drivers, _) = look(&after).expect("sound");
    assert_eq!(drivers.get("late").map(String::as_str), Some("overlay2"));
    let wanted = [(StoreKind::Classic, 1), (StoreKind::Containerd, 2)];
    assert_eq!(images(&after), Ok(wanted.into()), "its image stays");
    let mounts = after.names(path("image/overlay2/layerdb/mounts")).expect("mounts");
    assert_eq!(mounts, [id.into_bytes()]);
    assert_eq!(done.freed, super::bytes(&both) - super::bytes(&after));
    let (again, done) = removed(&after, &store(StoreKind::Classic));
    assert_eq!((done.freed, super::bytes(&again)), (0, super::bytes(&after)), "nothing more");
}

#[test]
fn what_is_kept_comes_back() {
    let both = both();
    let before = images(&both);
    let request = tranship::op::reclaim::Request { keep: true, ..store(StoreKind::Classic) };
    let (after, done) = removed(&both, &request);
    assert_eq!((done.freed, done.number), (0, Some(1)));
    assert_eq!(images(&after), Ok([(StoreKind::Containerd, 2)].into()));
    tranship::op::aside::undo(&after, 1).expect("nothing was changed");
    assert_eq!(images(&after), before);
    let (after, _) = removed(&both, &request);
    let quarantine = tranship::op::reclaim::Request { quarantine: true, ..super::orphans() };
    let (after, done) = removed(&after, &quarantine);
    assert!(done.freed > 0 && after.stat(path("tranship/quarantine")).is_err());
}
