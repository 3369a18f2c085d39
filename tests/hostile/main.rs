//! Data roots made to do harm: what reads them stays inside, ends, says what is wrong, and shows a
//! terminal nothing that it would obey. What moves them writes nowhere else.
//!
//! Each root is a recorded one on a real folder, with something done to it. Beside it lies what is none
//! of anybody's business, and the kernel tells whether it was opened. Needs no root rights; some harm is
//! done only with them.

#![expect(clippy::disallowed_methods, reason = "tests make real files and run commands")]

mod archives;
mod classic;
mod containerd;
mod containers;
mod place;
mod races;
mod sizes;
mod untouched;
mod verbs;
mod words;

use place::{Base, Place};

/// What is done to a root.
type Harm = fn(&Place);

/// Has every verb read each of these roots, and move it.
#[track_caller]
fn all_hold(base: Base, cases: &[(&str, Harm)]) {
    let mut wrong = Vec::new();
    for (name, harm) in cases {
        let place = Place::of(base);
        harm(&place);
        let found = verbs::judge(&place);
        wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{} times:\n{}", wrong.len(), wrong.join("\n"));
}
