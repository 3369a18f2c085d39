//! Writing an image layout.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::layout;
use super::there::There;
use crate::digest::{BlobId, ConfigId, DiffId, Digest};
use crate::error::{Error, Result};
use crate::format::oci::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, index_document};
use crate::format::raw::go_json;
use crate::format::reference::Reference;
use crate::model::{Inventory, StoreKind};
use crate::store::documents::{Documents, Put};
use crate::store::put::Blobs;
use crate::store::{
    BlobStep, Committed, Compression, Damage, Form, ImageStep, LayerStep, Progress, Source, Target,
    Writing,
};
use crate::tree::{Attributes, Kind, Sink, TreePath, TreePathBuf, sink_error};

/// A new image layout.
pub struct LayoutWriter {
    sink: Arc<dyn Sink>,
    /// What the layout holds already.
    there: There,
    form: Form,
    compression: Compression,
    /// Who owns the folder owns what is in it.
    owner: (u32, u32),
    inventory: Inventory,
    blobs: Mutex<HashMap<DiffId, (BlobId, u64)>>,
    /// Blobs that are whole and not durable yet, and so have no name.
    unnamed: Mutex<BTreeSet<BlobId>>,
    written: AtomicU64,
}

impl std::fmt::Debug for LayoutWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayoutWriter").field("form", &self.form).finish_non_exhaustive()
    }
}

/// An image as it stands in the layout.
struct Written {
    target: Descriptor,
    id: Digest,
    config: Option<ConfigId>,
    layers: Vec<BlobId>,
    names: Vec<Reference>,
}

impl LayoutWriter {
    /// Begins a layout in the empty folder that `sink` is.
    ///
    /// # Errors
    /// Refused if there is something in it.
    pub fn new(sink: Arc<dyn Sink>, writing: Writing) -> Result<Self> {
        if !sink.tree().names(TreePath::ROOT)?.is_empty() {
            let what = format!("{} is not empty", sink.tree().origin());
            return Err(Error::refused(what).hint("name a folder that is empty or not there yet"));
        }
        Self::with(sink, writing, There::default())
    }

    /// Opens the layout that `sink` is, to be added to.
    ///
    /// # Errors
    /// What is wrong with its own documents.
    pub fn add_to(sink: Arc<dyn Sink>, writing: Writing) -> Result<Self> {
        let there = There::read(sink.tree())?;
        let form = if there.has_saved() { Form::Docker } else { Form::Oci };
        Self::with(sink, Writing { form, ..writing }, there)
    }

    fn with(sink: Arc<dyn Sink>, writing: Writing, there: There) -> Result<Self> {
        let root = sink.tree().stat(TreePath::ROOT)?;
        Ok(Self {
            sink,
            there,
            form: writing.form,
            compression: writing.compression,
            owner: (root.uid, root.gid),
            inventory: Inventory::new(StoreKind::Layout, "oci"),
            blobs: Mutex::default(),
            unnamed: Mutex::default(),
            written: AtomicU64::new(0),
        })
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<DiffId, (BlobId, u64)>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self) -> Attributes {
        let (uid, gid) = self.owner;
        Attributes { uid, gid, ..Attributes::root(0o644) }
    }

    fn is_there(&self, blob: BlobId, size: u64) -> bool {
        let found = self.sink.tree().stat(layout::blob(blob).as_path());
        found.is_ok_and(|found| found.kind == Kind::File && found.size == size)
    }

    /// Returns how the blob that comes of `what` is put.
    fn putting<'a>(&'a self, what: Digest, progress: &'a dyn Progress) -> Blobs<'a> {
        Blobs {
            sink: &*self.sink,
            attributes: self.attributes(),
            compression: self.compression,
            progress,
            unfinished: layout::unfinished(BlobId(what)),
            place: if self.sink.can_stage() { &layout::unfinished } else { &layout::blob },
        }
    }

    fn unnamed(&self) -> MutexGuard<'_, BTreeSet<BlobId>> {
        self.unnamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a blob is written, but for its name.
    fn put(&self, blob: BlobId) {
        if self.sink.can_stage() {
            self.unnamed().insert(blob);
        }
    }

    /// Gives blobs their names once they are durable: whoever adds to the layout again goes by those.
    fn name(&self) -> Result<()> {
        let unnamed = std::mem::take(&mut *self.unnamed());
        if unnamed.is_empty() {
            return Ok(());
        }
        self.sink.sync()?;
        for blob in unnamed {
            let (from, to) = (layout::unfinished(blob), layout::blob(blob));
            self.sink.rename(from.as_path(), to.as_path())?;
        }
        Ok(())
    }

    fn write(&self, path: TreePath<'_>, bytes: &[u8]) -> Result<()> {
        let mut file = self.sink.create(path, &self.attributes())?;
        file.write_all(bytes).map_err(|error| sink_error(&*self.sink, path, error))?;
        file.finish().map(drop)
    }

    fn document(&self, blob: BlobId, bytes: &[u8]) -> Result<()> {
        if !self.sink.can_stage() {
            return self.write(layout::blob(blob).as_path(), bytes);
        }
        let unfinished = layout::unfinished(blob);
        self.sink.remove(unfinished.as_path())?;
        self.write(unfinished.as_path(), bytes)?;
        self.put(blob);
        Ok(())
    }

    /// Writes the documents of an image; `known` are those that are there.
    fn image(
        &self,
        step: &ImageStep,
        source: &dyn Source,
        known: &mut HashSet<BlobId>,
    ) -> Result<Written> {
        let documents = Documents::of(step, source, &|diff_id| {
            let place = || self.sink.tree().place(TreePath::ROOT);
            let (blob, size) =
                self.blobs().get(&diff_id).copied().ok_or_else(|| {
                    Error::missing(place(), format!("layer {diff_id} was not put"))
                })?;
            let media_type = self.compression.media_type().to_owned();
            Ok(Put { blob, size, diff_id: Some(diff_id), media_type })
        })?;
        for text in &documents.texts {
            if known.insert(text.blob) && !self.is_there(text.blob, text.bytes.len() as u64) {
                self.document(text.blob, &text.bytes)?;
            }
        }
        let id = documents.id()?;
        let name = |name: &String| {
            let name = name.replace(ImageStep::OWN_DIGEST, &id.to_string());
            Reference::parse_normalized(&name).map_err(|bad| {
                Error::corrupt(self.sink.tree().place(TreePath::ROOT), format!("`{name}`: {bad}"))
            })
        };
        let names = step.names.iter().map(name).collect::<Result<Vec<_>>>()?;
        let layers = documents.layers.iter().map(|layer| layer.blob).collect();
        Ok(Written { target: documents.target, id, config: step.config, layers, names })
    }

    /// Writes what names the blobs, `index.json` last: without it a folder is no layout.
    fn publish(&self, images: &[Written]) -> Result<()> {
        if self.form == Form::Docker {
            let new: Vec<_> = images.iter().filter_map(Written::saved).collect();
            self.replace(layout::manifest(), &go_json(&self.there.saved_with(&new)))?;
        }
        if self.there.is_new() {
            self.write(layout::version(), layout::VERSION)?;
        }
        self.sink.sync()?;
        let manifests = self.there.index_with(images.iter().flat_map(Written::descriptors));
        self.replace(layout::index(), &index_document(&manifests))
    }

    /// Writes a file beside its name, and gives it the name once it is durable.
    fn replace(&self, path: TreePath<'_>, bytes: &[u8]) -> Result<()> {
        let new: TreePathBuf = layout::new(path);
        self.sink.remove(new.as_path())?;
        self.write(new.as_path(), bytes)?;
        self.sink.sync()?;
        self.sink.rename(new.as_path(), path)?;
        self.sink.sync()
    }
}

impl Written {
    /// Returns a descriptor for each name, or one without a name.
    fn descriptors(&self) -> Vec<Descriptor> {
        let Descriptor { media_type, digest, size, artifact_type, .. } = self.target.clone();
        let plain = Descriptor { media_type, digest, size, artifact_type, ..Descriptor::default() };
        let named = |name: &Reference| {
            let mut descriptor = plain.clone();
            let annotations = &mut descriptor.annotations;
            annotations.insert(ANNOTATION_IMAGE_NAME.to_owned(), name.to_string());
            if let Some(tag) = name.tag() {
                annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag.to_owned());
            }
            descriptor
        };
        if self.names.is_empty() { vec![plain] } else { self.names.iter().map(named).collect() }
    }

    /// Returns what Docker before 25 loads; nothing if nothing can run.
    fn saved(&self) -> Option<Saved> {
        let tags = self.names.iter().filter(|name| name.tag().is_some());
        let tags: Vec<_> = tags.map(Reference::familiar).collect();
        Some(Saved {
            config: layout::blob_name(self.config?.0),
            repo_tags: Some(tags).filter(|tags| !tags.is_empty()),
            layers: self.layers.iter().map(|layer| layout::blob_name(layer.0)).collect(),
        })
    }
}

/// One image of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Target for LayoutWriter {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn has_blob(&self, _: DiffId) -> bool {
        false
    }

    fn begin(&self, _: &[LayerStep]) -> Result<()> {
        let (uid, gid) = self.owner;
        for folder in layout::folders() {
            self.sink.make_dir(folder, 0o755)?;
            self.sink.finish_dir(folder, &Attributes { uid, gid, ..Attributes::root(0o755) })?;
        }
        Ok(())
    }

    fn put_layer(
        &self,
        step: &LayerStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Damage> {
        let mut damage = Damage::default();
        if !step.blob {
            return Ok(damage);
        }
        let blobs = self.putting(step.diff_id.0, progress);
        if let Some((_, blob, size)) = blobs.put_any(step, source, &mut damage)? {
            self.blobs().insert(step.diff_id, (blob, size));
            if !step.left_out {
                self.put(blob);
            }
            let written = if step.left_out { 0 } else { size };
            self.written.fetch_add(written, Ordering::Relaxed);
        }
        Ok(damage)
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    fn has_bytes(&self, step: &BlobStep) -> bool {
        self.is_there(step.blob, step.size)
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Option<Error>> {
        let damage = self.putting(step.blob.0, progress).keep(step, source)?;
        if damage.is_none() {
            self.put(step.blob);
            self.written.fetch_add(step.size, Ordering::Relaxed);
        }
        Ok(damage)
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// A new layout that is not finished is not gone on with; one that is added to is.
    fn checkpoint(&self) -> Result<()> {
        self.name()
    }

    /// A folder that nothing came into can be named again.
    fn tidy(&self) -> Result<()> {
        let [blobs, _] = layout::folders();
        if self.there.is_new() && self.sink.can_stage() {
            self.sink.remove(blobs)?;
        }
        Ok(())
    }

    fn commit(&self, images: &[ImageStep], source: &dyn Source) -> Result<Vec<Committed>> {
        let mut known = HashSet::new();
        let image = |step: &ImageStep| self.image(step, source, &mut known);
        let written = images.iter().map(image).collect::<Result<Vec<_>>>()?;
        self.name()?;
        self.publish(&written)?;
        let committed = |image: &Written| Committed { id: image.id, findings: Vec::new() };
        Ok(written.iter().map(committed).collect())
    }
}
