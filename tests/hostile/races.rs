//! Roots that change while they are read.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::place::{Base, Place, SECRET, fifo, link, remove};
use crate::verbs::{Watch, contains, ended_well, run};

const WHY: &str = "the test's own folder";

const VERBS: [&str; 6] = [
    "images ROOT -a --json",
    "ps ROOT --json",
    "ls ROOT changed:/ -R -l",
    "cp --root ROOT changed:/ -",
    "export ROOT -o - -q",
    "migrate ROOT --to TO --into NEW -q",
];

/// Reads the root again and again while `change` goes on with it; returns what is wrong.
fn while_it_changes(base: Base, change: impl Fn(&Place, usize) + Sync) -> Vec<String> {
    let place = Place::of(base);
    let watch = Watch::on(&place.outside());
    let done = AtomicBool::new(false);
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..).take_while(|_| !done.load(Ordering::Relaxed)).for_each(|n| change(&place, n));
        });
        for verb in VERBS.iter().cycle().take(3 * VERBS.len()) {
            let output = run(&place, verb);
            let mut found = ended_well(&output);
            if contains(&output.stdout, SECRET.as_bytes()) {
                found.push("the secret".to_owned());
            }
            wrong.extend(found.into_iter().map(|what| format!("{verb}: {what}")));
        }
        done.store(true, Ordering::Relaxed);
    });
    wrong.extend(watch.touched().map(|what| format!("{what} outside")));
    wrong
}

/// Puts another thing where one was, in one step.
fn swap(path: &Path, make: impl FnOnce(&Path)) {
    let new = path.with_file_name("new");
    make(&new);
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    if rustix::fs::renameat_with(rustix::fs::CWD, &new, rustix::fs::CWD, path, flags).is_err() {
        remove(path);
        fs::rename(&new, path).expect(WHY);
        return;
    }
    remove(&new);
}

/// Makes of a name a link outside, a pipe, a file and a folder with files, in turns.
fn turn(path: &Path, outside: &Path, number: usize) {
    match number % 4 {
        0 => swap(path, |new| link(new, outside)),
        1 => swap(path, fifo),
        2 => swap(path, |new| fs::write(new, "text").expect(WHY)),
        _ => swap(path, |new| {
            fs::create_dir_all(new.join("etc")).expect(WHY);
            fs::write(new.join("etc/shadow"), "text").expect(WHY);
        }),
    }
}

#[test]
#[ignore = "long: minutes"]
fn long_folders_and_files_that_become_something_else() {
    let wrong = while_it_changes(Base::Classic, |place, number| {
        let layers = place.unpacked();
        let layer = &layers[(number / 4) % layers.len()];
        turn(&layer.join("diff"), &place.outside().join("diff"), number);
        turn(&layer.join("lower"), &place.outside().join("shadow"), number + 1);
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
#[ignore = "long: minutes"]
fn long_blobs_that_grow_and_shrink() {
    let wrong = while_it_changes(Base::Containerd, |place, number| {
        let blobs = place.all_in("containerd/daemon/io.containerd.content.v1.content/blobs/sha256");
        let blob = &blobs[number % blobs.len()];
        let bytes = fs::read(blob).expect(WHY);
        let mut file = fs::OpenOptions::new().write(true).truncate(true).open(blob).expect(WHY);
        file.write_all(&bytes[..bytes.len() / 2]).expect(WHY);
        file.write_all(&bytes).expect(WHY);
        drop(file);
        fs::write(blob, bytes).expect(WHY);
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
#[ignore = "long: minutes"]
fn long_layers_that_grow_and_shrink() {
    let wrong = while_it_changes(Base::Classic, |place, number| {
        for layer in place.unpacked() {
            let file = layer.join("diff/grows");
            if layer.join("diff").is_dir() {
                let _ = fs::write(file, vec![b'x'; (number % 5) * 70_000]);
            }
        }
        for record in place.layers().iter().map(|layer| layer.join("tar-split.json.gz")) {
            let bytes = fs::read(&record).expect(WHY);
            fs::write(&record, &bytes[..bytes.len() / 2]).expect(WHY);
            fs::write(&record, bytes).expect(WHY);
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}
