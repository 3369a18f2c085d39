//! What the verbs ask of the library, in rows.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::rows::images::ImageRow;
use crate::cli::rows::migrate::Migration;
use crate::cli::rows::plan::FingerprintRow;
use crate::cli::rows::status::Status;
use crate::cli::rows::undo::UndoReport;
use crate::cli::rows::{FindingRow, StoreKind};
use crate::cli::spelled;
use crate::error::{Error, Place, Result};
use crate::format::oci::Platform;
use crate::store::{Form, Progress};

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// The data root, archive or disk; none for this host's own.
    pub root: Option<PathBuf>,
    /// The root directory of a containerd that is not the data root's own.
    pub containerd_root: Option<PathBuf>,
    /// The daemon's configuration file; none for the usual one.
    pub daemon_config: Option<PathBuf>,
}

/// How to pack a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Compress {
    /// Not at all.
    None,
    /// gzip at a level from 1 to 9.
    Gzip(u8),
    /// zstd at a level from 1 to 22.
    Zstd(u8),
}

/// How unpacked layers come to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// Leave the name with the target's image
    Keep,
    /// Give the name to the source's image
    Replace,
    /// Refuse before anything is written
    Fail,
}

/// What to migrate, and how. It stands in plans that are kept: fields are only ever added, with a
/// default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
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
    /// The containers to move, by name or ID; those of the images that move if empty.
    #[serde(default)]
    pub containers: Vec<String>,
    /// Whether all containers stay.
    #[serde(default)]
    pub no_containers: bool,
    /// Names that do not move.
    pub exclude: Vec<String>,
    /// Whether images without a name move too.
    pub all: bool,
    /// The one platform to take of each image.
    #[serde(default, with = "spelled::platform")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub platform: Option<Platform>,
    /// How to pack layers that have no packed form yet.
    #[cfg_attr(test, schemars(with = "String"))]
    pub compress: Compress,
    /// How unpacked layers come to the target.
    pub snapshots: Snapshots,
    /// What to do where a name in the target belongs to another image.
    pub on_conflict: OnConflict,
    /// Whether only to plan.
    #[serde(skip)]
    pub dry_run: bool,
    /// Whether to make Docker use the target from its next start on.
    pub switch: bool,
    /// Refuse if the images are larger than this many bytes.
    pub threshold: Option<u64>,
    /// A new directory or tar to write instead of the store beside the source.
    pub into: Option<PathBuf>,
    /// What holds layers that are left out.
    #[serde(default)]
    pub without: Vec<PathBuf>,
    /// Whether images whose layers are here unpacked alone move as new images.
    #[serde(default)]
    pub rebuild_missing: bool,
    /// Whether the target goes to stdout as a tar.
    pub to_stdout: bool,
    /// How many layers to work on at once; none for as many as there are cores.
    pub jobs: Option<NonZeroUsize>,
}

impl MigrateRequest {
    /// Returns this request with every path from the root on, so that it means the same elsewhere.
    ///
    /// # Errors
    /// A directory that cannot be asked for its name.
    pub fn absolute(mut self) -> Result<Self> {
        let at = &mut self.at;
        let paths = [&mut at.root, &mut at.containerd_root, &mut at.daemon_config, &mut self.into];
        for path in paths.into_iter().flatten() {
            *path = absolute(path)?;
        }
        Ok(self)
    }
}

/// Returns `path` from the root on; links stay links.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Error::io(Place::new(path.display().to_string(), ""), error))
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

    /// Binds the containers of the last migration at `at` to their old store again.
    fn undo(&self, at: &Where) -> Result<UndoReport>;

    /// Returns whether an export is there already, whole.
    fn is_exported(&self, request: &MigrateRequest) -> Result<bool>;
}

/// A migration that is planned and not begun.
pub trait Prepared: fmt::Debug {
    /// Returns the plan.
    fn plan(&self) -> &Migration;

    /// Returns what the plan depends on.
    fn fingerprint(&self) -> Result<FingerprintRow>;

    /// Carries the plan out and returns what became of it.
    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Migration>;
}
