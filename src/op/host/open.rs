//! What a user names: a directory, or an archive of one.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::os;
use crate::tree::{Live, TarTree, Tree, TreePathBuf, path};

/// A tree, and the part of it that is meant.
pub struct Opened {
    /// The tree.
    pub tree: Arc<dyn Tree>,
    /// The data root that is meant, where the tree is the whole system around it.
    pub only: Option<TreePathBuf>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("origin", &self.tree.origin()).finish_non_exhaustive()
    }
}

/// Opens what is at `at`: this host if nothing, a directory, or a tar of one.
///
/// A data root in its usual place is seen as a part of its system, whose configuration and containerd
/// belong to it.
///
/// # Errors
/// What the operating system says, or what is wrong with the archive.
pub fn open(at: Option<&Path>) -> Result<Opened> {
    let at = at.unwrap_or_else(|| Path::new("/"));
    if !os::is_dir(at) && at.exists() {
        return Ok(Opened { tree: Arc::new(TarTree::open(at)?), only: None });
    }
    let usual = path("var/lib/docker");
    if let Ok(real) = os::real_path(at)
        && real.ends_with(os::path_of(usual.as_bytes()))
        && let Some(system) = real.ancestors().nth(3)
    {
        return Ok(Opened { tree: Arc::new(Live::open(system)?), only: Some(usual.to_owned()) });
    }
    Ok(Opened { tree: Arc::new(Live::open(at)?), only: None })
}
