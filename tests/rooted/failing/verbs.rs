//! What writes, and what comes of it.

/// The recorded root that is written to.
#[derive(Clone, Copy)]
pub(super) enum Base {
    Classic,
    Containerd,
}

impl Base {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic-28",
            Self::Containerd => "containerd-28",
        }
    }
}

/// A verb that writes.
pub(super) struct Verb {
    pub(super) base: Base,
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
}

const MIGRATE: Verb = Verb {
    base: Base::Classic,
    before: &[],
    words: "migrate AT/docker --to containerd -q --jobs 1 --no-containers",
    sources: &["docker/image", "docker/overlay2"],
    in_steps: false,
    once: false,
};

pub(super) static VERBS: [Verb; 8] = [
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
        sources: &["docker/containerd"],
        ..MIGRATE
    },
    Verb {
        before: &["export AT/docker -o AT/images.tar -q"],
        words: "import AT/images.tar -q --to containerd --root AT/docker",
        ..MIGRATE
    },
    Verb {
        before: &["volumes export --root AT/docker vol1 -o AT/volume.tar"],
        words: "volumes import --root AT/docker AT/volume.tar new-one",
        once: true,
        ..MIGRATE
    },
    Verb {
        words: "commit --root AT/docker changed made:1 --force",
        sources: &[],
        once: true,
        ..MIGRATE
    },
    Verb {
        before: &["migrate AT/docker --to containerd -q"],
        words: "migrate AT/docker --undo",
        sources: &["docker/image", "docker/overlay2"],
        in_steps: true,
        once: true,
        ..MIGRATE
    },
];

impl Verb {
    /// Returns what a daemon would show, of what `words` printed.
    pub(super) fn lines(&self, words: &str, printed: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(printed);
        if !words.starts_with("images") {
            return text.lines().map(str::to_owned).collect();
        }
        let rows: serde_json::Value = serde_json::from_str(&text).expect("--json prints JSON");
        let row = |row: &serde_json::Value| {
            let commit = self.words.starts_with("commit");
            // An image of a container has the time it was made in it.
            let id = if commit && row["names"].to_string().contains("made") { "made" } else { "" };
            let id = if id.is_empty() { row["id"].to_string() } else { id.to_owned() };
            format!("{} {} {id}", row["store"], row["names"])
        };
        rows.as_array().map(|rows| rows.iter().map(row).collect()).unwrap_or_default()
    }
}
