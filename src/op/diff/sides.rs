//! Which two trees are compared.

use std::sync::Arc;

use super::{Changes, Rule, Upper, compare};
use crate::error::{Error, Result};
use crate::model::{PlatformImage, StoreKind};
use crate::op::host::{ContainerAt, Host, ImageAt};
use crate::tree::{Stacked, Sub, Tree, TreePathBuf};

/// A container or an image, as a user calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A name or an ID.
    pub name: String,
    /// The kind of store an image is to be looked for in.
    pub only: Option<StoreKind>,
}

/// Two trees to be compared.
#[derive(Debug)]
pub struct Pair {
    /// What is compared with.
    pub old: Stacked,
    /// What may be different.
    pub new: Stacked,
    /// The one folder that makes the difference, if there is one.
    pub upper: Option<Sub>,
}

impl Pair {
    /// Returns what is different.
    ///
    /// # Errors
    /// What the trees say.
    pub fn changes(&self, rule: Rule) -> Result<Changes> {
        let upper = self.upper.as_ref().map(|tree| Upper { tree });
        compare(&self.old, &self.new, upper, rule)
    }

    /// Returns the container at `at` and what it stands on, to be compared.
    ///
    /// # Errors
    /// Missing where its store keeps nothing of it.
    pub fn of_container(at: &ContainerAt<'_>) -> Result<Self> {
        let writable = at.source()?.writable(&at.container.id)?;
        let tree =
            at.seen.map(|seen| &seen.here.tree).ok_or_else(|| nothing(&at.container.name))?;
        Self::of_stack(tree, &writable.stack(), &at.container.name)
    }

    /// Returns a stack of folders and the same without the topmost, to be compared.
    ///
    /// # Errors
    /// Missing if there is none.
    pub(in crate::op) fn of_stack(
        tree: &Arc<dyn Tree>,
        stack: &[TreePathBuf],
        name: &str,
    ) -> Result<Self> {
        let (upper, below) = stack.split_first().ok_or_else(|| nothing(name))?;
        Ok(Self {
            old: stacked(tree, below),
            new: stacked(tree, stack),
            upper: Some(Sub::new(Arc::clone(tree), upper.as_path())),
        })
    }
}

/// Returns what is to be compared: `one` with `other`; a container alone with what it stands on; and of
/// an image alone the topmost layer with what is below.
///
/// # Errors
/// Missing where nothing is called so or is not unpacked.
pub fn open(host: &Host, one: &Wanted, other: Option<&Wanted>) -> Result<Pair> {
    let old = Found::of(host, one)?;
    if let Some(other) = other {
        let (old, new) = (old.merged()?, Found::of(host, other)?.merged()?);
        return Ok(Pair { old, new, upper: None });
    }
    match &old {
        Found::Container(at) => Pair::of_container(at),
        Found::Image(at) => Pair::of_stack(&at.seen.here.tree, &old.stack()?, &one.name),
    }
}

enum Found<'a> {
    Container(ContainerAt<'a>),
    Image(ImageAt<'a>),
}

impl<'a> Found<'a> {
    fn of(host: &'a Host, wanted: &Wanted) -> Result<Self> {
        if wanted.only.is_none() {
            match host.container(&wanted.name) {
                Ok(at) => return Ok(Self::Container(at)),
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
        host.image(&wanted.name, wanted.only).map(Self::Image).map_err(|error| {
            match error.is_missing() && wanted.only.is_none() {
                true => nothing(&wanted.name),
                false => error,
            }
        })
    }

    fn stack(&self) -> Result<Vec<TreePathBuf>> {
        match self {
            Self::Container(at) => Ok(at.source()?.writable(&at.container.id)?.stack()),
            Self::Image(at) => {
                let chain = at.image.shown().map(PlatformImage::chain).unwrap_or_default();
                match chain.last() {
                    Some(top) => at.source()?.stack(*top),
                    None => Ok(Vec::new()),
                }
            }
        }
    }

    fn merged(&self) -> Result<Stacked> {
        let stack = self.stack()?;
        let tree = match self {
            Self::Container(at) => at.seen.map(|seen| &seen.here.tree),
            Self::Image(at) => Some(&at.seen.here.tree),
        };
        tree.map(|tree| stacked(tree, &stack)).ok_or_else(|| nothing("it"))
    }
}

fn stacked(tree: &Arc<dyn Tree>, stack: &[TreePathBuf]) -> Stacked {
    Stacked::new(stack.iter().map(|folder| (Arc::clone(tree), folder.clone())).collect())
}

fn nothing(name: &str) -> Error {
    let place = crate::error::Place::new(name, "");
    Error::missing(place, "no container or image has this name or ID")
        .hint("`tranship ps` and `tranship images -a` list them all")
}
