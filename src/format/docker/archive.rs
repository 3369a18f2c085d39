//! `manifest.json`: the images of a `docker save` archive.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::DecodeError;
use crate::format::raw::{located, or_default};

/// One image of an archive. Paths are those of the archive, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SavedImage {
    /// The file with the image's config.
    #[serde(deserialize_with = "or_default")]
    pub config: String,
    /// Its names, each with a tag.
    #[serde(deserialize_with = "or_default")]
    pub repo_tags: Vec<String>,
    /// The files with its layers, the base first.
    #[serde(deserialize_with = "or_default")]
    pub layers: Vec<String>,
}

/// Reads a `manifest.json`.
///
/// # Errors
/// What is no list of images.
pub fn saved_images(bytes: &[u8]) -> Result<Vec<SavedImage>, DecodeError> {
    saved(bytes)
}

/// Reads a `manifest.json` whose images are taken as they are.
///
/// # Errors
/// What is no list of what is wanted.
pub fn saved<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, DecodeError> {
    let text = String::from_utf8_lossy(bytes);
    let images: Option<Vec<T>> =
        serde_json::from_str(&text).map_err(|error| located(bytes, &error))?;
    Ok(images.unwrap_or_default())
}

/// Returns the hex digits of the digest that a file is named by, if it is: `<hex>.json`,
/// `sha256:<hex>`, `blobs/sha256/<hex>`.
#[must_use]
pub fn digits_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_prefix("sha256:").unwrap_or(name);
    let digits = name.strip_suffix(".json").unwrap_or(name);
    let is_one = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_one.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_images_is_read() {
        let text = br#"[{"Config":"a.json","RepoTags":null,"Layers":["x/layer.tar"],"Parent":"y"},
            {"RepoTags":["a:1"]},{}]"#;
        let images = saved_images(text).expect("sound");
        assert_eq!(images[0].config, "a.json");
        assert_eq!((images[0].repo_tags.len(), images[0].layers.len()), (0, 1));
        assert_eq!(images[1].repo_tags, ["a:1"]);
        assert_eq!(images[2], SavedImage::default());
        assert_eq!(saved_images(b"null"), Ok(Vec::new()));
        for bad in [&b"{}"[..], b"", b"[", b"[1]", br#"[{"Layers":[1]}]"#] {
            assert!(saved_images(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_may_be_a_digest() {
        let hex = "ab".repeat(32);
        for name in [
            hex.clone(),
            format!("{hex}.json"),
            format!("sha256:{hex}"),
            format!("blobs/sha256/{hex}"),
        ] {
            assert_eq!(digits_of(&name), Some(hex.as_str()), "{name}");
        }
        for name in ["", "config.json", "a/b", &hex[1..]] {
            assert_eq!(digits_of(name), None, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = saved_images(&bytes);
        }
    }
}
