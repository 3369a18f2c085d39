//! Large files that are written once, from end to end, and not read soon.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::OnceLock;

use rustix::io::{Errno, ReadWriteFlags};

/// A new file that is written in large blocks, past the cache where the kernel can do that.
///
/// What fills a block is on its way to the disk at once and leaves no pages behind: what others have
/// in the cache stays there, and little is left for the last sync to wait for. Files that are smaller
/// than a block are written as ever.
#[derive(Debug)]
pub struct Stream {
    file: File,
    block: Vec<u8>,
    /// Where the next block goes.
    offset: u64,
    uncached: bool,
}

const BLOCK: usize = 1 << 20;

/// `RWF_DONTCACHE` (Linux 6.14, include/uapi/linux/fs.h).
const DONTCACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

impl Stream {
    /// Returns a stream into `file`, which is empty.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, block: Vec::new(), offset: 0, uncached: is_sound() }
    }

    /// Leaves a hole of `length` bytes.
    ///
    /// # Errors
    /// What the kernel says of the bytes before it.
    pub fn skip(&mut self, length: u64) -> io::Result<()> {
        self.flush()?;
        self.offset = self.offset.saturating_add(length);
        Ok(())
    }

    /// Writes what is left, and makes the file as long as all that was written and skipped.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.set_len(self.offset)
    }

    fn write_block(&mut self, flags: ReadWriteFlags) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest @ [_, ..]) = self.block.get(written..) {
            let part = [IoSlice::new(rest)];
            match rustix::io::pwritev2(&self.file, &part, self.offset, flags) {
                Err(Errno::INTR) => {}
                answer => {
                    let length = answer?;
                    if length == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    written += length;
                    self.offset += length as u64;
                }
            }
        }
        self.block.clear();
        Ok(())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.block.len();
        let part = bytes.get(..room).unwrap_or(bytes);
        self.block.extend_from_slice(part);
        if self.block.len() < BLOCK {
            return Ok(part.len());
        }
        if self.uncached {
            match self.write_block(DONTCACHE) {
                // A file system that cannot has written nothing.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => {
                    self.uncached = false;
                }
                answer => return answer.map(|()| part.len()),
            }
        }
        self.write_block(ReadWriteFlags::empty()).map(|()| part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_block(ReadWriteFlags::empty())
    }
}

/// Linux 6.14 could free a page of such a write twice; 6.15 had it switched off ("Disable
/// FOP_DONTCACHE for now due to bugs", 478ad02d6844), 6.16 has it mended.
fn is_sound() -> bool {
    static SOUND: OnceLock<bool> = OnceLock::new();
    *SOUND.get_or_init(|| {
        let system = rustix::system::uname();
        system.release().to_str().is_ok_and(|release| version(release) >= Some((6, 16)))
    })
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn what_was_written_is_in_the_file() {
        let large: Vec<u8> = (0..2 * BLOCK + 77).map(|n| (n / 3) as u8).collect();
        for uncached in [false, true] {
            let mut file = tempfile::tempfile().expect("a temporary file");
            let mut stream = Stream::new(file.try_clone().expect("one more descriptor"));
            stream.uncached &= uncached;
            stream.write_all(b"small").expect("room");
            stream.skip(1 << 16).expect("room");
            for part in large.chunks(100_003) {
                stream.write_all(part).expect("room");
            }
            stream.skip(5000).expect("room");
            stream.finish().expect("room");
            let mut found = Vec::new();
            file.rewind().expect("a file");
            file.read_to_end(&mut found).expect("a file");
            let hole = |length| vec![0; length];
            let wanted = [b"small".to_vec(), hole(1 << 16), large.clone(), hole(5000)].concat();
            assert!(found == wanted, "{} bytes, wanted {}", found.len(), wanted.len());
        }
    }

    #[test]
    fn releases_of_all_kinds_have_a_version() {
        for (release, wanted) in [
            ("6.16.0", Some((6, 16))),
            ("6.18.44-fc-v669", Some((6, 18))),
            ("5.15.167.4-microsoft-standard-WSL2", Some((5, 15))),
            ("7.0-rc1", Some((7, 0))),
            ("six", None),
            ("", None),
        ] {
            assert_eq!(version(release), wanted, "{release}");
        }
    }
}
