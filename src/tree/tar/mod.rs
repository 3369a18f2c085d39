//! Tars as trees: one to read, one to write.
//!
//! Owners, devices, whiteouts and `trusted.` attributes live in the archive, so neither needs root.

mod archive;
mod build;
mod file;
mod index;
pub(crate) mod member;
mod nothing;
mod sink;

use std::io::{self, Read};
use std::path::Path;

pub use sink::TarSink;

use self::file::{Content, Source};
use self::index::{Index, Node};
use super::{Entry, Kind, Metadata, Tree, TreePath, Xattrs};
use crate::error::{Error, Result, from_io};
use crate::format::tar::{self, Chunk, Member};

/// A tar as a tree: plain, or compressed with gzip or zstd.
///
/// Holds a small record for each name; content, link targets and extended attributes stay in the
/// archive, which must not change meanwhile. A compressed archive is decompressed once, to a
/// temporary file without a name.
#[derive(Debug)]
pub struct TarTree {
    origin: String,
    source: Source,
    index: Index,
}

impl TarTree {
    /// Opens the archive at `path` and reads all its headers.
    ///
    /// Where a path occurs twice, the later member counts, as when unpacking. Directories that have no
    /// member of their own are made up.
    ///
    /// # Errors
    /// What the operating system says; an archive that is broken, cut short, or leads outside, with the
    /// byte where it is; and members that no tree can hold.
    pub fn open(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let source = Source::open(path, &origin)?;
        let index = build::read(&source, &origin)?;
        Ok(Self { origin, source, index })
    }

    fn node(&self, path: TreePath<'_>) -> Result<(u32, &Node)> {
        let found = self.index.find(path);
        found.ok_or_else(|| Error::io(self.place(path), io::ErrorKind::NotFound.into()))
    }

    /// Reads the node's headers once more and hands them to `use_member`.
    fn member<T>(
        &self,
        path: TreePath<'_>,
        node: &Node,
        use_member: impl FnOnce(&Member<'_>) -> T,
    ) -> Result<T> {
        let read = || {
            let raw = self.source.read(node.headers, node.headers_length as usize)?;
            let member = tar::decode(&raw, node.headers)?;
            Ok::<_, io::Error>(use_member(&member))
        };
        read().map_err(|error| from_io(error, || self.place(path)))
    }
}

impl Tree for TarTree {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.node(path).map(|(ino, node)| node.metadata(ino))
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        let (_, node) = self.node(dir)?;
        if node.kind != Kind::Dir {
            return Err(Error::io(self.place(dir), io::ErrorKind::NotADirectory.into()));
        }
        let entry = |(name, ino, node): (&[u8], u32, &Node)| Entry {
            name: name.to_vec(),
            metadata: node.metadata(ino),
        };
        Ok(self.index.children(dir).map(entry).collect())
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        self.open_from(file, 0)
    }

    fn open_from(&self, file: TreePath<'_>, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        let (_, node) = self.node(file)?;
        if node.kind != Kind::File {
            return Err(Error::corrupt(self.place(file), "not a regular file"));
        }
        let chunks = if node.is_sparse {
            self.member(file, node, |member| member.sparse.clone().unwrap_or_default())?
        } else {
            vec![Chunk { offset: 0, length: node.size }]
        };
        let content = Content::new(&self.source, node.data(), chunks, node.size);
        Ok(Box::new(content.from(offset)))
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        match self.node(link)? {
            (_, node) if node.kind == Kind::Symlink => {
                self.member(link, node, |member| member.link.to_vec())
            }
            _ => Err(Error::io(self.place(link), io::ErrorKind::InvalidInput.into())),
        }
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        let (_, node) = self.node(path)?;
        if !node.has_xattrs {
            return Ok(Xattrs::new());
        }
        self.member(path, node, |member| {
            let owned = |(key, value): &(&[u8], &[u8])| (key.to_vec(), value.to_vec());
            member.xattrs.iter().map(owned).collect()
        })
    }
}

#[cfg(test)]
mod tests;
