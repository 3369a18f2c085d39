//! What bbolt's own check finds wrong in a file, and a little more. bbolt v1.4.3 tx_check.go

use super::page::{HEADER, Kind, Page, Pages, u64_at};
use super::read::Cursor;
use super::{Bucket, Db, Item};
use crate::error::DecodeError;
use crate::format::wide;

/// What a sound file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Pages up to the last that was ever used.
    pub pages: u64,
    /// Pages that nothing refers to.
    pub free: u64,
    /// Buckets, without the root.
    pub buckets: u64,
    /// Keys with a value.
    pub values: u64,
}

/// Checks every page of a file: each is reached once or free, all keys ascend, and every branch
/// knows the first key of each page below it.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(bytes: &[u8]) -> Result<Summary, DecodeError> {
    Db::open(bytes)?.check()
}

impl Db<'_> {
    /// Checks every page; see [`check`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<Summary, DecodeError> {
        let mut visited = Visited::new(&self.pages);
        for id in [0, 1] {
            let page = self.pages.parse(id)?;
            if page.kind != Kind::Meta {
                return Err(page.wrong(8, format!("page {id} is not marked as a meta page")));
            }
            visited.mark(&page)?;
        }
        let mut summary = Summary { pages: self.pages.end(), ..Summary::default() };
        if let Some(id) = self.meta.freelist {
            summary.free = self.check_freelist(id, &mut visited)?;
        }
        check_bucket(&self.root(), &mut visited, &mut summary)?;
        match visited.first_unmarked() {
            Some(id) if self.has_freelist() => {
                let offset = id.saturating_mul(self.page_size().into());
                Err(DecodeError::new(offset, format!("page {id} is neither reached nor free")))
            }
            Some(_) => Ok(Summary { free: visited.unmarked(), ..summary }),
            None => Ok(summary),
        }
    }

    /// Marks the freelist's pages and those it lists; returns how many it lists.
    fn check_freelist(&self, id: u64, visited: &mut Visited) -> Result<u64, DecodeError> {
        let page = self.pages.get(id, self.meta.offset)?;
        if page.kind != Kind::Freelist {
            return Err(page.wrong(8, format!("page {id} is not marked as a freelist")));
        }
        visited.mark(&page)?;
        // A count that does not fit its field is the first id. bbolt v1.4.3 internal/common/page.go
        let (count, start) = match page.count {
            0xFFFF => (u64_at(page.bytes, HEADER).unwrap_or(u64::MAX), HEADER.saturating_add(8)),
            count => (wide(count), HEADER),
        };
        let ids = page.bytes.get(start..).unwrap_or_default().as_chunks::<8>().0;
        let listed = usize::try_from(count).ok().and_then(|count| ids.get(..count));
        let listed = listed.ok_or_else(|| {
            page.wrong(10, format!("{count} free pages, wanted at most {}", ids.len()))
        })?;
        for id in listed {
            visited.mark_free(u64::from_le_bytes(*id), page.offset)?;
        }
        Ok(count)
    }
}

fn check_bucket(
    bucket: &Bucket<'_>,
    visited: &mut Visited,
    summary: &mut Summary,
) -> Result<(), DecodeError> {
    visited.mark(bucket.root_page())?;
    let mut cursor = Cursor::new(bucket);
    while let Some(entry) = cursor.next(Some(visited)) {
        match bucket.item(&entry?)? {
            Item::Value(_) => summary.values = summary.values.saturating_add(1),
            Item::Bucket(child) => {
                summary.buckets = summary.buckets.saturating_add(1);
                check_bucket(&child, visited, summary)?;
            }
        }
    }
    Ok(())
}

/// The pages of a file that are accounted for.
#[derive(Clone, Debug)]
pub(super) struct Visited {
    /// A bit for each page, the lowest first.
    words: Vec<u64>,
    end: u64,
}

impl Visited {
    /// Returns a set without pages, with room for those of a file: a bit a page.
    pub(super) fn new(pages: &Pages<'_>) -> Self {
        let words = usize::try_from(pages.end().div_ceil(64)).unwrap_or(0);
        Self { words: vec![0; words], end: pages.end() }
    }

    /// Adds a page and its overflow; an inline page is part of another.
    pub(super) fn mark(&mut self, page: &Page<'_>) -> Result<(), DecodeError> {
        for id in page.id..page.id.saturating_add(page.span) {
            if !self.add(id) {
                return Err(page.wrong(0, format!("page {id} is reached twice, or free")));
            }
        }
        Ok(())
    }

    fn mark_free(&mut self, id: u64, listed_at: u64) -> Result<(), DecodeError> {
        match self.add(id) {
            true => Ok(()),
            false => Err(DecodeError::new(
                listed_at,
                format!("page {id} is listed as free, but is in use, listed twice or past the end"),
            )),
        }
    }

    /// Adds one page; returns whether it exists and is new.
    fn add(&mut self, id: u64) -> bool {
        let word = usize::try_from(id >> 6).ok().and_then(|index| self.words.get_mut(index));
        match word {
            Some(word) if id < self.end && *word >> (id & 63) & 1 == 0 => {
                *word |= 1 << (id & 63);
                true
            }
            _ => false,
        }
    }

    fn unmarked(&self) -> u64 {
        let marked = self.words.iter().map(|word| u64::from(word.count_ones())).sum();
        self.end.saturating_sub(marked)
    }

    fn first_unmarked(&self) -> Option<u64> {
        let (index, word) = self.words.iter().enumerate().find(|(_, word)| **word != u64::MAX)?;
        let id = wide(index).saturating_mul(64).saturating_add(word.trailing_ones().into());
        Some(id).filter(|id| *id < self.end)
    }
}
