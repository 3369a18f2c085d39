//! Changing a tree so that nothing is lost: whole or not at all, wherever a run dies, and back again.

use std::sync::Arc;

use tranship::error::{Error, ErrorKind, Place, Result};
use tranship::op::aside::{self, About, End, State};
use tranship::store::Progress;
use tranship::store::mend::{Change, CopyOf, FolderOf, Making, Mend};
use tranship::tree::{
    Attributes, Memory, Sink, Snapshots, Special, Tree, TreePath, path, read, write,
};

use crate::support::NOW;
use crate::support::crashes::{CUTS, Crashes, Held};
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::seen::listing;

/// A tree with some of everything that can give way.
fn tree() -> Memory {
    let tree = Memory::new();
    for (folder, mode) in [("a", 0o710), ("a/full", 0o750), ("a/gone", 0o700), ("b", 0o755)] {
        tree.make_dir(path(folder), mode).expect("a free name");
    }
    for (file, mode) in [("a/x", 0o600), ("a/full/y", 0o640), ("a/gone/z", 0o644), ("b/w", 0o644)] {
        write(&tree, path(file), mode, file.as_bytes()).expect("a free name");
    }
    let xattrs = [(b"user.label".to_vec(), b"kept".to_vec())].into();
    let to = Attributes { mode: 0o640, uid: 7, gid: 8, xattrs, mtime: None };
    tree.create(path("b/owned"), &to).expect("a free name").finish().expect("empty");
    let link = Special::Symlink(b"a/x".to_vec());
    tree.put(path("b/link"), &link, &Attributes::root(0o777)).expect("a free name");
    tree
}

fn mend(code: &'static str, changes: Vec<Change>) -> Mend {
    let (place, text) = (Place::new("memory", code), || code.to_owned());
    Mend { code, place, what: text(), how: text(), changes }
}

/// One of every change there is.
fn mends() -> Vec<Mend> {
    let other = Memory::new();
    other.make_dir(path("whole"), 0o711).expect("a free name");
    write(&other, path("whole/1"), 0o604, b"one").expect("a free name");
    let copy = CopyOf {
        tree: Arc::new(other),
        from: path("whole").to_owned(),
        snapshots: Snapshots::Copy,
        size: 3,
    };
    let files = vec![(b"diff".to_vec(), 0o644, b"d".to_vec()), (b"size".to_vec(), 0o600, vec![])];
    let folder = FolderOf { attributes: Attributes::root(0o755), files };
    let at = |text: &str| path(text).to_owned();
    vec![
        mend("file-by-file", vec![Change::file(at("a/x"), 0o600, *b"new x")]),
        mend("new-file", vec![Change::file(at("a/n"), 0o644, *b"n")]),
        mend("folder-by-folder", vec![Change::made(at("a/full"), copy)]),
        mend("removed", vec![Change::remove(at("a/gone")), Change::remove(at("b/w"))]),
        mend("keeps-owner", vec![Change::file(at("b/owned"), 0o600, *b"o")]),
        mend("link-by-link", vec![Change::link(at("b/link"), *b"../a")]),
        mend(
            "in-a-new-folder",
            vec![
                Change::folder(at("c"), 0o700),
                Change::folder(at("c/d"), 0o701),
                Change::file(at("c/d/e"), 0o644, *b"e"),
                Change::Settle,
                Change::made(at("c/whole"), folder),
                Change::folder(at("b"), 0o700),
            ],
        ),
    ]
}

fn about(number: u32, keep: bool) -> About {
    About { verb: "repair", at: NOW, number, keep }
}

/// What is in the tree, but for our own folder; a file that is kept there too is still the same.
fn seen(tree: &dyn Tree) -> Vec<String> {
    let all = listing(tree, TreePath::ROOT).into_iter();
    all.filter(|line| !line.contains("tranship")).map(|line| line.replace(" x2 ", " x1 ")).collect()
}

fn done(ends: &[End]) -> bool {
    ends.iter().all(|end| matches!(end, End::Done))
}

fn apply(sink: &dyn Sink, keep: bool) -> Result<Vec<End>> {
    aside::finish(sink)?;
    let number = aside::next_number([sink.tree()])?;
    aside::apply(sink, &about(number, keep), &mends(), &())
}

#[test]
fn what_gave_way_is_kept_and_comes_back() {
    let tree = tree();
    let before = seen(&tree);
    assert!(done(&apply(&tree, true).expect("nothing fails")));
    assert_eq!(read(&tree, path("a/x")).expect("put"), b"new x");
    assert_eq!(read(&tree, path("a/full/1")).expect("put"), b"one");
    assert_eq!(read(&tree, path("c/whole/diff")).expect("put"), b"d");
    assert!(tree.stat(path("a/full/y")).expect_err("gave way").is_missing());
    assert!(tree.stat(path("a/gone")).expect_err("removed").is_missing());
    assert_eq!(tree.read_link(path("b/link")).expect("put"), b"../a");
    let owned = tree.stat(path("b/owned")).expect("put");
    assert_eq!((owned.mode, owned.uid, owned.gid), (0o600, 7, 8));
    assert_eq!(tree.xattrs(path("b/owned")).expect("put").len(), 1);
    assert_eq!(tree.stat(path("a/full")).expect("put").mode, 0o711);
    let (runs, findings) = aside::runs(&tree).expect("sound");
    assert_eq!((runs.len(), findings.len(), runs[0].state), (1, 0, State::Done));
    assert_eq!(runs[0].mends.len(), mends().len());
    assert!(aside::finish(&tree).expect("nothing to do").is_empty());
    aside::may_undo(&tree, 1).expect("nothing was changed since");
    aside::undo(&tree, 1).expect("nothing was changed since");
    assert_eq!(listing(&tree, TreePath::ROOT), before, "nothing is left of it");
}

#[test]
fn runs_have_numbers_and_the_last_is_undone_first() {
    let tree = tree();
    let before = seen(&tree);
    apply(&tree, true).expect("nothing fails");
    let between = seen(&tree);
    let second = mend("second", vec![Change::file(path("a/x").to_owned(), 0o600, *b"newer")]);
    let number = aside::next_number([&tree as &dyn Tree]).expect("sound");
    aside::apply(&tree, &about(number, true), &[second], &()).expect("nothing fails");
    assert_eq!(number, 2);
    let error = aside::undo(&tree, 1).expect_err("something came after");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    aside::undo(&tree, 3).expect_err("there is none");
    aside::undo(&tree, 2).expect("the newest");
    assert_eq!(seen(&tree), between);
    aside::undo(&tree, 1).expect("the newest now");
    assert_eq!(seen(&tree), before);
}

#[test]
fn what_somebody_has_changed_is_not_undone() {
    type Change = (&'static str, fn(&Memory));
    let changes: [Change; 5] = [
        ("another file", |tree| {
            tree.remove(path("a/x")).expect("there");
            write(tree, path("a/x"), 0o600, b"mine").expect("free");
        }),
        ("gone", |tree| tree.remove(path("a/n")).expect("there")),
        ("more in a folder", |tree| write(tree, path("a/full/2"), 0o600, b"").expect("free")),
        ("there again", |tree| tree.make_dir(path("a/gone"), 0o700).expect("free")),
        ("kept no more", |tree| {
            tree.remove(path("tranship/quarantine/1/old")).expect("there");
        }),
    ];
    for (what, change) in changes {
        let tree = tree();
        apply(&tree, true).expect("nothing fails");
        change(&tree);
        let now = listing(&tree, TreePath::ROOT);
        let error = aside::undo(&tree, 1).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Refused, "{what}: {error}");
        assert_eq!(listing(&tree, TreePath::ROOT), now, "{what}: nothing is undone");
    }
}

#[test]
fn a_folder_stays_if_something_came_into_it() {
    let tree = tree();
    apply(&tree, true).expect("nothing fails");
    write(&tree, path("c/mine"), 0o600, b"mine").expect("free");
    aside::undo(&tree, 1).expect("what was put is as it was");
    assert_eq!(tree.names(path("c")).expect("stays"), [b"mine"]);
}

#[test]
fn what_is_not_kept_is_gone() {
    let [kept, dropped] = [true, false].map(|keep| {
        let tree = tree();
        apply(&tree, keep).expect("nothing fails");
        tree
    });
    assert_eq!(seen(&kept), listing(&dropped, TreePath::ROOT));
    aside::drop_kept(&kept, 1).expect("nothing fails");
    assert_eq!(listing(&kept, TreePath::ROOT), listing(&dropped, TreePath::ROOT));
    aside::undo(&kept, 1).expect_err("nothing to undo");
}

struct Broken;

impl Making for Broken {
    fn size(&self) -> u64 {
        0
    }

    fn make(&self, sink: &dyn Sink, at: TreePath<'_>, _: &dyn Progress) -> Result<()> {
        write(sink, at, 0o600, b"half")?;
        Err(Error::corrupt(Place::default(), "the source is damaged"))
    }
}

#[test]
fn one_that_cannot_be_got_ready_costs_nothing_else() {
    let tree = tree();
    let at = |text: &str| path(text).to_owned();
    let mends = [
        mend("good", vec![Change::file(at("a/n"), 0o644, *b"n")]),
        mend("bad", vec![Change::remove(at("a/x")), Change::made(at("b/n"), Broken)]),
        mend("twice", vec![Change::remove(at("a/n"))]),
        mend("inside", vec![Change::remove(at("a"))]),
        mend("ours", vec![Change::remove(at("tranship/quarantine"))]),
        mend("all", vec![Change::remove(TreePath::ROOT.to_owned())]),
        mend("nothing", vec![Change::remove(at("nowhere")), Change::folder(at("a"), 0o700)]),
        mend("good too", vec![Change::remove(at("a/x"))]),
    ];
    let ends = aside::apply(&tree, &about(1, true), &mends, &()).expect("nothing fails");
    let done: Vec<_> = ends.iter().map(|end| matches!(end, End::Done)).collect();
    assert_eq!(done, [true, false, false, false, false, false, true, true]);
    assert_eq!(read(&tree, path("a/n")).expect("put"), b"n");
    assert!(tree.stat(path("a/x")).expect_err("removed").is_missing());
    assert!(tree.names(path("tranship/quarantine/1/new")).expect("there").is_empty());
    aside::undo(&tree, 1).expect("nothing was changed since");
    assert_eq!(seen(&tree), seen(&self::tree()));
}

#[test]
fn a_journal_that_is_none_is_told_and_nothing_is_touched() {
    for text in [
        "",
        "{}",
        "[1]",
        "\u{0}",
        r#"{"version":9,"verb":"x","at":"2020-01-01T00:00:00Z","keep":true,"state":"done","mends":[]}"#,
        r#"{"version":1,"verb":"x","at":"2020-01-01T00:00:00Z","keep":true,"state":"begun","mends":[{"code":"","place":"","what":"","how":"","steps":[{"k":0,"at":"../x","put":null,"had":null}]}]}"#,
        r#"{"version":1,"verb":"x","at":"2020-01-01T00:00:00Z","keep":true,"state":"begun","mends":[{"code":"","place":"","what":"","how":"","steps":[{"k":0,"at":"tranship/x","put":null,"had":null}]}]}"#,
    ] {
        let tree = tree();
        for folder in ["tranship", "tranship/quarantine", "tranship/quarantine/1"] {
            tree.make_dir(path(folder), 0o700).expect("free");
        }
        write(&tree, path("tranship/quarantine/1/journal.json"), 0o600, text.as_bytes())
            .expect("free");
        let now = listing(&tree, TreePath::ROOT);
        aside::finish(&tree).expect_err(text);
        aside::undo(&tree, 1).expect_err(text);
        let (runs, findings) = aside::runs(&tree).expect("the folder can be read");
        assert_eq!((runs.len(), findings.len()), (0, 1), "{text}");
        assert_eq!(listing(&tree, TreePath::ROOT), now, "{text}");
    }
}

/// What a daemon made meanwhile of a place is not overwritten when a run is gone on with.
#[test]
fn what_became_another_meanwhile_is_left_alone() {
    let mut left = 0;
    for n in 1..operations(&tree(), &|sink| apply(sink, true).map(drop)) {
        let dead = FaultSink::new(tree(), Fault::Dies(n));
        let _ = apply(&dead, true);
        let tree = dead.after(Cut::Kill);
        if read(&tree, path("a/x")).expect("old") != b"a/x"
            || !aside::is_unfinished(&tree).expect("sound")
        {
            continue;
        }
        tree.remove(path("a/x")).expect("there");
        write(&tree, path("a/x"), 0o600, b"of a daemon").expect("free");
        let finished = aside::finish(&tree).expect("nothing fails");
        assert_eq!(finished.len(), 1);
        assert_eq!(read(&tree, path("a/x")).expect("left"), b"of a daemon");
        assert_eq!(read(&tree, path("a/n")).expect("put"), b"n", "the others are made");
        aside::undo(&tree, 1).expect("what was left alone is no obstacle");
        assert_eq!(read(&tree, path("a/x")).expect("left"), b"of a daemon");
        left += 1;
    }
    assert!(left > 3);
}

type Work<'w> = &'w (dyn Fn(&dyn Sink) -> Result<()> + Sync);

fn operations(base: &Memory, work: Work<'_>) -> usize {
    let whole = FaultSink::new(base.clone(), Fault::Never);
    work(&whole).expect("nothing fails");
    whole.log().len()
}

/// Cuts `work` short everywhere: what was begun is finished, and as long as there is no journal, the tree is
/// the old one or the new one.
fn everywhere(base: &Memory, work: Work<'_>) {
    let (old, new) = (seen(base), seen(&after(work, base)));
    let run = |sink: &Arc<dyn Sink>| {
        aside::finish(&**sink)?;
        if seen(sink.tree()) == new { Ok(()) } else { work(&**sink) }
    };
    let whole = |tree: &Arc<Memory>| -> Held {
        let tree = (**tree).clone();
        let said = |error: Error| error.to_string();
        let is_known = |tree: &Memory| [&old, &new].contains(&&seen(tree));
        if !aside::is_unfinished(&tree).map_err(said)? && !is_known(&tree) {
            return Err(format!("neither old nor new: {:#?}", seen(&tree)));
        }
        aside::finish(&tree).map_err(said)?;
        if !is_known(&tree) {
            return Err(format!("finish made neither old nor new: {:#?}", seen(&tree)));
        }
        all_are_done(&tree)
    };
    let done = |tree: &Arc<Memory>| match seen(&**tree) == new {
        true => all_are_done(tree),
        false => Err(format!("not the new: {:#?}", seen(&**tree))),
    };
    Crashes { base: base.clone(), run: &run, whole: &whole, done: &done }.everywhere();
}

fn all_are_done(tree: &Memory) -> Held {
    match aside::runs(tree) {
        Ok((runs, findings)) if findings.is_empty() => {
            let open = runs.iter().find(|run| run.state != State::Done);
            open.map_or(Ok(()), |run| Err(format!("{run:?}")))
        }
        other => Err(format!("{other:?}")),
    }
}

fn after(work: Work<'_>, base: &Memory) -> Memory {
    let tree = base.clone();
    work(&tree).expect("nothing fails");
    tree
}

#[test]
fn a_run_that_dies_anywhere_is_finished() {
    for keep in [true, false] {
        everywhere(&tree(), &|sink| apply(sink, keep).map(drop));
    }
}

#[test]
fn an_undo_that_dies_anywhere_is_finished() {
    let base = after(&|sink| apply(sink, true).map(drop), &tree());
    everywhere(&base, &|sink| aside::undo(sink, 1).map(drop));
}

/// Instead of going on, what was interrupted can be undone.
#[test]
fn what_was_interrupted_can_be_undone() {
    let work = |sink: &dyn Sink| apply(sink, true).map(drop);
    let old = seen(&tree());
    for n in 1..=operations(&tree(), &work) {
        let dead = FaultSink::new(tree(), Fault::Dies(n));
        let _ = work(&dead);
        for cut in CUTS {
            let tree = dead.after(cut);
            if aside::runs(&tree).expect("sound").0.is_empty() {
                assert_eq!(seen(&tree), old, "{n} {cut:?}");
                continue;
            }
            aside::undo(&tree, 1).unwrap_or_else(|error| panic!("{n} {cut:?}: {error}"));
            assert_eq!(seen(&tree), old, "{n} {cut:?}");
        }
    }
}

/// A full disk leaves all as it was.
#[test]
fn a_full_disk_changes_nothing() {
    let work = |sink: &dyn Sink| apply(sink, true).map(drop);
    let (old, new) = (seen(&tree()), seen(&after(&work, &tree())));
    for n in 1..=operations(&tree(), &work) {
        let full = FaultSink::new(tree(), Fault::Fills(n));
        let ends = apply(&full, true);
        let tree = full.after(Cut::Kill);
        match ends {
            Ok(ends) if done(&ends) => assert_eq!(seen(&tree), new, "{n}"),
            Ok(_) => {}
            Err(_) => assert_eq!(seen(&tree), old, "{n}"),
        }
    }
}

/// What was told to have failed is not done later, by a run that is about something else.
#[test]
fn what_found_no_room_is_not_gone_on_with() {
    let work = |sink: &dyn Sink| apply(sink, false).map(drop);
    let (old, mut failed) = (listing(&tree(), TreePath::ROOT), Vec::new());
    for n in 1..=operations(&tree(), &work) {
        let full = FaultSink::new(tree(), Fault::Fills(n));
        if work(&full).is_err() {
            let tree = full.after(Cut::Kill);
            assert_eq!(aside::finish(&tree).expect("there is room again"), [], "{n}");
            assert_eq!(listing(&tree, TreePath::ROOT), old, "{n}");
            failed.extend(full.log().into_iter().nth(n - 1));
        }
    }
    let at = |what: &str| failed.iter().filter(|op| op.starts_with(what)).count();
    assert_eq!(at("create tranship/quarantine/1/journal.new"), 2, "{failed:#?}");
    assert_eq!(at("link tranship/quarantine/1/old/"), 3, "{failed:#?}");
}
