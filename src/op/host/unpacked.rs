//! Finding an unpacked layer by what a store calls it.

use super::{ContainerAt, DataRoot, Host, Seen};
use crate::digest::ChainId;
use crate::error::{Error, Place, Result};
use crate::model::{Container, Layer, StoreKind};
use crate::tree::{TreePath, TreePathBuf};

/// A folder that a store unpacks a layer into, or lets a container write to.
#[derive(Clone, Debug)]
pub struct UnpackedAt<'a> {
    /// The data root.
    pub root: &'a DataRoot,
    /// The store.
    pub seen: &'a Seen,
    /// What the store calls the folder: a cache ID, a mount ID, the number of a snapshot.
    pub name: String,
    /// The folder of its files, in the store's tree; nothing if that is not there.
    pub files: Option<TreePathBuf>,
    /// What it is of.
    pub of: UnpackedOf<'a>,
}

/// What a folder is of.
#[derive(Clone, Copy, Debug)]
pub enum UnpackedOf<'a> {
    /// An image's layer.
    Layer(ChainId, &'a Layer),
    /// What a container changed.
    Upper(&'a Container),
    /// What a daemon put into a container first.
    Init(&'a Container),
}

impl UnpackedAt<'_> {
    /// Returns what a containerd store would have as the key of the snapshot.
    #[must_use]
    pub fn key(&self) -> String {
        match self.of {
            UnpackedOf::Layer(chain_id, _) => chain_id.to_string(),
            UnpackedOf::Upper(container) => container.id.clone(),
            UnpackedOf::Init(container) => format!("{}-init", container.id),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        match self.of {
            _ if self.name == name || self.key() == name => true,
            UnpackedOf::Layer(chain_id, _) => {
                digits.len() > 3 && chain_id.hex().starts_with(digits)
            }
            UnpackedOf::Upper(_) | UnpackedOf::Init(_) => false,
        }
    }
}

impl Host {
    /// Returns the unpacked layer that is called `name`: a chain ID, or a start of it that no other has,
    /// a cache ID, or the key or number of a snapshot. `only` looks for layers of images alone.
    ///
    /// # Errors
    /// Missing if there is none, refused if several could be meant.
    pub fn unpacked(&self, name: &str, only_layers: bool) -> Result<UnpackedAt<'_>> {
        let mut found: Vec<UnpackedAt<'_>> = Vec::new();
        for root in &self.roots {
            found.extend(
                root.stores
                    .iter()
                    .flat_map(|seen| layers(root, seen))
                    .filter(|at| at.is_called(name)),
            );
            if !only_layers {
                found.extend(root.containers().flat_map(own).filter(|at| at.is_called(name)));
            }
        }
        if found.iter().any(|at| !at.seen.hidden) {
            found.retain(|at| !at.seen.hidden);
        }
        match (found.pop(), found.len()) {
            (Some(one), 0) => Ok(one),
            (None, _) => {
                Err(Error::missing(Place::new(name, ""), "no unpacked layer is called so"))
            }
            (Some(one), more) => {
                let what = format!("{} layers could be `{name}`, such as {}", more + 1, one.key());
                Err(Error::refused(what).hint("give more of the ID"))
            }
        }
    }
}

fn layers<'a>(root: &'a DataRoot, seen: &'a Seen) -> impl Iterator<Item = UnpackedAt<'a>> {
    let layers = seen.inventory().map(|inventory| &inventory.layers);
    layers.into_iter().flatten().map(move |(chain_id, layer)| {
        let content = seen.here.source.as_deref().and_then(|source| source.layer(*chain_id).ok());
        let files = content.and_then(|content| content.files().map(|(_, folder)| folder));
        let name = files.as_ref().map(|files| name_of(seen, files.as_path())).unwrap_or_default();
        UnpackedAt { root, seen, name, files, of: UnpackedOf::Layer(*chain_id, layer) }
    })
}

/// Returns the folders of a container; none if its writable layer is gone.
fn own(at: ContainerAt<'_>) -> Vec<UnpackedAt<'_>> {
    let writable = at.source().and_then(|source| source.writable(&at.container.id));
    let (Some(seen), Ok(writable)) = (at.seen, writable) else { return Vec::new() };
    let folder = |files: TreePathBuf, of| {
        let name = name_of(seen, files.as_path());
        UnpackedAt { root: at.root, seen, name, files: Some(files), of }
    };
    let upper = folder(writable.upper, UnpackedOf::Upper(at.container));
    let init = writable.init.map(|init| folder(init, UnpackedOf::Init(at.container)));
    std::iter::once(upper).chain(init).collect()
}

/// Both stores have the files in a folder of a fixed name, in one of the name that is looked for.
fn name_of(seen: &Seen, files: TreePath<'_>) -> String {
    let fixed: &[u8] = if seen.here.kind == StoreKind::Classic { b"diff" } else { b"fs" };
    let names: Vec<&[u8]> = files.names().collect();
    let name = match names.as_slice() {
        [.., name, last] if *last == fixed => name,
        [.., last] => last,
        [] => return String::new(),
    };
    String::from_utf8_lossy(name).into_owned()
}
