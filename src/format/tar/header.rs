//! One member's headers: extended headers and long names in front, the header itself, a sparse map.

use std::borrow::Cow;

use tar_core::{EntryType, Header, HeaderError};

use super::pax::{Map, Records};
use super::sparse::{self, Chunk, Progress};
use super::{BLOCK, Kind, Member, long};
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
    let Some(headers) = Headers::read(input)? else { return Ok(Span::Short) };
    Ok(match headers.appendix()?.map(|appendix| headers.length(&appendix)) {
        Some(length) if length <= input.len() => Span::Whole(length),
        _ => Span::Short,
    })
}

/// Decodes a member's headers, as [`Member::raw`] has them, of an archive where they are at `offset`.
///
/// # Errors
/// What is wrong with them, counted from their start.
pub fn decode(raw: &[u8], offset: u64) -> Result<Member<'_>, DecodeError> {
    let cut = || DecodeError::new(0, "headers that are not whole");
    let headers = Headers::read(raw)?.ok_or_else(cut)?;
    let appendix = headers.appendix()?.ok_or_else(cut)?;
    headers.resolve(raw, offset, appendix)
}

/// The headers of one member, extensions apart. Of two extensions of one sort the later counts.
struct Headers<'a> {
    header: &'a Header,
    /// Where `header` is.
    at: usize,
    /// What follows it.
    after: &'a [u8],
    pax: Records<'a>,
    long_name: &'a [u8],
    long_link: &'a [u8],
}

/// A sparse file's pieces and its size with holes.
type SparseMap = Option<(Vec<Chunk>, Option<u64>)>;

/// What follows a header and belongs to it.
struct Appendix {
    map: SparseMap,
    length: usize,
}

impl<'a> Headers<'a> {
    /// Reads extensions up to the header they belong to; nothing if that is not all there.
    fn read(input: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let (mut rest, mut records) = (input, None);
        let (mut long_name, mut long_link) = ([].as_slice(), [].as_slice());
        loop {
            let at = input.len().saturating_sub(rest.len());
            let fail = |what| DecodeError::new(long(at), what);
            let Some((block, after)) = rest.split_first_chunk::<BLOCK>() else {
                return Ok(None);
            };
            let header = Header::from_bytes(block);
            check_sum(header).map_err(fail)?;
            use EntryType::{GnuLongLink, GnuLongName, XGlobalHeader, XHeader};
            let kind = header.entry_type();
            if !matches!(kind, GnuLongLink | GnuLongName | XGlobalHeader | XHeader) {
                let pax = match records {
                    Some((at, data)) => Records::read(data).map_err(|error| shift(error, at))?,
                    None => Records::default(),
                };
                return Ok(Some(Self { header, at, after, pax, long_name, long_link }));
            }
            let size = extension_size(header).map_err(fail)?;
            let Some(data) = after.get(..size) else { return Ok(None) };
            match kind {
                XHeader => records = Some((at.saturating_add(BLOCK), data)),
                GnuLongName => long_name = until_nul(data),
                GnuLongLink => long_link = until_nul(data),
                // Go returns a global header as a member of its own and drops what was before it.
                _ => {
                    let pax = Records::default();
                    let (long_name, long_link) = (&[][..], &[][..]);
                    return Ok(Some(Self { header, at, after, pax, long_name, long_link }));
                }
            }
            match after.get(size.next_multiple_of(BLOCK)..) {
                Some(next) => rest = next,
                None => return Ok(None),
            }
        }
    }

    /// Returns what follows the header; nothing if that is not all there.
    fn appendix(&self) -> Result<Option<Appendix>, DecodeError> {
        let at = |error| shift(error, self.at);
        let size = self.pax.sparse.file_size();
        let done = |map, length| Ok(Some(Appendix { map, length }));
        match self.header.entry_type() {
            EntryType::XGlobalHeader => {
                let length = extension_size(self.header).map_err(|what| self.fail(what))?;
                return done(None, length);
            }
            EntryType::GnuSparse => {
                return match sparse::old_gnu(self.header, self.after).map_err(at)? {
                    Progress::Done((chunks, size), used) => done(Some((chunks, Some(size))), used),
                    Progress::Short => Ok(None),
                };
            }
            _ => {}
        }
        match self.pax.sparse.map().map_err(at)? {
            None => done(None, 0),
            Some(Map::Here(chunks)) => done(Some((chunks, size)), 0),
            Some(Map::InData) => match sparse::in_data(self.after).map_err(at)? {
                Progress::Done(chunks, used) => done(Some((chunks, size)), used),
                Progress::Short => Ok(None),
            },
        }
    }

    /// Returns how long all headers are with `appendix`.
    fn length(&self, appendix: &Appendix) -> usize {
        self.at.saturating_add(BLOCK).saturating_add(appendix.length)
    }

    fn resolve(
        self,
        raw: &'a [u8],
        offset: u64,
        appendix: Appendix,
    ) -> Result<Member<'a>, DecodeError> {
        let number = |error: HeaderError| self.fail(format!("bad tar header: {error}"));
        let path = self.path();
        let kind = kind(self.header, &path);
        let said = if kind == Kind::Global { 0 } else { self.size()? };
        // Extension blocks of old GNU sparse headers are not counted in the size, a map in data is.
        let is_old = self.header.entry_type() == EntryType::GnuSparse;
        let in_data = if is_old || kind == Kind::Global { 0 } else { long(appendix.length) };
        let stored = match said.checked_sub(in_data) {
            _ if kind.is_header_only() => 0,
            Some(stored) => stored,
            None => return Err(self.fail(format!("a sparse map larger than its {said} bytes"))),
        };
        let (sparse, size) = match appendix.map {
            None => (None, said),
            Some((chunks, size)) => (Some(chunks), size.unwrap_or(said)),
        };
        if let Some(chunks) = &sparse {
            if kind != Kind::File {
                return Err(self.fail("holes in what is no regular file"));
            }
            sparse::check(chunks, size, stored).map_err(|error| shift(error, self.at))?;
        }
        Ok(Member {
            raw,
            offset,
            kind,
            link: self.link(),
            mode: mode(self.header).map_err(number)?,
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

    fn fail(&self, what: impl Into<String>) -> DecodeError {
        DecodeError::new(long(self.at), what)
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

    fn size(&self) -> Result<u64, DecodeError> {
        let size = match self.pax.size {
            Some(size) => size,
            None => {
                let size = self.header.entry_size();
                size.map_err(|error| self.fail(format!("bad size: {error}")))?
            }
        };
        match i64::try_from(size) {
            Ok(_) => Ok(size),
            Err(_) => Err(self.fail(format!("a negative size, or one of {size} bytes"))),
        }
    }
}

fn shift(error: DecodeError, by: usize) -> DecodeError {
    DecodeError { offset: error.offset.saturating_add(long(by)), ..error }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

/// Checks the header's sum, in which its own field counts as spaces. Some old programs added the bytes up
/// as signed ones.
fn check_sum(header: &Header) -> Result<(), String> {
    let mut bytes = *header.as_bytes();
    let field = header.as_ustar().cksum;
    if let Some(own) = bytes.get_mut(148..156) {
        own.fill(b' ');
    }
    let unsigned = bytes.iter().map(|b| u32::from(*b)).sum::<u32>();
    let signed = || bytes.iter().map(|b| i32::from(b.cast_signed())).sum::<i32>();
    match octal(&field) {
        Some(said) if said == i64::from(unsigned) || said == i64::from(signed()) => Ok(()),
        Some(said) => Err(format!("no tar header: its checksum is {unsigned}, it says {said}")),
        None => Err(format!("no tar header: its checksum reads {}", printable(&field))),
    }
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
    let ustar = header.as_ustar();
    // POSIX headers have a prefix of 155 bytes; star's have 131, and "tar\0" at the end.
    let is_star = header.as_bytes().ends_with(b"tar\0");
    let field = if is_star { 131 } else { ustar.prefix.len() };
    match ustar.prefix.get(..field).map(until_nul) {
        Some(prefix @ [_, ..]) if ustar.magic == *b"ustar\0" => {
            Cow::Owned([prefix, b"/", name].concat())
        }
        _ => Cow::Borrowed(name),
    }
}

fn mode(header: &Header) -> Result<u16, HeaderError> {
    Ok(u16::try_from(header.mode()? & 0o7777).unwrap_or_default())
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
