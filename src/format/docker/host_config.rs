//! `containers/<id>/hostconfig.json`: what the user asked of the machine for a container.
//!
//! Source: moby v28 api/types/container/hostconfig.go, api/types/mount/mount.go

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::format::raw::or_default;

/// A reading of what a container has of its machine. Members that are not there, or are null, say
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the members are Docker's, by Docker's names")]
pub struct HostConfig {
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub auto_remove: bool,
    #[serde(deserialize_with = "or_default")]
    pub binds: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub blkio_device_read_bps: Vec<Throttle>,
    #[serde(rename = "BlkioDeviceReadIOps", deserialize_with = "or_default")]
    pub blkio_device_read_iops: Vec<Throttle>,
    #[serde(deserialize_with = "or_default")]
    pub blkio_device_write_bps: Vec<Throttle>,
    #[serde(rename = "BlkioDeviceWriteIOps", deserialize_with = "or_default")]
    pub blkio_device_write_iops: Vec<Throttle>,
    #[serde(deserialize_with = "or_default")]
    pub blkio_weight: u64,
    #[serde(deserialize_with = "or_default")]
    pub cap_add: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub cap_drop: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub cgroup_parent: String,
    #[serde(deserialize_with = "or_default")]
    pub cgroupns_mode: String,
    #[serde(deserialize_with = "or_default")]
    pub cpu_period: i64,
    #[serde(deserialize_with = "or_default")]
    pub cpu_quota: i64,
    #[serde(deserialize_with = "or_default")]
    pub cpu_realtime_period: i64,
    #[serde(deserialize_with = "or_default")]
    pub cpu_realtime_runtime: i64,
    #[serde(deserialize_with = "or_default")]
    pub cpu_shares: i64,
    #[serde(deserialize_with = "or_default")]
    pub cpuset_cpus: String,
    #[serde(deserialize_with = "or_default")]
    pub cpuset_mems: String,
    #[serde(deserialize_with = "or_default")]
    pub device_cgroup_rules: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub device_requests: Vec<DeviceRequest>,
    #[serde(deserialize_with = "or_default")]
    pub devices: Vec<Device>,
    #[serde(deserialize_with = "or_default")]
    pub dns: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub dns_options: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub dns_search: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub extra_hosts: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub group_add: Vec<String>,
    pub init: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub ipc_mode: String,
    #[serde(deserialize_with = "or_default")]
    pub links: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub log_config: LogConfig,
    pub masked_paths: Option<Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    pub memory: i64,
    #[serde(deserialize_with = "or_default")]
    pub memory_reservation: i64,
    #[serde(deserialize_with = "or_default")]
    pub memory_swap: i64,
    pub memory_swappiness: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub mounts: Vec<Mount>,
    #[serde(deserialize_with = "or_default")]
    pub nano_cpus: i64,
    #[serde(deserialize_with = "or_default")]
    pub network_mode: String,
    pub oom_kill_disable: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub oom_score_adj: i64,
    #[serde(deserialize_with = "or_default")]
    pub pid_mode: String,
    pub pids_limit: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub port_bindings: PortMap,
    #[serde(deserialize_with = "or_default")]
    pub privileged: bool,
    #[serde(deserialize_with = "or_default")]
    pub publish_all_ports: bool,
    pub readonly_paths: Option<Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    pub readonly_rootfs: bool,
    #[serde(deserialize_with = "or_default")]
    pub restart_policy: RestartPolicy,
    #[serde(deserialize_with = "or_default")]
    pub runtime: String,
    #[serde(deserialize_with = "or_default")]
    pub security_opt: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub shm_size: i64,
    #[serde(deserialize_with = "or_default")]
    pub storage_opt: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub sysctls: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub tmpfs: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub ulimits: Vec<Ulimit>,
    #[serde(deserialize_with = "or_default")]
    pub userns_mode: String,
    #[serde(rename = "UTSMode", deserialize_with = "or_default")]
    pub uts_mode: String,
    #[serde(deserialize_with = "or_default")]
    pub volume_driver: String,
    #[serde(deserialize_with = "or_default")]
    pub volumes_from: Vec<String>,
}

/// Ports of a container, such as `80/tcp`, and where on the machine each is.
///
/// A port that is only exposed has null.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// Where on the machine a port is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PortBinding {
    /// The address; empty for all.
    #[serde(deserialize_with = "or_default")]
    pub host_ip: String,
    /// The port, or a range; empty for any.
    #[serde(deserialize_with = "or_default")]
    pub host_port: String,
}

/// When a daemon starts a container again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped`, `on-failure`, or nothing.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// How often after a failure; 0 for no limit.
    #[serde(deserialize_with = "or_default")]
    pub maximum_retry_count: i64,
}

impl RestartPolicy {
    /// Returns the policy as `--restart` takes it.
    #[must_use]
    pub fn text(&self) -> String {
        match (self.name.as_str(), self.maximum_retry_count) {
            ("", _) => "no".to_owned(),
            ("on-failure", count) if count > 0 => format!("on-failure:{count}"),
            (name, _) => name.to_owned(),
        }
    }
}

/// Where the output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LogConfig {
    /// The log driver.
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub driver: String,
    /// Its options.
    #[serde(rename = "Config", deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
}

/// A limit of the kernel for each process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ulimit {
    /// Its name, such as `nofile`.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// What no process may exceed.
    #[serde(deserialize_with = "or_default")]
    pub hard: i64,
    /// What a process begins with.
    #[serde(deserialize_with = "or_default")]
    pub soft: i64,
}

/// A device of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Device {
    /// Its path on the machine.
    #[serde(deserialize_with = "or_default")]
    pub path_on_host: String,
    /// Its path in the container.
    #[serde(deserialize_with = "or_default")]
    pub path_in_container: String,
    /// What may be done with it: of `r`, `w`, `m`.
    #[serde(deserialize_with = "or_default")]
    pub cgroup_permissions: String,
}

/// A limit for one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Throttle {
    /// The device.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
    /// How much in a second.
    #[serde(deserialize_with = "or_default")]
    pub rate: u64,
}

/// Devices that a driver hands out, such as GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeviceRequest {
    /// The driver; empty for any that can.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// How many; -1 for all.
    #[serde(deserialize_with = "or_default")]
    pub count: i64,
    /// Which.
    #[serde(rename = "DeviceIDs", deserialize_with = "or_default")]
    pub ids: Vec<String>,
    /// What they must be able to do: one of these lists.
    #[serde(deserialize_with = "or_default")]
    pub capabilities: Vec<Vec<String>>,
}

/// What `--mount` asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Mount {
    /// `volume`, `bind`, `tmpfs`, `image`, `npipe` or `cluster`.
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub kind: String,
    /// What is mounted.
    #[serde(deserialize_with = "or_default")]
    pub source: String,
    /// Where.
    #[serde(deserialize_with = "or_default")]
    pub target: String,
    /// Whether it cannot be written.
    #[serde(deserialize_with = "or_default")]
    pub read_only: bool,
    /// The options of the sort of mount, as written.
    #[serde(flatten)]
    pub options: BTreeMap<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::raw::decode;

    #[test]
    fn what_a_container_has_of_its_machine_is_read() {
        let text = r#"{"Binds":["vol1:/data"],"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}},
            "PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}],"81/udp":null},"UTSMode":"host",
            "RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},"CapAdd":null,"Memory":1048576,
            "PidsLimit":null,"Init":true,"MaskedPaths":[],"ReadonlyPaths":null,"NewThing":{"a":1},
            "BlkioDeviceReadIOps":[{"Path":"/dev/sda","Rate":5}],"DeviceRequests":[{"DeviceIDs":["0"]}],
            "Mounts":[{"Type":"volume","Source":"v","Target":"/v","VolumeOptions":{"NoCopy":true}}]}"#;
        let read: HostConfig = decode(text.as_bytes()).expect("sound");
        assert_eq!(read.binds, ["vol1:/data"]);
        assert_eq!(read.log_config.options["max-size"], "1m");
        let web = read.port_bindings["80/tcp"].as_deref().expect("a binding");
        assert_eq!((web[0].host_ip.as_str(), web[0].host_port.as_str()), ("", "8080"));
        assert!(read.port_bindings["81/udp"].is_none());
        assert_eq!((read.restart_policy.text().as_str(), read.memory), ("on-failure:3", 1 << 20));
        assert_eq!(
            (read.init, read.pids_limit, read.uts_mode.as_str()),
            (Some(true), None, "host")
        );
        assert_eq!((read.masked_paths, read.readonly_paths), (Some(Vec::new()), None));
        assert_eq!(read.blkio_device_read_iops[0].rate, 5);
        assert_eq!(read.device_requests[0].ids, ["0"]);
        assert_eq!(read.mounts[0].options["VolumeOptions"]["NoCopy"], true);
        assert_eq!(decode::<HostConfig>(b"{}"), Ok(HostConfig::default()));
        assert_eq!(HostConfig::default().restart_policy.text(), "no");
        assert!(decode::<HostConfig>(br#"{"Binds":{}}"#).is_err());
    }
}
