//! Lines of JSON, as the driver `json-file` writes them.
//!
//! ```text
//! {"log":"hello\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-20T17:27:44.683066477Z"}
//! ```
//!
//! moby v28.5 daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go

use std::borrow::Cow;

use memchr::memmem::rfind;
use memchr::{memchr, memchr2, memrchr};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Frame, LIMIT, Record, Tail};
use crate::error::DecodeError;
use crate::format::raw::{decode as decode_object, located};
use crate::format::time::Timestamp;

pub(super) fn frame(bytes: &[u8], is_end: bool) -> Frame {
    match memchr(b'\n', bytes) {
        Some(end) if end < LIMIT => Frame::Record(0..end, end.saturating_add(1)),
        Some(end) => Frame::Damage(end.saturating_add(1), too_long()),
        None if bytes.len() > LIMIT => Frame::Damage(bytes.len(), too_long()),
        None if is_end => Frame::Torn,
        None => Frame::More,
    }
}

fn too_long() -> String {
    format!("a line of more than {LIMIT} bytes")
}

pub(super) fn tail(end: &[u8], wanted: u64) -> Tail {
    // What stands after the last newline is torn.
    let mut upto = memrchr(b'\n', end);
    let mut found = 0;
    while let Some(newline) = upto {
        if found == wanted {
            return Tail::From(newline.saturating_add(1));
        }
        found = found.saturating_add(1);
        upto = end.get(..newline).and_then(|before| memrchr(b'\n', before));
    }
    Tail::Only(found)
}

/// How a record begins; inside one, quotes are escaped.
const START: &[u8] = br#"{"log":""#;

pub(super) fn salvage(body: &[u8]) -> Option<usize> {
    let at = rfind(body, START).filter(|at| *at > 0)?;
    decode(body.get(at..)?).is_ok().then_some(at)
}

/// A line whose texts are taken from it where nothing in them is escaped.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "pairs")]
    attrs: Pairs<'a>,
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A line in Go's reading: any bytes in a text, `null` for nothing, the last of equal names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Loose {
    log: Option<String>,
    stream: Option<String>,
    time: Option<String>,
    attrs: Option<std::collections::BTreeMap<String, Option<String>>>,
}

pub(super) fn decode(body: &[u8]) -> Result<Record<'_>, DecodeError> {
    if let Some(record) = usual(body) {
        return Ok(record);
    }
    match serde_json::from_slice::<Line<'_>>(body) {
        Ok(line) if body.first() == Some(&b'{') => Ok(Record {
            time: Timestamp::parse(&line.time)?,
            stream: line.stream,
            log: bytes(line.log),
            attrs: line.attrs,
        }),
        Ok(_) => loose(body),
        Err(error) => loose(body).map_err(|_| located(body, &error)),
    }
}

/// Reads a line as dockerd writes nearly all of them; serde takes three times as long, and there are
/// millions. Nothing for any other line.
fn usual(body: &[u8]) -> Option<Record<'_>> {
    let (log, rest) = text(body.strip_prefix(START)?)?;
    let rest = rest.strip_prefix(br#","stream":""#)?;
    let stream = std::str::from_utf8(rest.get(..6)?).ok()?;
    let time = rest.get(6..)?.strip_prefix(br#"","time":""#)?.strip_suffix(br#""}"#)?;
    let time = Timestamp::parse_utc(time)?;
    let is_stream = matches!(stream, "stdout" | "stderr");
    is_stream.then_some(Record { time, stream: stream.into(), log, attrs: Vec::new() })
}

/// Reads a text up to the quote that ends it, and returns it with what follows.
fn text(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (mut read, mut rest) = (Vec::new(), bytes);
    loop {
        let (plain, after) = rest.split_at_checked(memchr2(b'"', b'\\', rest)?)?;
        // Looked at whole, many bytes at once: a loop that stops at the first takes them one by one.
        let lowest = plain.iter().fold(u8::MAX, |lowest, byte| lowest.min(*byte));
        let is_plain = lowest >= b' ' && std::str::from_utf8(plain).is_ok();
        let (end, after) = after.split_first().filter(|_| is_plain)?;
        if *end == b'"' && read.is_empty() {
            return Some((plain.into(), after));
        }
        if read.is_empty() {
            read.reserve(plain.len().saturating_add(16));
        }
        read.extend_from_slice(plain);
        if *end == b'"' {
            return Some((read.into(), after));
        }
        let (escaped, after) = after.split_first()?;
        read.push(match escaped {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'"' | b'\\' | b'/' => *escaped,
            _ => return None,
        });
        rest = after;
    }
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn loose(body: &[u8]) -> Result<Record<'static>, DecodeError> {
    let line: Loose = decode_object(body)?;
    let attrs = line.attrs.unwrap_or_default().into_iter();
    let attrs = attrs.map(|(key, value)| (key.into(), value.unwrap_or_default().into()));
    Ok(Record {
        time: Timestamp::parse(&line.time.unwrap_or_default())?,
        stream: line.stream.unwrap_or_default().into(),
        log: line.log.unwrap_or_default().into_bytes().into(),
        attrs: attrs.collect(),
    })
}

fn pairs<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Pairs<'a>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    struct Seen;

    impl<'de> Visitor<'de> for Seen {
        type Value = Pairs<'de>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut pairs = Vec::new();
            while let Some((Text(key), Text(value))) = map.next_entry()? {
                pairs.push((key, value));
            }
            Ok(pairs)
        }
    }

    from.deserialize_map(Seen)
}
