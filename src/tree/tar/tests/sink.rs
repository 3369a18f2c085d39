use std::io::Write as _;

use crate::error::ErrorKind;
use crate::tree::tar::sink::IN_MEMORY;
use crate::tree::tar::{TarSink, TarTree};
use crate::tree::{
    Attributes, Copying, Kind, Memory, Sink as _, Snapshots, Special, Time, Tree, TreePath, copy,
    path, read, write,
};

fn everything(mode: u16) -> Attributes {
    Attributes {
        mode,
        uid: 4_000_000_000,
        gid: 3_000_000,
        mtime: Some(Time { seconds: -2, nanos: 250_000_001 }),
        xattrs: [
            (b"security.capability".to_vec(), b"\x01\0\0\x02\xff=\n".to_vec()),
            (b"user.empty".to_vec(), Vec::new()),
        ]
        .into(),
    }
}

/// Fills a tar, closes it and opens it as a tree.
fn written(fill: impl FnOnce(&TarSink)) -> (Vec<u8>, TarTree) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("out.tar");
    let sink = TarSink::create(&target).expect("a new tar");
    fill(&sink);
    sink.close().expect("room for it");
    let names = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(names, 1, "nothing but the tar is left");
    let bytes = std::fs::read(&target).expect("the tar");
    (bytes, TarTree::open(&target).expect("a sound tar"))
}

fn file(sink: &TarSink, at: &str, attributes: &Attributes, bytes: &[u8]) -> u64 {
    let mut file = sink.create(path(at), attributes).expect("a free name");
    file.write_all(bytes).expect("room for it");
    file.finish().expect("room for it")
}

fn fill(sink: &TarSink) {
    let long = format!("dir/{}/{}", "a".repeat(120), "ü".repeat(60));
    sink.make_dir(path("dir"), 0o700).expect("a free name");
    sink.make_dir(path(&long).split_last().expect("a path").0, 0o711).expect("a free name");
    let large = vec![7; IN_MEMORY + 5];
    assert_eq!(file(sink, "dir/large", &Attributes::root(0o600), &large), 512 + 1_049_088);
    file(sink, &long, &everything(0o4755), b"long");
    let odd = TreePath::new(b"dir/\xff").expect("a path");
    let symlink = Special::Symlink(vec![b't'; 150]);
    sink.put(odd, &symlink, &everything(0o777)).expect("a free name");
    sink.put(path("dir/gone"), &Special::Char(0, 0), &Attributes::root(0)).expect("free");
    sink.put(path("disk"), &Special::Block(259, 1_048_575), &everything(0o660)).expect("free");
    sink.put(path("pipe"), &Special::Fifo, &everything(0o600)).expect("a free name");
    sink.link(path(&long), path("dir/linked")).expect("a free name");
    sink.make_dir(path("empty"), 0o750).expect("a free name");
    sink.make_dir(path("plain"), 0o755).expect("a free name");
    sink.finish_dir(path("plain"), &Attributes::root(0o755)).expect("there");
    sink.finish_dir(path("dir"), &everything(0o1777)).expect("there");
    sink.finish_dir(TreePath::ROOT, &everything(0o710)).expect("there");
}

#[test]
fn what_is_written_is_read_back() {
    let (bytes, tree) = written(fill);
    let long = format!("dir/{}/{}", "a".repeat(120), "ü".repeat(60));
    let is = |at: TreePath<'_>, kind: Kind, mode: u16| {
        let metadata = tree.stat(at).expect("there");
        let want = everything(mode);
        assert_eq!((metadata.kind, metadata.mode), (kind, mode), "{at}");
        assert_eq!((metadata.uid, metadata.gid), (want.uid, want.gid), "{at}");
        assert_eq!(Some(metadata.mtime), want.mtime, "{at}");
        assert_eq!(tree.xattrs(at).expect("attributes"), want.xattrs, "{at}");
        metadata
    };
    is(TreePath::ROOT, Kind::Dir, 0o710);
    is(path("dir"), Kind::Dir, 0o1777);
    is(path("pipe"), Kind::Fifo, 0o600);
    assert_eq!(is(path("disk"), Kind::Block, 0o660).rdev, (259, 1_048_575));
    let odd = TreePath::new(b"dir/\xff").expect("a path");
    is(odd, Kind::Symlink, 0o777);
    assert_eq!(tree.read_link(odd).expect("a link"), [b't'; 150]);
    let linked = is(path(&long), Kind::File, 0o4755);
    assert_eq!(linked.nlink, 2);
    assert_eq!(tree.stat(path("dir/linked")).expect("there"), linked);
    assert_eq!(read(&tree, path("dir/linked")).expect("a file"), b"long");
    assert!(read(&tree, path("dir/large")).expect("a file") == vec![7; IN_MEMORY + 5]);
    assert!(tree.stat(path("dir/gone")).expect("there").is_whiteout());
    assert_eq!(tree.stat(path("empty")).expect("there").mode, 0o750);
    assert!(written(fill).0 == bytes, "the same calls make the same bytes");
}

#[test]
fn folders_come_before_what_is_in_them_and_once_if_they_can() {
    let (bytes, _) = written(fill);
    let mut archive = ::tar::Archive::new(bytes.as_slice());
    let mut names: Vec<Vec<u8>> = Vec::new();
    for entry in archive.entries().expect("a tar") {
        let name = entry.expect("sound").path_bytes().into_owned();
        let folder = name.strip_suffix(b"/").unwrap_or(&name);
        if let Some(slash) = folder.iter().rposition(|b| *b == b'/') {
            assert!(names.iter().any(|other| *other == name[..=slash]), "{name:?}");
        }
        names.push(name);
    }
    let times = |name: &[u8]| names.iter().filter(|other| *other == name).count();
    assert_eq!((times(b"plain/"), times(b"dir/"), times(b"empty/")), (1, 2, 1));
}

#[test]
fn a_held_file_gets_its_name_later() {
    let (_, tree) = written(|sink| {
        write(sink, path(".tranship-1"), 0o644, b"one").expect("a free name");
        write(sink, path(".tranship-2"), 0o644, b"two").expect("a free name");
        write(sink, path(".tranship-lost"), 0o644, b"lost").expect("a free name");
        write(sink, path("b"), 0o644, b"b").expect("a free name");
        sink.rename(path(".tranship-1"), path("a")).expect("held");
        sink.rename(path(".tranship-2"), path(".tranship-3")).expect("held");
        sink.rename(path(".tranship-3"), path("a")).expect("a file is replaced");
        sink.remove(path("nothing")).expect("no error");
        for error in [
            sink.rename(path("b"), path("c")).expect_err("in the tar"),
            sink.remove(path("b")).expect_err("in the tar"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        assert!(sink.rename(path("none"), path("c")).expect_err("none").is_missing());
        sink.sync().expect("a disk");
    });
    assert_eq!(read(&tree, path("a")).expect("a file"), b"two");
    assert_eq!(tree.names(TreePath::ROOT).expect("names"), [b"a", b"b"]);
}

#[test]
fn names_are_free_and_folders_there_or_nothing_is_written() {
    let (_, tree) = written(|sink| {
        write(sink, path("a"), 0o644, b"a").expect("a free name");
        assert!(write(sink, path("a"), 0o644, b"b").is_err());
        assert!(write(sink, path("none/a"), 0o644, b"").expect_err("none").is_missing());
        assert!(write(sink, path("a/b"), 0o644, b"").is_err());
        assert!(sink.make_dir(path("a"), 0o755).is_err());
        assert!(sink.make_dir(TreePath::ROOT, 0o755).is_ok());
        assert!(sink.link(path("none"), path("b")).expect_err("none").is_missing());
        let socket = sink.put(path("s"), &Special::Socket, &Attributes::default());
        assert_eq!(socket.expect_err("no socket").kind(), ErrorKind::Unsupported);
        let device = sink.put(path("d"), &Special::Char(1 << 30, 0), &Attributes::default());
        assert_eq!(device.expect_err("too large").kind(), ErrorKind::Unsupported);
        let given_up = sink.create(path("c"), &Attributes::default()).expect("a free name");
        drop(given_up);
        write(sink, path("c"), 0o644, b"c").expect("free again");
    });
    assert_eq!(tree.names(TreePath::ROOT).expect("names"), [b"a", b"c"]);
}

#[test]
fn a_tar_that_is_not_closed_is_not_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("out.tar");
    let sink = TarSink::create(&target).expect("a new tar");
    write(&sink, path("a"), 0o644, b"a").expect("a free name");
    drop(sink);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
    let sink = TarSink::create(&target).expect("a new tar");
    std::fs::write(&target, b"mine").expect("room for it");
    assert_eq!(sink.close().expect_err("taken").kind(), ErrorKind::Refused);
    assert_eq!(TarSink::create(&target).expect_err("taken").kind(), ErrorKind::Refused);
    assert_eq!(std::fs::read(&target).expect("the file"), b"mine");
}

#[test]
fn many_files_can_be_open_at_once() {
    let (_, tree) = written(|sink| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for at in 0..20 {
                        let name = format!("{thread}-{at}");
                        file(sink, &name, &Attributes::root(0o644), name.as_bytes());
                    }
                });
            }
        });
    });
    for name in tree.names(TreePath::ROOT).expect("names") {
        let at = TreePath::new(&name).expect("a name");
        assert_eq!(read(&tree, at).expect("a file"), name);
    }
    assert_eq!(tree.names(TreePath::ROOT).expect("names").len(), 80);
}

#[test]
fn a_tree_is_copied_into_a_tar_and_out_again() {
    let copying = Copying { snapshots: Snapshots::Auto, skip: &|_| false, skip_xattr: &|_| false };
    let (_, tree) = written(fill);
    let (_, again) = written(|sink| {
        copy(&tree, TreePath::ROOT, sink, TreePath::ROOT, &copying).expect("a copy");
    });
    let memory = Memory::new();
    copy(&again, path("dir"), &memory, path("dir"), &copying).expect("a copy");
    let large = read(&memory, path("dir/large")).expect("a file");
    assert!(large == vec![7; IN_MEMORY + 5]);
    let long = format!("dir/{}/{}", "a".repeat(120), "ü".repeat(60));
    let [had, has] = [&tree as &dyn Tree, &memory].map(|tree| {
        (tree.stat(path(&long)).expect("there").mtime, tree.xattrs(path(&long)).expect("there"))
    });
    assert_eq!(had, has);
}
