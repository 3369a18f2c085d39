//! What is inside an image or a container: its layers as the one tree that a process in it would see.

mod mount;
mod stand_in;
mod take;

use std::sync::Arc;

pub use mount::{Mount, mount};
pub use take::{LeftOut, Taken, Taking, to_disk, to_sink};

use super::host::{ContainerAt, Host, ImageAt, Seen};
use crate::error::{Error, Place, Result, printable};
use crate::format::oci::Platform;
use crate::model::{Image, PlatformImage, Role, StoreKind};
use crate::store::Source;
use crate::tree::{Stacked, Tree, TreePath, TreePathBuf, resolve};

/// A path in an image or container: `NAME:/path`, or `NAME` for its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What the user calls the image or container.
    pub name: String,
    /// The path as it was given.
    pub path: Vec<u8>,
}

impl Address {
    /// Reads `NAME:/path`, whose name ends at the first `:/`.
    ///
    /// # Errors
    /// Refused if the name is empty or no text.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let (name, path) = match text.windows(2).position(|two| two == b":/") {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => (text, &b"/"[..]),
        };
        match std::str::from_utf8(name) {
            Ok(name) if !name.is_empty() => Ok(Self { name: name.to_owned(), path: path.to_vec() }),
            _ => Err(Error::refused(format!("`{}` names no image or container", printable(text)))
                .hint("say NAME:/path, or NAME for its root")),
        }
    }
}

/// Which of several is meant.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// The platform of an image that has several; none for the one that Docker shows.
    pub platform: Option<Platform>,
    /// The store to look for images in; none for the one that is shown.
    pub from: Option<StoreKind>,
}

/// An image or container, seen from inside.
pub struct View<'a> {
    /// What a process in it would see.
    pub tree: Stacked,
    /// What it was called.
    pub name: String,
    /// The store's tree.
    store: Arc<dyn Tree>,
    source: &'a dyn Source,
    /// The folders in it that are merged, the topmost first.
    layers: Vec<TreePathBuf>,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("name", &self.name).field("layers", &self.layers).finish()
    }
}

/// Returns the container or image that is called `name`, seen from inside. A container's whole name comes
/// before an image's, and an image's before the start of a container's ID.
///
/// # Errors
/// Missing if there is none, or if a layer is not unpacked; refused if several could be meant.
pub fn view<'a>(host: &'a Host, name: &str, which: &Which) -> Result<View<'a>> {
    let plain = name.strip_prefix('/').unwrap_or(name);
    let container = host.container(name);
    if let Ok(at) = &container
        && (at.container.name == plain || at.container.id == plain)
    {
        return of_container(name, at);
    }
    match (host.image(name, which.from), container) {
        (Ok(at), _) => of_image(name, &at, which),
        (Err(error), Ok(at)) if error.is_missing() => of_container(name, &at),
        (Err(none), Err(error)) if none.is_missing() && error.is_missing() => {
            let what = "no image or container has this name or ID";
            Err(Error::missing(Place::new(name, ""), what)
                .hint("`tranship images -a` and `tranship ps` list them all, hidden ones too"))
        }
        (Err(none), Err(error)) if none.is_missing() => Err(error),
        (Err(error), _) => Err(error),
    }
}

fn of_container<'a>(name: &str, at: &ContainerAt<'a>) -> Result<View<'a>> {
    let source = at.source()?;
    let layers = source.writable(&at.container.id)?.stack();
    let Some(seen) = at.seen else {
        return Err(Error::missing(Place::new(name, ""), "the container's store is gone"));
    };
    Ok(View::new(name, seen, source, layers))
}

fn of_image<'a>(name: &str, at: &ImageAt<'a>, which: &Which) -> Result<View<'a>> {
    let source = at.source()?;
    let place = || Place::new(at.seen.here.place.clone(), "");
    let Some(image) = chosen(at.image, which.platform.as_ref()) else {
        let here = at.image.manifests.iter().filter(|image| image.role == Role::Image);
        let here: Vec<_> = here.map(|image| image.platform.to_string()).collect();
        let what = format!("{name} is not there for this platform; it has {}", here.join(", "));
        return Err(Error::missing(place(), what).hint("say which with --platform"));
    };
    let Some(top) = image.chain().last().copied() else {
        return Ok(View::new(name, at.seen, source, Vec::new()));
    };
    match source.stack(top) {
        Ok(layers) => Ok(View::new(name, at.seen, source, layers)),
        Err(error) if error.is_missing() => {
            let what = format!("{name} is packed here, and not unpacked: {}", error.what());
            Err(Error::missing(place(), what).hint(
                "`tranship migrate --to classic --into DIR` unpacks it; or run it once, and Docker does",
            ))
        }
        Err(error) => Err(error),
    }
}

/// Returns the platform that is wanted, or else the one that Docker shows.
fn chosen<'i>(image: &'i Image, wanted: Option<&Platform>) -> Option<&'i PlatformImage> {
    let Some(wanted) = wanted else { return image.shown() };
    let is_it = |one: &&PlatformImage| one.role == Role::Image && one.platform.is(wanted);
    let found = || image.manifests.iter().filter(is_it);
    found().find(|one| one.present).or_else(|| found().next())
}

impl<'a> View<'a> {
    fn new(name: &str, seen: &Seen, source: &'a dyn Source, layers: Vec<TreePathBuf>) -> Self {
        let store = Arc::clone(&seen.here.tree);
        let stack = layers.iter().map(|layer| (Arc::clone(&store), layer.clone())).collect();
        let (tree, name) =
            (Stacked::new(stack).called(printable(name.as_bytes())), name.to_owned());
        Self { tree, name, store, source, layers }
    }

    /// Returns where `path` leads, links followed inside the root. The last name is followed if `last`
    /// says so, or if a slash comes after it.
    ///
    /// # Errors
    /// What the layers say.
    pub fn resolve(&self, path: &[u8], last: bool) -> Result<TreePathBuf> {
        let (folder, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => path.split_at(slash),
            None => (&b""[..], path),
        };
        let name = name.strip_prefix(b"/").unwrap_or(name);
        let followed = last || matches!(name, b"" | b"." | b"..");
        let found = resolve(&self.tree, TreePath::ROOT, if followed { path } else { folder })?;
        if followed {
            return Ok(found);
        }
        found.as_path().child(name).ok_or_else(|| {
            Error::missing(self.tree.place(found.as_path()), "a name with a zero byte in it")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_after_the_first_colon_and_slash() {
        for (text, name, path) in [
            ("web:/etc/passwd", "web", "/etc/passwd"),
            ("web", "web", "/"),
            ("web:/", "web", "/"),
            ("app:1.2:/a:/b", "app:1.2", "/a:/b"),
            ("localhost:5000/app:1:/x", "localhost:5000/app:1", "/x"),
            ("app:1", "app:1", "/"),
            ("app@sha256:00:/x/.", "app@sha256:00", "/x/."),
        ] {
            let address = Address::parse(text.as_bytes()).expect(text);
            assert_eq!((address.name.as_str(), &*address.path), (name, path.as_bytes()), "{text}");
        }
        for bad in [&b""[..], b":/x", b"\xff:/x"] {
            Address::parse(bad).expect_err("no name");
        }
    }
}
