//! Pages that nothing leads to.

use std::collections::BTreeMap;

use super::super::{Node, OwnedBucket};
use super::walk::{DEEPEST_HOME, Walk};
use super::{Home, Lost, put_missing};

/// What may be put back: how much of it is lost, and the rest.
type Candidates<'a> = BTreeMap<Vec<Vec<u8>>, (usize, Node<'a>)>;

/// Puts what stands on pages that no tree reaches to where `home` says, if it may be of what is lost: a
/// page may as well be of an old tree, and have what was removed on purpose.
pub(super) fn place<'a>(
    root: &mut OwnedBucket<'a>,
    walk: &mut Walk<'a>,
    lost: &mut [Lost],
    home: &Home<'_>,
) {
    let mut candidates: Candidates<'a> = BTreeMap::new();
    for page in walk.unreached() {
        for (key, node, broken) in walk.leaf_alone(&page) {
            let Some(mut path) = home(key, &node) else { continue };
            path.push(key.to_vec());
            if path.len() > DEEPEST_HOME || !lost.iter().any(|lost| lost.covers(&path)) {
                continue;
            }
            match candidates.get_mut(&path) {
                Some(known) if known.0 <= broken => {}
                Some(known) => *known = (broken, node),
                None => _ = candidates.insert(path, (broken, node)),
            }
        }
    }
    // What is higher comes first, and what is below it fills its gaps.
    let mut candidates: Vec<_> = candidates.into_iter().collect();
    candidates.sort_by_key(|(path, _)| path.len());
    for (path, (_, node)) in candidates {
        let Some((key, bucket)) = path.split_last() else { continue };
        let bucket: Vec<&[u8]> = bucket.iter().map(Vec::as_slice).collect();
        let is_new = put_missing(root.path_mut(&bucket), key, node);
        if let Some(lost) = lost.iter_mut().find(|lost| is_new && lost.covers(&path)) {
            lost.found = lost.found.saturating_add(1);
        }
    }
}
