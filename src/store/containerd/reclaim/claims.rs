//! Whose the files of a containerd root are.

use std::collections::{BTreeSet, HashMap};

use super::books::Files;
use super::leases::{Owner, owner};
use super::reach::{Graph, children, ended, held_by, keys, text};
use super::{Work, blob_file};
use crate::digest::Digest;
use crate::error::Result;
use crate::format::bbolt::OwnedBucket;
use crate::format::containerd::key::BackendKey;
use crate::format::containerd::labels::Node;
use crate::format::time::Timestamp;
use crate::model::{Holder, Role, Thing, Use};
use crate::store::Source as _;
use crate::store::claims::Claims;
use crate::store::containerd::read::Containerd;
use crate::store::containerd::{layout, schema};
use crate::store::reclaim::{Known, Reclaim, Wanted};

/// What holds each blob and snapshot.
type Holders<'b> = HashMap<Node<'b>, BTreeSet<Holder>>;

impl Containerd {
    /// Returns who has what; see [`Source::claims`](crate::store::Source::claims).
    pub(in crate::store::containerd) fn claimed(&self, known: &Known) -> Result<Claims> {
        let (tree, driver) = (self.files_of(), self.inventory().driver.as_str());
        let files = Files::read(tree, driver)?;
        let books = files.open(tree, self.namespace(), driver)?;
        let wanted = Wanted { orphans: true, known: known.clone(), ..Wanted::default() };
        let (plan, dropped) = (Reclaim::default(), BTreeSet::new());
        let mut work = Work { source: self, tree, driver, wanted: &wanted, books, plan, dropped };
        let mut claims = Claims::default();
        folders(driver, &mut claims);
        let holders = work.books.space().map(|space| work.holders(space)).unwrap_or_default();
        work.claim_blobs(&holders, &mut claims);
        work.claim_snapshots(&holders, &mut claims);
        drop(holders);
        let before = work.books.unreached(known.now);
        work.leases();
        work.sweep(&before)?;
        claims.waste(work.plan.waste);
        Ok(claims)
    }

    /// Returns what each blob is for that images name.
    fn roles(&self) -> HashMap<Digest, &'static str> {
        let mut roles = HashMap::new();
        for blob in self.inventory().blobs.values() {
            roles.insert(blob.blob.0, "layer");
        }
        for image in &self.inventory().images {
            roles.insert(image.id, "index");
            for one in &image.manifests {
                let manifest = one.manifest.as_ref().and_then(|manifest| manifest.blob());
                let role = match one.role {
                    Role::Attestation(_) => "attestation",
                    Role::Image | Role::Unknown => "manifest",
                };
                roles.extend(manifest.map(|blob| (blob.0, role)));
                roles.extend(one.config.as_ref().map(|(id, _)| (id.0, "config")));
            }
        }
        roles
    }
}

/// What belongs to nothing deeper.
fn folders(driver: &str, claims: &mut Claims) {
    let role = "records of the store";
    let thing = Thing::new(Use::Metadata, "containerd").with_role(role);
    claims.add(
        thing,
        [crate::tree::TreePathBuf::default(), layout::Snapshotter::new(driver).snapshots()],
    );
    claims.each(layout::Snapshotter::new(driver).snapshots(), Use::Unknown);
    for name in ["sha256", "sha512"] {
        claims.each(layout::blobs_by(name), Use::Unknown);
    }
    claims.each(layout::ingests(), Use::Ingest);
    let aside = Thing::new(Use::Quarantine, layout::STAGING);
    claims.add(aside, [layout::staging()]);
}

impl Work<'_, '_> {
    fn claim_blobs(&self, holders: &Holders<'_>, claims: &mut Claims) {
        let roles = self.source.roles();
        for (space, bucket) in self.books.spaces() {
            let is_own = space == self.books.namespace();
            for digest in keys(bucket.at(&[schema::CONTENT, schema::BLOB])) {
                let Some(path) = blob_file(digest) else { continue };
                let mut thing = match is_own {
                    true => {
                        let held = holders.get(&Node::Content(digest)).cloned().unwrap_or_default();
                        Thing::new(held_as(&held, Use::Blob), digest).with_holders(held)
                    }
                    false => of_namespace(Use::Blob, digest, space),
                };
                let role = digest.parse().ok().and_then(|digest| roles.get(&digest).copied());
                thing.role = role.unwrap_or(thing.role);
                claims.add(thing, [path]);
            }
        }
    }

    fn claim_snapshots(&self, holders: &Holders<'_>, claims: &mut Claims) {
        for (name, folder, is_committed) in self.books.all_folders() {
            let Ok(key) = BackendKey::parse(name.as_bytes()) else { continue };
            let path = layout::Snapshotter::new(self.driver).snapshot(folder);
            if key.namespace != self.books.namespace() {
                claims.add(of_namespace(Use::Snapshot, &key.key, &key.namespace), [path]);
                continue;
            }
            let node = Node::Snapshot { snapshotter: self.driver, key: &key.key };
            let held = holders.get(&node).cloned().unwrap_or_default();
            claims.add(snapshot(&key.key, is_committed, held), [path]);
        }
    }

    /// Returns what holds each thing of a namespace.
    fn holders<'b>(&self, space: &'b OwnedBucket<'_>) -> Holders<'b>
    where
        Self: 'b,
    {
        let graph = Graph::of(space);
        let mut holders = Holders::new();
        let mut hold = |start: Vec<Node<'b>>, holder: &Holder| {
            for node in graph.reach(start) {
                holders.entry(node).or_default().insert(holder.clone());
            }
        };
        for (name, record) in children(space.child(schema::IMAGES)) {
            let target = record.child(schema::TARGET).and_then(|one| text(one, schema::DIGEST));
            if let Some(id) = target.and_then(|digest| digest.parse().ok()) {
                hold(vec![Node::Image(name)], &Holder::Image(id));
            }
        }
        for (id, lease) in children(space.child(schema::LEASES)) {
            if let Some(holder) = self.lease_holder(id, lease, self.wanted.known.now) {
                hold(held_by(lease), &holder);
            }
        }
        holders
    }

    fn lease_holder(&self, id: &str, lease: &OwnedBucket<'_>, now: Timestamp) -> Option<Holder> {
        if ended(lease, now).is_some() {
            return None;
        }
        Some(match owner(id, lease) {
            Owner::Image(image) if self.is_classic(image) => Holder::Image(image),
            Owner::Container if self.wanted.known.may_exist(id) => Holder::Container(id.to_owned()),
            Owner::Builder => Holder::Build,
            Owner::Image(_) | Owner::Container | Owner::Unknown => Holder::Lease(id.to_owned()),
        })
    }
}

fn of_namespace(of: Use, id: &str, space: &str) -> Thing {
    let holder = Holder::Namespace(space.to_owned());
    Thing::new(of, id).with_role("of another namespace").with_holders([holder])
}

/// Returns what something is of that would be `usual` if an image or a container held it.
fn held_as(held: &BTreeSet<Holder>, usual: Use) -> Use {
    let is_lease = |one: &Holder| matches!(one, Holder::Lease(_));
    match held {
        held if held.is_empty() => usual,
        held if held.iter().all(is_lease) => Use::Lease,
        held if held.iter().all(|one| *one == Holder::Build || is_lease(one)) => Use::BuildCache,
        _ => usual,
    }
}

/// moby v28 daemon/containerd/image_snapshot.go: a container's are called by its ID.
fn snapshot(key: &str, is_committed: bool, held: BTreeSet<Holder>) -> Thing {
    let own = |id: &str, of, role| {
        let holder = Holder::Container(id.to_owned());
        Thing::new(of, id).with_role(role).with_holders([holder])
    };
    match key.strip_suffix("-init") {
        Some(id) if Digest::from_hex(id).is_ok() => own(id, Use::Init, ""),
        None if !is_committed && Digest::from_hex(key).is_ok() => {
            own(key, Use::Container, "changes")
        }
        _ => Thing::new(held_as(&held, Use::Snapshot), key).with_holders(held),
    }
}
