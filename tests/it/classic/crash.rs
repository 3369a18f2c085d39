//! Writing may die at any operation: the store is the old one or the new one, and the next run goes on
//! from there.

use std::sync::Arc;

use tranship::digest::{ChainId, Digest};
use tranship::error::{Error, Result};
use tranship::op::transfer::OnConflict;
use tranship::store::Source as _;
use tranship::store::overlay2::Overlay2;
use tranship::tree::{Memory, Sink, Tree as _, TreePath, path};

use super::seen::{LAYERS, Seen, leftovers, look, names};
use super::{Root, sink};
use crate::support::classic::Classic;
use crate::support::crashes::Crashes;
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::scene::{BEFORE, STORE};
use crate::support::seen::listing;
use crate::support::source::Counting;
use crate::support::{Migration, open};

/// A move that is known to succeed, to be disturbed.
struct Scene {
    source: Arc<Memory>,
    store: Overlay2,
    migration: Migration,
    base: Memory,
    /// All that may be seen: first the old, last the new.
    states: Vec<Seen>,
}

impl Scene {
    fn new(base: Memory, migration: Migration) -> Self {
        let source = Arc::new(Classic::of(STORE).tree());
        let old = look(&Arc::new(base.clone())).expect("a sound root");
        let mut scene = Self { store: open(&source), source, migration, base, states: vec![old] };
        let tree = Arc::new(scene.base.clone());
        scene.run(&sink(&tree)).expect("nothing fails");
        scene.states.push(look(&tree).expect("a sound result"));
        scene
    }

    /// Moves all, and reads no layer that layerdb has.
    fn run(&self, sink: &Arc<dyn Sink>) -> Result<()> {
        let chain = |hex: &String| ChainId(Digest::from_hex(hex).expect("a chain"));
        let done: Vec<ChainId> = names(sink.tree(), LAYERS).iter().map(chain).collect();
        let source = Counting::new(&self.store);
        self.migration.to_classic(&source, sink)?;
        match done.iter().find(|chain_id| source.opened(**chain_id) > 0) {
            Some(chain_id) => Err(Error::refused(format!("layer {chain_id} is read again"))),
            None => Ok(()),
        }
    }

    fn everywhere(&self) {
        let before = listing(&*self.source, TreePath::ROOT);
        let run = |sink: &Arc<dyn Sink>| self.run(sink);
        let whole = |tree: &Arc<Memory>| match look(tree)? {
            seen if self.states.contains(&seen) => Ok(()),
            seen => Err(format!("neither old nor new: {seen:?}")),
        };
        let done = |tree: &Arc<Memory>| match (look(tree)?, leftovers(&**tree).as_slice()) {
            (seen, []) if Some(&seen) == self.states.last() => Ok(()),
            (seen, left) => Err(format!("{left:?} is left of {seen:?}")),
        };
        Crashes { base: self.base.clone(), run: &run, whole: &whole, done: &done }.everywhere();
        assert_eq!(listing(&*self.source, TreePath::ROOT), before, "the source is as it was");
    }
}

/// A root with images of another store.
fn before() -> Memory {
    (*Root::of(BEFORE).tree).clone()
}

#[test]
fn in_an_empty_root() {
    Scene::new(Memory::new(), Migration::default()).everywhere();
}

#[test]
fn in_a_root_with_images() {
    Scene::new(before(), Migration::default()).everywhere();
}

/// Two files cannot be replaced at once: where a name moves, there is a moment in which the new image is
/// there and its name is still the old one's. Nothing is lost in it.
#[test]
fn names_move_after_their_images_have_come() {
    const TAKEN: &str = "
diff other
  file other other
image other = other
  name app:1
";
    let base = (*Root::of(TAKEN).tree).clone();
    let migration = Migration::default().on_conflict(OnConflict::Replace);
    let mut scene = Scene::new(base, migration);
    let classic = Classic::of(STORE);
    let [other, app] = [Classic::of(TAKEN).config("other"), classic.config("app")];
    let mut between = scene.states[1].clone();
    assert!(between[&app.to_string()].names.contains("app:1"), "it moves at last");
    between.get_mut(&app.to_string()).expect("it has come").names.remove("app:1");
    let names = &mut between.get_mut(&other.to_string()).expect("it stays").names;
    assert!(names.is_empty(), "the other has lost its name at last");
    names.insert("app:1".to_owned());
    scene.states.insert(1, between);
    scene.everywhere();
}

/// What a crash left of layers that do not come again is removed when there is nothing else to do.
#[test]
fn what_is_left_of_other_layers_goes_too() {
    let scene = Scene::new(Memory::new(), Migration::default());
    let dying = |fault: Fault| {
        let dying = Arc::new(FaultSink::new(scene.base.clone(), fault));
        let ended = scene.run(&(Arc::clone(&dying) as Arc<dyn Sink>));
        assert!(fault != Fault::Never || ended.is_ok(), "{ended:?}");
        dying
    };
    for n in 1..=dying(Fault::Never).log().len() {
        let dead = dying(Fault::Dies(n));
        let tree = Arc::new(dead.after(Cut::Some(n as u64)));
        let chains = names(&*tree, LAYERS);
        let other = open(&Arc::new(Classic::of("diff x\n  file x x\nimage x = x\n").tree()));
        Migration::default().to_classic(&other, &sink(&tree)).expect("nothing fails");
        assert_eq!(leftovers(&*tree), [""; 0], "operation {n}");
        for hex in chains {
            tree.stat(path(&format!("{LAYERS}/{hex}"))).expect("it was done");
        }
    }
    assert!(scene.store.inventory().layers.len() > 2);
}
