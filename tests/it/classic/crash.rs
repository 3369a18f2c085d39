//! Writing may die at any operation: the store is the old one or the new one, and the next run goes on
//! from there.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use tranship::digest::{ChainId, Digest};
use tranship::op::transfer::OnConflict;
use tranship::store::Source as _;
use tranship::store::overlay2::Overlay2;
use tranship::tree::{Memory, Sink, Tree as _, TreePath, path};

use super::seen::{LAYERS, Seen, leftovers, look, names};
use super::{Root, sink};
use crate::support::classic::Classic;
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::random::Random;
use crate::support::scene::{BEFORE, STORE};
use crate::support::seen::listing;
use crate::support::source::Counting;
use crate::support::{Migration, nothing_is, open};

const CUTS: [Cut; 7] = [
    Cut::Kill,
    Cut::Synced,
    Cut::NamesOnly,
    Cut::Reversed,
    Cut::Some(1),
    Cut::Some(2),
    Cut::Some(3),
];

/// A move that is known to succeed, to be disturbed.
struct Scene {
    store: Overlay2,
    migration: Migration,
    base: Memory,
    /// All that may be seen: first the old, last the new.
    states: Vec<Seen>,
    operations: usize,
    /// What was looked at: many crashes leave the same.
    tried: Mutex<HashSet<Digest>>,
}

impl Scene {
    fn new(base: Memory, migration: Migration) -> Self {
        let store = open(&Arc::new(Classic::of(STORE).tree()));
        let old = look(&Arc::new(base.clone())).expect("a sound root");
        let (states, tried) = (vec![old], Mutex::default());
        let mut scene = Self { store, migration, base, states, operations: 0, tried };
        let (whole, ended) = scene.disturbed(&scene.base, Fault::Never);
        ended.expect("nothing fails");
        let tree = Arc::new(whole.after(Cut::Kill));
        scene.states.push(look(&tree).expect("a sound result"));
        assert_eq!(leftovers(&*tree), [""; 0], "an undisturbed run cleans up");
        scene.operations = whole.log().len();
        scene
    }

    fn disturbed(&self, tree: &Memory, fault: Fault) -> (Arc<FaultSink>, Result<(), String>) {
        let dying = Arc::new(FaultSink::new(tree.clone(), fault));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
        let outcome = self.migration.to_classic(&self.store, &sink);
        (dying, outcome.map(drop).map_err(|error| error.to_string()))
    }

    fn is_whole(&self, tree: &Arc<Memory>) -> Result<(), String> {
        let seen = look(tree)?;
        let known = self.states.contains(&seen);
        if known { Ok(()) } else { Err(format!("neither old nor new: {seen:?}")) }
    }

    /// Looks at what a crash left, and what the next run makes of it.
    fn holds(&self, tree: &Arc<Memory>) -> Result<(), String> {
        let left = Digest::of(listing(&**tree, TreePath::ROOT).join("\n").as_bytes());
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if !tried.insert(left) {
            return Ok(());
        }
        drop(tried);
        self.is_whole(tree).and_then(|()| self.completes(tree))
    }

    /// The next run makes all that an undisturbed one does, reads no layer again that layerdb has, and
    /// leaves nothing behind.
    fn completes(&self, tree: &Arc<Memory>) -> Result<(), String> {
        let chain = |hex: &String| ChainId(Digest::from_hex(hex).expect("a chain"));
        let done: Vec<ChainId> = names(&**tree, LAYERS).iter().map(chain).collect();
        let source = Counting::new(&self.store);
        let outcome = self.migration.to_classic(&source, &sink(tree));
        outcome.map_err(|error| format!("the next run: {error}"))?;
        let seen = look(tree).map_err(|what| format!("after the next run: {what}"))?;
        if Some(&seen) != self.states.last() {
            return Err(format!("the next run made {seen:?}"));
        }
        if let left @ [_, ..] = leftovers(&**tree).as_slice() {
            return Err(format!("left behind: {left:?}"));
        }
        match done.iter().find(|chain_id| source.opened(**chain_id) > 0) {
            Some(chain_id) => Err(format!("layer {chain_id} was done, and is read again")),
            None => Ok(()),
        }
    }

    fn everywhere(&self) {
        self.each(|n| {
            let (dead, _) = self.disturbed(&self.base, Fault::Dies(n));
            let wrong = CUTS.iter().filter_map(|cut| {
                let tree = Arc::new(dead.after(*cut));
                let result = self.holds(&tree);
                told(&dead, *cut, result)
            });
            wrong.collect()
        });
    }

    /// The run that goes on after a crash may crash as well.
    fn twice(&self) {
        self.each(|n| {
            let mut random = Random(n as u64);
            let (first, _) = self.disturbed(&self.base, Fault::Dies(n));
            let wrong = [Cut::Kill, Cut::Some(n as u64)].into_iter().filter_map(|cut| {
                let m = 1 + random.below(self.operations as u64 + 30) as usize;
                let again = CUTS[random.below(CUTS.len() as u64) as usize];
                let (second, _) = self.disturbed(&first.after(cut), Fault::Dies(m));
                let tree = Arc::new(second.after(again));
                let result = self.holds(&tree);
                told(&second, again, result).map(|what| format!("{n}, {cut:?}, then {what}"))
            });
            wrong.collect()
        });
    }

    fn each(&self, work: impl Fn(usize) -> Vec<String> + Sync) {
        let all = (1..=self.operations).into_par_iter();
        nothing_is(&all.flat_map_iter(&work).collect::<Vec<_>>());
    }
}

fn told(dead: &FaultSink, cut: Cut, result: Result<(), String>) -> Option<String> {
    let log = dead.log();
    let fault = dead.died_at().min(log.len());
    let at = log.get(fault.wrapping_sub(1)).map(String::as_str).unwrap_or_default();
    result.err().map(|what| format!("operation {fault} ({at}), {cut:?}: {what}"))
}

/// A root with images of another store.
fn before() -> Memory {
    (*Root::of(BEFORE).tree).clone()
}

#[test]
fn once_in_an_empty_root() {
    Scene::new(Memory::new(), Migration::default()).everywhere();
}

#[test]
fn once_in_a_root_with_images() {
    Scene::new(before(), Migration::default()).everywhere();
}

#[test]
fn twice() {
    for base in [Memory::new(), before()] {
        Scene::new(base, Migration::default()).twice();
    }
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
    for n in 1..=scene.operations {
        let (dead, _) = scene.disturbed(&scene.base, Fault::Dies(n));
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
