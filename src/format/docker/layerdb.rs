//! The small files of `image/<driver>/layerdb`: one value each.
//!
//! Source: moby v29 daemon/internal/layer/filestore.go

use std::str::FromStr;

use crate::digest::{BadDigest, ChainId, DiffId};
use crate::error::{DecodeError, printable};

/// Reads `diff`.
///
/// # Errors
/// What is no digest.
pub fn diff_id(bytes: &[u8]) -> Result<DiffId, DecodeError> {
    digest(bytes)
}

/// Reads `parent`, of a layer or of a container's mount.
///
/// # Errors
/// What is no digest.
pub fn parent(bytes: &[u8]) -> Result<ChainId, DecodeError> {
    digest(bytes)
}

/// Reads `size`. Docker does not trim this one file, so neither does this.
///
/// # Errors
/// Anything but a number, a final line end too: Docker does not load such a layer.
pub fn size(bytes: &[u8]) -> Result<i64, DecodeError> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| wrong(bytes, "a number alone"))
}

/// Reads `cache-id`: the name of the driver's directory, not always 64 hex digits.
///
/// # Errors
/// What cannot be the name of a directory.
pub fn cache_id(bytes: &[u8]) -> Result<String, DecodeError> {
    let id = text(bytes)?;
    let hostile = matches!(id, "" | "." | "..") || id.contains(['/', '\0']);
    if hostile { Err(wrong(bytes, "the name of a directory")) } else { Ok(id.to_owned()) }
}

/// Reads `mount-id` or `init-id`: 64 hex digits, then perhaps `-init`.
///
/// # Errors
/// Anything else; Docker drops such a mount.
pub fn mount_id(bytes: &[u8]) -> Result<String, DecodeError> {
    let id = text(bytes)?;
    let hex = id.strip_suffix("-init").unwrap_or(id);
    let valid = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if valid { Ok(id.to_owned()) } else { Err(wrong(bytes, "64 hex digits")) }
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(bytes, "UTF-8"))?;
    Ok(text.trim())
}

fn digest<T: FromStr<Err = BadDigest>>(bytes: &[u8]) -> Result<T, DecodeError> {
    text(bytes)?.parse().map_err(|_| wrong(bytes, "`sha256:` and 64 lowercase hex digits"))
}

pub(super) fn wrong(found: &[u8], wanted: &str) -> DecodeError {
    let shown = printable(found.get(..80).unwrap_or(found)).into_owned();
    DecodeError::new(0, format!("found `{shown}` ({} bytes), wanted {wanted}", found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "a6153feb13c085c9c89f85d374449e5380027bda161d9936bb277a0f02244894";

    #[test]
    fn digests_may_have_space_around_them() {
        for text in [format!("sha256:{HEX}"), format!(" sha256:{HEX}\n")] {
            assert_eq!(diff_id(text.as_bytes()).map(|id| id.hex()).as_deref(), Ok(HEX));
            assert_eq!(parent(text.as_bytes()).map(|id| id.hex()).as_deref(), Ok(HEX));
        }
        for text in ["", "sha256:", HEX, "sha256:A6\0", "\u{feff}"] {
            assert!(diff_id(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parent(b"\xff").is_err());
    }

    #[test]
    fn a_size_stands_alone() {
        for (text, want) in [("0", 0), ("1536", 1536), ("-1", -1), ("+7", 7), ("007", 7)] {
            assert_eq!(size(text.as_bytes()), Ok(want));
        }
        for text in ["", "1\n", " 1", "1_000", "0x10", "9223372036854775808"] {
            assert!(size(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_cache_id_is_one_name() {
        for text in [HEX, "jtq04xc71byhgfy3xppwsta9o", "x\n"] {
            assert_eq!(cache_id(text.as_bytes()).as_deref(), Ok(text.trim()));
        }
        for text in ["", " \n", ".", "..", "../x", "a/b", "/etc", "a\0b"] {
            assert!(cache_id(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_mount_id_is_hex() {
        let init = format!("{HEX}-init");
        for text in [HEX, &init] {
            assert_eq!(mount_id(text.as_bytes()).as_deref(), Ok(text));
        }
        for text in [&HEX[1..], "", "-init", &HEX.to_uppercase(), &format!("{init}-init")] {
            assert!(mount_id(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_error_shows_what_was_found() {
        let error = size(b"12\n").expect_err("a line end");
        assert_eq!(error.what, "found `12\\n` (3 bytes), wanted a number alone");
        assert!(size(&[b'x'; 1000]).expect_err("no number").what.len() < 200);
    }
}
