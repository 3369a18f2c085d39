//! The commit: from staged to visible.

use std::collections::BTreeMap;

use super::super::layout;
use super::image::Documents;
use super::meta::{self, Labels, Namespace, Record, Snapshot};
use super::{Writer, chains_of};
use crate::digest::{BlobId, ChainId, DiffId};
use crate::error::Result;
use crate::format::bbolt::{self, Db, Options, OwnedBucket};
use crate::format::containerd::labels;
use crate::format::oci::media_type;
use crate::store::{ImageStep, containerd::read};
use crate::tree::{Kind, TreePath, TreePathBuf, optional, read_within, sink_error};

/// The label by which a manifest keeps the registry documents that the image came with. Any label
/// that starts so keeps the blob it names (containerd v2 core/metadata/gc.go).
const ORIGINAL: &str = "containerd.io/gc.ref.content.tranship.original.";

/// What one bolt file held, and how it is to be written.
struct BoltFile {
    bytes: Vec<u8>,
    options: Options,
}

impl Writer {
    fn bolt_file(&self, path: &TreePathBuf, freelist: bool) -> Result<BoltFile> {
        let bytes = optional(read_within(self.sink.tree(), path.as_path(), read::BOLT_LIMIT))?;
        let bytes = bytes.unwrap_or_default();
        let mut options = Options { freelist, ..Options::default() };
        if !bytes.is_empty() {
            let db = Db::open(&bytes);
            let place = || self.sink.tree().place(path.as_path());
            options = Options::replacing(&db.map_err(|error| error.at(place()))?);
        }
        Ok(BoltFile { bytes, options })
    }

    fn load<'f>(&self, path: &TreePathBuf, file: &'f BoltFile) -> Result<OwnedBucket<'f>> {
        if file.bytes.is_empty() {
            return Ok(OwnedBucket::new());
        }
        Db::open(&file.bytes)
            .and_then(|db| bbolt::load(&db))
            .map_err(|error| error.at(self.sink.tree().place(path.as_path())))
    }

    /// Returns the first folder number that no snapshot has had.
    pub(super) fn next_folder(&self) -> Result<u64> {
        let path = self.places.metadata_db();
        let file = self.bolt_file(&path, true)?;
        let (named, sequence) = meta::folders(&self.load(&path, &file)?);
        let names = optional(self.sink.tree().names(self.places.snapshots().as_path()))?;
        let names = names.unwrap_or_default();
        let on_disk = names.iter().filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok());
        let last = named.into_iter().chain(on_disk).max().unwrap_or(0).max(sequence);
        Ok(last.saturating_add(1))
    }

    /// Moves back what an interrupted commit had moved to its place without a bolt file naming it, and
    /// throws away what the interrupted run did not finish.
    pub(super) fn take_back(&self) -> Result<()> {
        if !self.stage.apart {
            return Ok(());
        }
        let path = self.places.metadata_db();
        let file = self.bolt_file(&path, true)?;
        let (named, _) = meta::folders(&self.load(&path, &file)?);
        let mut state = self.state();
        for (chain_id, folder) in std::mem::take(&mut state.journal.moves) {
            let (place, staged) = (self.places.snapshot(folder), layout::staged_snapshot(chain_id));
            if self.inventory.layers.contains_key(&chain_id) || !self.is_there(&place)? {
                continue;
            }
            if named.contains(&folder) {
                // Only `metadata.db` was renamed: the entry is made anew with the same folder.
                state.half_done.insert(chain_id, folder);
            } else {
                self.sink.remove(staged.as_path())?;
                self.sink.rename(place.as_path(), staged.as_path())?;
            }
        }
        let here = |path: TreePathBuf| optional(self.sink.tree().stat(path.as_path()));
        let mut journal = state.journal.clone();
        for blob in state.journal.blobs.iter() {
            let found = here(layout::staged_blob(blob.1.digest))?
                .map_or_else(|| here(layout::blob(blob.1.digest)), |found| Ok(Some(found)))?;
            if !found.is_some_and(|f| f.kind == Kind::File && f.size == blob.1.size) {
                journal.blobs.remove(blob.0);
            }
        }
        for chain_id in state.journal.snapshots.keys() {
            let half_done = state.half_done.contains_key(chain_id);
            if !half_done && here(layout::staged_snapshot(*chain_id))?.is_none() {
                journal.snapshots.remove(chain_id);
            }
        }
        state.journal = journal;
        state.journal.sweep(&*self.sink)
    }

    /// Puts the documents beside the layers, moves everything to its place, and writes both bolt files.
    pub(super) fn publish(&self, images: &[ImageStep], documents: &[Documents]) -> Result<()> {
        for document in documents {
            self.put_document(document.manifest.0, &document.manifest.1)?;
            self.put_document(BlobId(document.config.0.0), &document.config.1)?;
        }
        for (blob, document) in images.iter().flat_map(|image| &image.originals) {
            self.put_document(*blob, &document.bytes)?;
        }
        self.settle_moves(images);
        let journal = self.state().journal.clone();
        journal.write(&*self.sink)?;
        self.sink.sync()?;
        self.write_bolt_files(images, documents)?;
        if self.stage.apart {
            self.sink.remove(layout::staging().as_path())?;
        }
        self.sink.sync()
    }

    fn is_there(&self, path: &TreePathBuf) -> Result<bool> {
        Ok(optional(self.sink.tree().stat(path.as_path()))?.is_some())
    }

    fn put_document(&self, blob: BlobId, bytes: &[u8]) -> Result<()> {
        let staged = self.stage.blob(blob);
        let first = self.state().documents.insert(blob);
        if !first || self.is_there(&layout::blob(blob))? {
            return Ok(());
        }
        self.sink.remove(staged.as_path())?;
        self.write_file(staged.as_path(), 0o444, bytes)
    }

    fn write_file(&self, path: TreePath<'_>, mode: u16, bytes: &[u8]) -> Result<()> {
        let mut file = self.sink.create(path, &self.attributes(mode))?;
        // In pieces, so that a test can stop between any two.
        for piece in bytes.chunks(1 << 20) {
            file.write_all(piece).map_err(|error| sink_error(&*self.sink, path, error))?;
        }
        file.finish().map(drop)
    }

    /// Notes in the journal which folder each new snapshot will have.
    fn settle_moves(&self, images: &[ImageStep]) {
        let mut state = self.state();
        let chains = chains_of(images);
        let new = chains.iter().filter(|chain| state.journal.snapshots.contains_key(&chain.0));
        let moves: BTreeMap<ChainId, u64> =
            new.filter_map(|chain| Some((chain.0, *state.folders.get(&chain.0)?))).collect();
        state.journal.moves = moves;
    }

    fn move_into_place(&self, documents: &[Documents], images: &[ImageStep]) -> Result<()> {
        if !self.stage.apart {
            return Ok(());
        }
        let mut blobs: Vec<BlobId> = Vec::new();
        for document in documents {
            blobs.push(document.manifest.0);
            blobs.push(BlobId(document.config.0.0));
            blobs.extend(document.layers.iter().map(|layer| layer.blob));
        }
        blobs.extend(images.iter().flat_map(|image| &image.originals).map(|(blob, _)| *blob));
        blobs.sort_unstable();
        blobs.dedup();
        for blob in blobs {
            let place = layout::blob(blob);
            // A blob that is there may be sealed by fs-verity, or another namespace's.
            if !self.is_there(&place)? {
                self.sink.rename(layout::staged_blob(blob).as_path(), place.as_path())?;
            }
        }
        let moves = self.state().journal.moves.clone();
        for (chain_id, folder) in moves {
            let staged = layout::staged_snapshot(chain_id);
            if self.is_there(&staged)? {
                self.sink.rename(staged.as_path(), self.places.snapshot(folder).as_path())?;
            }
        }
        Ok(())
    }

    fn write_bolt_files(&self, images: &[ImageStep], documents: &[Documents]) -> Result<()> {
        let (meta_path, backend_path) =
            (layout::at(layout::META_DB.to_owned()), self.places.metadata_db());
        let (meta_file, backend_file) =
            (self.bolt_file(&meta_path, false)?, self.bolt_file(&backend_path, true)?);
        let mut meta = self.load(&meta_path, &meta_file)?;
        let mut backend = self.load(&backend_path, &backend_file)?;
        meta::forget(&mut backend, &self.state().half_done.values().copied().collect());
        let mut namespace = Namespace::of(&mut meta, &self.namespace, self.writing.now);
        self.add_snapshots(&mut namespace, &mut backend, images);
        self.add_blobs(&mut namespace, images, documents);
        self.add_records(&mut namespace, images, documents);
        let new_backend = self.stage_bolt(&backend, &backend_path, &backend_file.options, 0o600)?;
        let new_meta = self.stage_bolt(&meta, &meta_path, &meta_file.options, 0o644)?;
        self.move_into_place(documents, images)?;
        self.sink.sync()?;
        self.sink.rename(new_backend.as_path(), backend_path.as_path())?;
        self.sink.sync()?;
        self.sink.rename(new_meta.as_path(), meta_path.as_path())?;
        self.sink.sync()
    }

    /// Writes a bolt file beside the one it will replace, once our own reader has found it sound: a
    /// malformed tree kills containerd at its start.
    fn stage_bolt(
        &self,
        root: &OwnedBucket<'_>,
        path: &TreePathBuf,
        options: &Options,
        mode: u16,
    ) -> Result<TreePathBuf> {
        let place = || self.sink.tree().place(path.as_path());
        let bytes = bbolt::write(root, options).map_err(|error| error.at(place()))?;
        bbolt::check(&bytes).map_err(|error| error.at(place()))?;
        let new = self.stage.new_file(path);
        self.sink.remove(new.as_path())?;
        self.write_file(new.as_path(), mode, &bytes)?;
        Ok(new)
    }

    fn add_snapshots(
        &self,
        namespace: &mut Namespace<'_, '_>,
        backend: &mut OwnedBucket<'_>,
        images: &[ImageStep],
    ) {
        let state = self.state();
        for (chain_id, _, parent) in chains_of(images) {
            let (Some(done), Some(folder)) =
                (state.journal.snapshots.get(&chain_id), state.folders.get(&chain_id))
            else {
                continue;
            };
            let name = namespace
                .add_snapshot(&self.namespace, &self.snapshotter, chain_id, parent)
                .into_bytes();
            let parent = parent.and_then(|parent| namespace.snapshot(&self.snapshotter, parent));
            let (inodes, size, now) = (done.inodes, done.size, self.writing.now);
            let snapshot = Snapshot { name, parent, folder: *folder, inodes, size, now };
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
            for layer in &document.layers {
                namespace.add_blob(layer.blob, layer.size, &uncompressed(layer.diff_id));
            }
            let unpacked =
                document.top.filter(|top| namespace.snapshot(&self.snapshotter, *top).is_some());
            let (config, bytes) = &document.config;
            let labels = labels::of_config(&self.snapshotter, unpacked);
            namespace.add_blob(BlobId(config.0), bytes.len() as u64, &labels);
            let (manifest, bytes) = &document.manifest;
            namespace.add_blob(*manifest, bytes.len() as u64, &manifest_labels(image, document));
            for (blob, original) in &image.originals {
                let labels = original.labels.iter().cloned().collect();
                namespace.add_blob(*blob, original.bytes.len() as u64, &labels);
            }
        }
    }

    fn add_records(
        &self,
        namespace: &mut Namespace<'_, '_>,
        images: &[ImageStep],
        documents: &[Documents],
    ) {
        let ids = images.iter().zip(documents).map(|(step, d)| (step.config, d.manifest.0));
        let ids: BTreeMap<_, _> = ids.collect();
        for (image, document) in images.iter().zip(documents) {
            let arrived = image.image.arrived.unwrap_or(self.writing.now);
            let parent = image.parent.and_then(|parent| {
                let known = ids.get(&parent).map(ToString::to_string);
                Some((labels::IMAGE_PARENT.to_owned(), known?))
            });
            let record = Record {
                target: document.manifest.0,
                media_type: media_type::OCI_MANIFEST,
                size: document.manifest.1.len() as u64,
                created: arrived,
                updated: image.image.last_tagged.unwrap_or(arrived),
                labels: parent.into_iter().collect(),
            };
            self.add_names(namespace, image, &record);
        }
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

fn uncompressed(diff_id: DiffId) -> Labels {
    Labels::from([(labels::UNCOMPRESSED.to_owned(), diff_id.to_string())])
}

fn manifest_labels(image: &ImageStep, document: &Documents) -> Labels {
    let config = (labels::GC_REF_CONFIG.to_owned(), document.config.0.to_string());
    let layer = |(i, layer): (usize, &super::image::LayerPart)| {
        (format!("containerd.io/gc.ref.content.l.{i}"), layer.blob.to_string())
    };
    let original =
        |(i, (blob, _)): (usize, &(BlobId, _))| (format!("{ORIGINAL}{i}"), blob.to_string());
    let layers = document.layers.iter().enumerate().map(layer);
    let originals = image.originals.iter().enumerate().map(original);
    std::iter::once(config).chain(layers).chain(originals).collect()
}
