//! The tree that a tar being written is at first.

use std::io::{self, Read};

use crate::error::{Error, Result};
use crate::tree::{Entry, Kind, Metadata, Time, Tree, TreePath, Xattrs};

/// What is there before: nothing, in a tar.
#[derive(Debug)]
pub(super) struct Nothing {
    pub(super) origin: String,
}

impl Nothing {
    fn missing<T>(&self, path: TreePath<'_>) -> Result<T> {
        Err(Error::io(self.place(path), io::ErrorKind::NotFound.into()))
    }
}

impl Tree for Nothing {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        if !path.is_root() {
            return self.missing(path);
        }
        Ok(Metadata {
            kind: Kind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            allocated: 0,
            mtime: Time::default(),
            ino: 1,
            nlink: 1,
            rdev: (0, 0),
        })
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        self.stat(dir).map(|_| Vec::new())
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        self.missing(file)
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.missing(link)
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        self.stat(path).map(|_| Xattrs::new())
    }
}
