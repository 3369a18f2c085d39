//! `repositories.json`: a daemon does not start with one that is no JSON, and without one all images lose
//! their names.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::Mender;
use super::layers::child;
use crate::digest::{ConfigId, Digest};
use crate::error::Result;
use crate::format::docker::distribution;
use crate::format::docker::repositories::{self, Names};
use crate::format::reference::Reference;
use crate::model::Image;
use crate::store::given::given;
use crate::store::mend::Change;
use crate::tree::{optional, path, read};

/// dockerd remembers 50 places of a layer at most.
const NOTES_LIMIT: u64 = 1 << 20;

/// Names, each with its image. The first who tells one is believed.
#[derive(Default)]
struct Told {
    names: BTreeMap<String, (Reference, Digest)>,
    from: BTreeSet<&'static str>,
}

impl Told {
    fn add(&mut self, from: &'static str, reference: Reference, image: Digest) {
        let named = reference.tag().is_some() || reference.digest().is_some();
        let reference = if named { reference } else { reference.tag_name_only() };
        let name = reference.familiar();
        if let Entry::Vacant(entry) = self.names.entry(name) {
            entry.insert((reference, image));
            self.from.insert(from);
        }
    }
}

impl Mender<'_> {
    pub(super) fn mend_names(&mut self) -> Result<()> {
        let file = self.layout.repositories();
        let bytes = optional(read(&**self.tree, file.as_path())).ok().flatten();
        if self.images.is_empty() && bytes.is_none() {
            return Ok(());
        }
        let code = "names-unreadable";
        let what = match bytes.as_deref().map(repositories::read) {
            Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => format!("the names of images cannot be read: {}", error.what),
            None => "the names of images are gone".to_owned(),
        };
        let mut told = Told::default();
        self.take_rest(bytes.as_deref().unwrap_or_default(), &mut told);
        self.take_unfinished(&mut told)?;
        self.take_others(&mut told);
        self.take_given(&mut told);
        self.take_originals(&mut told);
        told.names.retain(|_, (_, image)| self.images.contains_key(image));
        let mut names = Names::default();
        for (reference, image) in told.names.values() {
            let _ = names.set(reference, ConfigId(*image));
        }
        let from: Vec<_> = told.from.iter().copied().collect();
        let how = match told.names.len() {
            0 => "write a file without names".to_owned(),
            count => format!("write {count} names anew, from {}", from.join(", ")),
        };
        let change = Change::file(file.clone(), 0o600, names.to_bytes());
        self.mend(code, file.as_path(), what, how, vec![change]);
        let named: BTreeSet<Digest> = told.names.values().map(|(_, image)| *image).collect();
        let parents = self.parents();
        let nameless: Vec<Digest> = self.images.keys().copied().collect();
        for id in nameless.iter().filter(|id| !named.contains(*id) && !parents.contains(*id)) {
            let what = format!("image {}: if it had a name, that is lost", id.short());
            let missing = self.what_would_name(*id);
            let at = self.layout.content(*id);
            self.cannot("name-lost", at.as_path(), what, missing);
        }
        Ok(())
    }

    /// Says what an image without a name needs to have one again. Which repositories have its layers is no
    /// proof of a name: others may have the very same.
    fn what_would_name(&self, id: Digest) -> String {
        let repositories = self.repositories(id);
        let Some(first) = repositories.first() else {
            return "anyone who tells its name; give it one: `docker tag`".to_owned();
        };
        let all = repositories.join(" and ");
        let id = id.short();
        format!(
            "its tag; all of its layers are noted to be in {all}: `docker tag {id} {first}:TAG`"
        )
    }

    /// Returns the repositories that each layer of an image was pulled from or pushed to.
    fn repositories(&self, id: Digest) -> Vec<String> {
        let of_layer = |chain| {
            let (diff_id, _) = self.known.get(chain)?;
            let notes = self.value(&self.layout.places_of(*diff_id), NOTES_LIMIT)?;
            distribution::repositories(&notes).ok()
        };
        let mut layers = self.images.get(&id).into_iter().flatten().map(of_layer);
        let mut common = layers.next().flatten().unwrap_or_default();
        for layer in layers {
            common.retain(|one| layer.as_ref().is_some_and(|layer| layer.contains(one)));
        }
        let references = common.iter().filter_map(|one| Reference::parse_normalized(one).ok());
        references.map(|one| one.familiar_name()).collect()
    }

    /// Returns the images that others were built of: those seldom have names.
    fn parents(&self) -> BTreeSet<Digest> {
        let images = self.own.map(|own| own.inventory().images.iter());
        images.into_iter().flatten().filter_map(|image| image.parent).collect()
    }

    /// Takes what is left of a file that was cut short or written over: names with their images.
    fn take_rest(&self, bytes: &[u8], told: &mut Told) {
        let text = String::from_utf8_lossy(bytes);
        for (at, between) in text.match_indices("\":\"sha256:") {
            let name = text.get(..at).and_then(|before| before.rsplit('"').next());
            let end = at.saturating_add(between.len());
            let hex = text.get(end..end.saturating_add(64));
            if let (Some(name), Some(Ok(image))) = (name, hex.map(Digest::from_hex))
                && let Ok(reference) = Reference::parse_normalized(name)
            {
                told.add("what is left of the file", reference, image);
            }
        }
    }

    /// Takes files that a daemon had not given their name yet.
    fn take_unfinished(&self, told: &mut Told) -> Result<()> {
        let folder = path("image").child(self.driver.as_bytes()).unwrap_or_default();
        for name in optional(self.tree.names(folder.as_path()))?.unwrap_or_default() {
            if !name.starts_with(b".tmp-repositories.json") {
                continue;
            }
            let bytes = read(&**self.tree, child(&folder, &name).as_path()).unwrap_or_default();
            for entry in repositories::read(&bytes).unwrap_or_default() {
                if let Ok((reference, config)) = entry.reading {
                    told.add("a file that was being written", reference, config.0);
                }
            }
        }
        Ok(())
    }

    /// Takes the names that images with the same config have elsewhere.
    fn take_others(&self, told: &mut Told) {
        for other in &self.help.others {
            for image in &other.inventory().images {
                let config = image.shown().and_then(|shown| shown.config.as_ref());
                let Some((config, _)) = config else { continue };
                for reference in image.names.iter().filter_map(|name| name.reference()) {
                    told.add("other stores", reference.clone(), config.0);
                }
            }
        }
    }

    /// Takes the names that containers and builds remember. The last word on a name counts even where its
    /// image is gone: then no other has it.
    fn take_given(&self, told: &mut Told) {
        for one in given(self.help, self.driver, &|_| None) {
            let image = one.images.iter().find(|image| self.images.contains_key(image));
            if let Some(image) = image {
                told.add(one.from, one.reference, *image);
            }
        }
    }

    /// Takes the digests that images were pulled by: registry documents that are kept for them say from
    /// where they came.
    fn take_originals(&self, told: &mut Told) {
        const SOURCE: &str = "containerd.io/distribution.source.";
        let images = self.own.map(|own| own.inventory().images.as_slice()).unwrap_or_default();
        let originals = |image: &Image| {
            let documents = image.originals.iter().filter_map(|blob| {
                let document = self.help.others.iter().find_map(|other| other.document(*blob).ok());
                Some((*blob, document?.labels))
            });
            documents.collect::<Vec<_>>()
        };
        for image in images {
            for (blob, labels) in originals(image) {
                for (key, repositories) in &labels {
                    let Some(domain) = key.strip_prefix(SOURCE) else { continue };
                    for repository in repositories.split(',') {
                        let text = format!("{domain}/{repository}@{blob}");
                        if let Ok(reference) = Reference::parse_normalized(&text) {
                            told.add("registry documents", reference, image.id);
                        }
                    }
                }
            }
        }
    }
}
