//! Where the last records of a log begin, found without reading all of it where that can be.

use std::io::Read;

use super::records::{Records, Step};
use crate::error::{Result, from_io};
use crate::format::docker::log::{Form, Tail};
use crate::store::logs::{Log, LogFile};
use crate::tree::Tree;

/// Where reading of a file begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// At this byte.
    pub(super) offset: u64,
    /// After so many records there.
    pub(super) skip: u64,
}

/// The first look at the end of a file, and the largest: what is wanted more of is counted from the
/// start.
const FIRST: u64 = 64 << 10;
const LARGEST: u64 = 16 << 20;

/// Returns where each file's part of the last `wanted` records begins; nothing for files that are too
/// old.
pub(super) fn starts(
    tree: &dyn Tree,
    log: &Log,
    wanted: Option<u64>,
) -> Result<Vec<Option<Start>>> {
    let Some(mut left) = wanted else {
        return Ok(vec![Some(Start::default()); log.files.len()]);
    };
    let mut starts = vec![None; log.files.len()];
    for (file, place) in log.files.iter().zip(&mut starts).rev() {
        if left == 0 {
            break;
        }
        let (start, found) = start(tree, file, log.form, left)?;
        *place = Some(start);
        left -= found;
    }
    Ok(starts)
}

/// Returns where the last `wanted` records of a file begin, and how many there are if they are fewer.
fn start(tree: &dyn Tree, file: &LogFile, form: Form, wanted: u64) -> Result<(Start, u64)> {
    let mut length = FIRST.min(file.size);
    while !file.is_gzip && length <= LARGEST {
        let offset = file.size - length;
        let end = end_of(tree, file, offset)?;
        match form.tail(&end, wanted) {
            Tail::From(at) => return Ok((Start { offset: offset + at as u64, skip: 0 }, wanted)),
            Tail::Only(found) if offset == 0 => return Ok((Start::default(), found)),
            Tail::Only(_) => length = (4 * length).min(file.size),
            Tail::Unclear => break,
        }
    }
    let found = count(tree, file, form)?;
    let skip = found.saturating_sub(wanted);
    Ok((Start { offset: 0, skip }, found - skip))
}

fn end_of(tree: &dyn Tree, file: &LogFile, offset: u64) -> Result<Vec<u8>> {
    let path = file.path.as_path();
    let mut end = Vec::new();
    // A daemon that runs may have written more meanwhile.
    let most = file.size - offset;
    let read = tree.open_from(path, offset)?.take(most).read_to_end(&mut end);
    read.map_err(|error| from_io(error, || tree.place(path)))?;
    Ok(end)
}

fn count(tree: &dyn Tree, file: &LogFile, form: Form) -> Result<u64> {
    let mut records = Records::open(tree, file, form, 0)?;
    let mut count = 0;
    loop {
        match records.next() {
            Step::Record(..) => count += 1,
            Step::Damage(..) => {}
            Step::Torn(..) | Step::Failed(..) | Step::End => return Ok(count),
        }
    }
}
