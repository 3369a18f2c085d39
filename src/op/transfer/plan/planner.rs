//! Going through the images one after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::names::{self, Repositories, canonical, label};
use super::whole::{Chosen, choose};
use super::{Loss, OnConflict, Options, Originals, Plan, Present, Stay};
use crate::digest::{BlobId, ChainId, ConfigId, DiffId, Digest};
use crate::error::{Error, Result};
use crate::model::{Finding, Image, Inventory, Name, Severity};
use crate::store::{ImageStep, Source, Target};

pub(super) struct Planner<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) target: &'a dyn Target,
    pub(super) from: &'a Inventory,
    pub(super) there: &'a Inventory,
    originals: &'a Originals,
    repositories: Repositories,
    pub(super) options: &'a Options,
    /// The target's images by the config they run.
    by_config: HashMap<ConfigId, &'a Image>,
    /// The target's images by name.
    by_name: HashMap<String, &'a Image>,
    /// The step that makes the blob of each layer.
    pub(super) layers: BTreeMap<DiffId, usize>,
    /// The layers that are unpacked.
    pub(super) chains: HashSet<ChainId>,
    pub(super) counted: HashSet<Digest>,
    pub(super) blobs: HashSet<BlobId>,
    pub(super) left_out: HashSet<BlobId>,
    /// Names that images are given instead of their own.
    pub(super) given: HashMap<usize, Vec<Name>>,
    pub(super) plan: Plan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        target: &'a dyn Target,
        originals: &'a Originals,
        options: &'a Options,
    ) -> Self {
        let (from, there) = (source.inventory(), target.inventory());
        let (mut by_config, mut by_name) = (HashMap::new(), HashMap::new());
        for image in &there.images {
            for manifest in image.manifests.iter().filter(|manifest| manifest.present) {
                if let Some((config, _)) = &manifest.config {
                    by_config.entry(*config).or_insert(image);
                }
            }
            by_name.extend(image.names.iter().map(|name| (canonical(name), image)));
        }
        Self {
            source,
            target,
            from,
            there,
            originals,
            repositories: Repositories::of(from),
            options,
            by_config,
            by_name,
            layers: BTreeMap::new(),
            chains: HashSet::new(),
            counted: HashSet::new(),
            blobs: HashSet::new(),
            left_out: HashSet::new(),
            given: HashMap::new(),
            plan: Plan::new(from),
        }
    }

    pub(super) fn add(&mut self, position: usize) -> Result<()> {
        let mut image = self.from.images[position].clone();
        if let Some(given) = self.given.get(&position) {
            image.names.clone_from(given);
        }
        let (id, label) = (image.id, label(&image));
        let chosen = match choose(image, self.source, self.target, self.options, &self.repositories)
        {
            Ok(Ok(chosen)) => chosen,
            Ok(Err(why)) => {
                self.plan.stays.push(Stay { what: label, why });
                return Ok(());
            }
            Err(error) => {
                let (code, severity) = ("image-damaged", Severity::DataLost);
                self.plan.findings.push(Finding::of(code, severity, &error));
                self.plan.stays.push(Stay { what: label, why: error.what().to_owned() });
                return Ok(());
            }
        };
        let names = self.names(&chosen)?;
        self.count_layers(&chosen);
        let missing = self.missing(&chosen);
        self.plan.layer_counts.left_out += self.count_left_out(&chosen);
        if let Some(known) = self.known(&chosen)
            && names.is_empty()
            && missing.is_empty()
        {
            let present = Present { id, becomes: known.id, position };
            self.plan.present.push(present);
            return Ok(());
        }
        self.plan.blobs.extend(missing.into_iter().filter(|step| self.blobs.insert(step.blob)));
        self.add_layers(&chosen);
        self.lose(&chosen);
        let Chosen { image, config, kept, packed, mut originals, .. } = chosen;
        originals.extend(self.originals.get(&image.id).cloned().unwrap_or_default());
        let step = ImageStep { image, config, names, parent: None, originals, kept, packed };
        self.plan.images.push(step);
        self.plan.positions.push(position);
        Ok(())
    }

    /// Returns the target's image that `chosen` would become.
    fn known(&self, chosen: &Chosen) -> Option<&'a Image> {
        match chosen.kept_digest() {
            Some(id) => self.there.images.iter().find(|image| image.id == id),
            None => self.by_config.get(&chosen.config?).copied(),
        }
    }

    /// Returns the names that an image does not have in the target yet and can have.
    fn names(&mut self, chosen: &Chosen) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for name in names::wanted(chosen, self.there.kind) {
            match self.by_name.get(&name) {
                None => {
                    let repository = name.strip_suffix(ImageStep::OWN_DIGEST);
                    let same = |known: &Name| {
                        repository.is_some_and(|repository| {
                            known.is_digest() && canonical(known).starts_with(repository)
                        })
                    };
                    if !self.known(chosen).is_some_and(|image| image.names.iter().any(same)) {
                        names.push(name);
                    }
                }
                Some(other) if is(other, chosen) => {}
                Some(other) => match self.options.on_conflict {
                    OnConflict::Replace => names.push(name),
                    OnConflict::Keep => {
                        let what = format!(
                            "the name {name} stays with image {} that the target already has",
                            other.id.short()
                        );
                        self.plan.losses.push(Loss { image: label(&chosen.image), what });
                    }
                    OnConflict::Fail => {
                        let what = format!("the target has another image called {name}");
                        return Err(Error::refused(what).hint(
                            "keep the target's (`--on-conflict keep`) or replace it \
                             (`--on-conflict replace`)",
                        ));
                    }
                },
            }
        }
        Ok(names)
    }

    /// Notes what the target will not have of an image.
    fn lose(&mut self, chosen: &Chosen) {
        let whole = chosen.losses(&self.options.platform, self.target.keeps_documents());
        let bare = self.source.bare_tag(&chosen.image).filter(|_| chosen.image.is_dangling());
        let bare = bare.map(|tag| {
            format!("`{tag}` is all it is called, a tag and no name; give it one with `--name`")
        });
        let made_anew = chosen.made_anew.clone().into_iter();
        let lost = made_anew.chain(names::lost(chosen, self.there.kind)).chain(whole).chain(bare);
        for what in lost {
            self.plan.losses.push(Loss { image: label(&chosen.image), what });
        }
    }

    pub(super) fn stays(&mut self, selected: &[usize]) {
        let chosen: HashSet<_> = selected.iter().collect();
        let others = (0..self.from.images.len()).filter(|i| !chosen.contains(i));
        let (between, rest): (Vec<_>, Vec<_>) =
            others.partition(|i| self.from.images[*i].intermediate);
        if !between.is_empty() {
            let what = counted(between.len(), "intermediate image");
            let why = "only a step between two images; `--all` moves such too".to_owned();
            self.plan.stays.push(Stay { what, why });
        }
        for i in rest {
            let (what, why) = (label(&self.from.images[i]), "not selected".to_owned());
            self.plan.stays.push(Stay { what, why });
        }
    }

    /// An image remembers what it was built from as long as that comes along.
    pub(super) fn link_parents(&mut self, selected: &[usize]) {
        let chosen = self.plan.images.iter().filter_map(|step| Some((step.image.id, step.config?)));
        let mut configs: HashMap<Digest, ConfigId> = chosen.collect();
        // What is there already need not be written, and is a parent all the same.
        for i in selected {
            let image = &self.from.images[*i];
            if let Some((config, _)) = image.shown().and_then(|shown| shown.config.as_ref()) {
                configs.entry(image.id).or_insert(*config);
            }
        }
        for step in &mut self.plan.images {
            let Some(parent) = step.image.parent else { continue };
            let there = Some(ConfigId(parent)).filter(|id| self.by_config.contains_key(id));
            step.parent = configs.get(&parent).copied().or(there);
            if step.parent.is_none() {
                let what = format!("it forgets that it was built from {}", parent.short());
                self.plan.losses.push(Loss { image: label(&step.image), what });
            }
        }
    }
}

/// Returns whether the target's image `other` is what `chosen` would become.
fn is(other: &Image, chosen: &Chosen) -> bool {
    if let Some(id) = chosen.kept_digest() {
        return other.id == id;
    }
    let configs = other.manifests.iter().filter_map(|manifest| manifest.config.as_ref());
    configs.into_iter().any(|(known, _)| Some(*known) == chosen.config)
}

pub(super) fn counted(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// Returns `selected` with every image after the one it was built from. Loops of parents end.
pub(super) fn parents_first(from: &Inventory, selected: &[usize]) -> Vec<usize> {
    let position: HashMap<Digest, usize> =
        selected.iter().map(|i| (from.images[*i].id, *i)).collect();
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    for start in selected {
        let mut line = Vec::new();
        let mut next = Some(*start);
        while let Some(i) = next.filter(|i| seen.insert(*i)) {
            line.push(i);
            next = from.images[i].parent.and_then(|parent| position.get(&parent).copied());
        }
        order.extend(line.into_iter().rev());
    }
    order
}
