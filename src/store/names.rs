//! The names of images that come in files, where nothing keeps two images from having one name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::digest::Digest;
use crate::error::Place;
use crate::format::reference::Reference;
use crate::model::{Finding, Name, Severity};

/// The names that are given, each to the first image that claims it.
pub(super) struct Names {
    /// Where they are written, for messages.
    place: Place,
    given: HashMap<Reference, Digest>,
    pub(super) findings: Vec<Finding>,
}

impl Names {
    pub(super) fn new(place: Place) -> Self {
        Self { place, given: HashMap::new(), findings: Vec::new() }
    }

    /// Returns the name that `text` is, if `image` can have it and does not have it yet. What stands
    /// in the way is a finding.
    pub(super) fn claim(&mut self, text: &str, image: Digest) -> Option<Name> {
        let reference = match Reference::parse_normalized(text) {
            Ok(reference) => reference.tag_name_only(),
            Err(bad) => {
                let shown: String = text.chars().take(300).collect();
                self.find("name-unusable", format!("`{shown}`: {bad}"));
                return None;
            }
        };
        let owner = match self.given.entry(reference.clone()) {
            Entry::Vacant(free) => {
                free.insert(image);
                return Some(Name::Reference(reference));
            }
            Entry::Occupied(taken) => *taken.get(),
        };
        if owner != image {
            let (name, first, other) = (reference.familiar(), owner.short(), image.short());
            let what =
                format!("{name} is image {first} and image {other}; it stays with the first");
            self.find("name-taken", what);
        }
        None
    }

    fn find(&mut self, code: &'static str, what: String) {
        let (severity, place) = (Severity::WrongMetadata, self.place.clone());
        self.findings.push(Finding { code, severity, place, what, remedy: String::new() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_claim_a_name_has_it() {
        let [one, two] = [Digest::of(b"one"), Digest::of(b"two")];
        let mut names = Names::new(Place::new("images.tar", "index.json"));
        for (text, image, given, found) in [
            ("app:1", one, Some("app:1"), None),
            ("docker.io/library/app:1", one, None, None),
            ("docker.io/library/app:1", two, None, Some("name-taken")),
            ("host:5000/app", two, Some("host:5000/app:latest"), None),
            ("App:1", one, None, Some("name-unusable")),
            ("", one, None, Some("name-unusable")),
        ] {
            let name = names.claim(text, image).map(|name| name.familiar());
            assert_eq!(name.as_deref(), given, "{text}");
            assert_eq!(names.findings.pop().map(|finding| finding.code), found, "{text}");
        }
    }
}
