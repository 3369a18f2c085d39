//! Takes a tar apart.
//!
//! Where Docker's own disassembler makes something that can be put together again, the result is the
//! same to the byte. Where it does not (sparse files, a path twice, data that is kept in no file), the
//! data goes into segments, so that every tar can be put together again.

use std::io::{self, Read, Write};

use super::paths::{Apart, Paths};
use super::{Crc, Writer};
use crate::format::tar::{self, Member, Watch, long};

/// The most bytes of one segment, but for a member's headers, which are not divided.
///
/// vbatts/tar-split tar/asm/disassemble.go paddingChunkSize
const SEGMENT: usize = 1 << 20;

/// What was taken apart.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Bytes of the tar.
    pub size: u64,
    /// Bytes of it that are looked for in files.
    pub in_files: u64,
    /// Paths whose data something later in the tar replaces or deletes. If there are any, the tar must
    /// be taken apart again with these [apart](Apart): unpacking it does not leave them.
    pub replaced: Apart,
}

/// Takes `tar` apart into entries of `out`; data at `apart` goes into segments. `watch` sees the same
/// tar on the way.
///
/// Reads to the end of the input, in memory that is bounded but for some bytes for each path.
///
/// # Errors
/// Those of input, output and watcher, and a [`DecodeError`](crate::error::DecodeError) for what is no
/// tar.
pub fn disassemble<W: Write>(
    tar: impl Read,
    out: &mut Writer<W>,
    apart: &Apart,
    watch: &mut dyn Watch,
) -> io::Result<Summary> {
    let paths = Paths::new(apart);
    let mut cut =
        Cut { out, paths, pending: Vec::new(), name: Vec::new(), file: None, in_files: 0 };
    let size = tar::watch(tar, &mut (&mut cut, watch))?;
    Ok(Summary { size, in_files: cut.in_files, replaced: cut.paths.replaced() })
}

/// Gathers bytes into segments, and leaves data that is in files to them.
struct Cut<'a, W> {
    out: &'a mut Writer<W>,
    paths: Paths<'a>,
    /// The segment so far.
    pending: Vec<u8>,
    /// The member's path.
    name: Vec<u8>,
    /// Checksum and size of the member's data so far, if a file has it.
    file: Option<(Crc, u64)>,
    in_files: u64,
}

impl<W: Write> Cut<'_, W> {
    fn headers(&mut self, raw: &[u8]) -> io::Result<()> {
        if self.pending.len().saturating_add(raw.len()) > SEGMENT {
            self.flush()?;
        }
        self.pending.extend_from_slice(raw);
        Ok(())
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.pending.len() >= SEGMENT {
                self.flush()?;
            }
            let room = SEGMENT.saturating_sub(self.pending.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.pending.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.segment(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Watch for Cut<'_, W> {
    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        self.headers(member.raw)?;
        let placed = self.paths.place(member);
        if placed.in_file {
            self.flush()?;
            self.in_files = member.stored.saturating_add(self.in_files);
            self.file = Some((Crc::default(), 0));
            self.name.clear();
            self.name.extend_from_slice(&member.path);
        } else if placed.named {
            self.flush()?;
            self.out.file(&member.path, None)?;
        }
        Ok(())
    }

    fn data(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.file {
            None => self.bytes(piece),
            Some((crc, size)) => {
                crc.update(piece);
                *size = long(piece.len()).saturating_add(*size);
                Ok(())
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self.file.take() {
            Some((crc, size)) => self.out.file(&self.name, Some((size, crc.finish()))),
            None => Ok(()),
        }
    }

    fn padding(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes(bytes)
    }

    fn last_blocks(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.bytes(blocks)?;
        self.flush()
    }

    fn rest(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.segment(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tar::build::{Tar, gnu, v7};
    use crate::format::tar_split::{Entries, Entry};

    /// Takes `tar` apart, twice if it must be.
    fn apart(tar: &[u8]) -> Vec<u8> {
        let mut apart = Apart::default();
        for _ in 0..2 {
            let mut out = Writer::new(Vec::new());
            let summary = disassemble(tar, &mut out, &apart, &mut ()).expect("a sound tar");
            assert_eq!(summary.size, tar.len() as u64);
            if summary.replaced.is_empty() {
                return out.into_inner();
            }
            apart.extend(summary.replaced);
        }
        panic!("paths are replaced even when apart");
    }

    /// Puts a tar together as Docker does, with the unpacked files at hand.
    fn together(split: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut tar, mut names) = (Vec::new(), Vec::new());
        for entry in Entries::new(split) {
            match entry.expect("a sound entry") {
                Entry::Segment(bytes) => {
                    assert!(bytes.len() <= SEGMENT + 4096);
                    tar.extend_from_slice(&bytes);
                }
                Entry::File { name, size, crc } => {
                    let name = String::from_utf8_lossy(&name).trim_end_matches('/').to_owned();
                    let name = name.trim_start_matches("./").to_owned();
                    assert!(!names.contains(&name), "Docker refuses {name} twice");
                    if size > 0 {
                        let file = files.iter().find(|file| file.0 == name);
                        let (_, bytes) = file.unwrap_or_else(|| panic!("{name} is not there"));
                        assert_eq!(crc, Some(Crc::of(bytes)), "{name}");
                        tar.extend_from_slice(bytes);
                    }
                    names.push(name);
                }
            }
        }
        tar
    }

    fn in_files(split: &[u8]) -> usize {
        let sizes = Entries::new(split).map(|entry| match entry.expect("a sound entry") {
            Entry::File { size, .. } => usize::from(size > 0),
            Entry::Segment(_) => 0,
        });
        sizes.sum()
    }

    /// What it shows; the archive; the files that unpacking it leaves, as far as they are asked for.
    type Row<'a> = (&'a str, Vec<u8>, &'a [(&'a str, &'a [u8])]);

    #[test]
    fn every_tar_is_put_together_again() {
        let long = "d/".repeat(80) + "name";
        let (t, x, y) = (Tar::default, b"xx".as_slice(), b"yyy".as_slice());
        let device = |block: &mut [u8; 512]| block[329..337].copy_from_slice(b"0000010\0");
        let large = |block: &mut [u8; 512]| {
            block[124..136].copy_from_slice(b"\x80\0\0\0\0\0\0\0\0\0\0\x02");
        };
        let sized = |block: &mut [u8; 512]| block[124..136].copy_from_slice(b"00000001000\0");
        let map = [("GNU.sparse.map", b"0,2".as_slice()), ("GNU.sparse.size", b"9")];
        let junk = vec![7; 5000];
        let table: [Row<'_>; 29] = [
            ("plain", t().dir("a/").file("a/x", x).file("y", y).end(), &[("a/x", x), ("y", y)]),
            ("dots", t().dir("./").dir("./a/").file("./a/x", x).end(), &[("a/x", x)]),
            ("gnu long", t().long(b'L', long.as_bytes()).file("d", x).end(), &[(&long, x)]),
            ("pax", t().pax(&[("path", long.as_bytes())]).file("d", x).end(), &[(&long, x)]),
            ("base-256", t().edited(b'0', b"x", x, large).end(), &[("x", x)]),
            ("v7", t().edited(0, b"d/", b"", v7).edited(0, b"x", x, v7).end(), &[("x", x)]),
            ("gnu", t().edited(b'0', b"x", x, gnu).end(), &[("x", x)]),
            ("global", t().extended(b'g', "g", &[("comment", y)]).file("x", x).end(), &[("x", x)]),
            (
                "globals",
                t().extended(b'g', "g", &[("a", y)]).extended(b'g', "g", &[("b", x)]).end(),
                &[],
            ),
            ("hard link", t().file("x", x).link(b'1', "y", "x").end(), &[("x", x)]),
            (
                "link with a size",
                t().file("x", x).edited(b'1', b"y", b"", sized).end(),
                &[("x", x)],
            ),
            ("dir with a size", t().edited(b'5', b"y", b"", sized).end(), &[]),
            ("device", t().edited(b'3', b"null", b"", device).file("x", x).end(), &[("x", x)]),
            ("no UTF-8", t().edited(b'0', b"\xff", x, |_| {}).end(), &[("\u{fffd}", x)]),
            ("garbage behind", t().file("x", x).zeros(2).bytes(&junk).0, &[("x", x)]),
            ("no trailer", t().file("x", x).0, &[("x", x)]),
            ("no padding", t().file("x", x).0[..514].to_vec(), &[("x", x)]),
            ("one zero block", t().file("x", x).zeros(1).0, &[("x", x)]),
            ("empty", vec![], &[]),
            (
                "old sparse",
                t().old_sparse("s", &[(0, x), (512, y)], 5000).file("x", x).end(),
                &[("x", x)],
            ),
            ("pax sparse", t().pax(&map).file("s", x).file("x", x).end(), &[("x", x)]),
            ("twice", t().file("x", x).file("y", y).file("./x", y).end(), &[("y", y)]),
            ("dir twice", t().dir("a").file("a/x", x).dir("a/").end(), &[("a/x", x)]),
            (
                "link over file",
                t().file("x", x).link(b'2', "x", "y").file("y", y).end(),
                &[("y", y)],
            ),
            ("file over dir", t().file("a/b/x", x).file("a", y).end(), &[]),
            ("deleted", t().file("a/x", x).file("a/.wh.x", b"").end(), &[]),
            ("whiteout with data", t().file(".wh.x", x).file("y", y).end(), &[("y", y)]),
            ("opaque", t().file("a/x", x).file("a/.wh..wh..opq", b"").end(), &[("a/x", x)]),
            ("outside", t().file("../x", x).file("/y", y).end(), &[("/y", y)]),
        ];
        for (what, tar, files) in table {
            let split = apart(&tar);
            assert!(together(&split, files) == tar, "{what}");
            assert!(in_files(&split) >= files.len().min(1), "{what}: nothing in files");
        }
    }

    #[test]
    fn large_data_apart_makes_many_segments() {
        let data: Vec<u8> = (0..3 * SEGMENT + 17).map(|at| (at % 251) as u8).collect();
        let tar = Tar::default().old_sparse("s", &[(0, &data)], data.len() as u64).end();
        assert!(together(&apart(&tar), &[]) == tar);
        let tar = Tar::default().file("x", &data).zeros(2).bytes(&data).0;
        assert!(together(&apart(&tar), &[("x", &data)]) == tar);
        let mut out = Writer::new(Vec::new());
        disassemble(tar.as_slice(), &mut out, &Apart::everything(), &mut ()).expect("a sound tar");
        assert!(together(&out.into_inner(), &[]) == tar);
    }

    #[test]
    fn a_tar_cut_inside_its_data_is_an_error() {
        let tar = Tar::default().file("a", &[1; 2000]).0;
        for length in [1, 511, 513, 2511] {
            let mut out = Writer::new(Vec::new());
            let error = disassemble(&tar[..length], &mut out, &Apart::default(), &mut ());
            let error = error.expect_err("cut").downcast::<crate::error::DecodeError>();
            assert!(error.is_ok(), "cut at {length}");
        }
    }

    /// What Docker 28 recorded of an image made of one file.
    #[test]
    fn the_text_is_docker_s() {
        let mut out = Writer::new(Vec::new());
        let tar = Tar::default().dir("d/").file("d/hello", b"hello\n").zeros(20).0;
        disassemble(tar.as_slice(), &mut out, &Apart::default(), &mut ()).expect("a sound tar");
        let text = String::from_utf8(out.into_inner()).expect("JSON");
        let shape: Vec<&str> = text
            .lines()
            .map(|line| line.split_once("\"payload\":\"").map_or(line, |(start, _)| start))
            .collect();
        assert_eq!(
            shape,
            [
                r#"{"type":2,"#,
                r#"{"type":1,"name":"d/","payload":null,"position":1}"#,
                r#"{"type":2,"#,
                r#"{"type":1,"name":"d/hello","size":6,"#,
                r#"{"type":2,"#,
                r#"{"type":2,"#,
            ]
        );
        assert!(text.contains(r#""size":6,"payload":"YUw+7uLYEAA=","position":3}"#), "{text}");
    }
}
