//! The structure of dockerd's bolt files. dockerd does not start with one that it cannot open.

use crate::error::Result;
use crate::format::bbolt::{self, salvage};
use crate::model::Severity;
use crate::store::mend::{Change, Mend};
use crate::store::{Audit, dockerd_locks};
use crate::tree::{Tree, TreePath, TreePathBuf, optional, read_within};

/// Larger ones are left alone: they are read whole.
const LARGEST: u64 = 128 << 20;

/// Checks every database; returns those that are broken.
pub(super) fn check(tree: &dyn Tree, audit: &mut Audit) -> Result<Vec<TreePathBuf>> {
    let mut broken = Vec::new();
    for file in dockerd_locks(tree)? {
        if let Some(is_sound) = one(tree, file.as_path(), audit) {
            audit.count("databases", 1);
            broken.extend((!is_sound).then_some(file));
        }
    }
    Ok(broken)
}

/// Returns whether a database is sound; nothing if it is not there, or cannot be told of.
fn one(tree: &dyn Tree, file: TreePath<'_>, audit: &mut Audit) -> Option<bool> {
    let place = || tree.place(file);
    let read = optional(tree.stat(file)).and_then(|found| match found {
        Some(found) if found.size > LARGEST => {
            let code = ("database-unchecked", Severity::Untidy);
            audit.note(code, place(), format!("{} bytes are not looked at", found.size), "");
            Ok(None)
        }
        Some(_) => optional(read_within(tree, file, LARGEST)),
        None => Ok(None),
    });
    let code = ("database-broken", Severity::WouldNotLoad);
    let remedy = "dockerd does not start with it; `tranship repair` saves what can be read of it into \
                  a new one";
    let bytes = match read {
        Ok(bytes) => bytes?,
        Err(error) => {
            audit.note(code, place(), error.what(), remedy);
            return Some(false);
        }
    };
    if bytes.is_empty() {
        // bbolt v1.4.3 db.go Open lays a new database out in it.
        let code = ("database-empty", Severity::WrongMetadata);
        audit.note(code, place(), "0 bytes: what it knew is gone", "put a copy of it back");
        return Some(true);
    }
    let Err(error) = bbolt::check(&bytes) else { return Some(true) };
    let error = error.at(place());
    let place = error.place().cloned().unwrap_or_default();
    audit.note(code, place, error.what(), remedy);
    Some(false)
}

/// Plans to save what can be read of each database that is broken into a new one.
pub(super) fn mends(tree: &dyn Tree) -> Result<Vec<Mend>> {
    let mut mends = Vec::new();
    for file in dockerd_locks(tree)? {
        let mut audit = Audit::default();
        let is_broken = one(tree, file.as_path(), &mut audit) == Some(false);
        let Some(finding) = audit.findings.pop().filter(|_| is_broken) else { continue };
        // One that is too large, or cannot be read at all, stays what it is.
        let Ok(bytes) = read_within(tree, file.as_path(), LARGEST) else { continue };
        let saved = salvage(&bytes, &|_, _| None);
        let Ok(new) = bbolt::write(&saved.root, &saved.options) else { continue };
        let how = match saved.lost.len() {
            0 => "write it anew; nothing of it is lost".to_owned(),
            lost => format!("write it anew with what can be read; {lost} of its parts cannot be"),
        };
        let mode = tree.stat(file.as_path())?.mode;
        mends.push(Mend {
            code: finding.code,
            place: finding.place,
            what: format!("dockerd does not start with the file: {}", finding.what),
            how,
            changes: vec![Change::file(file, mode, new)],
        });
    }
    Ok(mends)
}
