//! The layers: each goes against one thing that a reader may have taken for granted.

use tar::{EntryType, Header};

use super::tar::{BLOCK, Tar, link};

/// Returns layers that stand on each other, each with what it shows.
pub(super) fn layers() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a base with a whiteout of nothing", base().end(2)),
        ("nothing", Tar::default().end(2)),
        ("one path twice", twice().end(2)),
        ("sparse files", sparse().end(2)),
        ("links with sizes", sized_links().end(2)),
        ("global headers", global().end(2)),
        ("names that are not text", names().end(2)),
        ("no end", Tar::default().file(b"ends/none", &[b'n'; 1000]).end(0)),
        ("half an end", Tar::default().file(b"ends/half", &[b'h'; BLOCK]).end(1)),
        ("more than an end", Tar::default().file(b"ends/more", b"m").end(77)),
        (
            "something behind the end",
            [Tar::default().file(b"ends/x", b"x").end(2), vec![b'?'; 700]].concat(),
        ),
        ("whiteouts and swaps", swaps().end(2)),
        ("devices and modes", devices().end(2)),
        ("numbers and times", numbers().end(2)),
        ("attributes", attributes().end(2)),
        ("no bytes at all", Vec::new()),
    ]
}

fn base() -> Tar {
    Tar::default()
        .dir(b"bin/")
        .file(b"bin/sh", &b"shell\n".repeat(900))
        .add(EntryType::Link, b"bin/ash", b"", |header| link(header, b"bin/sh"))
        .add(EntryType::Symlink, b"bin/bash", b"", |header| link(header, b"sh"))
        .dir(b"etc")
        .file(b"etc/.wh.never-was", b"")
        .file(b"etc/passwd", b"root:x:0:0\n")
        .dir(b"old")
        .file(b"old/a", b"a")
        .dir(b"old/deep")
        .file(b"old/deep/b", b"b")
        .dir(b"swap1")
        .file(b"swap1/in", b"a folder")
        .file(b"swap2", b"a file")
        .file(b"empty", b"")
}

fn twice() -> Tar {
    Tar::default()
        .file(b"twice", b"first\n")
        .file(b"twice", b"second, and longer\n")
        .file(b"./again", b"1")
        .file(b"again", b"1")
        .file(b"turned", b"a file, then a folder")
        .dir(b"turned")
        .file(b"turned/in", b"in it")
        .file(b"turned/gone/deep", b"a folder, then a link")
        .add(EntryType::Symlink, b"turned/gone", b"", |header| link(header, b"in"))
}

fn sparse() -> Tar {
    let old = |header: &mut Header| {
        let block = header.as_mut_bytes();
        for (i, (offset, length)) in [(1024u32, 512u32), (8192, 3)].into_iter().enumerate() {
            block[386 + 24 * i..][..12].copy_from_slice(format!("{offset:011o}\0").as_bytes());
            block[398 + 24 * i..][..12].copy_from_slice(format!("{length:011o}\0").as_bytes());
        }
        block[483..495].copy_from_slice(format!("{:011o}\0", 10_000).as_bytes());
    };
    let mut map = b"2\n0\n4\n65536\n5\n".to_vec();
    map.resize(BLOCK, 0);
    map.extend(b"head tail");
    Tar::default()
        .add(EntryType::GNUSparse, b"sparse/old", &[&[b's'; 512][..], b"end"].concat(), old)
        .pax(
            b'x',
            &[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"sparse/new"),
                ("GNU.sparse.realsize", b"70000"),
            ],
        )
        .file(b"sparse/GNUSparseFile.0/new", &map)
        .pax(
            b'x',
            &[
                ("GNU.sparse.size", b"3000"),
                ("GNU.sparse.numblocks", b"1"),
                ("GNU.sparse.map", b"100,2"),
            ],
        )
        .file(b"sparse/0.1", b"ab")
        .file(b"sparse/after", b"what follows is not lost")
}

fn sized_links() -> Tar {
    let size = |to: &'static [u8]| {
        move |header: &mut Header| {
            link(header, to);
            header.set_size(12);
        }
    };
    Tar::default()
        .file(b"sized/file", b"twelve bytes")
        .add(EntryType::Link, b"sized/hard", b"", size(b"sized/file"))
        .add(EntryType::Symlink, b"sized/soft", b"", size(b"file"))
        .add(EntryType::Directory, b"sized/dir", b"", |header| header.set_size(99))
        .file(b"sized/after", b"after")
}

fn global() -> Tar {
    Tar::default()
        .pax(b'g', &[("comment", b"0123456789abcdef"), ("mtime", b"1")])
        .dir(b"./")
        .dir(b"./dot/")
        .file(b"./dot/file", b"dot")
        .pax(b'g', &[("comment", b"another")])
        .file(b".//dot/./odd", b"dots")
}

fn names() -> Tar {
    let long = [&b"names/"[..], &b"l".repeat(200)].concat();
    Tar::default()
        .file(b"names/latin-\xe9\xff", b"bytes")
        .file(b"names/new\nline", b"nl")
        .file(b"names/ space ", b"s")
        .file(b"names/-rf \"'\\", b"q")
        .add(EntryType::GNULongName, b"././@LongLink", &[&long[..], b"\0"].concat(), |_| {})
        .file(&long[..100], b"long")
        .pax(b'x', &[("path", "names/ünïcödé-文件".as_bytes())])
        .file(b"names/in-short", b"u")
        .add(EntryType::Symlink, b"names/to-bytes", b"", |header| link(header, b"latin-\xe9\xff"))
}

fn swaps() -> Tar {
    Tar::default()
        .file(b"etc/.wh.passwd", b"")
        .file(b"etc/.wh.nothing", b"data in a whiteout")
        .dir(b"old")
        .file(b"old/.wh..wh..opq", b"")
        .file(b"old/new", b"new")
        .file(b"unsaid/.wh..wh..opq", b"")
        .file(b"swap1", b"now a file")
        .dir(b"swap2")
        .file(b"swap2/in", b"now a folder")
        .file(b"bin/.wh.ash", b"")
}

fn devices() -> Tar {
    let device = |major, minor| {
        move |header: &mut Header| {
            header.set_device_major(major).expect("it fits");
            header.set_device_minor(minor).expect("it fits");
        }
    };
    let mode = |mode| move |header: &mut Header| header.set_mode(mode);
    Tar::default()
        .dir(b"dev")
        .add(EntryType::Char, b"dev/null", b"", device(1, 3))
        .add(EntryType::Block, b"dev/loop", b"", device(7, 200_000))
        .add(EntryType::Fifo, b"dev/fifo", b"", |_| {})
        .add(EntryType::Regular, b"dev/setuid", b"#!", mode(0o6755))
        .add(EntryType::Regular, b"dev/locked", b"secret", mode(0))
        .add(EntryType::Directory, b"dev/sticky", b"", mode(0o1777))
        .add(EntryType::Link, b"dev/null2", b"", |header| link(header, b"dev/null"))
}

fn numbers() -> Tar {
    // Two's complement in the eight or twelve bytes of the field.
    let binary = |field: std::ops::Range<usize>, value: i64| {
        move |header: &mut Header| {
            let field = &mut header.as_mut_bytes()[field];
            field.fill(if value < 0 { 0xff } else { 0 });
            let at = field.len() - 8;
            field[at..].copy_from_slice(&value.to_be_bytes());
            field[0] |= 0x80;
        }
    };
    let regular = EntryType::Regular;
    Tar::default()
        .add(regular, b"numbers/great-uid", b"u", binary(108..116, 4_000_000_000))
        .add(regular, b"numbers/before-1970", b"t", binary(136..148, -86_400))
        .add(regular, b"numbers/after-2242", b"t", binary(136..148, 9_000_000_000))
        .pax(b'x', &[("uid", b"4294967294"), ("gid", b"3999999999"), ("mtime", b"-5.5")])
        .file(b"numbers/pax", b"p")
        .pax(b'x', &[("mtime", b"1700000000.123456789"), ("atime", b"12.000000001")])
        .file(b"numbers/sub-second", b"s")
}

fn attributes() -> Tar {
    Tar::default()
        .pax(
            b'x',
            &[
                ("SCHILY.xattr.user.binary", b"\x01\0\xff\n="),
                ("SCHILY.xattr.user.empty", b""),
                (
                    "SCHILY.xattr.security.capability",
                    b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                ),
                ("LIBARCHIVE.xattr.user.other", b"eA=="),
            ],
        )
        .file(b"attributes/file", b"a")
        .pax(b'x', &[("SCHILY.xattr.user.note", b"of a folder")])
        .dir(b"attributes/dir")
        .pax(b'x', &[("SCHILY.xattr.trusted.overlay.opaque", b"y")])
        .dir(b"attributes/sly")
}
