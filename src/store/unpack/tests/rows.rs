use super::*;

/// What it shows, the tar, and what is there, after the layer's own folder.
type Row<'a> = (&'a str, Tar, &'a [&'a str]);

/// Rows that hold for both daemons.
fn common() -> Vec<Row<'static>> {
    let long: &[(&str, &[u8])] = &[("mtime", b"12.000000345"), ("uid", b"70000")];
    let late: &[(&str, &[u8])] = &[("mtime", b"9223372037")];
    let x: &[u8] = b"x";
    vec![
        ("nothing", tar(), &[]),
        ("root", tar().edited(b'5', b"./", b"", owned("700", 5, 9)), &[]),
        ("plain", tar().dir("a/").file("a/x", x), &["a dir 644", "a/x =x"]),
        ("dots", tar().file("./a/.//x", x).file("a/../y", x), &["a dir", "a/x =x", "y =x"]),
        ("absolute", tar().file("/a/x", x), &["a dir", "a/x =x"]),
        ("implied", tar().file("a/b/x", x), &["a dir", "a/b dir", "a/b/x =x"]),
        (
            "said after what is in it",
            tar().file("a/x", x).edited(b'5', b"a", b"", owned("1777", 7, 9)),
            &["a dir 1777 7:7 @9.0", "a/x =x"],
        ),
        ("set-id", tar().edited(b'0', b"x", x, owned("6755", 7, 9)), &["x =x 6755 7:7 @9.0"]),
        ("long", tar().pax(long).file("x", x), &["x =x 70000:0 @12.345"]),
        ("times out of range", tar().pax(late).file("x", x), &["x =x"]),
        ("before 1970", tar().pax(&[("mtime", b"-5.5")]).file("x", x), &["x =x"]),
        ("global", tar().extended(b'g', "g/h", &[("comment", b"x")]).file("x", x), &["x =x"]),
        ("link", tar().link(b'2', "l", "/../../etc"), &["l ->/../../etc"]),
        ("fifo", tar().member(b'6', "f", b""), &["f Fifo (0, 0)"]),
        (
            "devices",
            tar().edited(b'3', b"c", b"", device(b"0000001\0", b"0000003\0")).edited(
                b'4',
                b"b",
                b"",
                device(b"0000010\0", b"0000020\0"),
            ),
            &["b Block (8, 16)", "c Char (1, 3)"],
        ),
        (
            "v7",
            tar().edited(0, b"a/", b"", |_| {}).edited(0, b"x", x, |_| {}),
            &["a dir 644", "x =x"],
        ),
        ("twice", tar().file("x", b"1").file("x", b"2"), &["x =2"]),
        ("file over dir", tar().file("a/b/x", x).file("a", b"y"), &["a =y"]),
        ("dir over file", tar().file("a", x).file("c", x).dir("a/"), &["a dir 644", "c =x"]),
        ("link over dir", tar().file("a/x", x).link(b'2', "a", "y"), &["a ->y"]),
        (
            "dir over dir",
            tar()
                .pax(&[("SCHILY.xattr.user.a", b"1")])
                .edited(b'5', b"a", b"", owned("700", 1, 1))
                .file("a/x", x)
                .pax(&[("SCHILY.xattr.user.b", b"2")])
                .edited(b'5', b"a/", b"", owned("750", 2, 2)),
            &["a dir 750 2:2 @2.0 user.a=1 user.b=2", "a/x =x"],
        ),
        (
            "a folder that is replaced is forgotten",
            tar()
                .edited(b'5', b"a", b"", owned("700", 1, 1))
                .edited(b'5', b"a/b", b"", owned("700", 1, 1))
                .file("a", x)
                .file("a.b", x)
                .dir("a")
                .file("a/b/x", x),
            &["a dir 644", "a/b dir", "a/b/x =x", "a.b =x"],
        ),
        (
            "hard link",
            tar().file("x", x).link(b'1', "a/y", "/x"),
            &["a dir", "a/y =x x2", "x =x x2"],
        ),
        (
            "a hard link's header counts",
            tar().file("x", x).edited(b'1', b"y", b"", |block| {
                owned("4700", 3, 4)(block);
                block[157] = b'x';
            }),
            &["x =x 4700 3:3 @4.0 x2", "y =x 4700 3:3 @4.0 x2"],
        ),
        (
            "hard link over a name of the same file",
            tar().file("x", x).link(b'1', "y", "x").link(b'1', "y", "./x"),
            &["x =x x2", "y =x x2"],
        ),
        (
            "hard link to a link",
            tar().link(b'2', "l", "gone").link(b'1', "m", "l"),
            &["l ->gone x2", "m ->gone x2"],
        ),
        (
            "attributes",
            tar()
                .pax(&[
                    ("SCHILY.xattr.security.capability", b"cap"),
                    ("SCHILY.xattr.user.empty", b""),
                    ("SCHILY.xattr.com.apple.provenance", b"1"),
                ])
                .file("x", x)
                .pax(&[("SCHILY.xattr.user.a", b"1"), ("SCHILY.xattr.security.b", b"2")])
                .link(b'2', "l", "x"),
            &["l ->x security.b=2", "x =x security.capability=cap user.empty="],
        ),
        (
            "giving a file an owner takes its capabilities",
            tar()
                .pax(&[("SCHILY.xattr.security.capability", b"cap"), ("SCHILY.xattr.user.a", b"1")])
                .file("x", x)
                .link(b'1', "y", "x"),
            &["x =x x2 user.a=1", "y =x x2 user.a=1"],
        ),
        (
            "old sparse",
            tar().old_sparse("s", &[(2, b"ab"), (6, b"c")], 9).file("x", x),
            &["s =\0\0ab\0\0c\0\0", "x =x"],
        ),
        (
            "pax sparse",
            tar().pax(&[("GNU.sparse.map", b"1,1,3,0"), ("GNU.sparse.size", b"3")]).file("s", b"x"),
            &["s =\0x\0"],
        ),
        (
            "only a hole",
            tar().pax(&[("GNU.sparse.map", b"3,0"), ("GNU.sparse.size", b"3")]).file("s", b""),
            &["s =\0\0\0"],
        ),
        (
            "through a link",
            tar().dir("usr/lib").link(b'2', "lib", "usr/lib").file("lib/x", x).dir("lib/y/"),
            &["lib ->usr/lib", "usr dir", "usr/lib dir 644", "usr/lib/x =x", "usr/lib/y dir 644"],
        ),
        (
            "through links that lead out",
            tar()
                .link(b'2', "up", "../../..")
                .link(b'2', "abs", "/etc")
                .file("up/x", x)
                .file("abs/y", x)
                .link(b'1', "z", "up/abs/y"),
            &["abs ->/etc", "etc dir", "etc/y =x x2", "up ->../../..", "x =x", "z =x x2"],
        ),
        (
            "through a link that is replaced",
            tar().link(b'2', "a", "b").file("a/x", x).dir("a").file("a/y", x),
            &["a dir 644", "a/y =x", "b dir", "b/x =x"],
        ),
        ("a whiteout by another name", tar().file(".wh", x), &[".wh =x"]),
    ]
}

/// Rows for layers that mark what they delete.
fn marking() -> Vec<Row<'static>> {
    let x: &[u8] = b"x";
    vec![
        (
            "deleted",
            tar().edited(b'0', b"a/.wh.x", x, owned("600", 7, 9)),
            &["a dir", "a/x Char (0, 0) 0 7:7"],
        ),
        ("deleted and made again", tar().file(".wh.x", b"").file("x", x), &["x =x"]),
        (
            "a folder that was deleted and made again",
            tar().file(".wh.a", b"").dir("a").file("a/y", x),
            &["a dir 644", "a/y =x"],
        ),
        ("AUFS", tar().file(".wh..wh.plnk", b""), &[".wh.plnk Char (0, 0) 0"]),
        (
            "through a link",
            tar().link(b'2', "l", "a").file("l/.wh.x", b""),
            &["a dir", "a/x Char (0, 0) 0", "l ->a"],
        ),
        (
            "opaque",
            tar().file("a/.wh..wh..opq", b"").file("a/x", x),
            &["a dir trusted.overlay.opaque=y", "a/x =x"],
        ),
        (
            "opaque, then said",
            tar().file("a/.wh..wh..opq", b"").edited(b'5', b"a", b"", owned("700", 1, 1)),
            &["a dir 700 1:1 @1.0 trusted.overlay.opaque=y"],
        ),
    ]
}

/// Rows for layers that stand on nothing, as containerd unpacks them.
fn vanishing() -> Vec<Row<'static>> {
    let x: &[u8] = b"x";
    vec![
        ("deleted", tar().file("a/.wh.x", b""), &["a dir"]),
        ("deleted what was there", tar().file("a/x", x).file(".wh.a", b"").file("y", x), &["y =x"]),
        ("opaque", tar().file("a/x", x).file("a/.wh..wh..opq", b""), &["a dir", "a/x =x"]),
        (
            "opaque with a folder that was not named",
            tar().dir("a/b").file("a/b/x", x).file("a/c/y", x).file("a/.wh..wh..opq", b""),
            &["a dir", "a/b dir 644", "a/b/x =x"],
        ),
    ]
}

#[test]
fn a_tar_becomes_what_the_daemons_make_of_it() {
    let nothing_below = |_: TreePath<'_>| Ok(None);
    let (docker, over, base) =
        (Rules::docker(), Rules::containerd(&nothing_below), Rules::containerd_base());
    for (rules, rows) in [
        (vec![docker, over, base], common()),
        (vec![docker, over], marking()),
        (vec![base], vanishing()),
    ] {
        for ((what, tar, wanted), rules) in
            rows.into_iter().flat_map(|row| rules.iter().map(move |rules| (row.clone(), *rules)))
        {
            check(what, &tar.end(), rules, wanted, ". dir");
        }
    }
    let opaque = tar().file(".wh..wh..opq", b"").end();
    check("root", &opaque, docker, &[], ". dir trusted.overlay.opaque=y");
    check("root", &opaque, base, &[], ". dir");
}

#[test]
fn only_docker_sets_trusted_attributes() {
    let tar = tar().pax(&[("SCHILY.xattr.trusted.a", b"1")]).file("x", b"x").end();
    let nothing_below = |_: TreePath<'_>| Ok(None);
    check("docker", &tar, Rules::docker(), &["x =x trusted.a=1"], ". dir");
    check("containerd", &tar, Rules::containerd(&nothing_below), &["x =x"], ". dir");
}

#[test]
fn containerd_takes_folders_that_the_tar_leaves_out_from_below() {
    let (near, far) = (Memory::new(), Memory::new());
    let make = |tree: &Memory, dir: &str, mode: u16| {
        tree.make_dir(path(dir), mode).expect("a free name");
        let xattrs = ["user.a", "trusted.b"].map(|key| (key.as_bytes().to_vec(), b"1".to_vec()));
        let mtime = Some(crate::tree::Time { seconds: 5, nanos: 6 });
        let attributes =
            Attributes { uid: 1, mtime, xattrs: xattrs.into(), ..Attributes::root(mode) };
        tree.finish_dir(path(dir), &attributes).expect("it was made");
    };
    make(&far, "a", 0o700);
    make(&far, "b", 0o711);
    make(&far, "c", 0o750);
    make(&far, "c/d", 0o555);
    make(&near, "b", 0o1777);
    near.put(path("c"), &crate::tree::Special::Char(0, 0), &Attributes::root(0)).expect("free");
    let layers: Vec<(&dyn Tree, TreePathBuf)> =
        vec![(&near, TreePathBuf::default()), (&far, TreePathBuf::default())];
    let below = |folder: TreePath<'_>| folder_below(layers.iter().cloned().map(Ok), folder);
    let tar = tar().file("a/x", b"x").file("b/x", b"x").file("c/d/x", b"x").file("e/x", b"x").end();
    let wanted = [
        "a dir 700 1:0 @5.6 user.a=1",
        "a/x =x",
        "b dir 1777 1:0 @5.6 user.a=1",
        "b/x =x",
        "c dir",
        "c/d dir",
        "c/d/x =x",
        "e dir",
        "e/x =x",
    ];
    check("from below", &tar, Rules::containerd(&below), &wanted, ". dir");
}

/// Unpacks a tar and compares what is there with what is wanted, and with the numbers.
#[track_caller]
fn check(what: &str, tar: &[u8], rules: Rules<'_>, wanted: &[&str], root_line: &str) {
    let tree = Memory::new();
    let done = unpack(&tree, tar, rules).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = lines(&tree);
    let wanted: Vec<_> = std::iter::once(&root_line).chain(wanted).copied().collect();
    assert_eq!(found, wanted, "{what}, {rules:?}");
    let (mut inodes, mut apparent) = (std::collections::HashSet::new(), 0);
    walk(&tree, root(), &mut |_, entry| {
        if inodes.insert(entry.metadata.ino) && entry.metadata.kind != Kind::Dir {
            apparent += entry.metadata.size;
        }
        Ok(true)
    })
    .expect("memory can be read");
    assert_eq!((done.inodes, done.apparent), (inodes.len() as u64 + 1, apparent), "{what}");
}
