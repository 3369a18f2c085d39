//! Pages and the elements on them. bbolt v1.4.3 internal/common/{page,inode}.go

use crate::error::DecodeError;
use crate::format::wide;

/// The bytes before a page's elements: u64 id, u16 flags, u16 count, u32 overflow.
pub(super) const HEADER: usize = 16;
/// The fixed part of an element; its key (and value) stand behind the last element.
pub(super) const ELEMENT: usize = 16;
/// A bucket as a value: u64 root page or 0, u64 sequence. An inline bucket's page follows.
pub(super) const BUCKET_HEADER: usize = 16;
/// The flag of a leaf element whose value is a bucket.
pub(super) const ELEMENT_BUCKET: u32 = 1;
/// Elements on a page are fewer than this. bbolt v1.4.3 node.go write
pub(super) const COUNT_LIMIT: usize = 0xFFFF;

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Branch,
    Leaf,
    Meta,
    Freelist,
}

impl Kind {
    pub(super) const fn flag(self) -> u16 {
        match self {
            Self::Branch => 0x01,
            Self::Leaf => 0x02,
            Self::Meta => 0x04,
            Self::Freelist => 0x10,
        }
    }

    fn of(flags: u16) -> Option<Self> {
        [Self::Branch, Self::Leaf, Self::Meta, Self::Freelist]
            .into_iter()
            .find(|kind| kind.flag() == flags)
    }
}

/// Returns the little-endian u32 at byte `at`.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Returns the little-endian u64 at byte `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// The used pages of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages<'a> {
    bytes: &'a [u8],
    size: u64,
    /// The first page that was never used; all before it are within `bytes`.
    end: u64,
}

impl<'a> Pages<'a> {
    pub(super) fn new(bytes: &'a [u8], size: u32, end: u64) -> Result<Self, DecodeError> {
        let length = wide(bytes.len());
        if end.checked_mul(size.into()).is_none_or(|needed| needed > length) {
            let what = format!("the file ends here, wanted {end} pages of {size} bytes");
            return Err(DecodeError::new(length, what));
        }
        Ok(Self { bytes, size: size.into(), end })
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns page `id`, which the bytes at `named_at` speak of.
    pub(super) fn get(&self, id: u64, named_at: u64) -> Result<Page<'a>, DecodeError> {
        if !(2..self.end).contains(&id) {
            let what = format!("page {id} is named, wanted one from 2 to {}", self.end);
            return Err(DecodeError::new(named_at, what));
        }
        self.parse(id)
    }

    /// Reads a page that is before the end.
    pub(super) fn parse(&self, id: u64) -> Result<Page<'a>, DecodeError> {
        let offset = id.saturating_mul(self.size);
        let rest = usize::try_from(offset).ok().and_then(|start| self.bytes.get(start..));
        let mut page = Page::parse(rest.unwrap_or_default(), offset)?;
        if page.id != id {
            return Err(page.wrong(0, format!("page {id} says it is page {}", page.id)));
        }
        page.span = page.span.saturating_add(1);
        if page.span > self.end.saturating_sub(id) {
            let what = format!("{} pages from page {id}, wanted at most {}", page.span, self.end);
            return Err(page.wrong(12, what));
        }
        let length = usize::try_from(page.span.saturating_mul(self.size)).unwrap_or(usize::MAX);
        page.bytes = page.bytes.get(..length).unwrap_or_default();
        page.holding_its_elements()
    }
}

/// One page with its overflow, as stored; of its header the count has been found possible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// Its number; 0 for an inline bucket's.
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) count: usize,
    /// How many pages of the file it takes; 0 for an inline bucket's.
    pub(super) span: u64,
}

/// An element of a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) is_bucket: bool,
    /// Where the value stands in the file.
    pub(super) offset: u64,
}

impl Entry<'_> {
    pub(super) fn size(&self) -> usize {
        ELEMENT.saturating_add(self.key.len()).saturating_add(self.value.len())
    }
}

impl<'a> Page<'a> {
    /// Reads the page that is the whole of `bytes`, the page of an inline bucket.
    pub(super) fn inline(bytes: &'a [u8], offset: u64) -> Result<Self, DecodeError> {
        let page = Self::parse(bytes, offset)?;
        if page.id != 0 || page.kind != Kind::Leaf || page.span != 0 {
            let what = format!("page {} in a value, wanted a leaf with number 0", page.id);
            return Err(page.wrong(0, what));
        }
        page.holding_its_elements()
    }

    fn parse(bytes: &'a [u8], offset: u64) -> Result<Self, DecodeError> {
        let fields = || Some((u64_at(bytes, 0)?, u32_at(bytes, 8)?, u32_at(bytes, 12)?));
        let Some((id, flags_and_count, overflow)) = fields() else {
            let what = format!("{} bytes, wanted a page of at least {HEADER}", bytes.len());
            return Err(DecodeError::new(offset, what));
        };
        let [flags, count] = [flags_and_count, flags_and_count >> 16]
            .map(|half| u16::try_from(half & u32::from(u16::MAX)).unwrap_or(0));
        let Some(kind) = Kind::of(flags) else {
            let what = format!("page flags {flags:#06x}, wanted 1, 2, 4 or 0x10");
            return Err(DecodeError::new(offset.saturating_add(8), what));
        };
        Ok(Self { bytes, offset, id, kind, count: count.into(), span: overflow.into() })
    }

    fn holding_its_elements(self) -> Result<Self, DecodeError> {
        let needed = HEADER.saturating_add(self.count.saturating_mul(ELEMENT));
        let has_elements = matches!(self.kind, Kind::Branch | Kind::Leaf);
        if has_elements && needed > self.bytes.len() {
            let what = format!("{} elements in {} bytes", self.count, self.bytes.len());
            return Err(self.wrong(10, what));
        }
        Ok(self)
    }

    /// Returns the error that `what` was found at byte `at` of this page.
    pub(super) fn wrong(&self, at: usize, what: String) -> DecodeError {
        DecodeError::new(self.offset.saturating_add(wide(at)), what)
    }

    /// Returns where element `index` starts.
    fn element(index: usize) -> usize {
        HEADER.saturating_add(index.saturating_mul(ELEMENT))
    }

    /// Returns the `length` bytes from `position` after byte `at`, and where they start.
    fn slice(&self, at: usize, position: u32, length: u32) -> Option<(&'a [u8], usize)> {
        let start = at.checked_add(usize::try_from(position).ok()?)?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        Some((self.bytes.get(start..end)?, start))
    }

    /// Returns element `index` of a leaf.
    pub(super) fn entry(&self, index: usize) -> Result<Entry<'a>, DecodeError> {
        let at = Self::element(index);
        let outside = || self.wrong(at, format!("element {index} points outside its page"));
        let read = || {
            let field = |n: usize| u32_at(self.bytes, at.checked_add(n)?);
            let (flags, position, key, value) = (field(0)?, field(4)?, field(8)?, field(12)?);
            let (key, start) = self.slice(at, position, key)?;
            let (value, start) = self.slice(start.checked_add(key.len())?, 0, value)?;
            Some((flags, key, value, start))
        };
        let (flags, key, value, start) = read().ok_or_else(outside)?;
        if flags > ELEMENT_BUCKET {
            return Err(self.wrong(at, format!("element flags {flags:#x}, wanted 0 or 1")));
        }
        let offset = self.offset.saturating_add(wide(start));
        Ok(Entry { key, value, is_bucket: flags == ELEMENT_BUCKET, offset })
    }

    /// Returns key and child page of element `index` of a branch, and where the element stands.
    pub(super) fn child(&self, index: usize) -> Result<(&'a [u8], u64, u64), DecodeError> {
        let at = Self::element(index);
        let outside = || self.wrong(at, format!("element {index} points outside its page"));
        let read = || {
            let (position, key) =
                (u32_at(self.bytes, at)?, u32_at(self.bytes, at.checked_add(4)?)?);
            let child = u64_at(self.bytes, at.checked_add(8)?)?;
            Some((self.slice(at, position, key)?.0, child))
        };
        let (key, child) = read().ok_or_else(outside)?;
        Ok((key, child, self.offset.saturating_add(wide(at))))
    }

    pub(super) fn key(&self, index: usize) -> Result<&'a [u8], DecodeError> {
        match self.kind {
            Kind::Branch => Ok(self.child(index)?.0),
            _ => Ok(self.entry(index)?.key),
        }
    }

    /// Finds how many of the keys are not larger than `key`.
    pub(super) fn keys_up_to(&self, key: &[u8]) -> Result<usize, DecodeError> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.key(middle)? <= key {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
