//! The kernel's own merged view: what to mount.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::View;
use crate::error::{Error, Place, Result};
use crate::os;
use crate::tree::{TreePath, TreePathBuf};

/// The kernel takes the options of a mount in one page, with a zero at the end (Linux fs/namespace.c
/// copy_mount_options).
const MOST_OPTIONS: usize = 4095;

/// The most layers of one mount (Linux fs/overlayfs/params.h OVL_MAX_STACK).
const MOST_LAYERS: usize = 500;

/// How an image or container is mounted, to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// One folder is all of it.
    Bind(PathBuf),
    /// Several folders merge.
    Overlay {
        /// The folder that the layers are named from, if their whole names are too long.
        within: Option<PathBuf>,
        /// The options: `ro,lowerdir=…`, escaped as the kernel reads them.
        options: Vec<u8>,
    },
}

/// Returns how `view` is mounted, read-only.
///
/// # Errors
/// Unsupported where the layers are no folders of this machine, or too many.
pub fn mount(view: &View<'_>) -> Result<Mount> {
    let long = paths(view, &|layer| Ok(layer.to_owned()))?;
    match long.as_slice() {
        [] => {
            let what = format!("{} has no layers: there is nothing to mount", view.name);
            return Err(Error::unsupported(view.store.place(TreePath::ROOT), what));
        }
        [one] => return Ok(Mount::Bind(one.clone())),
        several if several.len() > MOST_LAYERS => return Err(too_long(view)),
        _ => {}
    }
    let options = overlay(long.iter().map(PathBuf::as_path));
    if options.len() <= MOST_OPTIONS {
        return Ok(Mount::Overlay { within: None, options });
    }
    let short =
        paths(view, &|layer| Ok(view.source.short_name(layer)?.unwrap_or(layer.to_owned())))?;
    for paths in [&long, &short] {
        let within = common(paths);
        let inner = paths.iter().map(|path| path.strip_prefix(&within).unwrap_or(path));
        let options = overlay(inner);
        if options.len() <= MOST_OPTIONS {
            return Ok(Mount::Overlay { within: Some(within), options });
        }
    }
    Err(too_long(view))
}

fn too_long(view: &View<'_>) -> Error {
    let what = format!("{} layers are more than one mount can name", view.layers.len());
    Error::unsupported(view.store.place(TreePath::ROOT), what)
        .hint("take the files out instead: `tranship export --rootfs`")
}

/// Returns the layers as folders of this machine, each by the name that `called` gives it.
fn paths(
    view: &View<'_>,
    called: &dyn Fn(TreePath<'_>) -> Result<TreePathBuf>,
) -> Result<Vec<PathBuf>> {
    let path = |layer: &TreePathBuf| {
        let name = called(layer.as_path())?;
        let (root, inner) = view.store.live(name.as_path()).ok_or_else(|| {
            let place = Place::new(view.store.origin(), "");
            Error::unsupported(place, "only what is on this machine's disk can be mounted")
                .hint("`tranship ls`, `cat`, `cp` and `export --rootfs` read it where it is")
        })?;
        let path = root.path().join(os::path_of(inner.as_path().as_bytes()));
        std::path::absolute(&path)
            .map_err(|error| Error::io(view.store.place(name.as_path()), error))
    };
    view.layers.iter().map(path).collect()
}

/// Returns the deepest folder that holds all of `paths`.
fn common(paths: &[PathBuf]) -> PathBuf {
    let mut folder = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("/"));
    while let Some(above) = folder.parent()
        && !paths.iter().all(|path| path.starts_with(folder))
    {
        folder = above;
    }
    folder.to_owned()
}

fn overlay<'p>(layers: impl Iterator<Item = &'p Path>) -> Vec<u8> {
    let mut options = b"ro,lowerdir=".to_vec();
    for (number, layer) in layers.enumerate() {
        if number > 0 {
            options.push(b':');
        }
        for byte in layer.as_os_str().as_bytes() {
            if matches!(byte, b':' | b',' | b'\\') {
                options.push(b'\\');
            }
            options.push(*byte);
        }
    }
    options
}

impl Mount {
    /// Returns the command that mounts it at `at`, for a shell.
    #[must_use]
    pub fn command(&self, at: &Path) -> Vec<u8> {
        let at = quoted(at.as_os_str().as_bytes());
        match self {
            Self::Bind(folder) => {
                let folder = quoted(folder.as_os_str().as_bytes());
                [&b"mount -o bind,ro "[..], &folder, b" ", &at].concat()
            }
            Self::Overlay { within, options } => {
                let cd = within.as_ref().map(|within| {
                    [&b"cd "[..], &quoted(within.as_os_str().as_bytes()), b" && "].concat()
                });
                let mount = b"mount -t overlay overlay -o ".as_slice();
                [&cd.unwrap_or_default(), mount, &quoted(options), b" ", &at].concat()
            }
        }
    }

    /// Mounts it at `at`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn run(&self, at: &Path) -> Result<()> {
        let place = || Place::new(at.display().to_string(), "");
        let done = match self {
            Self::Bind(folder) => os::mount_bind(folder, at),
            Self::Overlay { within, options } => os::mount_overlay(within.as_deref(), options, at),
        };
        done.map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                Error::io(place(), error).hint("only root can mount; run it with sudo")
            }
            _ => Error::io(place(), error).hint("the kernel's log says more: `dmesg | tail`"),
        })
    }
}

/// Returns `word` as a shell reads it back.
fn quoted(word: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-:=,+@%".contains(byte);
    if !word.is_empty() && word.iter().all(plain) {
        return word.to_vec();
    }
    let mut quoted = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_reads_otherwise_is_escaped() {
        let options = overlay(["/a:b/c,d", "/e\\f"].map(Path::new).into_iter());
        assert_eq!(options, br"ro,lowerdir=/a\:b/c\,d:/e\\f");
    }

    #[test]
    fn a_shell_reads_what_is_meant() {
        let at = Path::new("/mnt/it's");
        let bind = Mount::Bind("/d/x y".into()).command(at);
        assert_eq!(bind, br"mount -o bind,ro '/d/x y' '/mnt/it'\''s'");
        let options = b"ro,lowerdir=l/A:l/B".to_vec();
        let within = Some(PathBuf::from("/var/lib/docker/overlay2"));
        let command = Mount::Overlay { within, options }.command(Path::new("/mnt"));
        let want = "cd /var/lib/docker/overlay2 && \
                    mount -t overlay overlay -o ro,lowerdir=l/A:l/B /mnt";
        assert_eq!(command, want.as_bytes());
    }

    #[test]
    fn long_stacks_are_named_from_where_they_all_are() {
        let paths = ["/d/o/1/diff", "/d/o/2/diff", "/d/o/l/X"].map(PathBuf::from);
        assert_eq!(common(&paths), Path::new("/d/o"));
        assert_eq!(common(&["/a/b", "/c/d"].map(PathBuf::from)), Path::new("/"));
        assert_eq!(common(&["/a/b".into()]), Path::new("/a"));
    }
}
