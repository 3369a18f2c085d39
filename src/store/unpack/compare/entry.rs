//! One member of the tar and what the folder has of that name.

use super::content::Content;
use super::difference::Differs;
use super::{Compare, hash};
use crate::error::{Error, Result};
use crate::format::tar::{self, Member};
use crate::store::unpack::attributes::{attributes, without_private};
use crate::store::unpack::dirs::Dir;
use crate::store::unpack::name::{Spelled, spelled};
use crate::tree::{Attributes, Kind, Metadata, Time, TreePath, Xattrs};

impl Compare<'_> {
    pub(super) fn entry(&mut self, path: TreePath<'_>, member: &Member<'_>) -> Result<()> {
        let is_dir = member.kind == tar::Kind::Dir;
        let is_said = self.seen.contains(&hash(path)) || self.found.has(path);
        if is_said || (!is_dir && self.dirs.contains(path)) {
            self.replace(path);
        }
        self.is_odd |= member.sparse.is_some();
        match self.stat(path)? {
            None => self.note(path, Differs::Missing),
            Some(found) if is_dir && found.kind == Kind::Dir => {
                let attributes = attributes(member, Kind::Dir, &self.rules);
                self.keep(path, Dir { attributes, is_implied: false });
            }
            Some(found) => match self.kind_differs(path, &found, member)? {
                Some(differs) => self.note(path, differs),
                None => self.compare_file(path, &found, member)?,
            },
        }
        if !is_dir {
            self.seen.insert(hash(path));
        }
        Ok(())
    }

    /// Compares the attributes of what is no folder, and begins with its bytes.
    fn compare_file(
        &mut self,
        path: TreePath<'_>,
        found: &Metadata,
        member: &Member<'_>,
    ) -> Result<()> {
        let wanted = attributes(member, found.kind, &self.rules);
        let mut xattrs = without_private(self.tree.xattrs(self.at(path).as_path())?);
        let is_link = member.kind == tar::Kind::HardLink;
        if is_link {
            // The file has what was said of it before, and this.
            xattrs.retain(|key, _| wanted.xattrs.contains_key(key));
        }
        self.is_odd |= xattrs.keys().any(|key| is_label(key) && !wanted.xattrs.contains_key(key));
        let wanted_xattrs = without_private(wanted.xattrs.clone());
        let differs =
            differing(found, &wanted).or_else(|| differing_xattrs(&xattrs, &wanted_xattrs));
        if let Some(differs) = differs {
            self.note(path, differs);
        }
        let is_first = found.nlink <= 1
            || is_link
            || *self.linked.entry(found.ino).or_insert_with(|| hash(path)) == hash(path);
        if !is_first {
            self.note(path, Differs::Linked);
        }
        if member.kind == tar::Kind::File {
            self.open(path, found, member);
        }
        Ok(())
    }

    /// Returns how what is there is not what the member makes, but for attributes and bytes.
    fn kind_differs(
        &mut self,
        path: TreePath<'_>,
        found: &Metadata,
        member: &Member<'_>,
    ) -> Result<Option<Differs>> {
        let wanted = match member.kind {
            tar::Kind::File => Kind::File,
            tar::Kind::Symlink => Kind::Symlink,
            tar::Kind::Char => Kind::Char,
            tar::Kind::Block => Kind::Block,
            tar::Kind::Fifo => Kind::Fifo,
            tar::Kind::Dir => Kind::Dir,
            tar::Kind::HardLink => return self.link_differs(found, member),
            tar::Kind::Global => return Ok(None),
            tar::Kind::Other(flag) => {
                let what = format!("the tar has a member of type `{}`", flag.escape_ascii());
                return Ok(Some(Differs::Unusable(what)));
            }
        };
        if found.kind != wanted {
            return Ok(Some(Differs::Kind(found.kind)));
        }
        let leads = match wanted {
            Kind::Symlink => self.tree.read_link(self.at(path).as_path())? == *member.link,
            Kind::Char | Kind::Block => found.rdev == member.device,
            _ => true,
        };
        if wanted == Kind::File && found.size != member.size {
            return Ok(Some(Differs::Size { found: found.size, wanted: member.size }));
        }
        Ok((!leads).then_some(Differs::Leads))
    }

    fn link_differs(&mut self, found: &Metadata, member: &Member<'_>) -> Result<Option<Differs>> {
        let Ok(Some(Spelled { folder, name })) = spelled(&member.link, self.rules.turns_inside)
        else {
            return Ok(Some(Differs::Unusable("the tar has a hard link to nothing".to_owned())));
        };
        let Some(folder) = self.folder(&folder, false)? else { return Ok(Some(Differs::Linked)) };
        let target = folder.as_path().child(&name).unwrap_or_default();
        if !self.seen.contains(&hash(target.as_path())) {
            let what = "the tar has a hard link to what it has not before";
            return Ok(Some(Differs::Unusable(what.to_owned())));
        }
        if found.kind == Kind::Dir {
            return Ok(Some(Differs::Kind(found.kind)));
        }
        if self.stat(target.as_path())?.is_none_or(|target| target.ino != found.ino) {
            return Ok(Some(Differs::Linked));
        }
        // The header of the last name counts for all.
        self.found.forget_attributes(target.as_path());
        Ok(None)
    }

    fn open(&mut self, path: TreePath<'_>, found: &Metadata, member: &Member<'_>) {
        if found.size == 0 || !self.reads_files {
            return;
        }
        match self.tree.open(self.at(path).as_path()) {
            Ok(bytes) => self.file = Some((Content::new(bytes, member), path.to_owned())),
            Err(error) => self.unreadable(path, &error),
        }
    }

    pub(super) fn unreadable(&mut self, path: TreePath<'_>, error: &Error) {
        self.note(path, Differs::Unreadable(format!("cannot be read: {}", error.what())));
    }
}

/// Returns which attribute differs, extended ones apart.
pub(super) fn differing(found: &Metadata, wanted: &Attributes) -> Option<Differs> {
    if found.kind != Kind::Symlink && found.mode != wanted.mode {
        return Some(Differs::Mode { found: found.mode, wanted: wanted.mode });
    }
    let (owner, wanted_owner) = ((found.uid, found.gid), (wanted.uid, wanted.gid));
    if owner != wanted_owner {
        return Some(Differs::Owner { found: owner, wanted: wanted_owner });
    }
    let time = wanted.mtime.filter(|time| !is_time(found.mtime, *time));
    time.map(|wanted| Differs::Time { found: found.mtime, wanted })
}

/// What BuildKit and `docker commit` made in place has the time to the nanosecond, and their tars say
/// the second alone.
fn is_time(found: Time, wanted: Time) -> bool {
    found.seconds == wanted.seconds && (wanted.nanos == 0 || found.nanos == wanted.nanos)
}

/// Returns the first extended attribute that differs; a label that the tar does not have is none.
pub(super) fn differing_xattrs(found: &Xattrs, wanted: &Xattrs) -> Option<Differs> {
    let mut keys = found.keys().chain(wanted.keys());
    let differs = |key: &&Vec<u8>| {
        found.get(*key) != wanted.get(*key) && (wanted.contains_key(*key) || !is_label(key))
    };
    keys.find(differs).map(|key| Differs::Xattr(key.clone()))
}

/// Returns whether security modules put this attribute on files of the machine they guard.
pub(super) fn is_label(key: &[u8]) -> bool {
    const LABELS: [&[u8]; 4] =
        [b"security.selinux", b"security.SMACK64", b"security.ima", b"security.evm"];
    LABELS.contains(&key)
}
