//! Data roots that were damaged in one way each, and what `verify` must find.
//!
//! A case names a recorded root, what is done to it, and the code of the finding that must come of it.
//! Cases of one part of a root stand in a file of their own, each with its table; all tables are in
//! [`TABLES`].

#![allow(clippy::disallowed_methods, reason = "tests look at real files")]

mod classic;
mod containerd;
mod containers;
mod documented;
mod mended;
#[path = "../support/random.rs"]
mod random;
mod scenery;
mod sound;
#[path = "../it/support"]
#[allow(dead_code, reason = "other tests have more use for them")]
mod support {
    pub(crate) mod crashes;
    pub(crate) mod fault;
    pub(crate) mod seen;
}
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

pub(crate) use scenery::{Root, root, verified};
use tranship::model::{Finding, Severity};
use tranship::tree::many;

/// One way of damage.
pub(crate) struct Case {
    /// What is wrong.
    pub(crate) name: &'static str,
    /// The recorded root that is damaged.
    pub(crate) root: &'static str,
    /// Damages it.
    pub(crate) damage: fn(&Root),
    /// The code of the finding that must be told.
    pub(crate) code: &'static str,
    /// Codes of other findings above untidy that follow from the same damage.
    pub(crate) also: &'static [&'static str],
}

const TABLES: [&[Case]; 9] = [
    classic::driver::CASES,
    classic::images::CASES,
    classic::layers::CASES,
    classic::mounts::CASES,
    containerd::content::CASES,
    containerd::images::CASES,
    containerd::snapshots::CASES,
    containers::CASES,
    volumes::CASES,
];

/// Makes a case that is told by one finding alone.
pub(crate) const fn case(
    name: &'static str,
    root: &'static str,
    damage: fn(&Root),
    code: &'static str,
) -> Case {
    Case { name, root, damage, code, also: &[] }
}

impl Case {
    /// Allows findings that follow from the damage.
    pub(crate) const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// Returns what is wrong with what is found.
    fn judge(&self) -> Option<String> {
        let root = root(self.root);
        (self.damage)(&root);
        let found = verified(&root, false);
        let codes: BTreeSet<_> = found.findings.iter().map(|finding| finding.code).collect();
        if !codes.contains(self.code) {
            return Some(format!("{}: no {} in {codes:?}", self.name, self.code));
        }
        if let Some(finding) = found.findings.iter().find(|finding| !is_explained(finding)) {
            let (code, severity) = (finding.code, documented::words(finding.severity));
            return Some(format!("{}: {code} is not explained as {severity}", self.name));
        }
        let other = found.findings.iter().find(|finding| {
            let is_told = finding.code == self.code || self.also.contains(&finding.code);
            finding.severity > Severity::Untidy && !is_told
        })?;
        let (code, place, what) = (other.code, &other.place, &other.what);
        Some(format!("{}: also {code} at {place}: {what}", self.name))
    }
}

fn is_explained(finding: &Finding) -> bool {
    static PAGE: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(documented::page);
    let severities = PAGE.get(finding.code);
    severities.is_some_and(|said| said.contains(documented::words(finding.severity)))
}

#[test]
fn every_damage_is_found_and_nothing_else() {
    let cases: Vec<&Case> = TABLES.iter().copied().flatten().collect();
    let wrong: Vec<_> = many(&cases, |case| case.judge()).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn no_two_cases_have_one_name() {
    let mut names = BTreeSet::new();
    for case in TABLES.iter().copied().flatten() {
        assert!(names.insert(case.name), "{}", case.name);
    }
}
