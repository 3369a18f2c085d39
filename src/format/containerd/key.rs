//! Keys in the bolt file of a snapshotter.
//!
//! Source: containerd v2 core/metadata/snapshot.go createKey, core/snapshots/storage/bolt.go parentKey

use std::fmt;

use super::value::{encode_uvarint, split_uvarint, uvarint};
use crate::error::DecodeError;
use crate::format::wide;

/// What a snapshotter calls a snapshot: `<namespace>/<number>/<key>`, so that equal keys of two
/// namespaces, or of two times, never meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendKey {
    /// The namespace: `moby`.
    pub namespace: String,
    /// The number `meta.db` gave it; nothing to do with the snapshot's directory.
    pub number: u64,
    /// What the namespace calls the snapshot: a chain ID, a container's ID.
    pub key: String,
}

impl BackendKey {
    /// Reads a key; slashes after the second belong to the last part.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wrong = || {
            let shown = crate::error::printable(bytes.get(..200).unwrap_or(bytes)).into_owned();
            DecodeError::new(0, format!("found `{shown}`, wanted `<namespace>/<number>/<key>`"))
        };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
        let (namespace, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (number, key) = rest.split_once('/').ok_or_else(wrong)?;
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        if namespace.is_empty() || key.is_empty() {
            return Err(wrong());
        }
        Ok(Self { namespace: namespace.to_owned(), number, key: key.to_owned() })
    }
}

impl fmt::Display for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.number, self.key)
    }
}

/// Reads a key of the bucket `parents`: the directory numbers of a parent and its child.
///
/// # Errors
/// Anything but two numbers with a zero byte between them.
pub fn parent_link(bytes: &[u8]) -> Result<(u64, u64), DecodeError> {
    let (parent, rest) = split_uvarint(bytes)?;
    let at = |rest: &[u8]| wide(bytes.len().saturating_sub(rest.len()));
    let zero = || DecodeError::new(at(rest), "no zero byte between parent and child");
    let child = rest.strip_prefix(&[0]).ok_or_else(zero)?;
    let offset = at(child);
    let child = uvarint(child)
        .map_err(|error| DecodeError::new(error.offset.saturating_add(offset), error.what))?;
    Ok((parent, child))
}

/// Returns the key in the bucket `parents` of a parent and its child.
#[must_use]
pub fn encode_parent_link(parent: u64, child: u64) -> Vec<u8> {
    [encode_uvarint(parent), vec![0], encode_uvarint(child)].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_backend_key_has_three_parts() {
        for (text, namespace, number, key) in [
            ("moby/4/sha256:ab", "moby", 4, "sha256:ab"),
            ("moby-100000.100000/0/x", "moby-100000.100000", 0, "x"),
            ("k8s.io/18/extract-1-abcd sha256:ab", "k8s.io", 18, "extract-1-abcd sha256:ab"),
            ("moby/7/a/b/c", "moby", 7, "a/b/c"),
        ] {
            let read = BackendKey::parse(text.as_bytes()).expect(text);
            assert_eq!(
                (read.namespace.as_str(), read.number, read.key.as_str()),
                (namespace, number, key)
            );
            assert_eq!(read.to_string(), text);
        }
        for text in [
            "",
            "moby",
            "moby/1",
            "moby//x",
            "moby/x/y",
            "moby/+1/y",
            "/1/y",
            "moby/1/",
            "moby/18446744073709551616/x",
        ] {
            assert!(BackendKey::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(BackendKey::parse(b"moby/1/\xff").is_err());
    }

    #[test]
    fn a_parent_link_has_two_numbers() {
        for (bytes, want) in
            [(&[1, 0, 2][..], (1, 2)), (&[0x80, 1, 0, 0xac, 2], (128, 300)), (&[0, 0, 0], (0, 0))]
        {
            assert_eq!(parent_link(bytes), Ok(want));
            assert_eq!(encode_parent_link(want.0, want.1), bytes);
        }
        for (bytes, offset) in [
            (&[][..], 0),
            (&[1], 1),
            (&[1, 2], 1),
            (&[1, 0], 2),
            (&[1, 0, 0x80], 3),
            (&[1, 0, 2, 3], 3),
        ] {
            assert_eq!(parent_link(bytes).map_err(|error| error.offset), Err(offset), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_read_back(parent: u64, child: u64, namespace in "[a-z0-9.-]{1,8}", key in ".{1,8}") {
            prop_assert_eq!(parent_link(&encode_parent_link(parent, child)), Ok((parent, child)));
            let backend = BackendKey { namespace, number: parent, key };
            prop_assert_eq!(BackendKey::parse(backend.to_string().as_bytes()), Ok(backend));
        }
    }
}
