//! What a containerd root says of itself, held against itself and against what is there.
//!
//! Both bolt files are read anew, of every namespace: blobs and folders belong to all of them. Facts of
//! what containerd does with what it finds: containerd v2 core/metadata/{db,images,snapshot,gc}.go,
//! core/snapshots/storage/bolt.go, plugins/content/local/store.go.

mod content;
mod folders;
mod gc;
mod images;
mod pieces;
mod said;
mod snapshots;

use std::collections::HashSet;

pub(super) use pieces::pieces;
use said::{Backend, Meta, Space};

use super::read::Containerd;
use super::records::BOLT_LIMIT;
use super::{layout, layout::Snapshotter};
use crate::digest::BlobId;
use crate::error::{DecodeError, Place, Result};
use crate::format::bbolt::Db;
use crate::model::{Finding, Severity};
use crate::store::Audit;
use crate::tree::{optional, read_within};

/// The newest schema that is known (containerd v2 core/metadata/db.go dbVersion).
const NEWEST: i64 = 4;

const PULL: &str = "remove the images that need it and pull them again, or heal it with \
                    `tranship repair --from …`";

/// An audit under way.
struct Auditor<'s> {
    store: &'s Containerd,
    /// The two bolt files.
    meta: Place,
    backend: Place,
    audit: Audit,
    lost: Lost,
}

/// What was found to be gone, for what depends on it.
#[derive(Default)]
struct Lost {
    blobs: HashSet<BlobId>,
    folders: HashSet<u64>,
    /// Why nothing can be had of the store at all.
    all: Option<String>,
}

/// Audits an open store.
pub(super) fn audit(store: &Containerd) -> Result<Audit> {
    let places = Snapshotter::new(&store.inventory.driver);
    let (meta_path, backend_path) = (layout::at(layout::META_DB.to_owned()), places.metadata_db());
    let meta = read_within(&*store.tree, meta_path.as_path(), BOLT_LIMIT)?;
    let backend = optional(read_within(&*store.tree, backend_path.as_path(), BOLT_LIMIT))?;
    let mut auditor = Auditor {
        store,
        meta: store.tree.place(meta_path.as_path()),
        backend: store.tree.place(backend_path.as_path()),
        audit: Audit::default(),
        lost: Lost::default(),
    };
    let (said_by_meta, said_by_backend) = rayon::join(
        || checked(&meta, Meta::read),
        || checked(backend.as_deref().unwrap_or_default(), Backend::read),
    );
    let said_by_meta = auditor.unless_damaged(said_by_meta, &auditor.meta.clone());
    let said_by_backend = auditor.unless_damaged(said_by_backend, &auditor.backend.clone());
    auditor.run(&said_by_meta.unwrap_or_default(), said_by_backend.as_ref())?;
    Ok(auditor.audit)
}

/// Checks the structure of a bolt file and reads what it says; one that is not there says nothing.
fn checked<'a, T: Default>(
    bytes: &'a [u8],
    read: impl Fn(&Db<'a>) -> std::result::Result<T, DecodeError>,
) -> std::result::Result<T, DecodeError> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    let db = Db::open(bytes)?;
    db.check()?;
    read(&db)
}

impl Auditor<'_> {
    fn run(&mut self, meta: &Meta<'_>, backend: Option<&Backend<'_>>) -> Result<()> {
        let is_read = self.lost.all.is_none();
        if is_read {
            self.check_schema(meta);
            self.check_content(meta)?;
        }
        if let Some(backend) = backend.filter(|_| is_read) {
            match backend.is_there || !self.has_snapshots(meta) {
                true => self.check_snapshots(meta, backend),
                false => self.note_no_backend(),
            }
            self.check_folders(meta, backend)?;
        }
        let empty = Space::default();
        let own = meta.spaces.iter().find(|space| space.name == self.store.namespace);
        self.check_images(own.unwrap_or(&empty));
        self.check_containers(own.unwrap_or(&empty), backend);
        self.count(meta);
        Ok(())
    }

    /// containerd walks all pages of a file when it opens it, and panics where they are not as they
    /// should be (bbolt v1.4.3 db.go freepages); the daemon does not start then.
    fn unless_damaged<T>(
        &mut self,
        read: std::result::Result<T, DecodeError>,
        place: &Place,
    ) -> Option<T> {
        let error = match read {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let what = format!("{}; containerd does not start with it", error.what);
        let remedy = "put a copy of the file back from a backup of the whole root";
        self.lost.all.get_or_insert_with(|| "containerd does not start".to_owned());
        let place = place.clone().at(error.offset);
        self.note("bolt-damaged", Severity::WouldNotLoad, place, what, remedy);
        None
    }

    fn has_snapshots(&self, meta: &Meta<'_>) -> bool {
        let driver = self.store.inventory.driver.as_bytes();
        let mut all = meta.spaces.iter().flat_map(|space| space.snapshots.keys());
        all.any(|(snapshotter, _)| *snapshotter == driver)
    }

    fn note_no_backend(&mut self) {
        let what = "the snapshotter's own file is gone: no snapshot is known".to_owned();
        let remedy = "put a copy of the file back from a backup of the whole root";
        self.note_backend("snapshotter-file-missing", Severity::DataLost, what, remedy);
    }

    fn check_schema(&mut self, meta: &Meta<'_>) {
        let place = self.meta.clone();
        let (severity, what) = match meta.version {
            Some(0..=NEWEST) => return self.check_places(meta),
            _ if meta.spaces.is_empty() => return,
            Some(version) if version > NEWEST => (
                Severity::Untidy,
                format!("schema {version}, newer than the {NEWEST} that is known"),
            ),
            Some(version) => (Severity::WrongMetadata, format!("schema {version}")),
            None => (Severity::WrongMetadata, "no number of the schema".to_owned()),
        };
        self.note("schema-unknown", severity, place, what, "");
        self.check_places(meta);
    }

    fn check_places(&mut self, meta: &Meta<'_>) {
        for key in &meta.misplaced {
            let what = format!("a value where a bucket is wanted: {key}");
            let remedy = "containerd cannot list what is beside it; remove it";
            self.lost.all.get_or_insert_with(|| "containerd cannot list its records".to_owned());
            let place = self.meta.clone();
            self.note("record-misplaced", Severity::WouldNotLoad, place, what, remedy);
        }
    }

    fn count(&mut self, meta: &Meta<'_>) {
        for space in &meta.spaces {
            for (sort, count) in [
                ("namespaces", 1),
                ("image records", space.images.len()),
                ("blobs", space.blobs.len()),
                ("snapshots", space.snapshots.len()),
                ("leases", space.leases.len()),
                ("ingests", space.ingests.len()),
            ] {
                *self.audit.checked.entry(sort).or_default() += count as u64;
            }
        }
    }

    fn note(
        &mut self,
        code: &'static str,
        severity: Severity,
        place: Place,
        what: impl Into<String>,
        remedy: &str,
    ) {
        let (what, remedy) = (what.into(), remedy.to_owned());
        self.audit.findings.push(Finding { code, severity, place, what, remedy });
    }

    /// Notes what is wrong with something that `meta.db` says.
    fn note_meta(&mut self, code: &'static str, severity: Severity, what: String, remedy: &str) {
        self.note(code, severity, self.meta.clone(), what, remedy);
    }

    /// The same of the snapshotter's own file.
    fn note_backend(&mut self, code: &'static str, severity: Severity, what: String, remedy: &str) {
        self.note(code, severity, self.backend.clone(), what, remedy);
    }

    /// Returns whether reading the images has found something wrong with this file already.
    fn is_told(&self, place: &Place) -> bool {
        self.store.inventory.findings.iter().any(|finding| finding.place.path == place.path)
    }
}

/// Returns a name of a record for a sentence.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)).into_owned()
}
