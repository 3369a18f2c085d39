//! Links followed inside a folder, as a process whose root the folder is would follow them.

use super::{Kind, Tree, TreePath, TreePathBuf, optional};
use crate::error::{Error, Result};

/// The kernel's own limit (linux/namei.h MAXSYMLINKS).
const MOST_LINKS: u32 = 40;

/// The kernel follows no longer one (linux/limits.h PATH_MAX).
const LONGEST_LINK: usize = 4096;

/// Returns the path below `root` that `path` leads to when every link on the way is followed, `root`
/// being `/` for links and `..` alike. `path` is whatever a tar or a link says.
///
/// # Errors
/// What the tree says, and too many links.
pub fn resolve(tree: &dyn Tree, root: TreePath<'_>, path: &[u8]) -> Result<TreePathBuf> {
    follow(tree, root, path, &mut |here| Ok(Some(tree.stat(here)?.kind == Kind::Symlink)))?
        .ok_or_else(|| Error::corrupt(tree.place(root), "a name that is not a name"))
}

/// Returns the folder below `root` that `path` leads to, links followed as [`resolve`] does; nothing
/// if something else is where a folder should be. What is not there counts as a folder that is still
/// to be made.
///
/// # Errors
/// What the tree says, and too many links.
pub fn resolve_folder(
    tree: &dyn Tree,
    root: TreePath<'_>,
    path: &[u8],
) -> Result<Option<TreePathBuf>> {
    follow(tree, root, path, &mut |here| {
        Ok(match optional(tree.stat(here))?.map(|found| found.kind) {
            Some(Kind::Symlink) => Some(true),
            Some(Kind::Dir) | None => Some(false),
            Some(_) => None,
        })
    })
}

/// Follows every link on the way; `is_link` says whether there is one, or that it goes no further.
fn follow(
    tree: &dyn Tree,
    root: TreePath<'_>,
    path: &[u8],
    is_link: &mut dyn FnMut(TreePath<'_>) -> Result<Option<bool>>,
) -> Result<Option<TreePathBuf>> {
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
        match is_link(here.as_path())? {
            Some(true) => {}
            Some(false) => continue,
            None => return Ok(None),
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Error::corrupt(tree.place(here.as_path()), "too many links in one path"));
        }
        let target = tree.read_link(here.as_path())?;
        if target.len() > LONGEST_LINK {
            let what = format!("a link to {} bytes of path", target.len());
            return Err(Error::corrupt(tree.place(here.as_path()), what));
        }
        done.pop();
        if target.starts_with(b"/") {
            done.clear();
        }
        todo.extend(names(&target));
    }
    Ok(below(root, &done))
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
    fn a_folder_may_be_missing_and_nothing_else_may_be_in_its_place() {
        let tree = tree();
        for (spelled, meant) in [
            ("lib", Some("root/usr/lib")),
            ("lib/new/deep", Some("root/usr/lib/new/deep")),
            ("lib/new/../../x", Some("root/usr/x")),
            ("../../gone", Some("root/gone")),
            ("", Some("root")),
            ("usr/lib/x", None),
            ("abs", None),
            ("abs/y", None),
        ] {
            let found = resolve_folder(&tree, path("root"), spelled.as_bytes()).expect(spelled);
            assert_eq!(found.as_ref().map(TreePathBuf::as_path), meant.map(path), "{spelled}");
        }
        resolve_folder(&tree, path("root"), b"loop/x").expect_err("a loop");
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
