//! Buckets as values, to be read, changed and written whole.

use std::borrow::Cow;

use super::check::Visited;
use super::entries::Entries;
use super::read::Cursor;
use super::{Bucket, Db, Item};
use crate::error::DecodeError;

/// A bucket and all that is in it, apart from any file; what was loaded still borrows its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedBucket<'a> {
    /// The last number that was handed out in this bucket.
    pub sequence: u64,
    entries: Entries<'a>,
}

/// What a key leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    /// Bytes.
    Value(Cow<'a, [u8]>),
    /// A further bucket.
    Bucket(Box<OwnedBucket<'a>>),
}

/// Loads a whole file. Everything is checked as [`check`](super::check) does, but for the pages that
/// no bucket reaches.
///
/// # Errors
/// The first thing that is wrong.
pub fn load<'a>(db: &Db<'a>) -> Result<OwnedBucket<'a>, DecodeError> {
    load_bucket(&db.root(), &mut Visited::new(&db.pages))
}

fn load_bucket<'a>(
    bucket: &Bucket<'a>,
    visited: &mut Visited,
) -> Result<OwnedBucket<'a>, DecodeError> {
    visited.mark(bucket.root_page())?;
    let mut cursor = Cursor::new(bucket);
    let mut list = Vec::new();
    while let Some(entry) = cursor.next(Some(visited)) {
        let entry = entry?;
        let node = match bucket.item(&entry)? {
            Item::Value(value) => Node::Value(value.into()),
            Item::Bucket(child) => Node::Bucket(Box::new(load_bucket(&child, visited)?)),
        };
        list.push((entry.key.into(), node));
    }
    Ok(OwnedBucket { sequence: bucket.sequence(), entries: Entries::from_sorted(list) })
}

impl<'a> OwnedBucket<'a> {
    /// Returns an empty bucket.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many keys there are in this bucket itself.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what `key` leads to.
    #[must_use]
    pub fn node(&self, key: &[u8]) -> Option<&Node<'a>> {
        self.entries.get(key)
    }

    /// Returns the value of `key`, or nothing where there is none or it is a bucket.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.node(key)? {
            Node::Value(value) => Some(value),
            Node::Bucket(_) => None,
        }
    }

    /// Returns the bucket called `key`, or nothing where there is none or it is a value.
    #[must_use]
    pub fn child(&self, key: &[u8]) -> Option<&Self> {
        match self.node(key)? {
            Node::Bucket(child) => Some(child),
            Node::Value(_) => None,
        }
    }

    /// Returns the bucket called `key` to be changed, or nothing where there is none.
    #[must_use]
    pub fn child_mut(&mut self, key: &[u8]) -> Option<&mut Self> {
        match self.entries.get_mut(key)? {
            Node::Bucket(child) => Some(child),
            Node::Value(_) => None,
        }
    }

    /// Returns the bucket at the end of `path`.
    #[must_use]
    pub fn at(&self, path: &[&[u8]]) -> Option<&Self> {
        path.iter().try_fold(self, |bucket, key| bucket.child(key))
    }

    /// Returns all keys in ascending order with what they lead to.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Node<'a>)> {
        self.entries.iter()
    }

    /// Gives `key` a value; returns what it led to before.
    pub fn put(
        &mut self,
        key: impl Into<Cow<'a, [u8]>>,
        value: impl Into<Cow<'a, [u8]>>,
    ) -> Option<Node<'a>> {
        self.entries.insert(key.into(), Node::Value(value.into()))
    }

    /// Makes `key` lead to a bucket; returns what it led to before.
    pub fn put_bucket(&mut self, key: impl Into<Cow<'a, [u8]>>, bucket: Self) -> Option<Node<'a>> {
        self.entries.insert(key.into(), Node::Bucket(Box::new(bucket)))
    }

    /// Returns the bucket called `key`, made empty if there is none. A value gives way to it.
    pub fn bucket_mut(&mut self, key: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        let key = key.into();
        if self.child(&key).is_none() {
            self.put_bucket(key.clone(), Self::new());
        }
        self.child_mut(&key).expect("it was there or has been put there")
    }

    /// Returns the bucket at the end of `path`, each made empty if there is none.
    pub fn path_mut(&mut self, path: &[&[u8]]) -> &mut Self {
        path.iter().fold(self, |bucket, key| bucket.bucket_mut(key.to_vec()))
    }

    /// Removes `key` with all it leads to, and returns that.
    pub fn remove(&mut self, key: &[u8]) -> Option<Node<'a>> {
        self.entries.remove(key)
    }

    /// Hands out the next number of this bucket, the first time 1.
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Returns this bucket with its own copy of everything it borrows.
    #[must_use]
    pub fn into_owned(self) -> OwnedBucket<'static> {
        let entries = self.entries.map(|(key, node)| (key.into_owned().into(), node.into_owned()));
        OwnedBucket { sequence: self.sequence, entries }
    }
}

impl Node<'_> {
    fn into_owned(self) -> Node<'static> {
        match self {
            Self::Value(value) => Node::Value(value.into_owned().into()),
            Self::Bucket(bucket) => Node::Bucket(Box::new(bucket.into_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_made_on_the_way_and_found_again() {
        let mut root = OwnedBucket::new();
        root.path_mut(&[b"v1", b"moby", b"images"]).put(b"a", b"1");
        root.path_mut(&[b"v1", b"moby", b"leases"]).put(b"b".to_vec(), vec![2]);
        assert_eq!(root.bucket_mut(b"v1").next_sequence(), 1);

        let images = root.at(&[b"v1", b"moby", b"images"]).expect("it was made");
        assert_eq!(images.get(b"a"), Some(&b"1"[..]));
        assert_eq!(images.child(b"a"), None, "a value is no bucket");
        assert_eq!(root.get(b"v1"), None, "a bucket is no value");
        assert_eq!(root.child(b"v1").expect("it was made").sequence, 1);
        assert!(root.at(&[b"v1", b"other"]).is_none());

        assert!(root.bucket_mut(b"v1").remove(b"moby").is_some());
        assert!(root.child(b"v1").expect("only its child was removed").is_empty());
        assert_eq!(
            root.put(b"v1", b"now a value").map(|old| matches!(old, Node::Bucket(_))),
            Some(true)
        );
        assert!(root.bucket_mut(b"v1").is_empty(), "a value gives way to a bucket");
    }
}
