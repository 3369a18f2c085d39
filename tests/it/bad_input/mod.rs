//! Damaged and hostile stores: nothing panics, nothing is followed out of the root, what is sound still
//! arrives, and what is not is told with its place.

mod archives;
mod carried;
mod records;
mod store;
mod target;

use std::sync::Arc;

use tranship::model::{Finding, Severity};
use tranship::store::Source as _;
use tranship::tree::{Attributes, Memory, Sink, Special, TreePath, path};

use crate::support::classic::{Classic, owner};
use crate::support::seen::{leftovers, listing, look};
use crate::support::{Migration, nothing_is, open};

pub(crate) const STORE: &str = "
diff base
  dir  bin
  file bin/sh shell*200
diff code
  dir  app
  file app/run run*9
  dir  app/in
  link app/out in
image base = base
  name base:1
image app = base + code
  name app:1
  name app:2
image other = code
  name other:1
";

/// Code, severity, where, and part of what is said.
type Wanted = (&'static str, Severity, &'static str, &'static str);

/// What is done to a store, and what is to come of it.
struct Case {
    name: &'static str,
    harm: fn(&Classic, &Memory),
    /// What is found in the store and on the way.
    findings: &'static [Wanted],
    /// The names that arrive; `-` is an image without one.
    arrive: &'static str,
}

const ALL: &str = "app:1 app:2 base:1 other:1";

fn case(
    name: &'static str,
    harm: fn(&Classic, &Memory),
    findings: &'static [Wanted],
    arrive: &'static str,
) -> Case {
    Case { name, harm, findings, arrive }
}

fn run(cases: Vec<Case>) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, check(case).err()?)))
        .collect();
    nothing_is(&wrong);
}

fn check(case: &Case) -> Result<(), String> {
    let classic = Classic::of(STORE);
    let tree = Arc::new(classic.tree());
    (case.harm)(&classic, &tree);
    let before = listing(&*tree, TreePath::ROOT);
    let store = open(&tree);
    let target = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let outcome = Migration::default().run(&store, &sink).map_err(|error| error.to_string())?;
    let found: Vec<&Finding> = store.inventory().findings.iter().chain(&outcome.findings).collect();
    let matches = |finding: &Finding, (code, severity, place, what): &Wanted| {
        (finding.code, finding.severity) == (*code, *severity)
            && String::from_utf8_lossy(&finding.place.path).contains(*place)
            && finding.what.contains(what)
    };
    let mut wanted: Vec<_> = case.findings.iter().collect();
    let mut left = found.clone();
    left.retain(|found| {
        let known = wanted.iter().position(|wanted| matches(found, wanted));
        known.map(|i| wanted.remove(i)).is_none()
    });
    if !(left.is_empty() && wanted.is_empty()) {
        let told = |found: &Finding| format!("{} {}: {}", found.code, found.place, found.what);
        let left: Vec<String> = left.into_iter().map(told).collect();
        return Err(format!("found {left:#?}, and not {wanted:#?}"));
    }
    let seen = look(&*target)?;
    let mut names: Vec<&str> = seen
        .records
        .keys()
        .map(|name| if name.starts_with("moby-dangling@") { "-" } else { name })
        .map(|name| name.strip_prefix("docker.io/library/").unwrap_or(name))
        .collect();
    names.sort_unstable();
    if names.join(" ") != case.arrive {
        return Err(format!("{names:?} arrive"));
    }
    if leftovers(&*target) != [""; 0] {
        return Err(format!("left behind: {:?}", leftovers(&*target)));
    }
    let after = listing(&*tree, TreePath::ROOT);
    if before == after { Ok(()) } else { Err("the source was changed".to_owned()) }
}

/// Puts something that is no file in the place of one.
pub(crate) fn instead(tree: &dyn Sink, file: &str, special: &Special) {
    tree.remove(path(file)).expect("below the root");
    let (uid, gid) = owner();
    let attributes = Attributes { uid, gid, ..Attributes::root(0o644) };
    tree.put(path(file), special, &attributes).expect("a free name");
}
