//! Layers made by hand.

use std::sync::Arc;

use super::Stacked;
use crate::error::{ErrorKind, Result};
use crate::tree::{Attributes, Memory, Sink, Special, Tree, TreePathBuf, path, read, walk, write};

/// What a layer is made of, one a line: `d PATH`, `f PATH BYTES`, `l PATH TARGET`, `w PATH` (a
/// whiteout), and after any of them `NAME=VALUE` of overlayfs' marks.
fn layer(lines: &str) -> (Arc<dyn Tree>, TreePathBuf) {
    let tree = Memory::new();
    for line in lines.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut attributes = Attributes::root(0o755);
        for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
            let name = format!("trusted.overlay.{name}");
            attributes.xattrs.insert(name.into_bytes(), value.as_bytes().to_vec());
        }
        let (at, third) = (path(words[1]), words.get(2).filter(|word| !word.contains('=')));
        let third = third.copied().unwrap_or_default().as_bytes();
        match words[0] {
            "d" => {
                tree.make_dir(at, 0o755).expect(line);
                tree.finish_dir(at, &attributes).expect(line);
            }
            "f" => {
                let mut file = tree.create(at, &attributes).expect(line);
                file.write_all(third).expect(line);
                file.finish().expect(line);
            }
            "l" => {
                tree.put(at, &Special::Symlink(third.to_vec()), &attributes).map(drop).expect(line);
            }
            "h" => tree.link(path(std::str::from_utf8(third).expect(line)), at).expect(line),
            _ => tree.put(at, &Special::Char(0, 0), &attributes).map(drop).expect(line),
        }
    }
    (Arc::new(tree), TreePathBuf::default())
}

fn stacked(layers: &[&str]) -> Stacked {
    Stacked::new(layers.iter().map(|lines| layer(lines)).collect())
}

/// Every path with what a file holds, as `ls -R` would find it.
fn all(view: &Stacked) -> Result<String> {
    let mut found = Vec::new();
    walk(view, path(""), &mut |at, entry| {
        use crate::tree::Kind;
        assert_eq!(view.stat(at)?, entry.metadata);
        let what = match entry.metadata.kind {
            Kind::File => format!("={}", String::from_utf8_lossy(&read(view, at)?)),
            Kind::Symlink => format!(">{}", String::from_utf8_lossy(&view.read_link(at)?)),
            Kind::Dir => "/".to_owned(),
            _ => "?".to_owned(),
        };
        found.push(format!("{}{what}", at.to_owned()));
        Ok(true)
    })?;
    Ok(found.join(" "))
}

#[test]
fn a_stack_shows_what_the_kernel_shows() {
    for (layers, want) in [
        (&["f a 1", "f a 2; f b 2"][..], "a=1 b=2"),
        (&["w a", "f a 2; f b 2"], "b=2"),
        // A name is back above the layer that deleted it.
        (&["f a 3", "w a", "f a 1"], "a=3"),
        (&["d d; f d/x 1", "d d; f d/y 2"], "d/ d/x=1 d/y=2"),
        (&["d d; f d/x 1", "w d", "d d; f d/y 2"], "d/ d/x=1"),
        (&["d d opaque=y; f d/x 1", "d d; f d/y 2"], "d/ d/x=1"),
        (&["d d; f d/x 1", "d d opaque=y", "d d; f d/y 2"], "d/ d/x=1"),
        (&["d d opaque=n", "d d; f d/y 2"], "d/ d/y=2"),
        // What is no folder hides folders, and ends what merges.
        (&["f d 1", "d d; f d/y 2"], "d=1"),
        (&["l d x", "d d; f d/y 2"], "d>x"),
        (&["d d; f d/x 1", "f d 2", "d d; f d/y 3"], "d/ d/x=1"),
        // An empty file is a whiteout where it is marked, and its folder too.
        (&["d d opaque=x; f d/a whiteout=y", "d d; f d/a 2; f d/b 2"], "d/ d/b=2"),
        (&["d d opaque=x; f d/a 1 whiteout=y", "d d; f d/a 2"], "d/ d/a=1"),
        (&["d d; f d/a whiteout=y", "d d; f d/a 2"], "d/ d/a="),
        // Moved folders.
        (&["d new redirect=old; w old", "d old; f old/x 2"], "new/ new/x=2"),
        (&["d a; d a/n redirect=/b/o; w b", "d b; d b/o; f b/o/x 2"], "a/ a/n/ a/n/x=2"),
        (
            &["d c redirect=b; w b", "d b redirect=a; w a; f b/y 2", "d a; f a/x 1"],
            "c/ c/x=1 c/y=2",
        ),
        (
            &["d p; d p/c redirect=/m/k; w m", "d m redirect=/o; w o", "d o; d o/k; f o/k/x 1"],
            "p/ p/c/ p/c/x=1",
        ),
        (&["d n redirect=/q/k", "d q opaque=y", "d q; d q/k; f q/k/x 1"], "n/ q/"),
        // Files without bytes of their own.
        (&["f a metacopy=", "f a 22"], "a=22"),
        (&["f n metacopy= redirect=/d/a; w d", "f n 3; d d; f d/a 22"], "n=22"),
        (&["f a metacopy=", "f a metacopy= redirect=b; w b", "f b 22"], "a=22"),
        (&[], ""),
    ] {
        let found = all(&stacked(layers)).unwrap_or_else(|error| panic!("{layers:?}: {error}"));
        assert_eq!(found, want, "{layers:?}");
    }
}

#[test]
fn hostile_layers_end_in_an_error_or_in_nothing() {
    for (layers, at, want) in [
        (&["d a redirect=../x", "d x"][..], "a/x", "no path"),
        (&["d a redirect=/../x", "d x"], "a/x", "no path"),
        (&["d a redirect=/", "d x"], "a/x", "no path"),
        (&["d a redirect=", "d x"], "a/x", "no path"),
        (&["d a redirect=b/c", "d x"], "a/x", "no path"),
        (&["d a redirect=//b", "d x"], "a/x", "no path"),
        (&["f a metacopy=", "f b 1"], "a", "no layer below"),
        (&["f a metacopy=", "d a"], "a", "no layer below"),
        (&["f a metacopy=", "w a", "f a 1"], "a", "no layer below"),
    ] {
        let error = match stacked(layers).open(path(at)) {
            Ok(_) => panic!("{layers:?} opens"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{layers:?}: {error}");
        assert!(error.what().contains(want), "{layers:?}: {error}");
    }
    // Folders that lead to each other, and to themselves.
    let ring = ["d a redirect=b; d b redirect=a"; 9];
    assert_eq!(all(&stacked(&ring)).expect("it ends"), "a/ b/");
    let long = format!("d a redirect=/{}", "x/".repeat(3000) + "y");
    stacked(&[long.as_str(), "d x"]).list(path("a")).expect_err("no real path is so long");
    let file = ["f root 1"].map(|lines| (layer(lines).0, path("root").to_owned()));
    let error = Stacked::new(file.into()).stat(path("")).expect_err("a file as a layer");
    assert!(error.what().contains("no folder"), "{error}");
}

#[test]
fn nothing_is_found_through_what_is_no_folder() {
    let view = stacked(&["l out /etc; f file 1; w gone", "d gone; f gone/x 2; d out; f out/x 2"]);
    for at in ["out/x", "file/x", "gone/x", "gone", "none/x", "none"] {
        view.stat(path(at)).expect_err(at);
        assert!(view.live(path(at)).is_none());
    }
    assert!(view.stat(path("gone/x")).expect_err("gone").is_missing());
    view.open(path("")).map(drop).expect_err("the root is a folder");
    view.list(path("file")).expect_err("no folder");
}

#[test]
fn numbers_are_those_of_files_and_not_of_layers() {
    let lines = "f a 1; h b a; f c 1";
    let view = stacked(&["f a 2", lines, lines]);
    let ino = |at| view.stat(path(at)).expect(at).ino;
    assert!(ino("a") != ino("b") && ino("b") != ino("c") && ino("a") != ino("c"));
    let linked = stacked(&["d x", lines]);
    let ino = |at| linked.stat(path(at)).expect(at).ino;
    assert!(ino("a") == ino("b") && ino("b") != ino("c"));
    // Numbers that leave no room for a layer's.
    let big = [(0, u64::MAX), (1, u64::MAX), (0, 1 << 48), (1 << 20, 7), (0, 7), (1, 7)];
    let numbers: std::collections::BTreeSet<_> =
        big.iter().chain(&big).map(|(layer, ino)| view.number(*layer, *ino)).collect();
    assert_eq!(numbers.len(), big.len());
}

#[test]
fn marks_do_not_show() {
    let tree = Memory::new();
    let mut attributes = Attributes::root(0o644);
    for name in ["trusted.overlay.origin", "user.overlay.new", "user.mine"] {
        attributes.xattrs.insert(name.into(), b"v".to_vec());
    }
    attributes.xattrs.insert(b"trusted.overlay.overlay.opaque".to_vec(), b"y".to_vec());
    tree.create(path("f"), &attributes).expect("a free name").finish().expect("a file");
    let view = Stacked::new(vec![(Arc::new(tree), TreePathBuf::default())]);
    let names: Vec<_> = view.xattrs(path("f")).expect("a file").into_keys().collect();
    assert_eq!(names, [&b"trusted.overlay.opaque"[..], b"user.mine"]);
}

#[test]
fn five_hundred_layers_are_no_trouble() {
    let tree = Memory::new();
    for number in 0..500 {
        let dir = format!("{number}");
        let mut marks = Attributes::root(0o755);
        marks.xattrs.insert(b"trusted.overlay.redirect".to_vec(), b"/d".to_vec());
        for dir in [dir.clone(), format!("{dir}/d")] {
            tree.make_dir(path(&dir), 0o755).expect(&dir);
        }
        tree.finish_dir(path(&format!("{dir}/d")), &marks).expect(&dir);
        write(&tree, path(&format!("{dir}/d/f{number}")), 0o644, b"x").expect(&dir);
    }
    let tree: Arc<dyn Tree> = Arc::new(tree);
    let root = |number| (Arc::clone(&tree), path(&format!("{number}")).to_owned());
    let view = Stacked::new((0..500).map(root).collect());
    assert_eq!(view.list(path("d")).expect("a folder").len(), 500);
    assert_eq!(view.list(path("")).expect("a folder").len(), 1);
}
