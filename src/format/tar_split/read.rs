//! Reads tar-split as Go does, which is with little care: keys in any case, null or nothing for what
//! is not there, white space anywhere, unknown keys and unknown types passed over.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError as BadBase64, Engine as _};
use flate2::bufread::MultiGzDecoder;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use super::Entry;
use crate::error::DecodeError;
use crate::format::tar::long;

/// The most bytes of one entry's JSON. Docker's segments stop at 1 MiB and a header; those written
/// before 2017 hold all that pads a tar at its end.
const ENTRY_LIMIT: usize = 64 << 20;

/// How Go reads base64: padded, and bits behind the last byte may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The entries of a tar-split stream, one after the other in constant memory.
///
/// Errors give the byte of the uncompressed stream; after one there is nothing more.
#[derive(Debug)]
pub struct Entries<R: BufRead> {
    input: Input<R>,
    buffer: Vec<u8>,
    /// What of `buffer` is used.
    start: usize,
    /// Where in the stream `start` is.
    offset: u64,
    done: bool,
}

#[derive(Debug)]
enum Input<R: BufRead> {
    Unknown(Option<R>),
    Plain(R),
    Gzip(Box<BufReader<MultiGzDecoder<R>>>),
}

impl<R: BufRead> Entries<R> {
    /// Returns the entries in `input`, which may be compressed with gzip.
    pub fn new(input: R) -> Self {
        let input = Input::Unknown(Some(input));
        Self { input, buffer: Vec::new(), start: 0, offset: 0, done: false }
    }

    fn read(&mut self) -> Result<Option<Entry>, DecodeError> {
        let mut want = 1;
        loop {
            let at_end = !self.fill(want)?;
            let pending = self.pending();
            let mut objects = serde_json::Deserializer::from_slice(pending).into_iter::<Raw>();
            let object = objects.next();
            let used = objects.byte_offset();
            match object {
                Some(Ok(raw)) => {
                    let entry = raw.entry().map_err(|what| self.bad(what))?;
                    self.advance(used);
                    match entry {
                        Some(entry) => return Ok(Some(entry)),
                        None => want = 1,
                    }
                }
                Some(Err(error)) if error.classify() == Category::Eof && !at_end => {
                    if pending.len() >= ENTRY_LIMIT {
                        return Err(self.bad(format!("an entry of more than {ENTRY_LIMIT} bytes")));
                    }
                    // An object on several lines: twice as much each time, or a long one takes forever.
                    want = pending.len().saturating_mul(2);
                }
                Some(Err(error)) => return Err(self.bad(format!("no tar-split entry: {error}"))),
                None if at_end => return Ok(None),
                None => self.advance(pending.len()),
            }
        }
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn advance(&mut self, by: usize) {
        self.start = self.start.saturating_add(by).min(self.buffer.len());
        self.offset = self.offset.saturating_add(long(by));
    }

    /// Returns an error about the entry that comes next.
    fn bad(&self, what: impl Into<String>) -> DecodeError {
        let blank = self.pending().iter().take_while(|b| b.is_ascii_whitespace()).count();
        DecodeError::new(self.offset.saturating_add(long(blank)), what)
    }

    /// Reads whole lines until `want` bytes are at hand; returns whether there may be more.
    fn fill(&mut self, want: usize) -> Result<bool, DecodeError> {
        if self.pending().len() >= want {
            return Ok(true);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < want {
            let room = ENTRY_LIMIT.saturating_sub(self.buffer.len()).max(1);
            let read = self.input.read_line(long(room), &mut self.buffer);
            let read = read.map_err(|error| {
                let at = self.offset.saturating_add(long(self.buffer.len()));
                DecodeError::new(at, error.to_string())
            })?;
            match read {
                0 => return Ok(false),
                _ if self.buffer.len() >= ENTRY_LIMIT => break,
                _ => {}
            }
        }
        Ok(true)
    }
}

impl<R: BufRead> Input<R> {
    /// Appends at most `most` bytes up to and with the next newline.
    fn read_line(&mut self, most: u64, line: &mut Vec<u8>) -> io::Result<usize> {
        if let Self::Unknown(input) = self {
            let mut input = input.take().expect("taken only where it is replaced");
            // No JSON begins with this byte, and every gzip stream does.
            let gzip = input.fill_buf()?.first() == Some(&0x1f);
            *self = if gzip {
                let input = MultiGzDecoder::new(input);
                Self::Gzip(Box::new(BufReader::with_capacity(64 << 10, input)))
            } else {
                Self::Plain(input)
            };
        }
        match self {
            Self::Gzip(input) => input.take(most).read_until(b'\n', line),
            Self::Plain(input) => input.take(most).read_until(b'\n', line),
            Self::Unknown(_) => Ok(0),
        }
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = Result<Entry, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let entry = self.read().transpose();
        self.done = !matches!(entry, Some(Ok(_)));
        entry
    }
}

/// An entry as it is written.
#[derive(Default)]
struct Raw<'a> {
    kind: i64,
    name: Cow<'a, [u8]>,
    name_raw: Cow<'a, [u8]>,
    size: i64,
    payload: Cow<'a, [u8]>,
}

impl Raw<'_> {
    /// Returns what is meant; nothing if it is of no known type.
    fn entry(self) -> Result<Option<Entry>, String> {
        match self.kind {
            1 => self.file().map(Some),
            2 => Ok(Some(Entry::Segment(decode(&self.payload)?))),
            _ => Ok(None),
        }
    }

    fn file(self) -> Result<Entry, String> {
        let name = match decode(&self.name_raw)? {
            // What is not UTF-8 in JSON reads as U+FFFD in Go.
            raw if raw.is_empty() => match std::str::from_utf8(&self.name) {
                Ok(_) => self.name.into_owned(),
                Err(_) => String::from_utf8_lossy(&self.name).into_owned().into_bytes(),
            },
            raw => raw,
        };
        let size = u64::try_from(self.size).map_err(|_| format!("a size of {}", self.size))?;
        let payload = decode(&self.payload)?;
        match <[u8; 8]>::try_from(payload.as_slice()) {
            Ok(crc) => Ok(Entry::File { name, size, crc: Some(crc) }),
            Err(_) if size == 0 => Ok(Entry::File { name, size, crc: None }),
            Err(_) => Err(format!("a checksum of {} bytes, not 8", payload.len())),
        }
    }
}

/// Decodes base64; Go passes over line breaks in it.
fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = match BASE64.decode(text) {
        Err(BadBase64::InvalidByte(_, b'\r' | b'\n')) => {
            let text: Vec<u8> =
                text.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
            BASE64.decode(text)
        }
        bytes => bytes,
    };
    bytes.map_err(|error| format!("bad base64: {error}"))
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Raw<'de>, E> {
        Ok(Raw::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
        let mut raw = Raw::default();
        while let Some(Bytes(key)) = map.next_key()? {
            let is = |name: &str| key.eq_ignore_ascii_case(name.as_bytes());
            // Null leaves a number or a string as it is and empties bytes.
            if is("type") {
                raw.kind = map.next_value::<Option<i64>>()?.unwrap_or(raw.kind);
            } else if is("name") {
                raw.name = map.next_value::<Option<Bytes<'_>>>()?.map_or(raw.name, |name| name.0);
            } else if is("name_raw") {
                raw.name_raw = map.next_value::<Option<Bytes<'_>>>()?.unwrap_or_default().0;
            } else if is("size") {
                raw.size = map.next_value::<Option<i64>>()?.unwrap_or(raw.size);
            } else if is("payload") {
                raw.payload = map.next_value::<Option<Bytes<'_>>>()?.unwrap_or_default().0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(raw)
    }
}

/// A JSON string's bytes, borrowed where nothing in it is escaped.
#[derive(Default)]
struct Bytes<'a>(Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Bytes<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_bytes(BytesVisitor).map(Self)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;

    use super::*;

    fn all(text: &[u8]) -> Result<Vec<Entry>, DecodeError> {
        Entries::new(text).collect()
    }

    fn segment(bytes: &[u8]) -> Entry {
        Entry::Segment(bytes.to_vec())
    }

    fn file(name: &[u8], size: u64, crc: Option<[u8; 8]>) -> Entry {
        Entry::File { name: name.to_vec(), size, crc }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).expect("a vector takes every write");
        out.finish().expect("a vector takes every write")
    }

    #[test]
    fn what_go_reads_is_read() {
        for (text, want) in [
            (r#"{"type":2,"payload":"aGk=","position":0}"#, segment(b"hi")),
            (r#"{"type":2,"payload":"","position":9}"#, segment(b"")),
            (r#"{"type":2,"payload":null}"#, segment(b"")),
            (r#"{"type":2}"#, segment(b"")),
            (r#"{"TYPE":2,"Payload":"a\nGk\r\n="}"#, segment(b"hi")),
            (r#"{"type":2,"payload":"aGl="}"#, segment(b"hi")),
            (r#"{"type":2,"payload":"YQ==","payload":"Yg=="}"#, segment(b"b")),
            (r#"{"payload":"YQ==","new":[{"type":1}],"type":2}"#, segment(b"a")),
            (r#"{"type":1,"name":"a/","payload":null,"position":1}"#, file(b"a/", 0, None)),
            (r#"{"type":1,"name":"\u003ca\u003e\/\u00fc\""}"#, file("<a>/ü\"".as_bytes(), 0, None)),
            (r#"{"type":1,"name":"a","name_raw":"/w=="}"#, file(b"\xff", 0, None)),
            (r#"{"type":1,"name":"a","name_raw":""}"#, file(b"a", 0, None)),
            (r#"{"type":1,"name":null,"name_raw":null,"size":null}"#, file(b"", 0, None)),
            (
                r#"{"type":1,"name":"a","size":1,"payload":"AAAAAAAAAAE="}"#,
                file(b"a", 1, Some([0, 0, 0, 0, 0, 0, 0, 1])),
            ),
        ] {
            assert_eq!(all(text.as_bytes()), Ok(vec![want]), "{text}");
        }
        let invalid = b"{\"type\":1,\"name\":\"a\xff\"}";
        assert_eq!(all(invalid), Ok(vec![file("a\u{fffd}".as_bytes(), 0, None)]));
    }

    #[test]
    fn white_space_and_members_are_free() {
        let one = "{\"type\":2,\"payload\":\"YQ==\"}";
        let other = "{\n \"type\" : 1,\r\n\t\"name\" : \"b\"\n}";
        let want = Ok(vec![segment(b"a"), file(b"b", 0, None)]);
        for text in [
            format!("{one}\n{other}\n"),
            format!("{one}{other}"),
            format!("\n\n {one}\r\n\r\n{other}\n\n"),
            format!("{one}{{}}null{{\"type\":3}}{other}"),
        ] {
            assert_eq!(all(text.as_bytes()), want, "{text}");
            assert_eq!(all(&gzip(text.as_bytes())), want, "{text}");
        }
        let tall = format!("{{\"type\":2,{}\"payload\":\"YQ==\"}}\n{other}", "\n".repeat(5000));
        assert_eq!(all(tall.as_bytes()), want);
        let members = [gzip(one.as_bytes()), gzip(b""), gzip(other.as_bytes())].concat();
        assert_eq!(all(&members), want);
        assert_eq!(all(b""), Ok(vec![]));
        assert_eq!(all(b" \n "), Ok(vec![]));
    }

    #[test]
    fn what_go_refuses_is_refused_at_its_byte() {
        let good = "{\"type\":2}\n";
        for bad in [
            "{",
            "{\"type\":2",
            "{\"type\":\"2\"}",
            "{\"type\":1.5}",
            "[]",
            "7",
            "x",
            "{\"type\":2,\"payload\":\"YQ\"}",
            "{\"type\":2,\"payload\":\"Y!==\"}",
            "{\"type\":2,\"payload\":5}",
            "{\"type\":1,\"size\":-1}",
            "{\"type\":1,\"size\":1}",
            "{\"type\":1,\"size\":1,\"payload\":\"YQ==\"}",
            "{\"type\":1,\"size\":99999999999999999999}",
        ] {
            let text = format!("{good}{bad}");
            let mut entries = Entries::new(text.as_bytes());
            assert_eq!(entries.next(), Some(Ok(segment(b""))), "{bad}");
            let error = entries.next().expect("an error").expect_err(bad);
            assert_eq!(error.offset, good.len() as u64, "{bad}: {error}");
            assert_eq!(entries.next(), None, "{bad}");
        }
    }

    #[test]
    fn a_cut_stream_is_an_error_and_not_an_end() {
        let whole = gzip(b"{\"type\":2}\n{\"type\":2}\n");
        for length in 1..whole.len() {
            assert!(all(&whole[..length]).is_err(), "cut at {length}");
        }
        assert!(all(&[whole.as_slice(), b"garbage"].concat()).is_err());
    }

    #[test]
    fn an_endless_entry_is_refused() {
        let open = io::BufReader::new(b"{\"type\":2,\"payload\":\"".chain(io::repeat(b'A')));
        let error = Entries::new(open).next().expect("an error").expect_err("endless");
        assert!(error.what.contains("more than"), "{error}");
    }
}
