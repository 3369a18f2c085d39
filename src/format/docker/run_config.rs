//! `Config` of a container, `config` of an image: what runs, and with what.
//!
//! Source: moby v28 api/types/container/config.go, moby/docker-image-spec v1.3

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::format::raw::or_default;

/// A reading of what runs. Docker makes a container's of the user's words and the image's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the members are Docker's, by Docker's names")]
pub struct RunConfig {
    #[serde(deserialize_with = "or_default")]
    pub attach_stderr: bool,
    #[serde(deserialize_with = "or_default")]
    pub attach_stdin: bool,
    #[serde(deserialize_with = "or_default")]
    pub attach_stdout: bool,
    #[serde(deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub domainname: String,
    #[serde(deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub exposed_ports: BTreeMap<String, Value>,
    #[serde(deserialize_with = "or_default")]
    pub healthcheck: Healthcheck,
    #[serde(deserialize_with = "or_default")]
    pub hostname: String,
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub mac_address: String,
    #[serde(deserialize_with = "or_default")]
    pub open_stdin: bool,
    #[serde(deserialize_with = "or_default")]
    pub stop_signal: String,
    pub stop_timeout: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub tty: bool,
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    #[serde(deserialize_with = "or_default")]
    pub volumes: BTreeMap<String, Value>,
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
}

/// How a daemon asks whether a container is well. Times are nanoseconds, 0 for the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the members are Docker's, by Docker's names")]
pub struct Healthcheck {
    #[serde(deserialize_with = "or_default")]
    pub test: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub interval: i64,
    #[serde(deserialize_with = "or_default")]
    pub timeout: i64,
    #[serde(deserialize_with = "or_default")]
    pub start_period: i64,
    #[serde(deserialize_with = "or_default")]
    pub start_interval: i64,
    #[serde(deserialize_with = "or_default")]
    pub retries: i64,
}

/// The part of an image's config that is about running it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ImageRuns {
    /// What runs.
    #[serde(deserialize_with = "or_default")]
    pub config: RunConfig,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::raw::decode;

    #[test]
    fn what_runs_is_read_of_images_and_containers() {
        let text = br#"{"config":{"Cmd":["sh"],"Entrypoint":null,"Env":["A=1"],"Volumes":{"/v":{}},"Labels":null,
            "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":5000000000},"StopTimeout":7,"OnBuild":["RUN x"]}}"#;
        let read: ImageRuns = decode(text).expect("sound");
        let runs = read.config;
        assert_eq!(
            (runs.cmd, runs.entrypoint, runs.env),
            (vec!["sh".into()], vec![], vec!["A=1".into()])
        );
        assert_eq!((runs.healthcheck.interval, runs.stop_timeout), (5_000_000_000, Some(7)));
        assert!(runs.volumes.contains_key("/v"));
        assert_eq!(decode::<ImageRuns>(br#"{"config":null}"#), Ok(ImageRuns::default()));
    }
}
