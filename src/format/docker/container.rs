//! `containers/<id>/config.v2.json`: what listing a container takes of it, and the few members that
//! bind it to an image store.
//!
//! Source: moby v29 daemon/container/container.go, state.go

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::DecodeError;
use crate::format::edit;
use crate::format::oci::{Descriptor, Platform};
use crate::format::raw::{go_json, or_default};
use crate::format::time::Timestamp;
use crate::format::wide;

/// A reading of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Container {
    /// The ID; dockerd skips the container unless its directory has the same name.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    /// The name, with a `/` before it; see [`Container::name`].
    #[serde(rename = "Name", deserialize_with = "or_default")]
    pub slash_name: String,
    /// When it was made, as written.
    #[serde(deserialize_with = "or_default")]
    pub created: String,
    /// What it does.
    #[serde(deserialize_with = "or_default")]
    pub state: State,
    /// The graph driver or snapshotter its layer is kept by. dockerd shows only containers of its own.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// The image, as its store names it: a config in the classic one, a manifest or index in the other.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    /// The manifest of the image's platform; only of containers in the containerd store.
    pub image_manifest: Option<Descriptor>,
    /// What the image runs on (since 28).
    pub image_platform: Option<Platform>,
    /// What the user asked for.
    #[serde(deserialize_with = "or_default")]
    pub config: Config,
    /// The command.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
    /// Its arguments.
    #[serde(deserialize_with = "or_default")]
    pub args: Vec<String>,
    /// The log, by its path on the machine it was written on.
    #[serde(deserialize_with = "or_default")]
    pub log_path: String,
    /// What is mounted in it, by where.
    #[serde(deserialize_with = "or_default")]
    pub mount_points: BTreeMap<String, MountPoint>,
    /// Its networks and ports, as written; see [`NetworkSettings`](super::network::NetworkSettings).
    #[serde(deserialize_with = "or_default")]
    pub network_settings: Map<String, Value>,
    /// How often the daemon started it again.
    #[serde(deserialize_with = "or_default")]
    pub restart_count: i64,
}

/// What a container does, or did when its daemon last wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct State {
    /// It runs; also while paused or restarting.
    #[serde(deserialize_with = "or_default")]
    pub running: bool,
    /// It is frozen.
    #[serde(deserialize_with = "or_default")]
    pub paused: bool,
    /// It waits to be started again.
    #[serde(deserialize_with = "or_default")]
    pub restarting: bool,
    /// It is being removed; old versions wrote this.
    #[serde(deserialize_with = "or_default")]
    pub removal_in_progress: bool,
    /// Its removal failed.
    #[serde(deserialize_with = "or_default")]
    pub dead: bool,
    /// The kernel ended it for want of memory.
    #[serde(rename = "OOMKilled", deserialize_with = "or_default")]
    pub oom_killed: bool,
    /// How it ended.
    #[serde(deserialize_with = "or_default")]
    pub exit_code: i64,
    /// What went wrong at its last start or stop.
    #[serde(deserialize_with = "or_default")]
    pub error: String,
    /// When it last started, as written.
    #[serde(deserialize_with = "or_default")]
    pub started_at: String,
    /// When it last ended, as written.
    #[serde(deserialize_with = "or_default")]
    pub finished_at: String,
}

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Config {
    /// The image, in the user's words.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    /// The labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// All the rest, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
/// Something mounted in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MountPoint {
    /// `volume`, `bind`, `tmpfs`; empty in old files, where a name means a volume.
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub kind: String,
    /// The name of the volume.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The driver of the volume.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// What is mounted, by its path on the machine it was written on.
    #[serde(deserialize_with = "or_default")]
    pub source: String,
    /// Where.
    #[serde(deserialize_with = "or_default")]
    pub destination: String,
    /// Whether it can be written.
    #[serde(rename = "RW", deserialize_with = "or_default")]
    pub writable: bool,
}

impl MountPoint {
    /// Returns the name of the volume, if this is one.
    #[must_use]
    pub fn volume(&self) -> Option<&str> {
        let is_volume = matches!(self.kind.as_str(), "" | "volume") && !self.name.is_empty();
        is_volume.then_some(&self.name)
    }
}

impl State {
    /// Returns the one word `docker ps -a` shows. `State.State` of moby's state.go has the order.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self { running: true, paused: true, .. } => "paused",
            Self { running: true, restarting: true, .. } => "restarting",
            Self { running: true, .. } => "running",
            Self { removal_in_progress: true, .. } => "removing",
            Self { dead: true, .. } => "dead",
            _ if self.started().is_none() => "created",
            _ => "exited",
        }
    }

    /// Returns when it last started, unless it never did.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.started_at).ok().filter(|time| !time.is_go_zero())
    }

    /// Returns when it last ended, unless it never did.
    #[must_use]
    pub fn finished(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.finished_at).ok().filter(|time| !time.is_go_zero())
    }

    /// Returns whether a daemon left it running, so that what it was writing may be torn.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.running || self.paused || self.restarting
    }
}

impl Container {
    /// Returns the name as Docker shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.slash_name.strip_prefix('/').unwrap_or(&self.slash_name)
    }

    /// Returns whether the volume called `name` is mounted in it.
    #[must_use]
    pub fn mounts_volume(&self, name: &str) -> bool {
        self.mount_points.values().any(|mount| mount.volume() == Some(name))
    }

    /// Returns when it was made, if that can be read.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.created).ok()
    }
}

/// What binds a container to an image store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The graph driver or snapshotter.
    pub driver: &'a str,
    /// The image, as the store names it.
    pub image: &'a str,
    /// The manifest of the image's platform; nothing in the classic store.
    pub image_manifest: Option<&'a Descriptor>,
    /// What the image runs on, if it is known and the file shall say so.
    pub image_platform: Option<&'a Platform>,
}

/// Returns the file `bytes` bound to another store; every other byte of it stays.
///
/// # Errors
/// A file that is no JSON object in UTF-8.
pub fn rebind(bytes: &[u8], to: &Binding<'_>) -> Result<Vec<u8>, DecodeError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| DecodeError::new(wide(error.valid_up_to()), "not UTF-8"))?;
    let mut members = vec![
        ("Driver", go_json(&to.driver)),
        ("Image", go_json(&to.image)),
        ("ImageManifest", go_json(&to.image_manifest)),
    ];
    members.extend(to.image_platform.map(|platform| ("ImagePlatform", go_json(platform))));
    let set = |text: String, (name, value): (&str, Vec<u8>)| {
        edit::set(&text, &[name], &String::from_utf8_lossy(&value))
    };
    members.into_iter().try_fold(text.to_owned(), set).map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::raw::{Raw, decode};

    /// Of a Docker 28.5 root, shortened.
    const REAL: &str = concat!(
        r#"{"StreamConfig":{},"State":{"Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":31373,"ExitCode":0,"Error":"","#,
        r#""StartedAt":"2026-11-20T17:27:44.683066477Z","FinishedAt":"0001-01-01T00:00:00Z","Health":{"Status":"starting","FailingStreak":0,"Log":null}},"#,
        r#""ID":"409111641b537af71d6ff24aa63881075dd7c7c879c40ff3aa2ee1e0210430d2","Created":"2026-11-20T17:27:44.669302888Z","Managed":false,"#,
        r#""Path":"sh","Args":["-c","echo started \u003e/srv/state"],"Config":{"Hostname":"box","Env":["PATH=/bin"],"Image":"registry.example.com:5000/team/app:v2","#,
        r#""Volumes":null,"Labels":{"app":"2"}},"Image":"sha256:6770731b59275c89777c5385a7a7d0d99c6cc713235854abdce8a331d43c0ba4","ImageManifest":null,"#,
        r#""LogPath":"/data/x-json.log","Name":"/running","Driver":"overlay2","OS":"linux","ImagePlatform":{"architecture":"amd64","os":"linux"},"RestartCount":0,"#,
        r#""MountPoints":{"/data":{"Source":"","Destination":"/data","RW":true,"Name":"vol1","Driver":"local","Type":"volume","Spec":{"Type":"volume"}},"#,
        r#""/host":{"Source":"/srv","Destination":"/host","RW":false,"Name":"","Driver":"","Type":"bind"}},"MountLabel":"","Big":12345678901234567890123}"#,
        "\n"
    );

    #[test]
    fn a_container_is_read() {
        let container = Raw::<Container>::parse(REAL.as_bytes()).expect("sound");
        assert_eq!((container.name(), container.driver.as_str()), ("running", "overlay2"));
        assert!(container.id.starts_with("4091") && container.image_manifest.is_none());
        assert_eq!(container.config.image, "registry.example.com:5000/team/app:v2");
        assert_eq!(container.config.labels["app"], "2");
        assert_eq!(container.config.rest["Hostname"], "box");
        assert_eq!((container.state.word(), container.state.is_live()), ("running", true));
        assert_eq!(container.state.finished(), None);
        assert_eq!(
            container.value.created().map(|t| t.to_string()),
            Some(container.created.clone())
        );
        assert_eq!(container.mount_points["/data"].volume(), Some("vol1"));
        assert_eq!(container.mount_points["/host"].volume(), None);
    }

    #[test]
    fn a_state_has_one_word() {
        let started = r#""StartedAt":"2026-11-20T17:27:44Z""#;
        for (state, want) in [
            (r#""Running":true,"Paused":true"#, "paused"),
            (r#""Running":true,"Restarting":true"#, "restarting"),
            (r#""Running":true,"Dead":true"#, "running"),
            (r#""RemovalInProgress":true,"Dead":true"#, "removing"),
            (r#""Dead":true"#, "dead"),
            (r#""StartedAt":"0001-01-01T00:00:00Z""#, "created"),
            (r#""StartedAt":"""#, "created"),
            (started, "exited"),
        ] {
            let text = format!(r#"{{"State":{{{state}}}}}"#);
            let container: Container = decode(text.as_bytes()).expect("sound");
            assert_eq!(container.state.word(), want, "{state}");
        }
        let empty: Container =
            decode(br#"{"State":null,"Config":null,"MountPoints":null}"#).expect("sound");
        assert_eq!(empty, Container::default());
    }

    #[test]
    fn rebinding_leaves_the_rest_alone() {
        let manifest: Descriptor =
            decode(br#"{"mediaType":"m","digest":"d","size":5}"#).expect("sound");
        let there = Binding {
            driver: "overlayfs",
            image: "sha256:index",
            image_manifest: Some(&manifest),
            image_platform: None,
        };
        let moved = rebind(REAL.as_bytes(), &there).expect("an object");
        let want = REAL
            .replace(r#""Driver":"overlay2""#, r#""Driver":"overlayfs""#)
            .replace(
                "sha256:6770731b59275c89777c5385a7a7d0d99c6cc713235854abdce8a331d43c0ba4",
                "sha256:index",
            )
            .replace(
                r#""ImageManifest":null"#,
                r#""ImageManifest":{"mediaType":"m","digest":"d","size":5}"#,
            );
        assert_eq!(String::from_utf8_lossy(&moved), want);
        let image = "sha256:6770731b59275c89777c5385a7a7d0d99c6cc713235854abdce8a331d43c0ba4";
        let back =
            Binding { driver: "overlay2", image, image_manifest: None, image_platform: None };
        assert_eq!(rebind(&moved, &back).as_deref(), Ok(REAL.as_bytes()));
        assert!(rebind(b"[]", &back).is_err() && rebind(b"{\"\xff\":1}", &back).is_err());
    }

    #[test]
    fn rebinding_an_old_container_adds_what_it_lacked() {
        let platform =
            Platform { architecture: "amd64".into(), os: "linux".into(), ..Platform::default() };
        let to = Binding {
            driver: "d",
            image: "i",
            image_manifest: None,
            image_platform: Some(&platform),
        };
        let moved = rebind(br#"{"ID":"x","Driver":"aufs"}"#, &to).expect("an object");
        let want = r#"{"ID":"x","Driver":"d","Image":"i","ImageManifest":null,"ImagePlatform":{"architecture":"amd64","os":"linux"}}"#;
        assert_eq!(String::from_utf8_lossy(&moved), want);
    }
}
