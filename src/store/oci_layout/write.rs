//! Writing an image layout.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::layout;
use crate::digest::{BlobId, DiffId, Digest};
use crate::error::{Error, Result};
use crate::format::oci::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, classic_save_manifest, media_type,
};
use crate::format::raw::go_json;
use crate::format::reference::Reference;
use crate::model::{Inventory, StoreKind};
use crate::store::put::Blobs;
use crate::store::{
    BlobStep, Committed, Compression, Damage, Form, ImageStep, LayerStep, Progress, Source, Target,
    Writing,
};
use crate::tree::{Attributes, Sink, TreePath, TreePathBuf, sink_error};

/// A new image layout.
pub struct LayoutWriter {
    sink: Arc<dyn Sink>,
    form: Form,
    compression: Compression,
    /// Who owns the folder owns what is in it.
    owner: (u32, u32),
    inventory: Inventory,
    blobs: Mutex<HashMap<DiffId, (BlobId, u64)>>,
    written: AtomicU64,
}

impl std::fmt::Debug for LayoutWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayoutWriter").field("form", &self.form).finish_non_exhaustive()
    }
}

/// An image as it stands in the layout.
struct Written {
    manifest: BlobId,
    size: u64,
    config: Digest,
    layers: Vec<BlobId>,
    names: Vec<Reference>,
}

impl LayoutWriter {
    /// Begins a layout in the empty folder that `sink` is.
    ///
    /// # Errors
    /// Refused if there is something in it.
    pub fn new(sink: Arc<dyn Sink>, form: Form, writing: Writing) -> Result<Self> {
        let root = sink.tree().stat(TreePath::ROOT)?;
        if !sink.tree().names(TreePath::ROOT)?.is_empty() {
            let what = format!("{} is not empty", sink.tree().origin());
            return Err(Error::refused(what).hint("name a folder that is empty or not there yet"));
        }
        Ok(Self {
            sink,
            form,
            compression: writing.compression,
            owner: (root.uid, root.gid),
            inventory: Inventory::new(StoreKind::Layout, "oci"),
            blobs: Mutex::default(),
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

    fn write(&self, path: TreePath<'_>, bytes: &[u8]) -> Result<()> {
        let mut file = self.sink.create(path, &self.attributes())?;
        file.write_all(bytes).map_err(|error| sink_error(&*self.sink, path, error))?;
        file.finish().map(drop)
    }

    /// Writes config and manifest of an image; `known` are the documents that are there.
    fn image(
        &self,
        step: &ImageStep,
        source: &dyn Source,
        known: &mut HashSet<BlobId>,
    ) -> Result<Written> {
        let config_id = step.config()?;
        let config = source.document(BlobId(config_id.0))?.bytes;
        let diff_ids = step.image.shown().map(|shown| shown.layers.clone()).unwrap_or_default();
        let put = |diff_id: &DiffId| {
            let what = || format!("layer {diff_id} was not put");
            let place = || self.sink.tree().place(TreePath::ROOT);
            self.blobs().get(diff_id).copied().ok_or_else(|| Error::missing(place(), what()))
        };
        let layers = diff_ids.iter().map(put).collect::<Result<Vec<_>>>()?;
        let kind = self.compression.media_type();
        let parts: Vec<_> = layers.iter().map(|(blob, size)| (kind, *blob, *size)).collect();
        let manifest = classic_save_manifest((config_id, config.len() as u64), &parts);
        let (size, id) = (manifest.len() as u64, BlobId(Digest::of(&manifest)));
        for (blob, bytes) in [(BlobId(config_id.0), config), (id, manifest)] {
            if known.insert(blob) {
                self.write(layout::blob(blob).as_path(), &bytes)?;
            }
        }
        let name = |name: &String| {
            let name = name.replace(ImageStep::OWN_DIGEST, &id.to_string());
            Reference::parse_normalized(&name).map_err(|bad| {
                Error::corrupt(self.sink.tree().place(TreePath::ROOT), format!("`{name}`: {bad}"))
            })
        };
        let names = step.names.iter().map(name).collect::<Result<Vec<_>>>()?;
        let layers = layers.into_iter().map(|(blob, _)| blob).collect();
        Ok(Written { manifest: id, size, config: config_id.0, layers, names })
    }

    /// Writes what names the blobs, `index.json` last: without it a folder is no layout.
    fn publish(&self, images: &[Written]) -> Result<()> {
        if self.form == Form::Docker {
            let manifests: Vec<_> = images.iter().map(Written::saved).collect();
            self.write(layout::manifest(), &go_json(&manifests))?;
        }
        self.write(layout::version(), layout::VERSION)?;
        self.sink.sync()?;
        let manifests = images.iter().flat_map(Written::descriptors).collect();
        let index = Index { schema_version: 2, media_type: media_type::OCI_INDEX, manifests };
        let new: TreePathBuf = layout::new(layout::index());
        self.write(new.as_path(), &go_json(&index))?;
        self.sink.sync()?;
        self.sink.rename(new.as_path(), layout::index())?;
        self.sink.sync()
    }
}

impl Written {
    /// Returns a descriptor for each name, or one without a name.
    fn descriptors(&self) -> Vec<Descriptor> {
        let plain = Descriptor {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            digest: self.manifest.to_string(),
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            ..Descriptor::default()
        };
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

    fn saved(&self) -> Saved {
        let tags = self.names.iter().filter(|name| name.tag().is_some());
        let tags: Vec<_> = tags.map(Reference::familiar).collect();
        Saved {
            config: layout::blob_name(self.config),
            repo_tags: Some(tags).filter(|tags| !tags.is_empty()),
            layers: self.layers.iter().map(|layer| layout::blob_name(layer.0)).collect(),
        }
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

/// Members in the order Go writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
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
        let blobs = Blobs {
            sink: &*self.sink,
            attributes: self.attributes(),
            compression: self.compression,
            progress,
            unfinished: layout::unfinished(step.diff_id),
            place: &layout::blob,
        };
        if let Some((_, blob, size)) = blobs.put_any(step, source, &mut damage)? {
            self.blobs().insert(step.diff_id, (blob, size));
            self.written.fetch_add(size, Ordering::Relaxed);
        }
        Ok(damage)
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    fn put_blob(
        &self,
        step: &BlobStep,
        source: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<Option<Error>> {
        let _ = (step, source, progress);
        let place = self.sink.tree().place(TreePath::ROOT);
        Err(Error::unsupported(place, "images cannot come as a whole yet"))
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// A layout that is not finished is not gone on with.
    fn checkpoint(&self) -> Result<()> {
        Ok(())
    }

    fn tidy(&self) -> Result<()> {
        Ok(())
    }

    fn commit(&self, images: &[ImageStep], source: &dyn Source) -> Result<Vec<Committed>> {
        let mut known = HashSet::new();
        let image = |step: &ImageStep| self.image(step, source, &mut known);
        let written = images.iter().map(image).collect::<Result<Vec<_>>>()?;
        self.publish(&written)?;
        let committed = |image: &Written| Committed { id: image.manifest.0, findings: Vec::new() };
        Ok(written.iter().map(committed).collect())
    }
}
