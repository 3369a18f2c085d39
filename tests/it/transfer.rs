//! Which images arrive, under which names.

use std::io::Read as _;
use std::sync::Arc;

use tranship::digest::Digest;
use tranship::error::ErrorKind;
use tranship::model::Severity;
use tranship::op::transfer::OnConflict;
use tranship::store::{Compression, Source as _, Target as _};
use tranship::tree::{Memory, Sink, path, read};

use crate::support::classic::{Classic, put};
use crate::support::moved::{Moved, moved};
use crate::support::scene::STORE;
use crate::support::seen::{BLOBS, META, bolt, leftovers, look};
use crate::support::source::Counting;
use crate::support::{Migration, daemon, open};

/// A line of images, each built from the one before, of which some have names.
const LINE: &str = "
diff a
  file a a
diff b
  file b b
diff c
  file c c
image first = a
  name first:1
image middle = a + b
  parent first
image last = a + b + c
  name last:1
  name other:2
  parent middle
image lonely = a
";

#[test]
fn tagged_parents_stay_and_steps_between_come_along_when_asked_for() {
    let line = Classic::of(LINE);
    let dangling = |moved: &Moved, title: &str| {
        format!("moby-dangling@{}", moved.became(line.config(title).0))
    };
    let listed = moved(LINE, &Migration::default());
    let lonely = dangling(&listed, "lonely");
    assert_eq!(listed.names(), ["first:1", "last:1", &lonely, "other:2"]);
    assert_eq!(listed.record("last:1").labels.len(), 0, "its parent did not come");
    assert_eq!(listed.record("last:1").target, listed.record("other:2").target);

    let all = moved(LINE, &Migration::all());
    let (lonely, middle) = (dangling(&all, "lonely"), dangling(&all, "middle"));
    let mut names = vec!["first:1", "last:1", "other:2", &lonely, &middle];
    names.sort_unstable();
    assert_eq!(all.names(), names);
    let parent = |record: &crate::support::seen::Record| {
        record.labels.get("org.mobyproject.image.parent").cloned()
    };
    let middle = &all.seen.records[&middle];
    assert_eq!(parent(all.record("last:1")), Some(middle.target.clone()));
    assert_eq!(parent(middle), Some(all.record("first:1").target.clone()));
    assert_eq!(parent(all.record("first:1")), None);
}

#[test]
fn a_parent_that_came_before_is_remembered() {
    let first = moved(LINE, &Migration::of(&["first:1"]));
    let middle = Classic::of(LINE).config("middle").hex();
    let both = first.and(LINE, &Migration::of(&[&middle]));
    let record = both.seen.records.iter().find(|(name, _)| name.starts_with("moby-dangling"));
    let (_, record) = record.expect("it has no name");
    let parent = &record.labels["org.mobyproject.image.parent"];
    assert_eq!(*parent, both.record("first:1").target);
}

#[test]
fn digests_name_what_the_image_becomes() {
    let text = format!(
        "
diff a
  file a a
image tagged = a
  name tagged:1
  name tagged@sha256:{0}
image pulled = a
  name example.com:5000/some/pulled@sha256:{0}
",
        "0123456789abcdef".repeat(4)
    );
    let moved = moved(&text, &Migration::default());
    let pulled = moved.became(Classic::of(&text).config("pulled").0);
    let name = format!("example.com:5000/some/pulled@{pulled}");
    assert_eq!(moved.names(), [&name, "tagged:1"], "where a tag leads, no digest is needed");
    assert_eq!(moved.seen.records[&name].target, pulled.to_string());
    let again = moved.and(&text, &Migration::default());
    assert_eq!((again.outcome.moved.len(), again.seen), (0, moved.seen));
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let first = moved(STORE, &Migration::all());
    for migration in [Migration::all(), Migration::default().compression(Compression::Gzip(1))] {
        let second = first.and(STORE, &migration);
        assert_eq!(second.outcome, Default::default());
        assert_eq!(second.seen, first.seen);
        let meta = |moved: &Moved| read(&*moved.tree, path(META)).expect("it is there");
        assert!(meta(&second) == meta(&first), "not a byte is written");
    }
}

#[test]
fn a_name_that_comes_later_is_all_that_is_added() {
    let one = moved("diff a\n  file a a\nimage x = a\n  name x:1", &Migration::default());
    let text =
        "diff a\n  file a a\nimage x = a\n  name x:1\n  name y:2\n  updated 2025-01-01T00:00:00Z";
    let store = open(&Arc::new(Classic::of(text).tree()));
    let source = Counting::new(&store);
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&one.tree);
    Migration::default().run(&source, &sink).expect("a sound store");
    assert_eq!(source.all_opened(), 0, "no layer is read");
    let seen = look(&*one.tree).expect("a sound target");
    assert_eq!((&seen.blobs, &seen.snapshots), (&one.seen.blobs, &one.seen.snapshots));
    assert_eq!(seen.records["docker.io/library/x:1"], *one.record("x:1"));
    assert_eq!(seen.records["docker.io/library/y:2"].target, one.record("x:1").target);
    assert_eq!(leftovers(&*one.tree), [""; 0]);
}

/// Another image under one of the names of the first.
const THEIRS: &str = "
diff a
  file a a
image theirs = a
  name app:1
image also = a
  name also:1
";
const OURS: &str = "
diff a
  file a a
diff b
  file b b
image ours = a + b
  name app:1
  name app:2
";

#[test]
fn a_name_that_is_taken_stays_or_goes_or_stops_all() {
    let theirs = moved(THEIRS, &Migration::default());
    let old = theirs.record("app:1").target.clone();

    let keep = theirs.and(OURS, &Migration::default());
    assert_eq!(keep.names(), ["also:1", "app:1", "app:2"]);
    assert_eq!(keep.record("app:1").target, old);
    assert_ne!(keep.record("app:2").target, old);

    let replace = Migration::default().on_conflict(OnConflict::Replace);
    let replaced = theirs.and(OURS, &replace);
    let dangling = format!("moby-dangling@{old}");
    assert_eq!(replaced.names(), ["also:1", "app:1", "app:2", &dangling]);
    assert_eq!(replaced.record("app:1").target, replaced.record("app:2").target);
    assert_eq!(replaced.seen.records[&dangling].target, old);
    let back = replaced.and(THEIRS, &replace);
    assert_eq!(back.names(), ["also:1", "app:1", "app:2"], "it has a name again");

    let fail = Migration::default().on_conflict(OnConflict::Fail);
    let before = look(&*theirs.tree);
    let Err(error) = Moved::try_into((*theirs.tree).clone(), OURS, &fail) else {
        panic!("`app:1` is another image's");
    };
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.what().contains("docker.io/library/app:1"), "{error}");
    assert_eq!(look(&*theirs.tree), before);
}

#[test]
fn an_image_that_keeps_another_name_does_not_dangle() {
    let text = "diff a\n  file a a\nimage x = a\n  name app:1\n  name x:1";
    let theirs = moved(text, &Migration::default());
    let replace = Migration::default().on_conflict(OnConflict::Replace);
    assert_eq!(theirs.and(OURS, &replace).names(), ["app:1", "app:2", "x:1"]);
}

#[test]
fn blobs_that_are_there_are_used_whatever_their_compression() {
    let gzip = moved(THEIRS, &Migration::default().compression(Compression::Gzip(6)));
    let diff_id = Classic::of(THEIRS).diff_id("a");
    let zstd = gzip.and(OURS, &Migration::default().compression(Compression::Zstd(1)));
    let blobs = |moved: &Moved| {
        let all = moved.seen.blobs.values();
        let label = diff_id.to_string();
        all.filter(|b| b.labels.get("containerd.io/uncompressed") == Some(&label)).count()
    };
    assert_eq!(blobs(&zstd), 1, "the layer they share is not packed again");
    let manifest = &zstd.record("app:2").target["sha256:".len()..];
    let manifest = read(&*zstd.tree, path(&format!("{BLOBS}/{manifest}"))).expect("it is there");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let types = [&manifest["layers"][0]["mediaType"], &manifest["layers"][1]["mediaType"]];
    let layer = "application/vnd.oci.image.layer.v1.tar";
    assert_eq!(types, [&format!("{layer}+gzip"), &format!("{layer}+zstd")]);

    let none = gzip.and(OURS, &Migration::default());
    assert_eq!(blobs(&none), 2, "without compression the ID is to be Docker's own");
}

#[test]
fn a_blob_that_is_damaged_is_made_anew() {
    let theirs = moved(THEIRS, &Migration::default().compression(Compression::Gzip(6)));
    let diff_id = Classic::of(THEIRS).diff_id("a").to_string();
    let layer = theirs
        .seen
        .blobs
        .iter()
        .find(|(_, blob)| blob.labels.get("containerd.io/uncompressed") == Some(&diff_id));
    let file = format!("{BLOBS}/{}", &layer.expect("it is there").0["sha256:".len()..]);
    put(&*theirs.tree, &file, b"cut off");
    assert!(!theirs.writer().has_blob(Classic::of(THEIRS).diff_id("a")), "it is of no use");
    let again = theirs.and(OURS, &Migration::default().compression(Compression::Gzip(6)));
    assert_eq!(again.names(), ["also:1", "app:1", "app:2"], "look() has checked every blob");
}

#[test]
fn snapshots_that_no_image_stands_on_are_used_too() {
    let cached = moved(OURS, &Migration::default());
    daemon::edit(&cached.tree, META, |meta| {
        let namespace = meta.path_mut(&[b"v1", b"moby"]);
        let kept = namespace.path_mut(&[b"leases", b"build", b"snapshots", b"overlayfs"]);
        kept.put(Classic::of(OURS).chain(&["a", "b"]).to_string().into_bytes(), Vec::new());
        namespace.remove(b"images");
        namespace.path_mut(&[b"content"]).remove(b"blob");
    });
    let before = bolt(&*cached.tree, crate::support::seen::BACKEND);
    for hex in cached.seen.blobs.keys() {
        let file = format!("{BLOBS}/{}", &hex["sha256:".len()..]);
        cached.tree.remove(path(&file)).expect("below the root");
    }
    let again = cached.and(OURS, &Migration::default());
    assert_eq!(again.names(), ["app:1", "app:2"]);
    assert_eq!(bolt(&*again.tree, crate::support::seen::BACKEND), before, "nothing is unpacked");
}

#[test]
fn an_image_without_layers_is_a_manifest_without_layers() {
    let moved = moved("image empty =\n  name empty:1", &Migration::default());
    let target = &moved.record("empty:1").target["sha256:".len()..];
    let manifest = read(&*moved.tree, path(&format!("{BLOBS}/{target}"))).expect("it is there");
    assert!(manifest.ends_with(b"\"layers\":[]}"));
    assert_eq!((moved.seen.snapshots.len(), moved.seen.blobs.len()), (0, 2));
}

#[test]
fn a_damaged_file_costs_the_images_that_have_it_and_no_other() {
    let text = "
diff base
  dir  bin
  file bin/sh shell*100
diff good
  file good good
diff bad
  dir  etc
  file etc/passwd root:x:0:0
image base = base
  name base:1
image good = base + good
  name good:1
image bad = base + bad
  name bad:1
image worse = base + bad + good
  name worse:1
  parent bad
";
    let classic = Classic::of(text);
    let tree = Arc::new(classic.tree());
    let file = format!("{}/etc/passwd", classic.files(&["base", "bad"]));
    put(&*tree, &file, b"root::0:0:");
    let target = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let outcome = Migration::default().run(&open(&tree), &sink).expect("the others arrive");
    let failed: Vec<Digest> = outcome.failed.iter().map(|failed| failed.id).collect();
    let mut wanted = [classic.config("bad").0, classic.config("worse").0];
    wanted.sort_unstable();
    let mut found = failed.clone();
    found.sort_unstable();
    assert_eq!(found, wanted);
    assert_eq!(outcome.findings.len(), 1, "the layer is told of once: {:?}", outcome.findings);
    let finding = &outcome.findings[0];
    assert_eq!((finding.code, finding.severity), ("layer-damaged", Severity::DataLost));
    assert_eq!(finding.place.path, file.as_bytes());
    assert!(finding.what.contains("CRC-64"), "{}", finding.what);
    assert!(finding.remedy.contains("pull or build the image again"), "{}", finding.remedy);
    let seen = look(&*target).expect("a sound target");
    let names: Vec<_> = seen.records.keys().collect();
    assert_eq!(names, ["docker.io/library/base:1", "docker.io/library/good:1"]);
    assert_eq!(leftovers(&*target), [""; 0], "nothing of the damaged layer stays");

    let layer = open(&tree);
    let content = layer.layer(classic.chain(&["base", "bad"])).expect("it is known");
    let mut tar = Vec::new();
    content.tar().expect("it has a record").read_to_end(&mut tar).expect_err("damaged");
}
