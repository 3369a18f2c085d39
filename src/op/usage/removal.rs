//! What would be free if some things were gone.

use std::collections::HashSet;

use super::names::Names;
use super::{Amount, Ledger, Line};
use crate::error::{Error, Place, Result};
use crate::model::{Holder, Image, StoreKind};
use crate::op::host::{DataRoot, Host, ImageAt};
use crate::op::volumes;

/// What would be free, and what not.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// What would be removed, as it was found.
    pub things: Vec<String>,
    /// What goes along with it.
    pub along: Vec<String>,
    /// What would be free.
    pub frees: Amount,
    /// What of it would stay, by its line; and what holds that.
    pub stays: Vec<(usize, Vec<String>)>,
}

/// Returns what would be free if all that `names` name were removed: images, containers and volumes, each
/// by what a user calls it; with `image:`, `container:` or `volume:` before that where several could be
/// meant; and `store:classic` or `store:containerd`.
///
/// # Errors
/// Missing or refused for a name that names nothing, or several things.
pub fn removal(host: &Host, ledger: &Ledger, names: &[String]) -> Result<Removal> {
    let mut picked = Picked::default();
    for name in names {
        picked.pick(host, name)?;
    }
    picked.with_parents(host);
    let losing = std::mem::take(&mut picked.losing).into_iter();
    let losing = losing.filter(|(container, _)| !picked.gone.contains(container));
    picked.along.extend(losing.map(|(_, what)| what));
    let goes = |line: &Line| {
        let is_in = line.store.is_some_and(|kind| picked.stores.contains(&(line.root, kind)));
        is_in || line.goes_with(&picked.gone)
    };
    let names: Vec<Names<'_>> = host.roots.iter().map(|root| Names::of(root, &[])).collect();
    let mut removal = Removal { frees: ledger.freed(goes), ..Removal::default() };
    for (n, line) in ledger.lines.iter().enumerate().filter(|(_, line)| !goes(line)) {
        let is_gone = |holder: &&Holder| picked.gone.contains(&(line.root, (*holder).clone()));
        let (gone, left): (Vec<_>, Vec<_>) = line.thing.held_by.iter().partition(is_gone);
        if !gone.is_empty() {
            let left = left.iter().map(|holder| called(names.get(line.root), holder));
            removal.stays.push((n, left.collect()));
        }
    }
    (removal.things, removal.along) = (picked.things, picked.along);
    Ok(removal)
}

/// What is to go.
#[derive(Default)]
struct Picked {
    gone: HashSet<(usize, Holder)>,
    stores: HashSet<(usize, StoreKind)>,
    things: Vec<String>,
    along: Vec<String>,
    /// What containers lose that may be removed themselves.
    losing: Vec<((usize, Holder), String)>,
}

impl Picked {
    fn pick(&mut self, host: &Host, name: &str) -> Result<()> {
        match name.split_once(':') {
            Some(("store", kind)) => return self.store(host, kind),
            Some(("image", name)) if host.image(name, None).is_ok() => {
                return self.image(host, name);
            }
            Some(("container", name)) => return self.container(host, name),
            Some(("volume", name)) => return self.volume(host, name),
            _ => {}
        }
        type Pick = fn(&mut Picked, &Host, &str) -> Result<()>;
        let ways: [(&str, Pick, bool); 3] = [
            ("container", Self::container, host.container(name).is_ok()),
            ("image", Self::image, host.image(name, None).is_ok()),
            ("volume", Self::volume, volumes::find(&host.roots, name).is_ok()),
        ];
        let found: Vec<_> = ways.iter().filter(|(_, _, is_one)| *is_one).collect();
        match found.as_slice() {
            [(_, pick, _)] => pick(self, host, name),
            [] => {
                let what =
                    "no image, container or volume has this name or ID, or several could be meant";
                let hint =
                    "`tranship usage --by image`, `--by container` and `--by volume` list them";
                Err(Error::missing(Place::new(name, ""), what).hint(hint))
            }
            several => {
                let kinds: Vec<_> = several.iter().map(|(kind, _, _)| *kind).collect();
                let hint = format!("write `{}:{name}`", kinds.first().unwrap_or(&"image"));
                let what = format!("`{name}` could be a {}", kinds.join(" or a "));
                Err(Error::refused(what).hint(hint))
            }
        }
    }

    fn image(&mut self, host: &Host, name: &str) -> Result<()> {
        let at = host.image(name, None)?;
        self.gone.insert((number(host, at.root), Holder::Image(at.image.id)));
        self.things.push(format!("image {} ({})", shown(&at), at.image.id.short()));
        Ok(())
    }

    fn container(&mut self, host: &Host, name: &str) -> Result<()> {
        let at = host.container(name)?;
        self.gone.insert((number(host, at.root), Holder::Container(at.container.id.clone())));
        self.things.push(format!("container {}", at.container.name));
        Ok(())
    }

    fn volume(&mut self, host: &Host, name: &str) -> Result<()> {
        let (root, volume) = volumes::find(&host.roots, name)?;
        for at in volumes::users(root, &volume) {
            let container = (number(host, root), Holder::Container(at.container.id.clone()));
            let what = format!("container {} loses volume {name}", at.container.name);
            self.losing.push((container, what));
        }
        self.gone.insert((number(host, root), Holder::Volume(volume.name)));
        self.things.push(format!("volume {name}"));
        Ok(())
    }

    fn store(&mut self, host: &Host, name: &str) -> Result<()> {
        let is_it = |kind: StoreKind| kind.name() == name;
        let before = self.stores.len();
        for (n, root) in host.roots.iter().enumerate() {
            for seen in root.stores.iter().filter(|seen| is_it(seen.here.kind)) {
                self.stores.insert((n, seen.here.kind));
                self.things.push(format!("the {name} store of {}", root.place));
                let bound = root.containers.iter().filter(|one| one.driver == seen.here.driver);
                let lost = bound.map(|one| format!("container {} loses all it has", one.name));
                self.along.extend(lost);
            }
        }
        match self.stores.len() > before {
            true => Ok(()),
            false => {
                let error = Error::missing(Place::new(name, ""), "there is no such store here");
                Err(error.hint("`tranship status` lists the stores"))
            }
        }
    }

    /// Docker removes with an image those without a name that it was built from, as long as nothing else
    /// needs them (moby v28 daemon/images/image_delete.go).
    fn with_parents(&mut self, host: &Host) {
        for (n, root) in host.roots.iter().enumerate() {
            let all: Vec<&Image> = root
                .stores
                .iter()
                .filter_map(|seen| seen.inventory())
                .flat_map(|i| &i.images)
                .collect();
            let used: HashSet<_> = root.containers.iter().filter_map(|one| one.image).collect();
            loop {
                let is_gone = |image: &Image| self.gone.contains(&(n, Holder::Image(image.id)));
                let goes = |image: &&&Image| {
                    let children = all.iter().filter(|one| one.parent == Some(image.id));
                    let mut children = children.peekable();
                    image.is_dangling()
                        && !is_gone(image)
                        && !used.contains(&image.id)
                        && children.peek().is_some()
                        && children.all(|child| is_gone(child))
                };
                let Some(id) = all.iter().find(goes).map(|image| image.id) else { break };
                self.gone.insert((n, Holder::Image(id)));
                self.along.push(format!("image {}, which it was built from", id.short()));
            }
        }
    }
}

fn number(host: &Host, root: &DataRoot) -> usize {
    host.roots.iter().position(|one| std::ptr::eq(one, root)).unwrap_or_default()
}

fn shown(at: &ImageAt<'_>) -> String {
    at.image.names.first().map_or_else(|| "<none>".to_owned(), |name| name.familiar())
}

/// Returns what people call what holds something.
fn called(names: Option<&Names<'_>>, holder: &Holder) -> String {
    match holder {
        Holder::Image(id) => {
            let name = names.and_then(|names| names.image(id)?.names.first());
            format!("image {}", name.map_or_else(|| id.short(), |name| name.familiar()))
        }
        Holder::Container(id) => {
            format!("container {}", names.and_then(|names| names.container(id)).unwrap_or(id))
        }
        Holder::Volume(name) => format!("volume {name}"),
        Holder::Build => "the build cache".to_owned(),
        Holder::Lease(id) => format!("lease {id}"),
        Holder::Namespace(space) => format!("namespace {space}"),
    }
}
