//! Images, containers and leases: what Docker makes of them at its next start, and what containerd
//! removes before that.
//!
//! moby v28 daemon/containerd/{image_list,image_snapshot,service}.go, daemon/daemon.go restore

use std::collections::BTreeSet;

use super::gc::{Kept, ends};
use super::said::{Backend, Space};
use super::{Auditor, PULL, shown};
use crate::digest::{BlobId, ChainId, Digest};
use crate::format::containerd::labels::Node;
use crate::format::oci::{Descriptor, Manifest};
use crate::format::raw::decode;
use crate::model::{Container, Image, Name, PlatformImage, Role, Severity};
use crate::store::{Source as _, Start};

/// How many digests a finding names.
const NAMED: usize = 5;

/// Why nothing can be run from an image.
struct Why {
    what: String,
    /// Whether it follows from what other findings tell.
    is_told: bool,
}

impl Auditor<'_> {
    pub(super) fn check_images(&mut self, own: &Space<'_>) {
        for image in own.images.iter().filter(|image| !image.has_target) {
            let what = format!("image {} points at nothing", shown(image.name));
            // Docker 28.5 answers every list with `unable to read target bucket`.
            let remedy = "Docker cannot list any image as long as it is there; remove it";
            self.lost.all.get_or_insert_with(|| "containerd cannot list its images".to_owned());
            self.note_meta("image-without-target", Severity::WouldNotLoad, what, remedy);
        }
        for image in own.images.iter().filter(|image| image.has_target) {
            let target = image.target.unwrap_or_default();
            if target.parse::<Digest>().is_err() {
                let what = format!("image {} points at `{target}`", shown(image.name));
                let remedy = "Docker cannot show it; remove the name and pull the image again";
                self.note_meta("image-target-unusable", Severity::WouldNotLoad, what, remedy);
            }
        }
        let kept = Kept::of(own);
        let store = self.store;
        for image in &store.inventory.images {
            self.check_image(image);
            self.check_kept(image, &kept, own);
        }
        self.check_leases(own);
        self.check_unreferenced(own, &kept);
    }

    fn check_image(&mut self, image: &Image) {
        for name in &image.names {
            if let Name::Other(text) = name {
                let what =
                    format!("`{}` is not a name that Docker can parse", shown(text.as_bytes()));
                let remedy = "Docker lists the image, and finds it by its ID alone";
                self.note_meta("name-unusable", Severity::WrongMetadata, what, remedy);
            }
        }
        let mut fails = self.lost.all.clone();
        if let Some(Why { what: why, is_told }) = self.why_not(image) {
            if !is_told && fails.is_none() {
                let what = format!("image {}: {why}{}", title(image), self.absent(image));
                self.note_meta("image-incomplete", Severity::WouldNotLoad, what, PULL);
            }
            fails.get_or_insert(why);
        }
        let names = image.names.iter().map(Name::familiar).collect();
        let id = image.id.to_string();
        self.audit.starts.push(Start { container: false, id, names, fails, silently: false });
    }

    /// Returns why no container can be made from the image; nothing if one can be for some platform, and
    /// of what is no image for any.
    fn why_not(&self, image: &Image) -> Option<Why> {
        let (mut all, mut is_told) = (Vec::new(), false);
        for manifest in image.manifests.iter().filter(|one| one.role == Role::Image) {
            let Why { what, is_told: this_is } = self.why_not_of(manifest)?;
            let platform = &manifest.platform;
            let is_known = !(platform.os.is_empty() && platform.architecture.is_empty());
            all.push(if is_known { format!("{platform}: {what}") } else { what });
            is_told |= this_is;
        }
        (!all.is_empty()).then(|| Why { what: all.join("; "), is_told })
    }

    /// Layers that are not unpacked are needed as blobs; of those that are, no blob is needed.
    fn why_not_of(&self, manifest: &PlatformImage) -> Option<Why> {
        let why = |what: &str, is_told| Some(Why { what: what.to_owned(), is_told });
        let lost = |blob: &BlobId| self.lost.blobs.contains(blob);
        let has = |blob: &BlobId| self.store.records.blobs.contains_key(blob);
        let own = manifest.manifest.as_ref().and_then(Descriptor::blob);
        let Some(own) = own.filter(has) else { return why("its manifest is not here", false) };
        if lost(&own) {
            return why("its manifest is gone", true);
        }
        let Some((config, _)) = &manifest.config else {
            let is_absent = self.config_of(own).is_some_and(|config| !has(&config));
            return match is_absent {
                true => why("its config is not here", false),
                false => why("its manifest or config cannot be read", true),
            };
        };
        if lost(&BlobId(config.0)) {
            return why("its config is gone", true);
        }
        let chain = manifest.chain();
        if let Some(top) = chain.last().filter(|top| self.store.records.snapshot(**top).is_some()) {
            let is_sound = self.is_sound(&top.to_string());
            return if is_sound { None } else { why("unpacked layers are gone", true) };
        }
        let blobs = chain.iter().map(|chain_id| self.store.layers.get(chain_id)?.blob);
        let blobs: Vec<_> = blobs.collect();
        let missing = blobs.iter().filter(|blob| blob.is_none_or(|blob| lost(&blob))).count();
        let is_told = blobs.iter().flatten().any(lost);
        let what = format!("{missing} of {} layers are not here", chain.len());
        (missing > 0).then_some(Why { what, is_told })
    }

    /// Returns whether a snapshot and all that it stands on have their folders.
    fn is_sound(&self, key: &str) -> bool {
        let stack = self.store.records.stack(key);
        let gone = |folder: Option<u64>| folder.is_none_or(|id| self.lost.folders.contains(&id));
        let is_gone = stack.iter().any(|(_, snapshot)| gone(snapshot.folder));
        !is_gone && stack.last().is_some_and(|(_, last)| last.parent.is_none())
    }

    fn config_of(&self, manifest: BlobId) -> Option<BlobId> {
        let bytes = self.store.document(manifest).ok()?.bytes;
        decode::<Manifest>(&bytes).ok()?.config.blob()
    }

    /// Returns which parts of the image no record has, as a part of a sentence.
    fn absent(&self, image: &Image) -> String {
        let contents = self.store.contents(image).ok().flatten();
        let absent = contents.map(|contents| contents.absent).unwrap_or_default();
        let first = absent.iter().take(NAMED).map(|one| short(&one.digest));
        let first = first.collect::<Vec<_>>().join(", ");
        match absent.len() {
            0 => String::new(),
            count @ ..=NAMED => format!(" ({count} not here: {first})"),
            count => format!(" ({count} not here: {first} and others)"),
        }
    }

    /// What an image needs and containerd does not know of is gone soon after it starts: of an image whose
    /// manifest had lost its labels, Docker 28.5 had no config left to run.
    fn check_kept(&mut self, image: &Image, kept: &Kept<'_>, own: &Space<'_>) {
        let (store, mut needed) = (self.store, BTreeSet::new());
        let mut dropped = BTreeSet::new();
        for manifest in &image.manifests {
            needed.extend(manifest.manifest.as_ref().and_then(Descriptor::blob));
            needed.extend(manifest.config.as_ref().map(|(config, _)| BlobId(config.0)));
            let at = |chain_id: &ChainId| store.layers.get(chain_id).and_then(|at| at.blob);
            let layers = manifest.chain();
            needed.extend(layers.iter().filter_map(at));
            // Docker unpacks the blobs again where it has them.
            if let Some(top) = layers.last().map(ToString::to_string)
                && layers.iter().any(|chain_id| at(chain_id).is_none())
            {
                let driver = &store.inventory.driver;
                let node = Node::Snapshot { snapshotter: driver, key: &top };
                let key = (driver.as_bytes(), top.as_bytes());
                if own.snapshots.contains_key(&key) && !kept.has(&node) {
                    dropped.insert(format!("snapshot {top}"));
                }
            }
        }
        let digests = needed.iter().map(ToString::to_string);
        let is_dropped = |digest: &String| {
            own.blobs.contains_key(digest.as_bytes()) && !kept.has(&Node::Content(digest))
        };
        dropped.extend(digests.filter(is_dropped));
        if let Some(first) = dropped.first() {
            let (count, title) = (dropped.len(), title(image));
            let what =
                format!("image {title}: {count} of its parts are kept by nothing, {first} first");
            let remedy =
                "do not start Docker before the labels are mended: containerd removes them";
            self.note_meta("would-be-collected", Severity::WouldNotLoad, what, remedy);
        }
    }

    fn check_leases(&mut self, own: &Space<'_>) {
        for lease in own.leases.iter().filter(|lease| !ends(lease)) {
            let is_empty = lease.content.is_empty()
                && lease.snapshots.is_empty()
                && lease.images.is_empty()
                && lease.ingests == 0;
            let gone = lease.content.iter().filter(|one| !own.blobs.contains_key(*one)).count();
            let snapshots = lease.snapshots.iter();
            let gone = gone + snapshots.filter(|one| !own.snapshots.contains_key(*one)).count();
            let what = match (is_empty, gone) {
                (true, _) => "keeps nothing".to_owned(),
                (false, 0) => continue,
                (false, gone) => format!("keeps {gone} things that are not there"),
            };
            let what = format!("lease {} {what}", shown(lease.id));
            self.note_meta("lease-idle", Severity::Untidy, what, "");
        }
    }

    /// Tells of all else that is kept by nothing, in one go.
    fn check_unreferenced(&mut self, own: &Space<'_>, kept: &Kept<'_>) {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        let blobs = own.blobs.iter().filter(|(digest, _)| !kept.has(&Node::Content(text(digest))));
        let (mut count, mut bytes) = (0_u64, 0_u64);
        for (_, said) in blobs {
            count = count.saturating_add(1);
            bytes = bytes.saturating_add(said.size.unwrap_or(0));
        }
        let is_kept = |snapshotter, key| {
            kept.has(&Node::Snapshot { snapshotter: text(snapshotter), key: text(key) })
        };
        let snapshots = own.snapshots.keys().filter(|(name, key)| !is_kept(name, key)).count();
        if count > 0 || snapshots > 0 {
            let what = format!(
                "{count} blobs of {bytes} bytes and {snapshots} snapshots that nothing keeps"
            );
            let remedy = "containerd removes them when it starts";
            self.note_meta("unreferenced", Severity::Untidy, what, remedy);
        }
    }

    pub(super) fn check_containers(&mut self, own: &Space<'_>, backend: Option<&Backend<'_>>) {
        let store = self.store;
        for container in &store.inventory.containers {
            let unlisted = self.why_unlisted(container, own, backend);
            let silently = unlisted.is_some() && self.lost.all.is_none();
            let fails = self.lost.all.clone().or(unlisted).or_else(|| {
                let is_sound = self.is_sound(&container.id);
                (!is_sound).then(|| "something that it stands on is gone".to_owned())
            });
            let (id, names) = (container.id.clone(), vec![container.name.clone()]);
            self.audit.starts.push(Start { container: true, id, names, fails, silently });
        }
    }

    /// Unless the snapshot of a container and its lease are there, dockerd does not list it, and says so in
    /// its log alone: `failed to load container mount` (moby v28 daemon/daemon.go restore,
    /// daemon/containerd/image_snapshot.go GetLayerByID; 28.5 did so without the lease).
    fn why_unlisted(
        &mut self,
        container: &Container,
        own: &Space<'_>,
        backend: Option<&Backend<'_>>,
    ) -> Option<String> {
        let driver = self.store.inventory.driver.clone();
        let name = &container.name;
        let place = self.meta.clone();
        let Some(said) = own.snapshots.get(&(driver.as_bytes(), container.id.as_bytes())) else {
            let what = format!("container {name} has no snapshot: what it wrote is gone");
            let remedy = "remove the container and make it again";
            if self.lost.all.is_none() {
                self.note("container-without-snapshot", Severity::DataLost, place, what, remedy);
            }
            return Some("its snapshot is gone".to_owned());
        };
        if !own.leases.iter().any(|lease| lease.id == container.id.as_bytes()) {
            let what = format!("what container {name} wrote is kept by no lease");
            let remedy = "do not start Docker before the lease is mended: containerd removes it";
            self.note("would-be-collected", Severity::WouldNotLoad, place, what, remedy);
            return Some("its lease is gone, and so will be what it wrote".to_owned());
        }
        let is_there = |name: &[u8]| backend.is_some_and(|all| all.snapshots.contains_key(name));
        let is_known = said.name.is_some_and(is_there);
        (!is_known).then(|| "the snapshotter does not know its snapshot".to_owned())
    }
}

fn title(image: &Image) -> String {
    image.names.first().map_or_else(|| image.id.short(), Name::familiar)
}

fn short(digest: &str) -> String {
    digest
        .parse::<crate::digest::Digest>()
        .map_or_else(|_| shown(digest.as_bytes()), |one| one.short())
}
