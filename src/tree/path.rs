//! Paths inside a tree: relative, plain, made of bytes.

use std::fmt;

use crate::error::printable;

/// A path below the root of a tree: names joined by `/`, never empty names, `.`, `..` or a leading
/// `/`. What could lead out of the tree cannot be written down. The root itself is empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath<'a>(&'a [u8]);

/// An owned [`TreePath`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePathBuf(Vec<u8>);

/// Returns whether `name` can be one name in a tree.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|b| matches!(b, b'/' | 0))
}

impl<'a> TreePath<'a> {
    /// The root of the tree.
    pub const ROOT: TreePath<'static> = TreePath(b"");

    /// Returns `bytes` as a path, or nothing if they are not one.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let plain = bytes.is_empty() || bytes.split(|b| *b == b'/').all(is_name);
        plain.then_some(Self(bytes))
    }

    /// Returns the path's bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Returns whether this is the root.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the path, outermost first.
    pub fn names(self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.0.split(|b| *b == b'/').filter(|name| !name.is_empty())
    }

    /// Returns the folder that holds this path and its name there; nothing for the root.
    #[must_use]
    pub fn split_last(self) -> Option<(Self, &'a [u8])> {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => Some((TreePath(&self.0[..slash]), &self.0[slash + 1..])),
            None if self.0.is_empty() => None,
            None => Some((TreePath(b""), self.0)),
        }
    }

    /// Returns the part of this path below `root`, if it lies there.
    #[must_use]
    pub fn below(self, root: TreePath<'_>) -> Option<Self> {
        if root.is_root() {
            return Some(self);
        }
        match self.0.strip_prefix(root.0)? {
            [] => Some(TreePath(b"")),
            [b'/', rest @ ..] => Some(TreePath(rest)),
            _ => None,
        }
    }

    /// Returns the path `name` in this folder.
    ///
    /// Names that come from a tree are plain; a name that is not makes no path.
    #[must_use]
    pub fn child(self, name: &[u8]) -> Option<TreePathBuf> {
        is_name(name).then(|| self.joined(name))
    }

    /// Returns this path with `below` after it.
    #[must_use]
    pub fn join(self, below: TreePath<'_>) -> TreePathBuf {
        if below.is_root() { self.to_owned() } else { self.joined(below.0) }
    }

    fn joined(self, tail: &[u8]) -> TreePathBuf {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + tail.len());
        bytes.extend_from_slice(self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(tail);
        TreePathBuf(bytes)
    }

    /// Returns an owned copy.
    #[must_use]
    pub fn to_owned(self) -> TreePathBuf {
        TreePathBuf(self.0.to_vec())
    }
}

impl TreePathBuf {
    /// Returns `bytes` as a path, or nothing if they are not one.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        TreePath::new(&bytes).is_some().then_some(Self(bytes))
    }

    /// Returns the borrowed form.
    #[must_use]
    pub fn as_path(&self) -> TreePath<'_> {
        TreePath(&self.0)
    }
}

/// Returns the path that `text` spells; for paths written in the source and names checked before.
///
/// # Panics
/// If `text` is not a plain relative path.
#[must_use]
pub fn path(text: &str) -> TreePath<'_> {
    TreePath::new(text.as_bytes()).expect("a plain relative path")
}

impl fmt::Display for TreePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.0))
    }
}

impl fmt::Debug for TreePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", printable(self.0))
    }
}

impl fmt::Display for TreePathBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_path(), f)
    }
}

impl fmt::Debug for TreePathBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_path(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_out_of_a_tree_is_no_path() {
        for bad in ["/", "/etc", "..", "a/../b", "a//b", "a/", ".", "./a", "a\0b"] {
            assert_eq!(TreePath::new(bad.as_bytes()), None, "{bad:?}");
            assert_eq!(TreePath::ROOT.child(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(TreePath::new(b"..a/b..").is_some());
    }

    #[test]
    fn paths_split_and_join() {
        let (folder, name) = path("a/b/c").split_last().expect("not the root");
        assert_eq!((folder, name), (path("a/b"), b"c".as_slice()));
        assert_eq!(folder.child(name).as_ref().map(TreePathBuf::as_path), Some(path("a/b/c")));
        assert_eq!(path("a/b/c").below(path("a")), Some(path("b/c")));
        assert_eq!(path("ab").below(path("a")), None);
        assert_eq!(TreePath::ROOT.join(path("a")).as_path(), path("a"));
        assert_eq!(TreePath::ROOT.split_last(), None);
    }
}
