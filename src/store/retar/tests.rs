use super::*;
use crate::tree::{Memory, Sink, Special, path, write};

fn tar(tree: &Memory) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Retar::new(tree, path("fs"), Keeping::All)?.read_to_end(&mut bytes).map(|_| bytes)
}

/// Returns name, mode, size, time, and the keys of the PAX records of each member.
fn members(bytes: &[u8]) -> Vec<String> {
    let mut archive = ::tar::Archive::new(bytes);
    let one = |entry: io::Result<::tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.expect("a sound tar");
        let pax = entry.pax_extensions().expect("sound").into_iter().flatten();
        let pax: Vec<_> =
            pax.map(|one| one.expect("sound").key().expect("text").to_owned()).collect();
        let (name, header) =
            (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.header());
        let (mode, time) = (header.mode().expect("a mode"), header.mtime().expect("a time"));
        format!("{name} {mode:o} {time} {}", pax.join(" ")).trim_end().to_owned()
    };
    archive.entries().expect("a tar").map(one).collect()
}

fn of(xattrs: &[(&str, &str)]) -> Attributes {
    let mtime = Some(Time { seconds: 7, nanos: 500_000_000 });
    let pair = |(k, v): &(&str, &str)| (k.as_bytes().to_vec(), v.as_bytes().to_vec());
    Attributes {
        mtime,
        xattrs: xattrs.iter().map(pair).collect(),
        uid: 3_000_000,
        ..Attributes::root(0o755)
    }
}

#[test]
fn marks_become_names_and_all_else_is_kept() {
    let tree = Memory::new();
    tree.make_dir(path("fs"), 0o755).expect("new");
    tree.make_dir(path("fs/d"), 0o755).expect("new");
    write(&tree, path("fs/d/f"), 0o644, &[b'x'; 513]).expect("new");
    tree.set_attributes(path("fs/d/f"), &of(&[("user.a", "b"), ("trusted.overlay.origin", "o")]))
        .expect("it is there");
    tree.link(path("fs/d/f"), path("fs/d/g")).expect("new");
    tree.put(path("fs/d/gone"), &Special::Char(0, 0), &of(&[])).expect("new");
    tree.put(path("fs/d/s"), &Special::Socket, &of(&[])).expect("new");
    let opaque = of(&[("trusted.overlay.opaque", "y"), ("security.x", "z")]);
    tree.finish_dir(path("fs/d"), &opaque).expect("it is there");
    let bytes = tar(&tree).expect("a sound folder");
    assert_eq!(bytes, tar(&tree).expect("a sound folder"));
    assert_eq!(bytes[bytes.len() - 2 * BLOCK..], [0; 2 * BLOCK]);
    let mut archive = ::tar::Archive::new(&*bytes);
    let mut found = Vec::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("a sound tar");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        let pax = entry.pax_extensions().expect("sound").into_iter().flatten();
        let pax = pax.map(|record| record.expect("sound").key().expect("text").to_owned());
        found.push((name, size, pax.collect::<Vec<_>>().join(" ")));
    }
    let wanted = [
        ("d/", 0, "uid mtime SCHILY.xattr.security.x"),
        ("d/.wh..wh..opq", 0, "uid mtime"),
        ("d/f", 513, "uid mtime SCHILY.xattr.user.a"),
        ("d/g", 0, "uid mtime SCHILY.xattr.user.a"),
        ("d/.wh.gone", 0, "uid mtime"),
    ];
    assert_eq!(found, wanted.map(|(n, size, pax)| (n.to_owned(), size, pax.to_owned())));
}

#[test]
fn what_no_tar_can_hold_is_an_error() {
    for (name, xattr) in [
        (".wh.x", "user.a"),
        (".wh..wh..opq", "user.a"),
        ("x", "user.a=b"),
        ("x", "trusted.overlay.metacopy"),
        ("x", "user.overlay.redirect"),
    ] {
        let tree = Memory::new();
        tree.make_dir(path("fs"), 0o755).expect("new");
        let file = path("fs").child(name.as_bytes()).expect("a name");
        write(&tree, file.as_path(), 0o644, b"x").expect("new");
        tree.set_attributes(file.as_path(), &of(&[(xattr, "")])).expect("it is there");
        assert!(tar(&tree).is_err(), "{name} {xattr}");
    }
    assert!(tar(&Memory::new()).is_err());
}

#[test]
fn a_file_that_changes_is_an_error() {
    for now in [&b""[..], b"x", b"xyz"] {
        let tree = Memory::new();
        tree.make_dir(path("fs"), 0o755).expect("new");
        write(&tree, path("fs/f"), 0o644, b"xy").expect("new");
        let mut tar = Retar::new(&tree, path("fs"), Keeping::All).expect("a sound folder");
        tree.remove(path("fs/f")).expect("it is there");
        write(&tree, path("fs/f"), 0o644, now).expect("a free name");
        let error = tar.read_to_end(&mut Vec::new()).expect_err("it changed");
        assert!(error.to_string().contains("it changes"), "{error}");
    }
}

#[test]
fn of_a_container_little_is_kept() {
    let tree = Memory::new();
    for folder in ["fs", "fs/d"] {
        tree.make_dir(path(folder), 0o755).expect("new");
    }
    write(&tree, path("fs/d/f"), 0o644, b"x").expect("new");
    let xattrs =
        of(&[("user.a", "b"), ("security.capability", "\u{1}\0\0\u{3}0123456789abcdefROOT")]);
    tree.set_attributes(path("fs/d/f"), &xattrs).expect("it is there");
    tree.put(path("fs/gone"), &Special::Char(0, 0), &of(&[])).expect("new");
    tree.finish_dir(path("fs/d"), &of(&[("trusted.overlay.opaque", "y")])).expect("it is there");
    let mut bytes = Vec::new();
    let tar = Retar::new(&tree, path("fs"), Keeping::Dockerd);
    tar.expect("a sound folder").read_to_end(&mut bytes).expect("a sound folder");
    let wanted = [
        "d/ 755 7 uid",
        "d/.wh..wh..opq 755 0 uid",
        "d/f 755 7 uid SCHILY.xattr.security.capability",
        ".wh.gone 600 7 uid",
    ];
    assert_eq!(members(&bytes), wanted);
    let cut = b"SCHILY.xattr.security.capability=\x01\0\0\x020123456789abcdef\n";
    assert!(bytes.windows(cut.len()).any(|bytes| bytes == cut));

    let metadata = |at: &str| tree.stat(path(at)).expect("it is there");
    let gone = Metadata { mode: 0, uid: 0, mtime: Time::default(), ..metadata("fs/gone") };
    let entries = [("fs/never", gone), ("fs/d", metadata("fs/d"))];
    let entries = entries.map(|(at, metadata)| (path(at).to_owned(), metadata)).to_vec();
    let mut bytes = Vec::new();
    Retar::of(&tree, entries, Keeping::Containerd).read_to_end(&mut bytes).expect("sound");
    assert_eq!(members(&bytes)[0], "fs/.wh.never 0 0");
}
