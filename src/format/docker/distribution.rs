//! `image/<driver>/distribution/v2metadata-by-diffid`: under which digests registries have a layer.
//! dockerd asks those first when it pushes the layer.
//!
//! Source: moby v28 distribution/metadata/v2_metadata_service.go

use serde::{Deserialize, Serialize};

use crate::digest::BlobId;
use crate::error::DecodeError;
use crate::format::raw::{go_json, or_default};

/// The most places of one layer that dockerd remembers.
const MOST: usize = 50;

/// A place where a registry has a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Known {
    #[serde(deserialize_with = "or_default")]
    digest: String,
    #[serde(deserialize_with = "or_default")]
    source_repository: String,
    /// Of the credentials that the layer was pushed with; empty if it was pulled.
    #[serde(rename = "HMAC", deserialize_with = "or_default")]
    hmac: String,
}

/// Returns the file `old` with the places `new` at its end: the digest of the layer's blob, and the
/// canonical name of the repository. The oldest places beyond what dockerd remembers are left out.
///
/// The file is a cache: one that cannot be read is replaced.
#[must_use]
pub fn add<'a>(old: &[u8], new: impl IntoIterator<Item = (BlobId, &'a str)>) -> Vec<u8> {
    let mut all: Vec<Known> = serde_json::from_slice(old).unwrap_or_default();
    for (blob, repository) in new {
        let (digest, source_repository) = (blob.to_string(), repository.to_owned());
        let place = Known { digest, source_repository, hmac: String::new() };
        all.retain(|known| *known != place);
        all.push(place);
    }
    all.drain(..all.len().saturating_sub(MOST));
    go_json(&all)
}

/// Returns the digests of the blobs that are named in a file, the oldest first.
///
/// # Errors
/// What is no list of places, or names something that is no digest.
pub fn blobs(bytes: &[u8]) -> Result<Vec<BlobId>, DecodeError> {
    let read = |known: Known| {
        let what = |error| format!("found the digest {:?}: {error}", known.digest);
        known.digest.parse().map_err(|error| DecodeError::new(0, what(error)))
    };
    known(bytes)?.into_iter().map(read).collect()
}

/// Returns the repositories that are named in a file, each once: those that the layer was pulled from come
/// first, the newest of them before the others.
///
/// # Errors
/// What is no list of places.
pub fn repositories(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut all = known(bytes)?;
    all.reverse();
    all.sort_by_key(|known| !known.hmac.is_empty());
    let mut names: Vec<String> = Vec::new();
    for known in all {
        if !names.contains(&known.source_repository) {
            names.push(known.source_repository);
        }
    }
    Ok(names)
}

fn known(bytes: &[u8]) -> Result<Vec<Known>, DecodeError> {
    let wrong = |error: serde_json::Error| DecodeError::new(0, format!("no list: {error}"));
    let all: Option<Vec<Known>> = serde_json::from_slice(bytes).map_err(wrong)?;
    Ok(all.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn text(blob: BlobId, repository: &str, hmac: &str) -> String {
        format!(r#"{{"Digest":"{blob}","SourceRepository":"{repository}","HMAC":"{hmac}"}}"#)
    }

    #[test]
    fn the_newest_place_is_the_last() {
        let [a, b] = [b"a", b"b"].map(|bytes| BlobId(Digest::of(bytes)));
        let (first, other, pushed) = (text(a, "r/x", ""), text(b, "r/x", ""), text(a, "r/x", "ff"));
        let (old_form, all) = (first.replace(r#","HMAC":"""#, ""), [(a, "r/x"), (b, "r/x")]);
        for (old, new, want) in [
            ("", &all[..], format!("[{first},{other}]")),
            ("null", &all[..1], format!("[{first}]")),
            ("[{]", &all[..1], format!("[{first}]")),
            (&format!("[{old_form},{other}]"), &all[..1], format!("[{other},{first}]")),
            (&format!("[{pushed}]"), &all[..1], format!("[{pushed},{first}]")),
            (&format!("[{first}]"), &[], format!("[{first}]")),
        ] {
            let written = add(old.as_bytes(), new.iter().copied());
            assert_eq!(String::from_utf8(written).expect("JSON"), want, "{old}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let names: Vec<String> = (0..60).map(|n| format!("r/{n}")).collect();
        let blob = BlobId(Digest::of(b"a"));
        let written = add(b"", names.iter().map(|name| (blob, name.as_str())));
        let all: Vec<Known> = serde_json::from_slice(&written).expect("JSON");
        let kept: Vec<_> = all.iter().map(|known| known.source_repository.as_str()).collect();
        assert_eq!(kept, names[10..].iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn where_a_layer_was_pulled_from_comes_first() {
        let blob = BlobId(Digest::of(b"a"));
        let places = [("r/old", ""), ("r/pushed", "ff"), ("r/new", ""), ("r/old", "ff")];
        let places: Vec<_> = places.iter().map(|(name, hmac)| text(blob, name, hmac)).collect();
        let file = format!("[{}]", places.join(","));
        let found = repositories(file.as_bytes()).expect("a list");
        assert_eq!(found, ["r/new", "r/old", "r/pushed"]);
        assert!(repositories(b"[{").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (add(&bytes, []), repositories(&bytes));
        }
    }
}
