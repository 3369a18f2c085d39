//! What containerd's garbage collector keeps: acted out as it runs a tenth of a second after containerd
//! starts.
//!
//! containerd v2 core/metadata/gc.go, plugins/gc/scheduler.go

use std::collections::{HashMap, HashSet};

use super::said::{Labels, Lease, Space};
use crate::format::containerd::labels::{Edge, GC_EXPIRE, GC_FLAT, Node};
use crate::format::time::Timestamp;

/// What is kept of one namespace.
pub(super) struct Kept<'a> {
    space: &'a Space<'a>,
    nodes: HashSet<Node<'a>>,
    /// Kept without what its labels name.
    flat: HashSet<Node<'a>>,
    /// What lives as long as another does, by that other: only containerd 2.2 and later heed it, and a
    /// label says that it is wanted.
    back: HashMap<Node<'a>, Vec<Node<'a>>>,
}

impl<'a> Kept<'a> {
    /// Acts out a run in `space`. Leases that end count as ended.
    pub(super) fn of(space: &'a Space<'a>) -> Self {
        let mut kept =
            Self { space, nodes: HashSet::new(), flat: HashSet::new(), back: HashMap::new() };
        let mut todo = kept.roots();
        while let Some((node, is_flat)) = todo.pop() {
            let is_new = match is_flat {
                true => !kept.nodes.contains(&node) && kept.flat.insert(node.clone()),
                false => kept.nodes.insert(node.clone()),
            };
            if is_new {
                kept.follow(&node, is_flat, &mut todo);
            }
        }
        kept
    }

    pub(super) fn has(&self, node: &Node<'_>) -> bool {
        self.nodes.contains(node) || self.flat.contains(node)
    }

    fn roots(&mut self) -> Vec<(Node<'a>, bool)> {
        let space = self.space;
        let mut roots = Vec::new();
        for lease in space.leases.iter().filter(|lease| !ends(lease)) {
            let is_flat = lease.labels.contains_key(GC_FLAT);
            let content = lease.content.iter().filter_map(|digest| text(digest)).map(Node::Content);
            let snapshots = lease.snapshots.iter().filter_map(|(name, key)| snapshot(name, key));
            let images = lease.images.iter().filter_map(|name| text(name)).map(Node::Image);
            roots.extend(content.chain(snapshots).chain(images).map(|node| (node, is_flat)));
        }
        for image in &space.images {
            let Some(node) = text(image.name).map(Node::Image) else { continue };
            self.note_back(&node, &image.labels);
            roots.push((node, false));
        }
        for container in &space.containers {
            let node = container.snapshotter.zip(container.key);
            roots.extend(
                node.map(|(snapshotter, key)| (Node::Snapshot { snapshotter, key }, false)),
            );
            roots.extend(to(&container.labels).map(|node| (node, false)));
        }
        for (digest, blob) in &space.blobs {
            let Some(node) = text(digest).map(Node::Content) else { continue };
            self.note_back(&node, &blob.labels);
            roots.extend(is_root(&blob.labels).then_some((node, false)));
        }
        for ((snapshotter, key), said) in &space.snapshots {
            let Some(node) = snapshot(snapshotter, key) else { continue };
            self.note_back(&node, &said.labels);
            roots.extend(is_root(&said.labels).then_some((node, false)));
        }
        roots
    }

    fn note_back(&mut self, node: &Node<'a>, labels: &Labels<'a>) {
        for (label, value) in labels {
            if let Some(Edge::From(other)) = Edge::of(label, value) {
                self.back.entry(other).or_default().push(node.clone());
            }
        }
    }

    fn follow(&self, node: &Node<'a>, is_flat: bool, todo: &mut Vec<(Node<'a>, bool)>) {
        let space = self.space;
        let labels = match node {
            Node::Content(digest) => space.blobs.get(digest.as_bytes()).map(|blob| &blob.labels),
            Node::Snapshot { snapshotter, key } => {
                let said = space.snapshots.get(&(snapshotter.as_bytes(), key.as_bytes()));
                let parent = said.and_then(|said| text(said.parent?));
                let parent = parent.map(|key| Node::Snapshot { snapshotter, key });
                todo.extend(parent.map(|parent| (parent, is_flat)));
                said.map(|said| &said.labels)
            }
            Node::Image(name) => {
                let image = space.images.binary_search_by(|image| image.name.cmp(name.as_bytes()));
                let image = image.ok().and_then(|at| space.images.get(at));
                let target = image.and_then(|image| image.target);
                todo.extend(target.map(|digest| (Node::Content(digest), is_flat)));
                image.map(|image| &image.labels)
            }
            Node::Container(_) => None,
        };
        if is_flat {
            return;
        }
        todo.extend(labels.into_iter().flat_map(to).map(|node| (node, false)));
        let back = self.back.get(node).into_iter().flatten();
        todo.extend(back.map(|node| (node.clone(), false)));
    }
}

/// Returns whether a lease ends some time: which time it is, a store does not know.
pub(super) fn ends(lease: &Lease<'_>) -> bool {
    let until = lease.labels.get(GC_EXPIRE);
    until.is_some_and(|until| until.parse::<Timestamp>().is_ok())
}

fn to<'l, 'a: 'l>(labels: &'l Labels<'a>) -> impl Iterator<Item = Node<'a>> + 'l {
    labels.iter().filter_map(|(label, value)| match Edge::of(label, value) {
        Some(Edge::To(node)) => Some(node),
        Some(Edge::From(_) | Edge::Root) | None => None,
    })
}

fn is_root(labels: &Labels<'_>) -> bool {
    labels.iter().any(|(label, value)| Edge::of(label, value) == Some(Edge::Root))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn snapshot<'a>(snapshotter: &'a [u8], key: &'a [u8]) -> Option<Node<'a>> {
    Some(Node::Snapshot { snapshotter: text(snapshotter)?, key: text(key)? })
}
