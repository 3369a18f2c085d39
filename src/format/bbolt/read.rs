//! Buckets read where they stand.

use super::page::{BUCKET_HEADER, ELEMENT, Entry, HEADER, Kind, Page, Pages, u64_at};
use super::{MAX_NESTING, check::Visited};
use crate::error::{DecodeError, printable};

/// How many branch pages may stand above a leaf: bbolt gives each at least two children.
const MAX_LEVELS: usize = 64;

/// A bucket of a file: keys with values, or with further buckets.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    pages: Pages<'a>,
    root: Page<'a>,
    sequence: u64,
    depth: usize,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// Bytes.
    Value(&'a [u8]),
    /// A further bucket.
    Bucket(Bucket<'a>),
}

impl<'a> Bucket<'a> {
    pub(super) fn root(pages: Pages<'a>, root: Page<'a>, sequence: u64) -> Self {
        Self { pages, root, sequence, depth: 0 }
    }

    /// Returns the last number that was handed out in this bucket.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns the value of `key`, or nothing where there is none or it is a bucket.
    ///
    /// # Errors
    /// A page on the way is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<&'a [u8]>, DecodeError> {
        Ok(self.find(key)?.filter(|entry| !entry.is_bucket).map(|entry| entry.value))
    }

    /// Returns the bucket called `key`, or nothing where there is none or it is a value.
    ///
    /// # Errors
    /// A page on the way is damaged.
    pub fn bucket(&self, key: &[u8]) -> Result<Option<Self>, DecodeError> {
        let entry = self.find(key)?.filter(|entry| entry.is_bucket);
        entry.map(|entry| self.open(&entry)).transpose()
    }

    /// Returns the bucket at the end of `path`, or nothing where there is none.
    ///
    /// # Errors
    /// A page on the way is damaged.
    pub fn at(&self, path: &[&[u8]]) -> Result<Option<Self>, DecodeError> {
        let mut bucket = *self;
        for key in path {
            match bucket.bucket(key)? {
                Some(child) => bucket = child,
                None => return Ok(None),
            }
        }
        Ok(Some(bucket))
    }

    /// Returns all keys in ascending order with what they lead to.
    ///
    /// A bucket that cannot be opened is one error between its neighbours; a damaged page is the
    /// last thing returned.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        Iter { bucket: *self, cursor: Cursor::new(self) }
    }

    pub(super) fn root_page(&self) -> &Page<'a> {
        &self.root
    }

    fn find(&self, key: &[u8]) -> Result<Option<Entry<'a>>, DecodeError> {
        let mut page = self.root;
        for _ in 0..=MAX_LEVELS {
            let before = page.keys_up_to(key)?.checked_sub(1);
            match page.kind {
                Kind::Leaf => {
                    let entry = before.map(|index| page.entry(index)).transpose()?;
                    return Ok(entry.filter(|entry| entry.key == key));
                }
                Kind::Branch => {
                    let Some(index) = before else { return Ok(None) };
                    let (_, child, named_at) = page.child(index)?;
                    page = self.pages.get(child, named_at)?;
                }
                Kind::Meta | Kind::Freelist => break,
            }
        }
        Err(misplaced(&page))
    }

    /// Opens the bucket that is an entry's value.
    fn open(&self, entry: &Entry<'a>) -> Result<Self, DecodeError> {
        self.child(entry).map_err(|error| {
            let name = printable(entry.key);
            DecodeError::new(error.offset, format!("bucket {name}: {}", error.what))
        })
    }

    fn child(&self, entry: &Entry<'a>) -> Result<Self, DecodeError> {
        let wrong = |what: String| Err(DecodeError::new(entry.offset, what));
        let header = || Some((u64_at(entry.value, 0)?, u64_at(entry.value, 8)?));
        let Some((root, sequence)) = header() else {
            let found = entry.value.len();
            return wrong(format!("a header of {found} bytes, wanted {BUCKET_HEADER}"));
        };
        // Its pages would be invisible to the walk that bbolt finds free pages with.
        if self.is_inline() {
            return wrong("it stands in an inline bucket".into());
        }
        let depth = self.depth.saturating_add(1);
        if depth > MAX_NESTING {
            return wrong(format!("nested more than {MAX_NESTING} deep"));
        }
        let root = match (root, entry.value.get(BUCKET_HEADER..)) {
            (0, Some(page)) => Page::inline(page, entry.offset.saturating_add(16))?,
            _ => self.pages.get(root, entry.offset)?,
        };
        Ok(Self { pages: self.pages, root, sequence, depth })
    }

    fn is_inline(&self) -> bool {
        self.root.span == 0
    }

    pub(super) fn item(&self, entry: &Entry<'a>) -> Result<Item<'a>, DecodeError> {
        match entry.is_bucket {
            true => self.open(entry).map(Item::Bucket),
            false => Ok(Item::Value(entry.value)),
        }
    }
}

fn misplaced(page: &Page<'_>) -> DecodeError {
    match page.kind {
        Kind::Meta | Kind::Freelist => {
            page.wrong(8, format!("page {} is in a tree but neither branch nor leaf", page.id))
        }
        Kind::Branch | Kind::Leaf => {
            page.wrong(0, format!("page {} is more than {MAX_LEVELS} branches deep", page.id))
        }
    }
}

/// The entries of a bucket in order; see [`Bucket::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bucket: Bucket<'a>,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<(&'a [u8], Item<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cursor.next(None)? {
            Ok(entry) => Some(self.bucket.item(&entry).map(|item| (entry.key, item))),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A place between two entries of a bucket.
///
/// Keys must ascend over the whole bucket and a page's data must fit the page, so each leaf is
/// passed at most once and what is returned is never larger than the file, whatever the file says.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pages: Pages<'a>,
    /// The pages from the root down, each with the next element to look at.
    stack: Vec<Frame<'a>>,
    last: Option<&'a [u8]>,
    /// The key by which the leaf that is being entered was reached.
    entered_by: Option<&'a [u8]>,
}

#[derive(Clone, Debug)]
struct Frame<'a> {
    page: Page<'a>,
    next: usize,
    /// The bytes that header, elements, keys and values up to `next` take.
    used: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bucket: &Bucket<'a>) -> Self {
        let stack = vec![Frame::new(bucket.root)];
        Self { pages: bucket.pages, stack, last: None, entered_by: None }
    }

    /// Returns the next entry; after an error nothing more. Pages are noted in `visited`, where each
    /// must be new.
    pub(super) fn next(
        &mut self,
        mut visited: Option<&mut Visited>,
    ) -> Option<Result<Entry<'a>, DecodeError>> {
        while !self.stack.is_empty() {
            match self.step(visited.as_deref_mut()) {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(error) => {
                    self.stack.clear();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn step(&mut self, visited: Option<&mut Visited>) -> Result<Option<Entry<'a>>, DecodeError> {
        let Some(frame) = self.stack.last_mut() else {
            return Ok(None);
        };
        let page = frame.page;
        match page.kind {
            Kind::Meta | Kind::Freelist => Err(misplaced(&page)),
            _ if frame.next >= page.count => self.leave(&page),
            Kind::Leaf => {
                let entry = page.entry(frame.next)?;
                frame.advance(entry.size())?;
                self.accept(&page, entry).map(Some)
            }
            Kind::Branch => {
                let (key, child, named_at) = page.child(frame.next)?;
                frame.advance(ELEMENT.saturating_add(key.len()))?;
                self.descend(key, child, named_at, visited)
            }
        }
    }

    fn leave(&mut self, page: &Page<'a>) -> Result<Option<Entry<'a>>, DecodeError> {
        self.stack.pop();
        let may_be_empty = page.kind == Kind::Leaf && self.stack.is_empty();
        if page.count == 0 && !may_be_empty {
            return Err(page.wrong(10, format!("page {} has no elements", page.id)));
        }
        Ok(None)
    }

    fn accept(&mut self, page: &Page<'a>, entry: Entry<'a>) -> Result<Entry<'a>, DecodeError> {
        let wrong = |what| Err(page.wrong(0, format!("key {} {what}", printable(entry.key))));
        if entry.key.is_empty() {
            return wrong("is empty");
        }
        if self.last.is_some_and(|last| last >= entry.key) {
            return wrong("is not larger than the one before it");
        }
        if self.entered_by.take().is_some_and(|key| key != entry.key) {
            return wrong("is the first of a leaf, but the branch above says another");
        }
        self.last = Some(entry.key);
        Ok(entry)
    }

    fn descend(
        &mut self,
        key: &'a [u8],
        child: u64,
        named_at: u64,
        visited: Option<&mut Visited>,
    ) -> Result<Option<Entry<'a>>, DecodeError> {
        if self.entered_by.is_some_and(|above| above != key) {
            let key = printable(key);
            let what =
                format!("key {key} is the first of a branch, but the one above says another");
            return Err(DecodeError::new(named_at, what));
        }
        let page = self.pages.get(child, named_at)?;
        if self.stack.len() > MAX_LEVELS {
            return Err(misplaced(&page));
        }
        if let Some(visited) = visited {
            visited.mark(&page)?;
        }
        self.entered_by = Some(key);
        self.stack.push(Frame::new(page));
        Ok(None)
    }
}

impl<'a> Frame<'a> {
    fn new(page: Page<'a>) -> Self {
        Self { page, next: 0, used: HEADER }
    }

    /// Goes on to the next element, past one of `size` bytes.
    fn advance(&mut self, size: usize) -> Result<(), DecodeError> {
        self.used = self.used.saturating_add(size);
        if self.used > self.page.bytes.len() {
            return Err(self.page.wrong(0, format!("elements overlap on page {}", self.page.id)));
        }
        self.next = self.next.saturating_add(1);
        Ok(())
    }
}
