//! A layer's tar put together again from its tar-split record and its files.

use std::io::{self, BufRead, Read};

use crate::error::{Error, Result, from_io, printable};
use crate::format::tar_split::{Crc, Entries, Entry};
use crate::tree::{Tree, TreePath, TreePathBuf, clean, resolve};

/// Reads the tar of one layer.
///
/// Every file is checked against the checksum in the record as it passes, so damage is known by the
/// name of the file that has it.
pub(super) struct Tarball<'a, R: BufRead> {
    tree: &'a dyn Tree,
    root: TreePathBuf,
    record: TreePathBuf,
    entries: Entries<R>,
    part: Part<'a>,
}

enum Part<'a> {
    Segment { bytes: Vec<u8>, done: usize },
    File(Box<OpenFile<'a>>),
    End,
}

struct OpenFile<'a> {
    path: TreePathBuf,
    from: Box<dyn Read + Send + 'a>,
    wanted: Option<[u8; 8]>,
    size: u64,
    read: u64,
    crc: Crc,
}

impl<'a, R: BufRead> Tarball<'a, R> {
    /// Returns the tar of the layer whose files lie in `root`, as the record `entries` describes it.
    pub(super) fn new(
        tree: &'a dyn Tree,
        root: TreePathBuf,
        record: TreePathBuf,
        entries: Entries<R>,
    ) -> Self {
        let part = Part::Segment { bytes: Vec::new(), done: 0 };
        Self { tree, root, record, entries, part }
    }

    /// Goes on to the next part that holds bytes.
    fn advance(&mut self) -> Result<()> {
        let place = || self.tree.place(self.record.as_path());
        self.part = match self.entries.next() {
            None => Part::End,
            Some(Err(error)) => return Err(error.at(place())),
            Some(Ok(Entry::Segment(bytes))) => Part::Segment { bytes, done: 0 },
            Some(Ok(Entry::File { size: 0, .. })) => return Ok(()),
            Some(Ok(Entry::File { name, size, crc })) => {
                let (path, from) = self.open(&name)?;
                let crc_now = Crc::default();
                let file = OpenFile { path, from, wanted: crc, size, read: 0, crc: crc_now };
                Part::File(Box::new(file))
            }
        };
        Ok(())
    }

    /// Opens a file by its name in the tar. Docker opens it below the mounted layer and follows links
    /// (tar-split tar/storage/getter.go); nearly always there are none.
    fn open(&self, name: &[u8]) -> Result<(TreePathBuf, Box<dyn Read + Send + 'a>)> {
        let root = self.root.as_path();
        let direct = clean(name).map(|path| root.join(path.as_path()));
        if let Some(path) = direct
            && let Ok(file) = self.tree.open(path.as_path())
        {
            return Ok((path, file));
        }
        let found = resolve(self.tree, root, name)
            .and_then(|path| Ok((path.clone(), self.tree.open(path.as_path())?)));
        found.map_err(|error| error.within(format_args!("{} of the layer", printable(name))))
    }
}

impl OpenFile<'_> {
    fn read(&mut self, tree: &dyn Tree, buffer: &mut [u8]) -> Result<usize> {
        // One byte more than there should be is asked for, to notice a file that has grown.
        let most = (self.size - self.read).saturating_add(1).min(buffer.len() as u64) as usize;
        let place = || tree.place(self.path.as_path());
        let length = self.from.read(&mut buffer[..most]).map_err(|error| from_io(error, place))?;
        self.read += length as u64;
        self.crc.update(&buffer[..length]);
        let (read, size) = (self.read, self.size);
        if read > size || (length == 0 && read < size) {
            let found = if read > size { "more bytes".to_owned() } else { format!("{read} bytes") };
            return Err(damaged(tree, self.path.as_path(), &found, &format!("{size}")));
        }
        if length == 0 {
            let found = self.crc.finish();
            if self.wanted.is_some_and(|wanted| wanted != found) {
                let wanted = hex::encode(self.wanted.unwrap_or_default());
                let found = format!("CRC-64 {}", hex::encode(found));
                return Err(damaged(tree, self.path.as_path(), &found, &wanted));
            }
        }
        Ok(length)
    }
}

fn damaged(tree: &dyn Tree, path: TreePath<'_>, found: &str, wanted: &str) -> Error {
    Error::corrupt(tree.place(path), format!("found {found}, wanted {wanted}"))
        .hint("the file has changed since the layer was made; pull or build the image again")
}

impl<R: BufRead> Read for Tarball<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let length = match &mut self.part {
                Part::End => return Ok(0),
                Part::Segment { bytes, done } => {
                    let length = (bytes.len() - *done).min(buffer.len());
                    buffer[..length].copy_from_slice(&bytes[*done..*done + length]);
                    *done += length;
                    length
                }
                Part::File(file) => file.read(self.tree, buffer)?,
            };
            if length > 0 {
                return Ok(length);
            }
            self.advance()?;
        }
    }
}
