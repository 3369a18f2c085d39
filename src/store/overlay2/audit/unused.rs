//! What lies in the driver's folder and belongs to nothing.

use std::collections::HashSet;

use super::{Auditor, TIDY};
use crate::error::Result;
use crate::format::docker::link::parse_target;
use crate::model::Severity;
use crate::tree::{many, optional};

/// What the driver puts there for itself. moby v28.5 daemon/graphdriver/overlay2, daemon/internal/quota
const ITS_OWN: [&[u8]; 2] = [b"l", b"backingFsBlockDev"];

/// What the driver makes at its start to try the kernel, and may leave.
const TRIALS: [&[u8]; 4] =
    [b"opaque-bug-check", b"metacopy-check", b"check-overlayfs-support", b"userxattr-check"];

impl Auditor<'_> {
    /// Tells of folders that are not `known`, and of short names of folders that are gone.
    pub(super) fn unused_folders(&mut self, known: &HashSet<Vec<u8>>) -> Result<()> {
        let all = self.here.layout.driver_folder();
        let names = optional(self.here.tree.names(all.as_path()))?.unwrap_or_default();
        let mut here: HashSet<Vec<u8>> = names.iter().cloned().collect();
        here.extend(known.iter().cloned());
        for name in &names {
            let is_kept = self.builds.as_ref().is_none_or(|builds| builds.has(name));
            let is_own = ITS_OWN.contains(&name.as_slice())
                || TRIALS.iter().any(|trial| name.starts_with(trial));
            if known.contains(name) || is_kept || is_own {
                continue;
            }
            let folder = all.as_path().child(name).unwrap_or_default();
            let what = "no layer, container or build has it";
            let remedy = match self.audit.findings.iter().any(|f| f.code == "layer-unreadable") {
                true => "layers that cannot be read may be its owners: repair them first",
                false => TIDY,
            };
            self.note(("folder-unused", Severity::Untidy), folder.as_path(), what, remedy);
        }
        self.unused_links(&here)
    }

    fn unused_links(&mut self, here: &HashSet<Vec<u8>>) -> Result<()> {
        let (tree, links) = (self.here.tree, self.here.layout.links());
        let names = optional(tree.names(links.as_path()))?.unwrap_or_default();
        self.audit.count("short-names", names.len());
        let leads = many(&names, |name| {
            let target = tree.read_link(links.as_path().child(name)?.as_path()).ok()?;
            parse_target(&target).ok().map(<[u8]>::to_vec)
        });
        for (name, folder) in names.iter().zip(leads) {
            if folder.is_none_or(|folder| !here.contains(&folder)) {
                let link = links.as_path().child(name).unwrap_or_default();
                let what = "it leads to no folder of a layer";
                self.note(("link-unused", Severity::Untidy), link.as_path(), what, TIDY);
            }
        }
        Ok(())
    }
}
