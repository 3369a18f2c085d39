//! Runs that die one after the other, each with its own choices, and daemons that die as well.

use std::sync::Arc;

use rayon::prelude::*;
use tranship::digest::ChainId;
use tranship::format::containerd::{key, value};
use tranship::store::Compression;
use tranship::tree::{Memory, Sink, Tree, path, write};

use crate::support::classic::Classic;
use crate::support::daemon::edit;
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::moved::moved;
use crate::support::random::Random;
use crate::support::scene::{Scene, before, difference};
use crate::support::seen::{BACKEND, FOLDERS, Seen, leftovers, look};
use crate::support::{Migration, nothing_is, open};

/// What a run may be asked to do.
fn choices() -> [Migration; 4] {
    [
        Migration::default(),
        Migration::default().compression(Compression::Gzip(1)),
        Migration::of(&["base:1"]),
        Migration::of(&["app"]).compression(Compression::Gzip(1)),
    ]
}

/// Five runs that die or not, each asked for something else; then one that is asked for all. Whatever
/// they left is sound after each, and all is there in the end.
#[test]
fn any_runs_may_die_one_after_the_other() {
    for base in [Memory::new(), before()] {
        let scene = Scene::new(base);
        let wrong: Vec<String> =
            (1..=120).into_par_iter().filter_map(|seed| many(&scene, seed).err()).collect();
        nothing_is(&wrong);
    }
}

fn many(scene: &Scene, seed: u64) -> Result<(), String> {
    let mut random = Random(seed * 7919);
    let mut told = format!("seed {seed}");
    let mut tree = scene.base.clone();
    for _ in 0..5 {
        let which = random.below(4) as usize;
        let n = 1 + random.below(scene.operations as u64 + 20) as usize;
        let cut = match random.below(4) {
            0 => Cut::Kill,
            1 => Cut::NamesOnly,
            _ => Cut::Some(random.below(1000)),
        };
        let dying = Arc::new(FaultSink::new(tree, Fault::Dies(n)));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
        let _ = choices()[which].run(&scene.store, &sink);
        let log = dying.log();
        let at = log.get(n - 1).map_or("the end", String::as_str);
        told.push_str(&format!("; choice {which} to {n} ({at}), {cut:?}"));
        tree = dying.after(cut);
        look(&tree).map_err(|what| format!("{told}: {what}"))?;
    }
    let tree = Arc::new(tree);
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&tree);
    let last = Migration::default().run(&scene.store, &sink);
    last.map_err(|error| format!("{told}: {error}"))?;
    let seen = look(&*tree).map_err(|what| format!("{told}: {what}"))?;
    // What an image without a name is kept by depends on how its layers are compressed.
    let names = |seen: &Seen| -> Vec<String> {
        let name = |name: &String| name.split('@').next().unwrap_or_default().to_owned();
        seen.records.keys().map(name).collect()
    };
    if seen.snapshots != scene.new.snapshots || names(&seen) != names(&scene.new) {
        return Err(format!("{told}: {}", difference(&seen, &scene.new)));
    }
    // A blob that was moved to its place for an image nobody asks for any more is the collector's.
    let left = leftovers(&*tree).into_iter().filter(|left| !left.starts_with("blob"));
    match left.collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        left => Err(format!("{told}: left behind: {left:?}")),
    }
}

/// Layers that are all worth a checkpoint, by many threads at once.
#[test]
fn a_run_of_many_threads_may_die_too() {
    let mut text = String::new();
    for n in 0..12 {
        text += &format!("diff d{n}\n  file f{n} text*99\n  size 2000000000\n");
        text += &format!("image i{n} = d{n}\n  name i:{n}\n");
    }
    let store = open(&Arc::new(Classic::of(&text).tree()));
    let threads = Migration { jobs: 6, ..Migration::default() };
    let whole = moved(&text, &threads).seen;
    for n in (1..700).step_by(23) {
        let dying = Arc::new(FaultSink::new(Memory::new(), Fault::Dies(n)));
        let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
        let _ = threads.run(&store, &sink);
        for cut in [Cut::Kill, Cut::Synced, Cut::NamesOnly, Cut::Some(n as u64)] {
            let tree = Arc::new(dying.after(cut));
            let seen = look(&*tree).unwrap_or_else(|what| panic!("to {n}, {cut:?}: {what}"));
            assert!(seen == whole || seen == Seen::default(), "to {n}, {cut:?}");
            let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&tree);
            threads.run(&store, &sink).expect("nothing fails");
            assert_eq!(look(&*tree).as_ref(), Ok(&whole), "to {n}, {cut:?}");
            assert_eq!(leftovers(&*tree), [""; 0], "to {n}, {cut:?}");
        }
    }
}

/// A run that takes a half-done commit back may die at any point of that.
#[test]
fn what_is_taken_back_may_be_half_taken_back() {
    let scene = Scene::new(before());
    let (whole, _) = scene.disturbed(scene.base.clone(), Fault::Never);
    let is_move = |op: &String| op.starts_with("rename io.containerd.s");
    let log = whole.log();
    let moves: Vec<usize> =
        log.iter().enumerate().filter(|(_, op)| is_move(op)).map(|(i, _)| i + 1).collect();
    assert!(moves.len() >= 3, "metadata.db and at least two snapshots");
    let pairs = moves.iter().flat_map(|n| (1..=70).map(move |m| (*n + 1, m)));
    let wrong: Vec<String> = pairs
        .collect::<Vec<_>>()
        .into_par_iter()
        .flat_map_iter(|(n, m)| {
            let (first, _) = scene.disturbed(scene.base.clone(), Fault::Dies(n));
            let (second, _) = scene.disturbed(first.after(Cut::Kill), Fault::Dies(m));
            let cuts = [Cut::NamesOnly, Cut::Reversed, Cut::Some(m as u64)];
            let wrong = cuts.into_iter().filter_map(|cut| {
                let what = scene.is_whole(&second.after(cut)).err()?;
                Some(format!("to {n}, to {m}, {cut:?}: {what}"))
            });
            wrong.collect::<Vec<_>>()
        })
        .collect();
    nothing_is(&wrong);
}

/// A run with other choices throws blobs away. A third makes them again, and the power fails before
/// they are durable: the journal of the first must not vouch for them.
#[test]
fn what_was_thrown_away_is_not_done_any_more() {
    let scene = Scene::new(Memory::new());
    let (whole, _) = scene.disturbed(scene.base.clone(), Fault::Never);
    let commit = whole.log().iter().position(|op| op == "create tranship/metadata.db");
    let (first, _) = scene.disturbed(scene.base.clone(), Fault::Dies(commit.expect("written") + 1));
    let [_, gzip, ..] = choices();
    let begun = |op: &String| op.starts_with("create tranship/blobs/.tranship-");
    let wrong: Vec<String> = (10..60usize)
        .into_par_iter()
        .filter_map(|n| {
            let run = |tree: Memory, migration: &Migration, n: usize| {
                let dying = Arc::new(FaultSink::new(tree, Fault::Dies(n)));
                let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
                migration.run(&scene.store, &sink).map(drop).expect_err("it dies");
                dying
            };
            let until = run(first.after(Cut::Kill), &gzip, 60).log().iter().position(begun);
            let until = until.expect("the layers are packed again") + 1;
            let second = run(first.after(Cut::Kill), &gzip, until);
            let third = run(second.after(Cut::Kill), &Migration::default(), n);
            (0..6).find_map(|seed| {
                let done = scene.completes(third.after(Cut::Some(seed)), &[]);
                done.err().map(|what| format!("third to {n}, seed {seed}: {what}"))
            })
        })
        .collect();
    nothing_is(&wrong);
}

/// The power failed before the commit took its numbers. Then a daemon took them, and died between its
/// own two files. What it has there is not ours, though number and chain agree.
#[test]
fn a_daemon_s_half_made_snapshot_is_not_taken_for_ours() {
    let scene = Scene::new(before());
    let (whole, _) = scene.disturbed(scene.base.clone(), Fault::Never);
    let renames =
        whole.log().iter().position(|op| op.ends_with("metadata.db") && op.starts_with("rename"));
    let n = renames.expect("it is moved to its place") + 1;
    let (dead, _) = scene.disturbed(scene.base.clone(), Fault::Dies(n));
    let tree = dead.after(Cut::Synced);
    let journal =
        tranship::tree::read(&tree, path("tranship/journal.json")).expect("it is durable");
    let journal: serde_json::Value = serde_json::from_slice(&journal).expect("JSON");
    let folders = journal["moves"]["folders"].as_object().expect("the commit was begun");
    let (chain, folder) = folders.iter().min_by_key(|(_, n)| n.as_u64()).expect("new snapshots");
    let (chain, folder) =
        (chain.parse::<ChainId>().expect("a chain"), folder.as_u64().expect("id"));
    half_made(&tree, chain, folder);

    let tree = Arc::new(tree);
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&tree);
    Migration::default().run(&scene.store, &sink).expect("nothing fails");
    assert_eq!(look(&*tree), Ok(scene.new.clone()), "all is made anew");
    let file = format!("{FOLDERS}/{folder}/fs/half");
    tree.stat(path(&file)).expect("what the daemon made is the daemon's");
}

fn half_made(tree: &Memory, chain: ChainId, folder: u64) {
    for dir in ["", "/fs", "/work"] {
        tree.make_dir(path(&format!("{FOLDERS}/{folder}{dir}")), 0o755).expect("a free name");
    }
    write(tree, path(&format!("{FOLDERS}/{folder}/fs/half")), 0o644, b"ha").expect("a free name");
    edit(tree, BACKEND, |backend| {
        let all = backend.path_mut(&[b"v1", b"snapshots"]);
        all.sequence = folder;
        let name = key::BackendKey { namespace: "moby".into(), number: 99, key: chain.to_string() };
        let entry = all.bucket_mut(name.to_string().into_bytes());
        entry.put(b"id", value::encode_uvarint(folder));
        entry.put(b"kind", vec![3]);
        let now = value::encode_time(tranship::tree::Time { seconds: 1_760_000_500, nanos: 0 });
        entry.put(b"createdat", now.to_vec());
        entry.put(b"updatedat", now.to_vec());
        entry.put(b"inodes", value::encode_varint(2));
        entry.put(b"size", value::encode_varint(0));
    });
}
