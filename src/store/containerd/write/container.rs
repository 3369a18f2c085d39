//! Containers: what each changed, as an active snapshot on that of what its daemon put there first,
//! both held by a lease that has the container's ID.
//!
//! moby v28 daemon/containerd/image_snapshot.go PrepareSnapshot

use super::Writer;
use super::bolt::check_name;
use super::meta::{self, Namespace, Snapshot, Usage};
use super::snapshot::is_left_behind;
use crate::digest::ChainId;
use crate::error::{Error, Place, Result};
use crate::format::bbolt::OwnedBucket;
use crate::store::containerd::journal::DoneSnapshot;
use crate::store::{ContainerStep, Source};
use crate::tree::{Copying, Snapshots, TreePathBuf, copy};

/// A container whose folders are staged.
#[derive(Clone, Debug)]
pub(super) struct Put {
    id: String,
    /// The topmost layer of its image.
    parent: Option<ChainId>,
    /// What its daemon put there first; Docker 24 made none.
    init: Option<Folder>,
    own: Folder,
}

/// A staged snapshot, and the number it is to have.
#[derive(Clone, Copy, Debug)]
struct Folder {
    number: u64,
    done: DoneSnapshot,
}

impl Put {
    /// Returns the topmost layer of the image.
    pub(super) fn parent(&self) -> Option<ChainId> {
        self.parent
    }

    fn init_key(&self) -> String {
        format!("{}-init", self.id)
    }

    /// Returns the snapshots by their keys, the lower first, with their numbers.
    pub(super) fn folders(&self) -> Vec<(String, u64)> {
        let init = self.init.map(|init| (self.init_key(), init.number));
        init.into_iter().chain([(self.id.clone(), self.own.number)]).collect()
    }
}

impl Writer {
    /// Stages the folders of a container; returns the bytes written.
    pub(super) fn container(&self, step: &ContainerStep, source: &dyn Source) -> Result<u64> {
        let id = &step.container.id;
        check_name("container", id)?;
        let tree = source.tree().ok_or_else(|| {
            let place = Place::new(source.kind().name(), "");
            Error::unsupported(place, "its folders cannot be read")
        })?;
        let mut written: u64 = 0;
        let mut put = |key: &str, from: &TreePathBuf| -> Result<Folder> {
            let number = self.next_folder();
            let place = self.stage.container(key, number);
            self.sink.remove(place.as_path())?;
            self.make_dir(place.as_path(), 0o700)?;
            let files = place.as_path().child(b"fs").unwrap_or_default();
            let copying = Copying {
                // The source's daemon may go on writing to its own.
                snapshots: Snapshots::Apart,
                skip: &|_| false,
                skip_xattr: &|name| is_left_behind(name, false),
            };
            let copied = copy(tree, from.as_path(), &*self.sink, files.as_path(), &copying)?;
            self.end_snapshot(place.as_path())?;
            written = written.saturating_add(copied.written);
            let done = DoneSnapshot { inodes: copied.inodes, size: copied.allocated };
            Ok(Folder { number, done })
        };
        let init = step.writable.init.as_ref();
        let init = init.map(|from| put(&format!("{id}-init"), from)).transpose()?;
        let own = put(id, &step.writable.upper)?;
        let parent = step.writable.parent;
        self.state().containers.push(Put { id: id.clone(), parent, init, own });
        Ok(written)
    }

    fn next_folder(&self) -> u64 {
        let mut state = self.state();
        let number = state.next_folder;
        state.next_folder = number.saturating_add(1);
        number
    }

    /// Adds the snapshots and leases of all containers that were put, in the place of older ones. What
    /// `backend` has under an older one's name stays: `meta.db` names it until it is replaced.
    pub(super) fn add_containers(
        &self,
        namespace: &mut Namespace<'_, '_>,
        backend: &mut OwnedBucket<'_>,
    ) -> Result<()> {
        let containers = self.state().containers.clone();
        for put in &containers {
            let mut parent = put.parent.map(|chain_id| chain_id.to_string());
            if let Some(init) = put.init {
                let (inodes, size) = (init.done.inodes, init.done.size);
                let usage = Usage::Committed { inodes, size };
                let below = parent.as_deref();
                self.add_writable(
                    namespace,
                    backend,
                    &put.init_key(),
                    below,
                    (init.number, usage),
                )?;
                parent = Some(put.init_key());
            }
            let own = (put.own.number, Usage::Active);
            self.add_writable(namespace, backend, &put.id, parent.as_deref(), own)?;
            let keys: Vec<_> = put.folders().into_iter().map(|(key, _)| key).collect();
            namespace.add_snapshot_lease(&put.id, &self.snapshotter, &keys);
        }
        Ok(())
    }

    fn add_writable(
        &self,
        namespace: &mut Namespace<'_, '_>,
        backend: &mut OwnedBucket<'_>,
        key: &str,
        parent: Option<&str>,
        (folder, usage): (u64, Usage),
    ) -> Result<()> {
        let below = match parent {
            Some(parent) => {
                Some(namespace.snapshot(&self.snapshotter, parent).ok_or_else(|| {
                    let place = self.sink.tree().place(self.places.snapshots().as_path());
                    Error::missing(place, format!("{key} has no snapshot {parent} to stand on"))
                })?)
            }
            None => None,
        };
        let name = namespace.replace_snapshot(&self.snapshotter, key, parent, backend);
        let name = name.into_bytes();
        let now = self.writing.now;
        meta::add_to_backend(backend, &Snapshot { name, parent: below, folder, usage, now });
        Ok(())
    }
}
