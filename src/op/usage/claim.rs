//! Which line each path is of.

use std::collections::HashMap;
use std::sync::Arc;

use super::areas::{Area, place};
use super::names::Names;
use super::{Amount, Line};
use crate::error::Result;
use crate::model::{Finding, Severity, StoreKind, Thing, Use};
use crate::op::host::{Host, Seen};
use crate::op::volumes;
use crate::store::claims::{self, Claims};
use crate::store::reclaim::Known;
use crate::tree::{Sub, Time, TreePath, TreePathBuf};

/// A path that somebody claims, or that leads to one.
#[derive(Default)]
pub(super) struct Node {
    below: HashMap<Box<[u8]>, u32>,
    line: Option<u32>,
    each: Option<(Scope, Use)>,
}

/// Where a thing is: the data root, and its store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    root: usize,
    store: Option<StoreKind>,
    hidden: bool,
}

/// All claims on the trees of a host.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) lines: Vec<Line>,
    pub(super) findings: Vec<Finding>,
    nodes: Vec<Node>,
    /// Where each area begins among the nodes.
    roots: Vec<u32>,
}

impl Claimed {
    /// Asks all data roots of `host` and their stores.
    pub(super) fn of_host(&mut self, host: &Host, now: Time, areas: &[Area]) -> Result<()> {
        for n in 0..areas.len() {
            self.nodes.push(Node::default());
            self.roots.push(n as u32);
        }
        for (n, root) in host.roots.iter().enumerate() {
            let known = root.known(now)?;
            let is_root = root.choices.is_some();
            let volumes = if is_root { volumes::of_root(root)?.0 } else { Vec::new() };
            let names = Names::of(root, &volumes);
            if is_root {
                let tree = Sub::new(Arc::clone(&root.tree), root.path.as_path());
                let scope = Scope { root: n, store: None, hidden: false };
                let own = claims::of_root(&tree, &root.containers, &volumes)?;
                self.take((0, root.path.as_path()), scope, own, &names);
            }
            for seen in &root.stores {
                let Some((area, inside)) = place(areas, seen) else { continue };
                let scope = Scope { root: n, store: Some(seen.here.kind), hidden: seen.hidden };
                let claims = self.of_store(seen, &known);
                self.take((area, inside.as_path()), scope, claims, &names);
            }
        }
        Ok(())
    }

    /// A store whose records are damaged still takes room.
    fn of_store(&mut self, seen: &Seen, known: &Known) -> Claims {
        let unread = || {
            let what = format!("the {} store", seen.here.kind);
            claims::of_unread(&what, &seen.here.folders)
        };
        let Some(source) = seen.here.source.as_deref() else { return unread() };
        source.claims(known).unwrap_or_else(|error| {
            let code = "usage-unreadable";
            self.findings.push(Finding::of(code, Severity::WouldNotLoad, &error));
            unread()
        })
    }

    /// Takes the claims on the part of an area that lies below `at`.
    fn take(&mut self, at: (usize, TreePath<'_>), scope: Scope, claims: Claims, names: &Names<'_>) {
        let first = self.lines.len() as u32;
        self.lines.extend(claims.things.into_iter().map(|thing| scope.line(thing, names)));
        for (path, thing) in &claims.paths {
            let node = self.node(at, path);
            self.nodes[node as usize].line = Some(first + *thing as u32);
        }
        for (folder, of) in &claims.each {
            let node = self.node(at, folder);
            self.nodes[node as usize].each = Some((scope, *of));
        }
    }

    fn node(&mut self, (area, at): (usize, TreePath<'_>), path: &TreePathBuf) -> u32 {
        let mut node = self.roots[area];
        for name in at.names().chain(path.as_path().names()) {
            node = match self.nodes[node as usize].below.get(name) {
                Some(below) => *below,
                None => {
                    let below = self.nodes.len() as u32;
                    self.nodes.push(Node::default());
                    self.nodes[node as usize].below.insert(name.into(), below);
                    below
                }
            };
        }
        node
    }

    /// Parts with the lines, to which more are added while files are counted.
    pub(super) fn split(self) -> (Vec<Line>, Paths, Vec<Finding>) {
        (self.lines, Paths { nodes: self.nodes, roots: self.roots }, self.findings)
    }
}

/// The claimed paths.
pub(super) struct Paths {
    nodes: Vec<Node>,
    roots: Vec<u32>,
}

/// What is known of a path: the node, if it or one below it is claimed; and the line that it is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) node: Option<u32>,
    pub(super) line: u32,
    /// The folder that lies in the data root.
    pub(super) top: u32,
    /// Whether this is the data root itself.
    pub(super) is_start: bool,
}

/// What becomes of an entry of a folder.
pub(super) enum Step {
    /// It is of this.
    Known(At),
    /// It is a thing of its own.
    New(Scope, Use),
}

impl Paths {
    /// Returns the paths of each of `lines` lines, each with its area, in no order.
    pub(super) fn by_line(&self, areas: &[Area], lines: usize) -> Vec<Vec<(usize, TreePathBuf)>> {
        let mut by_line = vec![Vec::new(); lines];
        let roots = self.roots.iter().take(areas.len()).enumerate();
        let mut left: Vec<_> =
            roots.map(|(area, node)| (area, *node, TreePathBuf::default())).collect();
        while let Some((area, node, path)) = left.pop() {
            let Some(node) = self.nodes.get(node as usize) else { continue };
            for (name, below) in &node.below {
                let path = path.as_path().child(name).unwrap_or_default();
                left.push((area, *below, path));
            }
            if let Some(of) = node.line.and_then(|line| by_line.get_mut(line as usize)) {
                of.push((area, path));
            }
        }
        by_line.iter_mut().for_each(|paths| paths.sort_unstable());
        by_line
    }

    /// Returns where the folder `start` of an area is; nothing if nobody claims it.
    pub(super) fn start(&self, area: usize, start: TreePath<'_>) -> Option<At> {
        let mut node = *self.roots.get(area)?;
        for name in start.names() {
            node = *self.nodes.get(node as usize)?.below.get(name)?;
        }
        let line = self.nodes.get(node as usize)?.line?;
        Some(At { node: Some(node), line, top: 0, is_start: true })
    }

    /// Returns what the entry `name` is of, in a folder of which `at` is known.
    pub(super) fn step(&self, at: At, name: &[u8]) -> Step {
        let at = At { is_start: false, ..at };
        let Some(node) = at.node.and_then(|node| self.nodes.get(node as usize)) else {
            return Step::Known(At { node: None, ..at });
        };
        let below = node.below.get(name).copied();
        let line = below.and_then(|below| self.nodes.get(below as usize)?.line);
        match (line, node.each) {
            (Some(line), _) => Step::Known(At { node: below, line, ..at }),
            (None, Some((scope, of))) if below.is_none() => Step::New(scope, of),
            (None, _) => Step::Known(At { node: below, ..at }),
        }
    }
}

impl Scope {
    pub(super) fn line(self, thing: Thing, names: &Names<'_>) -> Line {
        let (called, hidden) = names.of_thing(&thing);
        Line {
            root: self.root,
            store: self.store,
            hidden: self.hidden || (self.store.is_none() && hidden),
            thing,
            names: called,
            amount: Amount::default(),
            alone: Amount::default(),
            reclaimable: 0,
        }
    }

    /// Returns the line of something that nobody told of.
    pub(super) fn stray(self, of: Use, id: String) -> Line {
        self.line(Thing::new(of, id), &Names::default())
    }
}
