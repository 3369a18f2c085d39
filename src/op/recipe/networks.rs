//! Networks, names on them, and ports.

use std::collections::BTreeMap;

use super::mounts::external;
use super::{Facts, Placed, Recipe, Yaml, at};
use crate::format::docker::host_config::{HostConfig, PortBinding};
use crate::format::docker::network::Endpoint;

impl Recipe {
    /// Adds where the container can be reached.
    pub(super) fn networks(&mut self, facts: &Facts<'_>, machine: &HostConfig) {
        let mode = machine.network_mode.as_str();
        let known = &facts.networks.networks;
        if matches!(mode, "none" | "host") || mode.starts_with("container:") {
            self.text("--network", "network_mode", mode);
        } else {
            let first = known.get(mode);
            // Docker knows the network it gives unasked by both of these names.
            if !matches!(mode, "" | "default" | "bridge") || known.len() > 1 {
                let name = if matches!(mode, "" | "default") { "bridge" } else { mode };
                self.add("--network", Some(name.to_owned()), network(name, facts, first));
                self.first(facts, first);
            } else {
                self.first(facts, known.get("bridge"));
            }
            let is_first = |name: &str| name == mode || (mode == "default" && name == "bridge");
            for (name, endpoint) in known.iter().filter(|(name, _)| !is_first(name)) {
                let value = long(name, facts, endpoint);
                self.add("--network", Some(value), network(name, facts, Some(endpoint)));
            }
        }
        self.text("--mac-address", "mac_address", &facts.runs.mac_address);
        self.ports(facts, machine);
        self.each("--dns", "dns", &machine.dns);
        self.each("--dns-search", "dns_search", &machine.dns_search);
        self.each("--dns-option", "dns_opt", &machine.dns_options);
        self.each("--add-host", "extra_hosts", &machine.extra_hosts);
        for link in &machine.links {
            let (other, alias) = link.split_once(':').unwrap_or((link, link));
            let alias = alias.rsplit('/').next().unwrap_or_default();
            let value = format!("{}:{alias}", other.trim_start_matches('/'));
            self.item("--link", "external_links", value);
        }
    }

    /// Adds what was asked for on the first network.
    fn first(&mut self, facts: &Facts<'_>, endpoint: Option<&Endpoint>) {
        let Some(endpoint) = endpoint else { return };
        for alias in aliases(facts, endpoint) {
            self.add("--network-alias", Some(alias.clone()), Vec::new());
        }
        for (option, value) in [("--ip", &endpoint.asked.v4), ("--ip6", &endpoint.asked.v6)] {
            if !value.is_empty() {
                self.add(option, Some(value.clone()), Vec::new());
            }
        }
        for address in &endpoint.asked.link_local {
            self.add("--link-local-ip", Some(address.clone()), Vec::new());
        }
        if facts.runs.mac_address.is_empty() {
            self.text("--mac-address", "mac_address", &endpoint.desired_mac_address);
        }
    }

    fn ports(&mut self, facts: &Facts<'_>, machine: &HostConfig) {
        self.on("--publish-all", "", machine.publish_all_ports);
        if machine.publish_all_ports {
            self.compose_notes.push("a compose file cannot publish all ports".to_owned());
        }
        for (port, bindings) in &machine.port_bindings {
            for binding in bindings.as_deref().unwrap_or_default() {
                self.item("--publish", "ports", published(port, binding));
            }
        }
        let of_image = facts.image.map(|image| &image.exposed_ports);
        let is_told = |port: &String| {
            machine.port_bindings.contains_key(port)
                || of_image.is_some_and(|ports| ports.contains_key(port))
        };
        for port in facts.runs.exposed_ports.keys().filter(|port| !is_told(port)) {
            self.item("--expose", "expose", port.clone());
        }
    }
}

/// Returns a port as `--publish` takes it; `tcp` goes without saying.
fn published(port: &str, binding: &PortBinding) -> String {
    let port = port.strip_suffix("/tcp").unwrap_or(port);
    let ip = match binding.host_ip.as_str() {
        "" => String::new(),
        ip if ip.contains(':') => format!("[{ip}]:"),
        ip => format!("{ip}:"),
    };
    match (ip.as_str(), binding.host_port.as_str()) {
        ("", "" | "0") => port.to_owned(),
        (_, "0") => format!("{ip}:{port}"),
        (_, host) => format!("{ip}{host}:{port}"),
    }
}

/// Docker gives each container the start of its ID as a name of its own (until 25.0), and its name.
fn aliases<'a>(facts: &Facts<'a>, endpoint: &'a Endpoint) -> impl Iterator<Item = &'a String> {
    let id = facts.id;
    endpoint.aliases.iter().filter(move |alias| !id.starts_with(alias.as_str()))
}

/// Returns the long form of `--network`, which is one of comma-separated fields.
fn long(name: &str, facts: &Facts<'_>, endpoint: &Endpoint) -> String {
    let mut fields = vec![("name", name.to_owned())];
    fields.extend(aliases(facts, endpoint).map(|alias| ("alias", alias.clone())));
    let asked = &endpoint.asked;
    let texts =
        [("ip", &asked.v4), ("ip6", &asked.v6), ("mac-address", &endpoint.desired_mac_address)];
    fields.extend(texts.map(|(key, value)| (key, value.clone())));
    fields.extend(asked.link_local.iter().map(|ip| ("link-local-ip", ip.clone())));
    let options = endpoint.driver_opts.iter();
    fields.extend(options.map(|(key, value)| ("driver-opt", format!("{key}={value}"))));
    if endpoint.gw_priority != 0 {
        fields.push(("gw-priority", endpoint.gw_priority.to_string()));
    }
    let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    match fields.as_slice() {
        [(_, name)] => name.clone(),
        fields => super::mounts::csv(fields),
    }
}

/// Returns what a compose file says of one network.
fn network(name: &str, facts: &Facts<'_>, endpoint: Option<&Endpoint>) -> Vec<Placed> {
    let mut members = Vec::new();
    if let Some(endpoint) = endpoint {
        let names: Vec<String> = aliases(facts, endpoint).cloned().collect();
        if !names.is_empty() {
            members.push(("aliases".to_owned(), super::runs::list(&names)));
        }
        let asked = &endpoint.asked;
        let texts = BTreeMap::from([("ipv4_address", &asked.v4), ("ipv6_address", &asked.v6)]);
        for (key, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            members.push((key.to_owned(), Yaml::Text(value.clone())));
        }
    }
    vec![at(&["networks", name], Yaml::Map(members)), external("/networks", name)]
}
