use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::hostile::{Forge, SIZE, branch, bucket, leaf};
use super::super::page::{Kind, Page, Pages};
use super::super::{Db, MAX_NESTING, Node, Options, OwnedBucket, check, load, write};
use super::*;

type Path = Vec<Vec<u8>>;

/// Every value, by the keys that lead to it.
fn values(bucket: &OwnedBucket<'_>) -> BTreeMap<Path, Vec<u8>> {
    let mut found = BTreeMap::new();
    for (key, node) in bucket.iter() {
        match node {
            Node::Value(value) => _ = found.insert(vec![key.to_vec()], value.to_vec()),
            Node::Bucket(child) => found.extend(values(child).into_iter().map(|(path, value)| {
                let path = [vec![key.to_vec()], path].concat();
                (path, value)
            })),
        }
    }
    found
}

/// Every value of a sound file, with the pages that lead to it.
fn ways(bytes: &[u8]) -> BTreeMap<Path, (Vec<u8>, BTreeSet<u64>)> {
    let db = Db::open(bytes).expect("sound");
    let mut found = BTreeMap::new();
    go(&db.pages, &db.root, &[], &BTreeSet::new(), &mut found);
    found
}

fn go(
    pages: &Pages<'_>,
    page: &Page<'_>,
    path: &[Vec<u8>],
    above: &BTreeSet<u64>,
    found: &mut BTreeMap<Path, (Vec<u8>, BTreeSet<u64>)>,
) {
    let mut above = above.clone();
    above.extend(page.id..page.id + page.span);
    for index in 0..page.count {
        if page.kind == Kind::Branch {
            let child = pages.get(page.child(index).expect("sound").1, 0).expect("sound");
            go(pages, &child, path, &above, found);
            continue;
        }
        let entry = page.entry(index).expect("sound");
        let path = [path, &[entry.key.to_vec()]].concat();
        let root = u64::from_le_bytes(entry.value.first_chunk().copied().unwrap_or_default());
        match (entry.is_bucket, root) {
            (false, _) => _ = found.insert(path, (entry.value.to_vec(), above.clone())),
            (true, 0) => {
                let child = Page::inline(&entry.value[16..], 0).expect("sound");
                go(pages, &child, &path, &above, found);
            }
            (true, root) => go(pages, &pages.get(root, 0).expect("sound"), &path, &above, found),
        }
    }
}

/// A file with as many blobs and snapshots as asked for, much as containerd has them.
fn filled(blobs: u32, snapshots: u32, page_size: u32) -> Vec<u8> {
    let mut root = OwnedBucket::new();
    let v1 = root.bucket_mut(b"v1");
    v1.put(b"version", b"\x06");
    for blob in 0..blobs {
        let key = format!("sha256:{blob:064x}").into_bytes();
        let entry = v1.path_mut(&[b"moby", b"content", b"blob"]).bucket_mut(key.clone());
        entry.put(b"size", blob.to_le_bytes().to_vec());
        if blob % 3 == 0 {
            entry.bucket_mut(b"labels").put(b"ref", key);
        }
        if blob % 50 == 7 {
            entry.bucket_mut(b"labels").put(b"long", vec![b'x'; 3000]);
        }
    }
    for snapshot in 0..snapshots {
        let key = format!("sha256:{snapshot:064x}").into_bytes();
        let all = v1.path_mut(&[b"moby", b"snapshots", b"overlayfs"]);
        all.sequence = snapshot.into();
        all.bucket_mut(key.clone()).put(b"name", key);
    }
    write(&root, &Options { page_size, freelist: false, txid: 4 }).expect("within all limits")
}

/// Finds blobs' and snapshots' entries by what is in them.
fn home(_: &[u8], node: &Node<'_>) -> Option<Path> {
    let Node::Bucket(entry) = node else { return None };
    let path: &[&[u8]] = match (entry.get(b"size"), entry.get(b"name")) {
        (Some(_), _) => &[b"v1", b"moby", b"content", b"blob"],
        (_, Some(_)) => &[b"v1", b"moby", b"snapshots", b"overlayfs"],
        _ => return None,
    };
    Some(path.iter().map(|key| key.to_vec()).collect())
}

fn nowhere(_: &[u8], _: &Node<'_>) -> Option<Path> {
    None
}

fn assert_writable(salvaged: &Salvaged<'_>) {
    let written = write(&salvaged.root, &salvaged.options).expect("it fits again");
    check(&written).expect("what is written is sound");
}

#[derive(Clone, Debug)]
enum Harm {
    Zero(u64),
    Noise(u64, u8),
    Cut(u64),
    Head(u64, usize, u8),
    Flip(u64, usize, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        any::<u64>().prop_map(Harm::Zero),
        (any::<u64>(), any::<u8>()).prop_map(|(page, seed)| Harm::Noise(page, seed)),
        any::<u64>().prop_map(Harm::Cut),
        (any::<u64>(), 0..10_usize, 1..=255_u8).prop_map(|(p, at, with)| Harm::Head(p, at, with)),
        (any::<u64>(), any::<usize>(), 1..=255_u8).prop_map(|(p, at, w)| Harm::Flip(p, at, w)),
    ]
}

impl Harm {
    /// Harms pages; returns which, and whether a page that was harmed can still be taken for sound.
    fn apply(&self, bytes: &mut Vec<u8>, size: usize, harmed: &mut BTreeSet<u64>) -> bool {
        let end = bytes.len() / size;
        if end <= 3 {
            return false;
        }
        // Pages 0 and 1 are alike, and one of them is enough.
        let pick = |page: u64| 2 + (page as usize) % (end - 2);
        let (page, hidden) = match self {
            Self::Zero(page) => {
                let page = pick(*page);
                bytes[page * size..][..size].fill(0);
                (page, false)
            }
            Self::Noise(page, seed) => {
                let page = pick(*page);
                for (at, byte) in bytes[page * size..][..size].iter_mut().enumerate() {
                    *byte = seed.wrapping_mul(31).wrapping_add((at * 7 + at / 3) as u8) | 0x80;
                }
                (page, false)
            }
            Self::Cut(page) => {
                let page = pick(*page);
                bytes.truncate(page * size + size / 3);
                harmed.extend(page as u64..end as u64);
                (page, false)
            }
            // Its number, or what sort of page it is.
            Self::Head(page, at, with) => {
                let page = pick(*page);
                bytes[page * size + at] ^= with;
                (page, *at >= 8)
            }
            Self::Flip(page, at, with) => {
                let page = pick(*page);
                bytes[page * size + at % size] ^= with;
                (page, true)
            }
        };
        harmed.insert(page as u64);
        hidden
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_whole_is_returned_and_nothing_that_never_was(
        blobs in 0u32..300,
        snapshots in 0u32..200,
        size in prop::sample::select(vec![512_u32, 1024, 4096]),
        harms in prop::collection::vec(harm(), 1..6),
        helps in any::<bool>(),
    ) {
        let sound = filled(blobs, snapshots, size);
        let was = ways(&sound);
        let (mut bytes, mut harmed, mut hidden) = (sound, BTreeSet::new(), false);
        for harm in &harms {
            hidden |= harm.apply(&mut bytes, size as usize, &mut harmed);
        }
        // The bytes past a page's overflow's header can be anything.
        let salvaged = if helps { salvage(&bytes, &home) } else { salvage(&bytes, &nowhere) };
        let found = values(&salvaged.root);
        for (path, (value, pages)) in &was {
            if pages.is_disjoint(&harmed) {
                prop_assert_eq!(found.get(path), Some(value));
            }
        }
        // A long value's later pages have nothing by which to see that they were harmed.
        let overflow = |path: &Path| path.last().is_some_and(|key| key == b"long");
        for (path, value) in found.iter().filter(|(path, _)| !hidden && !overflow(path)) {
            prop_assert_eq!(was.get(path).map(|(value, _)| value), Some(value));
        }
        assert_writable(&salvaged);
    }

    #[test]
    fn no_bytes_are_too_strange(
        mut bytes in prop::collection::vec(any::<u8>(), 0..6000),
        metas in any::<bool>(),
    ) {
        if metas && bytes.len() > 1024 {
            bytes[..1024].copy_from_slice(&Forge::sound().bytes()[..1024]);
        }
        assert_writable(&salvage(&bytes, &home));
    }
}

#[test]
fn a_sound_file_is_returned_as_it_is() {
    for size in [512, 4096, 65536] {
        let bytes = filled(400, 300, size);
        let salvaged = salvage(&bytes, &nowhere);
        let db = Db::open(&bytes).expect("sound");
        assert!(salvaged.root == load(&db).expect("sound"));
        assert_eq!(salvaged.lost, []);
        assert_eq!(salvaged.options, Options::replacing(&db));
    }
}

#[test]
fn pages_that_a_broken_branch_led_to_are_found_by_what_is_on_them() {
    let sound = filled(300, 100, 512);
    let db = Db::open(&sound).expect("sound");
    let want = load(&db).expect("sound");
    let mut broken = 0;
    for id in 2..db.pages.end() {
        let page = db.pages.parse(id);
        if page.is_ok_and(|page| page.kind == Kind::Branch) {
            let mut bytes = sound.clone();
            bytes[id as usize * SIZE..][..SIZE].fill(0);
            let salvaged = salvage(&bytes, &home);
            let (found, want) = (values(&salvaged.root), values(&want));
            assert!(found.iter().all(|(path, value)| want.get(path) == Some(value)), "page {id}");
            // Nobody could tell whose labels these are.
            let labels = salvaged.lost[0].bucket.ends_with(&[b"labels".to_vec()]);
            assert!(labels || found.len() == want.len(), "page {id}");
            assert_eq!(
                (salvaged.lost.len(), salvaged.lost[0].found > 0),
                (1, !labels),
                "page {id}"
            );
            assert_eq!((salvaged.lost[0].page, salvaged.lost[0].offset / 512), (id, id));
            broken += 1;
        }
    }
    assert!(broken > 3, "the file has branches");
}

#[test]
fn a_file_without_meta_pages_is_known_by_its_pages() {
    for size in [512_usize, 4096, 16384] {
        let mut bytes = filled(300, 100, size as u32);
        let want = values(&load(&Db::open(&bytes).expect("sound")).expect("sound"));
        // The checksums are wrong, and what they guard is not.
        bytes[16 + 56] ^= 1;
        bytes[size + 16 + 56] ^= 1;
        let salvaged = salvage(&bytes, &nowhere);
        assert_eq!(
            (salvaged.options.page_size, values(&salvaged.root)),
            (size as u32, want.clone())
        );
        // Nothing is left of them.
        bytes[..2 * size].fill(0);
        let salvaged = salvage(&bytes, &home);
        let found = values(&salvaged.root);
        assert_eq!(salvaged.options.page_size, size as u32);
        assert!(found.iter().all(|(path, value)| want.get(path) == Some(value)));
        assert_eq!(found.len(), want.len() - 1, "all but the version");
        assert_eq!(salvaged.lost[0].found, 400);
    }
}

#[test]
fn what_the_newest_tree_lost_comes_from_the_one_before_it() {
    let mut forge = Forge::sound();
    // A second tree: the same bucket, with another first leaf.
    forge.pages[0] = leaf(&[(1, b"b", &bucket(3)), (0, b"c", b"value")]);
    forge.pages.push(leaf(&[(1, b"b", &bucket(9)), (0, b"c", b"newer")]));
    forge.pages.push(branch(&[(b"d", 10), (b"m", 5)]));
    forge.pages.push(leaf(&[(0, b"d", b"new")]));
    forge.meta.end = 11;
    let mut bytes = forge.bytes();
    let newer = Forge { meta: super::super::meta::Meta { root: 8, ..forge.meta }, pages: vec![] };
    bytes[512..1024].copy_from_slice(&newer.bytes()[512..1024]);
    let get = |salvaged: &Salvaged<'_>, path: &[&[u8]]| {
        let path: Path = path.iter().map(|key| key.to_vec()).collect();
        values(&salvaged.root).get(&path).map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let whole = salvage(&bytes, &nowhere);
    assert_eq!(whole.lost, []);
    assert_eq!(get(&whole, &[b"b", b"d"]).as_deref(), Some("new"));
    // The new leaf never reached the disk.
    let mut torn = bytes.clone();
    torn[10 * SIZE..].fill(0);
    let salvaged = salvage(&torn, &nowhere);
    assert_eq!(get(&salvaged, &[b"b", b"d"]).as_deref(), Some("1"), "the older one");
    assert_eq!(get(&salvaged, &[b"c"]).as_deref(), Some("newer"), "as it was not lost");
    assert_eq!(get(&salvaged, &[b"b", b"m"]).as_deref(), Some("3"));
    let lost = &salvaged.lost[0];
    assert_eq!((lost.page, &*lost.bucket, &*lost.from), (10, &[b"b".to_vec()][..], &b"d"[..]));
    assert_eq!((lost.to.as_deref(), lost.found), (Some(&b"m"[..]), 2), "d and e");
    // Nor did the new root.
    torn[8 * SIZE..].fill(0);
    assert_eq!(get(&salvage(&torn, &nowhere), &[b"c"]).as_deref(), Some("value"));
}

#[test]
fn one_wrong_element_costs_only_itself() {
    let key = |at: u8| [b'a' + at];
    let keys: Vec<_> = (0..8).map(key).collect();
    let entries: Vec<_> = keys.iter().map(|key| (0, &key[..], &b"value"[..])).collect();
    let page = leaf(&entries);
    // Of element 3: its place, its key's length, its value's length, its flags, its key.
    for at in [16 + 48 + 4, 16 + 48 + 8, 16 + 48 + 12, 16 + 48, 16 + 128 + 18] {
        let mut forge = Forge::sound();
        forge.pages[0] = page.clone();
        forge.pages[0][at] ^= 0x10;
        let bytes = forge.bytes();
        let salvaged = salvage(&bytes, &nowhere);
        let found = values(&salvaged.root);
        for entry in [b"a", b"b", b"f", b"g", b"h"] {
            assert_eq!(found.get(&vec![entry.to_vec()]), Some(&b"value".to_vec()), "byte {at}");
        }
        assert!(!found.contains_key(&vec![b"d".to_vec()]), "byte {at}");
        assert!(salvaged.lost.iter().any(|lost| lost.covers(&[b"d".to_vec()])), "byte {at}");
    }
}

#[test]
fn cycles_and_shared_pages_end() {
    for page in [
        branch(&[(b"d", 3), (b"m", 5)]),
        branch(&[(b"d", 4), (b"m", 2)]),
        leaf(&[(1, b"d", &bucket(3)), (1, b"m", &bucket(2))]),
    ] {
        let mut forge = Forge::sound();
        forge.pages[1] = page;
        let bytes = forge.bytes();
        let salvaged = salvage(&bytes, &nowhere);
        assert!(!salvaged.lost.is_empty());
        assert_eq!(salvaged.root.get(b"c"), Some(&b"value"[..]));
    }
    // Each of many pages names the next a hundred times: as many ways as no one can walk.
    let mut forge = Forge::sound();
    let keys: Vec<Vec<u8>> = (0..9).map(|key| vec![b'a' + key]).collect();
    forge.pages.clear();
    for page in 3..40_u64 {
        let child = bucket(page);
        let entries: Vec<_> = keys.iter().map(|key| (1, &**key, &*child)).collect();
        forge.pages.push(leaf(&entries));
    }
    forge.meta.end = 41;
    let bytes = forge.bytes();
    let salvaged = salvage(&bytes, &home);
    assert!(!salvaged.lost.is_empty());
    assert!(salvaged.lost.iter().all(|lost| lost.bucket.len() <= MAX_NESTING));
    assert_writable(&salvaged);
}

#[test]
fn what_was_removed_does_not_come_back() {
    // A page of an old tree has a blob that the tree in force has not, and nothing there is lost.
    let sound = filled(300, 100, 512);
    let mut bytes = sound.clone();
    let extra = filled(1, 0, 512);
    let leaf = (2..).map(|id| &extra[id * SIZE..][..SIZE]).find(|page| page[8] == 2);
    let id = (bytes.len() / SIZE) as u64;
    bytes.extend(leaf.expect("it has a leaf"));
    let at = bytes.len() - SIZE;
    bytes[at..at + 8].copy_from_slice(&id.to_le_bytes());
    let salvaged = salvage(&bytes, &home);
    assert!(salvaged.root == load(&Db::open(&sound).expect("sound")).expect("sound"));
    assert_eq!(salvaged.lost, []);
}
