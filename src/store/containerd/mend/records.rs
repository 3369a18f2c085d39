//! Both bolt files, written anew.

use super::super::{layout, schema};
use super::bolt::Bolt;
use super::{Bucket, Mender, Wrong};
use crate::error::Result;
use crate::format::bbolt::{self, Node};
use crate::store::mend::{Change, Mend, Mending};

impl Mender<'_> {
    /// Notes what is wrong with the files themselves.
    pub(super) fn damage(&mut self) {
        let own = [schema::V1, self.namespace.as_bytes(), schema::SNAPSHOTS];
        let snapshots =
            self.meta.root.at(&own).and_then(|all| all.child(self.snapshotter.as_bytes()));
        // A snapshotter that was never used has no file, as beside a classic store.
        let is_used = snapshots.is_some_and(|all| all.iter().next().is_some());
        let mut notes = Vec::new();
        for (bolt, is_wanted) in [(&mut self.backend, is_used), (&mut self.meta, true)] {
            if !bolt.is_there && is_wanted {
                bolt.broken = Some("it is not there".to_owned());
            }
            let Some(error) = &bolt.broken else { continue };
            notes.push(format!("{}: {error}", self.tree.place(bolt.path.as_path())));
            bolt.changed = true;
        }
        for note in notes {
            let (what, how) =
                ("stand in a file that containerd cannot open", "are saved into a new one");
            self.note(what, how, note);
        }
    }

    /// Removes values that stand where only buckets may: containerd cannot list what is beside them.
    pub(super) fn misplaced(&mut self) {
        let own = [schema::V1, self.namespace.as_bytes()];
        let snapshots = [schema::SNAPSHOTS, self.snapshotter.as_bytes()];
        for path in [&[schema::IMAGES][..], &[schema::CONTENT, schema::BLOB], &snapshots] {
            let path = [&own[..], path].concat();
            let all = self.meta.root.at(&path).into_iter().flat_map(Bucket::iter);
            let values = all.filter(|(_, node)| matches!(node, Node::Value(_)));
            let values: Vec<Vec<u8>> = values.map(|(key, _)| key.to_vec()).collect();
            for key in values {
                self.meta.root.path_mut(&path).remove(&key);
                self.meta.changed = true;
                let which = crate::error::printable(&key).into_owned();
                self.note("have no room for what they say", "are removed", which);
            }
        }
        let v1 = self.meta.root.child(schema::V1);
        if v1.is_some_and(|v1| !v1.is_empty() && v1.get(schema::VERSION).is_none()) {
            self.meta.changed = true;
            self.note("do not say by which schema they are written", "get its number", "meta.db");
        }
    }

    /// Ends the plan with the mend of the records, if any are wrong.
    pub(super) fn records(mut self) -> Result<Mending> {
        if !self.meta.changed && !self.backend.changed {
            return Ok(self.out);
        }
        let v1 = self.meta.root.bucket_mut(schema::V1);
        if v1.get(schema::VERSION).is_none() {
            let version = crate::format::containerd::value::encode_varint(schema::FIRST_VERSION);
            v1.put(schema::VERSION, version);
        }
        let mut changes = Vec::new();
        // As a migration does it: what the records name is there before them, and what meta.db names is
        // in metadata.db before.
        for bolt in [&self.backend, &self.meta] {
            if bolt.changed {
                let folder = bolt.path.as_path().split_last().map(|(folder, _)| folder.to_owned());
                let gone = folder.filter(|folder| self.tree.stat(folder.as_path()).is_err());
                changes.extend(gone.map(|folder| Change::folder(folder, layout::PLUGIN_MODE)));
                changes.extend([Change::Settle, self.written(bolt)?]);
            }
        }
        let code = match (&self.meta.broken, &self.backend.broken) {
            (None, None) => "records-wrong",
            _ => "bolt-damaged",
        };
        let (what, how) = (said(&self.wrong, |wrong| wrong.what), said(&self.wrong, |w| w.how));
        let place = self.tree.place(self.meta.path.as_path());
        self.out.mends.push(Mend { code, place, what, how, changes });
        Ok(self.out)
    }

    fn written(&self, bolt: &Bolt) -> Result<Change> {
        let place = || self.tree.place(bolt.path.as_path());
        let bytes = bbolt::write(&bolt.root, &bolt.options).map_err(|error| error.at(place()))?;
        bbolt::check(&bytes).map_err(|error| error.at(place()))?;
        Ok(Change::file(bolt.path.clone(), bolt.mode, bytes))
    }
}

/// How many things are named of one sort.
const NAMED: usize = 3;

fn said(all: &[Wrong], word: impl Fn(&Wrong) -> &'static str) -> String {
    let one = |wrong: &Wrong| {
        let named: Vec<_> = wrong.which.iter().take(NAMED).map(String::as_str).collect();
        let more = match wrong.which.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("records that {} ({}{more})", word(wrong), named.join(", "))
    };
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}
