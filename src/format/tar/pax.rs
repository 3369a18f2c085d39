//! PAX extended headers: `<length> <key>=<value>\n`, the length counting itself.

use std::io::Write as _;

use super::long;
use super::sparse::Chunk;
use crate::error::DecodeError;

/// Where extended attributes are kept, after star and GNU tar.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records that matter, of one extended header. An empty value leaves what the header says, but an
/// extended attribute may be empty.
#[derive(Debug, Default)]
pub(super) struct Records<'a> {
    pub(super) path: Option<&'a [u8]>,
    pub(super) link: Option<&'a [u8]>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(&'a [u8], &'a [u8])>,
    pub(super) sparse: Sparse<'a>,
}

/// What GNU tar says of a file with holes.
#[derive(Debug, Default)]
pub(super) struct Sparse<'a> {
    version: (&'a [u8], &'a [u8]),
    /// The file's own name: the member's is made up, for programs that do not know holes.
    pub(super) name: Option<&'a [u8]>,
    size: Option<u64>,
    real_size: Option<u64>,
    map: Option<&'a [u8]>,
    /// Format 0.0: offsets and lengths in turn.
    pairs: Vec<u64>,
}

/// Where a file's sparse map is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// In the records.
    Here(Vec<Chunk>),
    /// In the first blocks of the data.
    InData,
}

impl<'a> Records<'a> {
    /// Reads an extended header's data.
    pub(super) fn read(mut data: &'a [u8]) -> Result<Self, DecodeError> {
        let mut records = Self::default();
        let whole = data.len();
        while !data.is_empty() {
            let at = long(whole.saturating_sub(data.len()));
            let bad = |what: &str| DecodeError::new(at, what);
            let (key, value, rest) = split_record(data)
                .ok_or_else(|| bad("not a PAX record `<length> <key>=<value>`"))?;
            let is_xattr = key.starts_with(XATTR);
            if is_xattr || !value.is_empty() {
                records.apply(key, value).ok_or_else(|| {
                    let key = crate::error::printable(key);
                    bad(&format!("bad value in PAX record {key}"))
                })?;
            }
            data = rest;
        }
        Ok(records)
    }

    fn apply(&mut self, key: &'a [u8], value: &'a [u8]) -> Option<()> {
        let name = matches!(key, b"path" | b"linkpath");
        if key.contains(&0) || (name && value.contains(&0)) {
            return None;
        }
        match key {
            b"path" => self.path = Some(value),
            b"linkpath" => self.link = Some(value),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(signed(value)?),
            b"gid" => self.gid = Some(signed(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ => match key.strip_prefix(XATTR) {
                Some(name) => self.xattrs.push((name, value)),
                None => self.sparse.apply(key, value)?,
            },
        }
        Some(())
    }
}

impl<'a> Sparse<'a> {
    fn apply(&mut self, key: &[u8], value: &'a [u8]) -> Option<()> {
        match key {
            b"GNU.sparse.major" => self.version.0 = value,
            b"GNU.sparse.minor" => self.version.1 = value,
            b"GNU.sparse.name" => self.name = Some(value),
            b"GNU.sparse.size" => self.size = Some(decimal(value)?),
            b"GNU.sparse.realsize" => self.real_size = Some(decimal(value)?),
            b"GNU.sparse.map" => self.map = Some(value),
            b"GNU.sparse.offset" if self.pairs.len().is_multiple_of(2) => {
                self.pairs.push(decimal(value)?);
            }
            b"GNU.sparse.numbytes" if !self.pairs.len().is_multiple_of(2) => {
                self.pairs.push(decimal(value)?);
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => return None,
            _ => {}
        }
        Some(())
    }

    /// Returns the file's size with its holes, if given.
    pub(super) fn file_size(&self) -> Option<u64> {
        self.size.or(self.real_size)
    }

    /// Returns the map, if this is a sparse file of a known version.
    ///
    /// vbatts/tar-split archive/tar/reader.go readGNUSparsePAXHeaders
    pub(super) fn map(&self) -> Result<Option<Map>, DecodeError> {
        let has_map = self.map.is_some() || !self.pairs.is_empty();
        match self.version {
            (b"1", b"0") => Ok(Some(Map::InData)),
            (b"0", b"0" | b"1") => Ok(Some(Map::Here(self.chunks()?))),
            (b"", b"") if has_map => Ok(Some(Map::Here(self.chunks()?))),
            _ => Ok(None),
        }
    }

    fn chunks(&self) -> Result<Vec<Chunk>, DecodeError> {
        let bad = || DecodeError::new(0, "bad sparse map in a PAX header");
        let listed: Vec<u64>;
        let numbers = match self.map {
            _ if !self.pairs.is_empty() => &self.pairs,
            None => return Ok(Vec::new()),
            Some(map) => {
                let numbers = map.split(|b| *b == b',').map(decimal).collect::<Option<_>>();
                listed = numbers.ok_or_else(bad)?;
                &listed
            }
        };
        match numbers.as_chunks() {
            (pairs, []) => {
                Ok(pairs.iter().map(|&[offset, length]| Chunk { offset, length }).collect())
            }
            _ => Err(bad()),
        }
    }
}

/// Splits the first record off: its key, its value, and what follows.
fn split_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = data.get(..20).unwrap_or(data).split(|b| *b == b' ').next()?;
    let length = usize::try_from(decimal(digits)?).ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    let body = record.get(digits.len()..)?.strip_prefix(b" ")?.strip_suffix(b"\n")?;
    let (key, value) = split_once(body, b'=')?;
    (!key.is_empty()).then_some((key, value, rest))
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at(bytes.iter().position(|b| *b == at)?);
    Some((before, rest.get(1..)?))
}

/// Appends a record to an extended header's data.
pub fn push_record(data: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let digits = |length: usize| length.to_string().len();
    let rest = key.len().saturating_add(value.len()).saturating_add(3);
    let mut length = rest.saturating_add(digits(rest));
    length = rest.saturating_add(digits(length));
    write!(data, "{length} ").expect("a vector takes every write");
    data.extend_from_slice(key);
    data.push(b'=');
    data.extend_from_slice(value);
    data.push(b'\n');
}

/// Parses decimal digits, and nothing but digits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = u64::from(char::from(*digit).to_digit(10)?);
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Parses a number that may be negative; such an owner wraps, as it does in the header.
fn signed(text: &[u8]) -> Option<u64> {
    match text.strip_prefix(b"-") {
        Some(digits) => Some(decimal(digits)?.wrapping_neg()),
        None => decimal(text),
    }
}

/// Parses `[-]seconds[.fraction]`; digits after the ninth are dropped.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let is_negative = text.starts_with(b"-");
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (seconds, fraction) = split_once(text, b'.').unwrap_or((text, b""));
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = u32::try_from(decimal(&digits.collect::<Vec<_>>())?).ok()?;
    let seconds = i64::try_from(decimal(seconds)?).ok()?;
    match (is_negative, nanos) {
        (false, _) => Some((seconds, nanos)),
        (true, 0) => Some((seconds.checked_neg()?, 0)),
        (true, _) => {
            Some((seconds.checked_neg()?.checked_sub(1)?, 1_000_000_000u32.checked_sub(nanos)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_and_a_sign() {
        for (text, want) in [
            ("0", Some((0, 0))),
            ("1350244992.023960108", Some((1_350_244_992, 23_960_108))),
            ("1.5", Some((1, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("1.", Some((1, 0))),
            ("-1", Some((-1, 0))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-9223372036854775807.9", Some((i64::MIN, 100_000_000))),
            ("", None),
            (".5", None),
            ("1.x", None),
            ("--1", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(time(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in (0..120).chain(980..1010) {
            let mut data = Vec::new();
            push_record(&mut data, b"path", &vec![b'x'; length]);
            push_record(&mut data, b"next", b"=\n");
            let (key, value, rest) = split_record(&data).expect("a record");
            assert_eq!((key, value.len()), (b"path".as_slice(), length));
            assert_eq!(split_record(rest), Some((&b"next"[..], &b"=\n"[..], &b""[..])));
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for bad in [
            "5 a=\n ",
            "6 a=b",
            "7 a=b\n",
            "0 a=b\n",
            "99999999999999999999999 a=b\n",
            " a=b\n",
            "6 aab\n",
            "6 =aa\n",
            "-6 a=b\n",
            "9 uid=x\n",
            "10 path=\0\n",
            "7 \0=b\n",
            "20 GNU.sparse.map=1\n1",
            "27 GNU.sparse.numbytes=512\n",
        ] {
            assert!(Records::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_last_record_counts_and_an_empty_one_does_not() {
        let mut data = Vec::new();
        for (key, value) in [
            ("path", "first"),
            ("path", "last"),
            ("path", ""),
            ("SCHILY.xattr.user.a=b", "1"),
            ("SCHILY.xattr.user.c", "1"),
            ("SCHILY.xattr.user.c", ""),
            ("uid", "-1"),
        ] {
            push_record(&mut data, key.as_bytes(), value.as_bytes());
        }
        let records = Records::read(&data).expect("records");
        assert_eq!(records.path, Some(&b"last"[..]));
        assert_eq!(records.uid, Some(u64::MAX));
        assert_eq!(records.xattrs.last(), Some(&(&b"user.c"[..], &b""[..])));
    }
}
