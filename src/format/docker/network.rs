//! `NetworkSettings` of a container: the networks it is on and the ports it has.
//!
//! Source: moby v28 daemon/network/settings.go, api/types/network/endpoint.go

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::host_config::PortMap;
use crate::format::raw::or_default;

/// A reading of a container's networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// The ports it had when it last ran.
    #[serde(deserialize_with = "or_default")]
    pub ports: PortMap,
    /// The networks, by name.
    #[serde(deserialize_with = "or_default")]
    pub networks: BTreeMap<String, Endpoint>,
}

/// How a container is on a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Endpoint {
    /// The addresses that were asked for.
    #[serde(rename = "IPAMConfig", deserialize_with = "or_default")]
    pub asked: Addresses,
    /// Other containers, by names of its own.
    #[serde(deserialize_with = "or_default")]
    pub links: Vec<String>,
    /// Its names there.
    #[serde(deserialize_with = "or_default")]
    pub aliases: Vec<String>,
    /// The address of its card, if one was asked for.
    #[serde(deserialize_with = "or_default")]
    pub desired_mac_address: String,
    /// Options for the network's driver.
    #[serde(deserialize_with = "or_default")]
    pub driver_opts: BTreeMap<String, String>,
    /// Which network's gateway is taken: that of the largest.
    #[serde(deserialize_with = "or_default")]
    pub gw_priority: i64,
    /// The address it had.
    #[serde(rename = "IPAddress", deserialize_with = "or_default")]
    pub address: String,
}

/// Addresses that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Addresses {
    /// Of version 4.
    #[serde(rename = "IPv4Address", deserialize_with = "or_default")]
    pub v4: String,
    /// Of version 6.
    #[serde(rename = "IPv6Address", deserialize_with = "or_default")]
    pub v6: String,
    /// For the link alone.
    #[serde(rename = "LinkLocalIPs", deserialize_with = "or_default")]
    pub link_local: Vec<String>,
}

impl NetworkSettings {
    /// Reads what a container's file has of them. What is none of it says nothing: no daemon needs it
    /// to show a container.
    #[must_use]
    pub fn of(members: &Map<String, Value>) -> Self {
        Self::deserialize(Value::Object(members.clone())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::raw::decode;

    #[test]
    fn networks_are_read() {
        let text = br#"{"Ports":{"80/tcp":[{"HostIp":"::","HostPort":"80"}],"9/udp":null},"Networks":{"back":{
            "IPAMConfig":{"IPv4Address":"10.0.0.9"},"Aliases":["db"],"DesiredMacAddress":"02:00","DriverOpts":null},"none":{"IPAMConfig":null}}}"#;
        let read = NetworkSettings::of(&decode(text).expect("an object"));
        let back = &read.networks["back"];
        assert_eq!((back.asked.v4.as_str(), back.aliases[0].as_str()), ("10.0.0.9", "db"));
        assert_eq!(read.networks["none"], Endpoint::default());
        assert_eq!(read.ports.len(), 2);
        let broken = NetworkSettings::of(&decode(br#"{"Networks":[1]}"#).expect("an object"));
        assert_eq!(broken, NetworkSettings::default());
    }
}
