//! What of a file is different.

use std::io::{self, BufReader, Read};

use super::Changed;
use crate::digest::Digest;
use crate::error::{Result, from_io};
use crate::format::overlay::{Dialect, Mark};
use crate::store::Compression;
use crate::store::blob;
use crate::tree::{Kind, Metadata, Time, Tree, TreePath, Xattrs};

/// One thing that is different, as it was and as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What it is.
    Kind(Kind, Kind),
    /// Its bytes, by their number.
    Size(u64, u64),
    /// Its bytes, although there are as many.
    Content,
    /// Permissions.
    Mode(u16, u16),
    /// Owner and group.
    Owner((u32, u32), (u32, u32)),
    /// The numbers of a device.
    Device((u32, u32), (u32, u32)),
    /// Where a link points.
    Target(Vec<u8>, Vec<u8>),
    /// When its bytes changed.
    Modified(Time, Time),
    /// Extended attributes, by their names.
    Xattrs(Vec<Vec<u8>>),
}

/// Returns what is different of a path that is in both trees; nothing where it is in one alone, or where
/// only what is in a folder changed.
///
/// # Errors
/// What the trees say. Files of equal length are read.
pub fn details(old: &dyn Tree, new: &dyn Tree, changed: &Changed) -> Result<Vec<Detail>> {
    let (Some(was), Some(now)) = (&changed.old, &changed.new) else { return Ok(Vec::new()) };
    let path = changed.path.as_path();
    if was.kind != now.kind {
        return Ok(vec![Detail::Kind(was.kind, now.kind)]);
    }
    let mut details = Vec::new();
    match now.kind {
        Kind::File if was.size != now.size => details.push(Detail::Size(was.size, now.size)),
        Kind::File if !same_bytes(old, new, path, now)? => details.push(Detail::Content),
        Kind::Symlink => {
            let (was, now) = (old.read_link(path)?, new.read_link(path)?);
            details.extend((was != now).then_some(Detail::Target(was, now)));
        }
        Kind::Char | Kind::Block if was.rdev != now.rdev => {
            details.push(Detail::Device(was.rdev, now.rdev));
        }
        _ => {}
    }
    if was.mode != now.mode {
        details.push(Detail::Mode(was.mode, now.mode));
    }
    let owner = |m: &Metadata| (m.uid, m.gid);
    if owner(was) != owner(now) {
        details.push(Detail::Owner(owner(was), owner(now)));
    }
    if was.mtime != now.mtime {
        details.push(Detail::Modified(was.mtime, now.mtime));
    }
    let xattrs = different(&xattrs(old, path)?, &xattrs(new, path)?);
    details.extend((!xattrs.is_empty()).then_some(Detail::Xattrs(xattrs)));
    Ok(details)
}

/// Returns the digest of a file's bytes.
///
/// # Errors
/// What the tree says.
pub fn sha256(tree: &dyn Tree, file: TreePath<'_>) -> Result<Digest> {
    let mut from = BufReader::with_capacity(CHUNK, tree.open(file)?);
    let hashed = blob::compress(&mut from, &mut io::sink(), Compression::None, &mut |_| Ok(()));
    hashed.map(|(digest, _)| digest.0).map_err(|error| from_io(error, || tree.place(file)))
}

const CHUNK: usize = 1 << 16;

/// Returns whether two files of one kind and length have the same bytes, or two links the same target.
pub(super) fn same_bytes(
    old: &dyn Tree,
    new: &dyn Tree,
    path: TreePath<'_>,
    now: &Metadata,
) -> Result<bool> {
    match now.kind {
        Kind::Symlink => return Ok(old.read_link(path)? == new.read_link(path)?),
        Kind::File if now.size > 0 => {}
        _ => return Ok(true),
    }
    let (mut was, mut is) = (old.open(path)?, new.open(path)?);
    let (mut a, mut b) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        chunk(&mut *was, &mut a).map_err(|error| from_io(error, || old.place(path)))?;
        chunk(&mut *is, &mut b).map_err(|error| from_io(error, || new.place(path)))?;
        if a != b || a.is_empty() {
            return Ok(a == b);
        }
    }
}

fn chunk(from: &mut dyn Read, to: &mut Vec<u8>) -> io::Result<()> {
    to.clear();
    from.take(CHUNK as u64).read_to_end(to).map(drop)
}

/// Returns the extended attributes of a file without what overlayfs notes for itself.
fn xattrs(tree: &dyn Tree, path: TreePath<'_>) -> Result<Xattrs> {
    let mut xattrs = tree.xattrs(path)?;
    xattrs
        .retain(|name, _| !name.starts_with(Dialect::Trusted.prefix()) && Mark::of(name).is_none());
    Ok(xattrs)
}

fn different(old: &Xattrs, new: &Xattrs) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| old.get(*name) != new.get(*name));
    names.into_iter().cloned().collect()
}
