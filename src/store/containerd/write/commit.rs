//! The commit: from staged to visible.

use std::collections::{BTreeMap, HashSet};

use super::super::journal::Moves;
use super::super::layout;
use super::bolt::Staged;
use super::container::Put;
use super::meta::{self, Labels, Namespace, Record, Snapshot, Usage};
use super::{Writer, chains_of, image};
use crate::digest::{BlobId, ChainId, ConfigId, Digest};
use crate::error::Result;
use crate::format::bbolt::OwnedBucket;
use crate::format::containerd::labels;
use crate::model::PlatformImage;
use crate::store::documents::Documents;
use crate::store::{ImageStep, Target, containerd::read};
use crate::tree::{TreePath, TreePathBuf, optional, read_within, sink_error};

impl Writer {
    /// Puts the documents and both bolt files beside the layers; then, each step durable before the
    /// next, moves everything to its place.
    pub(super) fn publish(&self, images: &[ImageStep], documents: &[Documents]) -> Result<()> {
        for text in documents.iter().flat_map(|document| &document.texts) {
            self.put_document(text.blob, &text.bytes)?;
        }
        for (blob, document) in images.iter().flat_map(|image| &image.originals) {
            self.put_document(*blob, &document.bytes)?;
        }
        self.settle_moves(images);
        let (backend, meta) = self.stage_bolt_files(images, documents)?;
        self.checkpoint()?;
        self.replace(&backend)?;
        self.move_into_place(documents, images)?;
        self.replace(&meta)
    }

    pub(super) fn is_there(&self, path: &TreePathBuf) -> Result<bool> {
        Ok(optional(self.sink.tree().stat(path.as_path()))?.is_some())
    }

    /// Stages a document, unless the very same bytes are where it is to be.
    pub(super) fn put_document(&self, blob: BlobId, bytes: &[u8]) -> Result<()> {
        let first = self.state().documents.insert(blob);
        let length = bytes.len() as u64;
        let there = || read_within(self.sink.tree(), layout::blob(blob).as_path(), length);
        if !first || there().is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        let staged = self.stage.blob(blob);
        self.sink.remove(staged.as_path())?;
        self.write_file(staged.as_path(), 0o444, bytes)
    }

    pub(super) fn write_file(&self, path: TreePath<'_>, mode: u16, bytes: &[u8]) -> Result<()> {
        let mut file = self.sink.create(path, &self.attributes(mode))?;
        file.write_all(bytes).map_err(|error| sink_error(&*self.sink, path, error))?;
        file.finish().map(drop)
    }

    /// Notes in the journal which folder each new snapshot will have.
    fn settle_moves(&self, images: &[ImageStep]) {
        let chains = self.chains(images);
        let mut state = self.state();
        let new = chains.iter().filter(|chain| state.journal.snapshots.contains_key(&chain.0));
        let folders: BTreeMap<ChainId, u64> =
            new.filter_map(|chain| Some((chain.0, *state.folders.get(&chain.0)?))).collect();
        state.journal.moves = Some(Moves {
            namespace: self.namespace.clone(),
            snapshotter: self.snapshotter.clone(),
            made_at: self.writing.now,
            folders,
            containers: state.containers.iter().flat_map(Put::folders).collect(),
        });
    }

    /// Returns the chains that images and containers stand on, each after the one below it.
    fn chains(&self, images: &[ImageStep]) -> Vec<(ChainId, Option<ChainId>)> {
        let mut chains = chains_of(images);
        let mut seen: HashSet<_> = chains.iter().map(|(chain_id, _)| *chain_id).collect();
        let state = self.state();
        for put in &state.containers {
            let (mut own, mut next) = (Vec::new(), put.parent());
            while let Some(chain_id) = next.filter(|chain_id| seen.insert(*chain_id)) {
                let Some(parent) = state.parents.get(&chain_id) else { break };
                own.push((chain_id, *parent));
                next = *parent;
            }
            chains.extend(own.into_iter().rev());
        }
        chains
    }

    fn move_into_place(&self, documents: &[Documents], images: &[ImageStep]) -> Result<()> {
        if !self.stage.apart {
            return Ok(());
        }
        let mut blobs: Vec<BlobId> = Vec::new();
        for document in documents {
            blobs.extend(document.texts.iter().map(|text| text.blob));
            blobs.extend(document.blobs.iter().map(|put| put.blob));
        }
        blobs.extend(images.iter().flat_map(|image| &image.originals).map(|(blob, _)| *blob));
        blobs.sort_unstable();
        blobs.dedup();
        for blob in blobs {
            let (staged, place) = (layout::staged_blob(blob), layout::blob(blob));
            // One that is there under this name should be the same. Ours is known to be right.
            if self.is_there(&staged)? || !self.is_there(&place)? {
                self.sink.rename(staged.as_path(), place.as_path())?;
            }
        }
        let moves = self.state().journal.moves.clone();
        for (chain_id, folder) in moves.into_iter().flat_map(|moves| moves.folders) {
            let staged = layout::staged_snapshot(chain_id);
            self.sink.rename(staged.as_path(), self.places.snapshot(folder).as_path())?;
        }
        let containers = self.state().containers.clone();
        for (key, folder) in containers.iter().flat_map(Put::folders) {
            let staged = layout::staged_container(&key);
            self.sink.rename(staged.as_path(), self.places.snapshot(folder).as_path())?;
        }
        self.sink.sync()
    }

    /// Writes both bolt files as they are to be, the snapshotter's first.
    fn stage_bolt_files(
        &self,
        images: &[ImageStep],
        documents: &[Documents],
    ) -> Result<(Staged, Staged)> {
        let (meta_file, backend_file) = (self.meta_file()?, self.backend_file(&self.places)?);
        let (mut meta, mut backend) = (self.load(&meta_file)?, self.load(&backend_file)?);
        let mut namespace = Namespace::of(&mut meta, &self.namespace, self.writing.now);
        self.add_snapshots(&mut namespace, &mut backend, images);
        self.add_containers(&mut namespace, &mut backend)?;
        self.add_blobs(&mut namespace, images, documents);
        self.add_records(&mut namespace, images, documents);
        let backend = self.stage_bolt(&backend_file, &backend)?;
        Ok((backend, self.stage_bolt(&meta_file, &meta)?))
    }

    fn add_snapshots(
        &self,
        namespace: &mut Namespace<'_, '_>,
        backend: &mut OwnedBucket<'_>,
        images: &[ImageStep],
    ) {
        let chains = self.chains(images);
        let state = self.state();
        for (chain_id, parent) in chains {
            let (Some(done), Some(folder)) =
                (state.journal.snapshots.get(&chain_id), state.folders.get(&chain_id))
            else {
                continue;
            };
            let (key, below) = (chain_id.to_string(), parent.map(|parent| parent.to_string()));
            let name = namespace.add_snapshot(&self.snapshotter, &key, below.as_deref(), backend);
            let name = name.into_bytes();
            let parent = below.and_then(|below| namespace.snapshot(&self.snapshotter, &below));
            let usage = Usage::Committed { inodes: done.inodes, size: done.size };
            let snapshot = Snapshot { name, parent, folder: *folder, usage, now: self.writing.now };
            meta::add_to_backend(backend, &snapshot);
        }
    }

    fn add_blobs(
        &self,
        namespace: &mut Namespace<'_, '_>,
        images: &[ImageStep],
        documents: &[Documents],
    ) {
        for (image, document) in images.iter().zip(documents) {
            let is_here =
                |top: &ChainId| namespace.snapshot(&self.snapshotter, &top.to_string()).is_some();
            let unpacked = document.top.filter(is_here);
            for text in &document.texts {
                namespace.add_blob(text.blob, text.bytes.len() as u64, &image::of_text(text));
            }
            for put in &document.blobs {
                namespace.add_blob(put.blob, put.size, &Labels::new());
            }
            // A blob is known to hold its layer once that was unpacked from it, or it was made of it.
            let known = image.kept.is_none() || unpacked.is_some();
            for layer in document.layers.iter().filter(|_| known) {
                let labels = layer.diff_id.map(image::of_layer).unwrap_or_default();
                namespace.add_blob(layer.blob, layer.size, &labels);
            }
            if let Some(config) = image.config {
                namespace
                    .add_labels(BlobId(config.0), &labels::of_config(&self.snapshotter, unpacked));
            }
            for (blob, original) in &image.originals {
                let labels = original.labels.iter().cloned().collect();
                namespace.add_blob(*blob, original.bytes.len() as u64, &labels);
            }
            if let Some(target) = document.target.blob() {
                namespace.add_labels(target, &image::of_originals(image));
            }
        }
    }

    fn add_records(
        &self,
        namespace: &mut Namespace<'_, '_>,
        images: &[ImageStep],
        documents: &[Documents],
    ) {
        let ids = images
            .iter()
            .zip(documents)
            .filter_map(|(step, d)| Some((step.config?, d.target.blob()?)));
        let ids: BTreeMap<_, _> = ids.collect();
        for (image, document) in images.iter().zip(documents) {
            let arrived = image.image.arrived.unwrap_or(self.writing.now);
            let parent = image.parent.and_then(|parent| {
                let known = ids.get(&parent).map(|id| id.0).or_else(|| self.target_of(parent));
                Some((labels::IMAGE_PARENT.to_owned(), known?.to_string()))
            });
            let Some(target) = document.target.blob() else { continue };
            let record = Record {
                target,
                media_type: document.target.media_type.clone(),
                size: document.target.len().unwrap_or_default(),
                created: arrived,
                updated: image.image.last_tagged.unwrap_or(arrived),
                labels: parent.into_iter().collect(),
            };
            self.add_names(namespace, image, &record);
        }
    }

    /// Returns what an image became that was here before.
    fn target_of(&self, config: ConfigId) -> Option<Digest> {
        let is_one = |manifest: &PlatformImage| {
            manifest.present && manifest.config.as_ref().is_some_and(|(known, _)| *known == config)
        };
        let mut images = self.inventory.images.iter();
        images.find(|image| image.manifests.iter().any(is_one)).map(|image| image.id)
    }

    /// Gives an image its names, and keeps what loses one.
    fn add_names(&self, namespace: &mut Namespace<'_, '_>, image: &ImageStep, record: &Record) {
        let target = record.target.to_string();
        let dangling = |digest: &str| format!("{}{digest}", read::DANGLING_PREFIX);
        for name in &image.names {
            let name = name.replace(ImageStep::OWN_DIGEST, &target);
            match namespace.target(&name) {
                Some(old) if old != target => {
                    namespace.rename_record(&name, &dangling(&old));
                    if namespace.count_targets(&old) > 1 {
                        namespace.remove_record(&dangling(&old));
                    }
                    namespace.add_record(&name, record);
                }
                _ => namespace.add_record(&name, record),
            }
        }
        if !image.names.is_empty() {
            namespace.remove_record(&dangling(&target));
        } else if namespace.count_targets(&target) == 0 {
            namespace.add_record(&dangling(&target), record);
        }
    }
}
