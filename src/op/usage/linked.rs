//! Files with several names: each is of one line, and known to the others that have it.

use std::collections::HashMap;

use super::claim::At;
use super::{Amount, Line, Shared};
use crate::tree::Metadata;

/// One name of a file that has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Linked {
    space: u32,
    line: u32,
    top: u32,
    ino: u64,
    nlink: u32,
    on_disk: u64,
    apparent: u64,
}

impl Linked {
    pub(super) fn of(space: usize, at: At, found: &Metadata) -> Self {
        let (At { line, top, .. }, Metadata { ino, nlink, .. }) = (at, *found);
        let (on_disk, apparent) = (found.allocated, found.size);
        Self { space: space as u32, line, top, ino, nlink, on_disk, apparent }
    }

    fn file(&self) -> (u32, u64) {
        (self.space, self.ino)
    }
}

/// Returns the files of which `names` were found, together where the same lines have them. They are counted
/// in the first: one that a daemon shows, if there is one; and in the folder of `tops` where that has them.
pub(super) fn shared(
    mut names: Vec<Linked>,
    lines: &[Line],
    tops: &mut HashMap<u32, Amount>,
) -> Vec<Shared> {
    names.sort_unstable_by_key(|name| (name.file(), name.line));
    let mut groups: HashMap<(Vec<u32>, bool), Amount> = HashMap::new();
    for file in names.chunk_by(|a, b| a.file() == b.file()) {
        let Some(first) = file.first() else { continue };
        let mut of: Vec<u32> = file.iter().map(|name| name.line).collect();
        of.dedup();
        of.sort_by_key(|line| rank(lines, *line));
        let is_complete = file.len() as u64 >= u64::from(first.nlink);
        let amount = Amount { on_disk: first.on_disk, apparent: first.apparent, files: 1 };
        let counted = file.iter().find(|name| of.first() == Some(&name.line)).unwrap_or(first);
        tops.entry(counted.top).or_default().add(amount);
        groups.entry((of, is_complete)).or_default().add(amount);
    }
    let shared = |((lines, is_complete), amount)| Shared { lines, is_complete, amount };
    let mut all: Vec<_> = groups.into_iter().map(shared).collect();
    all.sort_unstable_by(|a, b| (&a.lines, a.is_complete).cmp(&(&b.lines, b.is_complete)));
    all
}

fn rank(lines: &[Line], line: u32) -> (bool, bool, u32) {
    let found = lines.get(line as usize);
    let (hidden, waste) =
        found.map_or((true, true), |found| (found.hidden, found.thing.of.is_waste()));
    (waste, hidden, line)
}
