//! One member's headers: extended headers and long names in front, the header itself, a sparse map.

use std::borrow::Cow;

use tar_core::{EntryType, Header, HeaderError};

use super::pax::{Map, Records};
use super::sparse::{self, Chunk, Progress};
use super::{BLOCK, Kind, Member};
use crate::error::{DecodeError, printable};

/// The most data of one extended header or long name.
const EXTENSION_LIMIT: u64 = 4 << 20;

/// How far the headers at hand reach.
pub(super) enum Span {
    /// They are whole, and take this many bytes.
    Whole(usize),
    /// They go on: more bytes are needed than there are.
    Short,
}

/// Finds where the headers at the start of `input` end.
pub(super) fn span(input: &[u8]) -> Result<Span, DecodeError> {
    let Some(headers) = Headers::read(input)? else {
        return Ok(Span::Short);
    };
    Ok(match headers.map(input)? {
        Some((_, end)) => Span::Whole(end),
        None => Span::Short,
    })
}

/// Decodes a member's headers, as [`Member::raw`] has them, of an archive where they are at `offset`.
///
/// # Errors
/// What is wrong with them, counted from their start.
pub fn decode(raw: &[u8], offset: u64) -> Result<Member<'_>, DecodeError> {
    let cut = || DecodeError::new(0, "headers that are not whole");
    let headers = Headers::read(raw)?.ok_or_else(cut)?;
    let (map, end) = headers.map(raw)?.ok_or_else(cut)?;
    headers.resolve(raw, offset, map, end)
}

/// The headers of one member, extensions apart. Of two extensions of one sort the later counts.
struct Headers<'a> {
    header: &'a Header,
    /// Where `header` is.
    at: usize,
    pax: Records<'a>,
    long_name: &'a [u8],
    long_link: &'a [u8],
}

/// A sparse file's pieces and its size with holes.
type SparseMap = Option<(Vec<Chunk>, Option<u64>)>;

impl<'a> Headers<'a> {
    /// Reads extensions up to the header they belong to; nothing if that is not all there.
    fn read(input: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let (mut at, mut records) = (0, None);
        let (mut long_name, mut long_link) = ([].as_slice(), [].as_slice());
        loop {
            let Some(block) = input.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) else {
                return Ok(None);
            };
            let header = Header::from_bytes(block);
            check_sum(header).map_err(|what| DecodeError::new(at as u64, what))?;
            let kind = header.entry_type();
            use EntryType::{GnuLongLink, GnuLongName, XGlobalHeader, XHeader};
            if !matches!(kind, GnuLongLink | GnuLongName | XGlobalHeader | XHeader) {
                let pax = Self::records(records)?;
                return Ok(Some(Self { header, at, pax, long_name, long_link }));
            }
            let size = extension_size(header).map_err(|what| DecodeError::new(at as u64, what))?;
            let start = at + BLOCK;
            let Some(data) = input.get(start..start + size) else {
                return Ok(None);
            };
            match kind {
                XHeader => records = Some((start, data)),
                GnuLongName => long_name = until_nul(data),
                GnuLongLink => long_link = until_nul(data),
                // Go returns a global header as a member of its own and drops what was before it.
                _ => {
                    let pax = Records::default();
                    return Ok(Some(Self { header, at, pax, long_name: &[], long_link: &[] }));
                }
            }
            at = start + size.next_multiple_of(BLOCK);
        }
    }

    fn records(at: Option<(usize, &'a [u8])>) -> Result<Records<'a>, DecodeError> {
        let Some((start, data)) = at else {
            return Ok(Records::default());
        };
        Records::read(data).map_err(|error| shift(error, start))
    }

    /// Returns the sparse map, if there is one, and where the headers end; nothing if they go on.
    fn map(&self, input: &[u8]) -> Result<Option<(SparseMap, usize)>, DecodeError> {
        let end = self.at + BLOCK;
        let at = |error| shift(error, self.at);
        match self.header.entry_type() {
            EntryType::XGlobalHeader => {
                let size = extension_size(self.header).map_err(|what| DecodeError::new(0, what))?;
                return Ok((end + size <= input.len()).then_some((None, end + size)));
            }
            EntryType::GnuSparse => {
                return Ok(match sparse::old_gnu(self.header, &input[self.at..]).map_err(at)? {
                    Progress::Done((chunks, size), used) => {
                        Some((Some((chunks, Some(size))), self.at + used))
                    }
                    Progress::Short => None,
                });
            }
            _ => {}
        }
        let size = self.pax.sparse.file_size();
        match self.pax.sparse.map().map_err(at)? {
            None => Ok(Some((None, end))),
            Some(Map::Here(chunks)) => Ok(Some((Some((chunks, size)), end))),
            Some(Map::InData) => {
                let map = sparse::in_data(&input[end..]).map_err(|error| shift(error, end))?;
                Ok(match map {
                    Progress::Done(chunks, used) => Some((Some((chunks, size)), end + used)),
                    Progress::Short => None,
                })
            }
        }
    }

    fn resolve(
        self,
        raw: &'a [u8],
        offset: u64,
        map: SparseMap,
        end: usize,
    ) -> Result<Member<'a>, DecodeError> {
        let fail = |what: String| DecodeError::new(self.at as u64, what);
        let number = |error: HeaderError| fail(format!("bad tar header: {error}"));
        let path = self.path();
        let kind = kind(self.header, &path);
        let said = self.size().map_err(fail)?;
        let in_map = if kind == Kind::Global { 0 } else { end - self.at - BLOCK };
        // Extension blocks of old GNU sparse headers are not counted in the size, a map in data is.
        let in_map = if self.header.entry_type() == EntryType::GnuSparse { 0 } else { in_map };
        let stored = match kind {
            Kind::Global => 0,
            kind if kind.is_header_only() => 0,
            _ => said
                .checked_sub(in_map as u64)
                .ok_or_else(|| fail(format!("a sparse map larger than its {said} bytes")))?,
        };
        let (sparse, size) = match map {
            None => (None, if kind == Kind::Global { 0 } else { said }),
            Some((chunks, size)) => {
                let size = size.unwrap_or(said);
                sparse::check(&chunks, size, stored).map_err(|error| shift(error, self.at))?;
                (Some(chunks), size)
            }
        };
        if sparse.is_some() && kind != Kind::File {
            return Err(fail("holes in what is no regular file".to_owned()));
        }
        Ok(Member {
            raw,
            offset,
            kind,
            link: self.link(),
            mode: (self.header.mode().map_err(number)? & 0o7777) as u16,
            uid: self.pax.uid.map_or_else(|| self.header.uid(), Ok).map_err(number)?,
            gid: self.pax.gid.map_or_else(|| self.header.gid(), Ok).map_err(number)?,
            mtime: match self.pax.mtime {
                Some(mtime) => mtime,
                None => (self.header.mtime().map_err(number)?.cast_signed(), 0),
            },
            device: device(self.header, kind).map_err(number)?,
            path,
            size,
            stored,
            sparse,
            xattrs: self.pax.xattrs,
        })
    }

    /// A sparse file's own name goes before a long name, that before a record, that before the header.
    fn path(&self) -> Cow<'a, [u8]> {
        match (self.pax.sparse.name, self.long_name, self.pax.path) {
            (Some(name), _, _) => Cow::Borrowed(name),
            (None, name, _) if !name.is_empty() => Cow::Borrowed(name),
            (None, _, Some(path)) => Cow::Borrowed(path),
            _ => header_path(self.header),
        }
    }

    fn link(&self) -> Cow<'a, [u8]> {
        Cow::Borrowed(match (self.long_link, self.pax.link) {
            (link, _) if !link.is_empty() => link,
            (_, Some(link)) => link,
            _ => self.header.link_name_bytes(),
        })
    }

    fn size(&self) -> Result<u64, String> {
        let size = match self.pax.size {
            Some(size) => size,
            None => self.header.entry_size().map_err(|error| format!("bad size: {error}"))?,
        };
        match i64::try_from(size) {
            Ok(_) => Ok(size),
            Err(_) => Err(format!("a negative size, or one of {size} bytes")),
        }
    }
}

fn shift(error: DecodeError, by: usize) -> DecodeError {
    DecodeError { offset: error.offset.saturating_add(by as u64), ..error }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

/// Checks the header's sum, in which its own field counts as spaces. Some old programs added the bytes up
/// as signed ones.
fn check_sum(header: &Header) -> Result<(), String> {
    let bytes = header.as_bytes();
    let field = &bytes[148..156];
    let spaces = 8 * i64::from(b' ');
    let sum = |bytes: &[u8]| bytes.iter().map(|b| u32::from(*b)).sum::<u32>();
    let unsigned = i64::from(sum(bytes) - sum(field)) + spaces;
    let Some(said) = octal(field) else {
        return Err(format!("no tar header: its checksum reads {}", printable(field)));
    };
    let sum = |bytes: &[u8]| bytes.iter().map(|b| i32::from(b.cast_signed())).sum::<i32>();
    if said == unsigned || said == i64::from(sum(bytes) - sum(field)) + spaces {
        return Ok(());
    }
    Err(format!("no tar header: its checksum is {unsigned}, it says {said}"))
}

fn octal(field: &[u8]) -> Option<i64> {
    let digits = until_nul(field).trim_ascii();
    match digits {
        [] => Some(0),
        _ => i64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok(),
    }
}

fn extension_size(header: &Header) -> Result<usize, String> {
    let size = header.entry_size().map_err(|error| format!("bad size: {error}"))?;
    let name = || printable(header.path_bytes()).into_owned();
    match usize::try_from(size) {
        Ok(length) if size <= EXTENSION_LIMIT => Ok(length),
        _ => Err(format!("extended header {} of {size} bytes", name())),
    }
}

/// Returns name and prefix of a header.
fn header_path(header: &Header) -> Cow<'_, [u8]> {
    let name = header.path_bytes();
    let bytes = header.as_bytes();
    // POSIX headers have a prefix of 155 bytes; star's have 131, and "tar\0" at the end.
    let prefix = match (&bytes[257..263], &bytes[508..]) {
        (b"ustar\0", b"tar\0") => until_nul(&bytes[345..476]),
        (b"ustar\0", _) => until_nul(&bytes[345..500]),
        _ => &[],
    };
    match prefix {
        [] => Cow::Borrowed(name),
        prefix => Cow::Owned([prefix, b"/", name].concat()),
    }
}

fn kind(header: &Header, path: &[u8]) -> Kind {
    let flag = header.as_ustar().typeflag[0];
    match EntryType::from_byte(flag) {
        // Before there was a flag, a slash at the end made a directory.
        EntryType::Regular if flag == 0 && path.ends_with(b"/") => Kind::Dir,
        EntryType::Regular | EntryType::Continuous | EntryType::GnuSparse => Kind::File,
        EntryType::Link => Kind::HardLink,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Char => Kind::Char,
        EntryType::Block => Kind::Block,
        EntryType::Directory => Kind::Dir,
        EntryType::Fifo => Kind::Fifo,
        EntryType::XGlobalHeader => Kind::Global,
        _ => Kind::Other(flag),
    }
}

fn device(header: &Header, kind: Kind) -> Result<(u32, u32), HeaderError> {
    if !matches!(kind, Kind::Char | Kind::Block) {
        return Ok((0, 0));
    }
    let major = header.device_major()?.unwrap_or(0);
    Ok((major, header.device_minor()?.unwrap_or(0)))
}
