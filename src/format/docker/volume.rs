//! What dockerd writes of a volume: its entry in `volumes/metadata.db`, and `opts.json` beside its files.
//!
//! Source: moby v28.5 volume/service/db.go, volume/local/local_unix.go

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::raw::{go_json, or_default};

/// The bucket of `metadata.db` that holds the entries, by the volumes' names.
pub const BUCKET: &[u8] = b"volumes";

/// The label of volumes whose name the daemon made up. moby v28.5 volume/service/store.go
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// The driver of volumes in the data root.
pub const LOCAL: &str = "local";

/// An entry of `metadata.db`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Record {
    /// The name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The driver.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// The labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// The options it was made with.
    pub options: Option<BTreeMap<String, String>>,
}

impl Record {
    /// Returns the entry as dockerd writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        go_json(self)
    }
}

/// `opts.json`. Old versions wrote it empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Opts {
    /// The file system.
    #[serde(deserialize_with = "or_default")]
    pub mount_type: String,
    /// How it is mounted.
    #[serde(deserialize_with = "or_default")]
    pub mount_opts: String,
    /// What is mounted.
    #[serde(deserialize_with = "or_default")]
    pub mount_device: String,
    /// How large it may be.
    #[serde(deserialize_with = "or_default")]
    pub quota: Quota,
}

/// How large a volume may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Quota {
    /// Bytes; 0 for no limit.
    pub size: u64,
}

impl Opts {
    /// Returns whether something is mounted on the volume's folder.
    #[must_use]
    pub fn needs_mount(&self) -> bool {
        !self.mount_device.is_empty() || !self.mount_type.is_empty()
    }
}

/// Returns whether the `local` driver takes `name`: what keeps it below the folder of all volumes.
///
/// moby v28.5 daemon/names/names.go, volume/local/local.go validateName
#[must_use]
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (2..=255).contains(&name.len())
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(is_rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::raw::decode;

    #[test]
    fn an_entry_is_written_as_dockerd_writes_it() {
        let mut record = Record { name: "v1".into(), driver: LOCAL.into(), ..Record::default() };
        let text = |record: &Record| String::from_utf8_lossy(&record.encode()).into_owned();
        assert_eq!(text(&record), r#"{"Name":"v1","Driver":"local","Labels":null,"Options":null}"#);
        record.labels = Some(BTreeMap::from([("a".into(), "<".into())]));
        let wanted = r#"{"Name":"v1","Driver":"local","Labels":{"a":"\u003c"},"Options":null}"#;
        assert_eq!(text(&record), wanted);
        assert_eq!(decode::<Record>(wanted.as_bytes()).expect("it was written so"), record);
    }

    #[test]
    fn only_plain_names_are_names() {
        for name in ["v1", "a.b_c-d", &"a".repeat(255)] {
            assert!(is_name(name), "{name}");
        }
        for bad in ["", "a", ".a", "-ab", "a/b", "..", "a b", "ü1", "a\0b", &"a".repeat(256)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn options_tell_of_a_mount() {
        let read = |text: &str| decode::<Opts>(text.as_bytes()).map(|opts| opts.needs_mount());
        let nfs =
            r#"{"MountType":"nfs","MountOpts":"addr=x","MountDevice":":/x","Quota":{"Size":0}}"#;
        assert_eq!(read(nfs), Ok(true));
        assert_eq!(read(r#"{"Quota":null}"#), Ok(false));
        assert!(read("[]").is_err());
    }
}
