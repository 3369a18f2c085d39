//! What can be compared only once the whole tar is read: folders, and what the tar does not have.

use super::difference::{Differs, Found};
use super::entry::{differing, differing_xattrs, is_label};
use super::{Compare, hash};
use crate::error::Result;
use crate::format::overlay::Mark;
use crate::store::unpack::attributes::without_private;
use crate::tree::{Kind, Tree, TreePath, optional, walk};

impl Compare<'_> {
    pub(super) fn compare_dirs(&mut self) -> Result<()> {
        let (mut differing_dirs, mut is_odd) = (Vec::new(), false);
        for (path, dir) in self.dirs.inside_out() {
            let at = self.at(path);
            let Some(found) = optional(self.tree.stat(at.as_path()))? else { continue };
            let mut xattrs = without_private(self.tree.xattrs(at.as_path())?);
            let mut wanted = without_private(dir.attributes.xattrs.clone());
            if dir.is_implied {
                xattrs.retain(|key, _| Mark::of(key).is_some());
                wanted.retain(|key, _| Mark::of(key).is_some());
            }
            is_odd |= xattrs.keys().any(|key| is_label(key) && !wanted.contains_key(key));
            let other = differing(&found, &dir.attributes).filter(|_| !dir.is_implied);
            let differs = other.or_else(|| differing_xattrs(&xattrs, &wanted));
            differing_dirs.extend(differs.map(|differs| (path.to_owned(), differs)));
        }
        self.is_odd |= is_odd;
        for (path, differs) in differing_dirs {
            self.note_xattrs_of_dir(path.as_path(), differs)?;
        }
        Ok(())
    }

    /// An opaque folder hides nothing where the layers below have no folder of the name: overlayfs makes
    /// every new folder so, and tars do not tell it.
    fn note_xattrs_of_dir(&mut self, path: TreePath<'_>, differs: Differs) -> Result<()> {
        let is_opaque = |key: &[u8]| Mark::of(key).is_some_and(|(_, mark)| mark == Mark::Opaque);
        if let (Differs::Xattr(key), Some(lower)) = (&differs, self.rules.lower)
            && is_opaque(key)
            && lower(path)?.is_none()
        {
            self.is_odd = true;
            return Ok(());
        }
        self.note(path, differs);
        Ok(())
    }

    /// Most names are known from the tar, so names alone are listed; what has another is looked at.
    pub(super) fn find_extra(&mut self) -> Result<()> {
        for (dir, _) in self.dirs.inside_out() {
            let at = self.at(dir);
            let listed = self.tree.names(at.as_path());
            // Without the layer's own folder there is nothing to compare; of one that gave way meanwhile it is
            // told.
            let names = if dir.is_root() { Some(listed?) } else { optional(listed)? };
            let Some(names) = names else { continue };
            for path in names.iter().filter_map(|name| dir.child(name)) {
                let path = path.as_path();
                if !self.dirs.contains(path) && !self.seen.contains(&hash(path)) {
                    let (found, is_odd) = (&mut self.found, &mut self.is_odd);
                    extra(self.tree, self.root.as_path(), path, found, is_odd)?;
                }
            }
        }
        Ok(())
    }
}

/// Notes what the tar does not have, with all that is in it.
fn extra(
    tree: &dyn Tree,
    root: TreePath<'_>,
    path: TreePath<'_>,
    found: &mut Found,
    is_odd: &mut bool,
) -> Result<()> {
    let mut note = |path: TreePath<'_>, kind| match kind {
        Kind::Dir | Kind::Socket => *is_odd = true,
        _ => found.note(path, Differs::Extra),
    };
    let at = root.join(path);
    let Some(metadata) = optional(tree.stat(at.as_path()))? else { return Ok(()) };
    note(path, metadata.kind);
    if metadata.kind == Kind::Dir {
        walk(tree, at.as_path(), &mut |at, entry| {
            note(at.below(root).unwrap_or(TreePath::ROOT), entry.metadata.kind);
            Ok(true)
        })?;
    }
    Ok(())
}
