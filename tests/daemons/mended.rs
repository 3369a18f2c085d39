//! Roots with all the damage of the catalogue that can be mended, before a real daemon when it was.

use std::path::PathBuf;

use crate::catalogue::{Case, Lost, Same, root, rounds, scenery::write_to};
use crate::path;
use crate::support::host::{Daemon, Lab, Store, Suite, check_bolt_files, text, tranship};

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn a_daemon_takes_a_mended_classic_store_as_if_nothing_had_been() {
    judge("classic-28", Store::Classic, "weird:1", &["weird:1", "tiny/base:1"]);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn a_daemon_takes_a_mended_containerd_store_as_if_nothing_had_been() {
    judge("containerd-28", Store::Containerd, "127.0.0.1:5000/lib/index:1", &["tiny/base:1"]);
}

/// Mends each round of damage to a recorded root. `image` is what much of the damage was of; not all images
/// have a shell.
fn judge(name: &'static str, store: Store, image: &str, with_shell: &[&str]) {
    let lab = Lab::new();
    let daemon = Daemon::start(Suite::Forky, store, &lab.unpack(name));
    let wanted = Listed::of(&daemon);
    daemon.stop();
    for (number, round) in rounds(name).iter().enumerate() {
        let names: Vec<_> = round.iter().map(|case| case.name).collect();
        let root = mended(&lab, name, number, round);
        if store == Store::Containerd {
            check_bolt_files(&root, &format!("of {names:?}"));
        }
        let daemon = Daemon::start(Suite::Forky, store, &root);
        let found = Listed::of(&daemon);
        assert_eq!(found.images, wanted.images, "{names:?}");
        assert_eq!(found.containers, wanted.containers, "{names:?}");
        if round.iter().all(|case| case.after == Same) {
            assert_eq!(found.names, wanted.names, "{names:?}");
        }
        let id_of = |image: &str| {
            let id = wanted.names.iter().find_map(|line| line.strip_suffix(&format!(" {image}")));
            id.expect("a recorded image")
        };
        let id = id_of(image);
        for one in with_shell {
            assert_eq!(daemon.shell(id_of(one), "echo it runs").trim(), "it runs", "{names:?}");
        }
        let saved = root.join("saved.tar");
        daemon.docker(["save", "-o", path(&saved), id]);
        daemon.docker(["start", "changed"]);
        daemon.docker(["rmi", "-f", id]);
        daemon.docker(["load", "-i", path(&saved)]);
        daemon.stop();
    }
}

/// Harms a root in all ways of a round, and has it repaired.
fn mended(lab: &Lab, name: &'static str, number: usize, round: &[&Case]) -> PathBuf {
    let (memory, folder) = (root(name), lab.path(&format!("round-{number}")));
    round.iter().for_each(|case| (case.damage)(&memory));
    write_to(&memory, &folder);
    let done = tranship(["repair", "--content", path(&folder)]);
    let (said, wrong) = (text(&done.stdout), text(&done.stderr));
    let is_all = round.iter().all(|case| !matches!(case.after, Lost(_)));
    assert_eq!(done.status.code(), Some(if is_all { 0 } else { 1 }), "{said}{wrong}");
    assert!(said.contains("set right"), "{said}");
    folder
}

struct Listed {
    images: Vec<String>,
    names: Vec<String>,
    containers: Vec<String>,
}

impl Listed {
    fn of(daemon: &Daemon) -> Self {
        let lines = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines.dedup();
            lines
        };
        let images = ["images", "-a", "--no-trunc", "--format"];
        let images = |format| lines(daemon.docker(images.into_iter().chain([format])));
        let containers = ["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}"];
        Self {
            images: images("{{.ID}}"),
            names: images("{{.ID}} {{.Repository}}:{{.Tag}}"),
            containers: lines(daemon.docker(containers)),
        }
    }
}
