//! Parts of a layer's tar that are read in one go.

use std::io::Read;

use crate::error::{Error, ErrorKind, Result, from_io, printable};
use crate::format::tar_split::{Crc, Entry};
use crate::tree::{Tree, TreePath, TreePathBuf, clean, resolve};

/// Small files and the segments between them.
#[derive(Default)]
pub(super) struct Piece {
    entries: Vec<Entry>,
    size: u64,
}

impl Piece {
    pub(super) fn push(&mut self, entry: Entry) {
        self.size += match &entry {
            Entry::Segment(bytes) => bytes.len() as u64,
            Entry::File { size, .. } => *size,
        };
        self.entries.push(entry);
    }

    /// How many bytes of the tar it is.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Puts its bytes into `bytes`, which is empty; the files lie in `root`.
    pub(super) fn read(
        self,
        tree: &dyn Tree,
        root: TreePath<'_>,
        mut bytes: Vec<u8>,
    ) -> Result<Vec<u8>> {
        bytes.reserve(usize::try_from(self.size).unwrap_or_default());
        for entry in self.entries {
            match entry {
                Entry::Segment(segment) => bytes.extend(segment),
                Entry::File { name, size, crc } => {
                    let start = bytes.len();
                    let (path, ()) = find(tree, root, &name, |path| {
                        bytes.truncate(start);
                        tree.read(path, size, &mut bytes)
                    })
                    .map_err(changed)?;
                    let content = &bytes[start..];
                    let found = (content.len() as u64, Crc::of(content));
                    check(tree, path.as_path(), found, (size, crc))?;
                }
            }
        }
        Ok(bytes)
    }
}

/// How much of a large file is read in one go.
const CHUNK: u64 = 256 << 10;

/// A file that is too large for a piece.
pub(super) struct OpenFile<'a> {
    tree: &'a dyn Tree,
    path: TreePathBuf,
    from: Box<dyn Read + Send + 'a>,
    wanted: (u64, Option<[u8; 8]>),
    read: u64,
    crc: Crc,
}

impl<'a> OpenFile<'a> {
    pub(super) fn open(
        tree: &'a dyn Tree,
        root: TreePath<'_>,
        name: &[u8],
        wanted: (u64, Option<[u8; 8]>),
    ) -> Result<Self> {
        let (path, from) = find(tree, root, name, |path| tree.open(path))?;
        Ok(Self { tree, path, from, wanted, read: 0, crc: Crc::default() })
    }

    /// Appends the next bytes to `bytes`; returns `false` if all were read before.
    pub(super) fn read(&mut self, bytes: &mut Vec<u8>) -> Result<bool> {
        // One byte more than there should be is asked for, to notice a file that has grown.
        let left = self.wanted.0.saturating_sub(self.read).saturating_add(1);
        let start = bytes.len();
        let read = Read::by_ref(&mut self.from).take(left.min(CHUNK)).read_to_end(bytes);
        let length =
            read.map_err(|error| from_io(error, || self.tree.place(self.path.as_path())))?;
        self.read += length as u64;
        self.crc.update(&bytes[start..]);
        if length == 0 || self.read > self.wanted.0 {
            let found = (self.read, self.crc.finish());
            check(self.tree, self.path.as_path(), found, self.wanted)?;
        }
        Ok(length > 0)
    }
}

/// Looks for a file by its name in the tar. Docker opens it below the mounted layer and follows links
/// (tar-split tar/storage/getter.go); nearly always there are none.
fn find<T>(
    tree: &dyn Tree,
    root: TreePath<'_>,
    name: &[u8],
    mut get: impl FnMut(TreePath<'_>) -> Result<T>,
) -> Result<(TreePathBuf, T)> {
    let direct = clean(name).map(|path| root.join(path.as_path()));
    if let Some(path) = direct
        && let Ok(file) = get(path.as_path())
    {
        return Ok((path, file));
    }
    let path = resolve(tree, root, name);
    let found = path.and_then(|path| get(path.as_path()).map(|file| (path, file)));
    found.map_err(|error| error.within(format_args!("{} of the layer", printable(name))))
}

/// Compares the length and the checksum of a file with those in the record.
fn check(
    tree: &dyn Tree,
    path: TreePath<'_>,
    found: (u64, [u8; 8]),
    wanted: (u64, Option<[u8; 8]>),
) -> Result<()> {
    let (found, wanted) = match (found, wanted) {
        ((found, _), (size, _)) if found != size => {
            let found = if found > size { "more".to_owned() } else { format!("{found}") };
            (format!("{found} bytes"), format!("{size}"))
        }
        ((_, found), (_, Some(crc))) if found != crc => {
            (format!("CRC-64 {}", const_hex::encode(found)), const_hex::encode(crc))
        }
        _ => return Ok(()),
    };
    let what = format!("found {found}, wanted {wanted}");
    Err(changed(Error::corrupt(tree.place(path), what)))
}

fn changed(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupt => error
            .hint("the file has changed since the layer was made; pull or build the image again"),
        _ => error,
    }
}
