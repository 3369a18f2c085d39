//! The two bolt files: read whole, changed as values, written anew beside what they replace.

use super::Writer;
use crate::error::{Error, Result};
use crate::format::bbolt::{self, Db, Options, OwnedBucket};
use crate::store::containerd::{layout, records};
use crate::tree::{TreePathBuf, optional, read_within};

/// One of the two files as it is.
pub(super) struct BoltFile {
    path: TreePathBuf,
    bytes: Vec<u8>,
    options: Options,
    mode: u16,
}

impl Writer {
    /// Reads `meta.db`; one that is not there is empty.
    pub(super) fn meta_file(&self) -> Result<BoltFile> {
        // containerd v2 plugins/metadata/plugin.go opens it with NoFreelistSync.
        self.bolt_file(layout::at(layout::META_DB.to_owned()), false, 0o644)
    }

    /// Reads the `metadata.db` of a snapshotter; one that is not there is empty.
    pub(super) fn backend_file(&self, places: &layout::Snapshotter) -> Result<BoltFile> {
        self.bolt_file(places.metadata_db(), true, 0o600)
    }

    fn bolt_file(&self, path: TreePathBuf, freelist: bool, mode: u16) -> Result<BoltFile> {
        let bytes = optional(read_within(self.sink.tree(), path.as_path(), records::BOLT_LIMIT))?;
        let bytes = bytes.unwrap_or_default();
        let mut options = Options { freelist, ..Options::default() };
        if !bytes.is_empty() {
            let db = Db::open(&bytes);
            let place = || self.sink.tree().place(path.as_path());
            options = Options::replacing(&db.map_err(|error| error.at(place()))?);
        }
        Ok(BoltFile { path, bytes, options, mode })
    }

    /// Returns what a file holds.
    pub(super) fn load<'f>(&self, file: &'f BoltFile) -> Result<OwnedBucket<'f>> {
        if file.bytes.is_empty() {
            return Ok(OwnedBucket::new());
        }
        Db::open(&file.bytes)
            .and_then(|db| bbolt::load(&db))
            .map_err(|error| error.at(self.sink.tree().place(file.path.as_path())))
    }

    /// Writes what a file is to hold beside it, once our own reader has found it sound: a malformed
    /// tree kills containerd at its start.
    pub(super) fn stage_bolt(&self, file: &BoltFile, root: &OwnedBucket<'_>) -> Result<Staged> {
        let place = || self.sink.tree().place(file.path.as_path());
        let bytes = bbolt::write(root, &file.options).map_err(|error| error.at(place()))?;
        bbolt::check(&bytes).map_err(|error| error.at(place()))?;
        let staged = Staged { new: self.stage.new_file(&file.path), path: file.path.clone() };
        self.sink.remove(staged.new.as_path())?;
        self.write_file(staged.new.as_path(), file.mode, &bytes)?;
        Ok(staged)
    }

    /// Puts a file that is durable in the place of the one it replaces, and makes that durable.
    pub(super) fn replace(&self, staged: &Staged) -> Result<()> {
        self.sink.rename(staged.new.as_path(), staged.path.as_path())?;
        self.sink.sync()
    }
}

/// A bolt file that is written and not in its place yet.
pub(super) struct Staged {
    new: TreePathBuf,
    path: TreePathBuf,
}

/// Returns an error unless `name` can be part of a path and of a key: containerd's own rule for
/// identifiers, loosely (containerd v2 pkg/identifiers/validate.go).
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(());
    }
    let name = crate::error::printable(name.as_bytes()).into_owned();
    Err(Error::refused(format!("`{name}` is not the name of a {what}")))
}
