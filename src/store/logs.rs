//! Where a daemon keeps the log of a container.
//!
//! ```text
//! containers/<id>/<id>-json.log            driver json-file
//! containers/<id>/local-logs/container.log driver local
//! containers/<id>/container-cached.log     a copy, where the driver's own cannot be read back
//!                 ….1, ….2.gz, …           what was before, the newest first
//! ```
//!
//! moby v28.5 daemon/logger/factory.go, daemon/container/container.go StartLogger,
//! daemon/logger/loggerutils/logfile.go

use std::collections::BTreeMap;

use crate::error::Result;
use crate::format::docker::log::{self, Form};
use crate::model::Container;
use crate::tree::{Kind, Tree, TreePath, TreePathBuf, optional, path, read_within};

/// A log: its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How its records are written down.
    pub form: Form,
    /// Its files, the oldest first.
    pub files: Vec<LogFile>,
}

/// One file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: TreePathBuf,
    /// Bytes on disk.
    pub size: u64,
    /// Whether it is compressed with gzip.
    pub is_gzip: bool,
}

/// The names of logs in a container's folder, without the one that has the ID in it.
const LOCAL: &str = "local-logs/container.log";
const CACHED: &str = "container-cached.log";

/// A `hostconfig.json` is a few kilobytes.
const HOST_CONFIG_LIMIT: u64 = 1 << 20;

fn folder(container: &Container) -> TreePathBuf {
    let folder = TreePathBuf::new(container.id.as_bytes().to_vec()).unwrap_or_default();
    path("containers").join(folder.as_path())
}

/// Returns whether what is called `name` in the folder of the container `id` is a log of it.
pub(super) fn is_log(id: &str, name: &[u8]) -> bool {
    let (folder, _) = LOCAL.split_once('/').unwrap_or((LOCAL, ""));
    let own = format!("{id}-json.log");
    let is_of = |base: &str| name.strip_prefix(base.as_bytes()).and_then(age).is_some();
    name == folder.as_bytes() || is_of(&own) || is_of(CACHED)
}

/// Returns the driver that the container logs with, if its configuration can be read.
///
/// # Errors
/// What the tree says of a file that is there.
pub fn driver(root: &dyn Tree, container: &Container) -> Result<Option<String>> {
    let file = folder(container).as_path().join(path("hostconfig.json"));
    let bytes = optional(read_within(root, file.as_path(), HOST_CONFIG_LIMIT))?;
    Ok(bytes.and_then(|bytes| log::driver(&bytes)))
}

/// Finds the log of a container of the data root `root`: that of its `driver`, else whichever is there.
///
/// # Errors
/// What the tree says of folders that are there.
pub fn find(root: &dyn Tree, container: &Container, driver: Option<&str>) -> Result<Option<Log>> {
    let folder = folder(container);
    let own = format!("{}-json.log", container.id);
    // An imported root may have another name for it.
    let recorded = container.record.log_path.rsplit('/').next().unwrap_or_default();
    let mut known = vec![(Form::Json, own.as_str()), (Form::Local, LOCAL), (Form::Local, CACHED)];
    match driver {
        Some("local") => known.swap(0, 1),
        Some("json-file") | None => {}
        Some(_) => known.swap(0, 2),
    }
    known.push((Form::Json, recorded));
    for (form, name) in known {
        let name =
            TreePathBuf::new(name.as_bytes().to_vec()).filter(|name| !name.as_path().is_root());
        let Some(name) = name else { continue };
        let log = at(root, folder.as_path().join(name.as_path()).as_path(), form)?;
        if log.is_some() {
            return Ok(log);
        }
    }
    Ok(None)
}

/// Returns the log whose newest file is `file`, with those that came before it; nothing if there is
/// none of them.
///
/// # Errors
/// What the tree says of folders that are there.
pub fn at(tree: &dyn Tree, file: TreePath<'_>, form: Form) -> Result<Option<Log>> {
    let Some((folder, base)) = file.split_last() else { return Ok(None) };
    let mut found: BTreeMap<u64, LogFile> = BTreeMap::new();
    for name in optional(tree.names(folder))?.unwrap_or_default() {
        let Some((age, is_gzip)) = name.strip_prefix(base).and_then(age) else { continue };
        let Some(path) = folder.child(&name) else { continue };
        let Some(metadata) = optional(tree.stat(path.as_path()))? else { continue };
        // Until a file is compressed whole it is there in both forms.
        if metadata.kind == Kind::File && !(is_gzip && found.contains_key(&age)) {
            found.insert(age, LogFile { path, size: metadata.size, is_gzip });
        }
    }
    let files: Vec<_> = found.into_values().rev().collect();
    Ok((!files.is_empty()).then_some(Log { form, files }))
}

/// Returns how old the file is whose name goes on with `rest`, and whether it is compressed.
fn age(rest: &[u8]) -> Option<(u64, bool)> {
    if rest.is_empty() {
        return Some((0, false));
    }
    let rest = rest.strip_prefix(b".")?;
    let (digits, is_gzip) = match rest.strip_suffix(b".gz") {
        Some(digits) => (digits, true),
        None => (rest, false),
    };
    let is_plain = digits.iter().all(u8::is_ascii_digit);
    let age: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (is_plain && age > 0).then_some((age, is_gzip))
}
