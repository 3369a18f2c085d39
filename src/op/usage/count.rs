//! Counting: one walk over everything.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::areas::Area;
use super::claim::{At, Claimed, Paths, Step};
use super::linked::{self, Linked};
use super::{Amount, Ledger, Line};
use crate::error::{Error, Result};
use crate::model::{Finding, Severity};
use crate::store::Progress;
use crate::tree::{Entry, Kind, Metadata, TreePath, TreePathBuf, Visit, optional, walk_wide};

/// Counts what is in `areas`, of which paths are `claimed`.
///
/// # Errors
/// A wish to stop.
pub(super) fn count(areas: &[Area], claimed: Claimed, progress: &dyn Progress) -> Result<Ledger> {
    let (lines, paths, findings) = claimed.split();
    let (lines, tops) = (Mutex::new(lines), Mutex::new(Vec::new()));
    let mut sums = Sums { findings, ..Sums::default() };
    let mut places = Vec::new();
    for (n, area) in areas.iter().enumerate() {
        let counting = Counting { area, paths: &paths, lines: &lines, tops: &tops, progress };
        let mut starts = Vec::new();
        for start in &area.starts {
            places.push(area.tree.place(start.as_path()).to_string());
            starts.extend(counting.start(n, start, &mut sums)?);
        }
        let new = || Counter { counting: &counting, sums: Sums::default() };
        for counter in walk_wide(&*area.tree, starts, new)? {
            sums.join(counter.sums);
        }
    }
    let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tops = tops.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut ledger = sums.ledger(lines, tops);
    ledger.places = places;
    Ok(ledger)
}

/// One area that is counted.
struct Counting<'a> {
    area: &'a Area,
    paths: &'a Paths,
    /// Grows by things that nobody told of.
    lines: &'a Mutex<Vec<Line>>,
    /// The folders in data roots.
    tops: &'a Mutex<Vec<String>>,
    progress: &'a dyn Progress,
}

impl Counting<'_> {
    fn start(
        &self,
        area: usize,
        at: &TreePathBuf,
        sums: &mut Sums,
    ) -> Result<Option<(TreePathBuf, At)>> {
        let Some(found) = optional(self.area.tree.stat(at.as_path()))? else { return Ok(None) };
        let Some(known) = self.paths.start(area, at.as_path()) else { return Ok(None) };
        let known = At { top: self.top(at.as_path()), ..known };
        sums.add(known, Amount::of(&found));
        Ok((found.kind == Kind::Dir).then(|| (at.clone(), known)))
    }

    fn top(&self, folder: TreePath<'_>) -> u32 {
        let mut tops = self.tops.lock().unwrap_or_else(PoisonError::into_inner);
        tops.push(self.area.tree.place(folder).to_string());
        tops.len() as u32 - 1
    }

    fn at(&self, known: At, folder: TreePath<'_>, name: &[u8]) -> At {
        match self.paths.step(known, name) {
            Step::Known(at) => at,
            Step::New(scope, of) => {
                let path = folder.child(name).unwrap_or_default();
                let mut starts = self.area.starts.iter();
                let id = starts.find_map(|start| path.as_path().below(start.as_path()));
                let id = id.unwrap_or(path.as_path()).to_string();
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(scope.stray(of, id));
                At { node: None, line: lines.len() as u32 - 1, is_start: false, ..known }
            }
        }
    }
}

/// What one thread counts.
struct Counter<'a> {
    counting: &'a Counting<'a>,
    sums: Sums,
}

impl Visit<At> for Counter<'_> {
    fn entry(&mut self, known: &At, folder: TreePath<'_>, entry: &Entry) -> Result<Option<At>> {
        let mut at = self.counting.at(*known, folder, &entry.name);
        let found = &entry.metadata;
        if found.kind != Kind::Dir {
            self.sums.file(self.counting.area.space, at, found);
            return Ok(None);
        }
        if known.is_start {
            let path = folder.child(&entry.name).unwrap_or_default();
            at.top = self.counting.top(path.as_path());
        }
        if self.counting.progress.cancelled() {
            return Err(Error::refused("interrupted"));
        }
        self.sums.add(at, Amount::of(found));
        Ok(Some(at))
    }

    fn unread(&mut self, _: &At, _: TreePath<'_>, error: Error) -> Result<()> {
        // What a daemon removes meanwhile is gone.
        if !error.is_missing() {
            let finding = Finding::of("usage-unreadable", Severity::WrongMetadata, &error);
            self.sums.findings.push(finding);
        }
        Ok(())
    }
}

/// What was counted.
#[derive(Default)]
pub(super) struct Sums {
    /// Files with one name, by their lines and by the folders in data roots.
    lines: HashMap<u32, Amount>,
    tops: HashMap<u32, Amount>,
    linked: Vec<Linked>,
    findings: Vec<Finding>,
    /// What was added to last and is not in those yet: a folder's files are mostly of one line.
    last: Option<(At, Amount)>,
}

impl Sums {
    fn add(&mut self, at: At, amount: Amount) {
        match &mut self.last {
            Some((last, sum)) if (last.line, last.top) == (at.line, at.top) => sum.add(amount),
            _ => {
                self.settle();
                self.last = Some((at, amount));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((at, sum)) = self.last.take() {
            self.lines.entry(at.line).or_default().add(sum);
            self.tops.entry(at.top).or_default().add(sum);
        }
    }

    fn file(&mut self, space: usize, at: At, found: &Metadata) {
        match found.nlink > 1 {
            true => self.linked.push(Linked::of(space, at, found)),
            false => self.add(at, Amount::of(found)),
        }
    }

    fn join(&mut self, mut other: Self) {
        other.settle();
        for (sums, others) in [(&mut self.lines, other.lines), (&mut self.tops, other.tops)] {
            for (key, sum) in others {
                sums.entry(key).or_default().add(sum);
            }
        }
        self.linked.append(&mut other.linked);
        self.findings.append(&mut other.findings);
    }

    fn ledger(mut self, mut lines: Vec<Line>, tops: Vec<String>) -> Ledger {
        self.settle();
        let mut shared = linked::shared(self.linked, &lines, &mut self.tops);
        for (line, sum) in self.lines {
            if let Some(line) = lines.get_mut(line as usize) {
                line.amount.add(sum);
                line.alone.add(sum);
            }
        }
        shared.retain(|one| {
            let [first, others @ ..] = one.lines.as_slice() else { return false };
            let Some(line) = lines.get_mut(*first as usize) else { return false };
            line.amount.add(one.amount);
            if others.is_empty() && one.is_complete {
                line.alone.add(one.amount);
            }
            !others.is_empty()
        });
        let sum = |n: usize| self.tops.get(&(n as u32)).copied().unwrap_or_default();
        let directories = tops.into_iter().enumerate().map(|(n, top)| (top, sum(n))).collect();
        let findings = self.findings;
        let mut ledger = Ledger { lines, directories, shared, findings, ..Ledger::default() };
        ledger.drop_empty();
        ledger.reclaimable();
        ledger
    }
}

impl Ledger {
    /// Lines without a file are of things that are not there.
    fn drop_empty(&mut self) {
        let mut places: Vec<Option<u32>> = Vec::with_capacity(self.lines.len());
        let mut is_there = vec![false; self.lines.len()];
        for line in self.shared.iter().flat_map(|shared| &shared.lines) {
            is_there[*line as usize] = true;
        }
        let mut kept = 0;
        for (line, is_there) in self.lines.iter().zip(&is_there) {
            let stays = *is_there || line.amount.files > 0;
            places.push(stays.then_some(kept));
            kept += u32::from(stays);
        }
        let mut stays = places.iter().map(Option::is_some);
        self.lines.retain(|_| stays.next().unwrap_or(true));
        for line in self.shared.iter_mut().flat_map(|shared| &mut shared.lines) {
            *line = places[*line as usize].unwrap_or_default();
        }
    }

    /// What nobody would miss: lines of waste, with files that only such lines have.
    fn reclaimable(&mut self) {
        for line in self.lines.iter_mut().filter(|line| line.thing.of.is_waste()) {
            line.reclaimable = line.alone.on_disk;
        }
        for shared in self.shared.iter().filter(|shared| shared.is_complete) {
            let is_waste = |line: &u32| self.lines[*line as usize].thing.of.is_waste();
            if shared.lines.iter().all(is_waste) {
                self.lines[shared.lines[0] as usize].reclaimable += shared.amount.on_disk;
            }
        }
    }
}
