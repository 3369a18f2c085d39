//! Where every byte is, in rows.

use super::migrate::now;
use super::{finding, survey};
use crate::cli::ops::UsageRequest;
use crate::cli::rows::usage::{
    AmountRow, GroupRow, LineRow, RemovalRow, StaysRow, ThingRow, UsageReport,
};
use crate::cli::rows::whois::{OwnedRow, WhoisReport, WhoseRow};
use crate::error::Result;
use crate::op::host::Host;
use crate::op::usage::{
    Amount, Group, Ledger, Line, Owned, Removal, Whose, groups, ledger, removal, whois,
};
use crate::store::Progress;

pub(super) fn rows(request: &UsageRequest, progress: &dyn Progress) -> Result<UsageReport> {
    let host = survey(&request.at)?;
    let ledger = ledger(&host, now(), progress)?;
    let groups = request.by.map(|by| groups(&ledger, by)).unwrap_or_default();
    let removal = match request.if_removed.as_slice() {
        [] => None,
        names => Some(removal_row(&ledger, removal(&host, &ledger, names)?)),
    };
    let mut lines: Vec<LineRow> = ledger.lines.iter().map(|one| line(&host, one)).collect();
    lines.sort_by(|a, b| {
        (b.on_disk, a.thing.kind, &a.thing.id).cmp(&(a.on_disk, b.thing.kind, &b.thing.id))
    });
    Ok(UsageReport {
        places: ledger.places.clone(),
        total: amount(ledger.total()),
        hidden: ledger.sum(|line| line.hidden).on_disk,
        reclaimable: ledger.lines.iter().map(|line| line.reclaimable).sum(),
        lines,
        groups: groups.iter().map(|one| group(&host, one)).collect(),
        removal,
        findings: ledger.findings.iter().map(finding).collect(),
    })
}

fn root(host: &Host, n: usize) -> String {
    host.roots.get(n).map(|root| root.place.clone()).unwrap_or_default()
}

fn amount(amount: Amount) -> AmountRow {
    let Amount { on_disk, apparent, files } = amount;
    AmountRow { on_disk, apparent, files }
}

fn thing(host: &Host, line: &Line) -> ThingRow {
    ThingRow {
        root: root(host, line.root),
        kind: line.thing.of,
        store: line.store,
        id: line.thing.id.clone(),
        role: line.thing.role.to_owned(),
        names: line.names.clone(),
    }
}

fn proof(line: &Line) -> Option<String> {
    Some(line.thing.proof.clone()).filter(|proof| !proof.is_empty())
}

fn line(host: &Host, line: &Line) -> LineRow {
    LineRow {
        thing: thing(host, line),
        on_disk: line.amount.on_disk,
        apparent: line.amount.apparent,
        files: line.amount.files,
        hidden: line.hidden,
        reclaimable: line.reclaimable,
        frees_alone: line.alone.on_disk,
        proof: proof(line),
    }
}

fn group(host: &Host, group: &Group) -> GroupRow {
    GroupRow {
        root: root(host, group.root),
        id: group.id.clone(),
        names: group.names.clone(),
        store: group.store,
        on_disk: group.all.on_disk,
        apparent: group.all.apparent,
        shared: group.shared,
        frees_alone: group.frees.on_disk,
        lines: group.lines,
        hidden: group.hidden,
    }
}

fn removal_row(ledger: &Ledger, removal: Removal) -> RemovalRow {
    let stays = removal.stays.into_iter().filter_map(|(n, held_by)| {
        let line = ledger.lines.get(n)?;
        let (kind, id) = (line.thing.of, line.thing.id.clone());
        Some(StaysRow { kind, id, on_disk: line.amount.on_disk, held_by })
    });
    let stays = stays.collect();
    let (things, along) = (removal.things, removal.along);
    RemovalRow { things, along, frees: removal.frees.on_disk, stays }
}

pub(super) fn whose(host: &Host, queries: &[String]) -> Result<WhoisReport> {
    let (found, findings) = whois(host, now(), queries)?;
    let owned = |one: &Owned| OwnedRow {
        thing: thing(host, &one.line),
        hidden: one.line.hidden,
        proof: proof(&one.line),
        paths: one.paths.clone(),
    };
    let whose = |one: &Whose| WhoseRow {
        query: one.query.clone(),
        found: one.found.iter().map(owned).collect(),
    };
    Ok(WhoisReport {
        whose: found.iter().map(whose).collect(),
        findings: findings.iter().map(finding).collect(),
    })
}
