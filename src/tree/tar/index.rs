//! Which names an archive holds and where: a flat table, sorted by folder and name.
//!
//! A name takes 16 bytes and its path, a file 88: an archive of a million files some 200 MB.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom};

use super::file::Source;
use crate::error::{Error, Place, Result, from_io};
use crate::format::tar::{self, Member, Next, Reader};
use crate::tree::{Kind, Metadata, Time, TreePath};

/// The most bytes of one path. Linux stops at 4096, but for who builds a path step by step.
const PATH_LIMIT: usize = 32 << 10;

/// The most names, given and made up.
const NAME_LIMIT: usize = 1 << 25;

/// Says of a name that it leads not to a node but to a hard link.
const LINK: u32 = 1 << 31;

/// What a name leads to.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) is_sparse: bool,
    pub(super) has_xattrs: bool,
    mode: u16,
    uid: u32,
    gid: u32,
    nlink: u32,
    rdev: (u32, u32),
    mtime: Time,
    pub(super) size: u64,
    stored: u64,
    /// Where the member's headers are; none for what is made up.
    pub(super) headers: u64,
    pub(super) headers_length: u32,
}

impl Node {
    /// Returns a directory that the archive only implies.
    fn implied() -> Self {
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
struct Name {
    start: u32,
    length: u16,
    /// Where in the path its last name begins.
    last: u16,
    /// Which of all members this is.
    order: u32,
    /// A node, or with [`LINK`] a hard link.
    target: u32,
}

/// A hard link's target: a path, and the node it turned out to be.
#[derive(Debug)]
struct Link {
    start: u32,
    length: u16,
    order: u32,
    node: Option<u32>,
}

/// All names of an archive, sorted by the folder they are in, then by name.
#[derive(Debug, Default)]
pub(super) struct Index {
    paths: Vec<u8>,
    names: Vec<Name>,
    /// The first is the root.
    nodes: Vec<Node>,
}

impl Index {
    /// Reads all headers.
    pub(super) fn read(source: &Source, origin: &str) -> Result<Self> {
        let mut building = Building { index: Self::default(), links: Vec::new(), origin };
        building.index.nodes.push(Node::implied());
        building.members(source)?;
        building.finish()
    }

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

    fn path(&self, start: u32, length: u16) -> &[u8] {
        &self.paths[start as usize..start as usize + usize::from(length)]
    }

    /// Returns a name's folder and its last name.
    fn key(&self, name: &Name) -> (&[u8], &[u8]) {
        let path = self.path(name.start, name.length);
        let (folder, last) = path.split_at(usize::from(name.last));
        (folder.strip_suffix(b"/").unwrap_or(folder), last)
    }
}

/// An index being read.
struct Building<'a> {
    index: Index,
    links: Vec<Link>,
    origin: &'a str,
}

impl Building<'_> {
    fn place(&self, path: &[u8]) -> Place {
        Place::new(self.origin, path)
    }

    fn members(&mut self, source: &Source) -> Result<()> {
        let at_start = |error| from_io(error, || Place::new(self.origin, ""));
        let mut file = source.file();
        file.seek(SeekFrom::Start(0)).map_err(at_start)?;
        let mut reader = Reader::new(file);
        loop {
            let next = reader.member().map_err(|error| from_io(error, || self.place(b"")))?;
            match next {
                Next::End([]) => {
                    let place = self.place(b"").at(reader.offset());
                    let what = "the archive ends without the zero blocks that end a tar";
                    return Err(Error::corrupt(place, what).hint("was it copied whole?"));
                }
                Next::End(_) => return Ok(()),
                Next::Member(member) => self.add(&member, source.length())?,
            }
            reader.skip_data().map_err(|error| from_io(error, || self.place(b"")))?;
        }
    }

    fn add(&mut self, member: &Member<'_>, length: u64) -> Result<()> {
        let data = member.offset + member.raw.len() as u64;
        let end = data.saturating_add(member.stored);
        if end > length {
            let what = format!("the archive ends at byte {length}, this file's data at {end}");
            return Err(Error::corrupt(self.place(&member.path).at(data), what));
        }
        let kind = match member.kind {
            tar::Kind::File => Kind::File,
            tar::Kind::Symlink => Kind::Symlink,
            tar::Kind::Char => Kind::Char,
            tar::Kind::Block => Kind::Block,
            // GNU tar's incremental archives list a directory's names as its data.
            tar::Kind::Dir | tar::Kind::Other(b'D') => Kind::Dir,
            tar::Kind::Fifo => Kind::Fifo,
            tar::Kind::HardLink => return self.add_link(member),
            // Records for all members, and the archive's label.
            tar::Kind::Global | tar::Kind::Other(b'V') => return Ok(()),
            tar::Kind::Other(flag) => {
                let what = format!("a tar member of type {:?}", char::from(flag));
                return Err(Error::unsupported(self.member_place(member), what));
            }
        };
        let node = self.node(kind, member)?;
        let number = self.index.nodes.len() as u32;
        let Some((start, length)) = self.push_path(&member.path, member)? else {
            if kind != Kind::Dir {
                let what = "the root of the archive is not a directory";
                return Err(Error::corrupt(self.member_place(member), what));
            }
            self.index.nodes[0] = node;
            return Ok(());
        };
        self.index.nodes.push(node);
        self.push_name(start, length, number, member)
    }

    fn add_link(&mut self, member: &Member<'_>) -> Result<()> {
        let (Some((start, length)), Some(target)) =
            (self.push_path(&member.path, member)?, self.push_path(&member.link, member)?)
        else {
            let what = "a hard link that is, or leads to, the root of the archive";
            return Err(Error::corrupt(self.member_place(member), what));
        };
        let number = self.links.len() as u32;
        let order = self.index.names.len() as u32;
        self.links.push(Link { start: target.0, length: target.1, order, node: None });
        self.push_name(start, length, number | LINK, member)
    }

    fn node(&self, kind: Kind, member: &Member<'_>) -> Result<Node> {
        let narrow = |id: u64, of: &str| {
            let what = || format!("{of} {} where 32 bits are all there is", id.cast_signed());
            u32::try_from(id).map_err(|_| Error::corrupt(self.member_place(member), what()))
        };
        Ok(Node {
            kind,
            is_sparse: member.sparse.is_some(),
            has_xattrs: !member.xattrs.is_empty(),
            mode: member.mode,
            uid: narrow(member.uid, "owner")?,
            gid: narrow(member.gid, "group")?,
            nlink: 0,
            rdev: member.device,
            mtime: Time { seconds: member.mtime.0, nanos: member.mtime.1 },
            size: match kind {
                Kind::File => member.size,
                Kind::Symlink => member.link.len() as u64,
                _ => 0,
            },
            stored: member.stored,
            headers: member.offset,
            // Headers are far below 4 GiB.
            headers_length: member.raw.len() as u32,
        })
    }

    fn member_place(&self, member: &Member<'_>) -> Place {
        self.place(&member.path).at(member.offset)
    }

    /// Adds the names in `path`; nothing if it is the root.
    fn push_path(&mut self, path: &[u8], member: &Member<'_>) -> Result<Option<(u32, u16)>> {
        let start = self.index.paths.len();
        for name in path.split(|b| *b == b'/') {
            if matches!(name, b"" | b".") {
                continue;
            }
            if name == b".." || name.contains(&0) {
                let what = "a path that leads out of the archive, or is none";
                return Err(Error::corrupt(self.member_place(member), what));
            }
            if self.index.paths.len() > start {
                self.index.paths.push(b'/');
            }
            self.index.paths.extend_from_slice(name);
        }
        let length = self.index.paths.len() - start;
        match (u32::try_from(start), u16::try_from(length)) {
            (Ok(start), Ok(length)) if usize::from(length) <= PATH_LIMIT => {
                Ok((length > 0).then_some((start, length)))
            }
            (Ok(_), _) => {
                let what = format!("a path of {length} bytes, more than {PATH_LIMIT}");
                Err(Error::corrupt(self.member_place(member), what))
            }
            _ => Err(Error::unsupported(self.place(b""), "more than 4 GiB of paths")),
        }
    }

    fn push_name(
        &mut self,
        start: u32,
        length: u16,
        target: u32,
        member: &Member<'_>,
    ) -> Result<()> {
        if self.index.names.len() >= NAME_LIMIT {
            let what = format!("more than {NAME_LIMIT} names");
            return Err(Error::unsupported(self.member_place(member), what));
        }
        let order = self.index.names.len() as u32;
        let last = last_of(self.index.path(start, length));
        self.index.names.push(Name { start, length, last, order, target });
        Ok(())
    }

    fn finish(mut self) -> Result<Index> {
        self.sort();
        self.resolve_links()?;
        self.drop_replaced();
        self.make_parents()?;
        for name in &self.index.names {
            if let Some(node) = self.index.nodes.get_mut(name.target as usize) {
                node.nlink = if node.kind == Kind::Dir { 1 } else { node.nlink + 1 };
            }
        }
        Ok(self.index)
    }

    fn sort(&mut self) {
        let mut names = std::mem::take(&mut self.index.names);
        let index = &self.index;
        names.sort_unstable_by(|a, b| {
            index.key(a).cmp(&index.key(b)).then(a.order.cmp(&b.order))
        });
        self.index.names = names;
    }

    /// Finds what hard links lead to: the last member of that path before the link.
    fn resolve_links(&mut self) -> Result<()> {
        for number in 0..self.links.len() {
            let link = &self.links[number];
            let path = self.index.path(link.start, link.length);
            let (folder, last) = path.split_at(usize::from(last_of(path)));
            let key = (folder.strip_suffix(b"/").unwrap_or(folder), last, link.order);
            let names = &self.index.names;
            let after = names.partition_point(|name| {
                let (folder, last) = self.index.key(name);
                (folder, last, name.order) < key
            });
            let found = after.checked_sub(1).map(|at| &names[at]);
            let found = found.filter(|name| self.index.key(name) == (key.0, key.1));
            let target = found.map(|name| name.target);
            let node = match target {
                Some(target) if target & LINK != 0 => self.links[(target & !LINK) as usize].node,
                target => target,
            };
            let is_dir = |node: &u32| self.index.nodes[*node as usize].kind == Kind::Dir;
            if node.as_ref().is_none_or(is_dir) {
                let what = "a hard link to something that is no file before it in the archive";
                return Err(Error::corrupt(self.place(path), what));
            }
            self.links[number].node = node;
        }
        Ok(())
    }

    /// Keeps the last of all members of one path.
    fn drop_replaced(&mut self) {
        let mut names = std::mem::take(&mut self.index.names);
        let index = &self.index;
        // What stays of equal ones is the first: go backwards.
        names.reverse();
        names.dedup_by(|a, b| index.key(a) == index.key(b));
        names.reverse();
        for name in &mut names {
            if name.target & LINK != 0
                && let Some(node) = self.links[(name.target & !LINK) as usize].node
            {
                name.target = node;
            }
        }
        self.index.names = names;
    }

    /// Makes up directories that have no member, and refuses things in what is no directory.
    fn make_parents(&mut self) -> Result<()> {
        let mut missing: BTreeSet<&[u8]> = BTreeSet::new();
        let mut made = Vec::new();
        let mut checked: &[u8] = b"";
        for name in &self.index.names {
            let folder = self.index.key(name).0;
            if folder == checked {
                continue;
            }
            checked = folder;
            let mut length = folder.len();
            while length > 0 {
                let folder = &folder[..length];
                match TreePath::new(folder).and_then(|path| self.index.find(path)) {
                    Some((_, node)) if node.kind == Kind::Dir => break,
                    Some(_) => {
                        let what = "something lies in it, but it is not a directory";
                        return Err(Error::corrupt(self.place(folder), what));
                    }
                    None if !missing.insert(folder) => break,
                    None => made.push((name.start, length as u16)),
                }
                length = usize::from(last_of(folder)).saturating_sub(1);
            }
            if self.index.names.len() + made.len() > NAME_LIMIT {
                let what = format!("more than {NAME_LIMIT} names");
                return Err(Error::unsupported(self.place(b""), what));
            }
        }
        for (start, length) in made {
            let last = last_of(self.index.path(start, length));
            let target = self.index.nodes.len() as u32;
            self.index.nodes.push(Node::implied());
            self.index.names.push(Name { start, length, last, order: 0, target });
        }
        self.sort();
        Ok(())
    }
}

/// Returns where a path's last name begins.
fn last_of(path: &[u8]) -> u16 {
    let last = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    u16::try_from(last).unwrap_or(0)
}
