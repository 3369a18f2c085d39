use super::build::{Tar, gnu, header, sum, v7};
use super::*;
use crate::error::DecodeError;

/// What a test looks at of a member.
type Seen = (Kind, Vec<u8>, u64);

fn walk(tar: &[u8]) -> std::io::Result<Vec<Seen>> {
    let mut reader = Reader::new(tar);
    let mut seen = Vec::new();
    while let Next::Member(member) = reader.member()? {
        seen.push((member.kind, member.path.to_vec(), member.size));
    }
    Ok(seen)
}

/// Hands the archive's first member to `check`.
fn first(tar: Tar, check: impl FnOnce(&Member<'_>)) {
    let tar = tar.end();
    let mut reader = Reader::new(tar.as_slice());
    match reader.member().expect("sound headers") {
        Next::Member(member) => check(&member),
        Next::End(_) => panic!("no member"),
    }
}

fn path_of(tar: Tar) -> Vec<u8> {
    let mut path = Vec::new();
    first(tar, |member| path = member.path.to_vec());
    path
}

fn error_of(tar: &[u8]) -> DecodeError {
    let error = walk(tar).expect_err("a broken archive");
    error.downcast::<DecodeError>().expect("an error of the format")
}

#[test]
fn names_go_before_names() {
    let long = [b'n'; 150];
    let sparse =
        [("GNU.sparse.name", b"sparse".as_slice()), ("path", b"pax"), ("GNU.sparse.map", b"0,1")];
    for (tar, want) in [
        (Tar::default().file("plain", b"x"), b"plain".as_slice()),
        (Tar::default().long(b'L', &long).file("plain", b"x"), &long),
        (Tar::default().pax(&[("path", b"pax")]).file("plain", b"x"), b"pax"),
        (Tar::default().pax(&[("path", b"pax")]).long(b'L', &long).file("plain", b"x"), &long),
        (Tar::default().long(b'L', &long).pax(&sparse).file("plain", b"x"), b"sparse"),
        (Tar::default().pax(&[("path", b"1")]).pax(&[("uid", b"2")]).file("plain", b"x"), b"plain"),
        (Tar::default().long(b'L', b"1").long(b'L', b"2").file("plain", b"x"), b"2"),
        (Tar::default().edited(b'L', b"v7", b"long\0", v7).file("plain", b"x"), b"long"),
        (
            Tar::default().edited(b'0', b"name", b"", |h| h[345..348].copy_from_slice(b"a/b")),
            b"a/b/name",
        ),
        (
            Tar::default().edited(b'0', b"name", b"", |h| {
                gnu(h);
                h[345] = b'0'
            }),
            b"name",
        ),
        (Tar::default().edited(b'0', &[b'x'; 100], b"", |_| {}), &[b'x'; 100]),
        (Tar::default().edited(b'0', b"\xff\xfe", b"", |_| {}), b"\xff\xfe"),
    ] {
        assert_eq!(path_of(tar), want);
    }
}

#[test]
fn numbers_are_octal_binary_or_pax() {
    let tar = Tar::default().edited(b'0', b"a", b"", |block| {
        block[108..116].copy_from_slice(b"\x80\0\0\0\xee\x6b\x28\x00");
        block[116..124].copy_from_slice(b" 17 \0\0\0\0");
        block[136..148].fill(0xff);
    });
    first(tar, |member| {
        assert_eq!((member.uid, member.gid), (4_000_000_000, 0o17));
        assert_eq!(member.mtime, (-1, 0));
    });
    let records = [("uid", b"4294967294".as_slice()), ("mtime", b"1.000000001"), ("size", b"3")];
    let tar = Tar::default().pax(&records).bytes(&header(b'0', b"a", 0)).bytes(b"abc").pad();
    first(tar.clone().file("b", b""), |member| {
        assert_eq!((member.uid, member.mtime, member.size), (4_294_967_294, (1, 1), 3));
    });
    let seen = walk(&tar.file("b", b"").end()).expect("sound");
    assert_eq!(seen[1], (Kind::File, b"b".to_vec(), 0));
}

#[test]
fn kinds_have_their_flags_and_links_have_no_data() {
    let device = |block: &mut [u8; BLOCK]| {
        block[329..337].copy_from_slice(b"0000010\0");
        block[337..345].copy_from_slice(b"0000003\0");
    };
    let sized = |block: &mut [u8; BLOCK]| block[124..136].copy_from_slice(b"00000001000\0");
    let tar = Tar::default()
        .edited(b'3', b"null", b"", device)
        .edited(b'1', b"hard", b"", sized)
        .edited(b'5', b"dir", b"", sized)
        .edited(0, b"old/", b"", |block| {
            v7(block);
            sized(block)
        })
        .edited(0, b"old", b"x", v7)
        .member(b'7', "contiguous", b"x")
        .member(b'6', "pipe", b"")
        .extended(b'g', "global", &[("comment", b"x")])
        .member(b'V', "label", b"");
    let kinds: Vec<Kind> =
        walk(&tar.clone().end()).expect("sound").into_iter().map(|seen| seen.0).collect();
    use Kind::{Char, Dir, Fifo, File, Global, HardLink, Other};
    assert_eq!(kinds, [Char, HardLink, Dir, Dir, File, File, Fifo, Global, Other(b'V')]);
    first(tar, |member| assert_eq!(member.device, (8, 3)));
    let long = [b'l'; 120];
    first(Tar::default().long(b'K', &long).link(b'2', "a", "b"), |member| {
        assert_eq!((member.kind, &*member.link), (Kind::Symlink, &long[..]));
    });
}

#[test]
fn raw_bytes_and_data_make_the_archive() {
    let tar = Tar::default()
        .extended(b'g', "global", &[("comment", b"x")])
        .long(b'L', &[b'n'; 600])
        .pax(&[("mtime", b"1")])
        .file("a", &[7; 1000])
        .old_sparse("s", &[(0, b"x"), (512, b"y"), (1024, b"z"), (2048, b"u"), (4096, b"v")], 9000)
        .end();
    let mut reader = Reader::new(tar.as_slice());
    let mut again = Vec::new();
    loop {
        again.extend_from_slice(reader.padding().expect("sound"));
        match reader.member().expect("sound") {
            Next::Member(member) => {
                assert_eq!(member.offset, again.len() as u64);
                again.extend_from_slice(member.raw);
            }
            Next::End(blocks) => {
                again.extend_from_slice(blocks);
                break;
            }
        }
        while let piece @ [_, ..] = reader.data().expect("sound") {
            again.extend_from_slice(piece);
        }
    }
    assert!(again == tar);
}

#[test]
fn every_sparse_form_is_read() {
    let want = |member: &Member<'_>| {
        let chunks = [(512, 3), (2048, 2)].map(|(offset, length)| Chunk { offset, length });
        assert_eq!((member.sparse.as_deref(), member.size), (Some(chunks.as_slice()), 5000));
        assert_eq!((&*member.path, member.stored), (b"s".as_slice(), 5));
    };
    first(Tar::default().old_sparse("s", &[(512, b"abc"), (2048, b"de")], 5000), want);
    let pairs = [
        ("GNU.sparse.size", b"5000".as_slice()),
        ("GNU.sparse.offset", b"512"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"2048"),
        ("GNU.sparse.numbytes", b"2"),
    ];
    first(Tar::default().pax(&pairs).file("s", b"abcde"), want);
    let map = [("GNU.sparse.size", b"5000".as_slice()), ("GNU.sparse.map", b"512,3,2048,2")];
    first(Tar::default().pax(&map).file("s", b"abcde"), want);
    let mut data = b"2\n512\n3\n2048\n2\n".to_vec();
    data.resize(BLOCK, 0);
    data.extend_from_slice(b"abcde");
    let version = [
        ("GNU.sparse.major", b"1".as_slice()),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.realsize", b"5000"),
    ];
    let named = Tar::default().pax(&version).file("GNUSparseFile.0/s", &data);
    first(named, want);
    // A file so large that its size is a record, too.
    let sized = [version.as_slice(), &[("size", b"517")]].concat();
    first(Tar::default().pax(&sized).file("GNUSparseFile.0/s", &data), want);
}

#[test]
fn many_pieces_take_many_blocks() {
    let pieces: Vec<(u64, &[u8])> = (0..3000).map(|at| (at * 4096, b"x".as_slice())).collect();
    first(Tar::default().old_sparse("s", &pieces, 1 << 24), |member| {
        assert_eq!(member.sparse.as_ref().map(Vec::len), Some(3000));
    });
}

#[test]
fn an_archive_may_end_early_but_not_anywhere() {
    let tar = Tar::default().file("a", b"x").zeros(0).0;
    for (end, blocks) in [(0, 0), (512, 512), (1024, 1024), (4096, 1024)] {
        let tar = [tar.as_slice(), &vec![0; end]].concat();
        let mut reader = Reader::new(tar.as_slice());
        assert!(matches!(reader.member().expect("sound"), Next::Member(_)));
        match reader.member().expect("an end") {
            Next::End(zeros) => assert_eq!(zeros.len(), blocks),
            Next::Member(member) => panic!("{member:?}"),
        }
    }
    assert_eq!(walk(&tar[..513]).expect("missing padding").len(), 1);
    for (length, offset) in [(1, 0), (511, 0), (512, 512)] {
        assert_eq!(error_of(&tar[..length]).offset, offset, "cut at {length}");
    }
    let lone = Tar::default().file("a", b"x").zeros(1).file("b", b"");
    assert_eq!(error_of(&lone.0).offset, 1024);
    assert_eq!(error_of(&[tar.as_slice(), &[0; 700]].concat()).offset, 1024);
}

#[test]
fn what_is_no_tar_is_refused() {
    let broken = |edit: fn(&mut [u8; BLOCK])| {
        let mut block = header(b'0', b"a", 0);
        edit(&mut block);
        block.to_vec()
    };
    let summed = |edit: fn(&mut [u8; BLOCK])| Tar::default().edited(b'0', b"a", b"", edit).0;
    let records = |records: &[(&str, &[u8])]| Tar::default().pax(records).file("a", b"abc").0;
    for (what, tar) in [
        ("checksum", broken(|block| block[0] = b'b')),
        ("text", vec![b'x'; 2048]),
        ("negative size", summed(|block| block[124..136].fill(0xff))),
        ("bad size", summed(|block| block[124..136].copy_from_slice(b"0000000009x\0"))),
        ("bad owner", summed(|block| block[108] = b'z')),
        ("bad time", records(&[("mtime", b"x")])),
        ("bad number", records(&[("size", b"-1")])),
        ("holes outside", records(&[("GNU.sparse.map", b"1,3"), ("GNU.sparse.size", b"3")])),
        ("holes overlap", records(&[("GNU.sparse.map", b"0,2,1,1")])),
        ("holes missing", records(&[("GNU.sparse.map", b"0,3,4,1"), ("GNU.sparse.size", b"9")])),
        ("odd map", records(&[("GNU.sparse.map", b"0,1,2")])),
        ("no map", records(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")])),
        ("star sparse", Tar::default().member(b'S', "a", b"").0),
        ("no member", Tar::default().pax(&[("path", b"a")]).0),
    ] {
        assert!(walk(&tar).is_err(), "{what}");
    }
}

#[test]
fn bombs_are_refused_before_memory_is_taken() {
    let mut huge = header(b'x', b"a", 0);
    huge[124..136].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    sum(&mut huge);
    for flag in [b'x', b'L', b'K', b'g'] {
        huge[156] = flag;
        sum(&mut huge);
        let small = Tar::default().long(b'L', &[b'a'; 1000]);
        assert!(error_of(&small.bytes(&huge).0).what.contains("bytes"));
    }
    let names = std::iter::repeat_n(0, HEADER_LIMIT / 1024 + 1);
    let endless = names.fold(Tar::default(), |tar, _| tar.long(b'L', b"a"));
    assert!(error_of(&endless.file("a", b"").0).what.contains("more than"));
    let pieces = b"262145\n";
    let map = [("GNU.sparse.major", b"1".as_slice()), ("GNU.sparse.minor", b"0")];
    assert!(error_of(&Tar::default().pax(&map).file("s", pieces).0).what.contains("pieces"));
}

#[test]
fn signed_checksums_of_old_programs_are_taken() {
    let mut block = header(b'0', b"\xfcber", 0);
    let sum: i32 = block.iter().map(|b| i32::from(b.cast_signed())).sum();
    let field: i32 = block[148..156].iter().map(|b| i32::from(*b)).sum();
    let sum = sum - field + 8 * i32::from(b' ');
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(path_of(Tar::default().bytes(&block)), b"\xfcber");
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_flipped_byte_never_panics(at in 0..6144usize, value: u8, fix: bool) {
            let mut tar = Tar::default()
                .long(b'L', b"name")
                .pax(&[("path", b"a"), ("SCHILY.xattr.user.a", b"b"), ("mtime", b"1.5")])
                .file("a", b"data")
                .old_sparse("s", &[(0, b"x"), (512, b"y")], 5000)
                .end();
            if let Some(byte) = tar.get_mut(at) {
                *byte = value;
            }
            let block = at / BLOCK * BLOCK;
            if fix && let Some(block) = tar.get_mut(block..).and_then(<[u8]>::first_chunk_mut) {
                sum(block);
            }
            let _ = walk(&tar);
        }
    }
}
