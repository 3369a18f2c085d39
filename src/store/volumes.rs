//! The volumes of a data root; all stores' containers share them.
//!
//! ```text
//! volumes/metadata.db       bbolt: names, drivers, labels, options
//! volumes/<name>/_data/     the files
//! volumes/<name>/opts.json  what is mounted there, if anything
//! ```
//!
//! moby v28.5 volume/local/local.go, volume/service/db.go

use std::collections::BTreeMap;

use crate::error::Result;
use crate::format::bbolt::{self, Db, Node};
use crate::format::docker::volume::{ANONYMOUS, BUCKET, LOCAL, Opts, Record};
use crate::format::raw::decode;
use crate::model::{Finding, Mount, Severity, Volume};
use crate::tree::{Entry, Kind, Tree, TreePath, TreePathBuf, optional, path, read, read_within};

/// Where they all are.
pub const FOLDER: &str = "volumes";

/// Where what is known of them is.
pub const METADATA: &str = "volumes/metadata.db";

/// Returns the folder of the volume called `name`.
#[must_use]
pub fn folder(name: &[u8]) -> Option<TreePathBuf> {
    path(FOLDER).child(name)
}

/// Returns the folder of the files of the volume called `name`.
#[must_use]
pub fn data(name: &[u8]) -> Option<TreePathBuf> {
    folder(name)?.as_path().child(b"_data")
}

pub(super) type Records = BTreeMap<String, Record>;

/// Returns the volumes of the data root `tree` in the order of their names, and what is wrong with
/// them.
///
/// # Errors
/// Where the folder of all cannot be read.
pub fn read_all(tree: &dyn Tree) -> Result<(Vec<Volume>, Vec<Finding>)> {
    let mut findings = Vec::new();
    let mut records = match records(tree, &mut findings) {
        Ok(records) => records,
        Err(error) => {
            let code = "volume-records-unreadable";
            findings.push(Finding::of(code, Severity::WrongMetadata, &error));
            Records::new()
        }
    };
    let mut volumes = Vec::new();
    for entry in optional(tree.list(path(FOLDER)))?.unwrap_or_default() {
        if let Some(mut volume) = local(tree, &entry, &mut findings)? {
            // What another driver keeps may have the name too; dockerd shows one of them.
            if let Some(record) = records.remove(&volume.name) {
                describe(&mut volume, record);
            }
            volumes.push(volume);
        }
    }
    for (name, record) in records {
        if record.driver != LOCAL && !record.driver.is_empty() {
            let mut volume = Volume { name, driver: record.driver.clone(), ..Volume::default() };
            describe(&mut volume, record);
            volumes.push(volume);
        }
    }
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((volumes, findings))
}

fn describe(volume: &mut Volume, record: Record) {
    volume.labels = record.labels.unwrap_or_default();
    volume.options = record.options.unwrap_or_default();
    // Before 23.0 there was no label, and the name tells.
    volume.anonymous |= volume.labels.contains_key(ANONYMOUS);
}

/// Reads the entries of `metadata.db`; there are none without it.
pub(super) fn records(tree: &dyn Tree, findings: &mut Vec<Finding>) -> Result<Records> {
    let file = path(METADATA);
    let Some(bytes) = optional(read(tree, file))? else { return Ok(Records::new()) };
    let place = || tree.place(file);
    let db = Db::open(&bytes).map_err(|error| error.at(place()))?;
    let root = bbolt::load(&db).map_err(|error| error.at(place()))?;
    let mut records = Records::new();
    for (name, node) in root.child(BUCKET).into_iter().flat_map(|bucket| bucket.iter()) {
        let Node::Value(value) = node else { continue };
        // dockerd passes over both.
        match (value.is_empty(), decode::<Record>(value)) {
            (true, _) => {}
            (false, Ok(record)) => {
                records.insert(String::from_utf8_lossy(name).into_owned(), record);
            }
            (false, Err(error)) => {
                let name = String::from_utf8_lossy(name).into_owned();
                let error = error.at(place()).within(format!("the entry of volume {name}"));
                let code = "volume-record-unreadable";
                findings.push(Finding::of(code, Severity::WrongMetadata, &error));
            }
        }
    }
    Ok(records)
}

/// Returns the volume that `entry` of the folder of all is.
fn local(tree: &dyn Tree, entry: &Entry, findings: &mut Vec<Finding>) -> Result<Option<Volume>> {
    if entry.metadata.kind != Kind::Dir {
        return Ok(None);
    }
    let (Some(folder), Some(data)) = (folder(&entry.name), data(&entry.name)) else {
        return Ok(None);
    };
    let name = String::from_utf8_lossy(&entry.name).into_owned();
    let opts = match opts(tree, folder.as_path()) {
        Ok(opts) => opts,
        Err(error) => {
            findings.push(Finding::of("volume-options-unreadable", Severity::WouldNotLoad, &error));
            None
        }
    };
    let is_there = match tree.stat(data.as_path()) {
        Ok(metadata) => metadata.kind == Kind::Dir,
        Err(error) if error.is_missing() => false,
        // A folder that may not be looked into is one all the same.
        Err(_) => true,
    };
    if !is_there && opts.is_none() {
        return Ok(None);
    }
    let opts = opts.unwrap_or_default();
    let quota = Some(opts.quota.size).filter(|size| *size > 0);
    let mount = opts.needs_mount().then_some(Mount {
        kind: opts.mount_type,
        device: opts.mount_device,
        options: opts.mount_opts,
    });
    let anonymous = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let data = is_there.then_some(data);
    let (driver, volume) = (LOCAL.to_owned(), Volume::default());
    Ok(Some(Volume { name, driver, data, mount, quota, anonymous, ..volume }))
}

fn opts(tree: &dyn Tree, folder: TreePath<'_>) -> Result<Option<Opts>> {
    let file = folder.join(path("opts.json"));
    let Some(bytes) = optional(read_within(tree, file.as_path(), 1 << 20))? else {
        return Ok(None);
    };
    let opts = decode(&bytes).map_err(|error| error.at(tree.place(file.as_path())));
    opts.map(Some)
}
