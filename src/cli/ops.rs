//! What the verbs ask of the library, in rows.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::cli::rows::images::ImageRow;
use crate::cli::rows::migrate::Migration;
use crate::cli::rows::status::Status;
use crate::cli::rows::{FindingRow, StoreKind};
use crate::error::Result;
use crate::format::oci::Platform;
use crate::store::{Form, Progress};

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where {
    /// The data root, archive or disk; none for this host's own.
    pub root: Option<PathBuf>,
    /// The root directory of a containerd that is not the data root's own.
    pub containerd_root: Option<PathBuf>,
    /// The daemon's configuration file; none for the usual one.
    pub daemon_config: Option<PathBuf>,
}

/// How to pack a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    /// Not at all.
    None,
    /// gzip at a level from 1 to 9.
    Gzip(u8),
    /// zstd at a level from 1 to 22.
    Zstd(u8),
}

/// How unpacked layers come to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Snapshots {
    /// Link where possible, else reflink, else copy
    Auto,
    /// Share the files by hard link, or fail
    Link,
    /// Share the blocks by reflink, or fail
    Reflink,
    /// Copy the files
    Copy,
    /// Leave the layers packed; Docker unpacks them on first use
    None,
}

/// What to do where a name in the target belongs to another image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnConflict {
    /// Leave the name with the target's image
    Keep,
    /// Give the name to the source's image
    Replace,
    /// Refuse before anything is written
    Fail,
}

/// What to migrate, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrateRequest {
    /// Where the source is.
    pub at: Where,
    /// The store to move from, where there is more than one.
    pub from: Option<StoreKind>,
    /// The store to move to.
    pub to: StoreKind,
    /// The name of an index to make of the images.
    pub index: Option<String>,
    /// For whom a layout is written, if that is the target.
    pub form: Form,
    /// The images to move, by name or ID; all if empty.
    pub images: Vec<String>,
    /// Names to give to images instead of their own: the one meant, if it is not the only one, and the
    /// name.
    pub names: Vec<(Option<String>, String)>,
    /// Names that do not move.
    pub exclude: Vec<String>,
    /// Whether images without a name move too.
    pub all: bool,
    /// The one platform to take of each image.
    pub platform: Option<Platform>,
    /// How to pack layers that have no packed form yet.
    pub compress: Compress,
    /// How unpacked layers come to the target.
    pub snapshots: Snapshots,
    /// What to do where a name in the target belongs to another image.
    pub on_conflict: OnConflict,
    /// Whether only to plan.
    pub dry_run: bool,
    /// Whether to make Docker use the target from its next start on.
    pub switch: bool,
    /// Refuse if the images are larger than this many bytes.
    pub threshold: Option<u64>,
    /// A new directory or tar to write instead of the store beside the source.
    pub into: Option<PathBuf>,
    /// Whether the target goes to stdout as a tar.
    pub to_stdout: bool,
    /// How many layers to work on at once; none for as many as there are cores.
    pub jobs: Option<NonZeroUsize>,
}

/// The images of one or more stores, and what was found while reading them.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The images, in any order.
    pub rows: Vec<ImageRow>,
    /// What was found on the way.
    pub findings: Vec<FindingRow>,
}

/// What the verbs ask of the library.
pub trait Ops {
    /// Reads what is at `at` and which store each daemon will choose.
    fn status(&self, at: &Where) -> Result<Status>;

    /// Reads the images of every store at `at`.
    fn images(&self, at: &Where) -> Result<Images>;

    /// Plans a migration or an export; writes nothing.
    fn prepare(&self, request: &MigrateRequest) -> Result<Box<dyn Prepared + '_>>;
}

/// A migration that is planned and not begun.
pub trait Prepared: fmt::Debug {
    /// Returns the plan.
    fn plan(&self) -> &Migration;

    /// Carries the plan out and returns what became of it.
    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Migration>;
}
