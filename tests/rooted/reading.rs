//! Verbs that only read, on a root that cannot be written to.

use super::*;

/// A folder that is seen elsewhere too, there read-only, until this is dropped.
struct ReadOnly {
    at: TempDir,
}

impl ReadOnly {
    fn of(folder: &Path) -> Self {
        let this = Self { at: TempDir::new_in("/var/tmp").expect(WHY) };
        let mount = |args: &[&str]| {
            let mut command = Command::new("mount");
            command.args(args).arg(this.at.path());
            assert!(command.status().expect("mount can be started").success(), "{command:?}");
        };
        mount(&["--bind", folder.to_str().expect("a plain path")]);
        mount(&["-o", "remount,bind,ro"]);
        this
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.at.path()).status();
    }
}

#[test]
#[ignore = "needs root"]
fn reading_verbs_do_not_write() {
    const VERBS: [&str; 16] = [
        "status ROOT",
        "images ROOT -a --json",
        "ps ROOT",
        "inspect ROOT changed",
        "inspect ROOT weird:1",
        "ls ROOT changed:/ -R -l",
        "cp --root ROOT changed:/ -",
        "diff ROOT changed",
        "logs ROOT logs-long",
        "volumes ROOT",
        "export ROOT -o - -q",
        "export ROOT --rootfs changed -o - -q",
        "recipe ROOT changed",
        "usage ROOT --json",
        "whois --root ROOT changed",
        "migrate ROOT --to containerd --dry-run",
    ];
    let root = Root::unpack();
    let mounted = ReadOnly::of(&root.path());
    for verb in VERBS {
        let run = |at: &Path| {
            let words = verb
                .split(' ')
                .map(|word| if word == "ROOT" { at.as_os_str() } else { word.as_ref() });
            let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
            command.args(words).output().expect("the command can be started")
        };
        let (wanted, found) = (run(&root.path()), run(mounted.at.path()));
        assert_eq!(found.status.code(), wanted.status.code(), "{verb}: {}", err(&found));
        assert!(matches!(found.status.code(), Some(0 | 1)), "{verb}: {}", err(&found));
        let length = |output: &Output| output.stdout.len();
        let is_data = verb.contains(" -o -") || verb.starts_with("cp");
        assert!(!is_data || length(&found) == length(&wanted), "{verb}");
    }
}
