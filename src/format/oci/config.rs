//! Image configs: what an image is and how it was made. Docker's and OCI's differ in nothing that
//! is read here.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Platform;
use crate::digest::{ChainId, DiffId};
use crate::error::DecodeError;
use crate::format::raw::or_default;
use crate::format::time::Timestamp;

/// A reading of an image config: what is asked of very many at once. The rest is in the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// When the image was made, as written; see [`ImageConfig::created`].
    #[serde(rename = "created")]
    pub created_text: Option<String>,
    /// What it runs on.
    #[serde(flatten)]
    pub platform: Platform,
    /// What a container of it runs and with what.
    #[serde(deserialize_with = "or_default")]
    config: Runs,
    /// The layers. An image without this member is no image to Docker.
    pub rootfs: Option<RootFs>,
    /// How it was made, the first step first.
    #[serde(deserialize_with = "or_default")]
    pub history: Vec<History>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Runs {
    #[serde(rename = "Labels", deserialize_with = "texts")]
    labels: Pairs,
}

/// Names with values, as small as they can be: there may be very many configs.
type Pairs = Vec<(Box<str>, Box<str>)>;

/// Reads the members that are texts, and passes over the others.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
    let pair = |(name, value): (String, Value)| match value {
        Value::String(value) => Some((name.into(), value.into())),
        _ => None,
    };
    Ok(match Value::deserialize(from)? {
        Value::Object(all) => all.into_iter().filter_map(pair).collect(),
        _ => Vec::new(),
    })
}

/// The layers of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// `layers`; very old Windows images had others.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// The diff IDs as written, the base layer's first; see [`ImageConfig::diff_ids`].
    #[serde(deserialize_with = "or_default")]
    pub diff_ids: Vec<String>,
}

/// One step in the making of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct History {
    /// Whether it made no layer.
    #[serde(deserialize_with = "or_default")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Returns when the image was made, if that can be read.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        Timestamp::parse(self.created_text.as_deref()?).ok()
    }

    /// Returns the operating system; Docker takes none for its own.
    #[must_use]
    pub fn os(&self) -> &str {
        match self.platform.os.as_str() {
            "" => "linux",
            os => os,
        }
    }

    /// Returns the layers, the base first.
    ///
    /// # Errors
    /// No `rootfs`, or a diff ID that is none.
    pub fn diff_ids(&self) -> Result<Vec<DiffId>, DecodeError> {
        let rootfs = self.rootfs.as_ref();
        let rootfs =
            rootfs.ok_or_else(|| DecodeError::new(0, "an image config without `rootfs`"))?;
        let read = |(at, text): (usize, &String)| {
            let shown: String = text.chars().take(80).collect();
            let wrong = |error| format!("`rootfs.diff_ids` {at} is {shown:?}: {error}");
            text.parse().map_err(|error| DecodeError::new(0, wrong(error)))
        };
        rootfs.diff_ids.iter().enumerate().map(read).collect()
    }

    /// Returns the chain ID of all layers; nothing for an image without layers.
    ///
    /// # Errors
    /// As [`ImageConfig::diff_ids`].
    pub fn chain_id(&self) -> Result<Option<ChainId>, DecodeError> {
        Ok(ChainId::chain(&self.diff_ids()?).pop())
    }

    /// Returns the labels of containers made from this image.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        self.config.labels.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    /// Returns how many steps of the history made a layer.
    ///
    /// Docker refuses to create an image where there are more of them than layers.
    #[must_use]
    pub fn history_layers(&self) -> usize {
        self.history.iter().filter(|step| !step.empty_layer).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::raw::{Raw, decode};

    const A: &str = "sha256:a4ee84e4ca6b5e1a2a6bdc5a4ef62dba4b0ab0d53d18a26a9d7c9d9cf0b5a1d6";

    #[test]
    fn a_config_is_read() {
        let text = format!(
            r#"{{"architecture":"arm64","variant":"v8","os":"linux","os.version":"1","created":"2026-11-20T17:16:23Z",
            "config":{{"Env":null,"Labels":{{"app":"2","n":null}},"X":1e999}},"author":null,"new":{{}},
            "rootfs":{{"type":"layers","diff_ids":["{A}","{A}"]}},
            "history":[{{"created_by":"a","empty_layer":true}},{{"created_by":"b","empty_layer":null}}]}}"#
        );
        // A number no machine word holds does not hide the rest of the config.
        let text = text.replace("1e999", "12345678901234567890123");
        let config = Raw::<ImageConfig>::parse(text.as_bytes()).expect("sound");
        assert_eq!(
            config.created().map(|t| t.to_string()).as_deref(),
            Some("2026-11-20T17:16:23Z")
        );
        assert_eq!((config.os(), config.platform.architecture.as_str()), ("linux", "arm64"));
        assert_eq!(config.platform.os_version.as_deref(), Some("1"));
        assert_eq!(config.labels(), BTreeMap::from([("app", "2")]));
        assert_eq!(config.history_layers(), 1);
        let diff: DiffId = A.parse().expect("a digest");
        assert_eq!(config.diff_ids(), Ok(vec![diff, diff]));
        assert_eq!(config.chain_id(), Ok(ChainId::chain(&[diff, diff]).pop()));
        assert_eq!(config.bytes, text.as_bytes());
    }

    #[test]
    fn broken_configs_say_what_is_broken() {
        let none: ImageConfig = decode(b"{}").expect("an object");
        assert!(none.diff_ids().expect_err("no rootfs").what.contains("rootfs"));
        assert_eq!((none.created(), none.os()), (None, "linux"));
        let empty: ImageConfig = decode(br#"{"rootfs":{"diff_ids":null}}"#).expect("an object");
        assert_eq!(empty.chain_id(), Ok(None));
        let bad: ImageConfig = decode(br#"{"rootfs":{"diff_ids":["md5:x"]}}"#).expect("an object");
        assert!(bad.diff_ids().expect_err("no digest").what.contains("md5:x"));
        let labels: ImageConfig = decode(br#"{"config":{"Labels":[1]}}"#).expect("an object");
        assert!(labels.labels().is_empty());
    }
}
