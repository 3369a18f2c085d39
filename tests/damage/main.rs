//! Data roots that were damaged in one way each: what `verify` must find, and what `repair` makes of it.

#![allow(clippy::disallowed_methods, reason = "tests look at real files")]

mod catalogue;
mod documented;
mod mended;
mod sound;
#[path = "../it/support"]
#[allow(dead_code, reason = "other tests have more use for them")]
mod support {
    pub(crate) mod crashes;
    pub(crate) mod fault;
    #[path = "../../support/random.rs"]
    pub(crate) mod random;
    pub(crate) mod seen;
}

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use catalogue::{Case, TABLES, root, scenery::verified};
use tranship::model::{Finding, Severity};
use tranship::tree::many;

impl Case {
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
