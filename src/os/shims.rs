//! Which containers have processes on this machine, whether a daemon runs or not.

use std::collections::HashSet;

/// What the process is called that keeps a container running (containerd v2 cmd/containerd-shim-runc-v2).
const SHIM: &[u8] = b"containerd-shim";

/// Returns the IDs of the containers that a shim of this machine runs; none where processes cannot be
/// seen.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "os is where files of this machine are opened")]
pub fn shims() -> HashSet<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process =
        |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let processes = processes.filter(|entry| is_process(&entry.file_name()));
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter_map(|line| id_of(&line)).collect()
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
mod tests {
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
}
