//! Giving room back: only what is proven to be of no use goes, and nothing else is touched.

mod crash;
mod parts;
mod store;

pub(crate) use parts::{ORPHANS, both};

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use tranship::error::Result;
use tranship::model::StoreKind;
use tranship::op::aside::{self, About};
use tranship::op::host::{DataRoot, Host, Known, open, survey};
use tranship::op::reclaim::{Done, Plan, Request, plan};
use tranship::tree::{Kind, Memory, Sink, SubSink, TreePath, path, walk};

use crate::moves::INNER;
use crate::support::carried::{host, read_layers, survey_of};
use crate::support::{NOW, tree_of};

pub(crate) fn surveyed(root: &Memory) -> Host {
    survey_of(Arc::new(root.clone())).expect("a data root")
}

pub(crate) fn recorded(name: &str) -> Host {
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/roots/{name}.tar.zst"));
    let opened = open(Some(&archive)).expect("a recorded root");
    survey(&opened, &Known { platform: host(), ..Known::default() }).expect("a recorded root")
}

pub(crate) fn only(host: &Host) -> &DataRoot {
    host.roots.first().expect("one data root")
}

fn store(kind: StoreKind) -> Request {
    Request { store: Some(kind), now: NOW, ..Request::default() }
}

fn orphans() -> Request {
    Request { orphans: true, now: NOW, ..Request::default() }
}

fn planned(root: &Memory, request: &Request) -> Plan {
    plan(only(&surveyed(root)), request, &()).expect("a plan")
}

/// Returns the sorts of things that go, with how many there are of each.
fn codes(plan: &Plan) -> BTreeMap<&'static str, usize> {
    let mut codes = BTreeMap::new();
    for waste in plan.parts.iter().flat_map(|part| &part.waste) {
        *codes.entry(waste.code).or_default() += 1;
    }
    codes
}

/// Ends what was interrupted, then plans and removes.
fn carry_out(sink: &Arc<dyn Sink>, request: &Request) -> Result<Done> {
    let inner: Arc<dyn Sink> = Arc::new(SubSink::make(Arc::clone(sink), path(INNER), 0o711)?);
    for sink in [sink, &inner] {
        aside::finish(&**sink)?;
    }
    let host = survey_of(tree_of(sink))?;
    let mut done = Done::default();
    if request.store.is_some_and(|kind| !only(&host).stores.iter().any(|s| s.here.kind == kind)) {
        return Ok(done);
    }
    let plan = plan(only(&host), request, &())?;
    assert_eq!(plan.unproven, []);
    let number = aside::next_number([sink.tree(), inner.tree()])?;
    let about = About { verb: "reclaim", at: NOW, number, keep: request.keep };
    for (part, sink) in plan.parts.iter().zip([sink, &inner]).filter(|(part, _)| !part.is_empty()) {
        part.apply(&**sink, &about, &(), &mut done)?;
    }
    Ok(done)
}

fn removed(root: &Memory, request: &Request) -> (Memory, Done) {
    let tree = Arc::new(root.clone());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&tree);
    let done = carry_out(&sink, request).expect("nothing fails");
    ((*tree).clone(), done)
}

/// Returns how many images a daemon sees in each store; each must be whole.
fn images(root: &Memory) -> std::result::Result<BTreeMap<StoreKind, usize>, String> {
    let host = surveyed(root);
    let mut found = BTreeMap::new();
    for seen in &only(&host).stores {
        let Some(source) = seen.here.source.as_deref() else {
            // Folders of layers alone: no daemon sees an image.
            found.insert(seen.here.kind, 0);
            continue;
        };
        let inventory = source.inventory();
        if let Some(finding) = inventory.findings.first() {
            return Err(format!("{}: {}: {}", seen.here.kind, finding.code, finding.what));
        }
        for image in &inventory.images {
            read_layers(source, image).map_err(|error| format!("{}: {error}", seen.here.kind))?;
        }
        found.insert(seen.here.kind, inventory.images.len());
    }
    Ok(found)
}

/// Returns the bytes on disk of all that is in `root`, each file once.
fn bytes(root: &Memory) -> u64 {
    let (mut total, mut seen) = (0, HashSet::new());
    walk(root, TreePath::ROOT, &mut |_, entry| {
        let found = &entry.metadata;
        if found.kind == Kind::Dir || seen.insert(found.ino) {
            total += found.allocated;
        }
        Ok(true)
    })
    .expect("memory can be read");
    total
}
