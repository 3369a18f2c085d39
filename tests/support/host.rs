//! Real Docker daemons, run by the scripts of `tests/daemons`.
//!
//! Nothing here is lenient: a daemon that cannot run fails its test.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::observed::Observed;

/// How long a daemon may take for what it does by itself, such as collecting garbage.
const PATIENCE: Duration = Duration::from_secs(60);

/// A release of Docker, named by the Debian suite it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    Bookworm,
    Trixie,
    Forky,
}

impl Suite {
    /// The suites whose Docker knows the containerd store.
    pub(crate) const WITH_CONTAINERD: [Self; 2] = [Self::Trixie, Self::Forky];

    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }
}

/// The store that a daemon is told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Classic,
    Containerd,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Classic => "overlay2",
            Self::Containerd => "containerd",
        }
    }
}

/// A directory of one test, on the file system where the daemons' data roots are; gone with it.
pub(crate) struct Lab(TempDir);

impl Lab {
    pub(crate) fn new() -> Self {
        static READY: Once = Once::new();
        READY.call_once(|| {
            run(script("docker-host").arg("setup"));
        });
        let home = daemons_home().join("labs");
        fs::create_dir_all(&home).expect("the daemons' home can be written");
        Self(TempDir::new_in(home).expect("the daemons' home can be written"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Unpacks a recorded data root.
    pub(crate) fn unpack(&self, fixture: &str) -> PathBuf {
        let root = self.path(fixture);
        fs::create_dir(&root).expect("the lab can be written");
        run(Command::new("tar")
            .args(["--zstd", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
            .arg(repository().join(format!("fixtures/roots/{fixture}.tar.zst")))
            .arg("-C")
            .arg(&root));
        root
    }

    /// Copies a data root with all that belongs to its files, hard links too.
    pub(crate) fn copy(&self, root: &Path, name: &str) -> PathBuf {
        let copy = self.path(name);
        run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(root).arg(&copy));
        copy
    }

    /// Takes a root that a daemon of this suite filled, as it lay when the power went, with a registry that has what is in
    /// it. Made once for all tests, it knows itself by the path it was made at.
    pub(crate) fn filled(&self, suite: Suite, store: Store) -> (PathBuf, Registry) {
        let said = run(script("docker-host").args(["filled", suite.name(), store.name()]));
        let made = Path::new(said.trim());
        let [root, registry] = ["root", "registry"].map(|name| {
            let copy = self.copy(&made.join(name), &format!("{name}-of-{suite:?}-{store:?}"));
            (made.join(name), copy)
        });
        rename_root(&root.0, &root.1);
        (root.1, Registry::start(&registry.1))
    }

    /// Runs a shell script beside all that carries images without Docker, in this directory.
    pub(crate) fn tools(&self, script: &str) -> String {
        let (home, script) = (self.0.path(), format!("cd '{}'\n{script}", self.0.path().display()));
        let suite = Suite::Forky.name();
        run(self::script("docker-host").arg("with").arg(home).args([suite, "sh", "-euc", &script]))
    }

    /// Starts an empty registry.
    pub(crate) fn registry(&self) -> Registry {
        Registry::start(&self.path(&fresh_name("empty")))
    }
}

/// Makes the containers of a root, which know the paths of their files, know where it is now.
fn rename_root(old: &Path, new: &Path) {
    let [old, new] = [old, new].map(|path| path.to_str().expect("the lab's paths are text"));
    for container in names(&Path::new(new).join("containers")) {
        for file in ["config.v2.json", "hostconfig.json"] {
            let file = Path::new(new).join("containers").join(&container).join(file);
            let text = fs::read_to_string(&file).expect("a container has it");
            fs::write(&file, text.replace(old, new)).expect("the lab can be written");
        }
    }
}

/// A registry on the loopback interface.
pub(crate) struct Registry {
    name: String,
    pub(crate) address: String,
}

impl Registry {
    /// Starts one that keeps this directory.
    fn start(dir: &Path) -> Self {
        let name = fresh_name("registry");
        let said = run(script("docker-host").args(["registry", &name]).arg(dir));
        Self { name, address: said.trim().to_owned() }
    }

    /// Puts the images of `seed-registry` into it.
    pub(crate) fn seed(&self) {
        let root = run(script("docker-host").args(["root", Suite::Forky.name()]));
        let busybox = Path::new(root.trim()).join("bin/busybox");
        run(script("seed-registry").arg(&self.address).arg(busybox));
    }

    /// Has skopeo fetch an image whole, which checks every digest in it.
    pub(crate) fn judge(&self, image: &str) {
        let from = format!("docker://{}/{image}", self.address);
        run(script("docker-host")
            .args(["run", Suite::Forky.name(), "skopeo", "--insecure-policy", "copy", "--quiet"])
            .args(["--src-tls-verify=false", &from, "dir:/tmp/judged"]));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        crash(&self.name);
    }
}

/// A running daemon; killed when dropped, unless stopped before.
pub(crate) struct Daemon {
    name: String,
    pub(crate) suite: Suite,
    pub(crate) root: PathBuf,
}

impl Daemon {
    pub(crate) fn start(suite: Suite, store: Store, root: &Path) -> Self {
        let name = fresh_name(suite.name());
        run(script("docker-host").args(["start", &name, suite.name(), store.name()]).arg(root));
        Self { name, suite, root: root.to_owned() }
    }

    pub(crate) fn observe(&self) -> Observed {
        Observed::parse(&run(script("observe").arg(&self.name)))
    }

    /// Runs the docker client and returns what it printed.
    pub(crate) fn docker<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        run(&mut self.client(args))
    }

    /// Runs a script in a new container and returns what it printed.
    pub(crate) fn shell(&self, image: &str, script: &str) -> String {
        self.docker(["run", "--rm", "--network=none", image, "sh", "-c", script])
    }

    /// Runs the docker client with a file to read.
    pub(crate) fn docker_from<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &Path,
    ) -> String {
        let input = File::open(input).expect("what the test wrote can be read");
        run(self.client(args).stdin(input))
    }

    /// Runs the docker client with a file to write.
    pub(crate) fn docker_into<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        output: &Path,
    ) {
        let output = File::create(output).expect("the lab can be written");
        run(self.client(args).stdout(output));
    }

    /// Runs the docker client with a file to read and a file to write.
    pub(crate) fn docker_through<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &Path,
        output: &Path,
    ) {
        let input = File::open(input).expect("what the test wrote can be read");
        let output = File::create(output).expect("the lab can be written");
        run(self.client(args).stdin(input).stdout(output));
    }

    /// Returns whether the docker client succeeded.
    pub(crate) fn docker_can<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> bool {
        finish(&mut self.client(args)).status.success()
    }

    /// Stops it in good order.
    pub(crate) fn stop(self) {
        run(script("docker-host").args(["stop", &self.name]));
    }

    fn client<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = script("docker-host");
        command.args(["docker", &self.name]).args(args);
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        crash(&self.name);
    }
}

/// What a containerd keeps on disk: `blob NAME` or `snapshot NAME` each.
pub(crate) type Kept = BTreeSet<String>;

/// Returns what the containerd of a data root keeps on disk.
pub(crate) fn kept(root: &Path) -> Kept {
    let croot = root.join("containerd/daemon");
    let list = |kind: &'static str, dir: &str| {
        names(&croot.join(dir)).into_iter().map(move |name| format!("{kind} {name}"))
    };
    let blobs = list("blob", "io.containerd.content.v1.content/blobs/sha256");
    let snapshots = list("snapshot", "io.containerd.snapshotter.v1.overlayfs/snapshots");
    blobs.chain(snapshots).collect()
}

/// The names in a directory; none where there is no directory.
fn names(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.expect("a directory of the lab can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Returns a directory as it lies on disk: every name, mode, owner, time, content and attribute.
pub(crate) fn exactly(dir: &Path) -> Value {
    let said = run(script("observe").arg("--tree").arg(dir));
    serde_json::from_str(&said).expect("observe prints JSON")
}

/// Has Go's own bbolt check the two bolt files of a data root's containerd, those of them that are there.
pub(crate) fn check_bolt_files(root: &Path, when: &str) {
    let croot = root.join("containerd/daemon");
    for file in [
        "io.containerd.metadata.v1.bolt/meta.db",
        "io.containerd.snapshotter.v1.overlayfs/metadata.db",
    ] {
        let said = finish(
            Command::new(daemons_home().join("bin/bbolt-check")).arg("check").arg(croot.join(file)),
        );
        let (out, err) = (text(&said.stdout), text(&said.stderr));
        assert!(said.status.success() && out.starts_with("OK "), "{file} {when}: {out}{err}");
    }
}

/// Looks again and again until nothing is left of what is waited for.
pub(crate) fn wait_until_none<T: Debug + IntoIterator + Clone>(
    what: &str,
    mut left: impl FnMut() -> T,
) {
    let begun = Instant::now();
    loop {
        let left = left();
        if left.clone().into_iter().next().is_none() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: after {PATIENCE:?} there is still {left:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs the command under test and returns how it ended.
pub(crate) fn tranship<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    finish(Command::new(env!("CARGO_BIN_EXE_tranship")).args(args))
}

/// Runs a command that must succeed and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let done = finish(command);
    let status = done.status;
    assert!(status.success(), "{command:?}: {status}\n{}", text(&done.stderr));
    text(&done.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn finish(command: &mut Command) -> Output {
    let done = command.output();
    done.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn crash(name: &str) {
    // Also run while a test fails: a second panic would hide the first.
    let _already_gone = script("docker-host").args(["crash", name]).output();
}

fn script(name: &str) -> Command {
    Command::new(repository().join("tests/daemons").join(name))
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn daemons_home() -> PathBuf {
    let home = std::env::var_os("TRANSHIP_DAEMONS");
    home.map_or_else(|| "/var/tmp/tranship-daemons".into(), PathBuf::from)
}

/// Returns a name that no other daemon of this machine has.
fn fresh_name(what: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{number}", std::process::id())
}
