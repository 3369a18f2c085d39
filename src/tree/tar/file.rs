//! The archive's file. Nothing else here touches one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::NamedTempFile;

use crate::error::{Error, Place, Result};
use crate::format::compression::{self, Compression, RATIO};
use crate::format::tar::Chunk;
use crate::os;

/// Runs of zeros this long and aligned become holes in what is decompressed.
const HOLE: usize = 4096;

/// An uncompressed archive, to be read anywhere.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    length: u64,
}

impl Source {
    /// Opens the archive at `path`, and decompresses it if it is compressed.
    pub(super) fn open(path: &Path, origin: &str) -> Result<Self> {
        let place = || Place::new(origin, "");
        let fail = |error| Error::io(place(), error);
        let file = os::open_path(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        let mut input = BufReader::with_capacity(128 << 10, file);
        let compression = Compression::sniff(input.fill_buf().map_err(fail)?);
        if compression == Compression::None && metadata.is_file() {
            return Ok(Self { file: input.into_inner(), length: metadata.len() });
        }
        let fed = AtomicU64::new(0);
        let reader = compression.reader(Fed { input, fed: &fed }).map_err(|error| {
            Error::unsupported(place(), error.to_string()).hint("decompress the archive first")
        })?;
        Spool { origin, compression, fed: &fed, length: 0, written: 0 }.run(reader)
    }

    /// Returns the file, whose position is nobody's.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Returns how long the uncompressed archive is.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads `length` bytes at `offset`.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// Counts the bytes taken from a reader: how long a pipe is shows only at its end.
struct Fed<'a, R> {
    input: R,
    fed: &'a AtomicU64,
}

impl<R: BufRead> Read for Fed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.fed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Fed<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.fed.fetch_add(amount as u64, Ordering::Relaxed);
        self.input.consume(amount);
    }
}

/// Decompresses an archive into a file without a name.
struct Spool<'a> {
    origin: &'a str,
    compression: Compression,
    /// The compressed bytes so far.
    fed: &'a AtomicU64,
    length: u64,
    /// Zeros are not counted: they become holes.
    written: u64,
}

impl Spool<'_> {
    fn run(mut self, mut input: impl Read) -> Result<Source> {
        let file = tempfile::tempfile().map_err(|error| self.cannot_write(error))?;
        let mut buffer = vec![0; 64 * HOLE];
        loop {
            let filled = fill(&mut input, &mut buffer).map_err(|error| self.cannot_read(error))?;
            for block in buffer[..filled].chunks(HOLE) {
                self.put(&file, block)?;
            }
            if filled < buffer.len() {
                break;
            }
        }
        file.set_len(self.length).map_err(|error| self.cannot_write(error))?;
        Ok(Source { file, length: self.length })
    }

    fn put(&mut self, file: &File, block: &[u8]) -> Result<()> {
        if block.iter().any(|b| *b != 0) {
            file.write_all_at(block, self.length).map_err(|error| self.cannot_write(error))?;
            self.written += block.len() as u64;
        }
        self.length += block.len() as u64;
        if self.written > compression::most(self.fed.load(Ordering::Relaxed)) {
            let name = self.compression.name();
            let what = format!("grows to more than {RATIO} times its size; {name} gone wild?");
            return Err(Error::unsupported(self.place(), what)
                .hint("if you trust the archive, decompress it first"));
        }
        Ok(())
    }

    fn place(&self) -> Place {
        Place::new(self.origin, "")
    }

    fn cannot_read(&self, error: io::Error) -> Error {
        if error.raw_os_error().is_some() {
            return Error::io(self.place(), error);
        }
        let (name, length) = (self.compression.name(), self.length);
        Error::corrupt(self.place(), format!("{name}: {error}, after {length} bytes decompressed"))
    }

    fn cannot_write(&self, error: io::Error) -> Error {
        Error::io(self.place(), error)
            .within("decompressing to a temporary file")
            .hint("set TMPDIR to a folder with room for the decompressed archive")
    }
}

/// Says whether anything is called so.
pub(super) fn is_there(target: &Path) -> bool {
    target.symlink_metadata().is_ok()
}

/// Returns a new file in the folder of `target`, which is gone when it is dropped.
pub(super) fn create_beside(target: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".tranship-").tempfile_in(folder_of(target))
}

/// Makes `file` durable and gives it the name `target`, if that is free.
pub(super) fn publish(file: NamedTempFile, target: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist_noclobber(target).map_err(|error| error.error)?;
    os::open_path(folder_of(target))?.sync_all()
}

/// Returns the folder that holds `target`.
fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Reads until `buffer` is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A file's content: pieces of the archive with holes between them.
pub(super) struct Content<'a> {
    source: &'a Source,
    /// Where the data of the next chunk is in the archive.
    data: u64,
    chunks: Vec<Chunk>,
    next: usize,
    /// Where in the file reading is.
    at: u64,
    size: u64,
}

impl<'a> Content<'a> {
    pub(super) fn new(source: &'a Source, data: u64, chunks: Vec<Chunk>, size: u64) -> Self {
        Self { source, data, chunks, next: 0, at: 0, size }
    }

    /// Goes to the byte `offset`.
    pub(super) fn from(self, offset: u64) -> Self {
        Self { at: offset.min(self.size), ..self }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(chunk) = self.chunks.get(self.next)
            && self.at >= chunk.offset + chunk.length
        {
            self.data += chunk.length;
            self.next += 1;
        }
        let chunk = self.chunks.get(self.next).filter(|chunk| chunk.offset < self.size);
        let inside = chunk.and_then(|chunk| Some((chunk, self.at.checked_sub(chunk.offset)?)));
        let end = match (inside, chunk) {
            (Some((chunk, _)), _) => chunk.offset + chunk.length,
            (None, Some(chunk)) => chunk.offset,
            (None, None) => self.size,
        };
        let room = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = match inside {
            _ if room == 0 => 0,
            Some((_, skipped)) => {
                self.source.file.read_at(&mut buffer[..room], self.data + skipped)?
            }
            None => {
                buffer[..room].fill(0);
                room
            }
        };
        if read == 0 && room > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_without_end_is_stopped_pipes_too() {
        let allowed = compression::most(5);
        for (written, byte, stops) in
            [(allowed - 4096, 1, false), (allowed, 1, true), (allowed, 0, false)]
        {
            let fed = AtomicU64::new(5);
            let compression = Compression::Zstd;
            let spool = Spool { origin: "pipe", compression, fed: &fed, length: 0, written };
            match spool.run(&[byte; 4096][..]) {
                Ok(source) => assert_eq!((source.length(), stops), (4096, false)),
                Err(error) => assert!(stops && error.what().contains("1000 times"), "{error}"),
            }
        }
    }

    #[test]
    fn all_that_is_taken_is_counted_however_it_is() {
        let fed = AtomicU64::new(0);
        let mut input = Fed { input: &b"twelve bytes"[..], fed: &fed };
        input.read_exact(&mut [0; 3]).expect("there are more");
        assert_eq!(input.fill_buf().expect("a slice can be read").len(), 9);
        input.consume(4);
        io::copy(&mut input, &mut io::sink()).expect("a slice can be read");
        assert_eq!(fed.into_inner(), 12);
    }
}
