//! A migration in rows.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;

use super::{finding, this_platform};
use crate::cli::ops::{self, Compress, MigrateRequest};
use crate::cli::rows::migrate::{
    Action, ByteCounts, EndRow, LayerCounts, LossRow, Migration, MovedContainer, MovedImage,
    StayRow, StepRow,
};
use crate::cli::rows::plan::FingerprintRow;
use crate::digest::Digest;
use crate::error::Result;
use crate::format::time::Timestamp;
use crate::model::{Image, Inventory, Sizes, StoreKind, sizes};
use crate::op::host::DAEMON_CONFIG;
use crate::op::migrate::{Done, Prepared, Request};
use crate::op::transfer::{Containers, OnConflict, Options, Selection, Without};
use crate::store::{Compression, ContainerStep, Form, Progress, Writing};
use crate::tree::Snapshots;

/// A prepared migration and the rows that show it.
struct Shown {
    prepared: Prepared,
    rows: Migration,
    request: MigrateRequest,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("rows", &self.rows).finish_non_exhaustive()
    }
}

pub(super) fn prepare(request: &MigrateRequest) -> Result<Box<dyn ops::Prepared>> {
    let prepared = crate::op::migrate::prepare(library_request(request))?;
    let rows = rows(&prepared, request)?;
    Ok(Box::new(Shown { prepared, rows, request: request.clone() }))
}

pub(super) fn is_exported(request: &MigrateRequest) -> Result<bool> {
    crate::op::migrate::is_exported(library_request(request))
}

fn library_request(request: &MigrateRequest) -> Request {
    let compression = match request.compress {
        Compress::None => Compression::None,
        Compress::Gzip(level) => Compression::Gzip(level.into()),
        Compress::Zstd(level) => Compression::Zstd(level.into()),
    };
    let snapshots = match request.snapshots {
        ops::Snapshots::Auto => Snapshots::Auto,
        ops::Snapshots::Link => Snapshots::Link,
        ops::Snapshots::Reflink => Snapshots::Reflink,
        ops::Snapshots::Copy => Snapshots::Copy,
        ops::Snapshots::None => Snapshots::None,
    };
    let on_conflict = match request.on_conflict {
        ops::OnConflict::Keep => OnConflict::Keep,
        ops::OnConflict::Replace => OnConflict::Replace,
        ops::OnConflict::Fail => OnConflict::Fail,
    };
    let (images, exclude) = (request.images.clone(), request.exclude.clone());
    let selection = Selection { images, exclude, all: request.all };
    let can_share = snapshots != Snapshots::Copy;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Request {
        at: request.at.root.clone(),
        containerd_root: request.at.containerd_root.clone(),
        daemon_config: request.at.daemon_config.clone(),
        from: request.from,
        to: request.to,
        index: request.index.clone(),
        commit: request.commit.clone(),
        options: Options {
            selection,
            names: request.names.clone(),
            without: Without::default(),
            containers: containers(request),
            alive: HashSet::new(),
            platform: request.platform.clone(),
            on_conflict,
            compression,
            snapshots,
            can_share,
            rebuild_missing: request.rebuild_missing,
            // Nobody expects an export to take all.
            tell_rest: request.to != StoreKind::Layout && request.commit.is_none(),
        },
        writing: Writing { compression, snapshots, form: request.form, now: now() },
        into: request.into.clone(),
        stream: request.to_stdout.then(|| Box::new(std::io::stdout()) as _),
        without: request.without.clone(),
        switch: request.switch,
        threshold: request.threshold,
        dry_run: request.dry_run,
        jobs: request.jobs.map_or(cores, NonZeroUsize::get),
        platform: this_platform(),
    }
}

/// Returns which containers are meant. What only carries images has none, and nobody looks for them there.
fn containers(request: &MigrateRequest) -> Containers {
    if !request.containers.is_empty() {
        return Containers::Named(request.containers.clone());
    }
    if request.to == StoreKind::Layout || request.index.is_some() {
        return Containers::Unseen;
    }
    if request.into.is_some() || request.to_stdout {
        let why = "what is written elsewhere has images alone; containers move in place";
        return Containers::Stay(why.to_owned());
    }
    if request.no_containers {
        let why = "left out; they are hidden while the daemon shows the other store";
        return Containers::Stay(why.to_owned());
    }
    Containers::OfImages
}

#[expect(clippy::disallowed_methods, reason = "the command is where the time comes in")]
pub(super) fn now() -> Timestamp {
    let now = jiff::Timestamp::now();
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Timestamp { seconds: now.as_second(), nanos }
}

fn rows(prepared: &Prepared, request: &MigrateRequest) -> Result<Migration> {
    let (plan, inventory) = (&prepared.plan, prepared.source()?);
    let (source, target) = prepared.places();
    let counts = plan.layer_counts;
    let end = |store, driver: &str, path| EndRow { store, driver: driver.to_owned(), path };
    Ok(Migration {
        dry_run: request.dry_run,
        source: end(inventory.kind, &inventory.driver, source),
        target: end(prepared.to(), target_driver(prepared.to(), request.form), target),
        images: images(prepared, inventory),
        containers: plan.containers.iter().map(container).collect(),
        layers: LayerCounts {
            total: counts.total as u64,
            to_read: counts.to_read as u64,
            reused: counts.there as u64,
            left_out: counts.left_out as u64,
        },
        bytes: ByteCounts {
            read: plan.bytes.read,
            write: plan.bytes.write,
            free: prepared.free,
            needed: plan.bytes.needed,
            selected: plan.selected_bytes,
            written: None,
        },
        losses: plan
            .losses
            .iter()
            .map(|loss| LossRow { image: loss.image.clone(), what: loss.what.clone() })
            .collect(),
        stays: plan
            .stays
            .iter()
            .map(|stay| StayRow { what: stay.what.clone(), why: stay.why.clone() })
            .collect(),
        findings: plan.findings.iter().map(finding).collect(),
        next_steps: Vec::new(),
        over_threshold: prepared.over_threshold,
        switched: None,
    })
}

fn target_driver(to: StoreKind, form: Form) -> &'static str {
    match (to, form) {
        (StoreKind::Layout, Form::Oci) => "oci",
        (StoreKind::Layout, Form::Docker) => "docker",
        (StoreKind::Classic, _) => "overlay2",
        _ => "overlayfs",
    }
}

fn images(prepared: &Prepared, inventory: &Inventory) -> Vec<MovedImage> {
    let sizes = sizes(inventory);
    let row = |position: usize, becomes: Option<Digest>, action: Action| {
        moved(&inventory.images[position], sizes[position], becomes, action)
    };
    let plan = &prepared.plan;
    let becomes = plan.images.iter().map(|step| match &step.kept {
        Some(kept) => kept.target.blob().map(|blob| blob.0),
        None => step.config.map(|config| config.0).filter(|_| prepared.keeps_configs()),
    });
    let moves = plan.positions.iter().zip(becomes);
    let moves = moves.map(|(position, becomes)| row(*position, becomes, Action::Add));
    let there = plan
        .present
        .iter()
        .map(|present| row(present.position, Some(present.becomes), Action::Present));
    moves.chain(there).collect()
}

fn container(step: &ContainerStep) -> MovedContainer {
    let one = &step.container;
    MovedContainer {
        id: one.id.clone(),
        name: one.name.clone(),
        state: one.record.state.word().to_owned(),
        image: one.image_name.clone(),
        action: Action::Add,
        size: step.size,
    }
}

fn moved(image: &Image, size: Sizes, becomes: Option<Digest>, action: Action) -> MovedImage {
    let digests = image.names.iter().filter(|name| name.is_digest());
    let layers = image.shown().map(|shown| shown.layers.as_slice()).unwrap_or_default();
    MovedImage {
        id: image.id.to_string(),
        names: image.tags().chain(digests).map(|name| name.familiar()).collect(),
        becomes: becomes.map(|id| id.to_string()),
        layers: layers.iter().map(ToString::to_string).collect(),
        action,
        size: Some(size.total),
    }
}

impl ops::Prepared for Shown {
    fn plan(&self) -> &Migration {
        &self.rows
    }

    fn fingerprint(&self) -> Result<FingerprintRow> {
        let found = self.prepared.fingerprint()?;
        Ok(FingerprintRow {
            source: found.source.to_string(),
            target: found.target.to_string(),
            plan: found.plan.to_string(),
        })
    }

    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Migration> {
        let Self { prepared, mut rows, request } = *self;
        let config = prepared.config().map(|config| config.place.to_string());
        let done = prepared.apply(progress)?;
        let became: HashMap<String, String> =
            done.outcome.moved.iter().map(|m| (m.id.to_string(), m.becomes.to_string())).collect();
        let failed: HashSet<String> =
            done.outcome.failed.iter().map(|failed| failed.id.to_string()).collect();
        for image in &mut rows.images {
            if let Some(id) = became.get(&image.id) {
                image.becomes = Some(id.clone());
            } else if failed.contains(&image.id) {
                image.action = Action::Failed;
            }
        }
        for container in &mut rows.containers {
            if !done.outcome.containers.contains(&container.id) {
                container.action = Action::Failed;
            }
        }
        rows.bytes.written = Some(done.outcome.written);
        rows.findings.extend(done.outcome.findings.iter().map(finding));
        rows.next_steps = next_steps(&request, &done, &rows, config);
        rows.switched = done.switched.map(|switched| switched.file);
        Ok(rows)
    }
}

/// Returns what is left to do for the images to be seen.
fn next_steps(
    request: &MigrateRequest,
    done: &Done,
    rows: &Migration,
    config: Option<String>,
) -> Vec<StepRow> {
    let step = |what: &str, command: Option<&str>| StepRow {
        what: what.to_owned(),
        command: command.map(str::to_owned),
    };
    let start = step("start Docker", Some("systemctl start docker"));
    if let Some(switched) = &done.switched {
        let mut steps = Vec::new();
        if let Some(kept) = &switched.kept {
            let what = format!("{} was changed, and is kept as it was in {kept}", switched.file);
            steps.push(step(&what, None));
        }
        steps.push(start);
        return steps;
    }
    let is_added = request.index.is_some() || done.is_in_place;
    if request.to_stdout || (is_added && request.into.is_none()) {
        return Vec::new();
    }
    if let Some(into) = &request.into {
        return elsewhere(request, &into.display().to_string(), rows)
            .map(|(what, command)| vec![step(&what, command.as_deref())])
            .unwrap_or_default();
    }
    let file = config.unwrap_or_else(|| format!("/{DAEMON_CONFIG}"));
    let what = match request.to {
        StoreKind::Classic => format!(
            "in {file}, set \"features\": {{\"containerd-snapshotter\": false}} (`--switch` does it)"
        ),
        _ => format!(
            "in {file}, set \"features\": {{\"containerd-snapshotter\": true}} and take out \
             \"storage-driver\" if it is there (`--switch` does both)"
        ),
    };
    vec![step(&what, None), start]
}

/// Returns what is to be done with a target that was written to `path`, as words and a command.
fn elsewhere(
    request: &MigrateRequest,
    path: &str,
    rows: &Migration,
) -> Option<(String, Option<String>)> {
    let is_tar = rows.target.path.ends_with(".tar");
    let which = match request.to {
        StoreKind::Layout if request.form == Form::Oci => return None,
        StoreKind::Layout => {
            let load = match is_tar {
                true => format!("docker load -i {path}"),
                false => format!("tar -C {path} -c . | docker load"),
            };
            return Some(("where the images are wanted, load them".to_owned(), Some(load)));
        }
        StoreKind::Classic => "with the containerd store off",
        _ => "with the containerd store on",
    };
    let what = match is_tar {
        true => {
            format!("unpack {path} as root, with extended attributes, into an empty data root")
        }
        false => format!("start Docker on {path}, {which}"),
    };
    Some((what, None))
}
