//! From every kind of store into every kind: what arrives is what was there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use tranship::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use tranship::model::StoreKind;
use tranship::op::transfer;
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::store::docker_archive::Archive;
use tranship::store::oci_layout::Layout;
use tranship::store::{Compression, Form, Source, Writing, open as stores};
use tranship::tree::{Memory, Sink, Snapshots, Time, Tree};

use crate::support::carried::{host, read_layers};
use crate::support::classic::Classic;
use crate::support::odd::Odd;
use crate::support::{Migration, NOW, nothing_is, open as open_classic};

const TARGETS: [StoreKind; 3] = [StoreKind::Classic, StoreKind::Containerd, StoreKind::Layout];

/// A store in memory.
#[derive(Clone)]
struct Store {
    kind: StoreKind,
    tree: Arc<Memory>,
}

impl Store {
    fn open(&self) -> Box<dyn Source> {
        let tree: Arc<dyn Tree> = self.tree.clone();
        match self.kind {
            StoreKind::Classic => Box::new(open_classic(&self.tree)),
            StoreKind::Containerd => {
                let found = Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &host());
                Box::new(found.expect("a sound store"))
            }
            StoreKind::Layout => Box::new(Layout::open(tree, &host()).expect("a sound layout")),
            StoreKind::Archive => Box::new(Archive::open(tree).expect("a sound archive")),
        }
    }

    /// Moves everything into a new store.
    fn into(self, kind: StoreKind, compression: Compression, form: Form) -> Self {
        let (source, tree) = (self.open(), Arc::new(Memory::new()));
        let sink: Arc<dyn Sink> = tree.clone();
        let snapshots = Snapshots::Auto;
        let writing = Writing { compression, snapshots, form, now: NOW };
        let target = stores::target(kind, sink, &host(), writing).expect("an empty folder");
        let migration = Migration { compression, snapshots, ..Migration::all() };
        let plan = migration.plan(&*source, &*target).expect("all images are there");
        let pair = format!("{} to {kind}", self.kind);
        assert_eq!(plan.stays, [], "{pair}");
        let outcome = transfer::apply(&plan, &*source, &*target, 2, &()).expect("sound");
        assert_eq!((outcome.failed, outcome.findings), (vec![], vec![]), "{pair}");
        assert_eq!(outcome.moved.len(), source.inventory().images.len(), "{pair}");
        Self { kind, tree }
    }

    /// As [`into`](Self::into), with layers as they are.
    fn to(&self, kind: StoreKind) -> Self {
        self.clone().into(kind, Compression::None, Form::Docker)
    }
}

/// What a store says of an image that any store can say.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    names: Vec<String>,
    layers: Vec<DiffId>,
    tars: Vec<Digest>,
}

fn told(source: &dyn Source) -> BTreeMap<ConfigId, Told> {
    let inventory = source.inventory();
    assert_eq!(inventory.findings, []);
    let one = |image| {
        let image: &tranship::model::Image = image;
        let shown = image.shown().expect("it can run");
        let config = shown.config.as_ref().expect("it is there").0;
        let document = source.document(BlobId(config.0)).expect("it is there");
        assert_eq!(Digest::of(&document.bytes), config.0);
        let mut names: Vec<_> = image.tags().map(|name| name.familiar()).collect();
        names.sort_unstable();
        let tars = read_layers(source, image).unwrap_or_else(|error| panic!("{names:?}: {error}"));
        let tars = tars.iter().map(|tar| Digest::of(tar)).collect();
        (config, Told { names, layers: shown.layers.clone(), tars })
    };
    inventory.images.iter().map(one).collect()
}

/// Returns in words where `found` is not what was made.
fn differences(odd: &Odd, found: &BTreeMap<ConfigId, Told>, way: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if found.len() != odd.images.len() {
        wrong.push(format!("{way}: {} images", found.len()));
    }
    for image in &odd.images {
        let Some(told) = found.get(&odd.config(image)) else {
            wrong.push(format!("{way}: {} is gone", image.title));
            continue;
        };
        let mut names = image.names.to_vec();
        names.sort_unstable();
        let layers: Vec<_> = image.layers.iter().map(|layer| odd.diff_id(*layer)).collect();
        if (&told.layers, told.tars.len()) != (&layers, layers.len()) || told.names != names {
            wrong.push(format!("{way}: {} is {told:?}", image.title));
        }
        for (tar, layer) in told.tars.iter().zip(&image.layers) {
            if *tar != odd.diff_id(*layer).0 {
                wrong.push(format!("{way}: {}: {}", image.title, odd.layers[*layer].0));
            }
        }
    }
    wrong
}

/// Returns a store of each kind that holds the odd images.
fn sources(odd: &Odd) -> [Store; 4] {
    let archive = Store { kind: StoreKind::Archive, tree: odd.archive() };
    let layout = Store { kind: StoreKind::Layout, tree: odd.layout() };
    let (classic, containerd) = (archive.to(StoreKind::Classic), layout.to(StoreKind::Containerd));
    [archive, layout, classic, containerd]
}

#[test]
fn every_pair_keeps_layers_configs_and_names() {
    let odd = Odd::new();
    let mut wrong = Vec::new();
    for source in sources(&odd) {
        let found = told(&*source.open());
        wrong.extend(differences(&odd, &found, &source.kind.to_string()));
        for kind in TARGETS {
            let way = format!("{} to {kind}", source.kind);
            wrong.extend(differences(&odd, &told(&*source.to(kind).open()), &way));
        }
    }
    nothing_is(&wrong);
}

#[test]
fn two_steps_are_as_good_as_one_whatever_packs_the_layers() {
    let odd = Odd::new();
    let mut wrong = Vec::new();
    for (compression, form) in
        [(Compression::Gzip(1), Form::Docker), (Compression::Zstd(1), Form::Oci)]
    {
        for source in sources(&odd) {
            for kind in TARGETS {
                let between = source.clone().into(kind, compression, form);
                for last in TARGETS {
                    let way = format!("{} to {kind} to {last}, {compression:?}", source.kind);
                    wrong.extend(differences(&odd, &told(&*between.to(last).open()), &way));
                }
            }
        }
    }
    nothing_is(&wrong);
}

const FAMILY: &str = "
diff base
  dir  bin
  file bin/sh shell*300
  hard bin/ash bin/sh
  gone old
diff code
  dir  app
  file app/run run
  link app/go run
diff data
  dir  bin
  hide bin
image base = base
  name base:1
  name localhost:5000/team/base:1
  updated 2023-01-02T03:04:05.123456789Z
image step = base + code
  parent base
image app = base + code + data
  name app:1
  parent step
  updated 2024-01-02T03:04:05Z
image same = base + code + base
  name same:1
  parent step
  updated 2024-06-01T00:00:00Z
image empty =
  name empty:1
  updated 2025-01-02T03:04:05.000000001Z
";

/// What the two stores of a daemon remember of an image besides.
type Remembered = BTreeMap<ConfigId, (Option<ConfigId>, Option<Time>)>;

fn remembered(source: &dyn Source) -> Remembered {
    let images = &source.inventory().images;
    let config =
        |image: &tranship::model::Image| image.shown().and_then(|shown| shown.config.clone());
    let by_id = |id: Digest| {
        let parent = images.iter().find(|image| image.id == id).and_then(config);
        parent.expect("the parent is there").0
    };
    let one = |image: &tranship::model::Image| {
        // Without a name there is no time of one.
        let tagged = image.last_tagged.filter(|_| !image.is_dangling());
        (config(image).expect("it can run").0, (image.parent.map(by_id), tagged))
    };
    images.iter().map(one).collect()
}

fn chains(source: &dyn Source) -> BTreeSet<ChainId> {
    source.inventory().layers.keys().copied().collect()
}

fn ids(source: &dyn Source) -> BTreeSet<Digest> {
    source.inventory().images.iter().map(|image| image.id).collect()
}

#[test]
fn a_store_of_a_daemon_comes_back_from_the_other_as_it_was() {
    let classic = Store { kind: StoreKind::Classic, tree: Arc::new(Classic::of(FAMILY).tree()) };
    let containerd = classic.to(StoreKind::Containerd);
    for (first, other) in [(&classic, StoreKind::Containerd), (&containerd, StoreKind::Classic)] {
        let between = first.to(other);
        let last = between.to(first.kind);
        let (before, between, after) = (first.open(), between.open(), last.open());
        assert_eq!(told(&*before).len(), 5, "{}", first.kind);
        for found in [&between, &after] {
            assert_eq!(told(&**found), told(&*before), "{}", first.kind);
            assert_eq!(remembered(&**found), remembered(&*before), "{}", first.kind);
            assert_eq!(chains(&**found), chains(&*before), "{}", first.kind);
        }
        assert_eq!(ids(&*after), ids(&*before), "{}", first.kind);
    }
    let known = remembered(&*classic.open());
    assert_eq!(known.values().filter(|(parent, _)| parent.is_some()).count(), 3);
    assert_eq!(known.values().filter(|(_, time)| time.is_some()).count(), 4);
}

#[test]
fn a_classic_store_comes_back_from_a_layout() {
    let classic = Store { kind: StoreKind::Classic, tree: Arc::new(Classic::of(FAMILY).tree()) };
    for (compression, form) in [
        (Compression::None, Form::Docker),
        (Compression::Gzip(6), Form::Oci),
        (Compression::Zstd(3), Form::Docker),
    ] {
        let layout = classic.clone().into(StoreKind::Layout, compression, form);
        let back = layout.to(StoreKind::Classic);
        let (before, after) = (classic.open(), back.open());
        assert_eq!(told(&*layout.open()), told(&*before), "{compression:?}");
        assert_eq!(told(&*after), told(&*before), "{compression:?}");
        assert_eq!(ids(&*after), ids(&*before), "{compression:?}");
        assert_eq!(chains(&*after), chains(&*before), "{compression:?}");
    }
}

/// Returns all that the images of a store consist of, with the bytes, by the images' own digests.
fn documents(source: &dyn Source) -> BTreeMap<Digest, BTreeMap<BlobId, Vec<u8>>> {
    let one = |image| {
        let image: &tranship::model::Image = image;
        let contents = source.contents(image).expect("sound").expect("it keeps documents");
        let mut all = BTreeMap::new();
        for descriptor in contents.documents.iter().chain(&contents.blobs) {
            let (blob, mut bytes) = (descriptor.blob().expect("a digest"), Vec::new());
            source.blob(blob).expect("it is there").read_to_end(&mut bytes).expect("sound");
            assert_eq!(Digest::of(&bytes), blob.0);
            all.insert(blob, bytes);
        }
        (image.id, all)
    };
    source.inventory().images.iter().map(one).collect()
}

#[test]
fn documents_keep_their_bytes_where_both_sides_keep_them() {
    let odd = Odd::new();
    let layout = Store { kind: StoreKind::Layout, tree: odd.layout() };
    let before = documents(&*layout.open());
    assert_eq!(before.len(), odd.images.len());
    let whole = before.values().map(BTreeMap::len).max();
    assert!(whole > Some(odd.layers.len() + 7), "an index with all that is in it: {whole:?}");
    let mut way = layout.clone();
    for kind in [StoreKind::Containerd, StoreKind::Layout, StoreKind::Layout, StoreKind::Containerd]
    {
        // What is packed stays packed as it is, whatever is asked for what is not.
        way = way.into(kind, Compression::Zstd(19), Form::Docker);
        assert!(documents(&*way.open()) == before, "{kind}");
        assert_eq!(told(&*way.open()), told(&*layout.open()), "{kind}");
    }
}
