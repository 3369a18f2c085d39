//! What lies in the driver's folder and belongs to nothing.

use std::collections::{BTreeSet, HashSet};

use super::folders::Links;
use super::{Auditor, TIDY};
use crate::error::Result;
use crate::format::docker::link::parse_target;
use crate::model::Severity;
use crate::tree::optional;

/// What the driver puts there for itself. moby v28.5 daemon/graphdriver/overlay2, daemon/internal/quota
const ITS_OWN: [&[u8]; 2] = [b"l", b"backingFsBlockDev"];

/// What the driver makes at its start to try the kernel, and may leave.
const TRIALS: [&[u8]; 4] =
    [b"opaque-bug-check", b"metacopy-check", b"check-overlayfs-support", b"userxattr-check"];

impl Auditor<'_> {
    /// Tells of folders that are not `known`, and of short names of folders that are gone.
    pub(super) fn unused_folders(&mut self, known: &HashSet<&[u8]>, links: &Links) -> Result<()> {
        let all = self.here.layout.driver_folder();
        let names = optional(self.here.tree.names(all.as_path()))?.unwrap_or_default();
        let others = names.iter().map(Vec::as_slice).filter(|name| !known.contains(name));
        let others: BTreeSet<&[u8]> = others.collect();
        for name in &others {
            let is_kept = self.builds.as_ref().is_none_or(|builds| builds.has(name));
            let is_own =
                ITS_OWN.contains(name) || TRIALS.iter().any(|trial| name.starts_with(trial));
            if is_kept || is_own {
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
        let is_there = |id: &[u8]| known.contains(id) || others.contains(id);
        self.unused_links(&is_there, links);
        Ok(())
    }

    fn unused_links(&mut self, is_there: &dyn Fn(&[u8]) -> bool, links: &Links) {
        let is_led = |target: &Vec<u8>| parse_target(target).is_ok_and(is_there);
        let unused = links.iter().filter(|(_, target)| !target.as_ref().is_some_and(is_led));
        let mut names: Vec<_> = unused.map(|(name, _)| name).collect();
        names.sort_unstable();
        for name in names {
            let link = self.here.layout.links().as_path().child(name).unwrap_or_default();
            let what = "it leads to no folder of a layer";
            self.note(("link-unused", Severity::Untidy), link.as_path(), what, TIDY);
        }
    }
}
