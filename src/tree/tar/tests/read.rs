use std::io::Write as _;

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::format::tar::build::{Tar, gnu};
use crate::tree::tar::TarTree;
use crate::tree::{Kind, Time, Tree as _, TreePath, path, read, walk};

/// Writes `bytes` to a file and opens it as a tree.
fn open(bytes: &[u8]) -> Result<TarTree> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    TarTree::open(file.path())
}

fn tree(tar: Tar) -> TarTree {
    open(&tar.end()).expect("a sound archive")
}

fn paths(tree: &TarTree) -> Vec<String> {
    let mut paths = Vec::new();
    walk(tree, TreePath::ROOT, &mut |path, _| {
        paths.push(path.to_string());
        Ok(true)
    })
    .expect("a sound tree");
    paths
}

fn content(tree: &TarTree, at: &str) -> Vec<u8> {
    read(tree, path(at)).expect("a file")
}

fn error(tar: Tar) -> Error {
    open(&tar.end()).expect_err("a broken archive")
}

#[test]
fn paths_are_cleaned_and_sorted() {
    let tar = Tar::default()
        .dir("./")
        .file("./b/z", b"1")
        .file("/b//a-", b"2")
        .dir("b/a/")
        .file("b/a/./x", b"3")
        .file("a", b"4");
    let tree = tree(tar);
    assert_eq!(paths(&tree), ["a", "b", "b/a", "b/a/x", "b/a-", "b/z"]);
    assert_eq!(content(&tree, "b/a/x"), b"3");
    let implied = tree.stat(path("b")).expect("made up");
    assert_eq!((implied.kind, implied.mode), (Kind::Dir, 0o755));
    assert!(tree.stat(path("b/y")).expect_err("not there").is_missing());
    assert!(tree.stat(path("c/y")).expect_err("not there").is_missing());
    assert!(tree.list(path("a")).is_err());
    let names = tree.names(path("b")).expect("a folder");
    assert_eq!(names, [b"a".as_slice(), b"a-", b"z"]);
}

#[test]
fn deep_folders_are_made_up() {
    let tree = tree(Tar::default().file("a/b/c/x", b"").file("a/b/d/y", b"").file("e", b""));
    let want = ["a", "a/b", "a/b/c", "a/b/c/x", "a/b/d", "a/b/d/y", "e"];
    assert_eq!(paths(&tree), want);
    let mut inodes: Vec<u64> = ["", "a", "a/b", "a/b/c", "a/b/c/x", "e"]
        .iter()
        .map(|at| tree.stat(path(at)).expect("there").ino)
        .collect();
    inodes.sort_unstable();
    inodes.dedup();
    assert_eq!(inodes.len(), 6, "a number of its own for everything");
}

#[test]
fn the_later_of_two_counts_and_a_link_keeps_the_earlier() {
    let tar = Tar::default()
        .dir("d")
        .file("x", b"old")
        .link(b'1', "kept", "./x")
        .link(b'1', "again", "kept")
        .file("./x", b"new!")
        .edited(b'5', b"d/", b"", |block| {
            block[100..108].copy_from_slice(b"0000700\0");
        });
    let tree = tree(tar);
    assert_eq!(content(&tree, "x"), b"new!");
    assert_eq!(content(&tree, "again"), b"old");
    let [x, kept, again, d] = ["x", "kept", "again", "d"].map(|at| tree.stat(path(at)).expect(at));
    assert_eq!((x.nlink, kept.nlink), (1, 2));
    assert_eq!(kept, again);
    assert_eq!(d.mode, 0o700);
}

#[test]
fn everything_a_header_says_is_told() {
    let device = |block: &mut [u8; 512]| {
        block[329..337].copy_from_slice(b"0000000\0");
        block[337..345].copy_from_slice(b"0000000\0");
    };
    let records = [
        ("mtime", b"-1.25".as_slice()),
        ("uid", b"4294967294"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.empty", b""),
        ("SCHILY.xattr.user.twice", b"1"),
        ("SCHILY.xattr.user.twice", b"\0\n="),
    ];
    let tar = Tar::default()
        .edited(b'3', b"gone", b"", device)
        .edited(b'0', b"\xff", b"x", |block| {
            gnu(block);
            block[116..124].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff");
            block[100..108].copy_from_slice(b"0104755\0");
        })
        .link(b'2', "link", "../target")
        .long(b'K', &[b'l'; 300])
        .link(b'2', "long", "l")
        .member(b'6', "pipe", b"")
        .pax(&records)
        .dir("dir");
    let tree = tree(tar);
    assert!(tree.stat(path("gone")).expect("there").is_whiteout());
    let odd = tree.stat(TreePath::new(b"\xff").expect("a name")).expect("there");
    assert_eq!((odd.mode, odd.gid, odd.size), (0o4755, u32::MAX, 1));
    assert_eq!(tree.read_link(path("link")).expect("a link"), b"../target");
    assert_eq!(tree.stat(path("link")).expect("a link").size, 9);
    assert_eq!(tree.read_link(path("long")).expect("a link"), [b'l'; 300]);
    assert!(tree.read_link(path("dir")).is_err());
    assert!(tree.open(path("link")).is_err());
    assert_eq!(tree.stat(path("pipe")).expect("there").kind, Kind::Fifo);
    let dir = tree.stat(path("dir")).expect("there");
    assert_eq!((dir.uid, dir.mtime), (4_294_967_294, Time { seconds: -2, nanos: 750_000_000 }));
    let xattrs = tree.xattrs(path("dir")).expect("attributes");
    let want: [(&[u8], &[u8]); 3] =
        [(b"trusted.overlay.opaque", b"y"), (b"user.empty", b""), (b"user.twice", b"\0\n=")];
    assert!(xattrs.iter().map(|(key, value)| (&key[..], &value[..])).eq(want));
    assert!(tree.xattrs(path("link")).expect("none").is_empty());
}

#[test]
fn holes_are_zeros_wherever_the_map_is() {
    let mut want = vec![0; 9000];
    want[512..515].copy_from_slice(b"abc");
    want[4096..4098].copy_from_slice(b"de");
    let pieces = [(512, b"abc".as_slice()), (4096, b"de"), (9000, b"")];
    let map = [("GNU.sparse.size", b"9000".as_slice()), ("GNU.sparse.map", b"512,3,4096,2,9000,0")];
    let mut data = b"2\n512\n3\n4096\n2\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"abcde");
    let in_data = [
        ("GNU.sparse.major", b"1".as_slice()),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"data"),
        ("GNU.sparse.realsize", b"9000"),
        ("SCHILY.xattr.user.a", b"b"),
    ];
    let tree = tree(
        Tar::default()
            .old_sparse("old", &pieces, 9000)
            .pax(&map)
            .file("map", b"abcde")
            .pax(&in_data)
            .file("GNUSparseFile.7/data", &data)
            .old_sparse("empty", &[], 5000)
            .file("behind", b"x"),
    );
    for at in ["old", "map", "data"] {
        assert!(content(&tree, at) == want, "{at}");
        let metadata = tree.stat(path(at)).expect("there");
        assert_eq!((metadata.size, metadata.allocated), (9000, 4096), "{at}");
    }
    assert_eq!(content(&tree, "empty"), [0; 5000]);
    assert_eq!(content(&tree, "behind"), b"x");
    assert_eq!(tree.xattrs(path("data")).expect("attributes").len(), 1);
    assert_eq!(paths(&tree), ["behind", "data", "empty", "map", "old"]);
}

#[test]
fn compressed_archives_are_read_too() {
    let zeros = vec![0; 3 << 20];
    let noise: Vec<u8> = (0..2_000_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let plain = Tar::default().file("zeros", &zeros).file("noise", &noise).file("x", b"x").end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).expect("a vector takes every write");
    let gzip = gzip.finish().expect("a vector takes every write");
    let zstd = zstd::encode_all(plain.as_slice(), 1).expect("a vector takes every write");
    for bytes in [&plain, &gzip, &zstd] {
        let tree = open(bytes).expect("a sound archive");
        assert!(content(&tree, "zeros") == zeros);
        assert!(content(&tree, "noise") == noise);
        assert_eq!(content(&tree, "x"), b"x");
    }
    for bytes in [&gzip, &zstd] {
        let error = open(&bytes[..bytes.len() / 2]).expect_err("cut short");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    let error = open(b"\xfd7zXZ\0rest").expect_err("xz");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.advice().is_some());
}

#[test]
fn a_cut_archive_is_an_error_with_its_byte() {
    let tar = Tar::default().file("a", &[1; 1000]).file("b", &[2; 600_000]).dir("c").end();
    let b = 1536 + 512;
    for (length, offset, inside) in [
        (0, 0, ""),
        (100, 0, ""),
        (512 + 10, 512, "a"),
        (1536, 1536, ""),
        (1536 + 200, 1536, ""),
        (b + 1, b, "b"),
        (b + 599_999, b, "b"),
        (tar.len() - 1024, tar.len() - 1024, ""),
        (tar.len() - 1000, tar.len() - 1024, ""),
    ] {
        let error = open(&tar[..length]).expect_err("cut short");
        let place = error.place().expect("a place");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {length}: {error}");
        assert_eq!(place.offset, Some(offset as u64), "cut at {length}: {error}");
        assert_eq!(place.path, inside.as_bytes(), "cut at {length}: {error}");
    }
    assert!(open(&tar[..tar.len() - 512]).is_ok(), "one zero block marks an end, too");
}

#[test]
fn what_no_tree_can_hold_is_refused() {
    let wide = |block: &mut [u8; 512]| block[108..116].copy_from_slice(b"\x80\0\0\x01\0\0\0\0");
    let long = "d/".repeat(20_000);
    for (what, tar) in [
        ("outside", Tar::default().file("a/../../b", b"")),
        ("link outside", Tar::default().link(b'1', "a", "../b")),
        ("no such link", Tar::default().link(b'1', "a", "b")),
        ("link ahead", Tar::default().link(b'1', "a", "b").file("b", b"")),
        ("link to itself", Tar::default().link(b'1', "a", "a")),
        ("link to a folder", Tar::default().dir("d").link(b'1', "a", "d")),
        ("link to the root", Tar::default().link(b'1', "a", ".")),
        ("root is a file", Tar::default().file(".", b"")),
        ("below a file", Tar::default().file("a", b"").file("a/b", b"")),
        ("below a link", Tar::default().link(b'2', "a", "b").file("a/c/d", b"")),
        ("owner", Tar::default().edited(b'0', b"a", b"", wide)),
        ("path", Tar::default().pax(&[("path", long.as_bytes())]).file("a", b"")),
        ("type", Tar::default().member(b'M', "a", b"")),
    ] {
        let error = error(tar);
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Unsupported), "{what}: {error}");
        assert!(error.place().is_some(), "{what}: {error}");
    }
    assert!(TarTree::open(Path::new("/nonexistent.tar")).expect_err("none").is_missing());
    assert!(TarTree::open(Path::new("/")).is_err());
}

#[test]
fn labels_and_global_records_are_no_files() {
    let tar = Tar::default().member(b'V', "label", b"").extended(b'g', "g", &[("comment", b"x")]);
    assert_eq!(paths(&tree(tar.file("a", b""))), ["a"]);
}

#[test]
fn a_place_names_archive_and_path() {
    let tree = tree(Tar::default().file("a/b", b""));
    let place = tree.place(path("a/b")).to_string();
    assert_eq!(place, format!("{}/a/b", tree.origin()));
}

/// What another program wrote.
#[test]
fn an_archive_of_the_tar_crate_is_read() {
    let mut builder = ::tar::Builder::new(Vec::new());
    let long = "directory/".repeat(30) + "file";
    for (at, name) in [long.as_str(), "short"].into_iter().enumerate() {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(7);
        header.set_mode(0o640);
        header.set_uid(5_000_000 + at as u64);
        builder.append_data(&mut header, name, &b"content"[..]).expect("a vector takes all");
    }
    let tree = open(&builder.into_inner().expect("a vector takes all")).expect("sound");
    assert_eq!(content(&tree, &long), b"content");
    assert_eq!(tree.stat(path("short")).expect("there").uid, 5_000_001);
}
