//! An archive read once, from end to end, by whoever wants something of it.

use std::io::{self, Read};

use super::{Member, Next, Reader};

/// Where what follows the end of the archive is divided: tar-split takes what one read gives, which is
/// as much as Go decompresses at once.
const TRAILING: usize = 32 << 10;

/// Sees all of an archive pass by, in its order and each byte once.
///
/// An error ends the reading and is passed on as it is.
pub trait Watch {
    /// A member begins, of whatever kind it is.
    fn member(&mut self, member: &Member<'_>) -> io::Result<()>;

    /// More of the member's data, as the archive stores it: that of a sparse file without its holes.
    fn data(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// The member's data is over; called for members without data too.
    fn end(&mut self) -> io::Result<()>;

    /// Some of what fills the last block of the member's data.
    fn padding(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// The archive is over: the blocks that say so, if there are any.
    fn last_blocks(&mut self, blocks: &[u8]) -> io::Result<()> {
        let _ = blocks;
        Ok(())
    }

    /// More of what follows the archive in its input.
    fn rest(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _ = bytes;
        Ok(())
    }
}

/// Lets `watch` see the archive `tar`, and reads the input to its end; returns how many bytes it has.
///
/// # Errors
/// Those of input and watcher, and a [`DecodeError`](crate::error::DecodeError) for what is no tar.
pub fn watch(tar: impl Read, watch: &mut dyn Watch) -> io::Result<u64> {
    let mut tar = Reader::new(tar);
    loop {
        match tar.member()? {
            Next::Member(member) => watch.member(&member)?,
            Next::End(blocks) => {
                watch.last_blocks(blocks)?;
                break;
            }
        }
        while let Some(piece) = some(tar.data()?) {
            watch.data(piece)?;
        }
        watch.end()?;
        while let Some(piece) = some(tar.padding()?) {
            watch.padding(piece)?;
        }
    }
    while let Some(piece) = some(tar.rest(TRAILING)?) {
        watch.rest(piece)?;
    }
    Ok(tar.offset())
}

fn some(piece: &[u8]) -> Option<&[u8]> {
    (!piece.is_empty()).then_some(piece)
}

/// Sees nothing.
impl Watch for () {
    fn member(&mut self, _: &Member<'_>) -> io::Result<()> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both see everything, the first one first.
impl<A: Watch + ?Sized, B: Watch + ?Sized> Watch for (&mut A, &mut B) {
    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        self.0.member(member)?;
        self.1.member(member)
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.data(bytes)?;
        self.1.data(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.end()?;
        self.1.end()
    }

    fn padding(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.padding(bytes)?;
        self.1.padding(bytes)
    }

    fn last_blocks(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.0.last_blocks(blocks)?;
        self.1.last_blocks(blocks)
    }

    fn rest(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.rest(bytes)?;
        self.1.rest(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::Tar;
    use super::*;

    /// Notes what it is told.
    #[derive(Default)]
    struct Log {
        said: Vec<String>,
        bytes: Vec<u8>,
    }

    impl Watch for Log {
        fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
            self.bytes.extend_from_slice(member.raw);
            let path = String::from_utf8_lossy(&member.path).into_owned();
            self.said.push(format!("{:?} {path} {}", member.kind, member.stored));
            match path.as_str() {
                "stop" => Err(io::ErrorKind::BrokenPipe.into()),
                _ => Ok(()),
            }
        }

        fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }

        fn end(&mut self) -> io::Result<()> {
            self.said.push("end".to_owned());
            Ok(())
        }

        fn padding(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.data(bytes)
        }

        fn last_blocks(&mut self, blocks: &[u8]) -> io::Result<()> {
            self.data(blocks)
        }

        fn rest(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.data(bytes)
        }
    }

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(buffer.get_mut(..one).unwrap_or_default())
        }
    }

    #[test]
    fn every_byte_is_seen_once_however_the_input_comes() {
        let tar = Tar::default()
            .extended(b'g', "global", &[("comment", b"x")])
            .file("a", &[1; 700])
            .file("a", b"again")
            .dir("d/")
            .old_sparse("s", &[(512, b"data")], 5000)
            .end();
        let tar = [tar, vec![9; 40_000]].concat();
        let (mut log, mut same) = (Log::default(), Log::default());
        let size = watch(Slow(&tar), &mut (&mut log, &mut same)).expect("a sound tar");
        assert_eq!(size, tar.len() as u64);
        assert!(log.bytes == tar && same.bytes == tar);
        let members = ["Global global 0", "File a 700", "File a 5", "Dir d/ 0", "File s 4"];
        assert_eq!(log.said, members.map(|member| [member, "end"]).concat());
        assert_eq!(log.said, same.said);
    }

    #[test]
    fn an_error_of_the_watcher_ends_it() {
        let tar = Tar::default().file("stop", b"x").file("a", b"x").end();
        let mut log = Log::default();
        let error = watch(tar.as_slice(), &mut log).expect_err("told to stop");
        assert_eq!((error.kind(), log.said.len()), (io::ErrorKind::BrokenPipe, 1));
        watch(&tar[..512], &mut ()).expect_err("cut");
    }
}
