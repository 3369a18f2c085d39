//! Whether a folder holds what a tar would unpack to.

use std::io;

use super::Compare;
use crate::error::Result;
use crate::format::tar::{Member, Watch};
use crate::store::unpack::Rules;
use crate::tree::{Tree, TreePath};

/// Tells whether a folder that may hold the layer of the tar it watches can be taken for what unpacking
/// makes.
///
/// The answer is *yes* only where unpacking would make the same, but for the attributes of folders that
/// the tar leaves out, those of deleted names, parts of a second that the tar does not give, and what
/// overlayfs noted for itself. It may be *no* without need for tars that say things twice, take back
/// what they said, or have files with holes.
#[derive(Debug)]
pub struct Same<'a> {
    compare: Compare<'a>,
}

impl<'a> Same<'a> {
    /// Starts to compare with the folder `root` of `tree` what unpacking by `rules` makes.
    #[must_use]
    pub fn new(tree: &'a dyn Tree, root: TreePath<'_>, rules: Rules<'a>) -> Self {
        Self { compare: Compare::new(tree, root, rules) }
    }

    /// Returns whether the folder can still turn out to be the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.compare.is_plain()
    }

    /// Returns whether the folder is the same, once the tar is read.
    ///
    /// # Errors
    /// What the tree says.
    pub fn finish(self) -> Result<bool> {
        if !self.is_same() {
            return Ok(false);
        }
        let (differences, is_odd) = self.compare.ended()?;
        Ok(!is_odd && differences.is_empty() && differences.incomplete.is_none())
    }
}

/// What follows a difference is not looked at.
impl Watch for Same<'_> {
    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        if self.is_same() { self.compare.member(member) } else { Ok(()) }
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_same() { self.compare.data(bytes) } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        self.compare.end()
    }
}
