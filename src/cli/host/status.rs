//! A host's stores in rows.

use super::finding;
use crate::cli::rows::StoreKind;
use crate::cli::rows::status::{ChangeRow, ChoiceRow, NextStart, RootRow, Status, StoreRow};
use crate::model::next_start::{Choice, Store};
use crate::op::host::{DataRoot, Host, Seen, room};

pub(super) fn rows(host: &Host) -> Status {
    Status { roots: host.roots.iter().map(root).collect() }
}

fn root(root: &DataRoot) -> RootRow {
    let stores: Vec<StoreRow> = root.stores.iter().map(store).collect();
    let found = root.stores.iter().filter_map(Seen::inventory).flat_map(|found| &found.findings);
    RootRow {
        path: root.place.clone(),
        next_start: root.choices.as_ref().map(|choices| NextStart {
            docker_28: choice(&choices.docker_28),
            docker_29: choice(&choices.docker_29),
            rancher_auto: choice(&choices.rancher_auto),
        }),
        changes: changes(root, &stores),
        findings: root.findings.iter().chain(found).map(finding).collect(),
        stores,
    }
}

fn store(seen: &Seen) -> StoreRow {
    let room = room(&seen.here).ok();
    StoreRow {
        store: seen.here.kind,
        driver: seen.here.driver.clone(),
        path: seen.here.place.clone(),
        images: seen.inventory().map_or(0, |found| found.images.len() as u64),
        containers: seen.inventory().map_or(0, |found| found.containers.len() as u64),
        bytes: room.map(|room| room.bytes),
        bytes_estimated: room.is_some_and(|room| !room.counted),
        open_by_daemon: seen.open_by_daemon.unwrap_or(false),
        hidden: seen.hidden,
    }
}

fn kind(store: &Store) -> Option<StoreKind> {
    match store {
        Store::Classic { .. } => Some(StoreKind::Classic),
        Store::Containerd { .. } => Some(StoreKind::Containerd),
        Store::StartError => None,
    }
}

fn choice(choice: &Choice) -> ChoiceRow {
    ChoiceRow { store: kind(&choice.store), why: clause(&choice.why) }
}

/// What to change to see each store that will be hidden.
fn changes(root: &DataRoot, stores: &[StoreRow]) -> Vec<ChangeRow> {
    let mut changes: Vec<ChangeRow> = Vec::new();
    for hidden in stores.iter().filter(|store| store.hidden) {
        let other = match hidden.store {
            StoreKind::Classic => StoreKind::Containerd,
            StoreKind::Containerd => StoreKind::Classic,
            StoreKind::Layout | StoreKind::Archive => continue,
        };
        let Some(choices) = &root.choices else { continue };
        for choice in [&choices.docker_29, &choices.docker_28] {
            let shown = kind(&choice.store).is_none_or(|shown| shown == other);
            let known = changes.iter().any(|change| change.to == hidden.store);
            if let (true, false, Some(what)) = (shown, known, &choice.change) {
                changes.push(ChangeRow { to: hidden.store, what: clause(what), command: None });
            }
        }
    }
    changes
}

/// Rows hold clauses: they stand in the middle of a sentence.
fn clause(sentence: &str) -> String {
    let text = sentence.trim_end_matches('.');
    let mut letters = text.chars();
    let (first, second) = (letters.next(), letters.next());
    match (first, second) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            let is_name = text.starts_with("Docker") || text.starts_with("Rancher");
            let rest = &text[first.len_utf8()..];
            if is_name {
                text.to_owned()
            } else {
                first.to_lowercase().chain(rest.chars()).collect()
            }
        }
        _ => text.to_owned(),
    }
}
