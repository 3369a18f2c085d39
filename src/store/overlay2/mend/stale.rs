//! What daemons had begun when they died, and caches that nobody can read.

use super::Mender;
use super::layers::child;
use crate::error::Result;
use crate::format::docker::{distribution, layerdb};
use crate::store::mend::Change;
use crate::store::overlay2::layout::{MOUNT_SET, WRITE_SET};
use crate::tree::{TreePathBuf, optional};

/// The largest that dockerd writes has fifty places.
const CACHE_LIMIT: u64 = 1 << 20;

impl Mender<'_> {
    pub(super) fn stale(&mut self) -> Result<()> {
        let layers = self.layout.layers();
        self.each(&layers, |name| name.ends_with(b"-removing"), "layer-half-removed")?;
        let ours = |name: &[u8]| {
            [WRITE_SET, MOUNT_SET].iter().any(|start| name.starts_with(start.as_bytes()))
        };
        let sets = self.layout.write_sets();
        self.each(&sets, |name| !ours(name), "layer-half-added")?;
        let is_temporary = |name: &[u8]| name.starts_with(b".tmp-");
        let names = self.layout.repositories();
        let folder = names.as_path().split_last().map(|(folder, _)| folder.to_owned());
        let folders = [folder.unwrap_or_default(), self.layout.contents()];
        for folder in folders {
            self.each(&folder, is_temporary, "temporary-file")?;
        }
        self.unreadable_caches()
    }

    /// Puts aside what is in a folder and `is_stale`, unless it is used to mend something.
    fn each(
        &mut self,
        folder: &TreePathBuf,
        is_stale: impl Fn(&[u8]) -> bool,
        code: &'static str,
    ) -> Result<()> {
        for name in optional(self.tree.names(folder.as_path()))?.unwrap_or_default() {
            let at = child(folder, &name);
            let mut changes = self.found.mends.iter().flat_map(|mend| &mend.changes);
            let is_used = changes.any(|change| change.at() == Some(at.as_path()));
            if is_stale(&name) && !is_used {
                let change = vec![Change::remove(at.clone())];
                let what = "a daemon died while it wrote or removed this";
                self.mend(code, at.as_path(), what, "put it aside", change);
            }
        }
        Ok(())
    }

    /// dockerd asks the registry again for what it does not find.
    fn unreadable_caches(&mut self) -> Result<()> {
        for (folder, is_diff) in [(self.layout.diffs(), true), (self.layout.places(), false)] {
            for name in optional(self.tree.names(folder.as_path()))?.unwrap_or_default() {
                let at = child(&folder, &name);
                let is_sound = self.value(&at, CACHE_LIMIT).is_some_and(|bytes| match is_diff {
                    true => layerdb::diff_id(&bytes).is_ok(),
                    false => distribution::blobs(&bytes).is_ok(),
                });
                if !is_sound {
                    let what = "what is noted of registries cannot be read";
                    let change = vec![Change::remove(at.clone())];
                    let code = "registry-note-unreadable";
                    self.mend(code, at.as_path(), what, "put it aside", change);
                }
            }
        }
        Ok(())
    }
}
