//! What a member's header says that its file is to have.

use super::Rules;
use crate::format::overlay::Mark;
use crate::format::tar::Member;
use crate::tree::{Attributes, Kind, Time, Xattrs};

/// Attributes that only root sees.
pub(super) const TRUSTED: &[u8] = b"trusted.";

/// The sorts of extended attributes that Linux knows. Others can be set nowhere.
const KNOWN: [&[u8]; 4] = [b"user.", TRUSTED, b"security.", b"system."];

/// Returns the attributes for something of this kind: of a hard link, for what it leads to.
pub(super) fn attributes(member: &Member<'_>, kind: Kind, rules: &Rules<'_>) -> Attributes {
    let is_set =
        |key: &[u8]| is_settable(key, kind) && (rules.trusted || !key.starts_with(TRUSTED));
    let xattrs = member.xattrs.iter().filter(|(key, _)| is_set(key));
    Attributes {
        // A symbolic link's own mode cannot be changed.
        mode: if kind == Kind::Symlink { 0o777 } else { member.mode },
        uid: owner(member.uid),
        gid: owner(member.gid),
        mtime: Some(bounded(member.mtime)),
        xattrs: xattrs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect(),
    }
}

/// Returns the mark of a deleted name: it has no mode and no time, but an owner.
pub(super) fn whiteout(member: &Member<'_>) -> Attributes {
    Attributes { uid: owner(member.uid), gid: owner(member.gid), ..Attributes::root(0) }
}

/// Both daemons let pass what the kernel refuses of `user.` attributes: they are for files and folders
/// alone (xattr(7)). containerd lets pass what no file system knows; dockerd, which does not, could not
/// unpack such a layer.
fn is_settable(key: &[u8], kind: Kind) -> bool {
    let is_known = KNOWN.iter().any(|prefix| key.starts_with(prefix));
    let is_for_all = !key.starts_with(b"user.") || matches!(kind, Kind::File | Kind::Dir);
    is_known && is_for_all
}

/// The kernel takes 32 bits of an owner, and all of them set for "leave it as it is": root's.
fn owner(id: u64) -> u32 {
    let low = u32::try_from(id & u64::from(u32::MAX)).unwrap_or_default();
    if low == u32::MAX { 0 } else { low }
}

/// What comes before 1970, or after the nanoseconds of an `i64`, is 1970.
///
/// moby v28 vendor/github.com/moby/go-archive/time.go boundTime; containerd v2 pkg/archive/time.go
fn bounded((seconds, nanos): (i64, u32)) -> Time {
    const LATEST: Time = Time { seconds: 9_223_372_036, nanos: 854_775_807 };
    let time = Time { seconds, nanos };
    if time < Time::default() || time > LATEST { Time::default() } else { time }
}

/// Removes what overlayfs noted for itself.
pub(super) fn without_private(mut xattrs: Xattrs) -> Xattrs {
    xattrs.retain(|key, _| !Mark::of(key).is_some_and(|(_, mark)| mark.is_private()));
    xattrs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_owners_are_what_the_daemons_make_of_them() {
        for (said, want) in [
            ((0, 0), (0, 0)),
            ((1, 5), (1, 5)),
            ((-1, 999_999_999), (0, 0)),
            ((i64::MIN, 0), (0, 0)),
            ((9_223_372_036, 854_775_807), (9_223_372_036, 854_775_807)),
            ((9_223_372_036, 854_775_808), (0, 0)),
            ((i64::MAX, 0), (0, 0)),
        ] {
            let time = bounded(said);
            assert_eq!((time.seconds, time.nanos), want, "{said:?}");
        }
        for (said, want) in [(0, 0), (1000, 1000), (u64::MAX, 0), (1 << 32 | 7, 7)] {
            assert_eq!(owner(said), want, "{said}");
        }
    }

    #[test]
    fn only_what_linux_knows_is_set() {
        for (key, file, link) in [
            ("user.a", true, false),
            ("trusted.a", true, true),
            ("security.capability", true, true),
            ("system.posix_acl_access", true, true),
            ("com.apple.quarantine", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_settable(key.as_bytes(), Kind::File), file, "{key}");
            assert_eq!(is_settable(key.as_bytes(), Kind::Dir), file, "{key}");
            assert_eq!(is_settable(key.as_bytes(), Kind::Symlink), link, "{key}");
            assert_eq!(is_settable(key.as_bytes(), Kind::Char), link, "{key}");
        }
    }
}
