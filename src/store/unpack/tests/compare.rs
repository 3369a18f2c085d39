use super::same::{at_zero, change, layer, made, mark, put, replace};
use super::*;
use crate::tree::{Special, Time};

fn compared(tar: &[u8], tree: &dyn Tree, rules: Rules<'_>) -> Vec<String> {
    let mut compare = Compare::new(tree, root(), rules);
    watch(tar, &mut compare).expect("a sound tar and tree");
    let differences = compare.finish().expect("a sound tree");
    assert_eq!((differences.more, &differences.incomplete), (0, &None));
    differences.named.iter().map(ToString::to_string).collect()
}

/// What is changed, how, and what is said of it.
type Row = (&'static str, fn(&Memory), &'static [&'static str]);

fn rows() -> Vec<Row> {
    vec![
        ("nothing", |_| (), &[]),
        (
            "no bytes",
            |t| replace(t, "layer/a/x", b"", &at_zero()),
            &[
                "a/x: 0 bytes, wanted 300000",
                "b/y: not one file with the names that the layer says",
            ],
        ),
        (
            "another byte",
            |t| {
                let mut bytes = vec![7; 300_000];
                bytes[200_000] = 8;
                rewrite(t, "layer/a/x", &bytes);
            },
            &["a/x: other bytes from byte 200000 on"],
        ),
        (
            "blocks that were never written",
            |t| {
                let mut bytes = vec![7; 300_000];
                bytes[4096..].fill(0);
                rewrite(t, "layer/a/x", &bytes);
            },
            &["a/x: zeros from byte 4096 on"],
        ),
        ("another file", |t| replace(t, "layer/empty", b"", &at_zero()), &[]),
        (
            "one more",
            |t| replace(t, "layer/a/more", b"", &at_zero()),
            &["a/more: not in the layer"],
        ),
        (
            "folders without change, and sockets",
            |t| {
                t.make_dir(path("layer/a/more"), 0o700).expect("free");
                put(t, "layer/a/more/socket", &Special::Socket, &at_zero());
            },
            &[],
        ),
        ("one less", |t| t.remove(path("layer/empty")).expect("below"), &["empty: gone"]),
        (
            "a folder less",
            |t| t.remove(path("layer/a")).expect("below"),
            &["a: gone", "b/y: not one file with the names that the layer says", "to-a/z: gone"],
        ),
        (
            "a file for a folder",
            |t| replace(t, "layer/a", b"", &at_zero()),
            &["a: a file", "b/y: not one file with the names that the layer says", "to-a/z: gone"],
        ),
        (
            "a mode",
            |t| change(t, "layer/empty", |to| to.mode = 0o600),
            &["empty: mode 600, wanted 644"],
        ),
        ("a group", |t| change(t, "layer/l", |to| to.gid = 1), &["l: owner 0:1, wanted 0:0"]),
        (
            "a time",
            |t| change(t, "layer/l", |to| to.mtime = Some(Time { seconds: 1, nanos: 0 })),
            &["l: changed at 1.000000000, wanted 0.000000000"],
        ),
        (
            "an attribute",
            |t| change(t, "layer/a/z", mark("user.a", "2")),
            &["a/z: another extended attribute user.a"],
        ),
        ("a label", |t| change(t, "layer/a/z", mark("security.selinux", "2")), &[]),
        (
            "what overlayfs heeds",
            |t| change(t, "layer/a/z", mark("trusted.overlay.metacopy", "")),
            &["a/z: another extended attribute trusted.overlay.metacopy"],
        ),
        (
            "a folder's owner",
            |t| change(t, "layer/a", |to| to.uid = 0),
            &["a: owner 0:1, wanted 1:1"],
        ),
        (
            "a folder not opaque",
            |t| change(t, "layer/a", |to| to.xattrs.clear()),
            &["a: another extended attribute trusted.overlay.opaque"],
        ),
        (
            "a link's target",
            |t| put(t, "layer/l", &Special::Symlink(b"a/y".to_vec()), &at_zero()),
            &["l: leads elsewhere"],
        ),
        (
            "a device",
            |t| put(t, "layer/dev", &Special::Char(1, 5), &at_zero()),
            &["dev: leads elsewhere"],
        ),
        ("a kind", |t| put(t, "layer/pipe", &Special::Socket, &at_zero()), &["pipe: a socket"]),
        ("no deleted name", |t| t.remove(path("layer/b/gone")).expect("below"), &["b/gone: gone"]),
        (
            "one deleted name more",
            |t| put(t, "layer/b/more", &Special::Char(0, 0), &at_zero()),
            &["b/more: not in the layer"],
        ),
    ]
}

/// Gives a file other bytes under all its names.
fn rewrite(tree: &Memory, at: &str, bytes: &[u8]) {
    replace(tree, at, bytes, &at_zero());
    tree.remove(path("layer/b/y")).expect("below");
    tree.link(path(at), path("layer/b/y")).expect("a free name");
}

#[test]
fn what_differs_is_named() {
    let layer = layer();
    for (what, change, wanted) in rows() {
        let tree = made(&layer, Rules::docker());
        change(&tree);
        assert_eq!(compared(&layer, &tree, Rules::docker()), wanted, "{what}");
    }
}

/// Unlike a *yes*, the names of what differs must not come without need.
#[test]
fn what_a_tar_says_twice_counts_as_it_says_it_last() {
    let x: &[u8] = b"x";
    let rows = [
        ("a file twice", tar().file("x", b"old").file("x", x)),
        ("another kind", tar().file("x", b"old").dir("x").file("x/y", x)),
        ("a folder with all in it", tar().dir("a").file("a/x", x).file("a/y", x).file("a", x)),
        ("deleted and made again", tar().file(".wh.x", b"").file("x", x)),
        ("a folder deleted and made again", tar().file(".wh.a", b"").dir("a").file("a/y", x)),
        (
            "a file that had a second name",
            tar().file("x", b"old").link(b'1', "y", "x").file("x", x),
        ),
        ("a second name that is replaced", tar().file("x", x).link(b'1', "y", "x").file("y", b"y")),
        (
            "a hard link's header counts",
            tar().file("x", x).edited(b'1', b"y", b"", |block| {
                owned("4700", 3, 4)(block);
                block[157] = b'x';
            }),
        ),
        (
            "capabilities that a hard link takes",
            tar()
                .pax(&[("SCHILY.xattr.security.capability", b"cap"), ("SCHILY.xattr.user.a", b"1")])
                .file("x", x)
                .link(b'1', "y", "x"),
        ),
        ("old sparse", tar().old_sparse("s", &[(2, b"ab"), (6, b"c")], 9).file("x", x)),
        (
            "only a hole",
            tar().pax(&[("GNU.sparse.map", b"3,0"), ("GNU.sparse.size", b"3")]).file("s", b""),
        ),
        ("opaque, then said", tar().file("a/.wh..wh..opq", b"").dir("a")),
        (
            "through a link that is replaced",
            tar().link(b'2', "a", "b").file("a/x", x).dir("a").file("a/y", x),
        ),
    ];
    let nothing_below = |_: TreePath<'_>| Ok(None);
    for (what, layer) in rows {
        let layer = layer.end();
        for rules in [Rules::docker(), Rules::containerd(&nothing_below), Rules::containerd_base()]
        {
            let tree = made(&layer, rules);
            assert_eq!(compared(&layer, &tree, rules), [""; 0], "{what} {rules:?}");
        }
    }
    let taken_back = [
        tar().file("a/x", x).file(".wh.a", b"").file("y", x),
        tar().dir("a/b").file("a/b/x", x).file("a/c/y", x).file("a/.wh..wh..opq", b""),
    ];
    for layer in taken_back {
        let (layer, rules) = (layer.end(), Rules::containerd_base());
        assert_eq!(compared(&layer, &made(&layer, rules), rules), [""; 0]);
    }
}

#[test]
fn holes_are_compared_too() {
    let layer = tar().old_sparse("s", &[(2, b"ab"), (6, b"c")], 9).end();
    for (bytes, wanted) in [
        (&b"\0\0ab\0\0c\0\0"[..], vec![]),
        (b"\0xab\0\0c\0\0", vec!["s: other bytes from byte 1 on"]),
        (b"\0\0ab\0\0d\0\0", vec!["s: other bytes from byte 6 on"]),
        (b"\0\0ab\0\0c\0x", vec!["s: other bytes from byte 8 on"]),
        (b"\0\0ab\0\0c\0", vec!["s: 8 bytes, wanted 9"]),
    ] {
        let tree = made(&layer, Rules::docker());
        replace(&tree, "layer/s", bytes, &at_zero());
        assert_eq!(compared(&layer, &tree, Rules::docker()), wanted, "{bytes:?}");
    }
}

/// overlayfs makes every folder opaque that it makes, and no tar says so.
#[test]
fn an_opaque_folder_counts_where_it_hides_something() {
    let layer = tar().dir("a").file("a/x", b"x").end();
    for (has, wanted) in
        [(false, vec![]), (true, vec!["a: another extended attribute trusted.overlay.opaque"])]
    {
        let lower = |_: TreePath<'_>| Ok(has.then(|| Attributes::root(0o755)));
        let rules = Rules::containerd(&lower);
        let tree = made(&layer, rules);
        change(&tree, "layer/a", mark("trusted.overlay.opaque", "y"));
        assert_eq!(compared(&layer, &tree, rules), wanted);
        let mut same = Same::new(&tree, root(), rules);
        watch(&layer[..], &mut same).expect("a sound tar");
        assert!(!same.finish().expect("a sound tree"), "it is not the same to the last bit");
    }
}

#[test]
fn many_differences_are_counted_and_not_named() {
    let many = (0..NAMED + 7).fold(tar(), |tar, n| tar.file(&format!("f{n}"), b"x"));
    let (layer, tree) = (many.end(), made(&tar().end(), Rules::docker()));
    let mut compare = Compare::new(&tree, root(), Rules::docker());
    watch(&layer[..], &mut compare).expect("a sound tar");
    let differences = compare.finish().expect("a sound tree");
    assert_eq!((differences.named.len(), differences.more, differences.len()), (NAMED, 7, 263));
    assert!(differences.named.iter().all(|one| one.differs.is_lost()));
}
