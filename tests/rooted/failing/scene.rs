//! A recorded root on which a verb is about to run, and what must be so however it ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tranship::digest::Digest;

use super::verbs::Verb;
use crate::disk::{Call, Cue, Disk, Failure};
use crate::{WHY, err};

/// Where roots are copied to: what is synced there waits for no disk.
pub(super) const MEMORY: &str = "/dev/shm";

/// What both stores show, what is wrong with them, the containers, the volumes and the daemon's configuration.
type Seen = BTreeSet<String>;

const SEEN: [&str; 4] = [
    "images AT/docker -a --daemon-config AT/daemon.json --json",
    "ps AT/docker --no-size --daemon-config AT/daemon.json --json",
    "volumes AT/docker --daemon-config AT/daemon.json --json",
    "verify AT/docker --quick --daemon-config AT/daemon.json --json",
];

pub(super) struct Scene {
    pub(super) verb: &'static Verb,
    pub(super) folder: TempDir,
    old: Seen,
    new: Seen,
    sources: Digest,
    /// What the verb asks of the disk.
    pub(super) calls: Vec<Call>,
}

impl Scene {
    pub(super) fn of(verb: &'static Verb) -> Self {
        let folder = TempDir::new_in(MEMORY).expect(WHY);
        verb.base.unpack(&folder.path().join("docker"));
        fs::write(folder.path().join("daemon.json"), verb.base.config()).expect(WHY);
        (verb.damage)(&folder.path().join("docker"));
        for words in verb.before {
            let done = run(folder.path(), words);
            assert!(matches!(done.status.code(), Some(0 | 1)), "{words}: {}", err(&done));
        }
        let (old, sources) = (verb.seen(folder.path()), verb.sources(folder.path()));
        let mut scene = Self { verb, folder, old, new: Seen::new(), sources, calls: Vec::new() };
        let copy = scene.copy();
        let disk = Disk::over(copy.path()).expect("FUSE can be mounted");
        let done = run(copy.path(), verb.words);
        (scene.calls, _) = disk.end();
        assert!(matches!(done.status.code(), Some(0 | 1)), "{}: {}", verb.words, err(&done));
        scene.new = verb.seen(copy.path());
        assert_ne!(scene.old, scene.new, "{}: it does something", verb.words);
        scene
    }

    fn copy(&self) -> TempDir {
        let to = TempDir::new_in(MEMORY).expect(WHY);
        copy(&self.folder.path().join("."), to.path());
        to
    }

    /// Runs the verb on a disk that fails; returns what is wrong with what came of it, and nothing if it
    /// ended before its cue.
    pub(super) fn meets(&self, cue: Cue) -> Option<Vec<String>> {
        let copy = self.copy();
        let disk = Disk::over(copy.path()).expect("FUSE can be mounted");
        disk.fail(cue);
        let ended = run(copy.path(), self.verb.words);
        let (_, has_failed) = disk.end();
        if !has_failed {
            return None;
        }
        let mut wrong = Vec::new();
        wrong.extend(ends_well(&ended, cue.then).err());
        wrong.extend(self.is_whole(copy.path(), ended.status.code()).err());
        wrong.extend(self.goes_on(copy.path()).err());
        let said = err(&ended);
        Some(wrong.into_iter().map(|what| format!("{what}; it said: {said}")).collect())
    }

    pub(super) fn is_whole(&self, at: &Path, code: Option<i32>) -> Result<(), String> {
        let seen = self.verb.seen(at);
        if self.verb.sources(at) != self.sources {
            return Err("the source was changed".to_owned());
        }
        if code == Some(0) && seen != self.new {
            return Err(format!("it says that all is done: {}", differences(&seen, &self.new)));
        }
        // What could not be read stays behind alone, and is told.
        let may_be_in_steps = self.verb.in_steps || code == Some(1);
        let is_meanwhile =
            |line: &String| self.verb.meanwhile.iter().any(|what| line.contains(what));
        let seen: Seen = seen.into_iter().filter(|line| !is_meanwhile(line)).collect();
        if seen == self.old || seen == self.new || may_be_in_steps && self.is_between(&seen) {
            return Ok(());
        }
        Err(format!("half of it is there: {}", differences(&seen, &self.old)))
    }

    /// Returns whether each thing is as it was or as it will be.
    fn is_between(&self, seen: &Seen) -> bool {
        seen.is_subset(&(&self.old | &self.new)) && seen.is_superset(&(&self.old & &self.new))
    }

    /// The disk works again.
    pub(super) fn goes_on(&self, at: &Path) -> Result<(), String> {
        if self.verb.once && self.verb.seen(at) == self.new {
            return Ok(());
        }
        let next = run(at, self.verb.words);
        let seen = self.verb.seen(at);
        if seen != self.new {
            let differences = differences(&seen, &self.new);
            return Err(format!("the next run made it different: {differences}: {}", err(&next)));
        }
        match next.status.code() {
            Some(0 | 1) => Ok(()),
            code => Err(format!("the next run ended with {code:?}: {}", err(&next))),
        }
    }
}

/// Copies with all that belongs to files; holes stay holes.
pub(super) fn copy(from: &Path, to: &Path) {
    let mut cp = Command::new("cp");
    cp.args(["-a", "--reflink=auto", "--sparse=always"]).arg(from).arg(to);
    assert!(cp.status().expect("cp can be started").success());
}

/// Runs the command; `AT` in its words is where the root lies.
pub(super) fn run(at: &Path, words: &str) -> Output {
    let words = words.split(' ').map(|word| match word.strip_prefix("AT/") {
        Some(name) => at.join(name),
        None => PathBuf::from(word),
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
    command.args(words).output().expect("it can be started")
}

pub(super) fn ends_well(ended: &Output, then: Failure) -> Result<(), String> {
    let said = err(ended);
    match (ended.status.code(), then) {
        _ if said.contains("panicked") => Err("it panicked".to_owned()),
        (None, Failure::Kill) => Ok(()),
        (Some(2), Failure::Once(_) | Failure::FromThenOn(_)) if !said.contains('/') => {
            Err("it does not say where".to_owned())
        }
        (Some(0..=3), Failure::Once(_) | Failure::FromThenOn(_)) => Ok(()),
        (code, _) => Err(format!("it ended with {code:?}")),
    }
}

fn differences(seen: &Seen, wanted: &Seen) -> String {
    let (more, less) = (seen - wanted, wanted - seen);
    format!("there is {more:#?}, and not {less:#?}")
}

impl Verb {
    fn seen(&self, at: &Path) -> Seen {
        let mut seen = Seen::new();
        for words in SEEN {
            let done = run(at, words);
            assert!(matches!(done.status.code(), Some(0 | 1)), "{words}: {}", err(&done));
            let told = serde_json::from_slice(&done.stdout).expect("--json prints JSON");
            // Each copy of the root lies elsewhere.
            let place = at.to_string_lossy();
            let lines = self.lines(words, &told).into_iter();
            seen.extend(lines.map(|line| line.replace(&*place, "AT")));
        }
        seen.insert(fs::read_to_string(at.join("daemon.json")).unwrap_or_default());
        seen
    }

    /// Returns a digest of every name, byte, owner, time and attribute in what is only read.
    fn sources(&self, at: &Path) -> Digest {
        let mut tar = Command::new("tar");
        tar.args([
            "--format=posix",
            "--sort=name",
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
        ]);
        tar.arg("--pax-option=exthdr.name=%d/x/%f,delete=atime,delete=ctime");
        tar.arg("-C").arg(at).args(["-cf", "-", "--files-from=/dev/null"]).args(self.sources);
        let done = tar.output().expect("tar can be started");
        assert!(done.status.success(), "{}", err(&done));
        Digest::of(&done.stdout)
    }
}
