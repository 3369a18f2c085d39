//! Finding one container or image by what a user calls it, in all roots and stores of a host.

use super::{DataRoot, Host, Seen};
use crate::error::{Error, Place, Result};
use crate::format::reference::Reference;
use crate::model::{Container, Image, Name, StoreKind, called};
use crate::store::Source;

/// A container, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct ContainerAt<'a> {
    /// The data root.
    pub root: &'a DataRoot,
    /// The store that has its writable layer; nothing if that store is gone.
    pub seen: Option<&'a Seen>,
    /// The container.
    pub container: &'a Container,
}

/// An image, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct ImageAt<'a> {
    /// The data root, layout or archive.
    pub root: &'a DataRoot,
    /// The store.
    pub seen: &'a Seen,
    /// The image.
    pub image: &'a Image,
}

impl DataRoot {
    /// Returns the root's containers, each with its store.
    pub fn containers(&self) -> impl Iterator<Item = ContainerAt<'_>> {
        self.containers.iter().map(|container| ContainerAt {
            root: self,
            seen: self.stores.iter().find(|seen| seen.here.driver == container.driver),
            container,
        })
    }
}

impl Host {
    /// Returns the container that is called `name`: its name, its ID, or a start of that which no other
    /// has.
    ///
    /// # Errors
    /// Missing if there is none, refused if several could be meant.
    pub fn container(&self, name: &str) -> Result<ContainerAt<'_>> {
        let all = self.roots.iter().flat_map(DataRoot::containers);
        let all: Vec<_> = all.collect();
        let found = called(all.iter().copied(), name, |at| at.container);
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Error::missing(Place::new(name, ""), "no container has this name or ID")
                .hint("`tranship ps` lists them all, hidden ones too")),
            several => {
                let each =
                    |at: &ContainerAt<'_>| format!("{} in {}", at.container.id, at.root.place);
                Err(ambiguous(name, "containers", several.iter().map(each)))
            }
        }
    }

    /// Returns the image that is called `name`: a name, with the tag `latest` if it has none, or an
    /// ID, or a start of that which no other has. Of an image that both stores have, it is the one the
    /// daemon shows; `only` looks in one kind of store.
    ///
    /// # Errors
    /// Missing if there is none, refused if several could be meant.
    pub fn image(&self, name: &str, only: Option<StoreKind>) -> Result<ImageAt<'_>> {
        let all = || self.roots.iter().flat_map(images);
        let wanted = |at: &ImageAt<'_>| only.is_none_or(|kind| at.seen.here.kind == kind);
        let reference = Reference::parse_normalized(name).ok().map(Reference::tag_name_only);
        let has_name = |known: &Name| match (&reference, known.reference()) {
            (Some(wanted), Some(known)) => wanted == known,
            _ => known.familiar() == name,
        };
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        let ways: [&dyn Fn(&Image) -> bool; 2] =
            [&|image| image.names.iter().any(has_name), &|image| {
                !digits.is_empty() && image.id.hex().starts_with(digits)
            }];
        let by = |is: &dyn Fn(&Image) -> bool| -> Vec<_> {
            all().filter(wanted).filter(|at| is(at.image)).collect()
        };
        let mut found =
            ways.into_iter().map(by).find(|found| !found.is_empty()).unwrap_or_default();
        if found.iter().any(|at| !at.seen.hidden) {
            found.retain(|at| !at.seen.hidden);
        }
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Error::missing(Place::new(name, ""), "no image has this name or ID")
                .hint("`tranship images -a` lists them all")),
            several => {
                let each =
                    |at: &ImageAt<'_>| format!("{} in {}", at.image.id.short(), at.seen.here.place);
                Err(ambiguous(name, "images", several.iter().map(each)))
            }
        }
    }
}

impl<'a> ContainerAt<'a> {
    /// Returns the store that has the container's writable layer.
    ///
    /// # Errors
    /// Missing if there is none that can be read.
    pub fn source(&self) -> Result<&'a dyn Source> {
        let source = self.seen.and_then(|seen| seen.here.source.as_deref());
        source.ok_or_else(|| {
            let driver = &self.container.driver;
            let what = format!(
                "container {} is kept by `{driver}`, and there is no such store that can be read",
                self.container.name
            );
            Error::missing(Place::new(self.root.place.clone(), ""), what)
        })
    }
}

impl<'a> ImageAt<'a> {
    /// Returns the store that has the image.
    ///
    /// # Errors
    /// Unsupported if it cannot be read; then it had no images to be found.
    pub fn source(&self) -> Result<&'a dyn Source> {
        self.seen.here.source.as_deref().ok_or_else(|| {
            let place = Place::new(self.seen.here.place.clone(), "");
            Error::unsupported(place, "the store cannot be read")
        })
    }
}

fn images(root: &DataRoot) -> impl Iterator<Item = ImageAt<'_>> {
    root.stores.iter().flat_map(move |seen| {
        let images = seen.inventory().map(|inventory| inventory.images.as_slice());
        images.unwrap_or_default().iter().map(move |image| ImageAt { root, seen, image })
    })
}

fn ambiguous(name: &str, what: &str, found: impl Iterator<Item = String>) -> Error {
    let found: Vec<_> = found.collect();
    Error::refused(format!("several {what} could be `{name}`: {}", found.join(", ")))
        .hint("give more of the ID, or name the data root")
}
