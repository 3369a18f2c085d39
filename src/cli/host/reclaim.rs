//! Reclaims in rows.

use super::migrate::now;
use super::{finding, this_platform};
use crate::cli::ops::{self, ReclaimRequest};
use crate::cli::rows::migrate::StayRow;
use crate::cli::rows::reclaim::{Reclaimed, RunRow, WasteRow};
use crate::error::Result;
use crate::op::reclaim::{self, Part, Prepared, Request, Unproven};
use crate::store::Progress;
use crate::store::reclaim::{Stay, Waste};

/// A plan with what is shown of it.
#[derive(Debug)]
struct Shown {
    prepared: Prepared,
    rows: Reclaimed,
}

pub(super) fn prepare(
    request: &ReclaimRequest,
    progress: &dyn Progress,
) -> Result<Box<dyn ops::Reclaiming>> {
    let prepared = reclaim::prepare(
        Request {
            at: request.at.root.clone(),
            containerd_root: request.at.containerd_root.clone(),
            daemon_config: request.at.daemon_config.clone(),
            store: request.store,
            force_unverified: request.force_unverified,
            orphans: request.orphans,
            blobs: request.blobs,
            leases: request.leases,
            quarantine: request.quarantine,
            build_cache: request.build_cache,
            keep: request.keep,
            dry_run: request.dry_run,
            platform: this_platform(),
            now: now(),
        },
        progress,
    )?;
    let rows = rows(&prepared, request);
    Ok(Box::new(Shown { prepared, rows }))
}

fn rows(prepared: &Prepared, request: &ReclaimRequest) -> Reclaimed {
    let (plan, parts) = (&prepared.plan, &prepared.plan.parts);
    let kept = |part: &Part| part.runs.iter().map(|(_, bytes)| *bytes).sum::<u64>();
    let sum = |bytes: &dyn Fn(&Part) -> u64| parts.iter().map(bytes).fold(0, u64::saturating_add);
    let stay = |stay: &Stay| StayRow { what: stay.what.clone(), why: stay.why.clone() };
    let missing = |one: &Unproven| StayRow { what: one.what.clone(), why: one.why.clone() };
    Reclaimed {
        dry_run: request.dry_run,
        root: prepared.place.clone(),
        waste: parts.iter().flat_map(waste).collect(),
        runs: parts.iter().flat_map(runs).collect(),
        bytes: sum(&|part| part.room.freed.saturating_add(kept(part))),
        shared: sum(&|part| part.room.shared),
        unverified: plan.unproven.iter().map(missing).collect(),
        refused: prepared.is_refused(),
        stays: plan.stays.iter().map(stay).collect(),
        losses: plan.losses.clone(),
        findings: prepared.findings.iter().map(finding).collect(),
        freed: None,
        undo: None,
    }
}

fn waste(part: &Part) -> impl Iterator<Item = WasteRow> {
    let row = |(waste, bytes): (&Waste, &u64)| WasteRow {
        code: waste.code.to_owned(),
        what: waste.what.clone(),
        proof: waste.proof.clone(),
        paths: waste.paths.iter().map(|path| part.at(path).to_string()).collect(),
        bytes: *bytes,
    };
    part.waste.iter().zip(&part.room.each).map(row)
}

fn runs(part: &Part) -> impl Iterator<Item = RunRow> {
    part.runs.iter().map(|(run, bytes)| RunRow {
        number: run.number,
        verb: run.verb.clone(),
        at: run.at.to_string(),
        place: part.place.clone(),
        bytes: *bytes,
    })
}

impl ops::Reclaiming for Shown {
    fn plan(&self) -> &Reclaimed {
        &self.rows
    }

    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Reclaimed> {
        let Self { prepared, mut rows } = *self;
        let done = prepared.apply(progress)?;
        rows.freed = Some(done.freed);
        rows.undo = done.number;
        rows.findings.extend(done.findings.iter().map(finding));
        Ok(rows)
    }
}
