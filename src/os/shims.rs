//! Which containers have processes on this machine, whether a daemon runs or not.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::format::oci::root_path;

/// What the process is called that keeps a container running (containerd v2 cmd/containerd-shim-runc-v2).
const SHIM: &[u8] = b"containerd-shim";

/// Returns the IDs of the containers of the data root at `data_root` that a shim of this machine runs; none
/// where processes cannot be seen. A copy of a data root has containers of the same IDs: those that run are
/// of the one that has their files. In doubt they are of this one.
#[must_use]
pub fn shims(data_root: &Path) -> HashSet<String> {
    shims_in(Path::new("/proc"), data_root)
}

#[expect(clippy::disallowed_methods, reason = "os is where files of this machine are opened")]
fn shims_in(proc: &Path, data_root: &Path) -> HashSet<String> {
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let is_process =
        |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let processes = processes.filter(|entry| is_process(&entry.file_name()));
    let shim = |process: PathBuf| {
        let id = id_of(&fs::read(process.join("cmdline")).ok()?)?;
        (!is_of_another(&process, data_root)).then_some(id)
    };
    processes.filter_map(|entry| shim(entry.path())).collect()
}

/// Returns whether the files of the container that `process` is the shim of surely lie in another data root
/// than this one. Where it works its configuration lies (containerd v2 core/runtime/v2/binary.go Start).
#[expect(clippy::disallowed_methods, reason = "os is where files of this machine are opened")]
fn is_of_another(process: &Path, data_root: &Path) -> bool {
    let config = fs::read(process.join("cwd/config.json")).ok();
    let Some(merged) = config.and_then(|config| root_path(&config)) else { return false };
    // <data root>/overlay2/<id>/merged, or <data root>/rootfs/overlayfs/<id>
    let Some(own) = Path::new(&merged).ancestors().nth(3) else { return false };
    // As the shim sees it: daemons may have a root directory of their own.
    let seen = process.join("root").join(own.strip_prefix("/").unwrap_or(own));
    match (fs::metadata(seen), fs::metadata(data_root)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) != (b.dev(), b.ino()),
        _ => false,
    }
}

/// Returns the container that a command line is the shim of.
fn id_of(line: &[u8]) -> Option<String> {
    let mut words = line.split(|byte| *byte == 0);
    let program = words.next()?;
    let name = program.rsplit(|byte| *byte == b'/').next()?;
    name.strip_prefix(SHIM)?;
    words.find(|word| *word == b"-id" || *word == b"--id")?;
    words.next().and_then(|id| String::from_utf8(id.to_vec()).ok())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make folders of their own")]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_shim_is_known_by_its_command_line() {
        for (line, wanted) in [
            (
                &b"/usr/bin/containerd-shim-runc-v2\0-namespace\0moby\0-id\0abc\0-address\0x\0"[..],
                Some("abc"),
            ),
            (b"containerd-shim\0-id\0", Some("")),
            (b"/usr/bin/containerd-shim-runc-v2\0-id", None),
            (b"/usr/bin/containerd\0-id\0abc\0", None),
            (b"", None),
        ] {
            assert_eq!(id_of(line).as_deref(), wanted, "{}", String::from_utf8_lossy(line));
        }
    }

    /// Makes what /proc has of a shim in a root directory of its own, whose container's files are at `merged`.
    fn process(machine: &TempDir, name: &str, merged: &str) {
        let (process, bundle) = (machine.path().join("proc").join(name), format!("bundle-{name}"));
        let bundle = machine.path().join(bundle);
        for folder in [&process, &bundle] {
            fs::create_dir_all(folder).expect("the test's own folder");
        }
        let line = format!("containerd-shim-runc-v2\0-id\0{name}\0");
        fs::write(process.join("cmdline"), line).expect("the test's own folder");
        let config = format!("{{\"root\":{{\"path\":\"{merged}\"}}}}");
        fs::write(bundle.join("config.json"), config).expect("the test's own folder");
        symlink(&bundle, process.join("cwd")).expect("the test's own folder");
        symlink(machine.path(), process.join("root")).expect("the test's own folder");
    }

    #[test]
    fn a_shim_of_a_copy_is_none_of_this_root() {
        let machine = TempDir::new().expect("a temporary folder");
        let at = |path: &str| machine.path().join(path);
        for root in ["lib/docker", "copy"] {
            fs::create_dir_all(at(root)).expect("the test's own folder");
        }
        symlink(at("lib/docker"), at("data")).expect("the test's own folder");
        process(&machine, "1", "/lib/docker/overlay2/abc/merged");
        process(&machine, "2", "/data/rootfs/overlayfs/abc");
        process(&machine, "3", "/gone/overlay2/abc/merged");
        process(&machine, "4", "");
        let found = |root: &str| {
            let mut all: Vec<_> = shims_in(&at("proc"), &at(root)).into_iter().collect();
            all.sort_unstable();
            all
        };
        assert_eq!(found("lib/docker"), ["1", "2", "3", "4"]);
        assert_eq!(found("copy"), ["3", "4"], "what cannot be told may be its own");
    }
}
