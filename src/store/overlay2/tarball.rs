//! A layer's tar put together again from its tar-split record and its files.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::piece::{OpenFile, Piece};
use super::readers;
use crate::error::{Error, Place, Result};
use crate::format::tar_split::{Entries, Entry};
use crate::tree::{Tree, TreePathBuf};

/// What one reader reads in one go; larger files are read by whoever wants the tar.
const PIECE: u64 = 128 << 10;

/// A piece is full or lacks less than one file.
const BUFFER: usize = 2 * PIECE as usize;

/// How many bytes of one tar may be read ahead: enough to keep all readers busy.
const AHEAD: u64 = 4 << 20;

/// Reads the tar of one layer.
///
/// Every file is checked against the checksum in the record as it passes, so damage is known by the
/// name of the file that has it.
pub(super) struct Tarball<'a, R: BufRead> {
    tree: &'a Arc<dyn Tree>,
    root: Arc<TreePathBuf>,
    record: TreePathBuf,
    entries: Entries<R>,
    ended: bool,
    /// What comes next, with the bytes it counts for.
    ahead: VecDeque<(Ahead, u64)>,
    /// The file that is being read, if it is too large for a piece.
    file: Option<OpenFile<'a>>,
    /// Bytes at hand, and how many of them are used.
    buffer: Vec<u8>,
    used: usize,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
}

enum Ahead {
    Piece(Receiver<Result<Vec<u8>>>),
    File { name: Vec<u8>, size: u64, crc: Option<[u8; 8]> },
    Error(Error),
}

impl<'a, R: BufRead> Tarball<'a, R> {
    /// Returns the tar of the layer whose files lie in `root`, as the record `entries` describes it.
    pub(super) fn new(
        tree: &'a Arc<dyn Tree>,
        root: TreePathBuf,
        record: TreePathBuf,
        entries: Entries<R>,
    ) -> Self {
        Self {
            tree,
            root: Arc::new(root),
            record,
            entries,
            ended: false,
            ahead: VecDeque::new(),
            file: None,
            buffer: Vec::new(),
            used: 0,
            spare: Vec::new(),
        }
    }

    fn place(&self) -> Place {
        self.tree.place(self.record.as_path())
    }

    /// Lets the readers begin with what comes next.
    fn look_ahead(&mut self) {
        let mut bytes: u64 = self.ahead.iter().map(|(_, size)| *size).sum();
        while bytes < AHEAD && !self.ended {
            let mut piece = Piece::default();
            let stop = self.gather(&mut piece);
            let last = stop.map(|stop| (stop, PIECE));
            bytes += piece.size() + last.as_ref().map_or(0, |(_, size)| *size);
            if piece.size() > 0 {
                let (size, read) = (piece.size(), self.start(piece));
                self.ahead.push_back((Ahead::Piece(read), size));
            }
            self.ahead.extend(last);
        }
    }

    /// Fills `piece`; returns what stopped it before it was full.
    fn gather(&mut self, piece: &mut Piece) -> Option<Ahead> {
        while piece.size() < PIECE {
            match self.entries.next() {
                None => {
                    self.ended = true;
                    return None;
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Ahead::Error(error.at(self.place())));
                }
                Some(Ok(Entry::File { size: 0, .. })) => {}
                Some(Ok(Entry::File { name, size, crc })) if size > PIECE => {
                    return Some(Ahead::File { name, size, crc });
                }
                Some(Ok(entry)) => piece.push(entry),
            }
        }
        None
    }

    fn start(&mut self, piece: Piece) -> Receiver<Result<Vec<u8>>> {
        let (tree, root) = (Arc::clone(self.tree), Arc::clone(&self.root));
        let mut buffer = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER));
        buffer.clear();
        let read = move || piece.read(&*tree, root.as_path(), buffer);
        // Nothing else can be done before a small layer's only piece is read.
        let alone = self.ended && self.ahead.is_empty();
        if alone { readers::now(read) } else { readers::start(read) }
    }

    /// Has bytes at hand, unless there are no more.
    fn refill(&mut self) -> Result<()> {
        self.used = 0;
        self.buffer.clear();
        while self.buffer.is_empty() {
            if let Some(file) = &mut self.file {
                if !file.read(&mut self.buffer)? {
                    self.file = None;
                }
                continue;
            }
            self.look_ahead();
            match self.ahead.pop_front() {
                None => return Ok(()),
                Some((Ahead::Error(error), _)) => return Err(error),
                Some((Ahead::File { name, size, crc }, _)) => {
                    let (tree, root) = (&**self.tree, self.root.as_path());
                    self.file = Some(OpenFile::open(tree, root, &name, (size, crc))?);
                }
                Some((Ahead::Piece(piece), _)) => {
                    let gone = |_| Error::io(self.place(), io::Error::other("its reader ended"));
                    let piece = piece.recv().map_err(gone)??;
                    let used = std::mem::replace(&mut self.buffer, piece);
                    // What an old record's long segment has made large is not kept.
                    self.spare.extend(Some(used).filter(|used| used.capacity() == BUFFER));
                }
            }
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Tarball<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used >= self.buffer.len() {
            self.refill()?;
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, length: usize) {
        self.used = self.used.saturating_add(length).min(self.buffer.len());
    }
}

impl<R: BufRead> Read for Tarball<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tar_split::{Crc, Writer};
    use crate::tree::{Attributes, Memory, Sink, Special, TreePath, path, write};

    /// Files of all sizes around those at which they are read in another way.
    fn files() -> Vec<(String, Vec<u8>)> {
        let sizes = (0..300).map(|n| n * 7 % 900).chain([
            PIECE - 1,
            PIECE,
            PIECE + 1,
            AHEAD - 1,
            AHEAD + 3,
            1,
        ]);
        let content =
            |(n, size): (u64, u64)| (0..size).map(|at| (at * 31 + n) as u8).collect::<Vec<_>>();
        (0..).zip(sizes).map(|file| (format!("f{}", file.0), content(file))).collect()
    }

    /// Returns the tree with the files, the record of their tar, and the tar.
    fn layer(files: &[(String, Vec<u8>)]) -> (Arc<Memory>, Vec<u8>, Vec<u8>) {
        let (tree, mut record, mut tar) = (Memory::new(), Writer::new(Vec::new()), Vec::new());
        tree.make_dir(path("diff"), 0o755).expect("a free name");
        for (name, content) in files {
            let place = path("diff").child(name.as_bytes()).expect("a plain name");
            write(&tree, place.as_path(), 0o644, content).expect("a free name");
            let header = format!("header of {name}");
            record.segment(header.as_bytes()).expect("a vector takes every write");
            let crc = Some((content.len() as u64, Crc::of(content)));
            record.file(name.as_bytes(), crc).expect("a vector takes every write");
            tar.extend([header.as_bytes(), content].concat());
        }
        (Arc::new(tree), record.into_inner(), tar)
    }

    fn read(tree: Arc<Memory>, record: &[u8]) -> (Vec<u8>, Option<String>) {
        let tree: Arc<dyn Tree> = tree;
        let (root, place) = (path("diff").to_owned(), path("record").to_owned());
        let mut tarball = Tarball::new(&tree, root, place, Entries::new(record));
        let mut bytes = Vec::new();
        let error = tarball.read_to_end(&mut bytes).err();
        (bytes, error.map(|error| error.to_string()))
    }

    fn replace(tree: &Memory, name: &str, content: &[u8]) {
        let place = path("diff").child(name.as_bytes()).expect("a plain name");
        tree.remove(place.as_path()).expect("a file");
        write(tree, place.as_path(), 0o644, content).expect("a free name");
    }

    #[test]
    fn the_tar_comes_out_in_order() {
        let (tree, record, tar) = layer(&files());
        let (found, error) = read(tree, &record);
        assert_eq!(error, None);
        assert!(found == tar, "{} bytes, wanted {}", found.len(), tar.len());
        let (tree, ..) = layer(&[]);
        assert_eq!(read(tree, b""), (Vec::new(), None));
    }

    #[test]
    fn a_changed_file_is_named_and_nothing_follows_it() {
        let files = files();
        for at in [5, 120, 300, 302, 304] {
            let (name, content) = &files[at];
            let mut flipped = content.clone();
            flipped[0] ^= 1;
            let cut = &content[1..];
            let grown = [content.as_slice(), b"x"].concat();
            let (tree, record, tar) = layer(&files);
            let before: usize = files[..=at].iter().map(|(n, c)| 10 + n.len() + c.len()).sum();
            for (content, what) in
                [(flipped.as_slice(), "CRC-64"), (cut, "wanted"), (&grown, "more")]
            {
                replace(&tree, name, content);
                let (found, error) = read(Arc::clone(&tree), &record);
                let error = error.expect("a changed file");
                assert!(error.contains(&format!("diff/{name}")) && error.contains(what), "{error}");
                let same = found.len().min(before - files[at].1.len());
                assert!(found.len() <= before && found[..same] == tar[..same], "{name}: {what}");
            }
        }
    }

    #[test]
    fn a_missing_file_and_a_broken_record_end_it() {
        let (tree, record, tar) = layer(&files());
        tree.remove(path("diff/f7")).expect("a file");
        let error = read(Arc::clone(&tree), &record).1.expect("a file is missing");
        assert!(error.contains("f7"), "{error}");
        let (tree, ..) = layer(&files());
        let (found, error) = read(tree, &record[..record.len() / 2]);
        assert!(error.is_some_and(|error| error.contains("record")) && tar.starts_with(&found));
    }

    #[test]
    fn links_are_followed_inside_the_layer() {
        let (tree, record, tar) = layer(&[("f".to_owned(), b"content".to_vec())]);
        tree.rename(path("diff/f"), path("diff/g")).expect("a free name");
        let link = |to: &[u8]| Special::Symlink(to.to_vec());
        let at: TreePath<'_> = path("diff/f");
        tree.put(at, &link(b"/g"), &Attributes::default()).expect("a free name");
        assert_eq!(read(Arc::clone(&tree), &record), (tar, None));
        tree.remove(at).expect("a link");
        tree.put(at, &link(b"/../../g"), &Attributes::default()).expect("a free name");
        assert_eq!(read(Arc::clone(&tree), &record).1, None);
        tree.remove(at).expect("a link");
        tree.put(at, &link(b"f"), &Attributes::default()).expect("a free name");
        assert!(read(tree, &record).1.is_some());
    }
}
