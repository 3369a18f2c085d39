//! Blobs: records, files and downloads in progress.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::said::{BlobSaid, Meta};
use super::{Auditor, PULL, shown};
use crate::digest::{BlobId, DiffId, Digest};
use crate::error::Result;
use crate::format::containerd::labels::{Edge, Node, UNCOMPRESSED};
use crate::model::Severity;
use crate::store::containerd::layout;
use crate::tree::{Kind, Metadata, TreePathBuf, optional};

/// The digests that containerd's content store keeps files under (containerd v2
/// plugins/content/local/store.go).
const ALGORITHMS: [&str; 3] = ["sha256", "sha384", "sha512"];

impl Auditor<'_> {
    pub(super) fn check_content(&mut self, meta: &Meta<'_>) -> Result<()> {
        let mut files = self.blob_files()?;
        let mut records: BTreeMap<&[u8], &BlobSaid<'_>> = BTreeMap::new();
        for space in &meta.spaces {
            records.extend(space.blobs.iter().map(|(digest, said)| (*digest, said)));
        }
        for (digest, said) in records {
            let file = files.remove(digest);
            self.check_blob(digest, said, file.as_ref());
        }
        let mut orphans: Vec<_> = files.into_iter().collect();
        orphans.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (digest, file) in orphans {
            let what = format!("{} bytes that no record names", file.size);
            let place = self.store.tree.place(blob_path(&digest).as_path());
            let remedy = "containerd removes it when it next removes content";
            self.note("blob-orphan", Severity::Untidy, place, what, remedy);
        }
        self.check_labels(meta);
        self.check_ingests(meta)?;
        self.check_staging()
    }

    /// Returns all files of the content store, by their digests.
    fn blob_files(&self) -> Result<HashMap<Vec<u8>, Metadata>> {
        let mut files = HashMap::new();
        for algorithm in ALGORITHMS {
            let folder = layout::at(format!("{}/blobs/{algorithm}", layout::CONTENT));
            for entry in optional(self.store.tree.list(folder.as_path()))?.unwrap_or_default() {
                let digest = [algorithm.as_bytes(), b":", &entry.name].concat();
                files.insert(digest, entry.metadata);
            }
        }
        Ok(files)
    }

    fn check_blob(&mut self, digest: &[u8], said: &BlobSaid<'_>, file: Option<&Metadata>) {
        let place = self.store.tree.place(blob_path(digest).as_path());
        let Some(size) = said.size else {
            let what = format!("no size of blob {}", shown(digest));
            return self.note_meta("blob-without-size", Severity::WrongMetadata, what, "");
        };
        let (code, what) = match file {
            None => ("blob-missing", format!("gone, {size} bytes are wanted")),
            Some(file) if file.kind != Kind::File => ("blob-missing", "not a file".to_owned()),
            Some(file) if file.size != size => {
                ("blob-size-differs", format!("{} bytes, wanted {size}", file.size))
            }
            Some(_) => return,
        };
        self.lost.blobs.extend(blob_id(digest));
        if !self.is_told(&place) {
            self.note(code, Severity::DataLost, place, what, PULL);
        }
    }

    fn check_labels(&mut self, meta: &Meta<'_>) {
        for space in &meta.spaces {
            for (digest, said) in &space.blobs {
                let unpacked = said.labels.get(UNCOMPRESSED);
                if unpacked.is_some_and(|text| text.parse::<DiffId>().is_err()) {
                    let what = format!("no digest in label {UNCOMPRESSED} of {}", shown(digest));
                    self.note_meta("label-unusable", Severity::WrongMetadata, what, "");
                }
                for (label, value) in &said.labels {
                    // What an index or a manifest names need not be there: other platforms, and layers
                    // whose snapshots were there when they were pulled.
                    if let Some(Edge::To(Node::Snapshot { snapshotter, key })) =
                        Edge::of(label, value)
                        && !space.snapshots.contains_key(&(snapshotter.as_bytes(), key.as_bytes()))
                    {
                        let of = shown(digest);
                        let what = format!("{of} keeps snapshot {key}, which is not there");
                        self.note_meta("label-dangling", Severity::Untidy, what, "");
                    }
                }
            }
        }
    }

    fn check_ingests(&mut self, meta: &Meta<'_>) -> Result<()> {
        let folder = layout::at(format!("{}/ingest", layout::CONTENT));
        let names = optional(self.store.tree.names(folder.as_path()))?.unwrap_or_default();
        let refs = meta.spaces.iter().flat_map(|space| &space.ingests).flatten();
        let mut known: HashSet<String> = refs.map(|name| Digest::of(name).hex()).collect();
        for name in names {
            let is_known = std::str::from_utf8(&name).is_ok_and(|name| known.remove(name));
            let what = match is_known {
                true => "a download that did not end",
                false => "what is left of a download that no record names",
            };
            let path = folder.as_path().child(&name).unwrap_or_default();
            let place = self.store.tree.place(path.as_path());
            self.note(
                "ingest-stale",
                Severity::Untidy,
                place,
                what,
                "containerd removes it itself",
            );
        }
        for _ in known {
            let what = "a download that did not end, and has no folder".to_owned();
            self.note_meta("ingest-stale", Severity::Untidy, what, "containerd removes it itself");
        }
        Ok(())
    }

    fn check_staging(&mut self) -> Result<()> {
        let staging = layout::staging();
        if optional(self.store.tree.stat(staging.as_path()))?.is_some() {
            let place = self.store.tree.place(staging.as_path());
            let what = "what an interrupted run of tranship left";
            let remedy = "run the same migration again: it goes on from here, or tidies up";
            self.note("staging-left", Severity::Untidy, place, what, remedy);
        }
        Ok(())
    }
}

fn blob_path(digest: &[u8]) -> TreePathBuf {
    let (algorithm, hex) = match digest.iter().position(|byte| *byte == b':') {
        Some(colon) => {
            (&digest[..colon], digest.get(colon.saturating_add(1)..).unwrap_or_default())
        }
        None => (&b""[..], digest),
    };
    let folder = layout::at(format!("{}/blobs", layout::CONTENT));
    let below = TreePathBuf::new([algorithm, b"/", hex].concat()).unwrap_or_default();
    folder.as_path().join(below.as_path())
}

fn blob_id(digest: &[u8]) -> Option<BlobId> {
    std::str::from_utf8(digest).ok()?.parse().ok().map(BlobId)
}
