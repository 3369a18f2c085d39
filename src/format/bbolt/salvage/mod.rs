//! What is left of a file that bbolt panics on.
//!
//! [`load`](super::load) refuses a file for one wrong byte. Here each page is believed as far as it
//! agrees with itself and with the page above it, and all that can be read is returned with a list of
//! what cannot:
//!
//! 1. The tree of the newer meta is walked. A page that is not what it should be costs the keys that it
//!    would have, and no others.
//! 2. What is missing is taken from the tree of the older meta, if there is one. bbolt does not write
//!    over that tree before the transaction after the newer one.
//! 3. What is missing still is looked for on the pages that no tree reaches. Nothing says whose they
//!    are but their keys, so the caller does: see [`Home`].
//!
//! bbolt keeps no checksums of its pages: a byte changed within a key or value cannot be seen here.
//! Freelists are not looked at, for a file written anew has none.

mod orphans;
mod roots;
mod sound;
#[cfg(test)]
mod tests;
mod walk;

use super::{Node, Options, OwnedBucket};

/// Says in which bucket an entry belongs that stands on a page which nothing leads to, as the keys from
/// the root down; nothing if that cannot be told. The root has the empty path.
pub type Home<'h> = dyn Fn(&[u8], &Node<'_>) -> Option<Vec<Vec<u8>>> + 'h;

/// What could be read of a damaged file.
#[derive(Clone, Debug)]
pub struct Salvaged<'a> {
    /// The buckets and values.
    pub root: OwnedBucket<'a>,
    /// What could not be read, in the order of the keys; empty if nothing is wrong.
    pub lost: Vec<Lost>,
    /// How to write the file anew.
    pub options: Options,
}

/// A part of a tree that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The page it would be on.
    pub page: u64,
    /// The byte of the file that is wrong.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// The bucket it is of, as the keys from the root down.
    pub bucket: Vec<Vec<u8>>,
    /// The keys that are lost are none before this.
    pub from: Vec<u8>,
    /// They are all before this; nothing where they may be any.
    pub to: Option<Vec<u8>>,
    /// How many of them were found elsewhere: in the tree before the last change, or on pages that
    /// nothing leads to.
    pub found: usize,
}

impl Lost {
    /// Returns whether what was at `path`, as the keys from the root down, may be among what is lost.
    #[must_use]
    pub fn covers(&self, path: &[Vec<u8>]) -> bool {
        let next = path.strip_prefix(self.bucket.as_slice()).and_then(<[_]>::first);
        next.is_some_and(|key| self.is_between(key))
    }

    fn is_between(&self, key: &[u8]) -> bool {
        *key >= *self.from && self.to.as_deref().is_none_or(|to| key < to)
    }
}

/// How many losses are listed one by one. After these a whole file counts as one more.
const LISTED: usize = 1_000;

/// Reads what can be read of a file, whatever its bytes are.
#[must_use]
pub fn salvage<'a>(bytes: &'a [u8], home: &Home<'_>) -> Salvaged<'a> {
    let found = roots::roots(bytes);
    let mut walk = walk::Walk::new(bytes, found.page_size);
    let mut trees = found.roots.iter();
    let mut root = match trees.next() {
        Some(newest) => walk.from(newest),
        None => {
            walk.lose_all("no page could be the root of all buckets");
            OwnedBucket::new()
        }
    };
    let mut lost = walk.take_lost();
    for older in trees {
        if lost.is_empty() {
            break;
        }
        let older = walk.from(older);
        lost.iter_mut().for_each(|lost| fill(&mut root, &older, lost));
        walk.take_lost();
    }
    if !lost.is_empty() {
        orphans::place(&mut root, &mut walk, &mut lost, home);
    }
    lost.sort_by(|a, b| (&a.bucket, &a.from, a.page).cmp(&(&b.bucket, &b.from, b.page)));
    Salvaged { root, lost, options: found.options }
}

/// Puts what `older` has of a lost part back.
fn fill<'a>(root: &mut OwnedBucket<'a>, older: &OwnedBucket<'a>, lost: &mut Lost) {
    let path: Vec<&[u8]> = lost.bucket.iter().map(Vec::as_slice).collect();
    let Some(from) = older.at(&path) else { return };
    let into = root.path_mut(&path);
    into.sequence = into.sequence.max(from.sequence);
    let missing = from.iter().filter(|(key, _)| lost.is_between(key));
    let found = missing.filter(|(key, node)| put_missing(into, key, (*node).clone())).count();
    lost.found = lost.found.saturating_add(found);
}

/// Gives `key` what it leads to, if there is nothing yet; returns whether that was done.
fn put_missing<'a>(bucket: &mut OwnedBucket<'a>, key: &[u8], node: Node<'a>) -> bool {
    if bucket.node(key).is_some() {
        return false;
    }
    match node {
        Node::Value(value) => bucket.put(key.to_vec(), value),
        Node::Bucket(child) => bucket.put_bucket(key.to_vec(), *child),
    };
    true
}
