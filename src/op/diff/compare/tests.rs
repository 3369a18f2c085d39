use std::sync::Arc;

use super::*;
use crate::tree::{Attributes, Memory, Sink, Special, Stacked, Sub, path, write};

/// Makes what `spec` says: `dir/`, `file=bytes`, `!deleted`, `link>target`, and `^dir=value` to mark a
/// folder as opaque.
fn tree(folders: &[(&str, &[&str])]) -> Arc<dyn Tree> {
    let tree = Memory::new();
    for (folder, specs) in folders {
        tree.make_dir(path(folder), 0o755).expect("new");
        for spec in *specs {
            make(&tree, folder, spec);
        }
    }
    Arc::new(tree)
}

fn make(tree: &Memory, folder: &str, spec: &str) {
    let at = |name: &str| path(folder).join(path(name));
    let with = |mtime: i64| Attributes {
        mtime: Some(Time { seconds: mtime, nanos: 0 }),
        ..Attributes::root(0o644)
    };
    if let Some(name) = spec.strip_prefix('!') {
        tree.put(at(name).as_path(), &Special::Char(0, 0), &with(9)).expect("new");
    } else if let Some((name, value)) = spec.strip_prefix('^').and_then(|s| s.split_once('=')) {
        let xattrs = [(b"trusted.overlay.opaque".to_vec(), value.as_bytes().to_vec())];
        let attributes = Attributes { xattrs: xattrs.into(), ..Attributes::root(0o755) };
        tree.finish_dir(at(name).as_path(), &attributes).expect("it is there");
    } else if let Some((from, to)) = spec.split_once('~') {
        tree.link(at(from).as_path(), at(to).as_path()).expect("new");
    } else if let Some((name, target)) = spec.split_once('>') {
        let link = Special::Symlink(target.as_bytes().to_vec());
        tree.put(at(name).as_path(), &link, &with(1)).expect("new");
    } else if let Some((name, bytes)) = spec.split_once('=') {
        write(tree, at(name).as_path(), 0o644, bytes.as_bytes()).expect("new");
        let mtime = i64::try_from(bytes.len()).unwrap_or_default();
        tree.set_attributes(at(name).as_path(), &with(mtime)).expect("it is there");
    } else {
        tree.make_dir(at(spec.trim_end_matches('/')).as_path(), 0o755).expect("new");
    }
}

/// Compares the folder `up` on `low` with `low`, by the upper folder and by all, and returns the lines.
fn compared(low: &[&str], up: &[&str], rule: Rule) -> Vec<String> {
    let tree = tree(&[("low", low), ("up", up)]);
    let stack = |names: &[&str]| {
        let layers = names.iter().map(|name| (Arc::clone(&tree), path(name).to_owned()));
        Stacked::new(layers.collect())
    };
    let (old, new) = (stack(&["low"]), stack(&["up", "low"]));
    let upper = Sub::new(Arc::clone(&tree), path("up"));
    let by_upper = compare(&old, &new, Some(Upper { tree: &upper }), rule).expect("sound");
    let by_all = compare(&old, &new, None, rule).expect("sound");
    let lines = |found: &Changes| -> Vec<String> {
        found.paths.iter().map(|one| format!("{} {}", one.change.letter(), one.path)).collect()
    };
    assert_eq!(lines(&by_upper), lines(&by_all), "{low:?} {up:?}");
    lines(&by_upper)
}

#[test]
fn each_kind_of_change_is_told_as_docker_tells_it() {
    let low = ["d/", "d/e/", "d/e/x=1", "d/y=22", "f=333", "l>f", "z/", "z/a=1", "z/b=1"];
    for (up, want) in [
        (&[][..], &[][..]),
        // Copied up and left as it was.
        (&["d/", "d/e/", "d/e/x=1", "l>f"], &[]),
        (&["d/", "d/e/", "d/e/x=22"], &["C d", "C d/e", "C d/e/x"]),
        (&["d/", "d/new=1"], &["C d", "A d/new"]),
        (&["d/", "!d/e"], &["C d", "D d/e"]),
        (&["!d", "!gone", "n/"], &["D d", "A n"]),
        (&["f/", "f/x=1", "!f/y"], &["C f", "A f/x"]),
        (&["d=1"], &["C d"]),
        (&["l=1"], &["C l"]),
        (&["z/", "z/b=1", "z/c=1", "^z=y"], &["C z", "D z/a", "A z/c"]),
        (&["z/", "z/c=1", "^z=x"], &["C z", "A z/c"]),
        (&["z/", "z/c=1", "^z=n"], &["C z", "A z/c"]),
        (&["a/", "a.b=1", "a/b=1"], &["A a", "A a/b", "A a.b"]),
    ] {
        assert_eq!(compared(&low, up, Rule::Shown), want, "{up:?}");
    }
}

#[test]
fn a_deleted_name_in_a_new_folder_is_nothing() {
    assert_eq!(compared(&["n=1"], &["d/", "!d/x", "d/y=1"], Rule::Shown), ["A d", "A d/y"]);
}

#[test]
fn for_a_layer_the_bytes_decide_where_times_are_cut() {
    assert_eq!(compared(&["f=abc"], &["f=abd"], Rule::Shown), Vec::<String>::new());
    assert_eq!(compared(&["f=abc"], &["f=abd"], Rule::Layer), ["C f"]);
    assert_eq!(compared(&["f=abc", "l>a"], &["f=abc", "l>b"], Rule::Layer), ["C l"]);
}

#[test]
fn a_name_beside_a_new_one_is_known_for_a_layer() {
    let tree = tree(&[("low", &["f=abc"]), ("up", &["f=abc", "f~g"])]);
    let [old, new] = ["low", "up"].map(|name| Sub::new(Arc::clone(&tree), path(name)));
    let found = compare(&old, &new, None, Rule::Layer).expect("sound");
    assert_eq!(found.paths.len(), 1);
    assert_eq!(found.linked.iter().map(|one| one.path.to_string()).collect::<Vec<_>>(), ["f"]);
    let shown = compare(&old, &new, None, Rule::Shown).expect("sound");
    assert!(shown.linked.is_empty() && shown.paths == found.paths);
}

#[test]
fn a_moved_folder_is_compared_whole() {
    let memory = Memory::new();
    for folder in ["low", "low/a", "up", "up/b"] {
        memory.make_dir(path(folder), 0o755).expect("new");
    }
    make(&memory, "low", "a/x=1");
    make(&memory, "up", "!a");
    make(&memory, "up", "b/y=1");
    let xattrs = [(b"trusted.overlay.redirect".to_vec(), b"a".to_vec())];
    let attributes = Attributes { xattrs: xattrs.into(), ..Attributes::root(0o755) };
    memory.finish_dir(path("up/b"), &attributes).expect("it is there");
    let tree: Arc<dyn Tree> = Arc::new(memory);
    let layer = |name: &str| (Arc::clone(&tree), path(name).to_owned());
    let (old, new) =
        (Stacked::new(vec![layer("low")]), Stacked::new(vec![layer("up"), layer("low")]));
    let upper = Sub::new(Arc::clone(&tree), path("up"));
    let found = compare(&old, &new, Some(Upper { tree: &upper }), Rule::Shown).expect("sound");
    let lines: Vec<_> =
        found.paths.iter().map(|one| format!("{} {}", one.change.letter(), one.path)).collect();
    assert_eq!(lines, ["D a", "A b", "A b/x", "A b/y"]);
}
