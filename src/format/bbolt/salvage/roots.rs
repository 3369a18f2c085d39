//! Where the trees of a damaged file may start.

use super::super::meta::{self, Meta};
use super::super::page::{Kind, Pages};
use super::super::write::Options;
use crate::format::wide;

/// The page that a tree of buckets starts at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    pub(super) page: u64,
    pub(super) sequence: u64,
    /// Where the file says so.
    pub(super) named_at: u64,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) page_size: u32,
    /// The newest first.
    pub(super) roots: Vec<Root>,
    pub(super) options: Options,
}

/// Finds the roots that the meta pages name: the valid ones, and after them those whose checksum is
/// wrong, if there is a page of a tree where they say.
pub(super) fn roots(bytes: &[u8]) -> Found {
    let newest = meta::in_force(bytes).ok();
    let page_size = newest.map_or_else(|| guess(bytes), |meta| meta.page_size);
    let mut valid: Vec<Meta> = [0, page_size]
        .into_iter()
        .filter_map(|offset| Meta::decode(bytes, offset).ok())
        .filter(|meta| meta.page_size == page_size)
        .collect();
    valid.sort_by_key(|meta| std::cmp::Reverse(meta.txid));
    let torn = [0, page_size].into_iter().filter_map(|offset| Meta::believed(bytes, offset));
    let mut torn: Vec<Meta> = torn.filter(|meta| is_tree(bytes, page_size, meta.root)).collect();
    torn.sort_by_key(|meta| std::cmp::Reverse(meta.txid));
    let best = valid.first().or(torn.first());
    let options = Options {
        page_size,
        freelist: best.is_none_or(|meta| meta.freelist.is_some()),
        txid: valid.first().map_or(0, |meta| meta.txid),
    };
    let mut roots: Vec<Root> = Vec::new();
    for meta in valid.iter().chain(&torn) {
        if roots.iter().all(|root| root.page != meta.root) {
            roots.push(Root { page: meta.root, sequence: meta.sequence, named_at: meta.offset });
        }
    }
    Found { page_size, roots, options }
}

fn is_tree(bytes: &[u8], page_size: u32, id: u64) -> bool {
    let page = whole_file(bytes, page_size).and_then(|pages| pages.get(id, 0).ok());
    page.is_some_and(|page| matches!(page.kind, Kind::Branch | Kind::Leaf))
}

/// Returns all pages that there are, whatever the meta pages say of their number.
pub(super) fn whole_file(bytes: &[u8], page_size: u32) -> Option<Pages<'_>> {
    let end = wide(bytes.len()).checked_div(page_size.into())?;
    Pages::new(bytes, page_size, end).ok()
}

/// Returns the size at which the most pages have their own number.
fn guess(bytes: &[u8]) -> u32 {
    let numbered = |size: u32| {
        let Some(pages) = whole_file(bytes, size) else { return 0 };
        (2..pages.end()).filter(|id| pages.parse(*id).is_ok()).count()
    };
    let sizes = meta::page_sizes().map(|size| (numbered(size), size));
    // Of sizes that fit alike, as to a file without any page, the usual one.
    let usual = (numbered(USUAL), USUAL);
    sizes.fold(usual, |best, size| if size.0 > best.0 { size } else { best }).1
}

const USUAL: u32 = 4096;
