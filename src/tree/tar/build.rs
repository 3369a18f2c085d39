//! Makes the index of an archive.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom};

use super::file::Source;
use super::index::{Index, Name, Node, last_of};
use crate::error::{Error, Place, Result, from_io};
use crate::format::tar::{self, Member, Next, Reader};
use crate::tree::{Kind, Time, TreePath};

/// The most bytes of one path. Linux stops at 4096, but for who builds a path step by step.
const PATH_LIMIT: usize = 32 << 10;

/// The most names, given and made up.
const NAME_LIMIT: usize = 1 << 25;

/// Says of a name that it leads not to a node but to a hard link.
const LINK: u32 = 1 << 31;

/// A hard link's target: a path, and the node it turned out to be.
#[derive(Debug)]
struct Link {
    start: u32,
    length: u16,
    order: u32,
    node: Option<u32>,
}

/// Reads all headers of an archive.
pub(super) fn read(source: &Source, origin: &str) -> Result<Index> {
    let mut building = Building { index: Index::default(), links: Vec::new(), origin };
    building.index.nodes.push(Node::implied());
    building.members(source)?;
    building.finish()
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
        names.sort_unstable_by(|a, b| index.key(a).cmp(&index.key(b)).then(a.order.cmp(&b.order)));
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
