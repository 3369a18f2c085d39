//! SHA-256 digests, and a type for each thing that is named by one.
//!
//! The same 32 bytes can name a compressed blob, an uncompressed tar, a chain of layers or an image
//! config. Mixing them up compiles in most tools; here it does not.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written `sha256:<64 lowercase hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Text that is not `sha256:` and 64 lowercase hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDigest;

impl fmt::Display for BadDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not `sha256:` and 64 lowercase hex digits")
    }
}

impl std::error::Error for BadDigest {}

impl Digest {
    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the digest whose 32 bytes are `bytes`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lowercase hex digits without the `sha256:` before them, as file names hold them.
    ///
    /// # Errors
    /// [`BadDigest`] for any other text.
    pub fn from_hex(text: &str) -> Result<Self, BadDigest> {
        let mut bytes = [0; 32];
        // The decoder would pass over `0x` before them.
        if text.len() != 2 * bytes.len() || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(BadDigest);
        }
        const_hex::decode_to_slice(text, &mut bytes).map_err(|_| BadDigest)?;
        Ok(Self(bytes))
    }

    /// Returns the 64 hex digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        const_hex::encode(self.0)
    }

    /// Returns the first 12 hex digits, as Docker shows IDs.
    #[must_use]
    pub fn short(&self) -> String {
        const_hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        f.write_str(const_hex::Buffer::<32>::new().format(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        Self::from_hex(text.strip_prefix("sha256:").ok_or(BadDigest)?)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! typed {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl $name {
            /// Returns the 64 hex digits alone.
            #[must_use]
            pub fn hex(&self) -> String {
                self.0.hex()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = BadDigest;

            fn from_str(text: &str) -> Result<Self, BadDigest> {
                text.parse().map(Self)
            }
        }
    };
}

typed! {
    /// Names one layer: the digest of its uncompressed tar.
    DiffId
}
typed! {
    /// Names a layer together with all the layers below it.
    ChainId
}
typed! {
    /// Names bytes in a content store: a manifest, an index, a config or a (compressed) layer.
    BlobId
}
typed! {
    /// Names an image config; the image ID of the classic store.
    ConfigId
}

impl ChainId {
    /// Returns the chain ID of `diff_id` on top of `parent`.
    ///
    /// opencontainers/image-spec identity/chainid.go
    #[must_use]
    pub fn child(parent: Option<Self>, diff_id: DiffId) -> Self {
        match parent {
            None => Self(diff_id.0),
            Some(parent) => Self(Digest::of(format!("{parent} {diff_id}").as_bytes())),
        }
    }

    /// Returns the chain ID of every prefix of `diff_ids`, the base layer's first.
    #[must_use]
    pub fn chain(diff_ids: &[DiffId]) -> Vec<Self> {
        let mut below = None;
        diff_ids
            .iter()
            .map(|diff_id| {
                let chain_id = Self::child(below, *diff_id);
                below = Some(chain_id);
                chain_id
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_a_digest_is_refused() {
        let hex = "ab".repeat(32);
        assert!(format!("sha256:{hex}").parse::<Digest>().is_ok());
        for bad in [
            hex.clone(),
            format!("sha512:{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha256:0x{hex}"),
            String::new(),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(BadDigest), "{bad:?}");
        }
    }

    /// The vector of image-spec's own test, recomputed with coreutils' sha256sum.
    #[test]
    fn a_chain_id_hashes_the_text_of_parent_and_diff_id() {
        let [a, b] = [DiffId(Digest::of(b"a")), DiffId(Digest::of(b"b"))];
        let chain = ChainId::chain(&[a, b]);
        assert_eq!(chain[0].0, a.0);
        assert_eq!(chain[1].0, Digest::of(format!("{a} {b}").as_bytes()));
        assert!(ChainId::chain(&[]).is_empty());
    }
}
