//! Files of an image or container in rows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cli::rows::ls::{FileKind, FileRow};
use crate::error::Result;
use crate::op::look::View;
use crate::tree::{Kind, Metadata, Tree, TreePath, Xattrs};

/// Returns the row of what is at `at`, with its extended attributes if they are wanted.
pub(crate) fn row(
    view: &View<'_>,
    at: TreePath<'_>,
    metadata: &Metadata,
    with_xattrs: bool,
) -> Result<FileRow> {
    let path = [b"/", at.as_bytes()].concat();
    let target = match metadata.kind {
        Kind::Symlink => Some(text(&view.tree.read_link(at)?)),
        _ => None,
    };
    let (major, minor) = metadata.rdev;
    let is_device = matches!(metadata.kind, Kind::Char | Kind::Block);
    let xattrs = if with_xattrs { view.tree.xattrs(at)? } else { Xattrs::new() };
    let nanos = i32::try_from(metadata.mtime.nanos).unwrap_or_default();
    Ok(FileRow {
        of: view.name.clone(),
        path_bytes: std::str::from_utf8(&path).is_err().then(|| STANDARD.encode(&path)),
        path: text(&path),
        kind: kind(metadata.kind),
        mode: format!("{:04o}", metadata.mode),
        uid: metadata.uid,
        gid: metadata.gid,
        links: metadata.nlink,
        size: if metadata.kind == Kind::File { metadata.size } else { 0 },
        mtime: jiff::Timestamp::new(metadata.mtime.seconds, nanos).ok(),
        target,
        device: is_device.then(|| format!("{major}:{minor}")),
        xattrs: xattrs.iter().map(|(name, value)| (text(name), STANDARD.encode(value))).collect(),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn kind(kind: Kind) -> FileKind {
    match kind {
        Kind::File => FileKind::File,
        Kind::Dir => FileKind::Dir,
        Kind::Symlink => FileKind::Symlink,
        Kind::Char => FileKind::Char,
        Kind::Block => FileKind::Block,
        Kind::Fifo => FileKind::Fifo,
        Kind::Socket => FileKind::Socket,
    }
}
