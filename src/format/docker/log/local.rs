//! Messages with their length before and after them, as the driver `local` writes them.
//!
//! ```text
//! record  length: u32 big-endian │ LogEntry │ length again
//! ```
//!
//! moby v28.5 daemon/logger/local/read.go, api/types/plugins/logdriver/entry.proto

use std::borrow::Cow;

use super::{Frame, LIMIT, Record, Tail};
use crate::error::DecodeError;
use crate::format::protobuf::{Value, Wire};
use crate::format::time::Timestamp;

const LENGTH: usize = 4;

pub(super) fn frame(bytes: &[u8], is_end: bool) -> Frame {
    let Some(length) = length_at(bytes, 0) else {
        return if is_end { Frame::Torn } else { Frame::More };
    };
    let what = if length == 0 || length > LIMIT {
        format!("found a record of {length} bytes, wanted 1 to {LIMIT}")
    } else {
        let end = LENGTH.saturating_add(length);
        match length_at(bytes, end) {
            Some(again) if again == length => {
                return Frame::Record(LENGTH..end, end.saturating_add(LENGTH));
            }
            Some(again) => format!("found a record of {length} bytes that ends as one of {again}"),
            None if !is_end => return Frame::More,
            // A length that was never written whole leads past the end too.
            None if next_record(bytes).is_none() => return Frame::Torn,
            None => format!("found a record of {length} bytes, and the file ends before"),
        }
    };
    damage(bytes, is_end, what)
}

/// Returns the damage up to the next record, or to where one may begin that goes on behind `bytes`.
fn damage(bytes: &[u8], is_end: bool, what: String) -> Frame {
    let may_begin = |at: &usize| match length_at(bytes, *at) {
        Some(length) => (1..=LIMIT).contains(&length) && body_end(bytes, *at).is_none(),
        None => true,
    };
    let open = || (1..bytes.len()).find(|at| !is_end && may_begin(at));
    Frame::Damage(next_record(bytes).or_else(open).unwrap_or(bytes.len()), what)
}

/// Returns where the body of a record at `at` ends, if the length after it is in `bytes` too.
fn body_end(bytes: &[u8], at: usize) -> Option<usize> {
    let end = at.checked_add(LENGTH)?.checked_add(length_at(bytes, at)?)?;
    length_at(bytes, end).map(|_| end)
}

/// So many places that look like a record are looked into before the rest is given up.
const GUESSES: usize = 64;

/// Returns where in `bytes`, but not at their start, a whole record begins.
fn next_record(bytes: &[u8]) -> Option<usize> {
    let is_framed = |at: &usize| body_at(bytes, *at).is_some();
    let mut framed = (1..bytes.len()).filter(is_framed).take(GUESSES);
    framed.find(|at| body_at(bytes, *at).is_some_and(|body| decode(body).is_ok()))
}

fn body_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = length_at(bytes, at).filter(|length| (1..=LIMIT).contains(length))?;
    let start = at.checked_add(LENGTH)?;
    let end = start.checked_add(length)?;
    let is_whole = length_at(bytes, end) == Some(length);
    bytes.get(start..end).filter(|_| is_whole)
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(LENGTH)?)?;
    let length = u32::from_be_bytes(four.try_into().ok()?);
    usize::try_from(length).ok()
}

pub(super) fn tail(end: &[u8], wanted: u64) -> Tail {
    let (mut start, mut found) = (end.len(), 0);
    while found < wanted {
        let Some(length) = start.checked_sub(LENGTH).and_then(|at| length_at(end, at)) else {
            return Tail::Only(found);
        };
        if length == 0 || length > LIMIT {
            return Tail::Unclear;
        }
        let Some(before) = start.checked_sub(length.saturating_add(2 * LENGTH)) else {
            return Tail::Only(found);
        };
        if length_at(end, before) != Some(length) {
            return Tail::Unclear;
        }
        (start, found) = (before, found.saturating_add(1));
    }
    Tail::From(start)
}

pub(super) fn decode(body: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut wire = Wire::new(body);
    let (mut stream, mut line, mut nanos) = (Cow::default(), [].as_slice(), 0);
    let (mut is_partial, mut is_last, mut attrs) = (false, false, Vec::new());
    while let Some((number, value)) = wire.field()? {
        match (number, value) {
            (1, Value::Bytes(source)) => stream = String::from_utf8_lossy(source),
            (2, Value::Number(time)) => nanos = time.cast_signed(),
            (3, Value::Bytes(bytes)) => line = bytes,
            (4, Value::Number(partial)) => is_partial = partial != 0,
            (5, Value::Bytes(metadata)) => is_last = last(metadata)?,
            (6, Value::Bytes(attr)) => attrs.push(pair(attr)?),
            (1..=6, _) => return Err(wire.wrong("a field of another type than wanted")),
            _ => {}
        }
    }
    let log = match is_partial && !is_last {
        true => Cow::Borrowed(line),
        false => Cow::Owned([line, b"\n"].concat()),
    };
    Ok(Record { time: timestamp(nanos), stream, log, attrs })
}

fn timestamp(nanos: i64) -> Timestamp {
    const SECOND: i64 = 1_000_000_000;
    let rest = u32::try_from(nanos.rem_euclid(SECOND)).unwrap_or_default();
    Timestamp { seconds: nanos.div_euclid(SECOND), nanos: rest }
}

/// Reads whether this is the last part of a line.
fn last(metadata: &[u8]) -> Result<bool, DecodeError> {
    let (mut wire, mut last) = (Wire::new(metadata), false);
    while let Some((number, value)) = wire.field()? {
        if let (1, Value::Number(is_last)) = (number, value) {
            last = is_last != 0;
        }
    }
    Ok(last)
}

fn pair(attr: &[u8]) -> Result<(Cow<'_, str>, Cow<'_, str>), DecodeError> {
    let (mut wire, mut pair) = (Wire::new(attr), <(Cow<'_, str>, Cow<'_, str>)>::default());
    while let Some((number, value)) = wire.field()? {
        match (number, value) {
            (1, Value::Bytes(key)) => pair.0 = String::from_utf8_lossy(key),
            (2, Value::Bytes(value)) => pair.1 = String::from_utf8_lossy(value),
            _ => {}
        }
    }
    Ok(pair)
}
