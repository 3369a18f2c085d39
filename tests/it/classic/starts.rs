//! A data root that has no classic store yet: Docker 29 chooses by itself at its start, and must never choose
//! a store that is not whole.

use std::sync::Arc;

use tranship::error::Result;
use tranship::model::StoreKind;
use tranship::model::next_start::Store;
use tranship::op::host::{Known, Opened, survey};
use tranship::op::transfer::Containers;
use tranship::store::temporary;
use tranship::tree::{Memory, Sink, path};

use super::seen::{STAGE, look, names};
use crate::moves::{self, migrate, moved, root, source};
use crate::support::carried::host;
use crate::support::crashes::{Crashes, Held};
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::tree_of;

/// Returns a data root whose daemon has only ever had a containerd store.
fn base() -> Memory {
    let tree = moved(&root(), StoreKind::Classic).0;
    for gone in ["image", "overlay2", "tranship"].map(path) {
        tree.remove(gone).expect("below the root");
    }
    tree
}

/// Returns what Docker 29 shows if nothing tells it what to.
fn next_start(tree: &Arc<Memory>) -> std::result::Result<Store, String> {
    let opened = Opened { tree: Arc::<Memory>::clone(tree), only: None };
    let known = Known { platform: host(), ..Known::default() };
    let host = survey(&opened, &known).map_err(|error| error.to_string())?;
    let [root] = host.roots.as_slice() else { return Err(format!("{host:?}")) };
    Ok(root.choices.as_ref().ok_or("no data root")?.docker_29.store.clone())
}

fn run(sink: &Arc<dyn Sink>) -> Result<()> {
    let from = source(&tree_of(sink), StoreKind::Containerd)?;
    migrate(&*from, sink, &Containers::OfImages).map(drop)
}

/// Returns what is left of a run, but for its journal of containers.
fn left(tree: &Memory) -> Vec<String> {
    let mut left = names(tree, "image/overlay2/layerdb/tmp");
    left.extend(names(tree, "tranship").into_iter().filter(|name| name != "containers.json"));
    left
}

#[test]
fn the_next_start_shows_the_old_store_or_the_whole_new_one() {
    let base = base();
    let new = Arc::new(base.clone());
    run(&(Arc::<Memory>::clone(&new) as Arc<dyn Sink>)).expect("nothing fails");
    let images = look(&new).expect("a sound store");
    assert_eq!(images.len(), 2);
    let classic = Store::Classic { driver: "overlay2".to_owned() };
    let whole = |tree: &Arc<Memory>| -> Held {
        moves::look(tree)?;
        match next_start(tree)? {
            Store::Containerd { .. } => Ok(()),
            store if store == classic && look(tree)? == images => Ok(()),
            store => Err(format!("it starts with {store}, which has {:?}", look(tree))),
        }
    };
    let done = |tree: &Arc<Memory>| -> Held {
        whole(tree)?;
        match (next_start(tree)?, left(tree)) {
            (store, left) if store == classic && left.is_empty() => Ok(()),
            (store, left) => Err(format!("it starts with {store}, and {left:?} is left")),
        }
    };
    Crashes { base, run: &run, whole: &whole, done: &done }.everywhere();
}

/// Returns what a kill leaves before the operation `before`, and all of an undisturbed run.
fn killed(before: &str) -> (Arc<Memory>, Arc<Memory>) {
    let dying = |fault: Fault| {
        let dying = Arc::new(FaultSink::new(base(), fault));
        let ended = run(&(Arc::<FaultSink>::clone(&dying) as Arc<dyn Sink>));
        assert_eq!(ended.is_ok(), fault == Fault::Never, "{ended:?}");
        dying
    };
    let whole = dying(Fault::Never);
    let at = whole.log().iter().position(|done| done == before).expect("it is done");
    let dead = dying(Fault::Dies(at + 1));
    (Arc::new(dead.after(Cut::Kill)), Arc::new(whole.after(Cut::Kill)))
}

/// Whoever tells Docker to use the classic store has it begin with one in the midst of a run that died.
#[test]
fn a_daemon_that_comes_between_loses_nothing() {
    let (tree, whole) = killed("rename overlay2");
    assert_eq!(names(&*tree, "tranship"), ["classic"]);
    for (folder, mode) in [("overlay2", 0o710), ("overlay2/l", 0o700)] {
        tree.make_dir(path(folder), mode).expect("a free name");
    }
    run(&(Arc::<Memory>::clone(&tree) as Arc<dyn Sink>)).expect("nothing fails");
    assert_eq!(look(&tree), look(&whole));
    assert_eq!(moves::look(&tree), moves::look(&whole));
    assert_eq!(left(&tree), [""; 0]);
}

/// What nobody goes on with takes room, and may go. The half of a store may not.
#[test]
fn what_is_made_beside_is_given_back() {
    let staged = |before: &str| -> bool {
        let found = temporary::waste(&*killed(before).0).expect("memory can be read");
        found.iter().flat_map(|waste| &waste.paths).any(|left| left.to_string() == STAGE)
    };
    assert!(staged("rename image/overlay2"));
    assert!(!staged("rename overlay2"));
}
