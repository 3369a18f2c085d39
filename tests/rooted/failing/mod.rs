//! Disks that fail, and processes that are killed, at a chosen call to the kernel: `strace` answers the call
//! instead of the kernel, or ends the process there.
//!
//! Whatever fails: the error says where, no store is half of anything, and the same command goes on when
//! the disk works again. `cargo test --test rooted -- --ignored long_` has a sample, and then more than
//! 300 runs.

mod verbs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::{WHY, listing};
use verbs::{Base, VERBS, Verb};

/// A call to the kernel, and what becomes of it.
type Fault = (&'static str, &'static str);

/// Answers of a disk that fails, or is full.
const ERRORS: [Fault; 12] = [
    ("getdents64", "error=EIO"),
    ("statx", "error=EIO"),
    ("read", "error=EIO"),
    ("write", "error=EIO"),
    ("write", "error=ENOSPC"),
    ("linkat", "error=EIO"),
    ("mkdirat", "error=ENOSPC"),
    ("renameat", "error=EIO"),
    ("renameat2", "error=EIO"),
    ("syncfs", "error=EIO"),
    ("unlinkat", "error=EIO"),
    ("utimensat", "error=EROFS"),
];

/// Calls that change something: before each, the process may be killed.
const KILLS: [Fault; 8] = [
    ("write", "signal=KILL"),
    ("linkat", "signal=KILL"),
    ("mkdirat", "signal=KILL"),
    ("renameat", "signal=KILL"),
    ("renameat2", "signal=KILL"),
    ("syncfs", "signal=KILL"),
    ("unlinkat", "signal=KILL"),
    ("utimensat", "signal=KILL"),
];

/// The loader of programs reads before the program does.
const FIRST_READ: usize = 12;

fn unpacked(base: Base) -> TempDir {
    let folder = TempDir::new_in("/var/tmp").expect(WHY);
    let root = folder.path().join("docker");
    fs::create_dir(&root).expect(WHY);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots");
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=none", "-xpf"]);
    tar.arg(fixtures.join(format!("{}.tar.zst", base.name()))).arg("-C").arg(&root);
    assert!(tar.status().expect("tar can be started").success(), "unpacking needs root");
    folder
}

/// A root, ready for a verb.
struct Scene {
    verb: &'static Verb,
    folder: TempDir,
    /// What is seen before and after.
    states: [Seen; 2],
}

/// What both stores show, the containers, the volumes and the daemon's configuration.
type Seen = Vec<String>;

impl Scene {
    fn of(verb: &'static Verb) -> Self {
        let folder = unpacked(verb.base);
        fs::write(folder.path().join("daemon.json"), "{\"mtu\": 1450}\n").expect(WHY);
        let mut scene = Self { verb, folder, states: [Seen::new(), Seen::new()] };
        for words in verb.before {
            let done = scene.command(scene.folder.path(), words).output().expect("it starts");
            assert!(matches!(done.status.code(), Some(0 | 1)), "{words}: {}", super::err(&done));
        }
        scene.states[0] = scene.seen(scene.folder.path());
        let copy = scene.copy();
        let done = scene.command(copy.path(), verb.words).output().expect("it starts");
        assert!(matches!(done.status.code(), Some(0 | 1)), "{}", super::err(&done));
        scene.states[1] = scene.seen(copy.path());
        assert_ne!(scene.states[0], scene.states[1], "{}: it does something", verb.words);
        scene
    }

    fn copy(&self) -> TempDir {
        let copy = TempDir::new_in("/var/tmp").expect(WHY);
        let mut cp = Command::new("cp");
        cp.args(["-a", "--reflink=auto"]).arg(self.folder.path().join(".")).arg(copy.path());
        assert!(cp.status().expect("cp can be started").success());
        copy
    }

    fn words(at: &Path, words: &str) -> Vec<PathBuf> {
        words
            .split(' ')
            .map(|word| match word.strip_prefix("AT/") {
                Some(name) => at.join(name),
                None => PathBuf::from(word),
            })
            .collect()
    }

    fn command(&self, at: &Path, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
        command.args(Self::words(at, words));
        command
    }

    /// Runs the verb with a fault at the n-th such call of a thread; nothing if there is none.
    fn disturbed(&self, at: &Path, (call, how): Fault, n: usize) -> Option<Output> {
        let log = at.join("strace.log");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&log);
        strace.args(["-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:{how}:when={n}")]);
        strace.arg(env!("CARGO_BIN_EXE_tranship")).args(Self::words(at, self.verb.words));
        let output = strace.output().expect("strace is installed");
        let log = String::from_utf8_lossy(&fs::read(log).expect("strace writes it")).into_owned();
        (log.contains("(INJECTED)") || log.contains("killed by SIGKILL")).then_some(output)
    }

    fn seen(&self, at: &Path) -> Seen {
        let mut all = BTreeSet::new();
        for words in
            ["images AT/docker -a --json", "ps AT/docker --no-size --no-trunc", "volumes AT/docker"]
        {
            let output = self.command(at, words).output().expect("it starts");
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{words}: {}",
                super::err(&output)
            );
            all.extend(self.verb.lines(words, &output.stdout));
        }
        all.insert(fs::read_to_string(at.join("daemon.json")).unwrap_or_default());
        all.into_iter().collect()
    }

    /// Returns whether there was such a call, and what is wrong with what came of the fault.
    fn at(&self, fault: Fault, n: usize) -> (bool, Vec<String>) {
        let copy = self.copy();
        let sources = || self.verb.sources.iter().flat_map(|name| listing(&copy.path().join(name)));
        let before: Vec<_> = sources().collect();
        let Some(output) = self.disturbed(copy.path(), fault, n) else {
            return (false, Vec::new());
        };
        let mut wrong = Vec::new();
        let said = super::err(&output);
        match output.status.code() {
            Some(0..=3) => {}
            // The shell's number of a process that was killed, or what the system itself says.
            None | Some(137) if fault.1 == "signal=KILL" => {}
            code => wrong.push(format!("ended with {code:?}")),
        }
        if output.status.code() == Some(2) && !said.contains('/') {
            wrong.push("it is not said where".to_owned());
        }
        if said.contains("panicked") {
            wrong.push("it panicked".to_owned());
        }
        let seen = self.seen(copy.path());
        if !self.verb.in_steps && !self.states.contains(&seen) {
            wrong.push(format!("half of it is there: {:#?}", only(&seen, &self.states[0])));
        }
        if sources().collect::<Vec<_>>() != before {
            wrong.push("the source was changed".to_owned());
        }
        let next = self.command(copy.path(), self.verb.words).output().expect("it starts");
        let seen = self.seen(copy.path());
        // What cannot be done twice is refused once it is done.
        let is_done = self.verb.once && seen == self.states[1];
        let went_on = is_done || matches!(next.status.code(), Some(0 | 1));
        wrong.extend((!went_on).then(|| format!("the next run: {}", super::err(&next))));
        if seen != self.states[1] {
            wrong.push(format!("the next run made {:#?}", only(&seen, &self.states[1])));
        }
        let told = |what| format!("{}: {fault:?} at {n}: {what}: {said}", self.verb.words);
        (true, wrong.into_iter().map(told).collect())
    }
}

fn only<'a>(a: &'a Seen, b: &Seen) -> Vec<&'a String> {
    a.iter().filter(|line| !b.contains(line)).collect()
}

/// Has each verb meet each fault at these of its calls; returns how many runs were disturbed.
fn all_hold(faults: &[Fault], numbers: &[usize]) -> usize {
    let (mut wrong, mut runs) = (Vec::new(), 0);
    for verb in &VERBS {
        let scene = Scene::of(verb);
        for fault in faults {
            let first = if fault.0 == "read" { FIRST_READ } else { 0 };
            for n in numbers {
                let (was, found) = scene.at(*fault, first + n);
                wrong.extend(found);
                if !was {
                    break;
                }
                runs += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} times:\n{}", wrong.len(), wrong.join("\n"));
    runs
}

#[test]
#[ignore = "long: needs root and strace"]
fn long_a_disk_that_fails_once() {
    assert!(all_hold(&ERRORS, &[2]) > 30);
}

#[test]
#[ignore = "long: needs root and strace"]
fn long_a_process_that_is_killed_once() {
    assert!(all_hold(&KILLS, &[3]) > 20);
}

#[test]
#[ignore = "long: needs root, strace and half an hour"]
fn long_a_disk_that_fails_anywhere() {
    assert!(all_hold(&ERRORS, &[1, 3, 7, 15, 31, 63, 127, 255]) > 150);
}

#[test]
#[ignore = "long: needs root, strace and half an hour"]
fn long_a_process_that_is_killed_anywhere() {
    assert!(all_hold(&KILLS, &[1, 2, 4, 6, 9, 14, 20, 30, 45, 70, 110, 170]) > 200);
}
