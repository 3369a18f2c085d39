//! `image/<driver>/repositories.json`: the names of the classic store's images.
//!
//! Source: moby v29 daemon/internal/refstore/store.go

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::ConfigId;
use crate::error::DecodeError;
use crate::format::raw::{decode, go_json, or_default};
use crate::format::reference::Reference;

/// One name, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The repository the name stands under: `alpine`.
    pub repository: String,
    /// The name: `alpine:3.20`, `alpine@sha256:…`.
    pub name: String,
    /// The image: `sha256:…`.
    pub image: String,
    /// What Docker makes of it.
    pub reading: Result<(Reference, ConfigId), Oddity>,
}

/// Why Docker does not find an image by a name that is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The name is no reference; Docker leaves it in the file and never shows it.
    Name,
    /// The name is sound, but written or filed as Docker does not look it up.
    Filed,
    /// The image is not given by the digest of a config.
    Image,
}

impl Oddity {
    /// Returns what is odd, as the end of a sentence about the name.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Name => "is not a reference; Docker ignores it",
            Self::Filed => "is not where Docker looks it up",
            Self::Image => "does not lead to an image ID",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct File {
    #[serde(deserialize_with = "or_default")]
    repositories: BTreeMap<String, Option<BTreeMap<String, Option<String>>>>,
    /// Members that no Docker has so far.
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// The names of a store, to be added to. What Docker does not understand stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(File);

impl Names {
    /// Reads the file.
    ///
    /// # Errors
    /// What dockerd refuses to start with: a file that is not this JSON.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes).map(Self)
    }

    /// Returns the image that a name leads to, as written: `sha256:…`.
    #[must_use]
    pub fn get(&self, reference: &Reference) -> Option<&str> {
        let (repository, name) = filed(reference);
        self.0.repositories.get(&repository)?.as_ref()?.get(&name)?.as_deref()
    }

    /// Gives a name to an image, whoever had it before; `false` for a repository called `sha256`, which
    /// dockerd refuses.
    ///
    /// A reference with a tag and a digest is kept by its digest, one with neither as `latest`.
    pub fn set(&mut self, reference: &Reference, image: ConfigId) -> bool {
        let (repository, name) = filed(reference);
        if repository == "sha256" {
            return false;
        }
        let names = self.0.repositories.entry(repository).or_default();
        names.get_or_insert_default().insert(name, Some(image.to_string()));
        true
    }

    /// Returns the file, as dockerd writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        go_json(&self.0)
    }
}

/// Returns the repository and the name that Docker keeps a reference under.
fn filed(reference: &Reference) -> (String, String) {
    let reference = reference.clone().favor_digest().tag_name_only();
    (reference.familiar_name(), reference.familiar())
}

/// Reads all names, in the order of repository and name.
///
/// # Errors
/// What dockerd refuses to start with: a file that is not this JSON.
pub fn read(bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let file: File = decode(bytes)?;
    let mut entries = Vec::new();
    for (repository, names) in file.repositories {
        for (name, image) in names.unwrap_or_default() {
            let image = image.unwrap_or_default();
            let reading = reading(&repository, &name, &image);
            entries.push(Entry { repository: repository.clone(), name, image, reading });
        }
    }
    Ok(entries)
}

fn reading(repository: &str, name: &str, image: &str) -> Result<(Reference, ConfigId), Oddity> {
    let reference = Reference::parse_normalized(name).map_err(|_| Oddity::Name)?;
    let bare = reference.tag().is_none() && reference.digest().is_none();
    if bare || reference.familiar() != name || reference.familiar_name() != repository {
        return Err(Oddity::Filed);
    }
    Ok((reference, image.parse().map_err(|_| Oddity::Image)?))
}

/// Returns the file that holds these names, as dockerd writes it; a later name replaces an equal one.
///
/// Names are kept as by [`Names::set`]; those that it refuses are left out.
#[must_use]
pub fn write<'a>(names: impl IntoIterator<Item = (&'a Reference, ConfigId)>) -> Vec<u8> {
    let mut all = Names::default();
    for (reference, image) in names {
        let _ = all.set(reference, image);
    }
    all.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a Docker 28.5 root, shortened.
    const REAL: &str = concat!(
        r#"{"Repositories":{"127.0.0.1:5000/lib/index":{"127.0.0.1:5000/lib/index:1":"sha256:2bbd7b055fb96b591043bace2abb5639c2c2f9a4dc19734d08423885c00dfcad","#,
        r#""127.0.0.1:5000/lib/index@sha256:d809727f87fe3b3008a56823dd3c45fcec449d4af4911c133f5189ef3b5a128c":"sha256:2bbd7b055fb96b591043bace2abb5639c2c2f9a4dc19734d08423885c00dfcad"},"#,
        r#""tiny/base":{"tiny/base:1":"sha256:a6153feb13c085c9c89f85d374449e5380027bda161d9936bb277a0f02244894"},"#,
        r#""weird":{"weird:1":"sha256:45eef71f9c7eb04fd93a6cbd1086e45bd2b5c1847110d018cae505490987a7ff"}}}"#
    );

    #[test]
    fn what_docker_wrote_is_read_and_written_alike() {
        let entries = read(REAL.as_bytes()).expect("sound");
        assert_eq!(entries.len(), 4);
        let names: Vec<_> =
            entries.iter().map(|entry| entry.reading.clone().expect("no oddity")).collect();
        assert_eq!(names[3].0.to_string(), "docker.io/library/weird:1");
        let written = write(names.iter().rev().map(|(reference, image)| (reference, *image)));
        assert_eq!(String::from_utf8_lossy(&written), REAL);
    }

    #[test]
    fn odd_names_are_kept_and_told() {
        let image = "sha256:2bbd7b055fb96b591043bace2abb5639c2c2f9a4dc19734d08423885c00dfcad";
        for (repository, name, image, want) in [
            ("a", "a:Ü", image, Oddity::Name),
            ("a", "", image, Oddity::Name),
            ("a", "b:1", image, Oddity::Filed),
            ("a", "docker.io/library/a:1", image, Oddity::Filed),
            ("a", "a", image, Oddity::Filed),
            ("a", "a:1", "sha256:short", Oddity::Image),
        ] {
            let text = format!(r#"{{"Repositories":{{"{repository}":{{"{name}":"{image}"}}}}}}"#);
            let entries = read(text.as_bytes()).expect("JSON");
            assert_eq!(entries[0].reading, Err(want), "{name}");
            assert_eq!((entries[0].name.as_str(), entries[0].image.as_str()), (name, image));
        }
    }

    #[test]
    fn an_empty_store_is_written_as_docker_does() {
        assert_eq!(write([]), br#"{"Repositories":{}}"#);
        for text in [
            r#"{"Repositories":{}}"#,
            r#"{"Repositories":null}"#,
            r#"{"Repositories":{"a":null}}"#,
            "{}",
        ] {
            assert_eq!(read(text.as_bytes()), Ok(vec![]), "{text}");
        }
        assert!(read(b"").is_err() && read(b"[]").is_err());
    }

    #[test]
    fn names_are_filed_as_dockerd_files_them() {
        let image = ConfigId(crate::digest::Digest::of(b"config"));
        let [both, bare, refused] =
            [format!("a:1@{image}"), "localhost/a".to_owned(), "sha256:tag".to_owned()]
                .map(|text| Reference::parse_normalized(&text).expect("sound"));
        let written = write([(&both, image), (&bare, image), (&refused, image)]);
        let names: Vec<_> =
            read(&written).expect("sound").into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, [format!("a@{image}"), "localhost/a:latest".to_owned()]);
    }

    #[test]
    fn what_is_odd_survives_a_name_more() {
        let image = ConfigId(crate::digest::Digest::of(b"config"));
        let old = r#"{"Repositories":{"a":{"a:1":"sha256:short","a:Ü":"x","b:1":null},"b":null},"New":[1]}"#;
        let mut names = Names::read(old.as_bytes()).expect("JSON");
        let [known, new, refused] = ["a:1", "c/d", "sha256:tag"]
            .map(|text| Reference::parse_normalized(text).expect("sound"));
        assert_eq!((names.get(&known), names.get(&new)), (Some("sha256:short"), None));
        assert!(names.set(&new, image) && !names.set(&refused, image));
        let want =
            old.replace(r#""b":null}"#, &format!(r#""b":null,"c/d":{{"c/d:latest":"{image}"}}}}"#));
        assert_eq!(String::from_utf8(names.to_bytes()).expect("JSON"), want);
        assert!(names.set(&known, image));
        assert_eq!(names.get(&known), Some(image.to_string().as_str()));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
            let _ = Names::read(&bytes).map(|names| names.to_bytes());
        }
    }
}
