//! `layerdb/mounts`: what containers changed. dockerd drops a folder that it cannot read, and with it
//! the container. moby v28.5 layer/layer_store.go loadMount, daemon/daemon.go restore

use std::collections::HashSet;

use super::{Auditor, MEND, MountHere, TIDY};
use crate::digest::ChainId;
use crate::error::Result;
use crate::model::{Container, Severity};
use crate::store::overlay2::mounts;
use crate::tree::{TreePathBuf, many, optional, path};

impl Auditor<'_> {
    pub(super) fn check_mounts(&mut self) -> Result<()> {
        let (here, folder) = (self.here, self.here.layout.mounts());
        let names = optional(here.tree.names(folder.as_path()))?.unwrap_or_default();
        self.audit.count("container-layers", names.len());
        let read = many(&names, |name| {
            let container = String::from_utf8_lossy(name).into_owned();
            let mount = mounts::read(here.tree, here.layout, &container);
            (container, mount)
        });
        for (container, mount) in read {
            let mount = match mount {
                Ok(mount) => self.is_on_layer(&container, &mount).map(|()| mount),
                Err(error) => {
                    let place = error.place().cloned().unwrap_or_default();
                    let code = ("container-layer-unreadable", Severity::WouldNotLoad);
                    let what = format!("container {}: {}", self.called(&container), error.what());
                    self.audit.note(code, place, what, MEND);
                    Err("the record of what it changed cannot be read".to_owned())
                }
            };
            self.mounts.push(MountHere { container, mount });
        }
        self.match_containers();
        Ok(())
    }

    /// The layer that a container stands on must load, or dockerd drops the container.
    fn is_on_layer(
        &mut self,
        container: &str,
        mount: &mounts::Mount,
    ) -> std::result::Result<(), String> {
        let file = |key| self.here.layout.mount(container, key).unwrap_or_default();
        let at = file("parent");
        if let Some(parent) = mount.parent
            && !self.loads(parent)
        {
            let what = format!(
                "container {} stands on layer {}, which cannot be loaded",
                self.called(container),
                parent.0.short()
            );
            let code = ("container-without-layer", Severity::WouldNotLoad);
            self.note(code, at.as_path(), what, "repair the layer first: `tranship repair`");
            return Err(format!("its layer {} cannot be loaded", parent.0.short()));
        }
        let on_image = self.top_of_image(container).filter(|top| mount.parent != Some(*top));
        if let (None, Some(top)) = (mount.parent, on_image) {
            let what = format!(
                "container {} says that it stands on nothing; its image ends with layer {}",
                self.called(container),
                top.0.short()
            );
            self.note(("container-layer-wrong", Severity::WrongMetadata), at.as_path(), what, MEND);
        }
        let init = format!("{}-init", mount.mount_id);
        let folder = self.here.layout.folder(&init).unwrap_or_default();
        if mount.init_id.is_none() && self.here.tree.stat(folder.as_path()).is_ok() {
            let what =
                format!("container {} does not know of its layer {init}", self.called(container));
            let at = self.here.layout.mount(container, "init-id").unwrap_or_default();
            self.note(("container-layer-wrong", Severity::WrongMetadata), at.as_path(), what, MEND);
        }
        Ok(())
    }

    /// Returns the topmost layer of a container's image, if both are known.
    fn top_of_image(&self, container: &str) -> Option<ChainId> {
        let image = self.container(container)?.image?;
        let image = self.here.inventory.images.iter().find(|known| known.id == image)?;
        image.shown()?.chain().last().copied()
    }

    pub(super) fn container(&self, id: &str) -> Option<&Container> {
        self.here.inventory.containers.iter().find(|one| one.id == id)
    }

    /// Returns what people call a container.
    pub(super) fn called(&self, id: &str) -> String {
        let named = self.container(id).filter(|one| !one.name.is_empty());
        let short = || id.chars().take(12).collect();
        named.map_or_else(short, |one| one.name.clone())
    }

    fn match_containers(&mut self) {
        let there: HashSet<&str> = self.mounts.iter().map(|here| &*here.container).collect();
        let all = self.here.inventory.containers.iter();
        let lost: Vec<_> = all.filter(|one| !there.contains(one.id.as_str())).collect();
        let is_container = |id: &str| {
            let folder = path("containers").child(id.as_bytes()).unwrap_or_default();
            self.here.tree.stat(folder.as_path()).is_ok()
        };
        let mut unused: Vec<String> =
            there.iter().filter(|id| !is_container(id)).map(|id| (*id).to_owned()).collect();
        unused.sort_unstable();
        for one in lost {
            let place: TreePathBuf =
                self.here.layout.mounts().as_path().child(one.id.as_bytes()).unwrap_or_default();
            let what = format!("container {}: nothing says where its files are", one.name);
            let code = ("container-layer-unreadable", Severity::WouldNotLoad);
            self.note(code, place.as_path(), what, MEND);
        }
        for id in unused {
            let folder = self.here.layout.mounts().as_path().child(id.as_bytes());
            let what = "the layer of a container that is not there";
            let code = ("container-layer-unused", Severity::Untidy);
            self.note(code, folder.unwrap_or_default().as_path(), what, TIDY);
        }
    }
}
