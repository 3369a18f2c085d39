//! Links followed inside a folder, as a process whose root the folder is would follow them.

use super::{Kind, Tree, TreePath, TreePathBuf};
use crate::error::{Error, Result};

/// The kernel's own limit (linux/namei.h MAXSYMLINKS).
const MOST_LINKS: u32 = 40;

/// Returns the path below `root` that `path` leads to when every link on the way is followed, `root`
/// being `/` for links and `..` alike. `path` is whatever a tar or a link says.
///
/// # Errors
/// What the tree says, and too many links.
pub fn resolve(tree: &dyn Tree, root: TreePath<'_>, path: &[u8]) -> Result<TreePathBuf> {
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut todo: Vec<Vec<u8>> = names(path);
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == b".." {
            done.pop();
            continue;
        }
        done.push(name);
        let here = below(root, &done)
            .ok_or_else(|| Error::corrupt(tree.place(root), "a name with a zero byte in it"))?;
        if tree.stat(here.as_path())?.kind != Kind::Symlink {
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Error::corrupt(tree.place(here.as_path()), "too many links in one path"));
        }
        let target = tree.read_link(here.as_path())?;
        done.pop();
        if target.starts_with(b"/") {
            done.clear();
        }
        todo.extend(names(&target));
    }
    below(root, &done).ok_or_else(|| Error::corrupt(tree.place(root), "a name that is not a name"))
}

/// Returns the plain path that `path` spells if no link is followed: what [`resolve`] gives where
/// there are no links.
#[must_use]
pub fn clean(path: &[u8]) -> Option<TreePathBuf> {
    let mut done: Vec<Vec<u8>> = Vec::new();
    for name in names(path).into_iter().rev() {
        if name == b".." {
            done.pop();
        } else {
            done.push(name);
        }
    }
    TreePathBuf::new(done.join(&b'/'))
}

/// The names of `path`, last first, without those that mean nothing.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let plain = |name: &&[u8]| !matches!(*name, b"" | b".");
    path.split(|b| *b == b'/').filter(plain).map(<[u8]>::to_vec).rev().collect()
}

fn below(root: TreePath<'_>, names: &[Vec<u8>]) -> Option<TreePathBuf> {
    let joined = names.join(&b'/');
    Some(root.join(TreePath::new(&joined)?))
}

#[cfg(test)]
mod tests {
    use super::super::{Attributes, Memory, Sink, Special, path, write};
    use super::*;

    fn tree() -> Memory {
        let tree = Memory::new();
        let link = |at: &str, to: &str| {
            let special = Special::Symlink(to.as_bytes().to_vec());
            tree.put(path(at), &special, &Attributes::default()).expect("a free name");
        };
        for dir in ["root", "root/usr", "root/usr/lib", "secret"] {
            tree.make_dir(path(dir), 0o755).expect("a free name");
        }
        write(&tree, path("root/usr/lib/x"), 0o644, b"x").expect("a free name");
        link("root/lib", "usr/lib");
        link("root/abs", "/usr/lib/x");
        link("root/up", "../../../../usr");
        link("root/loop", "loop");
        tree
    }

    #[test]
    fn links_are_followed_inside_the_root_alone() {
        let tree = tree();
        let at = |text: &str| resolve(&tree, path("root"), text.as_bytes());
        for inside in ["usr/lib/x", "./lib//x", "/lib/x", "abs", "up/lib/x", "../../lib/x"] {
            let found = at(inside).unwrap_or_else(|error| panic!("{inside}: {error}"));
            assert_eq!(found.as_path(), path("root/usr/lib/x"), "{inside}");
        }
        assert!(at("../secret").expect_err("there is no root/secret").is_missing());
        assert!(at("loop").expect_err("a loop").what().contains("too many links"));
    }

    #[test]
    fn cleaning_keeps_a_path_inside() {
        for (spelled, meant) in [("./a//b/", "a/b"), ("/a/../b", "b"), ("../../a", "a"), ("./", "")]
        {
            let cleaned = clean(spelled.as_bytes()).expect("plain names");
            assert_eq!(cleaned.as_path().as_bytes(), meant.as_bytes(), "{spelled}");
        }
        assert_eq!(clean(b"a\0b"), None);
    }
}
