//! Keys in order with what they lead to.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};
use std::{mem, slice};

use super::Node;

type Key<'a> = Cow<'a, [u8]>;

/// A map that is dense as long as it can be.
///
/// Most of a containerd file is tiny buckets, and most of the rest is only read. A sorted list takes
/// exactly the room of its entries; a large one turns into a tree when it is first edited anywhere
/// but at its end.
#[derive(Clone, Debug)]
pub(super) enum Entries<'a> {
    List(Vec<(Key<'a>, Node<'a>)>),
    Tree(BTreeMap<Key<'a>, Node<'a>>),
}

/// A list up to this long is edited in place.
const SHORT: usize = 64;

impl<'a> Entries<'a> {
    /// Returns the entries of `list`, whose keys must ascend.
    pub(super) fn from_sorted(mut list: Vec<(Key<'a>, Node<'a>)>) -> Self {
        list.shrink_to_fit();
        Self::List(list)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Node<'a>> {
        match self {
            Self::List(list) => list.get(find(list, key).ok()?).map(|(_, node)| node),
            Self::Tree(tree) => tree.get(key),
        }
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Node<'a>> {
        match self {
            Self::List(list) => {
                let at = find(list, key).ok()?;
                list.get_mut(at).map(|(_, node)| node)
            }
            Self::Tree(tree) => tree.get_mut(key),
        }
    }

    pub(super) fn insert(&mut self, key: Key<'a>, node: Node<'a>) -> Option<Node<'a>> {
        if let Some(old) = self.get_mut(&key) {
            return Some(mem::replace(old, node));
        }
        if let Self::List(list) = self {
            let at = find(list, &key).unwrap_or_else(|at| at);
            if list.len() < SHORT || at == list.len() {
                list.insert(at, (key, node));
                return None;
            }
        }
        self.as_tree(|tree| tree.insert(key, node))
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Node<'a>> {
        match self {
            Self::List(list) if list.len() <= SHORT => {
                find(list, key).ok().map(|at| list.remove(at).1)
            }
            _ => self.as_tree(|tree| tree.remove(key)),
        }
    }

    fn as_tree<T>(&mut self, edit: impl FnOnce(&mut BTreeMap<Key<'a>, Node<'a>>) -> T) -> T {
        let mut tree = match mem::take(self) {
            Self::List(list) => list.into_iter().collect(),
            Self::Tree(tree) => tree,
        };
        let result = edit(&mut tree);
        *self = Self::Tree(tree);
        result
    }

    pub(super) fn iter(&self) -> Iter<'_, 'a> {
        match self {
            Self::List(list) => Iter::List(list.iter()),
            Self::Tree(tree) => Iter::Tree(tree.iter()),
        }
    }

    /// Returns these entries with every byte string and every child changed.
    pub(super) fn map<'b>(
        self,
        change: impl Fn((Key<'a>, Node<'a>)) -> (Key<'b>, Node<'b>),
    ) -> Entries<'b> {
        match self {
            Self::List(list) => Entries::List(list.into_iter().map(change).collect()),
            Self::Tree(tree) => Entries::Tree(tree.into_iter().map(change).collect()),
        }
    }
}

impl Default for Entries<'_> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl PartialEq for Entries<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Entries<'_> {}

/// Returns where `key` is in `list`, or where it would be.
fn find(list: &[(Key<'_>, Node<'_>)], key: &[u8]) -> Result<usize, usize> {
    match list.last() {
        Some((last, _)) if **last < *key => Err(list.len()),
        _ => list.binary_search_by(|(other, _)| (**other).cmp(key)),
    }
}

#[derive(Clone, Debug)]
pub(super) enum Iter<'v, 'a> {
    List(slice::Iter<'v, (Key<'a>, Node<'a>)>),
    Tree(btree_map::Iter<'v, Key<'a>, Node<'a>>),
}

impl<'v, 'a> Iterator for Iter<'v, 'a> {
    type Item = (&'v [u8], &'v Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(list) => list.next().map(|(key, node)| (&**key, node)),
            Self::Tree(tree) => tree.next().map(|(key, node)| (&**key, node)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::List(list) => list.size_hint(),
            Self::Tree(tree) => tree.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(byte: u8) -> Node<'static> {
        Node::Value(vec![byte].into())
    }

    proptest! {
        #[test]
        fn edits_are_those_of_a_map(
            start in 0u16..200,
            edits in prop::collection::vec((0u16..256, any::<Option<u8>>()), 0..200),
        ) {
            let key = |n: u16| n.to_be_bytes().to_vec();
            let mut model: BTreeMap<_, _> = (0..start).map(|n| (key(n), node(0))).collect();
            let list = model.iter().map(|(k, v)| (Cow::Owned(k.clone()), v.clone())).collect();
            let mut entries = Entries::from_sorted(list);
            for (n, value) in edits {
                let key = key(n);
                let (was, is) = match value {
                    Some(byte) => (
                        model.insert(key.clone(), node(byte)),
                        entries.insert(key.clone().into(), node(byte)),
                    ),
                    None => (model.remove(&key), entries.remove(&key)),
                };
                prop_assert_eq!(was, is);
                prop_assert_eq!(model.get(&key), entries.get(&key));
            }
            prop_assert!(entries.iter().eq(model.iter().map(|(k, v)| (&**k, v))));
            prop_assert_eq!(entries.len(), model.len());
        }
    }
}
