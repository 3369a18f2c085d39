//! Containers: two folders of the driver, what the container changed on what its daemon put there
//! first, and the folder in layerdb that names both.
//!
//! moby v28 daemon/internal/layer/layer_store.go CreateRWLayer, filestore.go

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Writer;
use super::layer::child;
use super::plan::{Planned, TRIES, is_number, links};
use crate::digest::{ChainId, Digest};
use crate::error::{Error, Place, Result};
use crate::format::docker::link::Link;
use crate::format::overlay::Mark;
use crate::store::overlay2::mounts;
use crate::store::{ContainerStep, Source};
use crate::tree::{Copying, Snapshots, Tree, TreePathBuf, copy, optional};

/// The ends of the names of the two folders.
const ENDS: [&str; 2] = ["-init", ""];

/// Returns what the driver's folder of a container of ours may be called. A container that comes again
/// gets another one than it has.
fn mount_ids(container: &str) -> impl Iterator<Item = String> {
    let id = move |n| Digest::of(format!("tranship container {container} {n}").as_bytes()).hex();
    (0..).map(id).filter(|id| !is_number(id)).take(TRIES)
}

impl Writer {
    /// Puts the folders of a container; returns the bytes written. layerdb names them at the commit.
    pub(super) fn container(&self, step: &ContainerStep, source: &dyn Source) -> Result<u64> {
        let id = &step.container.id;
        let place = || self.sink.tree().place(self.layout.mounts().as_path());
        if Digest::from_hex(id).is_err() || !self.sink.can_stage() {
            return Err(Error::unsupported(place(), format!("no container {id} can be put here")));
        }
        let tree = source.tree().ok_or_else(|| {
            let place = Place::new(source.kind().name(), "");
            Error::unsupported(place, "its folders cannot be read")
        })?;
        let mount_id = self.mount_id(id)?;
        let set = self.layout.mount_set(id);
        self.make_dir(&self.layout.mounts(), 0o755)?;
        // What an interrupted run leaves is known by this folder, so it comes first.
        self.make_dir(&set, 0o755)?;
        self.sink.sync()?;
        self.clear_mount(&mount_id)?;
        for name in self.sink.tree().names(set.as_path())? {
            self.sink.remove(set.as_path().child(&name).unwrap_or_default().as_path())?;
        }
        let (parent, mut lower) = (step.writable.parent, self.lower(step.writable.parent)?);
        self.note_child(parent)?;
        let (mut written, mut values) = (0_u64, Vec::new());
        if let Some(init) = &step.writable.init {
            let id = format!("{mount_id}-init");
            let (link, bytes) = self.put_mount(&id, &lower, true, (tree, init))?;
            written = written.saturating_add(bytes);
            lower.insert(0, link);
            values.push(("init-id", id));
        }
        let (_, bytes) = self.put_mount(&mount_id, &lower, false, (tree, &step.writable.upper))?;
        values.push(("mount-id", mount_id));
        values.extend(parent.map(|parent| ("parent", parent.to_string())));
        for (key, value) in values {
            self.write_file(&child(&set, key), 0o644, value.as_bytes())?;
        }
        self.state().containers.push((id.clone(), parent));
        Ok(written.saturating_add(bytes))
    }

    /// Returns a name for the driver's folder that the container does not have.
    fn mount_id(&self, container: &str) -> Result<String> {
        let current = self.current_mount(container);
        mount_ids(container).find(|id| Some(id) != current.as_ref()).ok_or_else(|| {
            let place = self.sink.tree().place(self.layout.mounts().as_path());
            Error::corrupt(place, "all names are taken")
        })
    }

    /// Returns the folder that layerdb names, if it can be read.
    fn current_mount(&self, container: &str) -> Option<String> {
        let read = mounts::read(self.sink.tree(), &self.layout, container).ok();
        read.map(|mount| mount.mount_id)
    }

    /// Makes one folder of the driver, with the files of `from`.
    fn put_mount(
        &self,
        id: &str,
        lower: &[Link],
        has_child: bool,
        (tree, from): (&dyn Tree, &TreePathBuf),
    ) -> Result<(Link, u64)> {
        let names = optional(self.sink.tree().names(self.layout.links().as_path()))?;
        let mut taken: BTreeSet<Vec<u8>> = names.unwrap_or_default().into_iter().collect();
        let link = self.link(id, &mut taken)?;
        let planned = Planned { cache_id: id.to_owned(), link, parent: None, has_child };
        self.put_folder(&planned, lower)?;
        let files = self.layout.files(id).unwrap_or_default();
        let copying = Copying {
            // The source's daemon may go on writing to its own.
            snapshots: Snapshots::Apart,
            skip: &|_| false,
            // What the kernel noted for its own use means nothing where the folder stands now.
            skip_xattr: &|name| Mark::of(name).is_some_and(|(_, mark)| mark.is_private()),
        };
        let copied = copy(tree, from.as_path(), &*self.sink, files.as_path(), &copying)?;
        Ok((link, copied.written))
    }

    /// Marks the layer that a container is to stand on.
    fn note_child(&self, parent: Option<ChainId>) -> Result<()> {
        let Some(parent) = parent else { return Ok(()) };
        self.note_children(std::iter::once(&parent))?;
        let planned = Arc::clone(&self.state().planned);
        let folder = planned.get(&parent).and_then(|made| self.layout.folder(&made.cache_id));
        let mark = folder.map(|folder| child(&folder, "committed"));
        match mark {
            Some(mark) if !self.is_there(&mark)? => self.write_file(&mark, 0o600, b""),
            _ => Ok(()),
        }
    }

    /// Removes the folders called `mount_id`, and the links to them.
    fn clear_mount(&self, mount_id: &str) -> Result<()> {
        for id in ENDS.map(|end| format!("{mount_id}{end}")) {
            for link in links(&id).filter(|link| self.leads_to(*link, &id)) {
                self.sink.remove(self.layout.link(link).as_path())?;
            }
            if let Some(folder) = self.layout.folder(&id) {
                self.sink.remove(folder.as_path())?;
            }
        }
        Ok(())
    }

    /// Makes layerdb name the folders of all containers that were put. An older copy's folders stay.
    pub(super) fn publish_containers(&self) -> Result<()> {
        let containers = std::mem::take(&mut self.state().containers);
        if containers.is_empty() {
            return Ok(());
        }
        self.sink.sync()?;
        for (id, parent) in &containers {
            let place = self.layout.mounts().as_path().child(id.as_bytes()).unwrap_or_default();
            if parent.is_some_and(|parent| !self.has_layer(parent)) {
                let place = self.sink.tree().place(place.as_path());
                return Err(Error::missing(place, "the layers below it were not put"));
            }
            let set = self.layout.mount_set(id);
            if self.is_there(&place)? {
                self.sink.exchange(set.as_path(), place.as_path())?;
            } else {
                self.sink.rename(set.as_path(), place.as_path())?;
            }
        }
        self.sink.sync()
    }

    /// Removes the folders of containers that did not come to layerdb, and of those what ours had
    /// before.
    pub(super) fn discard_containers(&self, names: &[Vec<u8>]) -> Result<()> {
        let id = |name: &Vec<u8>| {
            let id = std::str::from_utf8(name).ok()?.strip_prefix(super::MOUNT_SET)?;
            Digest::from_hex(id).ok().map(|digest| digest.hex())
        };
        let left: Vec<String> = names.iter().filter_map(id).collect();
        for id in &left {
            let current = self.current_mount(id);
            for mount_id in mount_ids(id).filter(|mount_id| Some(mount_id) != current.as_ref()) {
                self.clear_mount(&mount_id)?;
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        self.sink.sync()?;
        for id in &left {
            self.sink.remove(self.layout.mount_set(id).as_path())?;
        }
        Ok(())
    }
}
