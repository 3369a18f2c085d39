//! Lines together: by what holds them, or by what they are.

use std::collections::{BTreeMap, HashMap};

use super::frees::frees;
use super::{Amount, Ledger, Line};
use crate::model::{Holder, StoreKind, Use};

/// What lines are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The images that hold them.
    Image,
    /// Layers, packed or unpacked.
    Layer,
    /// The containers whose they are.
    Container,
    /// The volumes.
    Volume,
    /// What they are of.
    Kind,
    /// The folders that lie in the data root.
    Directory,
}

/// Several lines together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The data root, by its place among the host's.
    pub root: usize,
    /// An ID, a name, a kind.
    pub id: String,
    /// What people call it.
    pub names: Vec<String>,
    /// The store, if it is one.
    pub store: Option<StoreKind>,
    /// What all of it takes.
    pub all: Amount,
    /// What of that others hold too.
    pub shared: u64,
    /// What is free once it is gone alone.
    pub frees: Amount,
    /// How many lines.
    pub lines: u64,
    /// Whether no daemon shows it.
    pub hidden: bool,
}

/// Returns the lines of a ledger together, the largest first. What several images hold is in each of them.
#[must_use]
pub fn groups(ledger: &Ledger, by: By) -> Vec<Group> {
    let mut groups = match by {
        By::Image => held(ledger, |holder| matches!(holder, Holder::Image(_))),
        By::Container => held(ledger, |holder| matches!(holder, Holder::Container(_))),
        By::Volume => held(ledger, |holder| matches!(holder, Holder::Volume(_))),
        By::Layer => layers(ledger),
        By::Kind => kinds(ledger),
        By::Directory => directories(ledger),
    };
    groups.sort_by(|a, b| (b.all.on_disk, &a.id).cmp(&(a.all.on_disk, &b.id)));
    groups
}

fn id(holder: &Holder) -> String {
    match holder {
        Holder::Image(id) => id.to_string(),
        Holder::Container(id) | Holder::Volume(id) | Holder::Lease(id) | Holder::Namespace(id) => {
            id.clone()
        }
        Holder::Build => String::new(),
    }
}

fn held(ledger: &Ledger, is_wanted: impl Fn(&Holder) -> bool) -> Vec<Group> {
    let mut groups: BTreeMap<(usize, &Holder), Group> = BTreeMap::new();
    for line in &ledger.lines {
        for holder in line.thing.held_by.iter().filter(|holder| is_wanted(holder)) {
            let new =
                || Group { id: id(holder), root: line.root, hidden: true, ..Group::default() };
            let group = groups.entry((line.root, holder)).or_insert_with(new);
            group.add(line);
            if line.thing.held_by.len() == 1 {
                // Such a line is called as its holder is.
                group.names.clone_from(&line.names);
            } else {
                group.shared = group.shared.saturating_add(line.amount.on_disk);
            }
        }
    }
    let frees = frees(ledger);
    let with_frees = |(of, group): ((usize, &Holder), Group)| Group {
        frees: frees.get(&of).copied().unwrap_or_default(),
        ..group
    };
    groups.into_iter().map(with_frees).collect()
}

fn layers(ledger: &Ledger) -> Vec<Group> {
    let is_layer = |line: &&Line| match line.thing.of {
        Use::Layer | Use::Snapshot => true,
        Use::Blob => line.thing.role == "layer",
        _ => false,
    };
    let group = |line: &Line| {
        let id = line.thing.id.clone();
        let shared = if line.thing.held_by.len() > 1 { line.amount.on_disk } else { 0 };
        let mut group = Group { id, root: line.root, shared, hidden: true, ..Group::default() };
        group.add(line);
        Group { names: line.names.clone(), frees: line.alone, ..group }
    };
    ledger.lines.iter().filter(is_layer).map(group).collect()
}

fn kinds(ledger: &Ledger) -> Vec<Group> {
    let mut groups: HashMap<(usize, Use, Option<StoreKind>), Group> = HashMap::new();
    for line in &ledger.lines {
        let of = line.thing.of;
        let new = || Group {
            id: of.name().to_owned(),
            root: line.root,
            store: line.store,
            hidden: true,
            ..Group::default()
        };
        groups.entry((line.root, of, line.store)).or_insert_with(new).add(line);
    }
    for ((root, of, store), group) in &mut groups {
        let is_in = |line: &Line| (line.root, line.thing.of, line.store) == (*root, *of, *store);
        group.frees = ledger.freed(is_in);
    }
    groups.into_values().collect()
}

fn directories(ledger: &Ledger) -> Vec<Group> {
    let group = |(place, amount): &(String, Amount)| Group {
        id: place.clone(),
        all: *amount,
        ..Group::default()
    };
    ledger.directories.iter().map(group).collect()
}

impl Group {
    fn add(&mut self, line: &Line) {
        self.store = if self.lines == 0 { line.store } else { self.store.or(line.store) };
        self.all.add(line.amount);
        self.lines += 1;
        self.hidden &= line.hidden;
    }
}
