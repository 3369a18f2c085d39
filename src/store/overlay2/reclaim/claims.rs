//! Whose the files of a classic store are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::found::Found;
use super::needs::{Looking, Needs};
use crate::digest::{ChainId, ConfigId};
use crate::error::Result;
use crate::model::{Holder, Thing, Use};
use crate::store::Source as _;
use crate::store::claims::Claims;
use crate::store::overlay2::read::Overlay2;
use crate::store::reclaim::{Known, Reclaim, Wanted};
use crate::tree::{TreePathBuf, path};

/// What holds each layer.
type Holders = HashMap<ChainId, BTreeSet<Holder>>;

impl Overlay2 {
    /// Returns who has what; see [`Source::claims`](crate::store::Source::claims).
    pub(in crate::store::overlay2) fn claimed(&self, known: &Known) -> Result<Claims> {
        let driver = self.inventory().driver.as_str();
        let (tree, layout) = (self.files(), self.layout());
        let found = Found::read(tree, layout)?;
        let wanted = Wanted { orphans: true, known: known.clone(), ..Wanted::default() };
        let looking = Looking { tree, layout, driver, wanted: &wanted, found: &found };
        let needs = looking.needs()?;
        let mut claims = Claims::default();
        looking.folders_of_store(&mut claims);
        self.claim_images(&mut claims);
        let folders = Folders { looking: &looking, links: looking.links_by_folder() };
        folders.claim_layers(&self.holders(&looking), &mut claims);
        folders.claim_containers(&mut claims);
        folders.claim_builds(&needs, &mut claims);
        if driver == crate::store::overlay2::DRIVER {
            let mut plan = Reclaim::default();
            looking.each(&needs, &mut plan)?;
            claims.waste(plan.waste);
        }
        Ok(claims)
    }

    fn claim_images(&self, claims: &mut Claims) {
        for image in &self.inventory().images {
            let thing = Thing::new(Use::Metadata, image.id.to_string()).with_role("image config");
            let thing = thing.with_holders([Holder::Image(image.id)]);
            let layout = self.layout();
            let paths = [layout.content(image.id), layout.metadata_folder(ConfigId(image.id))];
            claims.add(thing, paths);
        }
    }

    /// Returns what holds each layer: images, containers made of images, and what was built of it.
    fn holders(&self, looking: &Looking<'_>) -> Holders {
        let mut holders = Holders::new();
        for image in &self.inventory().images {
            for chain_id in image.manifests.iter().flat_map(|one| one.chain()) {
                holders.entry(chain_id).or_default().insert(Holder::Image(image.id));
            }
        }
        for (container, mount) in &looking.found.mounts {
            let mut next = mount.as_ref().and_then(|mount| mount.parent);
            // A loop of parents has no end.
            for _ in 0..super::DEEPEST {
                let Some(chain_id) = next else { break };
                let holder = Holder::Container(container.clone());
                holders.entry(chain_id).or_default().insert(holder);
                next = self.inventory().layers.get(&chain_id).and_then(|layer| layer.parent);
            }
        }
        holders
    }
}

impl Looking<'_> {
    /// What belongs to nothing deeper.
    fn folders_of_store(&self, claims: &mut Claims) {
        let (records, files) = (self.layout.records(), self.layout.home());
        let role = "records of the store";
        claims.add(
            Thing::new(Use::Metadata, format!("image/{}", self.driver)).with_role(role),
            [records],
        );
        let role = "folders of the store";
        let driver = path(self.driver).to_owned();
        let links = self.layout.links();
        let thing = Thing::new(Use::Metadata, self.driver).with_role(role);
        claims.add(thing, [driver, files.clone(), links]);
        claims.each(files, Use::Unknown);
    }
}

/// The driver's folders, each with the short links to it.
struct Folders<'a> {
    looking: &'a Looking<'a>,
    links: BTreeMap<&'a str, Vec<TreePathBuf>>,
}

impl Folders<'_> {
    fn of(&self, name: &str) -> impl Iterator<Item = TreePathBuf> {
        let folder = self.looking.layout.home().as_path().child(name.as_bytes());
        folder.into_iter().chain(self.links.get(name).into_iter().flatten().cloned())
    }

    fn claim_layers(&self, holders: &Holders, claims: &mut Claims) {
        let builds = &self.looking.wanted.known.builds;
        for record in &self.looking.found.records {
            let Some(chain_id) = record.chain_id else { continue };
            let folder = record.cache_id.iter().flat_map(|id| self.of(id));
            let is_built = record.cache_id.as_ref().is_some_and(|id| builds.mention(id))
                || builds.mention(&chain_id.to_string());
            let mut held = holders.get(&chain_id).cloned().unwrap_or_default();
            held.extend(is_built.then_some(Holder::Build));
            let of = match held.iter().all(|one| *one == Holder::Build) && is_built {
                true => Use::BuildCache,
                false => Use::Layer,
            };
            let thing = Thing::new(of, chain_id.to_string()).with_holders(held);
            claims.add(thing, std::iter::once(record.path.clone()).chain(folder));
        }
    }

    fn claim_containers(&self, claims: &mut Claims) {
        for (container, mount) in &self.looking.found.mounts {
            let holder = || [Holder::Container(container.clone())];
            let thing = |of, role| Thing::new(of, container.clone()).with_role(role);
            let record = self.looking.layout.mounts().as_path().child(container.as_bytes());
            let upper = mount.iter().flat_map(|mount| self.of(&mount.mount_id));
            // What is built is in such folders too, while it is built.
            let of = match self.looking.wanted.known.builds.mention(container) {
                true => Use::BuildCache,
                false => Use::Container,
            };
            let own = thing(of, "changes").with_holders(holder());
            claims.add(own, record.into_iter().chain(upper));
            let init = mount.as_ref().and_then(|mount| mount.init_id.as_ref());
            if let Some(init) = init {
                claims.add(thing(Use::Init, "").with_holders(holder()), self.of(init));
            }
        }
    }

    /// What the image builder has beside layers of images.
    fn claim_builds(&self, needs: &Needs, claims: &mut Claims) {
        let of_layers: HashSet<&str> =
            self.looking.found.records.iter().filter_map(|one| one.cache_id.as_deref()).collect();
        for name in needs.built.iter().filter(|name| !of_layers.contains(name.as_str())) {
            let thing = Thing::new(Use::BuildCache, name.clone()).with_holders([Holder::Build]);
            claims.add(thing, self.of(name));
        }
    }
}
