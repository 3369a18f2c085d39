//! Which images are meant.

use globset::{Glob, GlobMatcher};

use crate::error::{Error, Place, Result};
use crate::format::reference::Reference;
use crate::model::{Image, Inventory};

/// Which images of a store are meant.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Names, patterns with `*` and `?`, or IDs; none means all that Docker lists.
    pub images: Vec<String>,
    /// Names, patterns or IDs that are left out after all.
    pub exclude: Vec<String>,
    /// Whether images that only stand between two others are meant too.
    pub all: bool,
}

/// Which containers of a store are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Containers {
    /// None, and nobody expects any.
    #[default]
    Unseen,
    /// None, and this is why.
    Stay(String),
    /// Those whose images are meant.
    OfImages,
    /// These, by name, ID or the start of one; their images are meant too.
    Named(Vec<String>),
}

/// One word of a selection.
struct Pattern {
    text: String,
    glob: Option<GlobMatcher>,
    reference: Option<Reference>,
}

impl Pattern {
    fn new(text: &str) -> Result<Self> {
        let place = || Place::new(text, "");
        let is_pattern = text.contains(['*', '?', '[', '{']);
        let glob = if is_pattern {
            let glob =
                Glob::new(text).map_err(|error| Error::corrupt(place(), error.to_string()))?;
            Some(glob.compile_matcher())
        } else {
            None
        };
        let reference = Reference::parse_normalized(text).ok().filter(|_| glob.is_none());
        Ok(Self { text: text.to_owned(), glob, reference })
    }

    fn matches(&self, image: &Image) -> bool {
        self.is_id_of(image) || image.names.iter().any(|name| self.is_name(name))
    }

    /// Docker takes any unambiguous start of an ID; shorter than four digits it is more likely a name.
    fn is_id_of(&self, image: &Image) -> bool {
        let digits = self.text.strip_prefix("sha256:").unwrap_or(&self.text);
        digits.len() >= 4 && image.id.hex().starts_with(digits)
    }

    /// A name without a tag means every tag of the repository.
    fn is_name(&self, name: &crate::model::Name) -> bool {
        let familiar = name.familiar();
        if let Some(glob) = &self.glob {
            let repository = name.reference().map(Reference::familiar_name);
            return glob.is_match(&familiar)
                || repository.is_some_and(|repository| glob.is_match(repository));
        }
        match (&self.reference, name.reference()) {
            (Some(wanted), Some(name)) if wanted.tag().is_none() && wanted.digest().is_none() => {
                wanted.name() == name.name()
            }
            (Some(wanted), Some(name)) => wanted == name,
            _ => self.text == familiar,
        }
    }
}

impl Selection {
    /// Returns the positions of the images that are meant, in the inventory's order.
    ///
    /// # Errors
    /// A word that is no pattern, or that matches nothing.
    pub fn of(&self, inventory: &Inventory) -> Result<Vec<usize>> {
        let patterns = |words: &[String]| -> Result<Vec<Pattern>> {
            words.iter().map(|word| Pattern::new(word)).collect()
        };
        let (wanted, unwanted) = (patterns(&self.images)?, patterns(&self.exclude)?);
        for pattern in &wanted {
            if !inventory.images.iter().any(|image| pattern.matches(image)) {
                let place = Place::new(pattern.text.clone(), "");
                return Err(Error::missing(place, "no image has this name or ID")
                    .hint("`tranship images -a` lists them all; patterns may hold `*` and `?`"));
            }
        }
        let is_meant = |image: &Image| {
            let named = wanted.iter().any(|pattern| pattern.matches(image));
            let listed = wanted.is_empty() && (self.all || !image.intermediate);
            (named || listed) && !unwanted.iter().any(|pattern| pattern.matches(image))
        };
        let images = inventory.images.iter().enumerate();
        Ok(images.filter(|(_, image)| is_meant(image)).map(|(i, _)| i).collect())
    }
}
