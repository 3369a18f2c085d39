//! Files that nobody's bbolt wrote.

use super::meta::Meta;
use super::{Bucket, Db, Item, MAX_NESTING, Options, OwnedBucket, check, load, write};

pub(super) const SIZE: usize = 512;

/// The pages of a file from page 2 on, and what its meta pages say.
pub(super) struct Forge {
    pub(super) pages: Vec<Vec<u8>>,
    pub(super) meta: Meta,
}

pub(super) fn page(flags: u16, count: usize, overflow: u32, body: &[u8]) -> Vec<u8> {
    let mut page = vec![0; 8];
    page.extend(flags.to_le_bytes());
    page.extend((count as u16).to_le_bytes());
    page.extend(overflow.to_le_bytes());
    page.extend(body);
    page
}

fn elements(flags: u16, fixed: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
    let mut body: Vec<u8> = fixed.iter().flatten().flat_map(|field| field.to_le_bytes()).collect();
    body.extend(data);
    page(flags, fixed.len(), 0, &body)
}

/// Returns a leaf of flags, keys and values.
pub(super) fn leaf(entries: &[(u32, &[u8], &[u8])]) -> Vec<u8> {
    let (mut fixed, mut data) = (Vec::new(), Vec::new());
    for (index, (flags, key, value)) in entries.iter().enumerate() {
        let distance = (entries.len() - index) * 16 + data.len();
        fixed.push([*flags, distance as u32, key.len() as u32, value.len() as u32]);
        data.extend([*key, *value].concat());
    }
    elements(2, &fixed, &data)
}

/// Returns a branch of keys and pages.
pub(super) fn branch(children: &[(&[u8], u32)]) -> Vec<u8> {
    let (mut fixed, mut data) = (Vec::new(), Vec::new());
    for (index, (key, child)) in children.iter().enumerate() {
        let distance = (children.len() - index) * 16 + data.len();
        fixed.push([distance as u32, key.len() as u32, *child, 0]);
        data.extend(*key);
    }
    elements(1, &fixed, &data)
}

/// Returns the value of a bucket whose root is page `root`.
pub(super) fn bucket(root: u64) -> Vec<u8> {
    [root.to_le_bytes(), 7_u64.to_le_bytes()].concat()
}

/// Returns the value of a bucket whose only leaf is `page`.
fn inline(page: &[u8]) -> Vec<u8> {
    [&bucket(0), page].concat()
}

impl Forge {
    /// A sound file: a root with the bucket `b` (page 3), its branch, two leaves and a free page.
    pub(super) fn sound() -> Self {
        let pages = vec![
            leaf(&[(1, b"b", &bucket(3)), (0, b"c", b"value")]),
            branch(&[(b"d", 4), (b"m", 5)]),
            leaf(&[(0, b"d", b"1"), (1, b"e", &inline(&leaf(&[(0, b"x", b"y")])))]),
            leaf(&[(0, b"m", b"3"), (0, b"n", b"4")]),
            page(0x10, 1, 0, &7_u64.to_le_bytes()),
            vec![0xAA; 16],
        ];
        let meta = Meta {
            offset: 0,
            page_size: SIZE as u32,
            root: 2,
            sequence: 0,
            freelist: Some(6),
            end: 8,
            txid: 1,
        };
        Self { pages, meta }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for txid in [0, 1] {
            bytes.extend(page(4, 0, 0, &Meta { txid, ..self.meta }.encode()));
            bytes[txid as usize * SIZE] = txid as u8;
            bytes.resize((txid as usize + 1) * SIZE, 0);
        }
        for (id, page) in (2_u64..).zip(&self.pages) {
            let start = bytes.len();
            bytes.extend(page);
            if page[..8] == [0; 8] {
                bytes[start..start + 8].copy_from_slice(&id.to_le_bytes());
            }
            bytes.resize(start + page.len().next_multiple_of(SIZE), 0);
        }
        bytes
    }
}

/// Walks all that can be read of a bucket; returns how many items and errors that was.
fn walk(bucket: &Bucket<'_>) -> (usize, usize) {
    let (mut items, mut errors) = (0, 0);
    for entry in bucket.iter() {
        items += 1;
        match entry {
            Ok((_, Item::Bucket(child))) => {
                let (more, wrong) = walk(&child);
                items += more;
                errors += wrong;
            }
            Ok((key, Item::Value(_))) => drop(bucket.get(key)),
            Err(_) => errors += 1,
        }
        assert!(items < 1_000_000, "a small file has no end");
    }
    (items, errors)
}

/// Does everything that reads; returns what the check says.
fn read_all(bytes: &[u8]) -> Result<(), String> {
    let db = Db::open(bytes).map_err(|error| error.what)?;
    walk(&db.root());
    for key in [&b""[..], b"b", b"m", b"zz"] {
        let _ = (db.root().get(key), db.root().at(&[b"b", key]));
    }
    let checked = check(bytes);
    let loaded = load(&db);
    assert!(checked.is_err() || loaded.is_ok(), "what check finds sound can be loaded");
    if let Ok(root) = &loaded {
        let written = write(root, &Options::replacing(&db));
        assert!(written.is_err() || check(&written.expect("tested")).is_ok());
    }
    checked.map(|_| ()).map_err(|error| error.what)
}

type Fault = (&'static str, fn(&mut Forge));

/// What `check` says, and the fault that makes it say so.
const FAULTS: &[Fault] = &[
    ("page 0 is named", |f| f.meta.root = 0),
    ("page 8 is named", |f| f.meta.root = 8),
    ("the file ends here, wanted 9 pages", |f| f.meta.end = 9),
    ("wanted 18446744073709551615 pages", |f| f.meta.end = u64::MAX),
    ("page 6 is in a tree but neither", |f| {
        f.meta.root = 6;
        f.meta.freelist = None;
    }),
    ("page flags 0x0003", |f| f.pages[1][8] = 3),
    ("page 3 says it is page 4", |f| f.pages[1][0] = 4),
    ("4294967296 pages from page 3", |f| f.pages[1][12..16].fill(0xFF)),
    ("6 pages from page 3", |f| f.pages[1][12] = 5),
    ("65535 elements in 512 bytes", |f| f.pages[1][10..12].fill(0xFF)),
    ("page 3 has no elements", |f| f.pages[1] = branch(&[])),
    ("page 4 has no elements", |f| f.pages[2] = leaf(&[])),
    ("page 4294967295 is named", |f| f.pages[1] = branch(&[(b"d", 4), (b"m", u32::MAX)])),
    // Cycles, and pages that are reached in two ways.
    ("page 3 is reached twice", |f| f.pages[1] = branch(&[(b"d", 3), (b"m", 5)])),
    ("page 4 is reached twice", |f| f.pages[1] = branch(&[(b"d", 4), (b"m", 4)])),
    ("page 2 is reached twice", |f| f.pages[0] = leaf(&[(1, b"b", &bucket(2))])),
    ("page 3 is reached twice", |f| {
        f.pages[0] = leaf(&[(1, b"b", &bucket(3)), (1, b"c", &bucket(3))]);
    }),
    ("page 6 is reached twice", |f| f.pages[0] = leaf(&[(1, b"b", &bucket(6))])),
    // Keys.
    ("key d is the first of a leaf", |f| f.pages[1] = branch(&[(b"c", 4), (b"m", 5)])),
    ("key l is not larger", |f| f.pages[3] = leaf(&[(0, b"m", b""), (0, b"l", b"")])),
    ("key m is not larger", |f| f.pages[3] = leaf(&[(0, b"m", b""), (0, b"m", b"")])),
    ("key  is empty", |f| f.pages[2] = leaf(&[(0, b"", b"")])),
    ("key n is not larger", |f| {
        f.pages[2] = leaf(&[(0, b"d", b""), (0, b"n", b"")]);
        f.pages[1] = branch(&[(b"d", 4), (b"n", 5)]);
        f.pages[3] = leaf(&[(0, b"n", b"")]);
    }),
    ("key d is the first of a branch", |f| {
        f.pages[1] = branch(&[(b"c", 7), (b"m", 5)]);
        f.pages[5] = branch(&[(b"d", 4)]);
        f.meta.freelist = None;
    }),
    // Elements.
    ("element flags 0x2", |f| f.pages[2][16] = 2),
    ("element 0 points outside", |f| f.pages[2][20..24].fill(0xFF)),
    ("element 0 points outside", |f| f.pages[2][24..28].fill(0xFF)),
    ("element 0 points outside", |f| f.pages[2][28..32].fill(0xFF)),
    ("element 1 points outside", |f| f.pages[1][32..36].fill(0xFF)),
    ("elements overlap on page 4", |f| {
        let fixed = [[0, 48, 1, 300], [0, 33, 1, 300], [0, 18, 1, 300]];
        f.pages[2] = elements(2, &fixed, b"def");
    }),
    ("elements overlap on page 3", |f| {
        let fixed = [[32, 300, 4, 0], [16, 300, 5, 0]];
        f.pages[1] = elements(1, &fixed, &[b'd'; 300]);
        let key = [b'd'; 300];
        f.pages[2] = leaf(&[(0, &key, b"")]);
    }),
    // Buckets.
    ("bucket b: a header of 8 bytes", |f| f.pages[0] = leaf(&[(1, b"b", &[0; 8])])),
    ("bucket b: 0 bytes, wanted a page", |f| f.pages[0] = leaf(&[(1, b"b", &bucket(0))])),
    ("bucket b: page 1 is named", |f| f.pages[0] = leaf(&[(1, b"b", &bucket(1))])),
    ("bucket b: page 0 in a value", |f| {
        f.pages[0] = leaf(&[(1, b"b", &inline(&branch(&[(b"d", 4)])))]);
    }),
    ("bucket b: 5 elements in 16 bytes", |f| {
        f.pages[0] = leaf(&[(1, b"b", &inline(&page(2, 5, 0, &[])))]);
    }),
    ("bucket c: it stands in an inline bucket", |f| {
        let inner = leaf(&[(1, b"c", &inline(&leaf(&[])))]);
        f.pages[0] = leaf(&[(1, b"b", &inline(&inner))]);
    }),
    // The freelist.
    ("page 5 is neither reached nor free", |f| {
        f.pages[1] = branch(&[(b"d", 4)]);
    }),
    ("page 4 is not marked as a freelist", |f| f.meta.freelist = Some(4)),
    ("page 1 is named", |f| f.meta.freelist = Some(1)),
    ("page 5 is reached twice, or free", |f| f.pages[4][16] = 5),
    ("page 8 is listed as free", |f| f.pages[4][16] = 8),
    ("page 6 is listed as free", |f| f.pages[4][16] = 6),
    ("page 7 is listed as free", |f| {
        f.pages[4] = page(0x10, 2, 0, &[7_u64, 7].map(u64::to_le_bytes).concat());
    }),
    ("63 free pages, wanted at most 62", |f| f.pages[4][10] = 63),
    ("18446744073709551615 free pages", |f| {
        f.pages[4] = page(0x10, 0xFFFF, 0, &u64::MAX.to_le_bytes());
    }),
];

#[test]
fn every_fault_is_found_and_named() {
    assert_eq!(read_all(&Forge::sound().bytes()), Ok(()));
    for (wanted, fault) in FAULTS {
        let mut forge = Forge::sound();
        fault(&mut forge);
        let found = read_all(&forge.bytes()).expect_err(wanted);
        assert!(found.contains(wanted), "found {found:?}, wanted {wanted:?}");
    }
}

#[test]
fn a_sound_file_is_summed_up() {
    let mut forge = Forge::sound();
    let summary = check(&forge.bytes()).expect("sound");
    assert_eq!((summary.pages, summary.free, summary.buckets, summary.values), (8, 1, 2, 5));
    // The same freelist, counted the way that a long one is.
    forge.pages[4] = page(0x10, 0xFFFF, 0, &[1_u64, 7].map(u64::to_le_bytes).concat());
    assert_eq!(check(&forge.bytes()), Ok(summary));
    forge.meta.freelist = None;
    let summary = check(&forge.bytes()).expect("sound");
    assert_eq!(summary.free, 2, "without a freelist, free is what is not reached");
}

#[test]
fn meta_pages_must_say_what_they_are() {
    for at in [0, 8, SIZE, SIZE + 8] {
        let mut bytes = Forge::sound().bytes();
        bytes[at] ^= 3;
        assert!(Db::open(&bytes).is_ok(), "the content is valid all the same");
        assert!(check(&bytes).is_err(), "bbolt asserts header byte {at}");
    }
}

#[test]
fn a_damaged_bucket_does_not_hide_its_neighbours() {
    let mut forge = Forge::sound();
    forge.pages[0] = leaf(&[(0, b"a", b"1"), (1, b"b", &bucket(99)), (0, b"c", b"2")]);
    let bytes = forge.bytes();
    let found: Vec<_> = Db::open(&bytes).expect("sound").root().iter().collect();
    assert!(matches!(found[0], Ok((b"a", Item::Value(b"1")))));
    assert!(found[1].as_ref().is_err_and(|error| error.what.starts_with("bucket b: page 99")));
    assert!(matches!(found[2], Ok((b"c", Item::Value(b"2")))));
}

#[test]
fn levels_that_share_their_children_end_quickly() {
    for fan in [1, 2, 8] {
        let mut forge = Forge::sound();
        forge.meta.freelist = None;
        for level in 0..200 {
            forge.pages[1 + level] = branch(&vec![(&b"d"[..], 4 + level as u32); fan]);
            forge.pages.push(Vec::new());
        }
        forge.pages[201] = leaf(&[(0, b"d", b"")]);
        forge.pages.truncate(202);
        forge.meta.end = 204;
        let found = read_all(&forge.bytes()).expect_err("200 levels");
        assert!(found.contains("64 branches deep"), "{found}");
    }
}

#[test]
fn buckets_that_hold_themselves_end_at_the_limit() {
    let mut forge = Forge::sound();
    forge.pages[0] = leaf(&[(1, b"a", &bucket(2)), (0, b"b", b"")]);
    let bytes = forge.bytes();
    assert!(read_all(&bytes).expect_err("a cycle").contains("reached twice"));
    let root = Db::open(&bytes).expect("both metas are valid").root();
    assert_eq!(walk(&root), (2 * MAX_NESTING + 2, 1));
    let path = [&b"a"[..]; MAX_NESTING];
    assert!(root.at(&path).expect("deep, but not too deep").is_some());
    let error = root.at(&[&b"a"[..]; MAX_NESTING + 1]).expect_err("too deep");
    assert!(error.what.contains("nested more than 16 deep"), "{error}");
}

/// A small file with one of everything: an overflow value, a branch, nested and inline buckets.
fn small() -> Vec<u8> {
    let mut root = OwnedBucket::new();
    let nested = root.path_mut(&[b"v1", b"moby"]);
    nested.put(b"large", vec![b'x'; 700]);
    for n in 0..40_u8 {
        nested.put(vec![b'k', n], vec![n; 20]);
    }
    nested.bucket_mut(b"inline").put(b"a", b"b");
    root.put(b"zz", b"end");
    write(&root, &Options { page_size: SIZE as u32, ..Options::default() }).expect("small")
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let bytes = small();
    assert_eq!(read_all(&bytes), Ok(()));
    for length in 0..bytes.len() {
        assert!(Db::open(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn no_flipped_byte_makes_a_reader_panic_or_run_on() {
    let mut bytes = small();
    let mut found = 0;
    for at in 0..bytes.len() {
        for flip in [1 << (at % 8), 0xFF] {
            bytes[at] ^= flip;
            found += usize::from(read_all(&bytes).is_err());
            bytes[at] ^= flip;
        }
    }
    assert!(found > 500, "structure is checked; found {found}");
}
