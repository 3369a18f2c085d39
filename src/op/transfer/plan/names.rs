//! The names that images are to have.
//!
//! A name with a digest leads to a document. Where documents keep their bytes, only the digest of the
//! image's own target is true; where the target makes a manifest anew, its digest is known at the end;
//! and the classic store, which keeps no documents, believes any.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::whole::Chosen;
use super::{Options, Selection};
use crate::error::{Error, Result};
use crate::format::containerd::labels;
use crate::format::reference::Reference;
use crate::model::{Image, Inventory, Name, StoreKind};
use crate::store::{Document, ImageStep, PackedLayer, Source};

/// Returns the names that images are given instead of their own, by their positions.
///
/// # Errors
/// Names that are none, and images that cannot be told apart or are not there.
pub(super) fn given(
    options: &Options,
    source: &dyn Source,
    selected: &[usize],
) -> Result<HashMap<usize, Vec<Name>>> {
    let from = source.inventory();
    let mut given: HashMap<usize, Vec<Name>> = HashMap::new();
    for (which, name) in &options.names {
        let reference = Reference::parse_normalized(name).ok();
        let reference = reference.filter(|reference| reference.digest().is_none());
        let reference = reference.ok_or_else(|| {
            Error::refused(format!("`{name}` is no name for an image"))
                .hint("a name is lower case, and may have a tag: `team/app:v2`")
        })?;
        let tagged = |i: &&usize| source.bare_tag(&from.images[**i]) == which.as_deref();
        let meant: Vec<usize> = match which {
            None => selected.to_vec(),
            Some(_) if selected.iter().any(|i| tagged(&i)) => {
                selected.iter().filter(tagged).copied().collect()
            }
            Some(which) => {
                let images = vec![which.clone()];
                let one = Selection { images, ..Selection::default() }.of(from)?;
                one.into_iter().filter(|i| selected.contains(i)).collect()
            }
        };
        let [only] = meant[..] else {
            let what = format!("the name `{name}` is for one image, and {} are meant", meant.len());
            return Err(Error::refused(what)
                .hint("say which, by its name or ID: `--name OLD=NEW`; or select only one image"));
        };
        given.entry(only).or_default().push(Name::Reference(reference.tag_name_only()));
    }
    Ok(given)
}

/// Returns the canonical names that an image is to have.
pub(super) fn wanted(chosen: &Chosen, to: StoreKind) -> Vec<String> {
    let image = &chosen.image;
    let can_have = |name: &&Name| to == StoreKind::Containerd || name.reference().is_some();
    let mut names: Vec<String> = image.tags().filter(can_have).map(canonical).collect();
    let (kept, others): (Vec<&Name>, Vec<&Name>) =
        image.names.iter().filter(|name| name.is_digest()).partition(|n| stays(n, chosen, to));
    names.extend(kept.into_iter().map(canonical));
    match to {
        StoreKind::Classic => names.extend(registry_names(chosen)),
        _ => names.extend(own_digests(image, &others)),
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Returns what will not be true any more of an image's names.
pub(super) fn lost(chosen: &Chosen, to: StoreKind) -> Vec<String> {
    let lost = |name: &&Name| match name.reference() {
        None => to != StoreKind::Containerd,
        Some(reference) => reference.digest().is_some() && !stays(name, chosen, to),
    };
    let say = |name: &Name| match name.reference().and_then(Reference::digest) {
        None => format!("its name {name} is no reference"),
        Some(digest) => format!(
            "its registry digest {digest} will no longer lead to it: {}",
            match &chosen.kept {
                Some(_) => "only one platform comes along",
                None if chosen.made_anew.is_some() => "its layers are made anew",
                None => "the manifest is made anew",
            }
        ),
    };
    chosen.image.names.iter().filter(lost).map(say).collect()
}

/// Returns whether a name with a digest stays what it is.
fn stays(name: &Name, chosen: &Chosen, to: StoreKind) -> bool {
    let digest = name.reference().and_then(Reference::digest).unwrap_or_default();
    let is_believed = to == StoreKind::Classic && chosen.made_anew.is_none();
    is_believed || chosen.kept_digest().is_some_and(|kept| kept.to_string() == digest)
}

/// Returns, for each repository that the image has only digests of, the digest it will have.
fn own_digests(image: &Image, digests: &[&Name]) -> Vec<String> {
    let tagged: HashSet<String> =
        image.tags().filter_map(Name::reference).map(Reference::name).collect();
    let bare = digests.iter().filter_map(|name| name.reference()).map(Reference::name);
    let bare: BTreeSet<String> = bare.filter(|name| !tagged.contains(name)).collect();
    bare.into_iter().map(|name| format!("{name}@{}", ImageStep::OWN_DIGEST)).collect()
}

/// The repositories of a store's images by what a containerd calls them: a registry's host without its
/// port.
pub(super) struct Repositories(HashMap<String, String>);

impl Repositories {
    pub(super) fn of(inventory: &Inventory) -> Self {
        let names = inventory.images.iter().flat_map(|image| &image.names);
        let host = |domain: &str| domain.split(':').next().unwrap_or_default().to_owned();
        let entry =
            |name: &Reference| (format!("{}/{}", host(name.domain()), name.path()), name.name());
        Self(names.filter_map(Name::reference).map(entry).collect())
    }

    /// Returns what a repository is called in full.
    fn full(&self, repository: String) -> String {
        self.0.get(&repository).cloned().unwrap_or(repository)
    }

    /// Returns layers with their repositories called in full.
    pub(super) fn name(&self, mut packed: Vec<PackedLayer>) -> Vec<PackedLayer> {
        for repository in packed.iter_mut().flat_map(|layer| &mut layer.repositories) {
            *repository = self.full(std::mem::take(repository));
        }
        packed
    }

    /// Returns the repositories that a document says it came from.
    pub(super) fn said_by(&self, document: &Document) -> Vec<String> {
        let hosts = document.labels.iter().filter_map(|(label, paths)| {
            Some((label.strip_prefix(labels::DISTRIBUTION_SOURCE)?, paths))
        });
        let full = |(host, paths): (&str, &String)| -> Vec<String> {
            paths.split(',').map(|path| self.full(format!("{host}/{path}"))).collect()
        };
        hosts.flat_map(full).collect()
    }
}

/// Returns the names by digest that a pull into the classic store would have left: those of the
/// repositories that the image came from.
fn registry_names(chosen: &Chosen) -> Vec<String> {
    let known: HashSet<&String> = chosen.repositories.iter().collect();
    let tagged = chosen.image.tags().filter_map(Name::reference).map(Reference::name);
    let tagged: BTreeSet<String> = tagged.filter(|name| known.contains(name)).collect();
    tagged.into_iter().map(|name| format!("{name}@{}", chosen.image.id)).collect()
}

pub(super) fn canonical(name: &Name) -> String {
    match name {
        Name::Reference(reference) => reference.to_string(),
        Name::Other(text) => text.clone(),
    }
}

/// Returns what to call an image in a message.
pub(super) fn label(image: &Image) -> String {
    let repository = || Some(image.names.first()?.reference()?.familiar_name());
    image.tags().next().map(Name::familiar).or_else(repository).unwrap_or_else(|| image.id.short())
}
