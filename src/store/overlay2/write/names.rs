//! The names of images.

use super::Writer;
use super::stage::Batch;
use crate::digest::ConfigId;
use crate::error::{Error, Result};
use crate::format::docker::repositories::Names;
use crate::format::reference::Reference;
use crate::model::{Finding, Severity};
use crate::store::ImageStep;
use crate::tree::{optional, read};

/// The names that new images bring, parted by when they may be written.
#[derive(Default)]
pub(super) struct NewNames {
    /// Those of images that are not there yet, and that no image that is there has: they show when
    /// their images do.
    pub(super) unseen: Vec<(Reference, ConfigId)>,
    /// The others.
    pub(super) seen: Vec<(Reference, ConfigId)>,
}

impl Writer {
    /// Returns the names that the store has.
    ///
    /// # Errors
    /// What dockerd does not start with.
    pub(super) fn names(&self) -> Result<Names> {
        let path = self.layout.repositories();
        match optional(read(self.sink.tree(), path.as_path()))? {
            Some(bytes) => Names::read(&bytes).map_err(|error| {
                let error = error.at(self.sink.tree().place(path.as_path()));
                error
                    .hint("dockerd does not start with this file either: repair it or move it away")
            }),
            None => Ok(Names::default()),
        }
    }

    /// Adds to `names` and writes them, for all that is not written.
    pub(super) fn put_names(&self, names: &mut Names, new: &[(Reference, ConfigId)]) -> Result<()> {
        for (name, image) in new {
            let _ = names.set(name, *image);
        }
        let mut batch = Batch::new(self);
        batch.put(self.layout.repositories(), 0o600, &names.to_bytes())?;
        batch.settle()
    }

    /// Parts the names of `image`, and returns what was found of those that it cannot have.
    pub(super) fn part_names(
        &self,
        id: ConfigId,
        image: &ImageStep,
        old: &Names,
        new: &mut NewNames,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for text in &image.names {
            let Some(text) = own_digest(text, image) else { continue };
            let Some(name) = name_of(&text) else {
                findings.push(self.unusable(&text));
                continue;
            };
            let other = old.get(&name).and_then(|text| text.parse::<ConfigId>().ok());
            let shows = |id: ConfigId| self.images.contains(&id.0);
            if shows(id) || other.is_some_and(|other| other != id && shows(other)) {
                new.seen.push((name, id));
            } else {
                new.unseen.push((name, id));
            }
        }
        findings
    }

    fn unusable(&self, name: &str) -> Finding {
        let place = self.sink.tree().place(self.layout.repositories().as_path());
        let name = crate::error::printable(name.as_bytes()).into_owned();
        let error = Error::unsupported(place, format!("`{name}` can be no name in this store"))
            .hint("give the image another name: `docker tag`");
        Finding::of("name-dropped", Severity::WrongMetadata, &error)
    }
}

/// Puts the digest that registries know the image by into a name that waits for it. Without one, such a
/// name means nothing.
fn own_digest(name: &str, image: &ImageStep) -> Option<String> {
    match (name.strip_suffix(ImageStep::OWN_DIGEST), &image.kept) {
        (None, _) => Some(name.to_owned()),
        (Some(repository), Some(kept)) => Some(format!("{repository}{}", kept.target.digest)),
        (Some(_), None) => None,
    }
}

/// Returns a canonical name as one that dockerd would show.
fn name_of(text: &str) -> Option<Reference> {
    let name = Reference::parse_normalized(text).ok()?;
    let is_whole = name.tag().is_some() || name.digest().is_some();
    (is_whole && name.familiar_name() != "sha256").then_some(name)
}
