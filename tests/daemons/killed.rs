//! Migrations that were killed, or ran out of room, and the daemons that are started on what they left.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::io::Errno;

use super::disk::{Call, Cue, Disk, Failure};
use super::random::Random;
use super::support::host::{Daemon, Lab, Store, Suite, check_bolt_files, text, tranship};

#[test]
#[ignore = "needs root, debootstrap, FUSE and real daemons"]
fn daemons_go_on_after_a_migration_that_was_killed() {
    Way::new("classic-28", [Store::Classic, Store::Containerd]).is_survived(3);
}

#[test]
#[ignore = "needs root, debootstrap, FUSE and real daemons"]
fn daemons_go_on_after_a_migration_back_that_was_killed() {
    Way::new("containerd-28", [Store::Containerd, Store::Classic]).is_survived(5);
}

/// What the daemons of both stores show, the one that is left first.
#[derive(Debug, PartialEq)]
struct Shown {
    images: [BTreeSet<String>; 2],
    containers: [BTreeSet<String>; 2],
}

/// From store to store.
struct Way {
    stores: [Store; 2],
    lab: Lab,
    old: Shown,
    new: Shown,
    /// How many changes a migration makes.
    changes: u64,
}

/// What befalls a migration, each in its part of the whole.
const ENDS: [Failure; 4] =
    [Failure::Kill, Failure::Once(Errno::IO), Failure::Kill, Failure::FromThenOn(Errno::NOSPC)];

impl Way {
    fn new(fixture: &str, stores: [Store; 2]) -> Self {
        let lab = Lab::new();
        let sound = lab.unpack(fixture);
        std::fs::rename(&sound, lab.path("sound")).expect("a free name");
        let root = lab.copy(&lab.path("sound"), "root");
        let disk = Disk::over(&root).expect("FUSE can be mounted");
        let done = migrate(&root, stores[1]);
        let (calls, _) = disk.end();
        assert_eq!(done, Some(0), "nothing is in its way");
        let new = Shown::by(&root, stores);
        std::fs::remove_dir_all(&root).expect("the lab can be written");
        let old = Shown::by(&lab.copy(&lab.path("sound"), "root"), stores);
        assert_ne!(old, new);
        let changes = calls.into_iter().filter(|call| call.changes()).count() as u64;
        Self { stores, lab, old, new, changes }
    }

    fn is_survived(&self, seed: u64) {
        let mut random = Random(seed);
        let part = self.changes / ENDS.len() as u64;
        for (moment, then) in (0..).zip(ENDS) {
            let nth = (moment * part + 1 + random.below(part)) as usize;
            self.meets(Cue { when: Call::changes, nth, then });
        }
    }

    fn meets(&self, cue: Cue) {
        let when = format!("{:?} at change {} of {}", cue.then, cue.nth, self.changes);
        // Containers know the path of their root.
        let root = self.lab.path("root");
        std::fs::remove_dir_all(&root).expect("the lab can be written");
        self.lab.copy(&self.lab.path("sound"), "root");
        let disk = Disk::over(&root).expect("FUSE can be mounted");
        disk.fail(cue);
        let ended = migrate(&root, self.stores[1]);
        let (_, has_failed) = disk.end();
        assert!(has_failed, "{when}: it ended before with {ended:?}");
        let shown = Shown::by(&root, self.stores);
        for (side, found) in shown.images.iter().enumerate() {
            let (old, new) = (&self.old.images[side], &self.new.images[side]);
            // An image of which something cannot be carried stays behind alone, and is told.
            let in_part = ended == Some(1) && old.is_subset(found) && found.is_subset(new);
            let is_whole = in_part || found == old || found == new;
            assert!(is_whole, "{when}: neither {old:#?} nor {new:#?}: {found:#?}");
        }
        let [left, come] = &shown.containers;
        let all: BTreeSet<_> = self.old.containers.iter().flatten().cloned().collect();
        assert_eq!(left | come, all, "{when}: a container is gone");
        assert!(left.is_disjoint(come), "{when}: a container is in both: {shown:#?}");
        let next = migrate(&root, self.stores[1]);
        assert_eq!(next, Some(0), "{when}: the next run");
        if self.stores[1] == Store::Containerd {
            check_bolt_files(&root, &when);
        }
        assert_eq!(Shown::by(&root, self.stores), self.new, "{when}: after the next run");
    }
}

impl Shown {
    fn by(root: &Path, stores: [Store; 2]) -> Self {
        let [(a, b), (c, d)] = stores.map(|store| {
            let daemon = Daemon::start(Suite::Forky, store, root);
            let lines = |text: String| text.lines().map(str::to_owned).collect();
            let images = "{{.ID}} {{.Repository}}:{{.Tag}}@{{.Digest}}";
            let images = ["images", "-a", "--no-trunc", "--digests", "--format", images];
            let containers =
                ["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Image}}"];
            let shown = (lines(daemon.docker(images)), lines(daemon.docker(containers)));
            daemon.stop();
            shown
        });
        Self { images: [a, c], containers: [b, d] }
    }
}

fn migrate(root: &Path, to: Store) -> Option<i32> {
    let to = if to == Store::Classic { "classic" } else { "containerd" };
    let done = tranship(["migrate", super::path(root), "--to", to, "-q", "--jobs", "1"]);
    let said = text(&done.stderr);
    assert!(!said.contains("panicked"), "{said}");
    done.status.code()
}
