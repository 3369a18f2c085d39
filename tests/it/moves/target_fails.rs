//! A target that fails while layers and containers are copied is told as that: nothing is said of the source.

use std::sync::Arc;

use rayon::prelude::*;
use tranship::error::ErrorKind;
use tranship::model::StoreKind;
use tranship::op::transfer::Containers;
use tranship::tree::{Memory, Sink, Tree};

use super::{migrate, root, source, there_and_back};
use crate::support::fault::{Fault, FaultSink};
use crate::support::nothing_is;

#[test]
fn of_the_containerd_store() {
    every_operation_fails(&root(), StoreKind::Classic);
}

#[test]
fn of_the_classic_store() {
    every_operation_fails(&there_and_back(StoreKind::Classic), StoreKind::Containerd);
}

/// The classic store is new.
#[test]
fn of_a_new_classic_store() {
    let there = there_and_back(StoreKind::Classic);
    for gone in ["image", "overlay2"].map(tranship::tree::path) {
        there.remove(gone).expect("below the root");
    }
    every_operation_fails(&there, StoreKind::Containerd);
}

fn every_operation_fails(base: &Memory, from: StoreKind) {
    let operations = failing(base, from, usize::MAX).1;
    let wrong = (1..=operations).into_par_iter().filter_map(|n| failing(base, from, n).0.err());
    nothing_is(&wrong.collect::<Vec<_>>());
}

/// Moves everything while an operation fails; returns what is wrong with what is said of it, and how many
/// operations there were.
fn failing(base: &Memory, from: StoreKind, n: usize) -> (Result<(), String>, usize) {
    let before: Arc<dyn Tree> = Arc::new(base.clone());
    let from = source(&before, from).expect("sound");
    let dying = Arc::new(FaultSink::new(base.clone(), Fault::Fails(n)));
    let sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&dying);
    let ended = migrate(&*from, &sink, &Containers::OfImages);
    let log = dying.log();
    let at = log.get(n.wrapping_sub(1)).map(String::as_str).unwrap_or_default();
    let held = match ended {
        Ok((_, outcome)) if outcome.findings.iter().any(|found| found.code != "staging-left") => {
            Err(format!("found {:?}", outcome.findings))
        }
        Ok((_, outcome)) if !outcome.failed.is_empty() || !outcome.failed_containers.is_empty() => {
            Err(format!("{outcome:?}"))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let place = error.place().map(|place| String::from_utf8_lossy(&place.path));
            let (_, path) = at.rsplit_once(' ').unwrap_or_default();
            match (error.kind(), place) {
                (ErrorKind::Io, Some(place)) if place == path => Ok(()),
                _ => Err(format!("it ends with {error}")),
            }
        }
    };
    (held.map_err(|what| format!("operation {n} ({at}): {what}")), log.len())
}
