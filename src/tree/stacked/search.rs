//! One name looked up through all layers: what it is made of.

use std::io;

use super::{Folder, Marks, Part, Stacked};
use crate::error::{Error, Result};
use crate::format::overlay::Opaque;
use crate::tree::{Kind, Metadata, TreePath};

/// The kernel writes none longer than 256 bytes (Linux fs/overlayfs/ovl_entry.h OVL_REDIRECT_MAX).
const LONGEST_REDIRECT: usize = 4096;

/// What a name leads to.
pub(super) struct Found {
    /// All folders that merge, or one file, and below it the file that has its bytes.
    pub(super) parts: Vec<Part>,
    pub(super) is_dir: bool,
}

/// A search on its way down. A redirect leads to layers below alone, so it ends.
struct Search<'a> {
    view: &'a Stacked,
    /// A name in the folder's parts, or after a `/` a path from the root of the layers.
    wanted: Vec<u8>,
    /// Nothing below counts.
    stop: bool,
    is_dir: bool,
    is_metacopy: bool,
}

impl Stacked {
    /// Returns what `name` in `folder` is made of; no parts if it is not there.
    pub(super) fn search(&self, folder: &Folder, name: &[u8]) -> Result<Found> {
        let root = self.root()?;
        let wanted = name.to_vec();
        let mut search =
            Search { view: self, wanted, stop: false, is_dir: false, is_metacopy: false };
        let mut parts = Vec::new();
        let (mut layers, mut next, mut is_root) = (&folder.0, 0, false);
        while let Some(layer) = layers.get(next)
            && !search.stop
        {
            parts.extend(search.in_layer(layer, &root)?);
            next += 1;
            if search.wanted.starts_with(b"/") && !is_root {
                (layers, next, is_root) = (&root.0, layer.layer + 1, true);
            }
        }
        if let (true, Some(top)) = (search.is_metacopy, parts.first()) {
            let what = "a file without bytes of its own, and no layer below has them";
            return Err(Error::corrupt(self.tree(top).place(top.path.as_path()), what));
        }
        Ok(Found { parts, is_dir: search.is_dir })
    }

    /// Returns the file that has the bytes of `path`.
    pub(super) fn bytes(&self, path: TreePath<'_>) -> Result<Part> {
        let Some((parent, name)) = path.split_last() else {
            return Err(self.io_error(path, io::ErrorKind::IsADirectory));
        };
        let found = self.search(&*self.folder(parent)?, name)?;
        match found.parts.into_iter().next_back() {
            Some(_) if found.is_dir => Err(self.io_error(path, io::ErrorKind::IsADirectory)),
            Some(part) => Ok(part),
            None => Err(self.io_error(path, io::ErrorKind::NotFound)),
        }
    }
}

impl Search<'_> {
    /// Looks for what is wanted in one layer, where `folder` is the one that is searched.
    fn in_layer(&mut self, folder: &Part, root: &Folder) -> Result<Option<Part>> {
        if !self.wanted.starts_with(b"/") {
            return self.step(folder, 0, self.wanted.len());
        }
        // What comes after the name that is looked up stays; a redirect changes what comes before.
        let mut left = self.wanted.len() - 1;
        let Some(mut here) = root.0.get(folder.layer).cloned() else { return Ok(None) };
        loop {
            let start = self.wanted.len() - left;
            let rest = self.wanted.get(start..).unwrap_or_default();
            let length = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            let is_last = length == rest.len();
            let Some(found) = self.step(&here, start, start + length)? else { return Ok(None) };
            if is_last {
                return Ok(Some(found));
            }
            left -= length + 1;
            here = found;
        }
    }

    /// Looks up the name that stands in `wanted` from `start` to `end`, and takes in what it says of the
    /// layers below.
    fn step(&mut self, folder: &Part, start: usize, end: usize) -> Result<Option<Part>> {
        let is_last = end == self.wanted.len();
        let name = self.wanted.get(start..end).unwrap_or_default();
        let Some((mut found, metadata)) = self.view.inside(folder, name)? else { return Ok(None) };
        if self.ends(folder, &found, &metadata, is_last)? {
            self.stop = true;
            return Ok(None);
        }
        if metadata.kind != Kind::Dir {
            let marks = match metadata.kind {
                Kind::File => self.view.marks(&found)?,
                _ => Marks::default(),
            };
            self.is_metacopy = marks.is_metacopy;
            self.stop = !marks.is_metacopy;
            if marks.is_metacopy {
                self.redirect(&found, marks.redirect, start, end)?;
            }
            return Ok(Some(found));
        }
        self.is_dir |= is_last;
        if found.layer + 1 == self.view.layers.len() {
            return Ok(Some(found));
        }
        let marks = self.view.marks(&found)?;
        match marks.opaque {
            Some(Opaque::Yes) => self.stop = true,
            opaque => {
                found.has_marked_whiteouts = opaque == Some(Opaque::XattrWhiteouts);
                self.redirect(&found, marks.redirect, start, end)?;
            }
        }
        Ok(Some(found))
    }

    /// Says whether what was found hides all below and is nothing itself.
    fn ends(
        &self,
        folder: &Part,
        found: &Part,
        metadata: &Metadata,
        is_last: bool,
    ) -> Result<bool> {
        if self.view.is_whiteout(folder, found, metadata)? {
            return Ok(true);
        }
        Ok(match metadata.kind {
            Kind::Dir => is_last && self.is_metacopy,
            Kind::File => self.is_dir || !is_last,
            _ => self.is_dir || !is_last || self.is_metacopy,
        })
    }

    /// Goes on below under another name: `before/NAME/after` becomes `before/TO/after`, or `TO/after` if
    /// it is a path from the root.
    fn redirect(
        &mut self,
        found: &Part,
        to: Option<Vec<u8>>,
        start: usize,
        end: usize,
    ) -> Result<()> {
        let Some(to) = to else { return Ok(()) };
        let after = self.wanted.get(end..).unwrap_or_default();
        let (path, wanted) = match to.strip_prefix(b"/") {
            Some(path) => (path, [&to, after].concat()),
            None => {
                let before = self.wanted.get(..start).unwrap_or_default();
                (to.as_slice(), [before, &to, after].concat())
            }
        };
        let is_one_name = path.len() < to.len() || !path.contains(&b'/');
        if wanted.len() > LONGEST_REDIRECT
            || path.is_empty()
            || !is_one_name
            || TreePath::new(path).is_none()
        {
            let shown = crate::error::printable(&to[..to.len().min(256)]).into_owned();
            let place = self.view.tree(found).place(found.path.as_path());
            return Err(Error::corrupt(place, format!("moved from `{shown}`, which is no path")));
        }
        // An opaque folder above it hides what it hid, not what was moved here from elsewhere.
        self.stop &= !to.starts_with(b"/");
        self.wanted = wanted;
        Ok(())
    }
}
