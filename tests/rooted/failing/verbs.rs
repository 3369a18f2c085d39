//! What writes, and what comes of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::WHY;

/// The recorded root that is written to.
#[derive(Clone, Copy)]
pub(super) enum Base {
    Classic,
    Containerd,
}

impl Base {
    pub(super) fn unpack(self, root: &Path) {
        let name = match self {
            Self::Classic => "classic-28",
            Self::Containerd => "containerd-28",
        };
        fs::create_dir(root).expect(WHY);
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots");
        let mut tar = Command::new("tar");
        tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=none", "-xpf"]);
        tar.arg(fixtures.join(format!("{name}.tar.zst"))).arg("-C").arg(root);
        assert!(tar.status().expect("tar can be started").success(), "unpacking needs root");
    }

    /// A daemon that is not told which store to use decides by whether there is anything in `overlay2`.
    pub(super) fn config(self) -> String {
        let is_containerd = matches!(self, Self::Containerd);
        format!(
            "{{\"features\": {{\"containerd-snapshotter\": {is_containerd}}}, \"mtu\": 1450}}\n"
        )
    }
}

/// A verb that writes.
pub(super) struct Verb {
    pub(super) base: Base,
    /// What goes wrong with the root first.
    pub(super) damage: fn(&Path),
    /// What is done before, in the same words.
    pub(super) before: &'static [&'static str],
    /// The command; `AT` is where the root lies.
    pub(super) words: &'static str,
    /// Folders that are only read.
    pub(super) sources: &'static [&'static str],
    /// Whether parts of it show before all does: each container, and what comes after the images.
    pub(super) in_steps: bool,
    /// Whether it cannot be done twice.
    pub(super) once: bool,
    /// What is told of the time in between alone: what is named comes before what it names.
    pub(super) meanwhile: &'static [&'static str],
}

const MIGRATE: Verb = Verb {
    base: Base::Classic,
    damage: |_| (),
    before: &[],
    words: "migrate AT/docker --to containerd -q --jobs 1 --no-containers",
    sources: &["docker/image", "docker/overlay2"],
    in_steps: false,
    once: false,
    meanwhile: &[],
};

pub(super) static VERBS: [Verb; 12] = [
    MIGRATE,
    Verb {
        words: "migrate AT/docker --to containerd -q --jobs 2 --switch --daemon-config AT/daemon.json",
        in_steps: true,
        ..MIGRATE
    },
    Verb {
        base: Base::Containerd,
        words: "migrate AT/docker --to classic -q --jobs 1",
        sources: &["docker/containerd"],
        in_steps: true,
        ..MIGRATE
    },
    Verb {
        before: &["export AT/docker -o AT/images.tar -q"],
        base: Base::Containerd,
        words: "import AT/images.tar -q --to classic --root AT/docker",
        sources: &["images.tar", "docker/containerd"],
        ..MIGRATE
    },
    Verb {
        before: &["export AT/docker -o AT/images.tar -q"],
        words: "import AT/images.tar -q --to containerd --root AT/docker",
        sources: &["images.tar", "docker/image", "docker/overlay2"],
        ..MIGRATE
    },
    Verb {
        before: &["volumes export --root AT/docker vol1 -o AT/volume.tar"],
        words: "volumes import --root AT/docker AT/volume.tar new-one",
        sources: &["volume.tar", "docker/image", "docker/overlay2"],
        once: true,
        meanwhile: &["volume-without-folder"],
        ..MIGRATE
    },
    Verb {
        words: "commit --root AT/docker changed made:1 --force",
        sources: &["docker/containerd"],
        once: true,
        meanwhile: &["name-without-image", "passed-over"],
        ..MIGRATE
    },
    Verb {
        before: &["migrate AT/docker --to containerd -q"],
        words: "migrate AT/docker --undo",
        in_steps: true,
        once: true,
        ..MIGRATE
    },
    Verb {
        damage: without_short_names,
        words: "repair AT/docker",
        sources: &[],
        in_steps: true,
        ..MIGRATE
    },
    Verb { damage: without_names, words: "repair AT/docker", sources: &[], ..MIGRATE },
    Verb {
        damage: without_short_names,
        before: &["repair AT/docker"],
        words: "undo AT/docker",
        sources: &[],
        in_steps: true,
        once: true,
        ..MIGRATE
    },
    Verb {
        before: &["migrate AT/docker --to containerd -q --all"],
        words: "reclaim AT/docker --store classic --build-cache",
        sources: &["docker/containerd"],
        once: true,
        ..MIGRATE
    },
];

fn without_short_names(root: &Path) {
    fs::remove_dir_all(root.join("overlay2/l")).expect("the recorded root has it");
}

fn without_names(root: &Path) {
    fs::remove_file(root.join("image/overlay2/repositories.json")).expect("it has this");
}

impl Verb {
    /// Returns what a daemon would show and what is wrong, of what `words` printed.
    pub(super) fn lines(&self, words: &str, told: &Value) -> Vec<String> {
        let rows = |of: &Value, keys: &[&str]| -> Vec<String> {
            let rows = of.as_array().into_iter().flatten();
            rows.map(|row| keys.iter().map(|key| self.told(row, key)).collect::<String>()).collect()
        };
        match words.split(' ').next() {
            Some("images") => rows(told, &["store", "names", "id"]),
            Some("ps") => rows(told, &["store", "name", "id", "image_id", "state"]),
            Some("volumes") => rows(told, &["name", "used_by", "labels"]),
            _ => {
                let harm: Value = told["findings"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|finding| finding["severity"] != "untidy")
                    .cloned()
                    .collect();
                let mut lines = rows(&told["starts"], &["store", "kind", "names", "id", "becomes"]);
                lines.extend(rows(&harm, &["severity", "code", "place"]));
                lines
            }
        }
    }

    /// What is hidden follows from the stores and the daemon's configuration. An image of a container has the
    /// time it was made in it.
    fn told(&self, row: &Value, key: &str) -> String {
        let is_new = self.words.starts_with("commit") && row["names"].to_string().contains("made");
        match key {
            "id" if is_new => "its ID ".to_owned(),
            "used_by" => {
                let users = row[key].as_array().into_iter().flatten();
                users.map(|user| format!("{} ", user["name"])).collect()
            }
            _ => format!("{} ", row[key]),
        }
    }
}
