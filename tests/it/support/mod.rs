//! Stores made from text, sinks that fail, and a judge of what a daemon would see.

pub(crate) mod carried;
pub(crate) mod classic;
pub(crate) mod crashes;
pub(crate) mod daemon;
#[path = "../../support/ext4.rs"]
pub(crate) mod ext4;
pub(crate) mod fault;
pub(crate) mod moved;
pub(crate) mod odd;
#[path = "../../support/random.rs"]
pub(crate) mod random;
pub(crate) mod scene;
pub(crate) mod seen;
pub(crate) mod source;

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

pub(crate) use crashes::nothing_is;
use tranship::error::Result;
use tranship::format::oci::Platform;
use tranship::op::transfer::{
    self, Containers, OnConflict, Options, Outcome, Plan, Selection, Without,
};
use tranship::store::containerd::{NAMESPACE, SNAPSHOTTER, Writer};
use tranship::store::overlay2::{self, Overlay2};
use tranship::store::{Compression, Form, Progress, Source, Target, Writing};
use tranship::tree::{Entry, Metadata, Sink, Snapshots, Time, Tree, TreePath, Xattrs};

/// When migrations of tests take place.
pub(crate) const NOW: Time = Time { seconds: 1_760_000_000, nanos: 123_456_789 };

/// A migration and its choices.
#[derive(Clone)]
pub(crate) struct Migration {
    pub(crate) selection: Selection,
    pub(crate) on_conflict: OnConflict,
    pub(crate) compression: Compression,
    pub(crate) snapshots: Snapshots,
    /// One layer after the other, unless more is asked for: then every run does the same in the same
    /// order.
    pub(crate) jobs: usize,
}

impl Default for Migration {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            on_conflict: OnConflict::Keep,
            compression: Compression::None,
            snapshots: Snapshots::Auto,
            jobs: 1,
        }
    }
}

impl Migration {
    pub(crate) fn of(images: &[&str]) -> Self {
        let images = images.iter().map(|name| (*name).to_owned()).collect();
        Self { selection: Selection { images, ..Selection::default() }, ..Self::default() }
    }

    pub(crate) fn all() -> Self {
        Self { selection: Selection { all: true, ..Selection::default() }, ..Self::default() }
    }

    pub(crate) fn compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    pub(crate) fn on_conflict(self, on_conflict: OnConflict) -> Self {
        Self { on_conflict, ..self }
    }

    pub(crate) fn writer(&self, sink: Arc<dyn Sink>) -> Result<Writer> {
        let host = Platform {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            ..Platform::default()
        };
        let writing = Writing {
            compression: self.compression,
            snapshots: self.snapshots,
            form: Form::Oci,
            now: NOW,
        };
        Writer::open(sink, NAMESPACE, SNAPSHOTTER, &host, writing)
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            selection: self.selection.clone(),
            on_conflict: self.on_conflict,
            compression: self.compression,
            snapshots: self.snapshots,
            can_share: false,
            names: Vec::new(),
            without: Without::default(),
            platform: None,
            rebuild_missing: false,
            tell_rest: true,
            containers: Containers::Unseen,
            alive: HashSet::new(),
        }
    }

    /// Returns a writer of the classic store in the data root that `sink` is.
    pub(crate) fn classic(&self, sink: &Arc<dyn Sink>) -> Result<overlay2::Writer> {
        let writing = Writing {
            compression: self.compression,
            snapshots: self.snapshots,
            form: Form::Oci,
            now: NOW,
        };
        overlay2::Writer::open(Arc::clone(sink), overlay2::DRIVER, writing)
    }

    /// Moves images to the classic store in the data root that `sink` is.
    pub(crate) fn to_classic(&self, source: &dyn Source, sink: &Arc<dyn Sink>) -> Result<Outcome> {
        let target = self.classic(sink)?;
        let plan = self.plan(source, &target)?;
        transfer::apply(&plan, source, &target, self.jobs, &())
    }

    pub(crate) fn plan(&self, source: &dyn Source, target: &dyn Target) -> Result<Plan> {
        transfer::plan(source, target, &HashMap::new(), &self.options())
    }

    pub(crate) fn run(&self, source: &dyn Source, sink: &Arc<dyn Sink>) -> Result<Outcome> {
        self.watched(source, sink, &())
    }

    pub(crate) fn watched(
        &self,
        source: &dyn Source,
        sink: &Arc<dyn Sink>,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let target = self.writer(Arc::clone(sink))?;
        let plan = self.plan(source, &target)?;
        transfer::apply(&plan, source, &target, self.jobs, progress)
    }
}

/// The tree that a sink writes, as it is at any moment.
struct TreeOf(Arc<dyn Sink>);

impl Tree for TreeOf {
    fn origin(&self) -> &str {
        self.0.tree().origin()
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.0.tree().stat(path)
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        self.0.tree().list(dir)
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        self.0.tree().open(file)
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.0.tree().read_link(link)
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        self.0.tree().xattrs(path)
    }
}

/// Returns the tree that `sink` writes.
pub(crate) fn tree_of(sink: &Arc<dyn Sink>) -> Arc<dyn Tree> {
    Arc::new(TreeOf(Arc::clone(sink)))
}

pub(crate) fn open(tree: &Arc<impl Tree + 'static>) -> Overlay2 {
    Overlay2::open(Arc::clone(tree) as Arc<dyn Tree>, "overlay2")
        .expect("a folder that can be read")
}
