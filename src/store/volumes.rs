//! The volumes of a data root.
//!
//! ```text
//! volumes/
//!   metadata.db        bolt: what each volume was made with
//!   <name>/_data/      what is in it
//!   <name>/opts.json   what it mounts, if it mounts something
//! ```
//!
//! moby v28 daemon/volume/local/local.go, daemon/volume/service/db.go

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::Result;
use crate::format::bbolt::Db;
use crate::format::raw::{decode, or_default};
use crate::tree::{Tree, TreePathBuf, optional, path, read};

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its driver; `local` where nothing says another.
    pub driver: String,
    /// Its labels; nothing where they are not known.
    pub labels: Option<BTreeMap<String, String>>,
    /// What its driver was told.
    pub options: Option<BTreeMap<String, String>>,
    /// What it mounts, as written.
    pub mounts: Option<Map<String, Value>>,
    /// The folder of what is in it, if that is there.
    pub data: Option<TreePathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Record {
    #[serde(deserialize_with = "or_default")]
    driver: String,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
}

/// Returns the volume called `name` in the data root `tree`; nothing if there is none.
///
/// # Errors
/// Files that are there and damaged.
pub fn volume(tree: &dyn Tree, name: &str) -> Result<Option<Volume>> {
    let Some(folder) = path("volumes").child(name.as_bytes()) else { return Ok(None) };
    let below = |name: &str| folder.as_path().join(path(name));
    let data = optional(tree.stat(below("_data").as_path()))?.map(|_| below("_data"));
    let options = below("opts.json");
    let mounts = match optional(read(tree, options.as_path()))? {
        Some(bytes) => {
            Some(decode(&bytes).map_err(|error| error.at(tree.place(options.as_path())))?)
        }
        None => None,
    };
    let record = record(tree, name)?;
    if data.is_none() && mounts.is_none() && record.is_none() {
        return Ok(None);
    }
    let Record { driver, labels, options } = record.unwrap_or_default();
    let driver = if driver.is_empty() { "local".to_owned() } else { driver };
    Ok(Some(Volume { name: name.to_owned(), driver, labels, options, mounts, data }))
}

fn record(tree: &dyn Tree, name: &str) -> Result<Option<Record>> {
    let file = path("volumes/metadata.db");
    let Some(bytes) = optional(read(tree, file))? else { return Ok(None) };
    let find = || {
        let found = Db::open(&bytes)?.root().bucket(b"volumes")?;
        match found.map(|volumes| volumes.get(name.as_bytes())).transpose()?.flatten() {
            Some(value) => decode(value).map(Some),
            None => Ok(None),
        }
    };
    find().map_err(|error| error.at(tree.place(file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Memory, Sink, write};

    #[test]
    fn a_volume_is_a_folder_with_something_in_it() {
        let memory = Memory::new();
        for folder in ["volumes", "volumes/v", "volumes/v/_data", "volumes/empty", "volumes/nfs"] {
            memory.make_dir(path(folder), 0o700).expect("memory");
        }
        write(&memory, path("volumes/nfs/opts.json"), 0o600, br#"{"MountType":"nfs"}"#)
            .expect("memory");
        let found = |name: &str| volume(memory.tree(), name).expect(name);
        let v = found("v").expect("a volume");
        assert_eq!((v.driver.as_str(), v.labels, v.data.is_some()), ("local", None, true));
        let nfs = found("nfs").expect("a volume");
        assert_eq!(nfs.mounts.map(|mounts| mounts["MountType"].clone()), Some("nfs".into()));
        for none in ["empty", "absent", "", "..", "v/_data", "metadata.db"] {
            assert_eq!(found(none), None, "{none}");
        }
        write(&memory, path("volumes/metadata.db"), 0o600, b"torn").expect("memory");
        assert!(volume(memory.tree(), "v").is_err());
    }
}
