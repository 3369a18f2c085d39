//! What of a containerd store can go.
//!
//! Entries are taken out of both bolt files, which are written anew; what then no namespace names goes
//! from the disk. Other namespaces than Docker's are not touched, and count as users.

mod blobs;
mod books;
mod claims;
mod disk;
mod leases;
mod reach;

use std::collections::BTreeSet;

use super::read::Containerd;
use super::{layout, schema};
use crate::digest::BlobId;
use crate::error::Result;
use crate::store::Source as _;
use crate::store::reclaim::{Reclaim, Wanted};
use crate::tree::{Tree, TreePathBuf};
use books::{Books, Files, Things};
use reach::{children, text};

impl Containerd {
    /// Returns what can go of what is wanted; see [`Source::reclaim`](crate::store::Source::reclaim).
    pub(super) fn waste(&self, wanted: &Wanted) -> Result<Reclaim> {
        let (tree, driver) = (self.files_of(), self.inventory().driver.as_str());
        if !(wanted.whole || wanted.orphans || wanted.blobs || wanted.leases) {
            return Ok(Reclaim::default());
        }
        let files = Files::read(tree, driver)?;
        let books = files.open(tree, self.namespace(), driver)?;
        let plan = Reclaim::default();
        let dropped = BTreeSet::new();
        let mut work = Work { source: self, tree, driver, wanted, books, plan, dropped };
        let before = work.books.unreached(wanted.known.now);
        if wanted.whole {
            work.whole();
        } else {
            work.leases();
            if wanted.blobs {
                work.blobs()?;
            }
        }
        work.sweep(&before)?;
        let Work { books, mut plan, .. } = work;
        plan.puts = files.puts(tree, &books)?;
        Ok(plan)
    }
}

/// A store of which things are taken away.
struct Work<'a, 'f> {
    source: &'a Containerd,
    tree: &'a dyn Tree,
    driver: &'a str,
    wanted: &'a Wanted,
    books: Books<'f>,
    plan: Reclaim,
    /// Digests of packed layers that are unpacked too.
    dropped: BTreeSet<String>,
}

const MOVED: &str = "the store goes as a whole";
const UNREACHED: &str =
    "no image, container, lease or label leads to it: containerd collects it when it next starts";

impl Work<'_, '_> {
    /// Lets go of all that this namespace holds for its own images.
    fn whole(&mut self) {
        let used = self.used_images();
        let Some(space) = self.books.space() else { return };
        let mut gone = Vec::new();
        for (name, record) in children(space.child(schema::IMAGES)) {
            let target = record.child(schema::TARGET).and_then(|one| text(one, schema::DIGEST));
            match target.is_some_and(|target| used.contains(target)) {
                true => self.plan.stay(format!("image {name}"), "a container that stays has it"),
                false => gone.push(name.to_owned()),
            }
        }
        for name in gone {
            self.books.remove(schema::IMAGES, &name);
            self.plan.add("image", name, MOVED, Vec::new());
        }
        self.all_leases();
    }

    /// Returns the digests by which containers of this store know their images.
    fn used_images(&self) -> BTreeSet<String> {
        let bound = self.wanted.known.containers.iter().filter(|one| one.driver == self.driver);
        let digests = bound.flat_map(|one| {
            let manifest = one.record.image_manifest.as_ref().map(|found| found.digest.clone());
            [Some(one.record.image.clone()), manifest]
        });
        digests.flatten().collect()
    }

    /// Removes what nothing reaches any more, or if that is wanted what nothing has reached before.
    fn sweep(&mut self, before: &Things) -> Result<()> {
        let now = self.wanted.known.now;
        let mut free = self.books.unreached(now);
        if !self.wanted.orphans {
            free.blobs.retain(|one| !before.blobs.contains(one));
            free.snapshots.retain(|one| !before.snapshots.contains(one));
        }
        self.books.drop_things(&free);
        let unnamed = match self.wanted.orphans {
            true => self.books.drop_unnamed(),
            false => BTreeSet::new(),
        };
        self.tell_blobs(before);
        self.tell_snapshots(before, &unnamed);
        if self.wanted.orphans {
            self.downloads()?;
            self.disk()?;
        }
        Ok(())
    }

    /// Tells the blobs whose records go; a file that another namespace names stays.
    fn tell_blobs(&mut self, before: &Things) {
        let (elsewhere, gone) = (self.books.elsewhere(), &self.books.gone.blobs);
        for digest in gone {
            let path = blob_file(digest).filter(|path| self.tree.stat(path.as_path()).is_ok());
            let what = format!("blob {digest}");
            let proof = match (self.dropped.contains(digest), before.blobs.contains(digest)) {
                (true, _) => "the layer is unpacked",
                (false, true) => UNREACHED,
                (false, false) if self.wanted.whole => MOVED,
                (false, false) => "only a lease that goes held it",
            };
            match elsewhere.get(digest.as_str()) {
                Some(space) => self.plan.stay(what, format!("namespace {space} has it too")),
                None => self.plan.add("blob", what, proof, path.into_iter().collect()),
            }
        }
    }

    fn tell_snapshots(&mut self, before: &Things, unnamed: &BTreeSet<String>) {
        let places = layout::Snapshotter::new(self.driver);
        for (folder, name) in &self.books.gone.folders {
            let path = Some(places.snapshot(*folder));
            let path = path.filter(|path| self.tree.stat(path.as_path()).is_ok());
            let key = name.splitn(3, '/').nth(2).unwrap_or(name);
            let proof = match before.snapshots.contains(key) {
                _ if unnamed.contains(name) => "meta.db does not name it",
                true => UNREACHED,
                false if self.wanted.whole => MOVED,
                false => "only a lease that goes held it",
            };
            let what = format!("snapshot {folder}, {key}");
            self.plan.add("snapshot", what, proof, path.into_iter().collect());
        }
    }
}

/// Returns the file of a blob; nothing for what is no digest.
fn blob_file(digest: &str) -> Option<TreePathBuf> {
    if let Ok(blob) = digest.parse() {
        return Some(layout::blob(BlobId(blob)));
    }
    let (algorithm, hex) = digest.split_once(':')?;
    let folder = layout::blob_folder().as_path().child(algorithm.as_bytes())?;
    folder.as_path().child(hex.as_bytes())
}
