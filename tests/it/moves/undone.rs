//! What could not be read of a store is not gone from it: an undo that does not know changes nothing.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use tranship::error::{Error, ErrorKind, Result};
use tranship::model::StoreKind;
use tranship::op::host::{Known, Opened, survey};
use tranship::op::migrate::{BoundBack, undo_in};
use tranship::store::containers::{End, moved as journalled};
use tranship::tree::{Entry, Memory, Metadata, Sink as _, Tree, TreePath, Xattrs, path};

use super::{INNER, moved, put, root, there_and_back};
use crate::support::carried::host;
use crate::support::nothing_is;
use crate::support::seen::{META, listing};

/// What is asked of a tree, and of what.
type Call = (&'static str, String);

/// How often a call fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Times {
    Once,
    Always,
}

/// A tree of which one thing cannot be read.
struct Failing {
    tree: Arc<Memory>,
    fails: Option<(Call, Times)>,
    calls: Mutex<BTreeSet<Call>>,
}

impl Failing {
    fn asked(&self, verb: &'static str, path: TreePath<'_>) -> Result<()> {
        let call = (verb, path.to_string());
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = calls.insert(call.clone());
        match &self.fails {
            Some((fails, times)) if *fails == call && (is_first || *times == Times::Always) => {
                Err(Error::io(self.place(path), io::Error::from_raw_os_error(5)))
            }
            _ => Ok(()),
        }
    }
}

impl Tree for Failing {
    fn origin(&self) -> &str {
        self.tree.origin()
    }

    fn stat(&self, path: TreePath<'_>) -> Result<Metadata> {
        self.asked("stat", path)?;
        self.tree.stat(path)
    }

    fn list(&self, dir: TreePath<'_>) -> Result<Vec<Entry>> {
        self.asked("list", dir)?;
        self.tree.list(dir)
    }

    fn open(&self, file: TreePath<'_>) -> Result<Box<dyn Read + Send + '_>> {
        self.asked("open", file)?;
        self.tree.open(file)
    }

    fn read_link(&self, link: TreePath<'_>) -> Result<Vec<u8>> {
        self.asked("read_link", link)?;
        self.tree.read_link(link)
    }

    fn xattrs(&self, path: TreePath<'_>) -> Result<Xattrs> {
        self.asked("xattrs", path)?;
        self.tree.xattrs(path)
    }
}

/// Undoes what was moved in `tree`, of which a call fails; returns that and all that was asked.
fn undone(
    tree: &Arc<Memory>,
    fails: Option<(Call, Times)>,
) -> (Result<Vec<BoundBack>>, BTreeSet<Call>) {
    let failing = Arc::new(Failing { tree: Arc::clone(tree), fails, calls: Mutex::default() });
    let opened = Opened { tree: Arc::<Failing>::clone(&failing), only: None };
    let known = Known { platform: host(), ..Known::default() };
    let done = survey(&opened, &known).and_then(|host| undo_in(&host.roots[0], &**tree));
    let calls = failing.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (done, calls)
}

/// Lets each read fail that an undo asks for: it undoes all, or says that it cannot and changes nothing.
fn every_read_fails(moved: &Memory) {
    let state = |tree: &Memory| listing(tree, TreePath::ROOT);
    let whole = Arc::new(moved.clone());
    let (done, calls) = undone(&whole, None);
    assert!(done.expect("nothing fails").iter().all(|one| one.undone.end == End::AsBefore));
    let (before, after) = (state(moved), state(&whole));
    let mut wrong = Vec::new();
    for call in &calls {
        for times in [Times::Once, Times::Always] {
            let tree = Arc::new(moved.clone());
            let what = match undone(&tree, Some((call.clone(), times))).0 {
                Ok(_) if state(&tree) == after => continue,
                Err(error) if error.is_missing() => format!("it ends with {error}"),
                Err(_) if state(&tree) == before => continue,
                Ok(done) => format!("it says {done:?}"),
                Err(error) => format!("it fails with {error}, and something is changed"),
            };
            wrong.push(format!("{call:?} fails {times:?}: {what}"));
        }
    }
    nothing_is(&wrong);
    let layers = calls.iter().filter(|(_, path)| path.contains("layerdb") || path.ends_with(".db"));
    assert!(layers.count() > 2, "what containers stand on was read: {calls:?}");
}

#[test]
fn of_the_classic_store() {
    every_read_fails(&moved(&root(), StoreKind::Classic).0);
}

#[test]
fn of_the_containerd_store() {
    every_read_fails(&there_and_back(StoreKind::Containerd));
}

/// A store that nothing can be read of may have all there was.
#[test]
fn a_store_that_cannot_be_opened_keeps_its_containers() {
    let there = moved(&root(), StoreKind::Classic).0;
    there.remove(path("image/overlay2")).expect("below the root");
    let back = there_and_back(StoreKind::Containerd);
    put(&back, &format!("{INNER}/{META}"), b"no bolt file");
    for tree in [there, back].map(Arc::new) {
        let error = undone(&tree, None).0.expect_err("nobody knows");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.advice().is_some_and(|advice| advice.contains("undo")), "{error:?}");
        assert_eq!(
            journalled(&*tree).expect("a journal").map(|found| found.containers.len()),
            Some(3)
        );
    }
}
