//! The config of an image that a container became.
//!
//! moby v28 daemon/commit.go, image/image.go NewChildImage, daemon/containerd/image_commit.go,
//! daemon/containerd/imagespec.go

use serde_json::{Map, Value, json};

use super::Commit;
use crate::digest::DiffId;
use crate::error::{Error, Place, Result};
use crate::format::docker::change::Changes;
use crate::format::oci::Platform;
use crate::format::time::Timestamp;
use crate::model::{Container, StoreKind};

/// What a config is made of.
pub(super) struct Making<'a> {
    pub(super) commit: &'a Commit,
    pub(super) container: &'a Container,
    /// The config of its image; empty if there is none any more.
    pub(super) base: Map<String, Value>,
    /// What it runs on, where no config says.
    pub(super) platform: &'a Platform,
    /// The layers of the new image.
    pub(super) layers: &'a [DiffId],
    /// Whether the container changed nothing, so that no layer is new.
    pub(super) is_empty: bool,
    /// The store that the container is in: each daemon writes a form of its own.
    pub(super) kind: StoreKind,
    pub(super) now: Timestamp,
}

/// The members of Docker's `container.Config` that an OCI config has too.
const OCI: [&str; 13] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "Shell",
];

impl Making<'_> {
    /// Returns the config's bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let own = own_config(self.container);
        let mut config = own.clone();
        if !self.commit.changes.is_empty() {
            let mut changes = Changes::of(&mut config);
            for line in &self.commit.changes {
                changes.apply(line).map_err(|error| {
                    Error::refused(format!("`--change {line}`: {}", error.what))
                })?;
            }
        }
        merge(&mut config, &own);
        let made = match self.kind {
            StoreKind::Classic => self.classic(config, own),
            _ => self.oci(config, &own),
        };
        serde_json::to_vec(&made)
            .map_err(|error| Error::corrupt(Place::default(), format!("no JSON: {error}")))
    }

    /// The members of the image itself stand in the order of their names.
    fn classic(&self, config: Map<String, Value>, own: Map<String, Value>) -> Map<String, Value> {
        let mut made = Map::new();
        let mut put = |name: &str, value: Value| _ = made.insert(name.to_owned(), value);
        put("architecture", self.platform_member("architecture", &self.platform.architecture));
        if !self.commit.author.is_empty() {
            put("author", json!(self.commit.author));
        }
        put("config", Value::Object(config));
        put("container", json!(self.container.id));
        let history = self.history(&own, &self.commit.author);
        put("container_config", Value::Object(own));
        put("created", json!(self.now.to_string()));
        put("history", history);
        put("os", self.platform_member("os", &self.platform.os));
        for member in ["os.features", "os.version"] {
            self.base.get(member).into_iter().for_each(|value| put(member, value.clone()));
        }
        put("rootfs", self.rootfs());
        self.base.get("variant").into_iter().for_each(|value| put("variant", value.clone()));
        made
    }

    fn oci(&self, mut config: Map<String, Value>, own: &Map<String, Value>) -> Map<String, Value> {
        let base_author = self.base.get("author").and_then(Value::as_str).unwrap_or_default();
        let author = if self.commit.author.is_empty() { base_author } else { &self.commit.author };
        let mut made = Map::new();
        let mut put = |name: &str, value: Value| _ = made.insert(name.to_owned(), value);
        put("created", json!(self.now.to_string()));
        if !author.is_empty() {
            put("author", json!(author));
        }
        put("architecture", self.platform_member("architecture", &self.platform.architecture));
        put("os", self.platform_member("os", &self.platform.os));
        // Docker 28 forgets these three, and with them what the image runs on.
        for member in ["os.version", "os.features", "variant"] {
            self.base.get(member).into_iter().for_each(|value| put(member, value.clone()));
        }
        let mut kept = Map::new();
        for member in OCI {
            if let Some(value) = config.remove(member).filter(|value| !is_empty(value)) {
                kept.insert(member.to_owned(), value);
            }
        }
        put("rootfs", self.rootfs());
        put("history", self.history(own, author));
        put("config", Value::Object(kept));
        made
    }

    fn platform_member(&self, name: &str, otherwise: &str) -> Value {
        let known = self.base.get(name).filter(|value| !is_empty(value));
        known.cloned().unwrap_or_else(|| json!(otherwise))
    }

    fn rootfs(&self) -> Value {
        let layers: Vec<_> = self.layers.iter().map(ToString::to_string).collect();
        json!({"type": "layers", "diff_ids": layers})
    }

    fn history(&self, own: &Map<String, Value>, author: &str) -> Value {
        let mut all =
            self.base.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
        let command = own.get("Cmd").and_then(Value::as_array).into_iter().flatten();
        let command: Vec<_> = command.filter_map(Value::as_str).collect();
        let mut step = Map::new();
        step.insert("created".to_owned(), json!(self.now.to_string()));
        for (member, text) in [
            ("created_by", command.join(" ").as_str()),
            ("author", author),
            ("comment", &self.commit.message),
        ] {
            if !text.is_empty() {
                step.insert(member.to_owned(), json!(text));
            }
        }
        if self.is_empty {
            step.insert("empty_layer".to_owned(), json!(true));
        }
        all.push(Value::Object(step));
        Value::Array(all)
    }
}

/// Returns what the user asked for when the container was made.
fn own_config(container: &Container) -> Map<String, Value> {
    let config = &container.record.config;
    let mut own = config.rest.clone();
    own.insert("Image".to_owned(), json!(config.image));
    own.insert("Labels".to_owned(), json!(config.labels));
    own
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Number(_) => false,
    }
}

/// Fills in what changes left open that took a member whole: moby daemon/commit.go merge.
fn merge(new: &mut Map<String, Value>, old: &Map<String, Value>) {
    let is_open = |map: &Map<String, Value>, member: &str| map.get(member).is_none_or(is_empty);
    if is_open(new, "Entrypoint") && is_open(new, "Cmd") {
        old.get("Cmd").into_iter().for_each(|command| {
            new.insert("Cmd".to_owned(), command.clone());
        });
    }
    if let (Some(Value::Object(new)), Some(Value::Object(old))) =
        (new.get_mut("Healthcheck"), old.get("Healthcheck"))
    {
        for (name, value) in old {
            new.entry(name).or_insert_with(|| value.clone());
        }
    }
}
