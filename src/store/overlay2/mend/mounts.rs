//! `layerdb/mounts`: where the files of containers are follows from the driver's folders and from the
//! containers' images.

use super::Mender;
use crate::digest::ChainId;
use crate::error::Result;
use crate::format::docker::layerdb;
use crate::model::Container;
use crate::store::mend::Change;
use crate::store::overlay2::layers::VALUE_LIMIT;
use crate::store::overlay2::mounts::Mount;
use crate::tree::optional;

impl Mender<'_> {
    pub(super) fn mend_mounts(&mut self) -> Result<()> {
        let help = self.help;
        let here = || help.containers.iter().filter(|one| one.driver == self.driver);
        let here: Vec<&Container> = here().collect();
        let mut lost = Vec::new();
        // Those that are sound first: what they have is not taken for another's.
        for one in here {
            let value = |key| self.mount_value(&one.id, key);
            let init_id = value("init-id").and_then(|bytes| layerdb::mount_id(&bytes).ok());
            let from_init = init_id.as_deref().and_then(|id| id.strip_suffix("-init"));
            let mount_id = value("mount-id").and_then(|bytes| layerdb::mount_id(&bytes).ok());
            let mount_id = mount_id.or_else(|| from_init.map(str::to_owned));
            match mount_id.filter(|id| self.folders.contains_key(id) || init_id.is_some()) {
                Some(mount_id) => self.mount(one, mount_id)?,
                None => lost.push(one),
            }
        }
        for one in lost {
            match self.find_mount(one) {
                Some(mount_id) => self.mount(one, mount_id)?,
                None => {
                    let folder = self.layout.mounts().as_path().child(one.id.as_bytes());
                    let what = format!("container {}: nothing says where its files are", one.name);
                    let missing = "the one folder of the driver that stands on its image and belongs to \
                                   no other container";
                    let at = folder.unwrap_or_default();
                    self.cannot("container-layer-unreadable", at.as_path(), what, missing);
                }
            }
        }
        Ok(())
    }

    pub(super) fn mount_value(&self, container: &str, key: &str) -> Option<Vec<u8>> {
        self.value(&self.layout.mount(container, key)?, VALUE_LIMIT)
    }

    /// Returns the only folder of nobody that stands, through its first layer, on the image of a
    /// container.
    fn find_mount(&self, one: &Container) -> Option<String> {
        let claimed = self.claimed();
        let top = self.top_of(one)?;
        let top = self.entries.get(&top)?.cache_id.as_str();
        let mut free = self.folders.keys().filter(|id| {
            let init = format!("{id}-init");
            let is_mount = layerdb::mount_id(id.as_bytes()).is_ok() && !id.ends_with("-init");
            is_mount
                && !claimed.contains(*id)
                && self.below(id) == Some(init.as_str())
                && self.below(&init) == Some(top)
        });
        free.next().filter(|_| free.next().is_none()).cloned()
    }

    fn top_of(&self, one: &Container) -> Option<ChainId> {
        self.images.get(&one.image?)?.last().copied()
    }

    fn mount(&mut self, one: &Container, mount_id: String) -> Result<()> {
        let init = format!("{mount_id}-init");
        let init_id = self.folders.contains_key(&init).then_some(init);
        let written = self.mount_value(&one.id, "init-id");
        let written = written.and_then(|bytes| layerdb::mount_id(&bytes).ok());
        let init_id = written.clone().or(init_id);
        let says = self.mount_value(&one.id, "parent");
        let says = says.and_then(|bytes| layerdb::parent(&bytes).ok());
        let sound = says.filter(|parent| self.entries.contains_key(parent));
        let first = init_id.as_deref().unwrap_or(&mount_id);
        let below = self.below(first).and_then(|id| {
            self.entries
                .iter()
                .find(|(_, entry)| entry.cache_id == id)
                .map(|(chain_id, _)| *chain_id)
        });
        let top = self.top_of(one).filter(|top| self.entries.contains_key(top));
        let parent = sound.or(below).or(top).or(says);
        let (mut changes, mut told) = (Vec::new(), Vec::new());
        let folder = self.layout.mounts().as_path().child(one.id.as_bytes()).unwrap_or_default();
        if optional(self.tree.stat(folder.as_path()))?.is_none() {
            changes.push(Change::folder(folder.clone(), 0o755));
        }
        let mut put = |key: &'static str, wanted: Option<String>| {
            let Some(text) = wanted else { return };
            let found = self.mount_value(&one.id, key);
            let found = found.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
            if found.as_ref() != Some(&text)
                && let Some(at) = self.layout.mount(&one.id, key)
            {
                changes.push(Change::file(at, 0o644, text.into_bytes()));
                told.push(key);
            }
        };
        put("mount-id", Some(mount_id.clone()));
        put("init-id", init_id.clone());
        put("parent", parent.map(|parent| parent.to_string()));
        if !told.is_empty() {
            let what = format!("container {}: not all is noted of where its files are", one.name);
            let how = format!("write {} anew", told.join(", "));
            self.mend("container-layer-unreadable", folder.as_path(), what, how, changes);
        }
        self.mounts.insert(one.id.clone(), Mount { mount_id, init_id, parent });
        Ok(())
    }
}
