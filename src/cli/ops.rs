//! What the verbs ask of the library, in rows.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::rows::diff::ChangeRow;
use crate::cli::rows::images::ImageRow;
use crate::cli::rows::migrate::Migration;
use crate::cli::rows::plan::FingerprintRow;
use crate::cli::rows::ps::ContainerRow;
use crate::cli::rows::reclaim::Reclaimed;
use crate::cli::rows::repair::{Repair, RunList, Undone};
use crate::cli::rows::status::Status;
use crate::cli::rows::undo::UndoReport;
use crate::cli::rows::usage::UsageReport;
use crate::cli::rows::verify::VerifyReport;
use crate::cli::rows::volumes::{VolumeRow, VolumesCarried};
use crate::cli::rows::whois::WhoisReport;
use crate::cli::rows::{FindingRow, StoreKind};
use crate::cli::spelled;
use crate::error::{Error, Place, Result};
use crate::format::docker::log::Record;
use crate::format::oci::Platform;
use crate::op::commit::Commit;
use crate::op::logs::Wanted;
use crate::op::look::{View, Which};
use crate::op::recipe::Recipe;
use crate::op::usage::By;
use crate::op::volumes::Importing;
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
    /// A container to make an image of.
    #[serde(skip)]
    pub commit: Option<Commit>,
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

/// What to compare, and what to tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffRequest {
    /// Where both are.
    pub at: Where,
    /// A container or image, and the kind of store an image is in.
    pub one: (String, Option<StoreKind>),
    /// What it is compared with, if that is not what it stands on.
    pub other: Option<(String, Option<StoreKind>)>,
    /// Whether to tell what of each path is different.
    pub details: bool,
    /// Whether to tell the digests of files.
    pub digests: bool,
}

/// The images of one or more stores, and what was found while reading them.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The images, in any order.
    pub rows: Vec<ImageRow>,
    /// What was found on the way.
    pub findings: Vec<FindingRow>,
}

/// Sees an image or container from inside, or why it cannot be seen. What it returns ends the look.
pub type See<'s> = &'s mut dyn FnMut(Result<View<'_>>) -> Result<()>;

/// The containers of one or more data roots, and what was found while reading them.
#[derive(Clone, Debug, Default)]
pub struct Containers {
    /// The containers, in any order.
    pub rows: Vec<ContainerRow>,
    /// What was found on the way.
    pub findings: Vec<FindingRow>,
}

/// What to tell all of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectRequest {
    /// Names or IDs.
    pub names: Vec<String>,
    /// What sort of thing to look for alone.
    pub kind: Option<Kind>,
    /// Whether sizes of containers are counted.
    pub size: bool,
}

/// A sort of thing that has a name or an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A container
    Container,
    /// An image
    Image,
    /// An unpacked layer of an image
    Layer,
    /// A volume
    Volume,
    /// An unpacked layer, or what a container writes to
    Snapshot,
}

impl Kind {
    /// All sorts, in the order in which they are looked for.
    pub const ALL: [Self; 5] =
        [Self::Container, Self::Image, Self::Layer, Self::Volume, Self::Snapshot];
}

/// Of which containers to make recipes, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipeRequest {
    /// The containers, by name or ID.
    pub containers: Vec<String>,
    /// Whether secrets are told.
    pub show_secrets: bool,
}

/// Whose log to read, and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogsRequest {
    /// Where the container is.
    pub at: Where,
    /// The container, by name or ID.
    pub container: String,
    /// Which records.
    pub wanted: Wanted,
}

/// The volumes of one or more data roots, and what was found while reading them.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    /// The volumes, by name.
    pub rows: Vec<VolumeRow>,
    /// What was found on the way.
    pub findings: Vec<FindingRow>,
}

/// Which volumes to export, and to where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportVolumes {
    /// Where they are.
    pub at: Where,
    /// Their names.
    pub names: Vec<String>,
    /// A new tar, a new or empty folder, or `-` for stdout.
    pub output: PathBuf,
}

/// Which volume to import, and to where.
#[derive(Clone, Debug, Default)]
pub struct ImportVolume {
    /// Where the data root is.
    pub at: Where,
    /// What to import.
    pub importing: Importing,
}

/// What to verify.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyRequest {
    /// Where it is.
    pub at: Where,
    /// Whether content is left out.
    pub quick: bool,
    /// How many layers to read at once; none for as many as there are cores.
    pub jobs: Option<NonZeroUsize>,
}

/// What to repair, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairRequest {
    /// Where the data root is.
    pub at: Where,
    /// Other places to take from what is missing.
    pub from: Vec<PathBuf>,
    /// Whether all content is read.
    pub content: bool,
    /// Whether only to plan.
    pub dry_run: bool,
}

/// What to undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoRequest {
    /// Where the data root is.
    pub at: Where,
    /// What is meant; nothing for the newest.
    pub which: Option<crate::op::undo::Which>,
    /// Whether only to look.
    pub dry_run: bool,
}

/// A repair that is planned and not begun.
pub trait Repairing: fmt::Debug {
    /// Returns the plan.
    fn plan(&self) -> &Repair;

    /// Carries the plan out and returns what became of it.
    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Repair>;
}

/// What is to go, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReclaimRequest {
    /// Where the data root is.
    pub at: Where,
    /// The store that goes as a whole.
    pub store: Option<StoreKind>,
    /// What nothing mentions.
    pub orphans: bool,
    /// Packed layers that are unpacked too.
    pub blobs: bool,
    /// Leases that nobody will end.
    pub leases: bool,
    /// What earlier runs put aside.
    pub quarantine: bool,
    /// With a whole store, its build cache.
    pub build_cache: bool,
    /// Whether a store goes although not all of it is in the other.
    pub force_unverified: bool,
    /// Whether what goes is put aside.
    pub keep: bool,
    /// Whether only to plan.
    pub dry_run: bool,
}

/// What to count, and what to tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRequest {
    /// Where to look.
    pub at: Where,
    /// What lines are put together by.
    pub by: Option<By>,
    /// What would be removed; nothing if that is not asked.
    pub if_removed: Vec<String>,
}

/// A reclaim that is planned and not begun.
pub trait Reclaiming: fmt::Debug {
    /// Returns the plan.
    fn plan(&self) -> &Reclaimed;

    /// Carries the plan out and returns what became of it.
    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Reclaimed>;
}

/// What the verbs ask of the library.
pub trait Ops {
    /// Reads what is at `at` and which store each daemon will choose.
    fn status(&self, at: &Where) -> Result<Status>;

    /// Reads the images of every store at `at`.
    fn images(&self, at: &Where) -> Result<Images>;

    /// Compares two trees of files.
    fn diff(&self, request: &DiffRequest) -> Result<Vec<ChangeRow>>;

    /// Shows `see` each of the images and containers that `names` name, in order, from inside.
    fn look(&self, at: &Where, names: &[&str], which: &Which, see: See<'_>) -> Result<()>;

    /// Reads the containers at `at`, whichever store they are in, and with `sizes` how much each takes.
    fn containers(&self, at: &Where, sizes: bool) -> Result<Containers>;

    /// Tells all that is kept of each thing that is named, as JSON, or why it cannot be told.
    fn inspect(&self, at: &Where, request: &InspectRequest) -> Result<Vec<Result<Value>>>;

    /// Tells how containers at `at` can be made again.
    fn recipes(&self, at: &Where, request: &RecipeRequest) -> Result<Vec<Recipe>>;

    /// Hands each wanted record of a container's log to `each`, the oldest first, and returns what is
    /// wrong with the log.
    fn logs(
        &self,
        request: &LogsRequest,
        each: &mut dyn FnMut(&Record<'_>) -> Result<()>,
    ) -> Result<Vec<FindingRow>>;

    /// Reads the volumes at `at`; with `sizes`, every file of them is looked at.
    fn volumes(&self, at: &Where, sizes: bool) -> Result<Volumes>;

    /// Holds all that is at a place against itself, and content against its digests.
    fn verify(&self, request: &VerifyRequest, progress: &dyn Progress) -> Result<VerifyReport>;

    /// Counts everything.
    fn usage(&self, request: &UsageRequest, progress: &dyn Progress) -> Result<UsageReport>;

    /// Tells for each of `queries` whose it is, or what is its.
    fn whois(&self, at: &Where, queries: &[String]) -> Result<WhoisReport>;

    /// Writes the files of volumes elsewhere.
    fn export_volumes(
        &self,
        request: &ExportVolumes,
        progress: &dyn Progress,
    ) -> Result<VolumesCarried>;

    /// Puts files into a volume of a stopped data root.
    fn import_volume(
        &self,
        request: &ImportVolume,
        progress: &dyn Progress,
    ) -> Result<VolumesCarried>;

    /// Plans a migration or an export; writes nothing.
    fn prepare(&self, request: &MigrateRequest) -> Result<Box<dyn Prepared + '_>>;

    /// Binds the containers of the last migration at `at` to their old store again.
    fn undo(&self, at: &Where) -> Result<UndoReport>;

    /// Plans a repair; unless it is a dry run, goes on first with what was interrupted.
    fn repair(&self, request: &RepairRequest) -> Result<Box<dyn Repairing + '_>>;

    /// Tells what can be undone.
    fn runs(&self, request: &UndoRequest) -> Result<RunList>;

    /// Undoes what is meant, or tells what would be undone.
    fn undo_run(&self, request: &UndoRequest) -> Result<Undone>;

    /// Plans what can go; unless it is a dry run, goes on first with what was interrupted.
    fn reclaim(
        &self,
        request: &ReclaimRequest,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Reclaiming>>;

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
