//! Which names an archive holds and where: a flat table, sorted by folder and name.
//!
//! A name takes 16 bytes and its path, a file 88: an archive of a million files some 200 MB.

use crate::tree::{Kind, Metadata, Time, TreePath};

/// What a name leads to.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) is_sparse: bool,
    pub(super) has_xattrs: bool,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nlink: u32,
    pub(super) rdev: (u32, u32),
    pub(super) mtime: Time,
    pub(super) size: u64,
    pub(super) stored: u64,
    /// Where the member's headers are; none for what is made up.
    pub(super) headers: u64,
    pub(super) headers_length: u32,
}

impl Node {
    /// Returns a directory that the archive only implies.
    pub(super) fn implied() -> Self {
        Self {
            kind: Kind::Dir,
            is_sparse: false,
            has_xattrs: false,
            mode: 0o755,
            uid: 0,
            gid: 0,
            nlink: 0,
            rdev: (0, 0),
            mtime: Time::default(),
            size: 0,
            stored: 0,
            headers: 0,
            headers_length: 0,
        }
    }

    /// Returns where the data begins.
    pub(super) fn data(&self) -> u64 {
        self.headers.saturating_add(u64::from(self.headers_length))
    }

    pub(super) fn metadata(&self, number: u32) -> Metadata {
        Metadata {
            kind: self.kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            allocated: match self.kind {
                Kind::File => self.stored.next_multiple_of(4096),
                Kind::Dir => 4096,
                _ => 0,
            },
            mtime: self.mtime,
            ino: u64::from(number) + 1,
            nlink: self.nlink.max(1),
            rdev: self.rdev,
        }
    }
}

/// A path, as a piece of all paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) start: u32,
    pub(super) length: u16,
    /// Where in the path its last name begins.
    pub(super) last: u16,
    /// Which of all members this is.
    pub(super) order: u32,
    /// A node, or while the archive is read a hard link.
    pub(super) target: u32,
}

/// All names of an archive, sorted by the folder they are in, then by name.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) paths: Vec<u8>,
    pub(super) names: Vec<Name>,
    /// The first is the root.
    pub(super) nodes: Vec<Node>,
}

impl Index {
    /// Returns the number and the node of `path`.
    pub(super) fn find(&self, path: TreePath<'_>) -> Option<(u32, &Node)> {
        let number = match path.split_last() {
            None => 0,
            Some((folder, name)) => {
                let key = (folder.as_bytes(), name);
                let at = self.names.binary_search_by(|other| self.key(other).cmp(&key)).ok()?;
                self.names.get(at)?.target
            }
        };
        Some((number, self.nodes.get(number as usize)?))
    }

    /// Returns name, number and node of everything in `folder`, in byte order.
    pub(super) fn children<'a>(
        &'a self,
        folder: TreePath<'_>,
    ) -> impl Iterator<Item = (&'a [u8], u32, &'a Node)> {
        let folder = folder.as_bytes();
        let start = self.names.partition_point(|name| self.key(name).0 < folder);
        let count = self.names[start..].partition_point(|name| self.key(name).0 == folder);
        let names = self.names[start..start + count].iter();
        names.filter_map(|name| {
            Some((self.key(name).1, name.target, self.nodes.get(name.target as usize)?))
        })
    }

    pub(super) fn path(&self, start: u32, length: u16) -> &[u8] {
        &self.paths[start as usize..start as usize + usize::from(length)]
    }

    /// Returns a name's folder and its last name.
    pub(super) fn key(&self, name: &Name) -> (&[u8], &[u8]) {
        let path = self.path(name.start, name.length);
        let (folder, last) = path.split_at(usize::from(name.last));
        (folder.strip_suffix(b"/").unwrap_or(folder), last)
    }
}

/// Returns where a path's last name begins.
pub(super) fn last_of(path: &[u8]) -> u16 {
    let last = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    u16::try_from(last).unwrap_or(0)
}
