use super::*;
use crate::error::ErrorKind;
use crate::format::tar_split::{Apart, Writer, disassemble};
use crate::tree::{TarSink, TarTree};

const NOTHING_BELOW: &Lower<'static> = &|_| Ok(None);

/// Unpacks by all rules and returns what each says, none of which may have made anything outside.
fn all(tar: &[u8]) -> [Result<Unpacked>; 3] {
    [Rules::docker(), Rules::containerd(NOTHING_BELOW), Rules::containerd_base()].map(|rules| {
        let memory = Memory::new();
        let done = unpack(&memory, tar, rules);
        assert_eq!(memory.names(TreePath::ROOT).expect("the root"), [ROOT.as_bytes()]);
        done
    })
}

#[test]
fn what_no_daemon_unpacks_is_refused_with_the_reason() {
    let x: &[u8] = b"x";
    let deep = "d/".repeat(3000);
    for (what, tar, said) in [
        ("hard link to nothing", tar().link(b'1', "y", "x"), "does not have"),
        ("hard link to itself", tar().file("x", x).link(b'1', "x", "x"), "does not have"),
        ("hard link to a folder", tar().dir("a").link(b'1', "y", "a"), "is a folder"),
        ("hard link to the root", tar().link(b'1', "y", "/"), "own folder"),
        ("hard link through a file", tar().file("x", x).link(b'1', "y", "x/z"), "no folder"),
        ("in a file", tar().file("x", x).file("x/y", x), "no folder"),
        ("in a device", tar().member(b'3', "x", b"").file("x/y/z", x), "no folder"),
        (
            "in a link to a file",
            tar().file("x", x).link(b'2', "l", "x").file("l/y", x),
            "no folder",
        ),
        ("in a loop", tar().link(b'2', "l", "m").link(b'2', "m", "l").file("l/y", x), "too many"),
        ("`.wh.`", tar().file("a/.wh.", b""), "`.wh.`, which deletes no name"),
        ("`.wh..`", tar().file(".wh..", b""), "`.wh..`, which deletes no name"),
        ("`.wh...`", tar().file("a/.wh...", b""), "`.wh...`, which deletes no name"),
        ("no known type", tar().member(b'V', "x", b""), "type `V`"),
        ("too long", tar().pax(&[("path", deep.as_bytes())]).file("x", x), "6000 bytes"),
        (
            "too long through links",
            tar()
                .pax(&[("linkpath", &deep.as_bytes()[..4000])])
                .link(b'2', "l", "")
                .pax(&[("path", &[b"l/", &deep.as_bytes()[..4000]].concat())])
                .file("x", x),
            "links lead to a path of",
        ),
        (
            "a hole of 8 EiB",
            {
                let map: &[(&str, &[u8])] = &[
                    ("GNU.sparse.map", b"9223372036854775807,0"),
                    ("GNU.sparse.size", b"9223372036854775807"),
                ];
                tar().pax(map).file("s", b"")
            },
            "file too large",
        ),
    ] {
        for done in all(&tar.end()) {
            let error = done.expect_err(what);
            assert!(error.to_string().contains(said), "{what}: {error}");
            assert_ne!(error.kind(), ErrorKind::Refused, "{what}: one layer is no reason to stop");
        }
    }
}

#[test]
fn what_leads_out_is_refused_or_stays_inside() {
    let x: &[u8] = b"x";
    for (what, tar) in [
        ("name", tar().file("../x", x)),
        ("name below", tar().file("a/../../x", x)),
        ("absolute name", tar().file("/../x", x)),
        ("hard link", tar().file("x", x).link(b'1', "y", "../x")),
        ("whiteout", tar().file("../.wh.x", x)),
    ] {
        let [docker, over, base] = all(&tar.end());
        let error = docker.expect_err(what);
        assert!(error.to_string().contains("leads outside"), "{what}: {error}");
        over.expect(what);
        base.expect(what);
    }
}

#[test]
fn a_name_that_the_layer_itself_has_is_not_deleted() {
    let tar = tar().file("x", b"x").file(".wh.x", b"").end();
    let [docker, over, base] = all(&tar);
    for done in [docker, over] {
        let error = done.expect_err("both daemons fail");
        assert!(error.to_string().contains("and then deletes it"), "{error}");
    }
    assert_eq!(base.expect("containerd removes it").apparent, 0);
}

#[test]
fn a_tar_that_is_cut_or_flipped_never_panics() {
    let tar = tar()
        .dir("a")
        .file("a/x", &[7; 700])
        .link(b'1', "y", "a/x")
        .link(b'2', "l", "a")
        .file("l/.wh.z", b"")
        .old_sparse("s", &[(512, b"data")], 5000)
        .end();
    for at in 0..tar.len() {
        let mut flipped = tar.clone();
        flipped[at] ^= 0x5a;
        let cut = &tar[..at];
        for tar in [cut, &flipped] {
            let memory = Memory::new();
            let _ = unpack(&memory, tar, Rules::docker());
            assert_eq!(memory.names(TreePath::ROOT).expect("the root"), [ROOT.as_bytes()]);
            let mut same = Same::new(&memory, root(), Rules::docker());
            let _ = watch(tar, &mut same);
            let _ = same.finish();
        }
    }
}

/// A sink would remember each of them; the unpacker does not.
#[test]
fn many_devices_take_no_more_than_their_names() {
    let mut tar = tar();
    for number in 0..20_000 {
        tar = tar.member(b'3', &format!("d{number}"), b"");
    }
    let done = all(&tar.end());
    for done in done {
        assert_eq!(done.expect("they are devices").inodes, 20_001);
    }
}

#[test]
fn what_is_replaced_behind_links_makes_names_ambiguous() {
    let x: &[u8] = b"x";
    for (what, tar, ambiguous) in [
        ("links", tar().link(b'2', "l", "a").file("l/x", x), false),
        ("replaced", tar().file("x", x).file("x", b"y"), false),
        (
            "replaced through a link",
            tar().link(b'2', "l", "a").file("a/x", x).file("l/x", b"y"),
            true,
        ),
        (
            "and the other way round",
            tar().link(b'2', "l", "a").file("l/x", x).file("a/x", b"y"),
            true,
        ),
    ] {
        for done in all(&tar.end()) {
            assert_eq!(done.expect(what).ambiguous, ambiguous, "{what}");
        }
    }
}

#[test]
fn one_reading_unpacks_and_makes_a_tar_split() {
    let tar = tar().dir("a/").file("a/x", &[1; 3000]).link(b'1', "y", "a/x").end();
    let memory = Memory::new();
    let mut unpacker = Unpacker::new(&memory, root(), Rules::docker()).expect("an empty tree");
    let (mut both, mut alone) = (Writer::new(Vec::new()), Writer::new(Vec::new()));
    disassemble(&*tar, &mut both, &Apart::default(), &mut unpacker).expect("a sound tar");
    disassemble(&*tar, &mut alone, &Apart::default(), &mut ()).expect("a sound tar");
    assert_eq!(both.into_inner(), alone.into_inner());
    let done = unpacker.finish().expect("memory takes all");
    assert_eq!((done.inodes, done.apparent, done.written), (3, 3000, 3000));
}

#[test]
fn a_layer_can_be_unpacked_into_a_tar() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("out.tar");
    let sink = TarSink::create(&target).expect("a new tar");
    let plain = tar().dir("a/").file("a/x", b"x").link(b'1', "y", "a/x").file(".wh.z", b"").end();
    unpack(&sink, &plain, Rules::docker()).expect("a sound tar");
    let twice = tar().file("x", b"1").file("x", b"2").end();
    sink.make_dir(path("other"), 0o755).expect("a free name");
    let mut unpacker = Unpacker::new(&sink, path("other/layer"), Rules::docker()).expect("free");
    watch(&*twice, &mut unpacker).expect_err("what is in a tar stays");
    drop(unpacker);
    sink.close().expect("room for it");
    let tree = TarTree::open(&target).expect("a sound tar");
    assert_eq!(read(&tree, path("layer/y")).expect("it was written"), b"x");
    assert!(tree.stat(path("layer/z")).expect("it was written").is_whiteout());
}
