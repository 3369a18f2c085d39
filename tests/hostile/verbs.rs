//! Every verb on one root, and what must hold of each.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::place::{Base, Place, SECRET, listing};

/// What a process may have: address space in KiB, seconds of a processor, and seconds altogether. The
/// last stands for ever: nothing waits for a pipe.
const LIMITS: &str =
    "ulimit -v 3000000; ulimit -t 40; ulimit -c 0; exec timeout -s KILL 240 \"$@\"";

/// Verbs that only read, with the root put for `ROOT`, and whether what they print is their own words.
pub(crate) const READING: [(&str, bool); 25] = [
    ("status ROOT", true),
    ("images ROOT -a --digests", true),
    ("images ROOT -a --json", true),
    ("ps ROOT --no-trunc", true),
    ("ps ROOT --json", true),
    ("inspect ROOT changed", true),
    ("inspect ROOT weird:1 --size", true),
    ("inspect ROOT vol1 --type volume", true),
    ("ls ROOT weird:1:/ -R -l", true),
    ("ls ROOT changed:/ -R --json", true),
    ("cat ROOT changed:/etc/shadow", false),
    ("cp --root ROOT changed:/ -", false),
    ("diff ROOT changed -v", true),
    ("logs ROOT logs-long", false),
    ("logs ROOT logs-local", false),
    ("volumes ROOT --json", true),
    ("volumes export --root ROOT vol1 -o -", false),
    ("export ROOT -o -", false),
    ("export ROOT --rootfs changed -o -", false),
    ("recipe ROOT changed running", true),
    ("mount ROOT changed", true),
    ("usage ROOT", true),
    ("usage ROOT --by image --json", true),
    ("whois --root ROOT changed weird:1", true),
    ("migrate ROOT --dry-run --to TO", true),
];

/// Returns what is wrong with how the root is read, and then moved.
pub(crate) fn judge(place: &Place) -> Vec<String> {
    let mut wrong = Vec::new();
    let before = listing(&place.root());
    let watch = Watch::on(&place.outside());
    for (verb, own_words) in READING {
        wrong.extend(look(place, verb, own_words));
        wrong.extend(watch.touched().map(|what| format!("{verb}: {what} outside")));
    }
    let after = listing(&place.root());
    wrong.extend(after.iter().filter(|line| !before.contains(line)).map(|l| format!("now {l}")));
    let outside = listing(&place.outside());
    watch.touched().for_each(drop);
    for verb in ["migrate ROOT --to TO --into NEW -q --all", "migrate ROOT --to TO -q --all"] {
        wrong.extend(look(place, verb, true));
        wrong.extend(watch.touched().map(|what| format!("{verb}: {what} outside")));
    }
    let changed = listing(&place.outside()) != outside;
    wrong.extend(changed.then(|| "migrate changed what is outside".to_owned()));
    wrong
}

fn look(place: &Place, verb: &str, own_words: bool) -> Vec<String> {
    let output = run(place, verb);
    let mut wrong = ended_well(&output);
    let printed = if own_words { &output.stdout[..] } else { b"" };
    for (where_, bytes) in [("stdout", printed), ("stderr", &output.stderr)] {
        let text = String::from_utf8_lossy(bytes);
        if let Some(control) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            wrong.push(format!("{control:?} on {where_}"));
        }
    }
    let secret = SECRET.as_bytes();
    if [&output.stdout, &output.stderr].iter().any(|out| contains(out, secret)) {
        wrong.push("the secret".to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.chars().take(300).collect();
    wrong.into_iter().map(|what| format!("{verb}: {what}: {said}")).collect()
}

/// Returns what is wrong with how a process ended.
pub(crate) fn ended_well(output: &Output) -> Vec<String> {
    match output.status.code() {
        Some(0..=3) => Vec::new(),
        _ => vec![format!("ended with {}", output.status)],
    }
}

/// Runs a verb within limits.
pub(crate) fn run(place: &Place, verb: &str) -> Output {
    let (root, new) = (place.root(), place.beside("new"));
    let to = if place.base == Base::Classic { "containerd" } else { "classic" };
    let words = verb.split(' ').map(|word| match word {
        "ROOT" => root.clone().into_os_string(),
        "NEW" => new.clone().into_os_string(),
        "TO" => to.into(),
        word => word.into(),
    });
    let output = limited().args(words).output().expect("it can be started");
    if new.exists() {
        fs::remove_dir_all(new).expect("the test's own folder");
    }
    output
}

/// Returns the command with its limits, without arguments.
pub(crate) fn limited() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LIMITS, "sh", env!("CARGO_BIN_EXE_tranship")]).stdin(Stdio::null());
    command.env("RUST_BACKTRACE", "0").env("RAYON_NUM_THREADS", "2");
    command
}

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Tells what was opened, read or changed in a folder, with all folders in it.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    pub(crate) fn on(folder: &Path) -> Self {
        let flags = CreateFlags::NONBLOCK | CreateFlags::CLOEXEC;
        let watch = inotify::init(flags).expect("the kernel can watch");
        for entry in walkdir::WalkDir::new(folder) {
            let entry = entry.expect("the test's own folder");
            if entry.file_type().is_dir() {
                // Whoever reads opens. Our own reading may be closed late: by a process that another
                // thread started meanwhile.
                let all = WatchFlags::ALL_EVENTS.difference(WatchFlags::CLOSE_NOWRITE);
                inotify::add_watch(&watch, entry.path(), all).expect("the kernel can watch");
            }
        }
        let watch = Self(watch);
        watch.touched().for_each(drop);
        watch
    }

    /// Returns what happened since it was last asked.
    pub(crate) fn touched(&self) -> impl Iterator<Item = String> + use<> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut all = Vec::new();
        while let Ok(event) = events.next() {
            if !event.events().contains(ReadFlags::IGNORED) {
                all.push(format!("{:?} {:?}", event.events(), event.file_name()));
            }
        }
        all.into_iter()
    }
}
