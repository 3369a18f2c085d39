//! Pages, written one after the other: each tree from its leaves up, so that every page is known
//! before the one that names it.

use std::io::{self, Write};

use super::page::{BUCKET_HEADER, COUNT_LIMIT, ELEMENT, ELEMENT_BUCKET, HEADER, Kind};
use super::{Node, OwnedBucket};
use crate::format::wide;

/// Writes pages, or where it has nothing to write to just counts them.
pub(super) struct Pen<'o> {
    out: Option<&'o mut dyn Write>,
    /// The number of the next page.
    pub(super) next: u64,
    page_size: usize,
    /// The page being made.
    page: Vec<u8>,
}

/// One element of a leaf or branch.
struct Element<'v> {
    key: &'v [u8],
    to: Target<'v>,
}

enum Target<'v> {
    Value(&'v [u8]),
    Bucket(Vec<u8>),
    Page(u64),
}

impl Element<'_> {
    fn value(&self) -> &[u8] {
        match &self.to {
            Target::Value(value) => value,
            Target::Bucket(value) => value,
            Target::Page(_) => &[],
        }
    }

    fn size(&self) -> usize {
        sum([ELEMENT, self.key.len(), self.value().len()])
    }
}

impl<'o> Pen<'o> {
    pub(super) fn new(page_size: u32, out: Option<&'o mut dyn Write>) -> Self {
        let page_size = usize::try_from(page_size).unwrap_or(usize::MAX);
        Self { out, next: 2, page_size, page: Vec::new() }
    }

    /// Writes a page of no elements, which `body` fits.
    pub(super) fn page(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        put_header(&mut self.page, self.next, kind, 0, 0);
        self.page.extend(body);
        self.flush(1)
    }

    /// Writes the pages of a bucket and of all buckets in it; returns its root page.
    pub(super) fn tree(&mut self, bucket: &OwnedBucket<'_>) -> io::Result<u64> {
        let mut level = self.leaves(bucket)?;
        while level.len() > 1 {
            level = self.branches(&level)?;
        }
        match level.first() {
            Some(Element { to: Target::Page(root), .. }) => Ok(*root),
            _ => Err(io::Error::other("a level has no pages")),
        }
    }

    fn leaves<'v>(&mut self, bucket: &'v OwnedBucket<'_>) -> io::Result<Vec<Element<'v>>> {
        let limit = self.fill(bucket);
        let (mut level, mut leaf, mut size) = (Vec::new(), Vec::new(), HEADER);
        for (key, node) in bucket.iter() {
            let element = self.element(key, node)?;
            let is_full = sum([size, element.size()]) > limit || leaf.len() >= COUNT_LIMIT - 1;
            if is_full && !leaf.is_empty() {
                level.push(self.node(Kind::Leaf, &leaf)?);
                leaf.clear();
                size = HEADER;
            }
            size = sum([size, element.size()]);
            leaf.push(element);
        }
        if level.is_empty() || !leaf.is_empty() {
            level.push(self.node(Kind::Leaf, &leaf)?);
        }
        Ok(level)
    }

    /// Returns how full the pages of a bucket get: a bucket that fits one page has one, others
    /// leave room on each for what a daemon adds.
    fn fill(&self, bucket: &OwnedBucket<'_>) -> usize {
        let sizes = bucket.iter().map(|(key, node)| {
            let value = match node {
                Node::Value(value) => value.len(),
                Node::Bucket(child) => sum([BUCKET_HEADER, self.inline(child).unwrap_or(0)]),
            };
            sum([ELEMENT, key.len(), value])
        });
        let mut total = HEADER;
        for size in sizes {
            total = sum([total, size]);
            if total > self.page_size {
                return self.tenths(9);
            }
        }
        self.page_size
    }

    fn tenths(&self, n: usize) -> usize {
        self.page_size.saturating_mul(n) / 10
    }

    /// Writes the pages on the level above `level`. Each has two children at least, as bbolt's
    /// rebalancing asserts, whatever their size.
    fn branches<'v>(&mut self, level: &[Element<'v>]) -> io::Result<Vec<Element<'v>>> {
        let mut above = Vec::new();
        let mut rest = level;
        while !rest.is_empty() {
            let mut size = HEADER;
            let fitting = rest.iter().take_while(|child| {
                size = sum([size, child.size()]);
                size <= self.tenths(9)
            });
            let mut count = fitting.count().clamp(2, COUNT_LIMIT - 2);
            if rest.len().saturating_sub(count) == 1 {
                count = rest.len();
            }
            let (branch, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            above.push(self.node(Kind::Branch, branch)?);
            rest = others;
        }
        Ok(above)
    }

    fn element<'v>(&mut self, key: &'v [u8], node: &'v Node<'_>) -> io::Result<Element<'v>> {
        let to = match node {
            Node::Value(value) => Target::Value(value),
            Node::Bucket(child) => Target::Bucket(self.bucket(child)?),
        };
        Ok(Element { key, to })
    }

    /// Returns a bucket as the value it is in its parent, all its own pages written.
    fn bucket(&mut self, bucket: &OwnedBucket<'_>) -> io::Result<Vec<u8>> {
        let inline = self.inline(bucket);
        let root = if inline.is_some() { 0 } else { self.tree(bucket)? };
        let mut value = Vec::with_capacity(sum([BUCKET_HEADER, inline.unwrap_or(0)]));
        value.extend(root.to_le_bytes());
        value.extend(bucket.sequence.to_le_bytes());
        if inline.is_some() {
            let values = bucket.iter().filter_map(|(key, node)| match node {
                Node::Value(value) => Some(Element { key, to: Target::Value(value) }),
                Node::Bucket(_) => None,
            });
            put_node(&mut value, 0, Kind::Leaf, 0, &values.collect::<Vec<_>>());
        }
        Ok(value)
    }

    /// Returns the size of a bucket's only page if that goes into its parent: it has no buckets and
    /// takes at most a quarter of a page. bbolt v1.4.3 bucket.go inlineable
    fn inline(&self, bucket: &OwnedBucket<'_>) -> Option<usize> {
        bucket.iter().try_fold(HEADER, |size, (key, node)| match node {
            Node::Value(value) => Some(sum([size, ELEMENT, key.len(), value.len()]))
                .filter(|size| *size <= self.page_size / 4),
            Node::Bucket(_) => None,
        })
    }

    /// Writes a leaf or branch; returns the element that leads to it.
    fn node<'v>(&mut self, kind: Kind, elements: &[Element<'v>]) -> io::Result<Element<'v>> {
        let size = elements.iter().fold(HEADER, |size, element| sum([size, element.size()]));
        let span = wide(size.div_ceil(self.page_size));
        let id = self.next;
        if self.out.is_some() {
            put_node(&mut self.page, id, kind, span.saturating_sub(1), elements);
        }
        self.flush(span)?;
        let key = elements.first().map_or(&[][..], |element| element.key);
        Ok(Element { key, to: Target::Page(id) })
    }

    /// Ends a page, made in `self.page`, that is `span` pages long.
    fn flush(&mut self, span: u64) -> io::Result<()> {
        self.next = self.next.saturating_add(span);
        if let Some(out) = &mut self.out {
            self.page.resize(self.page.len().next_multiple_of(self.page_size), 0);
            out.write_all(&self.page)?;
        }
        self.page.clear();
        Ok(())
    }
}

fn put_node(to: &mut Vec<u8>, id: u64, kind: Kind, overflow: u64, elements: &[Element<'_>]) {
    put_header(to, id, kind, elements.len(), overflow);
    // From the element that is being written to its key.
    let mut distance = elements.len().saturating_mul(ELEMENT);
    for element in elements {
        let (key, value) = (element.key.len(), element.value().len());
        if let Target::Page(child) = element.to {
            to.extend([distance, key].map(narrow).as_flattened());
            to.extend(child.to_le_bytes());
        } else {
            let is_bucket = matches!(element.to, Target::Bucket(_));
            let flags = if is_bucket { ELEMENT_BUCKET } else { 0 };
            to.extend(flags.to_le_bytes());
            to.extend([distance, key, value].map(narrow).as_flattened());
        }
        distance = sum([distance.saturating_sub(ELEMENT), key, value]);
    }
    for element in elements {
        to.extend(element.key);
        to.extend(element.value());
    }
}

fn put_header(to: &mut Vec<u8>, id: u64, kind: Kind, count: usize, overflow: u64) {
    to.extend(id.to_le_bytes());
    to.extend(kind.flag().to_le_bytes());
    to.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    to.extend(u32::try_from(overflow).unwrap_or(u32::MAX).to_le_bytes());
}

/// Returns `n` as a page stores it. Only the last element of a page reaches beyond 16 MiB, with a
/// value of less than 2 GiB.
fn narrow(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

/// Adds sizes; what is in memory together is no more than memory.
fn sum<const N: usize>(sizes: [usize; N]) -> usize {
    sizes.iter().fold(0, |sum, size| sum.saturating_add(*size))
}
