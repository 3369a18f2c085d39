//! The catalogue of damage: recorded roots, each harmed in one way.
//!
//! A case names a recorded root, what is done to it, the code of the finding that must come of it, and what
//! a repair makes of it. Cases of one part of a root stand in a file of their own, each with its table; all
//! tables are in [`TABLES`].

pub(crate) mod classic;
pub(crate) mod containerd;
mod containers;
pub(crate) mod scenery;
mod volumes;

use std::collections::BTreeMap;

pub(crate) use scenery::{Root, root};

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
    /// What a repair from the root alone makes of it.
    pub(crate) after: After,
    /// Cases of one root and round go together: each harms something else.
    pub(crate) round: u8,
}

/// What a repair makes of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// All is as it was recorded.
    Same,
    /// It reads clean, and is not quite what it was.
    Clean,
    /// Something is gone, and told by this code.
    Lost(&'static str),
    /// It harms nothing, and is left as it is.
    Left,
}
pub(crate) use After::{Clean, Left, Lost, Same};

/// All tables.
pub(crate) const TABLES: [&[Case]; 9] = [
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
    after: After,
) -> Case {
    Case { name, root, damage, code, also: &[], after, round: 0 }
}

impl Case {
    /// Allows findings that follow from the damage.
    pub(crate) const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// Keeps it apart from cases that harm the same thing, or what it is mended with.
    pub(crate) const fn round(self, round: u8) -> Self {
        Self { round, ..self }
    }

    /// Returns whether a daemon is to live with what a repair makes of it: also where only names are lost.
    const fn is_mended(&self) -> bool {
        matches!(self.after, Same | Clean) || self.round > 0
    }
}

/// Returns the cases of a root that can be mended, those of a round together.
pub(crate) fn rounds(root: &str) -> Vec<Vec<&'static Case>> {
    let mut rounds: BTreeMap<u8, Vec<&Case>> = BTreeMap::new();
    let all = TABLES.iter().copied().flatten();
    for case in all.filter(|case| case.root == root && case.is_mended()) {
        rounds.entry(case.round).or_default().push(case);
    }
    rounds.into_values().collect()
}
