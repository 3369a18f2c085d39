//! Layer bytes between stores: verified on the way in, compressed and hashed on the way out.

use std::io::{self, BufRead, Read, Write};

use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::Compression;
use crate::digest::{BlobId, Digest};
use crate::error::{Error, Place};

/// zstd compresses in this many threads of its own. The output does not depend on the number, only
/// on there being any (zstd's job size follows from the level alone).
const ZSTD_WORKERS: u32 = 2;

/// Reads `from` to its end, verifying that its bytes are what `wanted` names.
#[derive(Debug)]
pub struct Verified<R> {
    from: R,
    wanted: Digest,
    place: Place,
    hash: Sha256,
    read: u64,
    /// Bytes at hand that are hashed already.
    hashed: usize,
}

impl<R: BufRead> Verified<R> {
    /// Returns a reader of `from` whose last read fails unless all bytes hash to `wanted`; `place` is
    /// what to name then.
    pub fn new(from: R, wanted: Digest, place: Place) -> Self {
        Self { from, wanted, place, hash: Sha256::new(), read: 0, hashed: 0 }
    }

    fn verify(&self) -> io::Result<()> {
        let found = Digest::from_bytes(self.hash.clone().finalize().into());
        if found == self.wanted {
            return Ok(());
        }
        let (read, wanted) = (self.read, self.wanted);
        let what = format!("{read} bytes hash to {found}, wanted {wanted}");
        Err(Error::corrupt(self.place.clone(), what).into())
    }
}

impl<R: BufRead> BufRead for Verified<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // A disk does not say which file it could not read; whoever writes meanwhile would take it for his.
        let placed = |error: io::Error| match error.raw_os_error() {
            Some(_) if error.kind() != io::ErrorKind::Interrupted => {
                io::Error::from(Error::io(self.place.clone(), error))
            }
            _ => error,
        };
        let bytes = self.from.fill_buf().map_err(placed)?;
        self.hash.update(bytes.get(self.hashed..).unwrap_or_default());
        self.hashed = bytes.len();
        if self.hashed == 0 {
            self.verify()?;
        }
        // Asked once more, a reader has the same bytes at hand.
        self.from.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.from.consume(length);
        self.read += length as u64;
        self.hashed = self.hashed.saturating_sub(length);
    }
}

impl<R: BufRead> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

/// Passes bytes on, and knows their digest and number at the end.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    written: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.to.write(bytes)?;
        self.hash.update(&bytes[..length]);
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Compresses as [`compress`] does what hashes to `verified` when it is read to its end: as it is, it need
/// not be hashed again.
///
/// # Errors
/// What either side says.
pub fn pack(
    from: &mut dyn BufRead,
    verified: Digest,
    to: &mut dyn Write,
    compression: Compression,
    advance: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<(BlobId, u64)> {
    match compression {
        Compression::None => Ok((BlobId(verified), pump(from, to, advance)?)),
        _ => compress(from, to, compression, advance),
    }
}

/// Compresses all of `from` into `to`, telling `advance` of the bytes read; returns the digest and the
/// length of what was written.
///
/// The same bytes and the same compression give the same result on every machine.
///
/// # Errors
/// What either side says.
pub fn compress(
    from: &mut dyn BufRead,
    to: &mut dyn Write,
    compression: Compression,
    advance: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<(BlobId, u64)> {
    let mut to = Hashing { to, hash: Sha256::new(), written: 0 };
    match compression {
        Compression::None => _ = pump(from, &mut to, advance)?,
        Compression::Gzip(level) => {
            let mut encoder = GzEncoder::new(&mut to, flate2::Compression::new(level));
            pump(from, &mut encoder, advance)?;
            encoder.finish()?;
        }
        Compression::Zstd(level) => {
            let mut encoder = zstd::Encoder::new(&mut to, level)?;
            encoder.multithread(ZSTD_WORKERS)?;
            encoder.include_checksum(false)?;
            pump(from, &mut encoder, advance)?;
            encoder.finish()?;
        }
    }
    Ok((BlobId(Digest::from_bytes(to.hash.finalize().into())), to.written))
}

/// Reads `from` to its end and drops the bytes: for the verification alone.
///
/// # Errors
/// What the reader says.
pub fn drain(
    from: &mut dyn BufRead,
    advance: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<()> {
    pump(from, &mut io::sink(), advance).map(drop)
}

fn pump(
    from: &mut dyn BufRead,
    to: &mut dyn Write,
    advance: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<u64> {
    let mut pumped = 0;
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(pumped);
        }
        to.write_all(bytes)?;
        let length = bytes.len();
        from.consume(length);
        pumped += length as u64;
        advance(length as u64)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(compression: Compression, bytes: &[u8]) -> (Vec<u8>, BlobId, u64) {
        let mut out = Vec::new();
        let (blob, size) = compress(&mut &*bytes, &mut out, compression, &mut |_| Ok(()))
            .expect("memory takes every byte");
        (out, blob, size)
    }

    #[test]
    fn what_is_written_is_what_the_digest_names_and_unpacks_to_the_input() {
        let input: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7 % 251) as u8).collect();
        for compression in [Compression::None, Compression::Gzip(6), Compression::Zstd(1)] {
            let (out, blob, size) = written(compression, &input);
            assert_eq!(blob.0, Digest::of(&out), "{compression:?}");
            assert_eq!(size, out.len() as u64, "{compression:?}");
            assert_eq!(out, written(compression, &input).0, "{compression:?} twice");
            let mut back = Vec::new();
            match compression {
                Compression::None => back = out,
                Compression::Gzip(_) => {
                    { flate2::read::MultiGzDecoder::new(&*out).read_to_end(&mut back).map(drop) }
                        .expect("a gzip stream")
                }
                Compression::Zstd(_) => back = zstd::decode_all(&*out).expect("a zstd stream"),
            }
            assert!(back == input, "{compression:?} does not unpack to the input");
        }
    }

    #[test]
    fn bytes_that_are_not_the_wanted_ones_fail_at_the_end() {
        let wanted = Digest::of(b"layer");
        let place = || Place::new("here", "layer");
        let mut good = Verified::new(&b"layer"[..], wanted, place());
        assert_eq!(io::copy(&mut good, &mut io::sink()).expect("the right bytes"), 5);
        for bad in [&b"layeR"[..], b"laye", b"", b"layer "] {
            let mut reader = Verified::new(bad, wanted, place());
            let error = io::copy(&mut reader, &mut io::sink()).expect_err("other bytes");
            let error = crate::error::from_io(error, || panic!("it has a place"));
            assert_eq!(error.place(), Some(&place()));
        }
    }
}
