//! What the names in a layer's tar ask for.

use crate::error::printable;
use crate::format::overlay::{OPAQUE_NAME, WHITEOUT_PREFIX};
use crate::tree::{TreePath, TreePathBuf};

/// The longest path that any call takes (linux/limits.h PATH_MAX).
pub(super) const LONGEST: usize = 4096;

/// A path in a tar, made plain: links on the way are not followed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spelled {
    pub(super) folder: TreePathBuf,
    pub(super) name: Vec<u8>,
}

/// Makes `path` plain; nothing for the layer's own folder. `turns_inside` says what becomes of `..`
/// where it leads out.
pub(super) fn spelled(path: &[u8], turns_inside: bool) -> Result<Option<Spelled>, String> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." if names.pop().is_some() || turns_inside => {}
            b".." => return Err(format!("the name `{}`, which leads outside", printable(path))),
            name => names.push(name),
        }
    }
    let Some(name) = names.pop() else { return Ok(None) };
    let folder = names.join(&b'/');
    if folder.len().saturating_add(name.len()) > LONGEST {
        return Err(format!("a name of {} bytes; no path has more than {LONGEST}", path.len()));
    }
    match (TreePathBuf::new(folder), TreePath::new(name)) {
        (Some(folder), Some(_)) => Ok(Some(Spelled { folder, name: name.to_vec() })),
        _ => Err("a name with a zero byte in it".to_owned()),
    }
}

/// What a name in a folder asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asks<'a> {
    /// For a file of that name.
    Entry(&'a [u8]),
    /// That this name be gone.
    Whiteout(&'a [u8]),
    /// That nothing of lower layers show through in the folder.
    Opaque,
}

/// Reads the last name of a path. Neither daemon knows AUFS' own names here: to them `.wh..wh.plnk`
/// deletes `.wh.plnk`.
pub(super) fn asks(name: &[u8]) -> Result<Asks<'_>, String> {
    match name.strip_prefix(WHITEOUT_PREFIX) {
        None => Ok(Asks::Entry(name)),
        Some(_) if name == OPAQUE_NAME => Ok(Asks::Opaque),
        Some(b"" | b"." | b"..") => Err(format!("`{}`, which deletes no name", printable(name))),
        Some(deleted) => Ok(Asks::Whiteout(deleted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_plain_and_stay_inside() {
        for (path, strict, inside) in [
            ("a", Some(("", "a")), Some(("", "a"))),
            ("./a//b/", Some(("a", "b")), Some(("a", "b"))),
            ("/a/./b/c", Some(("a/b", "c")), Some(("a/b", "c"))),
            ("a/b/../c", Some(("a", "c")), Some(("a", "c"))),
            ("../a", None, Some(("", "a"))),
            ("/../a", None, Some(("", "a"))),
            ("a/../../b", None, Some(("", "b"))),
            ("a\0b", None, None),
            ("a\0/b", None, None),
        ] {
            for (turns_inside, want) in [(false, strict), (true, inside)] {
                let found = spelled(path.as_bytes(), turns_inside);
                let want = want.map(|(folder, name)| Spelled {
                    folder: crate::tree::path(folder).to_owned(),
                    name: name.as_bytes().to_vec(),
                });
                assert_eq!(found.clone().ok().flatten(), want, "{path:?} {found:?}");
            }
        }
        for root in ["", ".", "./", "/", "a/.."] {
            assert_eq!(spelled(root.as_bytes(), false), Ok(None), "{root:?}");
        }
        let deep = "a/".repeat(LONGEST);
        assert!(spelled(deep.as_bytes(), true).is_err_and(|what| what.contains("8192 bytes")));
    }

    #[test]
    fn a_name_says_what_it_is_for() {
        assert_eq!(asks(b"x"), Ok(Asks::Entry(b"x")));
        assert_eq!(asks(b".wh"), Ok(Asks::Entry(b".wh")));
        assert_eq!(asks(b".wh.x"), Ok(Asks::Whiteout(b"x")));
        assert_eq!(asks(b".wh....."), Ok(Asks::Whiteout(b"....")));
        assert_eq!(asks(b".wh..wh..opq"), Ok(Asks::Opaque));
        assert_eq!(asks(b".wh..wh.plnk"), Ok(Asks::Whiteout(b".wh.plnk")));
        for bad in [".wh.", ".wh..", ".wh..."] {
            assert!(asks(bad.as_bytes()).is_err_and(|what| what.contains(bad)), "{bad}");
        }
    }
}
