//! Which elements of a damaged page are to be believed.

use super::super::page::{ELEMENT, Entry, HEADER, Page};
use crate::format::wide;

/// An element of a leaf or branch, by its key; what does not fit its neighbours is nothing.
pub(super) struct Sound<T> {
    /// In the order of the page.
    pub(super) elements: Vec<Option<T>>,
    /// Whether nothing on the page disagrees.
    pub(super) is_whole: bool,
}

/// Reads the entries of a leaf. Writers put keys and values end to end in the order of the elements,
/// so on a page that is damaged an element is believed if it starts where the one before it ends, and
/// ends where the next one starts.
pub(super) fn entries<'a>(page: &Page<'a>) -> Sound<Entry<'a>> {
    let read: Vec<_> = (0..page.count).map(|index| page.entry(index).ok()).collect();
    let first = HEADER.saturating_add(page.count.saturating_mul(ELEMENT));
    let first = page.offset.saturating_add(wide(first));
    let last = read.iter().try_fold(first, |at, entry| {
        entry.filter(|entry| start(entry) == at).map(|entry| end(&entry))
    });
    if last.is_some() && ascend(read.iter().flatten().map(|entry| entry.key)) {
        return Sound { elements: read, is_whole: true };
    }
    let at = |index: Option<usize>| index.and_then(|index| *read.get(index)?);
    let touching = (0..page.count).map(|index| {
        let entry = at(Some(index))?;
        let (before, after) = (index.checked_sub(1), index.checked_add(1));
        let follows = match before {
            None => start(&entry) >= first,
            Some(_) => at(before).is_some_and(|before| end(&before) == start(&entry)),
        };
        let is_last = after == Some(page.count);
        let leads = is_last || at(after).is_some_and(|after| start(&after) == end(&entry));
        Some(entry).filter(|_| follows && leads)
    });
    Sound { elements: ascending(touching.collect(), |entry| entry.key), is_whole: false }
}

fn start(entry: &Entry<'_>) -> u64 {
    entry.offset.saturating_sub(wide(entry.key.len()))
}

fn end(entry: &Entry<'_>) -> u64 {
    entry.offset.saturating_add(wide(entry.value.len()))
}

/// Reads the children of a branch: the key, the page, and where the element stands.
pub(super) fn children<'a>(page: &Page<'a>) -> Sound<(&'a [u8], u64, u64)> {
    let read: Vec<_> = (0..page.count).map(|index| page.child(index).ok()).collect();
    let fits = read.iter().all(Option::is_some);
    if fits && ascend(read.iter().flatten().map(|child| child.0)) {
        return Sound { elements: read, is_whole: true };
    }
    Sound { elements: ascending(read, |child| child.0), is_whole: false }
}

fn ascend<'a>(keys: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut last: &[u8] = &[];
    keys.into_iter().all(|key| {
        let is_next = last < key;
        last = key;
        is_next
    })
}

/// Keeps as many elements as can be kept for their keys to ascend. Keys of zeros alone are what a torn
/// page has, and no keys.
fn ascending<'a, T: Copy>(
    elements: Vec<Option<T>>,
    key: impl Fn(&T) -> &'a [u8],
) -> Vec<Option<T>> {
    // For each length, the element with the lowest key that a run of that length can end at; and for
    // each element, the one before it in the longest run that it ends.
    let mut ends: Vec<(usize, &'a [u8])> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; elements.len()];
    for (index, element) in elements.iter().enumerate() {
        let Some(key) = element.as_ref().map(&key) else { continue };
        if key.iter().all(|byte| *byte == 0) {
            continue;
        }
        let length = ends.partition_point(|(_, end)| *end < key);
        let last = length.checked_sub(1).and_then(|last| ends.get(last));
        if let (Some(slot), Some((last, _))) = (before.get_mut(index), last) {
            *slot = Some(*last);
        }
        match ends.get_mut(length) {
            Some(end) => *end = (index, key),
            None => ends.push((index, key)),
        }
    }
    let mut kept = vec![None; elements.len()];
    let mut next = ends.last().map(|(index, _)| *index);
    while let Some(index) = next {
        if let (Some(slot), Some(element)) = (kept.get_mut(index), elements.get(index)) {
            *slot = *element;
        }
        next = before.get(index).copied().flatten();
    }
    kept
}
