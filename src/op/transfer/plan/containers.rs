//! Containers: which are meant, which can move, and what they need besides their own folders.

use std::collections::HashSet;
use std::fmt;

use super::planner::{Planner, counted};
use super::{Stay, names::label};
use crate::digest::{ChainId, ConfigId, Digest};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::model::{Container, Finding, Image, Inventory, PlatformImage, Severity, called};
use crate::op::transfer::Containers;
use crate::store::{ContainerStep, LayerStep, Writable};
use crate::tree::{Kind, Snapshots, Tree, TreePathBuf, walk};

/// Returns the containers that are meant, by their positions. `selected` are the images that are.
///
/// # Errors
/// A name that no container has.
pub(super) fn meant(
    from: &Inventory,
    wanted: &Containers,
    all_images: bool,
    selected: &[usize],
) -> Result<Vec<usize>> {
    let all = || from.containers.iter().enumerate();
    match wanted {
        Containers::Unseen | Containers::Stay(_) => Ok(Vec::new()),
        Containers::OfImages if all_images => Ok(all().map(|(i, _)| i).collect()),
        Containers::OfImages => {
            let is_one =
                |one: &Container| image_of(from, one).is_some_and(|i| selected.contains(&i));
            Ok(all().filter(|(_, one)| is_one(one)).map(|(i, _)| i).collect())
        }
        Containers::Named(names) => {
            let mut found: Vec<_> =
                names.iter().map(|name| named(from, name)).collect::<Result<_>>()?;
            found.sort_unstable();
            found.dedup();
            Ok(found)
        }
    }
}

fn named(from: &Inventory, name: &str) -> Result<usize> {
    let found = called(0..from.containers.len(), name, |i| &from.containers[i]);
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Error::missing(Place::new(name, ""), "no container of this store has this name")
            .hint(format!("`tranship ps` lists them; this is the {} store", from.kind))),
        _ => Err(Error::refused(format!("several containers could be `{name}`"))
            .hint("give more of the ID")),
    }
}

/// Returns the position of the image that a container was made from, if it is still there: the one of
/// that ID, else one that has the same manifest.
pub(super) fn image_of(from: &Inventory, container: &Container) -> Option<usize> {
    let manifest = container.record.image_manifest.as_ref().and_then(|found| found.blob());
    let has = |image: &Image| {
        let mut all = image.manifests.iter().filter_map(|one| one.manifest.as_ref()?.blob());
        manifest.is_some() && all.any(|blob| Some(blob) == manifest)
    };
    let own = |image: &Image| Some(image.id) == container.image;
    from.images.iter().position(own).or_else(|| from.images.iter().position(has))
}

/// What of an image a container runs.
struct Runs {
    image: Option<Digest>,
    config: Option<ConfigId>,
    chain: Vec<ChainId>,
}

/// Why a container stays.
enum Reason {
    /// It may not move, or has nothing to stand on.
    Rule(String),
    /// Its files could not be read.
    Unread(Error),
}

impl Reason {
    /// Returns the finding that it is, unless it is only so.
    fn finding(self, what: &str) -> Option<Finding> {
        match self {
            Self::Unread(error) if error.kind() == ErrorKind::Io => {
                let error = error.within(what);
                Some(Finding::of("container-damaged", Severity::DataLost, &error))
            }
            Self::Unread(_) | Self::Rule(_) => None,
        }
    }
}

impl From<String> for Reason {
    fn from(why: String) -> Self {
        Self::Rule(why)
    }
}

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        Self::Unread(error)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(why) => f.write_str(why),
            Self::Unread(error) => error.fmt(f),
        }
    }
}

impl Planner<'_> {
    /// Plans the containers at `meant`, once the images are planned.
    pub(super) fn add_containers(&mut self, meant: &[usize]) {
        for container in meant.iter().map(|i| &self.from.containers[*i]) {
            match self.container(container) {
                Ok(step) => {
                    self.plan.findings.extend(was_running(container));
                    self.plan.containers.push(step);
                }
                Err(reason) => {
                    let what = format!("container {}", container.name);
                    let why = reason.to_string();
                    self.plan.findings.extend(reason.finding(&what));
                    self.plan.stays.push(Stay { what, why });
                }
            }
        }
    }

    /// Tells of the containers that are not meant.
    pub(super) fn containers_stay(&mut self, meant: &[usize]) {
        let others = self.from.containers.iter().enumerate().filter(|(i, _)| !meant.contains(i));
        let mut others: Vec<_> = others.map(|(_, one)| one.name.as_str()).collect();
        others.sort_unstable();
        let why = match &self.options.containers {
            Containers::Unseen => return,
            Containers::Stay(why) => why.clone(),
            Containers::OfImages => "their images are not selected".to_owned(),
            Containers::Named(_) => "not selected".to_owned(),
        };
        if !others.is_empty() {
            let what = format!("{} ({})", counted(others.len(), "container"), others.join(", "));
            self.plan.stays.push(Stay { what, why });
        }
    }

    /// Plans one container; or returns why it cannot move.
    fn container(&mut self, container: &Container) -> std::result::Result<ContainerStep, Reason> {
        self.can_leave(container)?;
        let writable = self.source.writable(&container.id)?;
        let tree = self.source.tree().ok_or_else(|| "its folders cannot be read".to_owned())?;
        let folders = || std::iter::once(&writable.upper).chain(&writable.init);
        let mut size: u64 = 0;
        for folder in folders() {
            size = size.saturating_add(size_of(tree, folder)?);
        }
        let runs = self.runs(container, &writable)?;
        self.bring_chain(&runs)?;
        let (container, Runs { image, config, chain }) = (container.clone(), runs);
        Ok(ContainerStep { container, writable, chain, image, config, size })
    }

    /// Returns an error for a container that is not to be touched, or that would be lost by moving.
    fn can_leave(&self, container: &Container) -> std::result::Result<(), String> {
        let state = &container.record.state;
        if self.options.alive.contains(&container.id) {
            return Err("its processes run, though no daemon does: stop it first".to_owned());
        }
        if state.dead || state.removal_in_progress {
            return Err("its removal was begun: its own daemon ends that".to_owned());
        }
        if container.removes_itself {
            // moby v28 daemon/daemon.go restore: stopped, and `AutoRemove`.
            return Err(
                "it was made with `--rm`: a daemon that finds it removes it at its start, \
                        with its unnamed volumes; where it is, no daemon on the other store does"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn runs(
        &self,
        container: &Container,
        writable: &Writable,
    ) -> std::result::Result<Runs, String> {
        let Some(position) = image_of(self.from, container) else {
            let chain = self.chain(writable.parent)?;
            return Ok(Runs { image: None, config: None, chain });
        };
        let image = &self.from.images[position];
        let arrives = self.plan.positions.contains(&position)
            || self.plan.present.iter().any(|present| present.position == position);
        if !arrives {
            return Err(format!("its image {} stays", label(image)));
        }
        let stands = |part: &&PlatformImage| part.chain().last().copied() == writable.parent;
        let meant = container.record.image_manifest.as_ref().and_then(|found| found.blob());
        let is_meant = |part: &&PlatformImage| {
            meant.is_some() && part.manifest.as_ref().and_then(|found| found.blob()) == meant
        };
        let mut parts = image.manifests.iter().filter(stands);
        let part = parts.clone().find(is_meant).or_else(|| parts.next());
        let part = part.ok_or_else(|| {
            format!("its image {} has other layers than it stands on", label(image))
        })?;
        let config = part.config.as_ref().map(|(config, _)| *config);
        Ok(Runs { image: Some(image.id), config, chain: part.chain() })
    }

    /// Returns the layers below a container whose image is gone, base first.
    fn chain(&self, top: Option<ChainId>) -> std::result::Result<Vec<ChainId>, String> {
        let (mut chain, mut next) = (Vec::new(), top);
        while let Some(chain_id) = next {
            let layer = self.from.layers.get(&chain_id).filter(|_| chain.len() < MOST_LAYERS);
            let layer = layer.ok_or_else(|| {
                "its image is gone, and no other says what its layers are".to_owned()
            })?;
            chain.push(chain_id);
            next = layer.parent;
        }
        chain.reverse();
        Ok(chain)
    }

    /// Plans those of a container's layers that come with no image, or not unpacked.
    fn bring_chain(&mut self, runs: &Runs) -> std::result::Result<(), String> {
        let is_there =
            |id: &ChainId| self.there.layers.contains_key(id) || self.chains.contains(id);
        let mut steps = Vec::new();
        let mut parent = None;
        for chain_id in &runs.chain {
            if !is_there(chain_id) {
                steps.push(self.layer_alone(*chain_id, parent)?);
            }
            parent = Some(*chain_id);
        }
        for step in steps {
            self.chains.extend(step.chains.iter().map(|(chain_id, _)| *chain_id));
            self.plan.layer_counts.total += 1;
            self.plan.layers.push(step);
        }
        Ok(())
    }

    fn layer_alone(
        &self,
        chain_id: ChainId,
        parent: Option<ChainId>,
    ) -> std::result::Result<LayerStep, String> {
        if self.options.snapshots == Snapshots::None {
            return Err(
                "it stands on unpacked layers, and `--snapshots none` brings none".to_owned()
            );
        }
        let layer = self.from.layers.get(&chain_id).filter(|_| self.source.has_tar(chain_id));
        let layer = layer.ok_or_else(|| {
            format!("the layer {} below it cannot be brought along", chain_id.0.short())
        })?;
        Ok(LayerStep {
            diff_id: layer.diff_id,
            size: layer.size,
            blob: false,
            left_out: false,
            chains: vec![(chain_id, parent)],
            from: chain_id,
        })
    }

    /// Adds what the containers take.
    pub(super) fn count_containers(&mut self) {
        let sizes = self.plan.containers.iter().map(|step| step.size);
        let size = sizes.fold(0, u64::saturating_add);
        let bytes = &mut self.plan.bytes;
        bytes.read = bytes.read.saturating_add(size);
        bytes.write = bytes.write.saturating_add(size);
        bytes.needed = bytes.needed.saturating_add(size.saturating_add(size / 10));
    }
}

/// overlayfs takes 500 layers at most.
const MOST_LAYERS: usize = 500;

/// Returns the bytes of what is in a folder, each file once however many names it has.
fn size_of(tree: &dyn Tree, folder: &TreePathBuf) -> Result<u64> {
    let (mut total, mut seen) = (0_u64, HashSet::new());
    walk(tree, folder.as_path(), &mut |_, entry| {
        let found = &entry.metadata;
        let is_new = found.nlink < 2 || found.kind == Kind::Dir || seen.insert(found.ino);
        if found.kind == Kind::File && is_new {
            total = total.saturating_add(found.size);
        }
        Ok(true)
    })?;
    Ok(total)
}

fn was_running(container: &Container) -> Option<Finding> {
    if !container.running {
        return None;
    }
    let what = format!(
        "container {} was running when its daemon ended; its files are as they were left then",
        container.name
    );
    let error = Error::corrupt(Place::new("containers", container.id.as_bytes()), what)
        .hint("dockerd starts it again if its restart policy says so");
    Some(Finding::of("container-was-running", Severity::Untidy, &error))
}
