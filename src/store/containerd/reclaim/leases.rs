//! Leases: what holds things that no image has.
//!
//! moby v28 distribution/manifest.go, daemon/containerd/image_snapshot.go;
//! vendor/github.com/moby/buildkit/cache/manager.go, cache/refs.go, solver/llbsolver/history.go

use super::Work;
use super::reach::{children, ended, held_by, label};
use crate::digest::{ConfigId, Digest};
use crate::format::bbolt::OwnedBucket;
use crate::format::containerd::labels::GC_FLAT;
use crate::store::containerd::records::LEASE_PREFIX;
use crate::store::containerd::schema;

/// What the builder's leases of its history begin with.
const HISTORY: &str = "ref_";
/// What those end with that keep a layer of its cache in other forms of compression.
const VARIANTS: &str = "-variants";

/// Whose a lease is.
pub(super) enum Owner {
    /// An image of the classic store whose registry documents it keeps.
    Image(Digest),
    /// A container.
    Container,
    Builder,
    Unknown,
}

pub(super) fn owner(id: &str, lease: &OwnedBucket<'_>) -> Owner {
    let image = id.as_bytes().strip_prefix(LEASE_PREFIX);
    let image = image.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    match image {
        Some(image) => Owner::Image(image),
        None if Digest::from_hex(id).is_ok() => Owner::Container,
        None if id.starts_with(HISTORY) || id.ends_with(VARIANTS) => Owner::Builder,
        None if label(lease, GC_FLAT).is_some() => Owner::Builder,
        None => Owner::Unknown,
    }
}

impl Work<'_, '_> {
    /// Lets go of the leases of a store that goes.
    pub(super) fn all_leases(&mut self) {
        let mut gone = Vec::new();
        let (mut documents, mut builds) = (0_u64, 0_u64);
        for (id, lease) in children(self.books.space().and_then(|s| s.child(schema::LEASES))) {
            match owner(id, lease) {
                Owner::Image(image) if self.is_classic(image) => documents += 1,
                Owner::Container if self.wanted.known.may_use(id, self.driver) => {
                    let why = "it is bound to this store: what it needs stays with it";
                    self.plan.stay(format!("container {id}"), why);
                }
                Owner::Builder if !self.wanted.build_cache => builds += 1,
                Owner::Unknown
                    if ended(lease, self.wanted.known.now).is_none()
                        && !held_by(lease).is_empty() =>
                {
                    self.plan.stay(format!("lease {id}"), "it is not known what it is for");
                }
                Owner::Image(_) | Owner::Container | Owner::Builder | Owner::Unknown => {
                    gone.push((id.to_owned(), super::MOVED));
                }
            }
        }
        if documents > 0 {
            let why = "the classic store keeps those of its images here";
            self.plan.stay(format!("registry documents of {documents} images"), why);
        }
        if builds > 0 {
            let what = format!("{builds} parts of the build cache");
            self.plan.stay(what, "`--build-cache` lets them go too");
        }
        self.let_go(gone);
    }

    /// Lets go of leases that nobody will end, as far as that is wanted.
    pub(super) fn leases(&mut self) {
        let (mut gone, now) = (Vec::new(), self.wanted.known.now);
        for (id, lease) in children(self.books.space().and_then(|s| s.child(schema::LEASES))) {
            if self.wanted.orphans && ended(lease, now).is_some() {
                gone.push((id.to_owned(), "it has ended"));
                continue;
            }
            match owner(id, lease) {
                Owner::Image(image) if self.wanted.leases => {
                    match self.wanted.known.classic_images.is_some() {
                        true if self.is_classic(image) => {}
                        true => gone.push((id.to_owned(), "no classic store has the image")),
                        false => {
                            let why = "not all of the classic store could be read";
                            self.plan.stay(format!("lease {id}"), why);
                        }
                    }
                }
                Owner::Container if self.wanted.leases && self.is_forgotten(id) => {
                    gone.push((id.to_owned(), "there is no such container"));
                }
                Owner::Container | Owner::Image(_) | Owner::Builder | Owner::Unknown => {}
            }
        }
        self.let_go(gone);
    }

    /// Returns whether a classic store beside has an image, or may have it.
    pub(super) fn is_classic(&self, image: Digest) -> bool {
        let known = self.wanted.known.classic_images.as_ref();
        known.is_none_or(|known| known.contains(&ConfigId(image)))
    }

    fn is_forgotten(&self, container: &str) -> bool {
        let folders = self.wanted.known.container_folders.as_ref();
        folders.is_some_and(|folders| !folders.contains(container))
    }

    fn let_go(&mut self, gone: Vec<(String, &'static str)>) {
        for (id, proof) in gone {
            self.books.remove(schema::LEASES, &id);
            self.plan.add("lease", format!("lease {id}"), proof, Vec::new());
        }
    }
}
