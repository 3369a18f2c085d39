//! JSON as it lies on a disk: the bytes, which are the truth, and a reading of them.
//!
//! Reading is as forgiving as Go's `encoding/json`, which wrote nearly all of it: unknown members
//! are skipped, `null` leaves a default, the last of two equal names wins, and bytes in a text that
//! are not UTF-8 become U+FFFD.

use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::DecodeError;
use crate::format::wide;

/// Bytes that have a digest, and what they were read as. Only the bytes are ever written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw<T> {
    /// The bytes as found.
    pub bytes: Vec<u8>,
    /// A reading of the bytes.
    pub value: T,
}

impl<T: DeserializeOwned> Raw<T> {
    /// Reads `bytes` and keeps them.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, DecodeError> {
        let bytes = bytes.into();
        let value = decode(&bytes)?;
        Ok(Self { bytes, value })
    }
}

impl<T> Raw<T> {
    /// Returns the digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

impl<T> Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Reads one JSON object.
///
/// # Errors
/// The byte at which the text stops being JSON, or being what `T` wants.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // serde would take a list for the members of a struct in their order.
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(bytes.len());
    if bytes.get(start) != Some(&b'{') {
        return Err(DecodeError::new(wide(start), "not a JSON object"));
    }
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text).or_else(|error| {
        let last_wins = || serde_json::from_str::<Value>(&text).and_then(T::deserialize);
        match error.is_data().then(last_wins) {
            Some(Ok(value)) => Ok(value),
            _ => Err(located(bytes, &error)),
        }
    })
}

/// Turns the line and column of a JSON error into a byte offset.
pub(crate) fn located(bytes: &[u8], error: &serde_json::Error) -> DecodeError {
    let text = error.to_string();
    let what = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    let lines = bytes.split_inclusive(|b| *b == b'\n');
    let start: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    // The column counts from 1 and names the byte that was not expected.
    let offset = start.saturating_add(error.column().saturating_sub(1));
    let offset = if error.is_eof() { bytes.len() } else { offset.min(bytes.len()) };
    DecodeError::new(wide(offset), what)
}

/// Reads a member whose `null` means the same as its absence.
pub(crate) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Returns `value` as Go's `json.Marshal` writes it: compact, with `<`, `>`, `&`, U+2028 and U+2029
/// escaped. Digests are taken of such bytes, so they must not differ in one.
///
/// # Panics
/// If `value` has a map whose keys are not texts; no type of this crate has.
pub(crate) fn go_json(value: &impl Serialize) -> Vec<u8> {
    let plain = serde_json::to_string(value).expect("maps here have texts for keys");
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            // These can only stand inside a string of the text.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq, Eq)]
    #[serde(default)]
    struct Thing {
        #[serde(deserialize_with = "or_default")]
        name: String,
        size: Option<u64>,
    }

    fn thing(name: &str, size: Option<u64>) -> Thing {
        Thing { name: name.to_owned(), size }
    }

    #[test]
    fn reading_forgives_what_go_forgives() {
        for (text, want) in [
            (&b"{}"[..], thing("", None)),
            (b" {\"name\":null,\"size\":null} \n", thing("", None)),
            (br#"{"name":"a","new":[{"x":null}],"size":1}"#, thing("a", Some(1))),
            (br#"{"name":"a","size":1,"name":"b"}"#, thing("b", Some(1))),
            (b"{\"name\":\"a\xff\"}", thing("a\u{fffd}", None)),
        ] {
            assert_eq!(decode::<Thing>(text), Ok(want));
        }
    }

    #[test]
    fn an_error_names_the_byte() {
        for (text, offset) in [
            (&b""[..], 0),
            (b"{\"name\":", 8),
            (b"{\n\"name\": x}", 10),
            (b"{}\n}", 3),
            (b"\xff{}", 0),
            (b"{\"name\":7}", 8),
        ] {
            let error = decode::<Thing>(text).expect_err("broken");
            assert_eq!(error.offset, offset, "{error}");
            assert!(!error.what.contains("line"), "{error}");
        }
    }

    #[test]
    fn the_digest_is_of_the_bytes_not_of_the_reading() {
        let spaced = Raw::<Thing>::parse(*b"{ \"name\": \"a\" }").expect("sound");
        let dense = Raw::<Thing>::parse(*b"{\"name\":\"a\"}").expect("sound");
        assert_eq!(spaced.value, dense.value);
        assert_ne!(spaced.digest(), dense.digest());
        assert_eq!(dense.digest(), Digest::of(b"{\"name\":\"a\"}"));
        assert_eq!(dense.name, "a");
    }

    #[test]
    fn go_escapes_what_html_would_mind() {
        assert_eq!(
            go_json(&"a<b>&\u{2028}\u{e4}\n"),
            "\"a\\u003cb\\u003e\\u0026\\u2028ä\\n\"".as_bytes()
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode::<Thing>(&bytes);
            let _ = decode::<Value>(&bytes);
        }
    }
}
