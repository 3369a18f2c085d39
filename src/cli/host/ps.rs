//! Containers in rows.

use rayon::prelude::*;

use super::finding;
use super::images::timestamp;
use crate::cli::ops::Containers;
use crate::cli::rows::FindingRow;
use crate::cli::rows::ps::{ContainerRow, MountRow, PortRow, StateRow};
use crate::error::Error;
use crate::format::docker::container::{MountPoint, State};
use crate::format::docker::host_config::{HostConfig, PortMap};
use crate::format::docker::network::NetworkSettings;
use crate::model::{Finding, Severity};
use crate::op::host::{ContainerAt, DataRoot, Host};

pub(super) fn rows(host: &Host, sizes: bool) -> Containers {
    let mut all = Containers::default();
    for root in &host.roots {
        all.findings.extend(root.findings.iter().map(finding));
        let here: Vec<ContainerAt<'_>> = root.containers().collect();
        let rows: Vec<_> = here.par_iter().map(|at| row(root, at, sizes)).collect();
        for (row, findings) in rows {
            all.rows.push(row);
            all.findings.extend(findings);
        }
    }
    all
}

fn row(root: &DataRoot, at: &ContainerAt<'_>, sizes: bool) -> (ContainerRow, Vec<FindingRow>) {
    let (container, record) = (at.container, &at.container.record);
    let mut findings = Vec::new();
    let mut note = |code, error: &Error| {
        let what = format!("container {}: {}", container.name, error.what());
        let found = Finding { what, ..Finding::of(code, Severity::WouldNotLoad, error) };
        findings.push(finding(&found));
    };
    let machine = at.machine().unwrap_or_else(|error| {
        note("container-unreadable", &error);
        None
    });
    let size = match at.seen {
        None => at.source().map(|_| None),
        Some(_) if sizes => at.size().map(Some),
        Some(_) => at.source().and_then(|source| source.writable(&container.id)).map(|_| None),
    };
    let size = size.unwrap_or_else(|error| {
        note("container-without-layer", &error);
        None
    });
    let networks = at.networks();
    let open = at.seen.is_some_and(|seen| seen.open_by_daemon == Some(true));
    let row = ContainerRow {
        root: root.place.clone(),
        store: at.seen.map(|seen| seen.here.kind),
        driver: container.driver.clone(),
        hidden: at.seen.is_none_or(|seen| seen.hidden),
        id: container.id.clone(),
        name: container.name.clone(),
        image: container.image_name.clone(),
        image_id: record.image.clone(),
        image_present: at.image().is_some(),
        command: std::iter::once(&record.path).chain(&record.args).cloned().collect(),
        created: record.created().and_then(timestamp),
        state: state(&record.state, record.restart_count),
        was_running: container.running && !open,
        ports: ports(&networks, machine.as_ref()),
        restart: machine.as_ref().map(|machine| machine.restart_policy.text()),
        size: size.map(|size| size.bytes),
        size_on_disk: size.map(|size| size.on_disk),
        labels: record.config.labels.clone(),
        mounts: record.mount_points.values().map(mount).collect(),
        networks: networks.networks.into_keys().collect(),
    };
    (row, findings)
}

pub(super) fn state(state: &State, restarts: i64) -> StateRow {
    StateRow {
        status: state.word().to_owned(),
        exit_code: state.exit_code,
        oom_killed: state.oom_killed,
        error: Some(state.error.clone()).filter(|error| !error.is_empty()),
        started: state.started().and_then(timestamp),
        finished: state.finished().and_then(timestamp),
        restarts,
    }
}

/// A container that does not run has no ports; what it asked for it will have again.
fn ports(networks: &NetworkSettings, machine: Option<&HostConfig>) -> Vec<PortRow> {
    let had = ports_of(&networks.ports);
    match machine {
        Some(machine) if had.is_empty() => ports_of(&machine.port_bindings),
        _ => had,
    }
}

fn ports_of(map: &PortMap) -> Vec<PortRow> {
    let of = |(port, bindings): (&String, &Option<Vec<_>>)| {
        let (private, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let bindings = bindings.as_deref().unwrap_or_default().iter();
        bindings
            .map(|binding: &crate::format::docker::host_config::PortBinding| PortRow {
                ip: binding.host_ip.clone(),
                public: Some(binding.host_port.clone()).filter(|port| !port.is_empty()),
                private: private.to_owned(),
                protocol: protocol.to_owned(),
            })
            .collect::<Vec<_>>()
    };
    map.iter().flat_map(of).collect()
}

fn mount(point: &MountPoint) -> MountRow {
    let volume = point.volume();
    MountRow {
        kind: match point.kind.as_str() {
            "" if volume.is_some() => "volume".to_owned(),
            "" => "bind".to_owned(),
            kind => kind.to_owned(),
        },
        source: volume.unwrap_or(&point.source).to_owned(),
        destination: point.destination.clone(),
        writable: point.writable,
    }
}
