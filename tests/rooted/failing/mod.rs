//! Disks that fail and processes that are killed, at chosen calls of the real process: it works on a
//! recorded root on a disk of [`disk`](crate::disk).
//!
//! Whatever fails: the error says where, no store is half of anything, what was only to be read is the same
//! byte for byte, and the same command goes on when the disk works again.
//!
//! A sample is run with all tests that need root; `cargo test --test rooted -- --ignored long_` has more
//! than 400 failures and more than 200 kills.

mod beneath;
mod scene;
mod verbs;

use rustix::io::Errno;

use crate::disk::{Call, Cue, Failure};
use crate::random::Random;
use scene::Scene;
use verbs::VERBS;

/// Calls that fail, and how.
type Fault = (&'static str, fn(Call) -> bool, Failure);

const KILL: Fault = ("killed at a change", Call::changes, Failure::Kill);

const FAULTS: [Fault; 17] = [
    ("a file is not found", |call| call == Call::Stat, Failure::Once(Errno::IO)),
    ("a folder is not listed", |call| call == Call::List, Failure::Once(Errno::IO)),
    ("a read fails", |call| call == Call::Read, Failure::Once(Errno::IO)),
    ("nothing is read any more", |call| call == Call::Read, Failure::FromThenOn(Errno::IO)),
    ("a write fails", |call| call == Call::Write, Failure::Once(Errno::IO)),
    ("a write finds no room", |call| call == Call::Write, Failure::Once(Errno::NOSPC)),
    ("a file is not made", |call| call == Call::Create, Failure::Once(Errno::IO)),
    ("a folder is not made", |call| call == Call::Mkdir, Failure::Once(Errno::NOSPC)),
    ("a symbolic link is not made", |call| call == Call::Symlink, Failure::Once(Errno::IO)),
    ("a device is not made", |call| call == Call::Mknod, Failure::Once(Errno::IO)),
    ("a link is not made", |call| call == Call::Link, Failure::Once(Errno::IO)),
    ("a rename fails", |call| call == Call::Rename, Failure::Once(Errno::IO)),
    ("a removal fails", |call| call == Call::Remove, Failure::Once(Errno::IO)),
    ("attributes are not set", |call| call == Call::Attributes, Failure::Once(Errno::IO)),
    ("a sync fails", |call| call == Call::Sync, Failure::Once(Errno::IO)),
    ("the disk is full", Call::changes, Failure::FromThenOn(Errno::NOSPC)),
    ("the disk is read-only", Call::changes, Failure::FromThenOn(Errno::ROFS)),
];

/// Has every verb meet faults, each at so many moments, spread at random; returns how many runs were disturbed.
fn all_hold(faults: impl Fn(&mut Random) -> Vec<Fault>, moments: u64, seed: u64) -> usize {
    let (mut wrong, mut runs, mut random) = (Vec::new(), 0, Random(seed));
    for verb in &VERBS {
        let scene = Scene::of(verb);
        for (name, when, then) in faults(&mut random) {
            let all = scene.calls.iter().filter(|call| when(**call)).count() as u64;
            let moments = moments.min(all);
            for moment in 0..moments {
                let (first, end) = (moment * all / moments, (moment + 1) * all / moments);
                let nth = (first + 1 + random.below(end - first)) as usize;
                let Some(found) = scene.meets(Cue { when, nth, then }) else { continue };
                let told = |what| format!("{}: {name}, {nth} of {all}: {what}", verb.words);
                wrong.extend(found.into_iter().map(told));
                runs += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} times in {runs} runs:\n{}", wrong.len(), wrong.join("\n"));
    runs
}

#[test]
#[ignore = "needs root and FUSE"]
fn a_disk_that_fails_and_a_process_that_is_killed_cost_nothing() {
    let some = |random: &mut Random| {
        let fault = FAULTS[random.below(FAULTS.len() as u64) as usize];
        vec![fault, KILL]
    };
    assert!(all_hold(some, 1, 7) >= 20);
}

#[test]
#[ignore = "long: needs root and FUSE"]
fn long_a_disk_may_fail_anywhere() {
    assert!(all_hold(|_| FAULTS.to_vec(), 3, 1) >= 400);
}

#[test]
#[ignore = "long: needs root and FUSE"]
fn long_a_process_may_be_killed_anywhere() {
    assert!(all_hold(|_| vec![KILL], 20, 2) >= 200);
}
