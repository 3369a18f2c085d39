//! Which store is moved from.

use super::Request;
use super::index::Indexed;
use crate::error::{Error, Place, Result};
use crate::model::{Container, StoreKind};
use crate::op::commit::Committed;
use crate::op::host::{DataRoot, Host, Seen};
use crate::op::transfer::{Rebuilt, Selection};
use crate::store::{Source, Target};
use crate::tree::TreePath;

/// Chooses the data root, and in it the store to move from. `origin` is where they were looked for.
pub(super) fn choose(
    roots: Vec<DataRoot>,
    request: &Request,
    origin: &str,
) -> Result<(DataRoot, usize)> {
    let place = || Place::new(origin, "");
    if roots.is_empty() {
        return Err(Error::missing(place(), "no images of Docker are here").hint(
            "name the folder that dockerd calls its data root, an image layout, or an archive of \
             either",
        ));
    }
    // What is written elsewhere may come from a store of its own kind.
    let is_apart = request.into.is_some() || request.stream.is_some() || request.index.is_some();
    let may = |seen: &Seen| {
        let kind = seen.here.kind;
        let has_indexes = matches!(kind, StoreKind::Containerd | StoreKind::Layout);
        if request.index.is_some() && !has_indexes {
            return false;
        }
        request.from.is_none_or(|from| kind == from) && (is_apart || kind != request.to)
    };
    let readable = |seen: &Seen| may(seen) && seen.inventory().is_some();
    let movable =
        |seen: &Seen| may(seen) && seen.inventory().is_some_and(|found| !found.images.is_empty());
    let all: Vec<_> = candidates(&roots, &movable);
    let (root, store) = match all.as_slice() {
        [only] => *only,
        [] => match candidates(&roots, &readable).first() {
            Some(empty) => *empty,
            None if request.index.is_some() => {
                let what = "no images are here that an index can be made of";
                return Err(Error::missing(place(), what).hint(
                    "an index is made in a containerd store or an image layout: migrate or export \
                     the images first",
                ));
            }
            None => {
                let what = format!("nothing to move: there is no store but a {} one", request.to);
                return Err(Error::missing(place(), what));
            }
        },
        several => return Err(ambiguous(&roots, several)),
    };
    let root = roots.into_iter().nth(root).ok_or_else(|| Error::missing(place(), "no root"))?;
    Ok((root, store))
}

/// Returns the stores that are `wanted`, by the positions of root and store.
fn candidates(roots: &[DataRoot], wanted: &dyn Fn(&Seen) -> bool) -> Vec<(usize, usize)> {
    let stores = |(i, root): (usize, &DataRoot)| {
        let wanted = root.stores.iter().enumerate().filter(|(_, seen)| wanted(seen));
        wanted.map(|(store, _)| (i, store)).collect::<Vec<_>>()
    };
    roots.iter().enumerate().flat_map(stores).collect()
}

fn ambiguous(roots: &[DataRoot], several: &[(usize, usize)]) -> Error {
    let mut places: Vec<_> = several.iter().map(|(root, _)| roots[*root].place.clone()).collect();
    places.dedup();
    if let [_, _, ..] = places.as_slice() {
        return Error::refused(format!("several data roots are here: {}", places.join(", ")))
            .hint("name the one that is meant");
    }
    let seen = |(root, store): &(usize, usize)| &roots[*root].stores[*store].here;
    let mut kinds: Vec<_> = several.iter().map(|one| seen(one).kind.name()).collect();
    kinds.dedup();
    if let [first, _, ..] = kinds.as_slice() {
        let what = format!("images are in more than one store here: {}", kinds.join(" and "));
        return Error::refused(what).hint(format!("say which is meant: `--from {first}`"));
    }
    let places: Vec<_> = several.iter().map(|one| seen(one).place.clone()).collect();
    Error::refused(format!("images are in more than one store: {}", places.join(", ")))
        .hint("name the containerd root that is meant: `--containerd-root`")
}

/// Puts an index called `name` in the place of what `seen` holds: that is what moves then.
pub(super) fn index(request: &mut Request, seen: &mut Seen, name: &str) -> Result<()> {
    let selection = std::mem::take(&mut request.options.selection);
    let source = take(seen)?;
    seen.here.source = Some(Box::new(Indexed::new(source, name, &selection.images)?));
    if request.is_addition() {
        request.to = seen.here.kind;
    }
    Ok(())
}

/// A container that is to become an image, and where it is among the data roots.
pub(super) struct Found {
    root: usize,
    store: usize,
    container: Container,
}

/// Finds the container that is to become an image, and says whether that stays in its store.
pub(super) fn container(host: &Host, request: &mut Request) -> Result<Option<Found>> {
    let Some(commit) = &mut request.commit else { return Ok(None) };
    let at = host.container(&commit.container)?;
    at.source()?;
    let is = |seen: &Seen| at.seen.is_some_and(|wanted| std::ptr::eq(wanted, seen));
    let root = host.roots.iter().position(|root| std::ptr::eq(root, at.root));
    let store = at.root.stores.iter().position(is);
    let (Some(root), Some(store)) = (root, store) else { return Ok(None) };
    let kind = at.root.stores[store].here.kind;
    if kind == StoreKind::Classic && is_remapped(&at.root.place) {
        let place = Place::new(at.root.place.clone(), "");
        let what =
            "this data root is of a daemon with `userns-remap`: its files have shifted owners";
        return Err(Error::unsupported(place, what)
            .hint("have that daemon make the image: `docker commit`"));
    }
    let is_elsewhere = request.into.is_some() || request.stream.is_some();
    if !is_elsewhere && host.tree.live(TreePath::ROOT).is_none() {
        let place = Place::new(at.root.place.clone(), "");
        return Err(Error::unsupported(place, "an archive is only read")
            .hint("write the image elsewhere: `-o image.tar`"));
    }
    // Nothing else is said where it goes.
    if !is_elsewhere && request.to.is_carried() {
        request.to = kind;
    }
    commit.in_place = !is_elsewhere && request.to == kind;
    Ok(Some(Found { root, store, container: at.container.clone() }))
}

/// Returns whether a data root is called as dockerd calls those of remapped users: `100000.100000`
/// (moby v28 daemon/daemon_unix.go setupDaemonRoot).
fn is_remapped(place: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let name = place.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    name.split_once('.').is_some_and(|(uid, gid)| is_number(uid) && is_number(gid))
}

/// Returns the root and the store that a container is in.
pub(super) fn take_root(roots: Vec<DataRoot>, found: &Found) -> Result<(DataRoot, usize)> {
    let root = roots.into_iter().nth(found.root);
    let root = root.ok_or_else(|| Error::missing(Place::default(), "no root"))?;
    Ok((root, found.store))
}

/// Puts the image that a container becomes in the place of what `seen` holds: that is what moves then.
pub(super) fn commit(request: &mut Request, seen: &mut Seen, found: &Found) -> Result<()> {
    let Some(commit) = &request.commit else { return Ok(()) };
    let facts = (&request.platform, request.writing.now);
    let source = take(seen)?;
    let committed = Committed::new(source, &seen.here.tree, &found.container, commit, facts)?;
    seen.here.source = Some(Box::new(committed));
    (request.options.selection, request.options.tell_rest) = (Selection::default(), false);
    Ok(())
}

/// Lets images that are here unpacked alone become new ones, whose layers can move to `target`.
pub(super) fn rebuild(request: &Request, seen: &mut Seen, target: &dyn Target) -> Result<()> {
    let rebuilt = Rebuilt::new(take(seen)?, target, &request.options)?;
    seen.here.source = Some(Box::new(rebuilt));
    Ok(())
}

fn take(seen: &mut Seen) -> Result<Box<dyn Source>> {
    seen.here.source.take().ok_or_else(|| {
        Error::unsupported(Place::new(seen.here.place.clone(), ""), "the store cannot be read")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remapped_root_is_known_by_its_name() {
        for (place, is) in [
            ("/var/lib/docker/100000.100000", true),
            ("old.tar:/100000.65536/", true),
            ("/var/lib/docker", false),
            ("/mnt/1.2.3", false),
            ("/mnt/28.", false),
        ] {
            assert_eq!(is_remapped(place), is, "{place}");
        }
    }
}
