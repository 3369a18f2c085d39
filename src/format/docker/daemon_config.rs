//! `daemon.json`: where dockerd keeps its data and which image store it shows.
//!
//! Source: moby v29 daemon/config/config.go; 23.0 and later read UTF-8 with or without a byte order
//! mark and UTF-16 with one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::error::DecodeError;
use crate::format::edit;
use crate::format::raw::{decode, or_default};
use crate::format::wide;

/// The feature that chooses the containerd image store.
pub const FEATURE_SNAPSHOTTER: &str = "containerd-snapshotter";
/// The feature that lets dockerd 29 and later move to the containerd image store by itself.
pub const FEATURE_MIGRATION: &str = "containerd-migration";

/// The graph drivers there are or were: what `storage-driver` can name in the classic store.
pub const GRAPH_DRIVERS: &[&str] =
    &["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "aufs", "overlay", "devicemapper"];

/// A reading of `daemon.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct DaemonConfig {
    /// The data root; see [`DaemonConfig::root`].
    data_root: Option<String>,
    /// The data root as it was called until 20.10.
    graph: Option<String>,
    /// The graph driver or snapshotter.
    storage_driver: Option<String>,
    /// Features, on or off; dockerd refuses to start where a value is neither.
    #[serde(deserialize_with = "or_default")]
    features: BTreeMap<String, Value>,
    /// The user whose IDs containers are given.
    userns_remap: Option<String>,
    /// Where the state of this boot is kept.
    pub exec_root: Option<String>,
    /// The socket of a containerd that dockerd does not start itself.
    pub containerd: Option<String>,
    /// The namespace in containerd, if it is not `moby`.
    pub containerd_namespace: Option<String>,
    /// The namespace of plugins in containerd, if it is not `plugins.moby`.
    pub containerd_plugin_namespace: Option<String>,
}

impl DaemonConfig {
    /// Reads the file; an empty one says nothing, as a missing one does.
    ///
    /// # Errors
    /// What is no JSON object, or has another kind of value where a text belongs.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (text, skipped) = text(bytes)?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        decode(text.as_bytes()).map_err(|error| moved(error, skipped))
    }

    /// Returns the data root, if it is not the default one.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        filled(&self.data_root).or_else(|| filled(&self.graph))
    }

    /// Returns the graph driver or snapshotter, if one is named.
    #[must_use]
    pub fn storage_driver(&self) -> Option<&str> {
        filled(&self.storage_driver)
    }

    /// Returns the user whose IDs containers are given, if user namespaces are used.
    #[must_use]
    pub fn userns_remap(&self) -> Option<&str> {
        filled(&self.userns_remap)
    }

    /// Returns whether a feature is on or off; nothing if that is not said, or said as no boolean.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<bool> {
        match self.features.get(name)? {
            // Go leaves the zero value, and the key in the map.
            Value::Null => Some(false),
            value => value.as_bool(),
        }
    }

    /// Returns the features dockerd would refuse to start with.
    pub fn bad_features(&self) -> impl Iterator<Item = &str> {
        let bad = |(_, value): &(&String, &Value)| !value.is_null() && !value.is_boolean();
        self.features.iter().filter(bad).map(|(name, _)| name.as_str())
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// A changed `daemon.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new file.
    pub bytes: Vec<u8>,
    /// What is different; empty if nothing is.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `features.containerd-snapshotter` was set.
    Feature(bool),
    /// A `storage-driver` that names something of the other store was removed.
    StorageDriver(String),
    /// The file was in UTF-16 and is in UTF-8 now.
    Encoding,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature(on) => write!(f, "features.{FEATURE_SNAPSHOTTER} is {on}"),
            Self::StorageDriver(name) => write!(f, "storage-driver {name:?} is gone"),
            Self::Encoding => f.write_str("the file is UTF-8 instead of UTF-16"),
        }
    }
}

/// Returns the file with which dockerd shows the containerd image store; all that does not stand in
/// the way stays as it is, byte for byte.
///
/// A `storage-driver` that names a graph driver is removed: dockerd would look for a snapshotter of
/// that name.
///
/// # Errors
/// A file dockerd could not have read.
pub fn switch_to_containerd(bytes: &[u8]) -> Result<Edited, DecodeError> {
    switch(bytes, true, |driver| GRAPH_DRIVERS.contains(&driver))
}

/// Returns the file with which dockerd shows its classic store.
///
/// A `storage-driver` that names no graph driver is removed: dockerd would refuse to start.
///
/// # Errors
/// As [`switch_to_containerd`].
pub fn switch_to_classic(bytes: &[u8]) -> Result<Edited, DecodeError> {
    switch(bytes, false, |driver| !GRAPH_DRIVERS.contains(&driver))
}

fn switch(
    bytes: &[u8],
    containerd: bool,
    in_the_way: impl Fn(&str) -> bool,
) -> Result<Edited, DecodeError> {
    let config = DaemonConfig::parse(bytes)?;
    let (old, skipped) = text(bytes)?;
    let mut changes = Vec::new();
    let mut new = old.clone().into_owned();
    if let Some(driver) = config.storage_driver().filter(|driver| in_the_way(driver)) {
        new = edit::remove(&new, "storage-driver").map_err(|error| moved(error, skipped))?;
        changes.push(Change::StorageDriver(driver.to_owned()));
    }
    if config.feature(FEATURE_SNAPSHOTTER) != Some(containerd) {
        let value = if containerd { "true" } else { "false" };
        new = if new.trim().is_empty() { "{}\n".to_owned() } else { new };
        new = edit::set(&new, &["features", FEATURE_SNAPSHOTTER], value)
            .map_err(|error| moved(error, skipped))?;
        changes.push(Change::Feature(containerd));
    }
    if changes.is_empty() {
        return Ok(Edited { bytes: bytes.to_vec(), changes });
    }
    if matches!(old, Cow::Owned(_)) {
        changes.push(Change::Encoding);
    }
    let mark = if matches!(old, Cow::Borrowed(_)) { bytes.get(..skipped) } else { None };
    Ok(Edited { bytes: [mark.unwrap_or_default(), new.as_bytes()].concat(), changes })
}

/// Returns the text of the file, and the length of the byte order mark before it.
fn text(bytes: &[u8]) -> Result<(Cow<'_, str>, usize), DecodeError> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = rest.as_chunks();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        let text = String::from_utf16(&units).ok().filter(|_| odd.is_empty());
        let text = text.ok_or_else(|| DecodeError::new(2, "broken UTF-16"))?;
        Ok((Cow::Owned(text), 2))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let skipped = bytes.len().saturating_sub(rest.len());
            let wrong = |error: std::str::Utf8Error| {
                moved(DecodeError::new(wide(error.valid_up_to()), "not UTF-8"), skipped)
            };
            Ok((Cow::Borrowed(std::str::from_utf8(rest).map_err(wrong)?), skipped))
        }
    }
}

fn moved(mut error: DecodeError, by: usize) -> DecodeError {
    error.offset = error.offset.saturating_add(wide(by));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> (String, Vec<Change>) {
        let edited = switch_to_containerd(text.as_bytes()).expect(text);
        let again = switch_to_containerd(&edited.bytes).expect("still sound");
        assert_eq!((again.bytes, again.changes), (edited.bytes.clone(), vec![]), "{text}");
        let read = DaemonConfig::parse(&edited.bytes).expect("still sound");
        assert_eq!(read.feature(FEATURE_SNAPSHOTTER), Some(true));
        (String::from_utf8(edited.bytes).expect("UTF-8"), edited.changes)
    }

    #[test]
    fn a_config_is_read() {
        let text = r#"{"data-root":"","graph":"/mnt/old","storage-driver":"overlay2","userns-remap":"default",
            "exec-root":"/run/d","containerd":"/run/c.sock","features":{"buildkit":true,"containerd-snapshotter":null,"x":"true"},"unknown":[{}]}"#;
        let config = DaemonConfig::parse(text.as_bytes()).expect("sound");
        assert_eq!((config.root(), config.storage_driver()), (Some("/mnt/old"), Some("overlay2")));
        assert_eq!(config.userns_remap(), Some("default"));
        assert_eq!(config.feature(FEATURE_SNAPSHOTTER), Some(false));
        assert_eq!(
            (config.feature("buildkit"), config.feature("x"), config.feature("y")),
            (Some(true), None, None)
        );
        assert_eq!(config.bad_features().collect::<Vec<_>>(), ["x"]);
        for empty in ["", " \n", "\u{feff}", "{}"] {
            assert_eq!(DaemonConfig::parse(empty.as_bytes()), Ok(DaemonConfig::default()));
        }
        for bad in ["[]", "{", "{\"data-root\":7}", "{\"features\":true}", "{}{}"] {
            assert!(DaemonConfig::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_file_becomes_a_small_one() {
        let want = "{\n  \"features\": {\n    \"containerd-snapshotter\": true\n  }\n}\n";
        for text in ["", " \n"] {
            assert_eq!(on(text), (want.to_owned(), vec![Change::Feature(true)]));
        }
        assert_eq!(on("{}\n").0, want);
    }

    #[test]
    fn what_is_not_in_the_way_stays() {
        let removed = || Change::StorageDriver("overlay2".to_owned());
        for (text, want, changes) in [
            (
                "{\n    \"log-level\": \"warn\",\n    \"storage-driver\": \"overlay2\",\n    \"max\": 12345678901234567890123\n}\n",
                "{\n    \"log-level\": \"warn\",\n    \"max\": 12345678901234567890123,\n    \"features\": {\n        \"containerd-snapshotter\": true\n    }\n}\n",
                vec![removed(), Change::Feature(true)],
            ),
            (
                r#"{"storage-driver":"overlay2"}"#,
                "{\n  \"features\": {\n    \"containerd-snapshotter\": true\n  }\n}",
                vec![removed(), Change::Feature(true)],
            ),
            (
                r#"{"features":{"containerd-snapshotter":false,"x":1e2},"storage-driver":"overlay2","a":[1.0]}"#,
                r#"{"features":{"containerd-snapshotter":true,"x":1e2},"a":[1.0]}"#,
                vec![removed(), Change::Feature(true)],
            ),
            (
                r#"{"storage-driver":"native","features":{}}"#,
                r#"{"storage-driver":"native","features":{"containerd-snapshotter":true}}"#,
                vec![Change::Feature(true)],
            ),
            (
                "\u{feff}{\"debug\":true}",
                "\u{feff}{\"debug\":true,\"features\":{\"containerd-snapshotter\":true}}",
                vec![Change::Feature(true)],
            ),
        ] {
            assert_eq!(on(text), (want.to_owned(), changes), "{text}");
        }
    }

    #[test]
    fn utf16_of_windows_is_read_and_left_behind() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend("{\"debug\":true}".encode_utf16().flat_map(u16::to_le_bytes));
        let edited = switch_to_containerd(&bytes).expect("sound");
        assert_eq!(edited.bytes, br#"{"debug":true,"features":{"containerd-snapshotter":true}}"#);
        assert_eq!(edited.changes, [Change::Feature(true), Change::Encoding]);
        bytes.push(0);
        assert!(switch_to_containerd(&bytes).is_err());
    }

    #[test]
    fn the_way_back_removes_a_snapshotter() {
        let edited = switch_to_classic(br#"{"storage-driver":"overlayfs"}"#).expect("sound");
        assert_eq!(
            edited.changes,
            [Change::StorageDriver("overlayfs".to_owned()), Change::Feature(false)]
        );
        let config = DaemonConfig::parse(&edited.bytes).expect("sound");
        assert_eq!(
            (config.feature(FEATURE_SNAPSHOTTER), config.storage_driver()),
            (Some(false), None)
        );
        let there = switch_to_containerd(br#"{"storage-driver":"vfs"}"#).expect("sound");
        let kept = switch_to_classic(br#"{"storage-driver":"vfs"}"#).expect("sound");
        assert_eq!(there.changes.len(), 2);
        assert_eq!(kept.changes, [Change::Feature(false)]);
    }

    #[test]
    fn a_file_dockerd_could_not_read_is_left_alone() {
        for (bad, offset) in [
            (&b"{\"debug\":tru}"[..], 12),
            (b"\xef\xbb\xbf[]", 3),
            (b"{\"features\":\"all\"}", 16),
            (b"\"x\"", 0),
            (b"{\"a\":\"\xff\"}", 6),
        ] {
            let error = switch_to_containerd(bad).expect_err("broken");
            assert!(error.offset <= bad.len() as u64, "{error}");
            assert_eq!(error.offset, offset, "{error}");
        }
        assert!(switch_to_containerd(br#"{"features":{"containerd-snapshotter":"yes"}}"#).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = switch_to_containerd(&bytes);
        }
    }
}
