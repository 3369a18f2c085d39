//! What is wrong, in rows.

use std::num::NonZeroUsize;
use std::time::Instant;

use super::{finding, survey};
use crate::cli::ops::VerifyRequest;
use crate::cli::rows::verify::{Becomes, StartKind, StartRow, VerifyReport};
use crate::error::Result;
use crate::op::verify::{StartAt, Wanted, verify};
use crate::store::Progress;

pub(super) fn rows(request: &VerifyRequest, progress: &dyn Progress) -> Result<VerifyReport> {
    let begun = Instant::now();
    let host = survey(&request.at)?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = request.jobs.map_or_else(cores, NonZeroUsize::get);
    let found = verify(&host, &Wanted { quick: request.quick, jobs }, progress)?;
    let mut stores = host.roots.iter().flat_map(|root| &root.stores);
    Ok(VerifyReport {
        findings: found.findings.iter().map(finding).collect(),
        checked: found.checked.iter().map(|(sort, n)| ((*sort).to_owned(), *n)).collect(),
        starts: found.starts.iter().map(start).collect(),
        roots: host.roots.iter().map(|root| root.place.clone()).collect(),
        bytes: found.bytes,
        seconds: begun.elapsed().as_secs_f64(),
        open_by_daemon: stores.any(|seen| seen.open_by_daemon == Some(true)),
    })
}

fn start(at: &StartAt) -> StartRow {
    let start = &at.start;
    StartRow {
        root: at.root.clone(),
        store: at.store,
        hidden: at.hidden,
        kind: if start.container { StartKind::Container } else { StartKind::Image },
        id: start.id.clone(),
        names: start.names.clone(),
        becomes: match (&start.fails, start.silently) {
            (None, _) => Becomes::Shown,
            (Some(_), false) => Becomes::Broken,
            (Some(_), true) => Becomes::PassedOver,
        },
        why: start.fails.clone(),
    }
}
