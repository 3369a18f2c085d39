//! Walking a tree that may be damaged anywhere.

use super::super::page::{BUCKET_HEADER, Entry, Kind, Page, Pages, u64_at};
use super::super::{MAX_NESTING, Node, OwnedBucket};
use super::roots::{Root, whole_file};
use super::sound::{self, Sound};
use super::{LISTED, Lost, put_missing};
use crate::error::{DecodeError, printable};
use crate::format::wide;

/// As the reader of sound files has it.
const MAX_LEVELS: usize = 64;

/// How deep a bucket may be that a page is found to be of.
pub(super) const DEEPEST_HOME: usize = 8;

/// The pages of a file, with what was read of them.
pub(super) struct Walk<'a> {
    pages: Option<Pages<'a>>,
    page_size: u64,
    /// A place for each page: whether a tree has reached it.
    reached: Vec<bool>,
    /// How many times a page may be read that was read before. Two trees share most of their pages,
    /// and of two that wrongly name one page it cannot be told which is wrong.
    again: usize,
    /// The pages from the root down to where the walk is.
    above: Vec<u64>,
    /// The keys of the buckets down to there.
    path: Vec<Vec<u8>>,
    lost: Vec<Lost>,
}

/// The keys that a page can have: none before the first, all before the second.
#[derive(Clone, Copy, Debug)]
struct Range<'k> {
    from: &'k [u8],
    to: Option<&'k [u8]>,
}

const ANY: Range<'static> = Range { from: &[], to: None };

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8], page_size: u32) -> Self {
        let pages = whole_file(bytes, page_size);
        let count = pages.map_or(0, |pages| usize::try_from(pages.end()).unwrap_or(0));
        Self {
            pages,
            page_size: page_size.into(),
            reached: vec![false; count],
            again: count.saturating_mul(4).saturating_add(64),
            above: Vec::new(),
            path: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Reads the tree that starts at a root.
    pub(super) fn from(&mut self, root: &Root) -> OwnedBucket<'a> {
        let mut bucket = OwnedBucket::new();
        bucket.sequence = root.sequence;
        self.tree(root.page, root.named_at, ANY, None, &mut bucket);
        bucket
    }

    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    pub(super) fn lose_all(&mut self, what: &str) {
        self.lose(0, DecodeError::new(0, what), ANY);
    }

    /// Returns the leaves that no tree has reached and that are whole, and what is on each.
    pub(super) fn unreached(&mut self) -> Vec<Page<'a>> {
        let Some(pages) = self.pages else { return Vec::new() };
        let ids = (2..pages.end()).filter(|id| !self.is_reached(*id));
        let leaves = ids.filter_map(|id| pages.parse(id).ok());
        leaves.filter(|page| page.kind == Kind::Leaf && sound::entries(page).is_whole).collect()
    }

    /// Returns what is on one leaf, and for each entry how much of it is lost.
    pub(super) fn leaf_alone(&mut self, page: &Page<'a>) -> Vec<(&'a [u8], Node<'a>, usize)> {
        self.mark(page);
        let entries = sound::entries(page).elements.into_iter().flatten();
        self.path = vec![Vec::new(); DEEPEST_HOME];
        self.above.push(page.id);
        let read = entries.map(|entry| {
            let node = self.node(&entry, false);
            (entry.key, node, self.take_lost().len())
        });
        let read = read.collect();
        self.above.clear();
        self.path.clear();
        read
    }

    fn is_reached(&self, id: u64) -> bool {
        usize::try_from(id).is_ok_and(|id| self.reached.get(id).copied().unwrap_or(true))
    }

    /// Notes the pages of one; returns whether they were not noted before.
    fn mark(&mut self, page: &Page<'_>) -> bool {
        let mut is_new = true;
        for id in page.id..page.id.saturating_add(page.span) {
            let slot = usize::try_from(id).ok().and_then(|id| self.reached.get_mut(id));
            is_new &= slot.is_some_and(|slot| !std::mem::replace(slot, true));
        }
        is_new
    }

    /// Notes that keys of the bucket at hand cannot be read.
    fn lose(&mut self, page: u64, error: DecodeError, range: Range<'_>) {
        let (bucket, range) = match self.lost.len() < LISTED {
            true => (self.path.clone(), range),
            false if self.lost.len() == LISTED => (Vec::new(), ANY),
            false => return,
        };
        let DecodeError { offset, what, .. } = error;
        let (from, to) = (range.from.to_vec(), range.to.map(<[u8]>::to_vec));
        self.lost.push(Lost { page, offset, what, bucket, from, to, found: 0 });
    }

    /// Adds to `into` what can be read from page `id` down, whose first key should be `first`.
    fn tree(
        &mut self,
        id: u64,
        named_at: u64,
        range: Range<'_>,
        first: Option<&[u8]>,
        into: &mut OwnedBucket<'a>,
    ) {
        let page = match self.page(id, named_at, first) {
            Ok(page) => page,
            Err(error) => return self.lose(id, error, range),
        };
        if !self.mark(&page) {
            let Some(left) = self.again.checked_sub(1) else {
                let error = page.wrong(0, format!("page {id} is reached again and again"));
                return self.lose(id, error, range);
            };
            self.again = left;
        }
        self.above.push(id);
        match page.kind {
            Kind::Leaf => self.leaf(&page, range, into),
            _ => self.branch(&page, range, into),
        }
        self.above.pop();
    }

    fn page(&self, id: u64, named_at: u64, first: Option<&[u8]>) -> Result<Page<'a>, DecodeError> {
        let none = || DecodeError::new(0, "the file has no pages");
        let page = self.pages.ok_or_else(none)?.get(id, named_at)?;
        if !matches!(page.kind, Kind::Leaf | Kind::Branch) {
            return Err(page.wrong(8, format!("page {id} is neither branch nor leaf")));
        }
        if self.above.contains(&id) {
            return Err(DecodeError::new(named_at, format!("page {id} is below itself")));
        }
        if self.above.len() >= MAX_LEVELS.saturating_mul(2) {
            return Err(page.wrong(0, format!("page {id} is too deep in the tree")));
        }
        let found = page.key(0).ok();
        match first {
            Some(wanted) if found != Some(wanted) => {
                let found = printable(found.unwrap_or_default()).into_owned();
                let what = format!("the first key is {found}, wanted {}", printable(wanted));
                Err(page.wrong(0, what))
            }
            _ => Ok(page),
        }
    }

    fn branch(&mut self, page: &Page<'a>, range: Range<'_>, into: &mut OwnedBucket<'a>) {
        let children = sound::children(page);
        self.lose_between(page, &children, range, |child| child.0);
        let sound: Vec<_> = children.elements.into_iter().flatten().collect();
        let nexts = sound.iter().skip(1).map(|child| Some(child.0)).chain([range.to]);
        for ((key, child, named_at), to) in sound.iter().zip(nexts) {
            self.tree(*child, *named_at, Range { from: key, to }, Some(key), into);
        }
    }

    fn leaf(&mut self, page: &Page<'a>, range: Range<'_>, into: &mut OwnedBucket<'a>) {
        let entries = sound::entries(page);
        self.lose_between(page, &entries, range, |entry| entry.key);
        for entry in entries.elements.into_iter().flatten() {
            if entry.is_bucket && self.path.len() >= MAX_NESTING {
                let error = page.wrong(0, format!("buckets more than {MAX_NESTING} deep"));
                self.lose(page.id, error, Range { from: entry.key, to: range.to });
                continue;
            }
            let node = self.node(&entry, page.span == 0);
            put_missing(into, entry.key, node);
        }
    }

    /// Notes the gaps between the elements that are believed.
    fn lose_between<'k, T>(
        &mut self,
        page: &Page<'_>,
        found: &Sound<T>,
        range: Range<'k>,
        key: impl Fn(&T) -> &'k [u8],
    ) {
        if found.is_whole {
            return;
        }
        let error = |what: &str| page.wrong(0, format!("page {} {what}", page.id));
        let mut from = range.from;
        let mut is_gap = false;
        for element in &found.elements {
            match element {
                None => is_gap = true,
                Some(element) => {
                    if std::mem::take(&mut is_gap) {
                        let to = Some(key(element));
                        self.lose(page.id, error("has elements that overlap"), Range { from, to });
                    }
                    from = key(element);
                }
            }
        }
        // Its count may be too small as well.
        self.lose(page.id, error("does not end as it should"), Range { from, to: range.to });
    }

    /// Returns what an entry leads to, as far as it can be read.
    fn node(&mut self, entry: &Entry<'a>, is_inline: bool) -> Node<'a> {
        if !entry.is_bucket {
            return Node::Value(entry.value.into());
        }
        let mut bucket = OwnedBucket::new();
        self.path.push(entry.key.to_vec());
        if let Err(error) = self.child(entry, is_inline, &mut bucket) {
            let page = entry.offset.checked_div(self.page_size).unwrap_or(0);
            self.lose(page, error, ANY);
        }
        self.path.pop();
        Node::Bucket(Box::new(bucket))
    }

    fn child(
        &mut self,
        entry: &Entry<'a>,
        is_inline: bool,
        bucket: &mut OwnedBucket<'a>,
    ) -> Result<(), DecodeError> {
        let wrong = |what: String| Err(DecodeError::new(entry.offset, what));
        let header = || Some((u64_at(entry.value, 0)?, u64_at(entry.value, 8)?));
        let Some((root, sequence)) = header() else {
            return wrong(format!("a bucket's header of {} bytes", entry.value.len()));
        };
        if is_inline {
            return wrong("a bucket where none can be".to_owned());
        }
        bucket.sequence = sequence;
        match (root, entry.value.get(BUCKET_HEADER..)) {
            (0, Some(page)) => {
                let at = entry.offset.saturating_add(wide(BUCKET_HEADER));
                self.leaf(&Page::inline(page, at)?, ANY, bucket);
            }
            _ => self.tree(root, entry.offset, ANY, None, bucket),
        }
        Ok(())
    }
}
