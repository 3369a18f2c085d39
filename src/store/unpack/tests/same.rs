use super::*;
use crate::tree::{Special, Time};

/// A layer with something of everything.
pub(super) fn layer() -> Vec<u8> {
    tar()
        .edited(b'5', b"a/", b"", owned("700", 1, 9))
        .file("a/x", &[7; 300_000])
        .link(b'1', "b/y", "a/x")
        .link(b'2', "l", "a/x")
        .link(b'2', "to-a", "a")
        .pax(&[("SCHILY.xattr.user.a", b"1"), ("mtime", b"7.5")])
        .file("to-a/z", b"z")
        .edited(b'3', b"dev", b"", device(b"0000001\0", b"0000003\0"))
        .member(b'6', "pipe", b"")
        .file("empty", b"")
        .file("b/.wh.gone", b"")
        .file("a/.wh..wh..opq", b"")
        .end()
}

fn is_same(tar: &[u8], tree: &Memory, rules: Rules<'_>) -> bool {
    let mut same = Same::new(tree, root(), rules);
    watch(tar, &mut same).expect("a sound tar and tree");
    same.finish().expect("a sound tree")
}

pub(super) fn made(tar: &[u8], rules: Rules<'_>) -> Memory {
    let tree = Memory::new();
    unpack(&tree, tar, rules).expect("a sound tar");
    tree
}

#[test]
fn what_was_unpacked_is_the_same_by_the_rules_it_was_unpacked_by() {
    let nothing_below = |_: TreePath<'_>| Ok(None);
    let (docker, base) = (Rules::docker(), Rules::containerd_base());
    let over = Rules::containerd(&nothing_below);
    let layer = layer();
    for rules in [docker, over, base] {
        assert!(is_same(&layer, &made(&layer, rules), rules), "{rules:?}");
    }
    assert!(is_same(&layer, &made(&layer, docker), over), "the same but for lower layers' folders");
    assert!(!is_same(&layer, &made(&layer, docker), base), "deleted names are marked");
    assert!(!is_same(&layer, &made(&layer, base), docker), "deleted names are not marked");
    let trusted = tar().pax(&[("SCHILY.xattr.trusted.a", b"1")]).file("x", b"x").end();
    assert!(!is_same(&trusted, &made(&trusted, over), docker));
    assert!(!is_same(&trusted, &made(&trusted, docker), over));
}

/// Puts a file in the place of what is at `at`.
pub(super) fn replace(tree: &Memory, at: &str, bytes: &[u8], attributes: &Attributes) {
    use std::io::Write as _;
    tree.remove(path(at)).expect("it can go");
    let mut file = tree.create(path(at), attributes).expect("a free name");
    file.write_all(bytes).expect("memory takes all");
    file.finish().expect("memory takes all");
}

pub(super) fn put(tree: &Memory, at: &str, special: &Special, attributes: &Attributes) {
    tree.remove(path(at)).expect("it can go");
    tree.put(path(at), special, attributes).expect("a free name");
}

pub(super) fn change(tree: &Memory, at: &str, change: impl FnOnce(&mut Attributes)) {
    let at = path(at);
    let found = tree.stat(at).expect("it is there");
    let mut attributes = Attributes {
        mode: found.mode,
        uid: found.uid,
        gid: found.gid,
        mtime: Some(found.mtime),
        xattrs: tree.xattrs(at).expect("it is there"),
    };
    change(&mut attributes);
    match found.kind {
        Kind::Dir => tree.finish_dir(at, &attributes).map(drop),
        _ => tree.set_attributes(at, &attributes),
    }
    .expect("memory takes all");
}

pub(super) fn at_zero() -> Attributes {
    Attributes { mtime: Some(Time::default()), ..Attributes::root(0o644) }
}

/// What is changed, how, and whether it is the same still.
type Row = (&'static str, fn(&Memory), bool);

pub(super) fn mark(name: &str, value: &str) -> impl FnOnce(&mut Attributes) {
    let pair = (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    move |attributes| _ = attributes.xattrs.insert(pair.0, pair.1)
}

#[test]
fn every_difference_is_seen_but_those_that_mean_nothing() {
    let rows: [Row; 32] = [
        ("nothing", |_| (), true),
        ("a byte", |t| replace(t, "layer/empty", b"x", &at_zero()), false),
        ("another file", |t| replace(t, "layer/empty", b"", &at_zero()), true),
        ("a byte of a name", |t| replace(t, "layer/a/x", &[7; 300_000], &at_zero()), false),
        ("the first file's length", |t| replace(t, "layer/a/z", b"zz", &at_zero()), false),
        ("one more", |t| replace(t, "layer/more", b"", &at_zero()), false),
        ("one more folder", |t| t.make_dir(path("layer/a/more"), 0o755).expect("free"), false),
        ("one less", |t| t.remove(path("layer/empty")).expect("it is there"), false),
        ("a folder less", |t| t.remove(path("layer/b")).expect("it is there"), false),
        ("a mode", |t| change(t, "layer/empty", |to| to.mode = 0o600), false),
        ("an owner", |t| change(t, "layer/empty", |to| to.uid = 1), false),
        ("a group", |t| change(t, "layer/l", |to| to.gid = 1), false),
        (
            "a time",
            |t| change(t, "layer/l", |to| to.mtime = Some(Time { seconds: 1, nanos: 0 })),
            false,
        ),
        (
            "part of a second",
            |t| change(t, "layer/l", |to| to.mtime = Some(Time { seconds: 0, nanos: 1 })),
            true,
        ),
        (
            "part of a second that is said",
            |t| change(t, "layer/a/z", |to| to.mtime = Some(Time { seconds: 7, nanos: 1 })),
            false,
        ),
        ("an attribute", |t| change(t, "layer/a/z", mark("user.a", "2")), false),
        ("one more attribute", |t| change(t, "layer/pipe", mark("security.b", "2")), false),
        (
            "what overlayfs notes",
            |t| change(t, "layer/a/z", mark("trusted.overlay.origin", "x")),
            true,
        ),
        (
            "what overlayfs heeds",
            |t| change(t, "layer/a/z", mark("trusted.overlay.metacopy", "")),
            false,
        ),
        ("a folder's mode", |t| change(t, "layer/a", |to| to.mode = 0o755), false),
        ("a folder's time", |t| change(t, "layer/a", |to| to.mtime = None), false),
        ("an implied folder's mode", |t| change(t, "layer/b", |to| to.mode = 0o700), true),
        ("an implied folder's attribute", |t| change(t, "layer/b", mark("user.a", "1")), true),
        ("an opaque folder", |t| change(t, "layer/b", mark("trusted.overlay.opaque", "y")), false),
        ("a folder not opaque", |t| change(t, "layer/a", |to| to.xattrs.clear()), false),
        (
            "the whole layer opaque",
            |t| change(t, "layer", mark("trusted.overlay.opaque", "y")),
            false,
        ),
        ("the layer's mode", |t| change(t, "layer", |to| to.mode = 0o700), true),
        (
            "a link's target",
            |t| put(t, "layer/l", &Special::Symlink(b"a/y".to_vec()), &at_zero()),
            false,
        ),
        ("a device", |t| put(t, "layer/dev", &Special::Char(1, 5), &at_zero()), false),
        ("a kind", |t| put(t, "layer/pipe", &Special::Socket, &at_zero()), false),
        (
            "a deleted name's owner",
            |t| put(t, "layer/b/gone", &Special::Char(0, 0), &Attributes { uid: 9, ..at_zero() }),
            true,
        ),
        ("no deleted name", |t| put(t, "layer/b/gone", &Special::Fifo, &at_zero()), false),
    ];
    let layer = layer();
    for (what, change, wanted) in rows {
        let tree = made(&layer, Rules::docker());
        change(&tree);
        assert_eq!(is_same(&layer, &tree, Rules::docker()), wanted, "{what}");
    }
}

#[test]
fn two_files_are_not_one_file_with_two_names() {
    let two = tar().file("x", b"x").file("y", b"x").end();
    let tree = made(&tar().file("x", b"x").link(b'1', "y", "x").end(), Rules::docker());
    assert!(!is_same(&two, &tree, Rules::docker()));
}

#[test]
fn a_tar_that_no_daemon_unpacks_is_the_same_as_nothing() {
    let tree = made(&tar().file("x", b"x").end(), Rules::docker());
    for bad in [
        tar().file("../x", b"x"),
        tar().file("x", b"x").file(".wh.", b""),
        tar().file("x", b"x").file("x", b"x"),
        tar().file("x", b"x").file("x/y", b"x"),
        tar().file("x", b"x").member(b'V', "x", b""),
        tar().link(b'1', "x", "x"),
        tar().old_sparse("x", &[(0, b"x")], 1),
    ] {
        assert!(!is_same(&bad.end(), &tree, Rules::docker()));
    }
}
