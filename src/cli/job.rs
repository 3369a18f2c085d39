//! Job files: requests for runs that nobody watches.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::export::Format;
use crate::cli::migrate::{To, compress};
use crate::cli::ops::{Compress, MigrateRequest, OnConflict, Snapshots, Where, absolute};
use crate::cli::rows::StoreKind;
use crate::cli::{file, import, spelled};
use crate::error::{Error, Place, Result};
use crate::format::oci::Platform;
use crate::store::Form;

/// Nobody writes so much by hand, and few programs do.
const LIMIT: u64 = 16 << 20;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// What it is called; without a name, its number in the file.
    pub(crate) name: String,
    /// What is to be done, with absolute paths.
    pub(crate) request: MigrateRequest,
}

/// A job file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobFile {
    #[serde(default)]
    defaults: Settings,
    jobs: Vec<Settings>,
}

/// What a job says, or the defaults of all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    name: Option<String>,
    source: Option<PathBuf>,
    containerd_root: Option<PathBuf>,
    daemon_config: Option<PathBuf>,
    from: Option<To>,
    to: Option<Goal>,
    #[serde(alias = "root")]
    into: Option<PathBuf>,
    images: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    containers: Option<Vec<String>>,
    no_containers: Option<bool>,
    all: Option<bool>,
    rebuild_missing: Option<bool>,
    names: Option<Vec<String>>,
    #[serde(deserialize_with = "spelled::platform::deserialize")]
    platform: Option<Platform>,
    format: Option<Format>,
    compress: Option<Compress>,
    snapshots: Option<Snapshots>,
    on_conflict: Option<OnConflict>,
    #[serde(deserialize_with = "spelled::size::deserialize")]
    threshold: Option<u64>,
    switch: Option<bool>,
    parallel: Option<NonZeroUsize>,
}

/// What images are moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Goal {
    Classic,
    Containerd,
    Layout,
}

impl Goal {
    fn kind(self) -> StoreKind {
        match self {
            Self::Classic => StoreKind::Classic,
            Self::Containerd => StoreKind::Containerd,
            Self::Layout => StoreKind::Layout,
        }
    }
}

/// Reads the jobs of `file`: JSON if it is called so, else TOML.
///
/// # Errors
/// What is no job file, with line and column; and jobs that contradict themselves.
pub(crate) fn read(file: &Path) -> Result<Vec<Job>> {
    let bytes = file::read(file, LIMIT)?;
    let place = Place::new(file.display().to_string(), "");
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::corrupt(place.clone(), format!("this is no text: {error}")))?;
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let parsed = if is_json { parse_json(&text) } else { parse_toml(&text) };
    let base = absolute(file)?;
    let base = base.parent().unwrap_or_else(|| Path::new("/"));
    parsed.and_then(|parsed| jobs(parsed, base)).map_err(|what| Error::corrupt(place, what))
}

fn parse_json(text: &str) -> std::result::Result<JobFile, String> {
    serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        // It ends with the position, which goes to the front here.
        let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
        format!("line {}, column {}: {what}", error.line(), error.column())
    })
}

fn parse_toml(text: &str) -> std::result::Result<JobFile, String> {
    toml::from_str(text).map_err(|error| {
        let what = error.message().replace('\n', "; ");
        match error.span().and_then(|span| text.get(..span.start)) {
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                let start = before.rfind('\n').map_or(0, |at| at + 1);
                let column = before.get(start..).unwrap_or_default().chars().count() + 1;
                format!("line {line}, column {column}: {what}")
            }
            None => what,
        }
    })
}

fn jobs(file: JobFile, base: &Path) -> std::result::Result<Vec<Job>, String> {
    if file.defaults.name.is_some() {
        return Err("defaults: a name belongs to one job".to_owned());
    }
    if file.jobs.is_empty() {
        return Err("there is no job in it; wanted `[[jobs]]`".to_owned());
    }
    let mut names = HashSet::new();
    let mut jobs = Vec::new();
    for (number, settings) in (1..).zip(file.jobs) {
        let name = settings.name.clone().unwrap_or_else(|| number.to_string());
        if !names.insert(name.clone()) {
            return Err(format!("two jobs are called `{name}`"));
        }
        let request = settings.over(&file.defaults).request(base);
        let request = request.map_err(|what| format!("job `{name}`: {what}"))?;
        jobs.push(Job { name, request });
    }
    Ok(jobs)
}

impl Settings {
    /// Returns these settings, and where they say nothing, the defaults. What only some targets can
    /// have is a default for those.
    fn over(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        let to = self.to.or(defaults.to);
        let into = self.into.or(defaults.into);
        let is_layout = to == Some(Goal::Layout);
        let can_switch = !is_layout && into.is_none();
        Self {
            name: self.name,
            source: self.source.or(defaults.source),
            containerd_root: self.containerd_root.or(defaults.containerd_root),
            daemon_config: self.daemon_config.or(defaults.daemon_config),
            from: self.from.or(defaults.from),
            to,
            into,
            images: self.images.or(defaults.images),
            exclude: self.exclude.or(defaults.exclude),
            containers: self.containers.or(defaults.containers.filter(|_| can_switch)),
            no_containers: self.no_containers.or(defaults.no_containers),
            all: self.all.or(defaults.all),
            rebuild_missing: self.rebuild_missing.or(defaults.rebuild_missing),
            names: self.names.or(defaults.names),
            platform: self.platform.or(defaults.platform),
            format: self.format.or(defaults.format.filter(|_| is_layout)),
            compress: self.compress.or(defaults.compress),
            snapshots: self.snapshots.or(defaults.snapshots.filter(|_| !is_layout)),
            on_conflict: self.on_conflict.or(defaults.on_conflict.filter(|_| !is_layout)),
            threshold: self.threshold.or(defaults.threshold),
            switch: self.switch.or(defaults.switch.filter(|_| can_switch)),
            parallel: self.parallel.or(defaults.parallel),
        }
    }

    fn check(&self, to: Goal) -> std::result::Result<(), String> {
        let is_layout = to == Goal::Layout;
        let switch = self.switch == Some(true);
        let wrong = [
            (is_layout && self.into.is_none(), "`to = \"layout\"` needs `into`"),
            (
                switch && self.into.is_some(),
                "`switch` is for the store beside the source: no `into`",
            ),
            (switch && is_layout, "no Docker can be switched to a layout"),
            (!is_layout && self.format.is_some(), "`format` is for `to = \"layout\"`"),
            (is_layout && self.snapshots.is_some(), "`snapshots` is for stores of Docker"),
            (is_layout && self.on_conflict.is_some(), "`on_conflict` is for stores of Docker"),
            (is_layout && self.names.is_some(), "`names` is for stores of Docker"),
        ];
        match wrong.iter().find(|(is_so, _)| *is_so) {
            Some((_, what)) => Err((*what).to_owned()),
            None => Ok(()),
        }
    }

    fn request(self, base: &Path) -> std::result::Result<MigrateRequest, String> {
        let to = self.to.ok_or("it does not say `to`: classic, containerd or layout")?;
        self.check(to)?;
        let at = |path: Option<PathBuf>| path.map(|path| base.join(path));
        let (is_layout, format) = (to == Goal::Layout, self.format.unwrap_or(Format::Docker));
        let usual = if is_layout && format == Format::Docker { "none" } else { "zstd" };
        let compress = self.compress.map_or_else(|| compress(usual), Ok)?;
        let names = self.names.iter().flatten().map(|name| import::given(name));
        Ok(MigrateRequest {
            at: Where {
                root: at(self.source),
                containerd_root: at(self.containerd_root),
                daemon_config: at(self.daemon_config),
            },
            from: self.from.map(To::kind),
            to: to.kind(),
            index: None,
            commit: None,
            form: if is_layout && format == Format::Docker { Form::Docker } else { Form::Oci },
            images: self.images.unwrap_or_default(),
            names: names.collect::<std::result::Result<_, _>>()?,
            containers: self.containers.unwrap_or_default(),
            no_containers: self.no_containers.unwrap_or(false),
            exclude: self.exclude.unwrap_or_default(),
            all: self.all.unwrap_or(false),
            platform: self.platform,
            compress,
            snapshots: match is_layout {
                true => Snapshots::None,
                false => self.snapshots.unwrap_or(Snapshots::Auto),
            },
            on_conflict: self.on_conflict.unwrap_or(OnConflict::Keep),
            dry_run: false,
            switch: self.switch.unwrap_or(false),
            threshold: self.threshold,
            into: at(self.into),
            without: Vec::new(),
            rebuild_missing: self.rebuild_missing.unwrap_or(false),
            to_stdout: false,
            jobs: self.parallel,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> std::result::Result<Vec<Job>, String> {
        parse_toml(text).and_then(|parsed| jobs(parsed, Path::new("/base")))
    }

    #[test]
    fn defaults_fill_in_what_a_job_leaves_out() {
        let text = r#"
            [defaults]
            to = "containerd"
            source = "old"
            compress = "zstd:19"
            on_conflict = "replace"
            format = "oci"
            threshold = "10GB"

            [[jobs]]
            images = ["a:1"]
            switch = true

            [[jobs]]
            name = "out"
            to = "layout"
            source = "/abs"
            into = "../out.tar"
            platform = "linux/arm64"
        "#;
        let found = toml(text).expect("a job file");
        let [first, out] = found.as_slice() else { panic!("two jobs") };
        assert_eq!((first.name.as_str(), out.name.as_str()), ("1", "out"));
        assert_eq!(first.request.at.root.as_deref(), Some(Path::new("/base/old")));
        assert_eq!(first.request.images, ["a:1"]);
        assert_eq!(first.request.on_conflict, OnConflict::Replace);
        assert_eq!(first.request.threshold, Some(10_000_000_000));
        assert!(first.request.switch && !out.request.switch);
        assert_eq!(out.request.to, StoreKind::Layout);
        assert_eq!(out.request.form, Form::Oci);
        assert_eq!(out.request.at.root.as_deref(), Some(Path::new("/abs")));
        assert_eq!(out.request.into.as_deref(), Some(Path::new("/base/../out.tar")));
        assert_eq!(out.request.compress, Compress::Zstd(19));
        assert_eq!(
            out.request.platform.as_ref().map(ToString::to_string).as_deref(),
            Some("linux/arm64")
        );
        let json = r#"{"jobs": [{"to": "classic", "root": "x"}]}"#;
        let parsed = parse_json(json).and_then(|parsed| jobs(parsed, Path::new("/base")));
        let found = parsed.expect("a job file");
        assert_eq!(found[0].request.into.as_deref(), Some(Path::new("/base/x")));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            ("", "missing field `jobs`"),
            ("jobs = []", "there is no job"),
            (
                "[[jobs]]\nto = \"classic\"\n  colour = 1",
                "line 3, column 3: unknown field `colour`",
            ),
            ("[[jobs]]\nto = \"podman\"", "line 2, column 6: unknown variant `podman`"),
            ("[[jobs]\nto = 1", "line 1, column 8"),
            ("top = 1\n[[jobs]]", "line 1, column 1: unknown field `top`"),
            ("[[jobs]]\nto = \"classic\"\ncompress = \"xz\"", "line 3, column 12: `xz` is not"),
            (
                "[[jobs]]\nto = \"classic\"\nthreshold = \"lots\"",
                "line 3, column 13: `lots` is no size",
            ),
            ("[[jobs]]\nto = \"classic\"\nplatform = \"x\"", "line 3, column 12"),
            ("[[jobs]]\nto = \"classic\"\nparallel = 0", "line 3, column 12"),
            ("[[jobs]]\nto = \"classic\"\ninto = \"a\"\nroot = \"b\"", "duplicate field"),
            ("[[jobs]]\nname = \"x\"", "job `x`: it does not say `to`"),
            ("[[jobs]]\nto = \"layout\"", "job `1`: `to = \"layout\"` needs `into`"),
            ("[[jobs]]\nto = \"classic\"\nformat = \"oci\"", "`format` is for"),
            ("[[jobs]]\nto = \"classic\"\ninto = \"a\"\nswitch = true", "no `into`"),
            ("[defaults]\nname = \"x\"\n[[jobs]]\nto = \"classic\"", "belongs to one job"),
            ("[[jobs]]\nto = \"classic\"\n[[jobs]]\nto = \"classic\"\nname = \"1\"", "two jobs"),
        ] {
            let what = toml(text).expect_err(text);
            assert!(what.contains(said), "{text:?}: {what}");
        }
        for (text, said) in [
            (
                "{\"jobs\": [\n {\"to\": \"classic\", \"colour\": 1}]}",
                "line 2, column 27: unknown field",
            ),
            ("{\"jobs\": [", "line 1, column 10: EOF"),
        ] {
            let what = parse_json(text).expect_err(text);
            assert!(what.contains(said), "{text:?}: {what}");
        }
    }
}
