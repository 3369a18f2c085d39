//! What each fuzz target does with its bytes. The fuzzers and the replay test on stable share it.
//!
//! A target fails by a panic: one of the library's, or one of what must hold of every input.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::sync::Arc;

use serde_json::Value;
use tranship::error::DecodeError;
use tranship::format::compression::Compression;
use tranship::format::docker::log::{Form, Frame};
use tranship::format::docker::{
    archive, container, daemon_config, host_config, layerdb, link, network, repositories,
    run_config, volume,
};
use tranship::format::oci::{Descriptor, ImageConfig, Index, Manifest, Platform, Shape, shape};
use tranship::format::raw::decode;
use tranship::format::reference::{AnyReference, Reference};
use tranship::format::tar::{Member, Watch, watch};
use tranship::format::{bbolt, containerd, edit, tar_split, time};
use tranship::model::StoreKind;
use tranship::op::host::{Known, Opened, survey};
use tranship::op::transfer::{self, Containers, OnConflict, Options, Selection, Without};
use tranship::store::{self, Form as Written, Source, Writing};
use tranship::tree::{Memory, Sink, Snapshots, TarTree, Time};

/// A target: its name, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: [Target; 10] = [
    ("archive", whole_archive),
    ("bbolt", bolt_file),
    ("compression", compressed),
    ("containerd", containerd_values),
    ("docker", docker_documents),
    ("log", log_file),
    ("oci", oci_documents),
    ("reference", reference),
    ("tar", tar),
    ("tar_split", tar_split_record),
];

/// As much as is read of what may be endless.
const MOST: u64 = 4 << 20;

/// A bolt file: what the checker lets pass can be read, and is the same after it is written anew.
pub fn bolt_file(bytes: &[u8]) {
    let Ok(db) = bbolt::Db::open(bytes) else { return };
    let checked = db.check();
    let Ok(root) = bbolt::load(&db) else {
        assert!(checked.is_err(), "checked as sound, and cannot be read");
        return;
    };
    if checked.is_err() {
        return;
    }
    let Ok(written) = bbolt::write(&root, &bbolt::Options::replacing(&db)) else { return };
    bbolt::check(&written).expect("what was written is sound");
    let again = bbolt::Db::open(&written).expect("checked");
    assert_eq!(bbolt::load(&again).expect("checked"), root, "it is the same when read again");
}

struct Sum(u64);

impl Watch for Sum {
    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        self.0 = self.0.wrapping_add(member.path.len() as u64);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0 = self.0.wrapping_add(bytes.len() as u64);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A tar, taken apart with everything in the record: put together it is the same.
pub fn tar(bytes: &[u8]) {
    let read = watch(bytes, &mut Sum(0));
    let mut out = tar_split::Writer::new(Vec::new());
    let apart = tar_split::Apart::everything();
    let taken = tar_split::disassemble(bytes, &mut out, &apart, &mut ());
    assert_eq!(read.is_ok(), taken.is_ok(), "{read:?} and {taken:?}");
    if taken.is_err() {
        return;
    }
    let (record, mut again) = (out.into_inner(), Vec::new());
    for entry in tar_split::Entries::new(record.as_slice()) {
        match entry.expect("what was written can be read") {
            tar_split::Entry::Segment(segment) => again.extend(segment),
            tar_split::Entry::File { size, .. } => assert_eq!(size, 0, "nothing is in files"),
        }
    }
    assert!(again == bytes, "the tar is another");
}

/// A tar-split record, compressed or not: what was written of it is the same when it is written again,
/// and says the same.
pub fn tar_split_record(bytes: &[u8]) {
    let entries = entries_of(bytes);
    let written = record_of(&entries);
    let again = entries_of(&written);
    assert!(record_of(&again) == written, "another record");
    assert_eq!(meant(&again), meant(&entries));
}

fn entries_of(record: &[u8]) -> Vec<tar_split::Entry> {
    let mut size = 0;
    let entries = tar_split::Entries::new(record).map_while(Result::ok);
    let bounded = entries.take_while(|entry| {
        size += if let tar_split::Entry::Segment(bytes) = entry { bytes.len() as u64 } else { 64 };
        size < MOST
    });
    bounded.collect()
}

fn record_of(entries: &[tar_split::Entry]) -> Vec<u8> {
    let mut out = tar_split::Writer::new(Vec::new());
    for entry in entries {
        out.entry(entry).expect("a vector takes every write");
    }
    out.into_inner()
}

/// Returns the bytes and the files that a record is of: an empty segment is nothing.
fn meant(entries: &[tar_split::Entry]) -> (u64, Vec<(&[u8], u64)>) {
    let (mut bytes, mut files) = (0, Vec::new());
    for entry in entries {
        match entry {
            tar_split::Entry::Segment(segment) => bytes += segment.len() as u64,
            tar_split::Entry::File { name, size, .. } => files.push((name.as_slice(), *size)),
        }
    }
    (bytes, files)
}

/// Each of dockerd's own files, whichever the bytes are.
pub fn docker_documents(bytes: &[u8]) {
    let _ = decode::<container::Container>(bytes);
    let _ = decode::<host_config::HostConfig>(bytes);
    let _ = decode::<run_config::ImageRuns>(bytes);
    let _ = decode::<volume::Record>(bytes);
    let _ = decode::<volume::Opts>(bytes);
    if let Ok(Value::Object(members)) = serde_json::from_slice(bytes) {
        let _ = network::NetworkSettings::of(&members);
    }
    let _ = repositories::read(bytes);
    if let Ok(names) = repositories::Names::read(bytes) {
        let again = repositories::Names::read(&names.to_bytes());
        assert_eq!(again.expect("what was written can be read"), names);
    }
    let _ = archive::saved_images(bytes);
    let _ = (layerdb::diff_id(bytes), layerdb::parent(bytes), layerdb::size(bytes));
    let _ = (layerdb::cache_id(bytes), layerdb::mount_id(bytes));
    if let Ok(links) = link::parse_lower(bytes)
        && let Some(text) = link::format_lower(&links)
    {
        assert_eq!(link::parse_lower(&text).expect("what was written can be read"), links);
    }
    let _ = (link::Link::parse(bytes), link::parse_target(bytes).map(<[u8]>::len));
    rebound(bytes);
    switched(bytes);
}

fn rebound(bytes: &[u8]) {
    let to = container::Binding {
        driver: "overlayfs",
        image: "sha256:0",
        image_manifest: None,
        image_platform: None,
    };
    let Ok(new) = container::rebind(bytes, &to) else { return };
    let found: Value = serde_json::from_slice(&new).expect("an edited document is JSON");
    assert_eq!(found["Driver"], "overlayfs");
    let _ = std::str::from_utf8(&new).map(|text| edit::remove(text, "Driver"));
}

fn switched(bytes: &[u8]) {
    let to = [daemon_config::switch_to_containerd, daemon_config::switch_to_classic];
    for (switch, on) in to.into_iter().zip([true, false]) {
        let Ok(edited) = switch(bytes) else { continue };
        let read = daemon_config::DaemonConfig::parse(&edited.bytes).expect("it can be read");
        assert_eq!(read.feature(daemon_config::FEATURE_SNAPSHOTTER), Some(on));
        let again = switch(&edited.bytes).expect("it can be read");
        assert_eq!(again.changes, [], "nothing is left to change");
    }
}

/// Documents of images.
pub fn oci_documents(bytes: &[u8]) {
    let shape = shape(bytes);
    if let Ok(Some(Shape::Index)) = shape {
        let _ = decode::<Index>(bytes);
    }
    if let Ok(manifest) = decode::<Manifest>(bytes) {
        let _ = (manifest.is_pseudo(), manifest.children().count());
    }
    if let Ok(index) = decode::<Index>(bytes) {
        let _ = index.manifests.iter().filter_map(Descriptor::blob).count();
    }
    let _ = decode::<Platform>(bytes).map(|platform| platform.is_unknown());
    if let Ok(config) = decode::<ImageConfig>(bytes) {
        let _ = (config.diff_ids(), config.chain_id(), config.created(), config.labels());
        let _ = (config.history_layers(), config.os().len());
    }
}

/// A reference in any form: how it is shown leads to it again.
pub fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = AnyReference::parse(text);
    let Ok(reference) = Reference::parse_normalized(text) else { return };
    let forms = [reference.to_string(), reference.familiar()];
    for form in forms {
        let again = Reference::parse_normalized(&form);
        assert_eq!(again.as_ref(), Ok(&reference), "{text:?} is shown as {form:?}");
    }
    let _ = (reference.blob(), reference.clone().tag_name_only(), reference.favor_digest());
}

/// The values in containerd's bolt files.
pub fn containerd_values(bytes: &[u8]) {
    use containerd::{key, labels, value};
    if let Ok(found) = value::time(bytes) {
        assert_eq!(value::time(&value::encode_time(found)).map(|t| t.seconds), Ok(found.seconds));
    }
    if let Ok(number) = value::uvarint(bytes) {
        assert_eq!(value::uvarint(&value::encode_uvarint(number)), Ok(number));
    }
    if let Ok(number) = value::varint(bytes) {
        assert_eq!(value::varint(&value::encode_varint(number)), Ok(number));
    }
    if let Ok((parent, child)) = key::parent_link(bytes) {
        assert_eq!(key::parent_link(&key::encode_parent_link(parent, child)), Ok((parent, child)));
    }
    let _ = key::BackendKey::parse(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (label, value) = text.split_once('=').unwrap_or((text, ""));
    let _ = labels::Edge::of(label, value);
    let _: Result<_, DecodeError> = time::Timestamp::parse(text);
}

/// A container's log, read to its end as a whole: each step goes forward.
pub fn log_file(bytes: &[u8]) {
    for form in [Form::Json, Form::Local] {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = match form.frame(rest, true) {
                Frame::Record(body, length) => {
                    let body = rest.get(body).expect("a body is inside");
                    let read = form.decode(body);
                    let salvaged = form.salvage(body).unwrap_or(0);
                    assert!(salvaged <= body.len());
                    let _ = read.map(|record| record.is_partial());
                    length
                }
                Frame::Damage(length, _) => length,
                Frame::Torn | Frame::More => break,
            };
            assert!(length > 0, "a step that goes nowhere");
            rest = rest.get(length..).expect("a step that ends inside");
        }
        for wanted in [0, 1, 100] {
            if let tranship::format::docker::log::Tail::From(start) = form.tail(bytes, wanted) {
                assert!(start <= bytes.len());
            }
        }
    }
}

/// What is packed, or says so.
pub fn compressed(bytes: &[u8]) {
    if let Ok(reader) = Compression::sniff(bytes).reader(bytes) {
        let _ = io::copy(&mut reader.take(MOST), &mut io::sink());
    }
}

/// An archive of images or of a data root: read and, as far as it goes, put into both stores.
pub fn whole_archive(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let Ok(tree) = TarTree::open(file.path()) else { return };
    let opened = Opened { tree: Arc::new(tree), only: None };
    let Ok(host) = survey(&opened, &Known { platform: amd64(), ..Known::default() }) else {
        return;
    };
    for seen in host.roots.iter().flat_map(|root| &root.stores) {
        let Some(source) = seen.here.source.as_deref() else { continue };
        for kind in [StoreKind::Containerd, StoreKind::Classic, StoreKind::Layout] {
            let _ = put(source, kind);
        }
    }
}

fn amd64() -> Platform {
    let (architecture, os) = ("amd64".to_owned(), "linux".to_owned());
    Platform { architecture, os, ..Platform::default() }
}

fn put(source: &dyn Source, kind: StoreKind) -> tranship::error::Result<()> {
    let (compression, snapshots) = (store::Compression::None, Snapshots::Copy);
    let now = Time { seconds: 1_760_000_000, nanos: 0 };
    let writing = Writing { compression, snapshots, form: Written::Oci, now };
    let sink: Arc<dyn Sink> = Arc::new(Memory::new());
    let target = store::open::target(kind, sink, &amd64(), writing)?;
    let options = Options {
        selection: Selection { all: true, ..Selection::default() },
        on_conflict: OnConflict::Keep,
        compression,
        snapshots,
        can_share: false,
        names: Vec::new(),
        without: Without::default(),
        platform: None,
        rebuild_missing: true,
        tell_rest: true,
        containers: Containers::Unseen,
        alive: HashSet::new(),
    };
    let plan = transfer::plan(source, &*target, &HashMap::new(), &options)?;
    transfer::apply(&plan, source, &*target, 1, &()).map(drop)
}
