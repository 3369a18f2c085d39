//! What is set right, and undone, in rows.

use super::{finding, this_platform};
use crate::cli::ops::{RepairRequest, Repairing, UndoRequest};
use crate::cli::rows::repair::{
    MendOutcome, MendRow, MovedRow, NotedRow, Repair, RunList, RunRow, Undone, UnmendableRow,
};
use crate::error::Result;
use crate::op::aside::{End, Run, State};
use crate::op::repair::{self, Prepared, Request};
use crate::op::undo;
use crate::store::Progress;
use crate::store::containers::Moved;
use crate::tree::Time;

/// A repair that is planned, and its rows.
#[derive(Debug)]
struct Planned {
    prepared: Prepared,
    rows: Repair,
}

pub(super) fn prepare(request: &RepairRequest) -> Result<Box<dyn Repairing>> {
    let prepared = repair::prepare(&Request {
        at: request.at.root.clone(),
        containerd_root: request.at.containerd_root.clone(),
        daemon_config: request.at.daemon_config.clone(),
        from: request.from.clone(),
        content: request.content,
        dry_run: request.dry_run,
        platform: this_platform(),
        now: now(),
    })?;
    let mut rows = Repair {
        dry_run: request.dry_run,
        root: prepared.place.clone(),
        finished: prepared.finished.iter().map(run).collect(),
        findings: prepared.findings.iter().map(finding).collect(),
        ..Repair::default()
    };
    for part in &prepared.parts {
        rows.mends.extend(part.mends.iter().map(|mend| MendRow {
            code: mend.code.to_owned(),
            place: mend.place.to_string(),
            what: mend.what.clone(),
            how: mend.how.clone(),
            bytes: mend.bytes(),
            outcome: MendOutcome::Planned,
            error: None,
        }));
        rows.unmendable.extend(part.unmendable.iter().map(|one| UnmendableRow {
            code: one.code.to_owned(),
            place: one.place.to_string(),
            what: one.what.clone(),
            missing: one.missing.clone(),
        }));
    }
    Ok(Box::new(Planned { prepared, rows }))
}

#[expect(clippy::disallowed_methods, reason = "the command is where the time comes in")]
fn now() -> Time {
    let now = jiff::Timestamp::now();
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Time { seconds: now.as_second(), nanos }
}

impl Repairing for Planned {
    fn plan(&self) -> &Repair {
        &self.rows
    }

    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Repair> {
        let mut rows = self.rows;
        let done = self.prepared.apply(progress)?;
        rows.number = done.number;
        for (row, end) in rows.mends.iter_mut().zip(done.ends) {
            row.outcome = match &end {
                End::Done => MendOutcome::Done,
                End::Failed(_) => MendOutcome::Failed,
                End::Changed => MendOutcome::Changed,
            };
            if let End::Failed(error) = end {
                row.error = Some(error.to_string());
            }
        }
        Ok(rows)
    }
}

fn run(run: &Run) -> RunRow {
    RunRow {
        number: run.number,
        verb: run.verb.clone(),
        at: run.at.to_string(),
        state: state(run.state).to_owned(),
        mends: run
            .mends
            .iter()
            .map(|mend| NotedRow {
                code: mend.code.clone(),
                place: mend.place.clone(),
                what: mend.what.clone(),
                how: mend.how.clone(),
            })
            .collect(),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Begun => "begun",
        State::Done => "done",
        State::Undoing => "undoing",
        State::Dropping => "dropping",
    }
}

fn moved(moved: Moved) -> MovedRow {
    MovedRow { to: moved.to, containers: moved.containers, at: moved.at.to_string() }
}

fn asked(request: &UndoRequest) -> undo::Request {
    undo::Request {
        at: request.at.root.clone(),
        containerd_root: request.at.containerd_root.clone(),
        daemon_config: request.at.daemon_config.clone(),
        platform: this_platform(),
        which: request.which,
        dry_run: request.dry_run,
    }
}

pub(super) fn runs(request: &UndoRequest) -> Result<RunList> {
    let all = undo::list(&asked(request))?;
    Ok(RunList {
        runs: all.runs.iter().map(run).collect(),
        moved: all.moved.map(moved),
        findings: all.findings.iter().map(finding).collect(),
    })
}

pub(super) fn undo_run(request: &UndoRequest) -> Result<Undone> {
    let mut rows = Undone { dry_run: request.dry_run, ..Undone::default() };
    match undo::undo(&asked(request))? {
        undo::Undone::Runs(runs) => rows.runs = runs.iter().map(run).collect(),
        undo::Undone::Containers(done) => rows.containers = super::undo::bound_back(done),
        undo::Undone::WouldMove(would) => rows.moved = Some(moved(would)),
    }
    Ok(rows)
}
