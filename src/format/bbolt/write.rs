//! Writing a file whole, page after page, in one go.

use std::fmt;
use std::io::{self, Write};

use super::meta::{Meta, is_page_size};
use super::page::Kind;
use super::pen::Pen;
use super::{Db, MAX_KEY_SIZE, MAX_NESTING, MAX_VALUE_SIZE, Node, OwnedBucket};
use crate::error::{Error, Place, printable};

/// How a file is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The size of a page: a power of two from 512 to 16 MiB.
    pub page_size: u32,
    /// Whether the file lists its free pages (of which it has none). containerd's `meta.db` does not.
    pub freelist: bool,
    /// The number that the last transaction has at least.
    pub txid: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { page_size: 4096, freelist: true, txid: 0 }
    }
}

impl Options {
    /// Returns the options for a file that replaces `db`.
    #[must_use]
    pub fn replacing(db: &Db<'_>) -> Self {
        Self { page_size: db.page_size(), freelist: db.has_freelist(), txid: db.txid() }
    }
}

/// Something that no bbolt file can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The keys from the root bucket down to where it is.
    pub path: Vec<Vec<u8>>,
    /// What was found and what was wanted.
    pub what: String,
}

impl EncodeError {
    fn new(what: impl Into<String>) -> Self {
        Self { path: Vec::new(), what: what.into() }
    }

    /// Returns this error as one about the file that was to be written at `place`.
    #[must_use]
    pub fn at(self, place: Place) -> Error {
        Error::unsupported(place, self.to_string())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in &self.path {
            write!(f, "{} ▸ ", printable(key))?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for EncodeError {}

/// Returns the file whose root bucket is `root`. The same values give the same bytes.
///
/// # Errors
/// The first key or value that is too large, or options that make no file.
pub fn write(root: &OwnedBucket<'_>, options: &Options) -> Result<Vec<u8>, EncodeError> {
    let layout = Layout::new(root, options)?;
    let mut bytes = Vec::with_capacity(usize::try_from(layout.size()).unwrap_or(0));
    layout.write_to(&mut bytes).map_err(|error| EncodeError::new(error.to_string()))?;
    Ok(bytes)
}

/// A file that is ready to be written: what is in it fits, and where all its pages go is known.
#[derive(Clone, Debug)]
pub struct Layout<'v, 'a> {
    root: &'v OwnedBucket<'a>,
    meta: Meta,
}

impl<'v, 'a> Layout<'v, 'a> {
    /// Lays out the file whose root bucket is `root`.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn new(root: &'v OwnedBucket<'a>, options: &Options) -> Result<Self, EncodeError> {
        let Options { page_size, freelist, txid } = *options;
        if !is_page_size(page_size) {
            return Err(EncodeError::new(format!("pages of {page_size} bytes")));
        }
        // The first meta's number is even, the second's one larger.
        let Some(txid) = txid.checked_next_multiple_of(2).and_then(|even| even.checked_add(1))
        else {
            return Err(EncodeError::new(format!("there is no transaction after {txid}")));
        };
        check_limits(root, 0)?;
        let mut pen = Pen::new(page_size, None);
        let root_page = pen.tree(root).map_err(|error| EncodeError::new(error.to_string()))?;
        let end = pen.next.saturating_add(freelist.into());
        let freelist = freelist.then_some(pen.next);
        let sequence = root.sequence;
        let meta = Meta { offset: 0, page_size, root: root_page, sequence, freelist, end, txid };
        Ok(Self { root, meta })
    }

    /// Returns how many bytes [`write_to`](Self::write_to) writes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.meta.end.saturating_mul(self.meta.page_size.into())
    }

    /// Writes the file from its start to its end.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut pen = Pen::new(self.meta.page_size, Some(out));
        let older = Meta { txid: self.meta.txid.saturating_sub(1), ..self.meta };
        pen.next = 0;
        pen.page(Kind::Meta, &older.encode())?;
        pen.page(Kind::Meta, &self.meta.encode())?;
        pen.tree(self.root)?;
        if self.meta.freelist.is_some() {
            pen.page(Kind::Freelist, &[])?;
        }
        Ok(())
    }
}

/// Finds the first thing below `bucket` that a file cannot hold.
fn check_limits(bucket: &OwnedBucket<'_>, depth: usize) -> Result<(), EncodeError> {
    if depth > MAX_NESTING {
        return Err(EncodeError::new(format!("nested more than {MAX_NESTING} deep")));
    }
    for (key, node) in bucket.iter() {
        let below = match node {
            _ if key.is_empty() || key.len() > MAX_KEY_SIZE => {
                let found = key.len();
                return Err(EncodeError::new(format!(
                    "a key of {found} bytes, wanted 1 to {MAX_KEY_SIZE}"
                )));
            }
            Node::Value(value) if value.len() > MAX_VALUE_SIZE => {
                let found = value.len();
                Err(EncodeError::new(format!("{found} bytes, wanted at most {MAX_VALUE_SIZE}")))
            }
            Node::Value(_) => Ok(()),
            Node::Bucket(child) => check_limits(child, depth.saturating_add(1)),
        };
        below.map_err(|mut error| {
            error.path.insert(0, key.to_vec());
            error
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Bucket, Item, check, load};
    use super::*;

    fn leaf_value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            20 => prop::collection::vec(any::<u8>(), 0..60),
            3 => (0usize..2000).prop_map(|length| vec![7; length]),
            1 => Just(vec![9; 100_000]),
        ]
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            20 => prop::collection::vec(any::<u8>(), 1..20),
            2 => (any::<u8>(), 200usize..3000).prop_map(|(byte, length)| vec![byte; length]),
            1 => any::<u8>().prop_map(|byte| vec![byte; MAX_KEY_SIZE]),
        ]
    }

    fn bucket() -> impl Strategy<Value = OwnedBucket<'static>> {
        let values = |sequence: u64, values: Vec<(Vec<u8>, Vec<u8>)>| {
            let mut bucket = OwnedBucket::new();
            bucket.sequence = sequence;
            for (key, value) in values {
                bucket.put(key, value);
            }
            bucket
        };
        let pairs = prop::collection::vec((key(), leaf_value()), 0..120);
        let flat = (any::<u64>(), pairs).prop_map(move |(sequence, pairs)| values(sequence, pairs));
        flat.prop_recursive(4, 40, 6, |inner| {
            (inner.clone(), prop::collection::vec((key(), inner), 0..6)).prop_map(
                |(mut bucket, children)| {
                    for (key, child) in children {
                        bucket.put_bucket(key, child);
                    }
                    bucket
                },
            )
        })
    }

    /// Compares what stands in a file with `wanted`, by iteration and by search.
    fn assert_same(found: &Bucket<'_>, wanted: &OwnedBucket<'_>) {
        assert_eq!(found.sequence(), wanted.sequence);
        let mut found_keys = 0;
        for (entry, (key, node)) in found.iter().zip(wanted.iter()) {
            let (found_key, item) = entry.expect("a file that was just written is sound");
            assert_eq!(found_key, key);
            match (item, node) {
                (Item::Value(value), Node::Value(wanted)) => {
                    assert_eq!(value, &**wanted);
                    assert_eq!(found.get(key), Ok(Some(&**wanted)));
                    assert!(found.bucket(key).expect("sound").is_none());
                }
                (Item::Bucket(child), Node::Bucket(wanted)) => {
                    assert_same(&child, wanted);
                    assert_eq!(found.get(key), Ok(None));
                    assert!(found.bucket(key).expect("sound").is_some());
                }
                _ => panic!("a bucket is a value, or a value a bucket"),
            }
            found_keys += 1;
        }
        assert_eq!((found_keys, found.iter().count()), (wanted.len(), wanted.len()));
    }

    fn assert_round_trip(root: &OwnedBucket<'_>, options: &Options) {
        let bytes = write(root, options).expect("within all limits");
        assert_eq!(bytes, write(root, options).expect("again"), "the same bytes every time");
        let summary = check(&bytes).expect("a file that was just written is sound");
        assert_eq!(summary.pages * u64::from(options.page_size), bytes.len() as u64);
        assert_eq!(summary.free, 0);
        let db = Db::open(&bytes).expect("a file that was just written opens");
        assert_eq!(db.page_size(), options.page_size);
        assert_eq!(db.has_freelist(), options.freelist);
        assert!(db.txid() > options.txid);
        assert_same(&db.root(), root);
        assert_eq!(load(&db).as_ref(), Ok(root));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_written_is_read(
            root in bucket(),
            page_size in prop::sample::select(vec![1024, 4096, 16384, 65536]),
            freelist: bool,
            txid in 0u64..1000,
        ) {
            assert_round_trip(&root, &Options { page_size, freelist, txid });
        }
    }

    fn numbered(count: u32, value: &[u8]) -> OwnedBucket<'_> {
        let mut bucket = OwnedBucket::new();
        for n in 0..count {
            bucket.put(n.to_be_bytes().to_vec(), value);
        }
        bucket
    }

    /// One such key fills a leaf, three a branch: trees of every shape up to five levels.
    #[test]
    fn every_count_of_pages_makes_a_sound_tree() {
        let mut root = OwnedBucket::new();
        for n in 0..130 {
            let options = Options { page_size: 512, ..Options::default() };
            assert_round_trip(&root, &options);
            let mut key = vec![n];
            key.resize(100, 0);
            root.put(key, vec![n; 300]);
        }
    }

    #[test]
    fn branches_of_the_longest_keys_have_two_children() {
        let mut root = OwnedBucket::new();
        for n in 0..33 {
            let mut key = vec![0; MAX_KEY_SIZE];
            key[MAX_KEY_SIZE - 1] = n;
            root.put(key, vec![n]);
        }
        for page_size in [512, 4096, 65536, 16 << 20] {
            assert_round_trip(&root, &Options { page_size, ..Options::default() });
        }
    }

    #[test]
    fn a_page_never_has_too_many_elements() {
        let root = numbered(200_000, b"");
        assert_round_trip(&root, &Options { page_size: 16 << 20, ..Options::default() });
    }

    #[test]
    fn buckets_are_inline_exactly_where_bbolt_inlines_them() {
        let child = |length: usize| {
            let mut child = OwnedBucket::new();
            child.put(b"k", vec![0; length]);
            child
        };
        // A root page, a leaf of its own or not, and the freelist.
        let pages = |child: OwnedBucket<'_>| {
            let mut root = OwnedBucket::new();
            root.put_bucket(b"b", child);
            let bytes = write(&root, &Options::default()).expect("within all limits");
            check(&bytes).expect("a file that was just written is sound").pages
        };
        let largest = 4096 / 4 - 16 - 16 - 1;
        assert_eq!(pages(OwnedBucket::new()), 4);
        assert_eq!(pages(child(largest)), 4);
        assert_eq!(pages(child(largest + 1)), 5);
        let mut nested = OwnedBucket::new();
        nested.put_bucket(b"empty", OwnedBucket::new());
        assert_eq!(pages(nested), 5, "a bucket that holds a bucket has its own page");
    }

    #[test]
    fn what_no_file_can_hold_is_refused_with_its_place() {
        let refused = |root: &OwnedBucket<'_>| {
            write(root, &Options::default()).expect_err("too large").to_string()
        };
        let mut root = OwnedBucket::new();
        root.path_mut(&[b"v1", b"moby"]).put(vec![1; MAX_KEY_SIZE + 1], b"");
        assert_eq!(refused(&root), "v1 ▸ moby ▸ a key of 32769 bytes, wanted 1 to 32768");
        let mut root = OwnedBucket::new();
        root.bucket_mut(b"v1").put(b"", b"");
        assert_eq!(refused(&root), "v1 ▸ a key of 0 bytes, wanted 1 to 32768");
        let mut root = OwnedBucket::new();
        root.path_mut(&[&b"x"[..]; MAX_NESTING]);
        assert!(write(&root, &Options::default()).is_ok());
        root.path_mut(&[&b"x"[..]; MAX_NESTING + 1]);
        assert!(refused(&root).ends_with("nested more than 16 deep"));

        for (page_size, txid) in [(0, 0), (256, 0), (4097, 0), (32 << 20, 0), (4096, u64::MAX)] {
            let options = Options { page_size, freelist: true, txid };
            assert!(write(&OwnedBucket::new(), &options).is_err(), "{options:?}");
        }
    }

    #[test]
    fn a_replacement_continues_what_it_replaces() {
        let options = Options { page_size: 16384, freelist: false, txid: 6 };
        let bytes = write(&OwnedBucket::new(), &options).expect("within all limits");
        let db = Db::open(&bytes).expect("just written");
        assert_eq!(db.txid(), 7);
        let next = Options::replacing(&db);
        assert_eq!(next, Options { txid: 7, ..options });
        let bytes = write(&OwnedBucket::new(), &next).expect("within all limits");
        assert_eq!(Db::open(&bytes).expect("just written").txid(), 9);
    }
}
